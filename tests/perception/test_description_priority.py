"""How much happened in a moment."""

from __future__ import annotations

from recollect.memory.values import Field, Finding, Span
from recollect.perception.describing.description_priority import change_of


def found(field: Field, kind: str) -> Finding:
    return Finding(field, kind, kind, Span(0.0, 1.0), "test/1")


def test_where_nothing_happens_nothing_changes():
    assert change_of([]) == 0.0
    assert change_of([found("attribute", "colour"), found("attribute", "empty")]) == 0.0


def test_an_arrival_counts_for_more_than_a_movement_and_a_movement_for_more_than_a_light():
    arrival, movement, flash = (found("action", kind) for kind in ("enters", "moves", "flash"))

    assert change_of([arrival]) > change_of([movement]) > change_of([flash]) > 0


def test_much_that_happens_adds_up_and_never_passes_one():
    arrival, line = found("action", "enters"), found("visible_text", "line")

    assert change_of([arrival, line]) > change_of([arrival])
    assert change_of([arrival] * 50) <= 1.0
