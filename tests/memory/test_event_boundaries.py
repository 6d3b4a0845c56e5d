"""Event boundaries in hand-made streams. In the scripts, a letter is a moment with that actor, a dot a quiet one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.memory import Finding, Moment, Observation, Span, moment_id
from recollect.memory.ladder.builder import Ladder
from recollect.memory.ladder.event_boundaries import MAX_EVENT_S, event_ends, is_active
from recollect.testing.simulated_moments import simulated_moments


def make_finding(field: str, kind: str, span: Span, **detail: str | float) -> Finding:
    return Finding(field, kind, kind, span, "motion/1", detail=detail)  # type: ignore[arg-type]


def script_moments(script: str, *, moment_s: float = 5.0, shots: str = "") -> list[Moment]:
    """One moment for each character: quiet for ``.``, otherwise with the visitor of that name."""
    moments = []
    for number, letter in enumerate(script):
        span = Span(number * moment_s, (number + 1) * moment_s)
        findings = [make_finding("attribute", "brightness", span)]
        if letter == ".":
            findings.append(make_finding("attribute", "empty", span))
        else:
            findings.append(make_finding("actor", "shape", span, track=float(ord(letter))))
        moments.append(make_moment(span, findings, shot=int(shots[number]) if shots else 0))
    return moments


def make_moment(span: Span, findings: Sequence[Finding], shot: int = 0) -> Moment:
    return Moment(
        id=moment_id("yard", 0, "moment", span.start_s),
        stream="yard",
        epoch=0,
        span=span,
        observations=(Observation("m", tuple(findings), "observers/1", span.end_s),),
        shot=shot,
    )


def events(moments: Sequence[Moment]) -> list[int]:
    """How many moments each event has."""
    ladder = Ladder("yard")
    parents = [parent for moment in moments for parent in ladder.push(moment)] + ladder.flush()
    return [len(parent.child_ids) for parent in parents if parent.rung == "event"]


def cut(script: str, **options: object) -> str:
    """The script with a bar at each end of an event."""
    ends = itertools.accumulate(events(script_moments(script, **options)))  # type: ignore[arg-type]
    return "|".join(script[start:end] for start, end in itertools.pairwise([0, *ends]))


def test_quiet_then_activity_then_quiet_are_three_events() -> None:
    assert cut("........bbbbbbbb........") == "........|bbbbbbbb|........"


@given(st.integers(4, 50), st.integers(4, 50), st.integers(6, 50))
@settings(max_examples=30, deadline=None)
def test_a_visit_of_any_length_begins_and_ends_an_event(before: int, visit: int, after: int) -> None:
    script = "." * before + "b" * visit + "." * after

    assert events(script_moments(script)) == [before, visit, after]


def test_a_quiet_event_begins_where_the_quiet_began() -> None:
    moments = script_moments("bbbbbbbb......")
    ladder = Ladder("yard")

    closed = [ladder.push(moment) for moment in moments]

    assert [len(parents) for parents in closed] == [0] * 13 + [1]
    assert closed[-1][0].span == Span(0.0, 40.0)


@pytest.mark.parametrize("pause", [1, 2])
def test_a_short_pause_does_not_end_an_event(pause: int) -> None:
    assert events(script_moments("b" * 8 + "." * pause + "b" * 8)) == [16 + pause]


def test_a_quiet_time_too_short_for_an_event_joins_the_last() -> None:
    assert cut("bbbbbbbb...bbbbbbbb") == "bbbbbbbb...|bbbbbbbb"


def test_activity_too_short_for_an_event_joins_the_quiet_after() -> None:
    assert cut("........bb........bbbb") == "........|bb........|bbbb"


def test_two_visitors_in_succession_are_two_events() -> None:
    assert cut("aaaaaaaabbbbbbbb") == "aaaaaaaa|bbbbbbbb"
    assert cut("aaaaaaaa.bbbbbbb") == "aaaaaaaa.|bbbbbbb"


def test_untracked_visitors_are_told_apart_by_appearance() -> None:
    moments = [
        make_moment(
            Span(5.0 * number, 5.0 * number + 5),
            [
                make_finding(
                    "actor", "shape", Span(5.0 * number, 5.0 * number + 5), colour=colour, shape="tall"
                )
            ],
        )
        for number, colour in enumerate(["grey"] * 8 + ["red"] * 8)
    ]

    assert events(moments) == [8, 8]


def test_a_visitor_who_overlaps_another_joins_the_event() -> None:
    moments = script_moments("aaaaaaaabbbbbbbb")
    both = make_finding("actor", "shape", moments[8].span, track=float(ord("a")))
    findings = moments[8].observations[0].findings
    moments[8] = make_moment(moments[8].span, [*findings, both])

    assert events(moments) == [16]


def test_cars_that_pass_in_succession_are_one_event() -> None:
    """Each car is present in one moment only, so no actor stays whose departure could end an event."""
    street = [chr(ord("A") + number) for number in range(50)]

    assert events(script_moments("".join(street))) == [50]


def test_visitors_shorter_than_an_event_end_none() -> None:
    lengths = events(script_moments("aabbccddeeffgghhiijjkkllmmnnooppqqrrss"))

    assert all(length * 5.0 >= 30.0 for length in lengths[:-1])


def test_tracks_that_end_at_a_cut_do_not_end_the_event() -> None:
    assert events(script_moments("aaaaaaaabbbbbbbb", shots="0000000011111111")) == [16]


def test_actors_without_track_or_appearance_end_no_event() -> None:
    """A face has neither, so two faces cannot be compared."""
    moments = [
        make_moment(Span(5.0 * n, 5.0 * n + 5), [make_finding("actor", "face", Span(5.0 * n, 5.0 * n + 5))])
        for n in range(20)
    ]

    assert events(moments) == [20]


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (make_finding("actor", "face", Span(0, 5)), True),
        (make_finding("action", "placed", Span(0, 5)), True),
        (make_finding("action", "typed", Span(0, 5)), True),
        (make_finding("action", "camera_pan", Span(0, 5)), True),
        (make_finding("speech", "subtitle", Span(0, 5)), True),
        (make_finding("attribute", "moving", Span(0, 5), value=0.4), True),
        (make_finding("attribute", "moving", Span(0, 5), value=0.02), False),
        (make_finding("attribute", "empty", Span(0, 5)), False),
        (make_finding("attribute", "brightness", Span(0, 5), value=0.4), False),
        (make_finding("visible_text", "line", Span(0, 5)), False),
        (make_finding("action", "cut", Span(0, 5)), False),
        (make_finding("action", "visit", Span(0, 5)), False),
    ],
)
def test_a_moment_is_active_with_an_actor_action_or_speech(finding: Finding, expected: bool) -> None:
    assert is_active(make_moment(Span(0, 5), [finding])) is expected


def test_a_quiet_night_is_divided_into_five_minute_events() -> None:
    lengths = events(script_moments("." * 720))

    assert {length * 5.0 for length in lengths} == {MAX_EVENT_S}


def test_the_first_moment_ends_no_event() -> None:
    assert event_ends([], script_moments("b")[0]) is None


def test_a_shop_has_short_events_by_day_and_long_ones_by_night() -> None:
    ladder = Ladder("shop")
    moments = simulated_moments(seed=0, hours=24.0, stream="shop")
    parents = [parent for moment in moments for parent in ladder.push(moment)] + ladder.flush()

    spans = [parent.span for parent in parents if parent.rung == "event"]
    noon = [span.duration_s for span in spans if 4 * 3600 <= span.start_s < 8 * 3600]
    night = [span.duration_s for span in spans if 18 * 3600 <= span.start_s < 22 * 3600]
    assert 60 < sum(noon) / len(noon) < 180
    assert sum(duration_s < 30 for duration_s in noon) < len(noon) / 5
    assert sum(night) / len(night) > 240
