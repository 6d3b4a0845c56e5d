"""Shortcut audits: tricks that answer questions without video, and must not do better than chance.

    for result in audit(samples):
        print(result)          # "longest option: 25.4 % where chance is 25.0 % (n = 812)"
    coverage(samples)["uniform 64"]     # the share of questions whose evidence 64 even frames would show

A trick knows the question, its options, its time and the other questions about the video. Tricks that learn are
trained on other videos, or on other questions. The audit fails if a trick beats chance by more than ``ALLOWED`` and by
more than sampling error explains.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...evals.records import Sample
from .question_forms import COUNTS

ALLOWED = 0.03
"""The accepted margin above chance."""
_SURE = 2.7
"""Standard errors above chance that count as significant. With 15 tricks, 5 % of audits of good questions exceed it."""
FOLDS = 5
_BITS = 13
_ROUNDS = 60
_STEP = 2.0
_DECAY = 1e-3
_Floats: TypeAlias = NDArray[np.float64]
_Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AuditItem:
    """A question without its video."""

    question: str
    options: tuple[str, ...]
    gold: int
    """The number of the right option."""
    lettered: bool
    """Whether the options are lettered. The options of yes-or-no questions and of counts are not."""
    video: str
    """The video, or the pair of twins."""
    group: str
    kind: str
    asked_at_s: float
    number: int
    """The position among the questions about its video."""


Guesses = list[list[int]]
"""For each item, the options that a trick ranks best."""
By = Literal["video", "item"]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The accuracy of a trick."""

    trick: str
    accuracy: float
    chance: float
    items: int
    error: float
    """The standard error of the accuracy above chance, by video."""

    @property
    def margin(self) -> float:
        """The accuracy above chance."""
        return self.accuracy - self.chance

    @property
    def passed(self) -> bool:
        """Whether the questions resist the trick."""
        return self.margin <= ALLOWED or self.margin <= _SURE * self.error

    def __str__(self) -> str:
        return f"{self.trick}: {self.accuracy:.1%} where chance is {self.chance:.1%} (n = {self.items})"


def audit(samples: Iterable[Sample]) -> list[AuditResult]:
    """Try every trick on all questions with options, yes-or-no questions, and counts."""
    items = items_of(samples)
    return [measure(name, trick(items), items) for name, trick in TRICKS.items()]


def items_of(samples: Iterable[Sample]) -> list[AuditItem]:
    """The questions whose answer can be guessed."""
    numbers: Counter[str] = Counter()
    items = []
    for sample in samples:
        number = numbers[sample.video]
        numbers[sample.video] += 1
        options: tuple[str, ...] = sample.options
        if sample.kind == "yes_no":
            options = ("yes", "no")
        elif sample.kind == "number":
            options = tuple(map(str, COUNTS))
        elif sample.kind != "choice":
            continue
        gold = (
            ord(str(sample.gold)) - ord("A")
            if sample.kind == "choice"
            else options.index(_plain(sample.gold))
        )
        items.append(
            AuditItem(
                sample.question,
                options,
                gold,
                sample.kind == "choice",
                sample.cluster,
                sample.group or sample.id,
                sample.tags.get("type", sample.kind),
                sample.asked_at_s or 0.0,
                number,
            )
        )
    return items


def measure(name: str, guesses: Guesses, items: Sequence[AuditItem]) -> AuditResult:
    """Measure the guesses of a trick. A guess of several options counts as a random choice among them."""
    above: dict[str, list[float]] = defaultdict(list)
    right, chance = 0.0, 0.0
    for item, guess in zip(items, guesses, strict=True):
        won, fair = (item.gold in guess) / len(guess), 1 / len(item.options)
        above[item.video].append(won - fair)
        right, chance = right + won, chance + fair
    number = max(1, len(items))
    mean = (right - chance) / number
    spread = sum(sum(margin - mean for margin in margins) ** 2 for margins in above.values())
    return AuditResult(name, right / number, chance / number, len(items), math.sqrt(spread) / number)


