"""Similarity of two memories: colours, rates of findings, and lines."""

from __future__ import annotations

from typing import Any

import pytest

from recollect.memory import Finding, Moment, Observation, Span, moment_id
from recollect.memory.ladder.similarity import similarity


def finding(field: Any, kind: str, text: str = "", **detail: float) -> Finding:
    return Finding(field, kind, text or kind, Span(0.0, 1.0), "ladder/1", detail=detail)


def event(*findings: Finding, duration_s: float = 300.0) -> Moment:
    span = Span(0.0, duration_s)
    observation = Observation("an event", findings, "ladder/1", 0.0)
    return Moment(moment_id("yard", 0, "event", 0.0), "yard", 0, span, (observation,), rung="event")


GREY = finding("attribute", "colour", grey=0.7, brown=0.3, seconds=300.0)
RED = finding("attribute", "colour", red=0.7, brown=0.3, seconds=300.0)
QUIET = finding("attribute", "empty", count=60.0)
VISITED = finding("action", "enters", count=12.0)


def test_equal_memories_have_similarity_one() -> None:
    assert similarity(event(GREY, QUIET), event(GREY, QUIET)) == 1.0


def test_memories_without_findings_are_similar() -> None:
    assert similarity(event(), event()) == 1.0


def test_similarity_falls_by_the_share_of_changed_colours() -> None:
    assert similarity(event(GREY), event(RED)) == pytest.approx(0.3)


def test_equal_rates_of_findings_are_similar() -> None:
    short = event(finding("action", "enters", count=6.0), duration_s=150.0)

    assert similarity(short, event(VISITED)) == 1.0
    assert similarity(event(finding("action", "enters", count=6.0)), event(VISITED)) == pytest.approx(
        7 / 13, abs=1e-4
    )


def test_a_visit_is_dissimilar_to_the_quiet_before_it() -> None:
    quiet, visit = event(GREY, QUIET), event(GREY, VISITED)

    assert similarity(quiet, visit) < 0.1
    assert similarity(quiet, event(GREY, QUIET, finding("action", "enters", count=1.0))) > 0.5


def test_brightness_does_not_count_as_a_finding() -> None:
    bright = finding("attribute", "brightness", count=60.0)

    assert similarity(event(bright, VISITED), event(bright)) == similarity(event(VISITED), event())


def test_repeated_lines_are_similar_and_new_lines_are_not() -> None:
    exit_, push, pull = (finding("visible_text", "line", text) for text in ("EXIT", "Push", "Pull"))
    repeated = finding("visible_text", "line", "exit ")

    assert similarity(event(exit_), event(repeated)) == 1.0
    assert similarity(event(exit_, push), event(exit_, pull)) == 0.5
    assert similarity(event(finding("speech", "subtitle", "Push")), event(push)) < 0.5


def test_a_clock_in_the_picture_does_not_change_similarity() -> None:
    night = finding("visible_text", "line", "2026-01-05 03:12:44")
    later = finding("visible_text", "line", "2026-01-05 03:17:9")

    assert similarity(event(night), event(later)) == 1.0


def test_a_second_look_does_not_change_similarity() -> None:
    first = event(GREY, QUIET)
    with_second_look = Moment(
        first.id,
        first.stream,
        0,
        first.span,
        (*first.observations, Observation("a dragon", (VISITED,), "inspect/1", 9.0)),
        rung="event",
    )

    assert similarity(first, with_second_look) == 1.0
