"""Attribute matching: how far a finding has the colours and the side of the picture that a question names."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.kind_registry import kind_of
from ..memory.query.word_stems import words_of
from ..memory.values import Finding
from .question_parser import ParsedQuestion

OTHER_COLOUR = 0.7
"""The factor for a finding that has none of the named colours."""
SECOND_COLOUR = 0.95
"""The factor for a finding that has a named colour, but more of another one."""
OTHER_SIDE = 0.6
"""The factor for a finding on another side of the picture."""
NOT_TALL = 0.85
"""The factor for a shape that is wider than tall, if the question is about people."""


def match_attributes(parsed: ParsedQuestion, finding: Finding, figures: Sequence[Finding]) -> float:
    """How far a finding has the colours, the side and the shape that the question names, up to 1.

    ``figures`` are the shapes that were present during the finding.
    """
    factor = 1.0
    if colours := colours_for_kind(parsed, finding.kind):
        factor *= match_colours(colours, finding)
    if parsed.worn_colours and figures:
        factor *= max(match_colours(parsed.worn_colours, figure) for figure in figures)
    if parsed.sides and not on_a_side(parsed.sides, finding):
        factor *= OTHER_SIDE
    if parsed.mentions_people and kind_of(finding.kind).has("moving_shape"):
        # People are taller than wide. The observers report nothing more about them.
        factor *= 1.0 if finding.detail.get("shape") == "tall" else NOT_TALL
    return factor


def colours_for_kind(parsed: ParsedQuestion, kind: str) -> tuple[str, ...]:
    """The colours that a question gives to findings of a kind: the clothes of a moving shape, or else the object's."""
    if kind_of(kind).has("moving_shape"):
        return parsed.worn_colours or parsed.colours
    return parsed.object_colours


def on_a_side(sides: Sequence[str], finding: Finding) -> bool:
    """Whether a finding is on one of these sides of the picture."""
    facts = " ".join(map(str, finding.detail.values())).lower() + " " + finding.text.lower()
    return any({"centre": "middle", "center": "middle"}.get(side, side) in facts for side in sides)


def match_colours(colours: Sequence[str], finding: Finding) -> float:
    """How far a finding has one of these colours: 1 if it is the finding's main colour."""
    if finding.detail.get("colour") in colours:
        return 1.0
    facts = {*words_of(finding.text), *map(str, finding.detail.values())}
    return SECOND_COLOUR if facts.intersection(colours) else OTHER_COLOUR
