"""The file clock: which timestamps it believes, and what it makes of the others."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from recollect.perception.sources.file_clock import CLOCK_JUMP_S, FileClock

STEPS_S = st.sampled_from([1 / 60, 1 / 25, 0.1, 0.2, 1.0])


def times_of(timestamps_s, **options) -> list[float]:
    clock = FileClock[int](**{"from_start": True, "may_jump": True, **options})
    settled = [pair for number, time_s in enumerate(timestamps_s) for pair in clock.push(time_s, number)]
    settled += clock.finish()
    assert [number for _, number in settled] == list(range(len(settled))) == list(range(len(timestamps_s)))
    return [time_s for time_s, _ in settled]


def steady(count: int, step_s: float, from_s: float = 0.0) -> list[float]:
    return [from_s + number * step_s for number in range(count)]


@given(st.lists(st.floats(0.001, CLOCK_JUMP_S - 1), min_size=1, max_size=30), st.booleans())
def test_rising_timestamps_are_kept(steps_s, may_jump):
    timestamps_s = [0.0, *itertools.accumulate(steps_s)]

    times_s = times_of(timestamps_s, may_jump=may_jump, declared_end_s=timestamps_s[-1])

    assert times_s == timestamps_s


@given(
    count=st.integers(6, 40),
    step_s=STEPS_S,
    place=st.integers(0, 39),
    error_s=st.floats(-2e5, 2e5),
    may_jump=st.booleans(),
)
@example(count=40, step_s=0.1, place=20, error_s=7200.0, may_jump=True)
@example(count=40, step_s=0.1, place=0, error_s=7200.0, may_jump=True)
@example(count=40, step_s=0.1, place=39, error_s=7200.0, may_jump=False)
def test_one_garbage_timestamp_moves_nothing_else(count, step_s, place, error_s, may_jump):
    assume(place < count and abs(error_s) > 2.5 * step_s)
    # Whether a first timestamp is too early, or a hole follows it, nobody can know.
    assume(place > 0 or error_s > 0)
    # The same holds for a last one that is a little late.
    assume(place < count - 1 or not 0 < error_s < 4 * step_s + 1)
    right_s = steady(count, step_s)
    wrong_s = [time_s + error_s * (number == place) for number, time_s in enumerate(right_s)]

    times_s = times_of(wrong_s, may_jump=may_jump, step_s=step_s)

    assert times_s == pytest.approx(right_s, abs=1e-6)


@given(
    counts=st.tuples(st.integers(2, 40), st.integers(4, 40)),
    steps_s=st.tuples(STEPS_S, STEPS_S),
    again_from_s=st.floats(-1e5, 1e5),
)
@example(counts=(150, 30), steps_s=(1 / 25, 1 / 5), again_from_s=0.0)
@example(counts=(30, 150), steps_s=(1 / 5, 1 / 25), again_from_s=0.0)
def test_a_clock_that_begins_again_keeps_its_differences(counts, steps_s, again_from_s):
    first_s, second_s = steady(counts[0], steps_s[0]), steady(counts[1], steps_s[1], again_from_s)
    assume(second_s[3] < first_s[-2] or again_from_s > first_s[-1] + CLOCK_JUMP_S)

    times_s = times_of(first_s + second_s)

    assert times_s == pytest.approx(first_s + steady(counts[1], steps_s[1], counts[0] * steps_s[0]), abs=1e-6)


@given(st.floats(1.0, CLOCK_JUMP_S - 1), STEPS_S)
def test_a_hole_on_which_the_next_frames_agree_is_kept(hole_s, step_s):
    timestamps_s = steady(20, step_s) + steady(20, step_s, 20 * step_s + hole_s)

    assert times_of(timestamps_s) == timestamps_s


def test_a_step_of_hours_is_a_hole_where_clocks_never_jump():
    timestamps_s = steady(20, 0.04) + steady(20, 0.04, 7200.0)

    assert times_of(timestamps_s, may_jump=False) == timestamps_s


def test_a_frame_each_quarter_of_an_hour_is_a_slow_rate():
    assert times_of(steady(8, 900.0)) == steady(8, 900.0)


@given(st.integers(1, 38), STEPS_S)
def test_reading_from_the_middle_gives_the_same_times(place, step_s):
    timestamps_s = steady(40, step_s, 3.0)

    assert times_of(timestamps_s[place:], from_start=False) == times_of(timestamps_s)[place:]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40), st.booleans(), st.booleans())
def test_times_rise_whatever_the_timestamps_are(timestamps_s, may_jump, from_start):
    times_s = times_of(timestamps_s, may_jump=may_jump, from_start=from_start)

    assert all(earlier < later for earlier, later in itertools.pairwise(times_s))


@given(st.lists(st.booleans(), min_size=8, max_size=40), STEPS_S)
def test_frames_without_a_timestamp_are_spaced_evenly(are_known, step_s):
    right_s = steady(len(are_known), step_s)
    timestamps_s = [time_s if known else None for time_s, known in zip(right_s, are_known, strict=True)]

    assert times_of(timestamps_s, step_s=step_s) == pytest.approx(right_s, abs=1e-6)


def test_only_frames_that_do_not_fit_are_held_back():
    clock = FileClock[str](from_start=True)

    released = [len(clock.push(time_s, "frame")) for time_s in (0.0, 0.04, 0.08, 90.0, 0.16, 0.20, 0.24)]

    assert released == [0, 1, 1, 1, 0, 0, 3]
