"""Text matching: how well the lines of a memory match the words of a question.

Full-text search finds moments that share a word. This module says which of their lines match, and how well. It
accepts stems, letters that OCR misread, beginnings of words (``init`` for "initialised") and words written together
(``username``). Rare words count more than common ones.
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
"""From this similarity (0–100) on, a long word counts as misread, not as another word."""
NAME_WEIGHT = 1.5
GENERIC_WEIGHT = 0.25
"""The weight of a word that describes the question more than the picture, such as "sign" or "text"."""
MISSING_BELOW = 0.5
"""A word that no line matches at least this well is missing."""
MAX_LINES = 6
KEPT_SHARE = 0.3
"""A line is kept if it matches at least this share of what the best line does."""
NEARLY_BEST_SHARE = 0.6
"""Lines with at least this share of the best line's match narrow the span."""
MIN_COMMON_S = 0.5
"""The shortest span to which two lines narrow each other."""


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A word of the question, with its weights."""

    word: str
    weight: float
    """Its weight in the share of the question that is matched."""
    rarity: float
    """Its weight in telling lines apart, 0.5 to 1. The more documents have it, the lower it is."""
    also: tuple[str, ...] = ()
    """Words that may replace it."""


def terms_of(words: Sequence[str], documents: Iterable[str], names: Collection[str] = ()) -> list[QueryTerm]:
    """Weigh the words of a question.

    Names count more and generic words less. Words that many of the ``documents`` have count less.
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
def word_fit(query_word: str, text_word: str) -> float:
    """How well a word of the text matches a word of the question, 0 to 1."""
    if query_word == text_word or stem(query_word) == stem(text_word):
        return 1.0
    shorter, longer = sorted((query_word, text_word), key=len)
    if 4 <= len(shorter) < len(longer) and longer.startswith(shorter):
        return 0.6
    if len(shorter) >= 5 and query_word[0] == text_word[0]:
        from rapidfuzz import fuzz  # noqa: PLC0415 - only near misses need it

        if fuzz.ratio(query_word, text_word) >= FUZZY_RATIO:
            return 0.7
    return 0.0


def term_fit(term: QueryTerm, text_words: Iterable[str]) -> float:
    """How well the best of these words matches a term, 0 to 1."""
    best = 0.0
    for word in text_words:
        best = max(best, word_fit(term.word, word))
        if best == 1.0:
            return best
        if any(word == synonym or stem(word) == stem(synonym) for synonym in term.also):
            best = max(best, 0.8)
    return best


@dataclass(frozen=True, slots=True)
class TextFit:
    """How well the lines of a moment match a question."""

    coverage: float
    """The weighted share of the question's words that the lines have, 0 to 1."""
    together: float
    """The weighted share of them that a single line has, 0 to 1."""
    focus: float
    """How much of the matching lines is about the question, 0 to 1."""
    lines: tuple[Finding, ...]
    """The lines that match, best first."""
    span: Span | None
    """When the best of them were visible or audible."""
    missing: tuple[str, ...]
    """Words of the question that no line has."""


@dataclass(frozen=True, slots=True)
class _LineFit:
    """How well one line matches."""

    line: Finding
    word_fits: Mapping[str, float]
    """For each word of the question, 0 to 1."""
    share: float
    """The weighted share of the question's words that the line has, 0 to 1."""
    gain: float
    """The same, with rare words counting more, and not divided by the total weight."""
    focus: float
    """How much of the line is about the question, 0 to 1."""