def same_place(items: Sequence[AuditItem]) -> Guesses:
    """The position that was right most often in other videos."""

    def place(item: AuditItem) -> str:
        return f"{len(item.options)} {item.gold if item.lettered else item.options[item.gold]}"

    guesses: Guesses = [_any(item) for item in items]
    for train, test in _folds(items, "video"):
        counts = Counter(place(items[index]) for index in train)
        for index in test:
            item = items[index]
            names = [f"{len(item.options)} {n if item.lettered else o}" for n, o in enumerate(item.options)]
            guesses[index] = _best([counts[name] for name in names])
    return guesses


def longest(items: Sequence[AuditItem]) -> Guesses:
    """The longest option."""
    return [
        _best([len(option) for option in item.options]) if item.lettered else _any(item) for item in items
    ]


def shortest(items: Sequence[AuditItem]) -> Guesses:
    """The shortest option."""
    return [
        _best([-len(option) for option in item.options]) if item.lettered else _any(item) for item in items
    ]


def middling(items: Sequence[AuditItem]) -> Guesses:
    """The option of medium length. If the options are numbers, the middle one."""
    guesses = []
    for item in items:
        sizes = [float(_number(option) or len(option)) for option in item.options]
        guesses.append(_best([-abs(size - median(sizes)) for size in sizes]))
    return guesses


def recurring(items: Sequence[AuditItem]) -> Guesses:
    """The option that is most frequent in other questions about the video."""
    return [_best(counts) for counts in _recurrences(items)]


def unique(items: Sequence[AuditItem]) -> Guesses:
    """The option that is least frequent in other questions about the video."""
    return [_best([-count for count in counts]) for counts in _recurrences(items)]


def alike(items: Sequence[AuditItem]) -> Guesses:
    """The option with the largest share of words from the question."""
    return [_best([_shared(option, item.question) for option in item.options]) for item in items]


def unlike(items: Sequence[AuditItem]) -> Guesses:
    """The option with the smallest share of words from the question."""
    return [_best([-_shared(option, item.question) for option in item.options]) for item in items]


def central(items: Sequence[AuditItem]) -> Guesses:
    """The option that is most similar to the other options."""
    return [
        _best(
            [
                sum(_shared(option, compared) + _shared(compared, option) for compared in item.options)
                for option in item.options
            ]
        )
        for item in items
    ]


def prior(items: Sequence[AuditItem], by: By) -> Guesses:
    """The option that was right most often elsewhere, for questions of the same kind."""
    guesses: Guesses = [_any(item) for item in items]
    for train, test in _folds(items, by):
        counts = Counter((items[index].kind, items[index].options[items[index].gold]) for index in train)
        for index in test:
            guesses[index] = _best([counts[items[index].kind, option] for option in items[index].options])
    return guesses


def nearest(items: Sequence[AuditItem], by: By) -> Guesses:
    """The answer of the most similar question elsewhere, among those whose answer is an option."""
    guesses: Guesses = [_any(item) for item in items]
    vectors = _tfidf([f"{item.question} {' '.join(item.options)}" for item in items])
    for train, test in _folds(items, by):
        ranking = np.argsort(-(vectors[test] @ vectors[train].T), axis=1, kind="stable")
        golds = [items[index].options[items[index].gold] for index in train]
        for index, order in zip(test, ranking, strict=True):
            options = items[index].options
            predicted = next((golds[neighbour] for neighbour in order if golds[neighbour] in options), None)
            if predicted is not None:
                guesses[index] = [options.index(predicted)]
    return guesses


def learned(items: Sequence[AuditItem], by: By) -> Guesses:
    """The choice of a small classifier with features of words, positions, lengths, time and recurrence."""
    rows = _features(items)
    guesses: Guesses = [_any(item) for item in items]
    for train, test in _folds(items, by):
        weights = _logistic([rows[index] for index in train], [items[index].gold for index in train])
        for index in test:
            guesses[index] = _best([float(weights[ids] @ values) for ids, values in rows[index]])
    return guesses


