"""Description priority: the importance of a moment's findings."""

from __future__ import annotations

from recollect.memory.values import Field, Finding, Span
from recollect.perception.describing.description_priority import description_priority


def make_finding(field: Field, kind: str) -> Finding:
    return Finding(field, kind, kind, Span(0.0, 1.0), "test/1")


def test_a_moment_without_actions_has_priority_zero():
    assert description_priority([]) == 0.0
    assert (
        description_priority([make_finding("attribute", "colour"), make_finding("attribute", "empty")]) == 0.0
    )


def test_importance_falls_from_arrival_to_movement_to_light():
    arrival, movement, flash = (make_finding("action", kind) for kind in ("enters", "moves", "flash"))

    assert (
        description_priority([arrival]) > description_priority([movement]) > description_priority([flash]) > 0
    )


def test_importance_adds_up_and_never_exceeds_one():
    arrival, line = make_finding("action", "enters"), make_finding("visible_text", "line")

    assert description_priority([arrival, line]) > description_priority([arrival])
    assert description_priority([arrival] * 50) <= 1.0
