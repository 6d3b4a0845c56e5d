"""What an answer is worth: from nothing, 0, to all, 1, by what kind of answer it is.

    parsed("choice", "B", options=4)                 # "B"; None for "The answer is B."
    score(sample, prediction)                        # 1.0

This is the strict score: an answer is read as it was agreed, and what cannot be read, failed or was not given is
worth nothing, so that every question counts for every system. A benchmark's own parser and score are its suite's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import combinations
from string import ascii_uppercase
from typing import cast

from ..memory.values import Span
from .records import Kind, Prediction, Sample, Value

IOU = 0.5
"""A stretch of time is right where it shares at least that part of what it and the true one cover together."""
ALERT_S = 10.0
"""So long after it could be told somebody is told in time."""


def parsed(kind: Kind, said: str, *, options: int = 0) -> Value | None:
    """A reply as an answer of this kind; None where it is not in the form that was agreed."""
    said = said.strip()
    match kind:
        case "choice":
            return said if said in ascii_uppercase[:options] and len(said) == 1 else None
        case "yes_no":
            return said.lower() if said.lower() in ("yes", "no") else None
        case "number":
            return float(said) if re.fullmatch(r"-?\d+(\.\d+)?", said) else None
        case "text":
            return said or None
        case "order" | "checklist":
            return tuple(part.strip() for part in said.split(";") if part.strip()) or None
        case "span":
            spans = re.findall(r"(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)", said)
            return tuple((float(start_s), float(end_s)) for start_s, end_s in spans) or None
        case "alerts":
            return tuple(map(float, re.findall(r"\d+(?:\.\d+)?", said)))


def reply(prediction: Prediction) -> str:
    """An answer as a model gives it that does as it is told; empty where there is none."""
    match prediction.answer:
        case None:
            return ""
        case "yes" | "no" as word:
            return word.capitalize()
        case float(number):
            return f"{number:g}"
        case str(words):
            return words
        case _:
            return prediction.said


def score(sample: Sample, prediction: Prediction) -> float:
    """What a prediction is worth, 0 to 1; 0 where there is no answer. Raises ``ValueError`` where no answer is known."""
    if sample.gold is None:
        raise ValueError(f"the answer of {sample.id} is not known: it is scored by who made the benchmark")
    if prediction.answer is None:
        return 0.0
    return _OF_KIND[sample.kind](sample, prediction.answer)


def evidence_recall(sample: Sample, spans: Sequence[tuple[float, float]]) -> float | None:
    """The share of the stretches that prove the answer that some of these touch; None where they are not known."""
    if not sample.evidence:
        return None
    mine = [Span(start_s, end_s) for start_s, end_s in spans]
    return sum(any(span.overlaps(one) for one in mine) for span in sample.spans) / len(sample.spans)


def _same(sample: Sample, answer: Value) -> float:
    return float(answer == sample.gold)


def _words(sample: Sample, answer: Value) -> float:
    right = {_plain(str(sample.gold)), *map(_plain, sample.accepted)}
    return float(_plain(str(answer)) in right)


def _plain(text: str) -> str:
    """Without case, accents, articles and signs."""
    text = "".join(
        sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign)
    )
    words = re.findall(r"\w+", text)
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def _order(sample: Sample, answer: Value) -> float:
    """Kendall's tau-b of two orders of the same things, from 0 for the reverse to 1; 0 for other things."""
    gold, mine = cast(tuple[str, ...], sample.gold), answer
    if not isinstance(mine, tuple) or sorted(map(str, mine)) != sorted(gold) or len(gold) < 2:
        return float(mine == gold)
    place = {thing: at for at, thing in enumerate(cast(tuple[str, ...], mine))}
    pairs = list(combinations(gold, 2))
    return sum(place[one] < place[other] for one, other in pairs) / len(pairs)


def _span(sample: Sample, answer: Value) -> float:
    """Whether the first stretch is one of the true ones."""
    gold = cast(tuple[tuple[float, float], ...], sample.gold)
    if not isinstance(answer, tuple) or not answer or not isinstance(answer[0], tuple):
        return 0.0
    start_s, end_s = answer[0]
    return float(any(iou((start_s, end_s), one) >= IOU for one in gold))


def iou(one: tuple[float, float], other: tuple[float, float]) -> float:
    """What two stretches of time share, of what they cover together."""
    shared_s = min(one[1], other[1]) - max(one[0], other[0])
    together_s = max(one[1], other[1]) - min(one[0], other[0])
    return max(0.0, shared_s) / together_s if together_s > 0 else float(one == other)


def _alerts(sample: Sample, answer: Value) -> float:
    """The harmonic mean of how many alerts were right and how many were given, each gold one once."""
    gold = [float(at_s) for at_s in cast(tuple[float, ...], sample.gold)]
    mine = sorted(float(at_s) for at_s in cast(tuple[float, ...], answer))
    if not gold or not mine:
        return float(not gold and not mine)
    left, hits = sorted(gold), 0
    for at_s in mine:
        hit = next((true_s for true_s in left if 0.0 <= at_s - true_s <= ALERT_S), None)
        if hit is not None:
            left.remove(hit)
            hits += 1
    return _harmonic(hits / len(mine), hits / len(gold))


def _checklist(sample: Sample, answer: Value) -> float:
    gold = {_plain(str(fact)) for fact in cast(tuple[str, ...], sample.gold)}
    mine = {_plain(str(fact)) for fact in cast(tuple[str, ...], answer)}
    if not gold or not mine:
        return float(gold == mine)
    hits = len(gold & mine)
    return _harmonic(hits / len(mine), hits / len(gold))


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


_OF_KIND = {
    "choice": _same,
    "yes_no": _same,
    "number": _same,
    "text": _words,
    "order": _order,
    "span": _span,
    "alerts": _alerts,
    "checklist": _checklist,
}