TRICKS: dict[str, Callable[[Sequence[AuditItem]], Guesses]] = {
    "same place": same_place,
    "longest option": longest,
    "shortest option": shortest,
    "middling option": middling,
    "most recurring option": recurring,
    "least recurring option": unique,
    "option most like the question": alike,
    "option least like the question": unlike,
    "option most like the others": central,
    "majority of other videos": lambda items: prior(items, "video"),
    "majority of other questions": lambda items: prior(items, "item"),
    "nearest question of other videos": lambda items: nearest(items, "video"),
    "nearest of other questions": lambda items: nearest(items, "item"),
    "classifier on other videos": lambda items: learned(items, "video"),
    "classifier on other questions": lambda items: learned(items, "item"),
}


def coverage(
    samples: Iterable[Sample],
    *,
    frames: Sequence[int] = (32, 64, 256, 768),
    last_s: Sequence[float] = (4.0, 60.0, 300.0),
) -> dict[str, float]:
    """The share of questions whose whole evidence is in evenly spaced frames, or in the last seconds.

    Questions without evidence, and alerts, do not count.
    """
    proven = [
        (sample.asked_at_s, sample.evidence)
        for sample in samples
        if sample.evidence and sample.asked_at_s and sample.kind != "alerts"
    ]
    shares: dict[str, float] = {}
    for number in frames:
        hits = [all(_hit(span, now_s, number) for span in spans) for now_s, spans in proven]
        shares[f"uniform {number}"] = sum(hits) / max(1, len(hits))
    for seconds in last_s:
        hits = [all(end_s > now_s - seconds for _, end_s in spans) for now_s, spans in proven]
        shares[f"last {seconds:g} s"] = sum(hits) / max(1, len(hits))
    return shares


def _hit(span: tuple[float, float], now_s: float, frames: int) -> bool:
    """Whether one of ``frames`` evenly spaced frames up to ``now_s`` is in a span."""
    every_s = now_s / frames
    first = math.ceil(span[0] / every_s - 0.5)
    return (first + 0.5) * every_s < span[1]


def _plain(gold: object) -> str:
    return f"{gold:g}" if isinstance(gold, float) else str(gold)


def _number(option: str) -> float | None:
    match = re.search(r"\d+(?:\.\d+)?(?= seconds|$)", option)
    return float(match.group()) if match else None


def _any(item: AuditItem) -> list[int]:
    return list(range(len(item.options)))


def _best(scores: Sequence[float]) -> list[int]:
    best = max(scores)
    return [number for number, score in enumerate(scores) if score >= best - 1e-12]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _shared(option: str, text: str) -> float:
    option_words, text_words = _words(option), set(_words(text))
    return sum(word in text_words for word in option_words) / max(1, len(option_words))


