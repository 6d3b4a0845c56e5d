"""Multiple choice: which option of a question the evidence supports.

    choice = choose(["the man in the red coat", "the man in the blue coat"], parsed, ranked, sufficiency)
    choice.index, choice.support.text    # 1, "something yellow is taken away from the middle"

Options are told apart by their words. If they differ in the colours of clothes or things, the observed colours
decide. If the question asks for an order, the times at which the options were read or heard decide. If the evidence
prefers no option, none is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..common.kind_registry import kind_of, names_with
from ..memory.query.word_stems import words_of
from ..memory.values import Finding, Moment
from .attribute_matching import OTHER_COLOUR, colours_for_kind, match_colours
from .candidate_ranking import Candidate
from .candidates import by_words
from .lexicon import STOP_WORDS
from .question_parser import ParsedQuestion, whose_colours
from .text_matching import choose_option, fit_lines, terms_of

MAX_CANDIDATES = 8
"""The number of candidates that are compared with the options."""
RANK_FACTOR = 0.9
"""The weight of a candidate, as a share of the weight of the one before it."""
SAME_RANK = 0.97
"""Candidates within this share of the best score may be meant as well."""
ORDERED_FROM = 0.75
"""An option counts as found where at least this share of its words was."""


@dataclass(frozen=True, slots=True)
class OptionChoice:
    """An option, and what supports it."""

    index: int
    confidence: float
    support: Candidate


def choose(
    options: Sequence[str], parsed: ParsedQuestion, ranked: Sequence[Candidate], sufficiency: float
) -> OptionChoice | None:
    """The option that the candidates support, or None. The candidates come best first."""
    if not ranked:
        return None
    colours = [whose_colours(option) for option in options]
    worn_colours = [worn for worn, _ in colours]
    object_colours = [of_object for _, of_object in colours]
    is_meant = _is_asked_about(parsed, ranked[0])
    if sum(map(bool, worn_colours)) > 1:
        # "The man in the blue coat" shares a word with everything blue, but means one person.
        return _by_colour(worn_colours, ranked, of_people=True) if is_meant else None
    if sum(map(bool, object_colours)) > 1 and is_meant and not _only_moving_shapes(parsed):
        return _by_colour(object_colours, ranked, of_people=False)
    return _by_text(options, ranked[:MAX_CANDIDATES], sufficiency)


def choose_in_order(
    options: Sequence[str], parsed: ParsedQuestion, moments: Sequence[Moment]
) -> tuple[OptionChoice, list[Candidate]] | None:
    """Which of the options was read or heard first, second or last, and when the others were.

    None if the question asks for no order, or if an option was not found, because it could have come at any time.
    """
    if parsed.pick not in ("nth", "last"):
        return None
    first_times: list[tuple[float, int, Candidate]] = []
    for index, option in enumerate(options):
        first = _first_occurrence(option, parsed, moments)
        if first is None:
            return None
        first_times.append((first.span.start_s, index, first))
    if len({candidate.stream for _, _, candidate in first_times}) > 1:
        return None
    first_times.sort(key=lambda item: item[:2])
    position = len(first_times) - 1 if parsed.pick == "last" else parsed.nth - 1
    if position >= len(first_times):
        return None
    _, index, support = first_times.pop(position)
    return OptionChoice(index, 0.8, support), [candidate for _, _, candidate in first_times]


def _first_occurrence(option: str, parsed: ParsedQuestion, moments: Sequence[Moment]) -> Candidate | None:
    """Where an option was first read or heard."""
    content_words = tuple(word for word in words_of(option) if word not in STOP_WORDS)
    option_query = replace(
        parsed, content_words=content_words, names=(), quoted=(), pick="all", wants_text=True
    )
    matching = (c for c in by_words(option_query, moments, {}) if c.coverage >= ORDERED_FROM)
    return min(matching, key=lambda candidate: candidate.span, default=None)


def _by_text(
    options: Sequence[str], candidates: Sequence[Candidate], sufficiency: float
) -> OptionChoice | None:
    """The option whose words the candidates have."""
    weights: dict[str, float] = {}
    for rank, candidate in enumerate(candidates):
        weight = candidate.score * RANK_FACTOR**rank
        weights[candidate.text] = max(weights.get(candidate.text, 0.0), weight)
    chosen = choose_option(options, weights)
    if chosen is None:
        return None
    index, lead = chosen
    terms = terms_of(words_of(options[index]), ())
    support = max(candidates, key=lambda c: fit_lines(terms, c.findings).coverage)
    return OptionChoice(index, min(0.9, 0.3 + 0.4 * lead + 0.2 * sufficiency), support)


def _by_colour(
    option_colours: Sequence[tuple[str, ...]], ranked: Sequence[Candidate], *, of_people: bool
) -> OptionChoice | None:
    """The option that has the colour of the person or thing. None if two options have it."""
    fits = [0.0] * len(option_colours)
    for candidate in ranked:
        if candidate.score < SAME_RANK * ranked[0].score:
            break
        observed = _observed(candidate, of_people=of_people)
        for index, colours in enumerate(option_colours):
            if colours:
                fits[index] = max([fits[index], *(match_colours(colours, finding) for finding in observed)])
    index = max(range(len(option_colours)), key=fits.__getitem__)
    if fits[index] <= OTHER_COLOUR or fits.count(fits[index]) > 1:
        return None
    return OptionChoice(index, 0.6 * ranked[0].score, ranked[0])


def _only_moving_shapes(parsed: ParsedQuestion) -> bool:
    """Whether the question asks for nothing but what shapes do, or for no kind at all."""
    return names_with("moving_shape").issuperset(parsed.kinds)


def _is_asked_about(parsed: ParsedQuestion, candidate: Candidate) -> bool:
    """Whether a candidate has a kind and the colours that the question names."""
    if not candidate.findings or candidate.findings[0].kind not in parsed.kinds:
        return False
    kind = candidate.findings[0].kind
    if not _has_any(colours_for_kind(parsed, kind), candidate.findings[:1]):
        return False
    return kind_of(kind).has("moving_shape") or _has_any(parsed.worn_colours, candidate.figures)


def _has_any(colours: Sequence[str], findings: Sequence[Finding]) -> bool:
    """Whether one of the findings has one of the colours. True if no colour is named."""
    return not colours or any(match_colours(colours, finding) > OTHER_COLOUR for finding in findings)


def _observed(candidate: Candidate, *, of_people: bool) -> tuple[Finding, ...]:
    """The shapes that were present, or the thing that was taken or put down."""
    is_shape = bool(candidate.findings) and kind_of(candidate.findings[0].kind).has("moving_shape")
    return candidate.figures if of_people and not is_shape else candidate.findings[:1]
