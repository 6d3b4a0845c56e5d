"""The overload ladder: down in steps while pictures wait too long, and back up with hysteresis."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.overload_ladder import (
    CLIMB_S,
    DROP_S,
    SHED_S,
    STEP_S,
    OverloadLadder,
    WatchRate,
    steps_of,
)

ages_s = st.floats(0.0, 20.0)
updates = st.lists(st.tuples(st.floats(0.0, 3.0), ages_s), min_size=1, max_size=300)


def simulated(cost_s: float, *, seconds: float, interval_s: float = 0.1) -> list[tuple[float, int, float]]:
    """Time, step and age for packets that cost ``cost_s`` each at the full rate, and less on each step down."""
    ladder, waiting, now_s, history = OverloadLadder(4.0), deque[float](), 0.0, []
    next_s = 0.0
    while now_s < seconds:
        while next_s <= now_s:
            waiting.append(next_s)
            next_s += interval_s
        if not waiting:
            now_s = next_s
            continue
        arrival_s = waiting.popleft()
        ladder.update(now_s, now_s - arrival_s)
        history.append((now_s, ladder.step, now_s - arrival_s))
        if ladder.drops_waiting:
            waiting.clear()
        now_s += max(1e-4, cost_s * (1.0, 0.8, 0.6, 0.5, 0.1)[ladder.step])
    return history


def test_the_steps_go_from_text_to_fewer_frames_to_key_frames():
    assert steps_of(4.0) == (
        WatchRate(4.0),
        WatchRate(4.0, reads_text=False),
        WatchRate(2.0, reads_text=False),
        WatchRate(1.0, reads_text=False),
        WatchRate(1.0, reads_text=False, key_frames_only=True),
    )


@given(st.floats(0.05, 60.0))
def test_no_step_is_closer_than_the_one_above(fps: float):
    steps = steps_of(fps)

    assert steps[0] == WatchRate(fps)
    assert steps[-1].key_frames_only
    assert all(above.fps >= below.fps and above != below for above, below in pairwise(steps))


@given(updates)
def test_steps_are_single_and_apart_unless_all_is_dropped(changes: list[tuple[float, float]]):
    ladder, now_s, last_down_s, step = OverloadLadder(4.0), 100.0, None, 0
    for passed_s, age_s in changes:
        now_s += passed_s
        ladder.update(now_s, age_s)
        assert ladder.drops_waiting == (age_s >= DROP_S)
        if ladder.drops_waiting:
            assert ladder.rate.key_frames_only
        elif ladder.step > step:
            assert ladder.step == step + 1
            assert age_s >= SHED_S
            assert last_down_s is None or now_s - last_down_s >= STEP_S - 1e-9
        elif ladder.step < step:
            assert ladder.step == step - 1
            assert age_s < SHED_S
        if ladder.step > step:
            last_down_s = now_s
        step = ladder.step


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, SHED_S, exclude_max=True)), max_size=300))
def test_a_machine_that_keeps_up_stays_at_the_full_rate(changes: list[tuple[float, float]]):
    ladder, now_s = OverloadLadder(4.0), 0.0
    for passed_s, age_s in changes:
        now_s += passed_s
        assert ladder.update(now_s, age_s) == WatchRate(4.0)


@given(st.integers(1, 4))
def test_it_comes_back_a_step_at_a_time_once_nothing_waits(steps_down: int):
    ladder, now_s = OverloadLadder(4.0), 0.0
    while ladder.step < steps_down:
        now_s += STEP_S
        ladder.update(now_s, SHED_S)
    climbs = []
    for _ in range(10 * 60 * 5):
        now_s += 0.1
        before = ladder.step
        ladder.update(now_s, 0.0)
        if ladder.step < before:
            climbs.append(now_s)
    assert ladder.step == 0
    assert all(later - earlier >= CLIMB_S - 1e-6 for earlier, later in pairwise(climbs))


def test_a_constant_overload_settles_between_two_steps():
    """At 100 ms a packet, and packets that cost 1.15 times as much, the first step down is enough."""
    history = simulated(0.115, seconds=600.0)
    late = [(now_s, step) for now_s, step, _ in history if now_s > 300.0]
    changes = sum(a[1] != b[1] for a, b in pairwise(late))

    assert {step for _, step in late} <= {0, 1, 2}
    assert changes <= 300.0 / CLIMB_S
    assert max(age_s for _, _, age_s in history) < DROP_S


@given(st.floats(0.0, 3.0))
def test_what_waits_is_never_older_than_the_bound_and_a_packet(cost_s: float):
    history = simulated(cost_s, seconds=120.0)

    assert max(age_s for _, _, age_s in history) <= DROP_S + cost_s + 0.2
