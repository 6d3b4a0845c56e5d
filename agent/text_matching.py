"""How well remembered text fits the words of a question.

Full-text search brings moments that share a word; this says which of their lines fit, and how
well: stems, near misses of the OCR, beginnings of words (``init`` for "initialised") and words
written together (``username``) count, rare words more than common ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..memory.query.word_stems import stem, words_of
from ..memory.values import Finding, Span
from .lexicon import GENERIC_WORDS, RELATED_TEXT

FUZZY_RATIO = 86.0
"""From which similarity (0–100) a long word counts as misread rather than different."""


NAME_WEIGHT = 1.5
GENERIC_WEIGHT = 0.25
"""What a word counts that describes the question more than the picture, such as "sign" or "text"."""


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A word of the question, with what it counts."""

    word: str
    weight: float
    """What it counts in how much of a question is held."""
    rarity: float
    """What it counts in telling lines apart, 0.5 to 1: less, the more places hold it."""
    also: tuple[str, ...] = ()
    """Words that count as it does."""


def terms_of(words: Sequence[str], documents: Iterable[str], names: Collection[str] = ()) -> list[QueryTerm]:
    """Weigh the words of a question.

    A name counts more, a word that says little less; and what many of the ``documents`` hold
    tells little apart.
    """
    tokens = [frozenset(stem(word) for word in words_of(document)) for document in documents]
    terms = []
    for index, word in enumerate(words):
        also = RELATED_TEXT.get(word, ()) + RELATED_TEXT.get(stem(word), ())
        if index + 1 < len(words):
            also += (word + words[index + 1],)
        if index:
            also += (words[index - 1] + word,)
        stems = {stem(word), *map(stem, also)}
        holding = sum(1 for document in tokens if stems & document) / max(1, len(tokens))
        weight = NAME_WEIGHT if word in names else GENERIC_WEIGHT if word in GENERIC_WORDS else 1.0
        terms.append(QueryTerm(word, weight, 1.0 - 0.5 * holding, also))
    return terms


@lru_cache(maxsize=200_000)
def word_fit(asked: str, found: str) -> float:
    """How well a found word stands for an asked one, 0 to 1."""
    if asked == found or stem(asked) == stem(found):
        return 1.0
    if len(found) >= 4 and len(asked) > len(found) and asked.startswith(found):
        return 0.6
    if len(asked) >= 4 and len(found) > len(asked) and found.startswith(asked):
        return 0.6
    if min(len(asked), len(found)) >= 5 and asked[0] == found[0]:
        from rapidfuzz import fuzz  # noqa: PLC0415 - only near misses need it

        if fuzz.ratio(asked, found) >= FUZZY_RATIO:
            return 0.7
    return 0.0


def term_fit(term: QueryTerm, found: Iterable[str]) -> float:
    """How well the best of the ``found`` words stands for a term, 0 to 1."""
    best = 0.0
    for word in found:
        best = max(best, word_fit(term.word, word))
        if best == 1.0:
            return best
        for other in term.also:
            if word == other or stem(word) == stem(other):
                best = max(best, 0.8)
    return best


@dataclass(frozen=True, slots=True)
class TextFit:
    """How a moment's lines fit a question."""

    coverage: float
    """The weighted part of the question's words that the lines hold, 0 to 1."""
    together: float
    """The weighted part of them that a single line holds, 0 to 1."""
    focus: float
    """How much of what the fitting lines say is about the question, 0 to 1."""
    lines: tuple[Finding, ...]
    """The lines that fit, best first."""
    span: Span | None
    """When the best of them were to be seen or heard."""
    missing: tuple[str, ...]
    """Words of the question that no line holds."""


def fit_lines(terms: Sequence[QueryTerm], lines: Sequence[Finding]) -> TextFit:
    """Fit a question's terms to the text findings of one moment."""
    total = sum(term.weight for term in terms)
    if not total or not lines:
        return TextFit(0.0, 0.0, 0.0, (), None, tuple(term.word for term in terms))
    best: dict[str, float] = {term.word: 0.0 for term in terms}
    together = 0.0
    scored: list[tuple[float, float, int, Finding]] = []
    for position, line in enumerate(lines):
        found = words_of(line.text)
        fits = {term.word: term_fit(term, found) for term in terms}
        gain = sum(fits[term.word] * term.weight * term.rarity for term in terms)
        if gain <= 0:
            continue
        for word, fit in fits.items():
            best[word] = max(best[word], fit)
        together = max(together, sum(fits[term.word] * term.weight for term in terms) / total)
        scored.append((gain, gain / (gain + 0.15 * total * math.log2(2 + len(found))), -position, line))
    coverage = sum(best[term.word] * term.weight for term in terms) / total
    if not scored:
        return TextFit(0.0, 0.0, 0.0, (), None, tuple(best))
    scored.sort(key=lambda item: item[:3], reverse=True)
    top = scored[0][0]
    kept = [item for item in scored if item[0] >= 0.3 * top][:6]
    # The stretch in which the best lines are there together; else that of the best line alone.
    span = kept[0][3].span
    for _, _, _, line in (item for item in kept[1:] if item[0] >= 0.6 * top):
        common = span.clipped_to(line.span)
        if common is not None and common.duration_s >= 0.5:
            span = common
    focus = sum(item[1] for item in kept) / len(kept)
    missing = tuple(term.word for term in terms if best[term.word] < 0.5)
    return TextFit(coverage, together, focus, tuple(item[3] for item in kept), span, missing)


def fits_verbatim(phrase: str, text: str) -> bool:
    """Whether ``phrase`` stands in ``text``, forgiving case, spacing and a misread letter in ten."""
    from rapidfuzz import fuzz  # noqa: PLC0415 - only quotations need it

    wanted, there = "".join(phrase.lower().split()), "".join(text.lower().split())
    if not wanted:
        return False
    if len(wanted) < 5:
        return wanted in there
    return len(there) >= len(wanted) * 0.8 and fuzz.partial_ratio(wanted, there) >= 90


def choose_option(options: Sequence[str], weights: Mapping[str, float]) -> tuple[int, float] | None:
    """Choose the option that the evidence speaks for.

    ``weights`` maps evidence texts to how much each counts. Returns the option's index and its lead
    over the next best (0 to 1), or None where the evidence prefers none.
    """
    scores = []
    all_words = [set(map(stem, words_of(option))) for option in options]
    for words in all_words:
        shared = [word for word in words if sum(word in other for other in all_words) == len(options)]
        own = words - set(shared) or words
        score = 0.0
        for text, weight in weights.items():
            found = set(map(stem, words_of(text)))
            score = max(score, weight * len(own & found) / max(1, len(own)))
        scores.append(score)
    order = sorted(range(len(options)), key=lambda index: -scores[index])
    if not order or scores[order[0]] <= 0.3:
        return None
    lead = scores[order[0]] - scores[order[1]]
    return (order[0], min(1.0, lead)) if lead > 0.05 else None