def fit_lines(terms: Sequence[QueryTerm], lines: Sequence[Finding]) -> TextFit:
    """Match a question's terms with the lines of one moment."""
    total_weight = sum(term.weight for term in terms)
    fits = [_fit_line(terms, line, total_weight) for line in lines] if total_weight else []
    fits = [fit for fit in fits if fit.gain > 0]
    if not fits:
        return TextFit(0.0, 0.0, 0.0, (), None, tuple(dict.fromkeys(term.word for term in terms)))
    best_fits = _best_word_fits(terms, fits)
    kept = _best_lines(fits)
    return TextFit(
        coverage=sum(best_fits[term.word] * term.weight for term in terms) / total_weight,
        together=max(fit.share for fit in fits),
        focus=sum(fit.focus for fit in kept) / len(kept),
        lines=tuple(fit.line for fit in kept),
        span=_common_span(kept),
        missing=tuple(term.word for term in terms if best_fits[term.word] < MISSING_BELOW),
    )


def _best_word_fits(terms: Sequence[QueryTerm], fits: Sequence[_LineFit]) -> dict[str, float]:
    """For each word of the question, how well the best line matches it."""
    return {term.word: max(fit.word_fits[term.word] for fit in fits) for term in terms}


def _best_lines(fits: Sequence[_LineFit]) -> list[_LineFit]:
    """The lines that match about as well as the best one, best first."""
    ranked = sorted(fits, key=lambda fit: (fit.gain, fit.focus), reverse=True)
    return [fit for fit in ranked if fit.gain >= KEPT_SHARE * ranked[0].gain][:MAX_LINES]


def _fit_line(terms: Sequence[QueryTerm], line: Finding, total_weight: float) -> _LineFit:
    text_words = words_of(line.text)
    word_fits = {term.word: term_fit(term, text_words) for term in terms}
    gain = sum(word_fits[term.word] * term.weight * term.rarity for term in terms)
    share = sum(word_fits[term.word] * term.weight for term in terms) / total_weight
    focus = gain / (gain + 0.15 * total_weight * math.log2(2 + len(text_words))) if gain > 0 else 0.0
    return _LineFit(line, word_fits, share, gain, focus)


def _common_span(kept: Sequence[_LineFit]) -> Span:
    """When the best lines were visible together, or else when the best line was."""
    span = kept[0].line.span
    for fit in kept[1:]:
        common = span.clipped_to(fit.line.span) if fit.gain >= NEARLY_BEST_SHARE * kept[0].gain else None
        if common is not None and common.duration_s >= MIN_COMMON_S:
            span = common
    return span


def fits_verbatim(phrase: str, text: str) -> bool:
    """Whether ``text`` has ``phrase``, apart from case, spacing and one misread letter in ten."""
    from rapidfuzz import fuzz  # noqa: PLC0415 - only quotations need it

    wanted_letters, letters = "".join(phrase.lower().split()), "".join(text.lower().split())
    if not wanted_letters:
        return False
    if len(wanted_letters) < 5:
        return wanted_letters in letters
    is_long_enough = len(letters) >= len(wanted_letters) * 0.8
    return is_long_enough and fuzz.partial_ratio(wanted_letters, letters) >= 90


def choose_option(options: Sequence[str], weights: Mapping[str, float]) -> tuple[int, float] | None:
    """Choose the option that the evidence supports.

    ``weights`` maps evidence texts to their weights. Returns the option's index and its lead over the next best
    (0 to 1), or None if the evidence prefers none.
    """
    option_stems = [set(map(stem, words_of(option))) for option in options]
    shared = set.intersection(*option_stems) if option_stems else set()
    scores = [_support(stems - shared or stems, weights) for stems in option_stems]
    order = sorted(range(len(options)), key=lambda index: -scores[index])
    if not order or scores[order[0]] <= 0.3:
        return None
    lead = scores[order[0]] - scores[order[1]]
    return (order[0], min(1.0, lead)) if lead > 0.05 else None


def _support(stems: set[str], weights: Mapping[str, float]) -> float:
    """The largest weighted share of an option's stems that one evidence text has."""
    shares = (
        weight * len(stems & set(map(stem, words_of(text)))) / max(1, len(stems))
        for text, weight in weights.items()
    )
    return max(shares, default=0.0)
