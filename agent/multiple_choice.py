"""Which of a question's options the evidence speaks for.

    chosen = choose(["the man in the red coat", "the man in the blue coat"], parsed, ranked, sufficiency)
    chosen.index, chosen.support.text    # 1, "something yellow is taken away from the middle"

Options are told apart by their words; where what people wear is all that tells them apart, by the colour of whoever
was there; and where order is asked for, by what was read or heard first. Nothing is guessed: where the evidence
prefers none, none is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..common.kind_registry import kind_of, names_with
from ..memory.query.word_stems import words_of
from ..memory.values import Finding, Moment
from .candidates import OTHER_COLOUR, Candidate, asked_colours, by_words, colour_fit
from .lexicon import STOP_WORDS
from .question_parser import ParsedQuestion, whose_colours
from .text_matching import choose_option, fit_lines, terms_of

MAX_WEIGHED = 8
"""So many candidates speak for options."""
AS_GOOD = 0.97
"""Candidates within this share of the best may be what is meant as well."""
ORDERED_FROM = 0.75
"""An option was found where this part of its words was."""


@dataclass(frozen=True, slots=True)
class OptionChoice:
    """An option, with what speaks for it."""

    index: int
    confidence: float
    support: Candidate


def choose(
    options: Sequence[str], parsed: ParsedQuestion, ranked: Sequence[Candidate], sufficiency: float
) -> OptionChoice | None:
    """The option that the candidates speak for, best candidates first; None where they prefer none."""
    if not ranked:
        return None
    worn = [whose_colours(option)[0] for option in options]
    is_meant = _is_asked_about(parsed, ranked[0])
    if sum(map(bool, worn)) > 1:
        # "The man in the blue coat" shares a word with all that is blue, and means one who is.
        return _by_colour(worn, ranked, of_people=True) if is_meant else None
    held = [whose_colours(option)[1] for option in options]
    if sum(map(bool, held)) > 1 and is_meant and not names_with("moving_shape").issuperset(parsed.kinds):
        return _by_colour(held, ranked, of_people=False)
    weights: dict[str, float] = {}
    for rank, candidate in enumerate(ranked[:MAX_WEIGHED]):
        weights[candidate.text] = max(weights.get(candidate.text, 0.0), candidate.score * 0.9**rank)
    chosen = choose_option(options, weights)
    if chosen is None:
        return None
    index, lead = chosen
    terms = terms_of(words_of(options[index]), ())
    support = max(ranked[:MAX_WEIGHED], key=lambda c: fit_lines(terms, c.findings).coverage)
    return OptionChoice(index, min(0.9, 0.3 + 0.4 * lead + 0.2 * sufficiency), support)


def choose_in_order(
    options: Sequence[str], parsed: ParsedQuestion, moments: Sequence[Moment]
) -> tuple[OptionChoice, list[Candidate]] | None:
    """Which of the options was read or heard first, second, last, and when the others were.

    None where order is not asked for. Every option must have been found: one that was not could have come at any time.
    """
    if parsed.pick not in ("nth", "last"):
        return None
    found: list[tuple[float, int, Candidate]] = []
    for index, option in enumerate(options):
        words = tuple(word for word in words_of(option) if word not in STOP_WORDS)
        asked = replace(parsed, content_words=words, names=(), quoted=(), pick="all", wants_text=True)
        fitting = [c for c in by_words(asked, moments, {}) if c.coverage >= ORDERED_FROM]
        if fitting:
            first = min(fitting, key=lambda candidate: candidate.span)
            found.append((first.span.start_s, index, first))
    if len(found) < len(options) or len({candidate.stream for _, _, candidate in found}) > 1:
        return None
    found.sort(key=lambda item: item[:2])
    place = len(found) - 1 if parsed.pick == "last" else parsed.nth - 1
    if place >= len(found):
        return None
    _, index, best = found.pop(place)
    return OptionChoice(index, 0.8, best), [candidate for _, _, candidate in found]


def _by_colour(
    wanted: Sequence[tuple[str, ...]], ranked: Sequence[Candidate], *, of_people: bool
) -> OptionChoice | None:
    """Which of the options has the colour of who was there, or of what was taken or put down.

    Where two have it, nothing is told.
    """
    fits = [0.0] * len(wanted)
    for candidate in ranked:
        if candidate.score < AS_GOOD * ranked[0].score:
            break
        seen = _seen_in(candidate, of_people=of_people)
        for index, colours in enumerate(wanted):
            if colours:
                fits[index] = max([fits[index], *(colour_fit(colours, one) for one in seen)])
    index = max(range(len(wanted)), key=fits.__getitem__)
    if fits[index] <= OTHER_COLOUR or fits.count(fits[index]) > 1:
        return None
    return OptionChoice(index, 0.6 * ranked[0].score, ranked[0])


def _is_asked_about(parsed: ParsedQuestion, candidate: Candidate) -> bool:
    """Whether it is of a kind that the question names, and has the colours that it names."""
    if not candidate.findings or candidate.findings[0].kind not in parsed.kinds:
        return False
    kind = candidate.findings[0].kind
    asked = [(asked_colours(parsed, kind), candidate.findings[:1])]
    if not kind_of(kind).has("moving_shape"):
        asked.append((parsed.worn_colours, candidate.figures))
    return all(
        any(colour_fit(colours, one) > OTHER_COLOUR for one in seen) for colours, seen in asked if colours
    )


def _seen_in(candidate: Candidate, *, of_people: bool) -> tuple[Finding, ...]:
    """Who was there, or what was taken or put down."""
    is_figure = bool(candidate.findings) and kind_of(candidate.findings[0].kind).has("moving_shape")
    if of_people and not is_figure:
        return candidate.figures
    return candidate.findings[:1]
