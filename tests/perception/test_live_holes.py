"""Holes of a live stream: frames too far apart are a gap with its cause, and a slow source is none."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.source import Dropped
from recollect.perception.stages.live_holes import Hole, HoleFinder

intervals_s = st.lists(st.floats(0.02, 4.0), min_size=2, max_size=60)


def holes_of(
    times_s: list[float], *, lost_before: dict[int, str] | None = None, fps: float = 4.0
) -> list[Hole]:
    finder, holes = HoleFinder(fps), []
    for number, time_s in enumerate(times_s):
        if cause := (lost_before or {}).get(number):
            finder.note_dropped(Dropped(5, cause, time_s))
        holes.append(finder.push(time_s, sampled=True))
        finder.take_dropped()
    return [hole for hole in holes if hole is not None]


@given(intervals_s, st.sampled_from([1.0, 4.0, 30.0]))
def test_with_losses_no_hole_above_the_limit_is_left(intervals, fps):
    times_s = list(accumulate(intervals, initial=50.0))
    holes = holes_of(times_s, lost_before=dict.fromkeys(range(len(times_s)), "overload"), fps=fps)
    limit_s = 1.05 * max(1.0, 3.0 / fps)

    assert {hole.cause for hole in holes} <= {"overload"}
    assert [hole.end_s for hole in holes] == [b for a, b in pairwise(times_s) if b - a > limit_s]
    assert all(hole.start_s < hole.end_s for hole in holes)


@given(st.floats(0.02, 20.0), st.lists(st.floats(0.6, 1.6), min_size=2, max_size=60))
def test_a_source_that_is_slow_by_nature_has_no_holes(interval_s, jitters):
    assert holes_of(list(accumulate(interval_s * jitter for jitter in jitters))) == []


@given(st.floats(0.02, 0.3), st.floats(3.5, 60.0))
def test_a_silence_of_a_steady_source_is_a_stall(interval_s, silence_s):
    times_s = [n * interval_s for n in range(10)]
    times_s += [times_s[-1] + silence_s + n * interval_s for n in range(5)]

    [hole] = holes_of(times_s)

    assert hole.cause == "stalled"
    assert hole.end_s == times_s[10]


def test_what_could_not_be_decoded_is_a_gap_of_that_cause():
    [hole] = holes_of([0.0, 0.25, 0.5, 3.0, 3.25], lost_before={3: "damaged"})

    assert (hole.start_s, hole.end_s, hole.cause) == (0.75, 3.0, "damaged")


def test_single_lost_frames_are_no_gap():
    assert holes_of([0.0, 0.25, 0.75, 1.5], lost_before={2: "overload", 3: "overload"}) == []


def test_at_a_reduced_rate_frames_too_far_apart_are_a_gap():
    """A frame that was decoded and not examined does not shorten the stretch."""
    finder = HoleFinder(4.0)
    for number in range(-25, 1):
        finder.push(0.04 * number, sampled=number % 25 == 0, reduced=True)

    assert finder.push(0.9, sampled=False, reduced=True) is None
    hole = finder.push(1.5, sampled=True, reduced=True)

    assert (hole.start_s, hole.end_s, hole.cause) == (1.0, 1.5, "overload")


def test_a_slow_source_has_no_holes_at_a_reduced_rate_either():
    finder = HoleFinder(4.0)

    assert not any(finder.push(5.0 * n, sampled=True, reduced=n > 3) for n in range(20))