def _recurrences(items: Sequence[AuditItem]) -> list[list[int]]:
    """For each option, the number of other questions about the video that have it."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        counts[item.video].update(item.options)
    return [[counts[item.video][option] - 1 for option in item.options] for item in items]


def _folds(items: Sequence[AuditItem], by: By) -> list[tuple[list[int], list[int]]]:
    """Training and test items of each fold. The questions of a group are all on one side."""
    names = [item.video if by == "video" else item.group for item in items]
    order = {name: number for number, name in enumerate(sorted(set(names), key=_mixed))}
    fold = [order[name] % FOLDS for name in names]
    everything = range(len(items))
    parts = [
        ([i for i in everything if fold[i] != f], [i for i in everything if fold[i] == f])
        for f in range(FOLDS)
    ]
    return [(train, test) for train, test in parts if train and test]


def _mixed(name: str) -> tuple[int, str]:
    """A sort key that is independent of the numbers in names."""
    return sum((place + 1) * ord(sign) * 2654435761 for place, sign in enumerate(name)) % 1_000_003, name


def _tfidf(texts: Sequence[str]) -> _Floats:
    """A TF-IDF row of unit length for each text, over words and pairs of words."""
    counted = [Counter(_grams(text)) for text in texts]
    spread = Counter(gram for counts in counted for gram in counts)
    place = {gram: number for number, gram in enumerate(spread)}
    rows = np.zeros((len(texts), len(place)))
    for row, counts in zip(rows, counted, strict=True):
        for gram, number in counts.items():
            row[place[gram]] = number * math.log(1 + len(texts) / spread[gram])
    lengths: _Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float64)


def _grams(text: str) -> list[str]:
    tokens = _words(text)
    return tokens + [f"{first} {second}" for first, second in pairwise(tokens)]


_Row: TypeAlias = list[tuple[_Ints, _Floats]]
"""For each option, the numbers and values of its features."""


def _features(items: Sequence[AuditItem]) -> list[_Row]:
    """The features of each option of each item."""
    names_of: list[list[list[str]]] = []
    for item, counts in zip(items, _recurrences(items), strict=True):
        sizes = sorted(len(option) for option in item.options)
        names_of.append([_named(item, place, counts[place], sizes) for place in range(len(item.options))])
    spread = Counter(name for options in names_of for names in options for name in set(names))
    return [[_row(names, spread, len(items)) for names in options] for options in names_of]


def _named(item: AuditItem, place: int, recurs: int, sizes: Sequence[int]) -> list[str]:
    option = item.options[place]
    question_words = [f"{word}|{option}" for word in _words(item.question)] if not item.lettered else []
    when = int(math.log2(1 + item.asked_at_s))
    return [
        *(f"w {word}" for word in _words(option)),
        f"o {option}",
        f"k {item.kind}|{option}",
        f"p {place}" if item.lettered else "p",
        f"s {sizes.index(len(option))}",
        f"r {min(recurs, 9)}",
        f"q {round(_shared(option, item.question), 1)}",
        f"t {when}|{place}",
        f"n {min(item.number // 5, 9)}|{place}",
        *question_words,
    ]


def _row(names: Sequence[str], spread: Counter[str], number: int) -> tuple[_Ints, _Floats]:
    # The numbers must be equal in every run. Python's own hash of a string is not.
    ids = np.array([_bucket(name) for name in names], dtype=np.int64)
    values = np.array([math.log(1 + number / spread[name]) for name in names])
    return ids, np.asarray(values / np.linalg.norm(values), dtype=np.float64)


def _bucket(name: str) -> int:
    number = 2166136261
    for sign in name.encode():
        number = ((number ^ sign) * 16777619) & 0xFFFFFFFF
    return (number ^ number >> 15) & ((1 << _BITS) - 1)


def _logistic(rows: Sequence[_Row], golds: Sequence[int]) -> _Floats:
    """Fit weights that give the right option of each item the highest score."""
    flat = [option for options in rows for option in options]
    ids = np.concatenate([option[0] for option in flat])
    values = np.concatenate([option[1] for option in flat])
    owner = np.repeat(np.arange(len(flat)), [len(option[0]) for option in flat])
    starts = np.cumsum([0, *(len(options) for options in rows[:-1])])
    of_item = np.repeat(np.arange(len(rows)), [len(options) for options in rows])
    right = np.zeros(len(flat))
    right[starts + np.array(golds)] = 1.0
    weights = np.zeros(1 << _BITS)
    slope = np.zeros_like(weights)
    for _ in range(_ROUNDS):
        scores = np.bincount(owner, weights[ids] * values, len(flat))
        scores = np.exp(scores - np.maximum.reduceat(scores, starts)[of_item])
        shares = scores / np.add.reduceat(scores, starts)[of_item]
        gradient = np.bincount(ids, (right - shares)[owner] * values, len(weights)) / len(rows)
        slope += (gradient - _DECAY * weights) ** 2
        weights += _STEP * (gradient - _DECAY * weights) / np.sqrt(slope + 1e-8) / 4
    return weights
