"""How much happened in a moment."""

from __future__ import annotations

from recollect.memory.values import Field, Finding, Span
from recollect.perception.describing.description_priority import description_priority


def found(field: Field, kind: str) -> Finding:
    return Finding(field, kind, kind, Span(0.0, 1.0), "test/1")


def test_where_nothing_happens_nothing_changes():
    assert description_priority([]) == 0.0
    assert description_priority([found("attribute", "colour"), found("attribute", "empty")]) == 0.0


def test_importance_falls_from_arrival_to_movement_to_light():
    arrival, movement, flash = (found("action", kind) for kind in ("enters", "moves", "flash"))

    assert (
        description_priority([arrival]) > description_priority([movement]) > description_priority([flash]) > 0
    )


def test_much_that_happens_adds_up_and_never_passes_one():
    arrival, line = found("action", "enters"), found("visible_text", "line")

    assert description_priority([arrival, line]) > description_priority([arrival])
    assert description_priority([arrival] * 50) <= 1.0
