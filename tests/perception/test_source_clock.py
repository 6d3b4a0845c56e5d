"""The clock of a live source, with simulated arrivals: it follows the wall clock, whatever the source's clock does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.sources.host_clock import ClockReading
from recollect.perception.sources.live_clock import ConnectionTrouble, LiveClock, LiveOrigin
from recollect.perception.sources.overload_ladder import WatchRate
from recollect.perception.sources.reader_messages import ReceivedFrame
from recollect.perception.sources.source import Event, Outage

WALL_S = 1_800_000_000.0
"""Unix seconds at elapsed time 0, before anybody sets the clock."""

THUMB = np.zeros(THUMB_SHAPE, np.uint8)


class Watch:
    """A live clock that is given arrivals, and what came of them."""

    def __init__(self, origin: LiveOrigin | None = None) -> None:
        self.clock = LiveClock(origin)
        self.events: list[Event] = []
        self.wall_s = WALL_S
        self.captured_s: dict[int, float] = {}
        """The true time of each frame, by its number."""
        self._number = 0

    def arrive(
        self,
        pts_s: float | None,
        arrival_s: float,
        *,
        captured_s: float | None = None,
        trouble: ConnectionTrouble | None = None,
    ) -> list[Event]:
        """A frame arrives. Its number travels as the width of its picture."""
        self._number += 1
        self.captured_s[self._number] = arrival_s if captured_s is None else captured_s
        pts = None if pts_s is None else round(pts_s * 90_000)
        received = ReceivedFrame(
            pts=pts,
            time_base=Fraction(1, 90_000),
            arrival_s=arrival_s,
            size=(self._number, 1),
            rate=WatchRate(4.0),
            lost={},
            thumb=THUMB,
            small=None,
            whole=None,
        )
        return self._take(self.clock.place(received, self.reading(arrival_s), trouble))

    def tick(self, now_s: float) -> list[Event]:
        return self._take(self.clock.tick(self.reading(now_s)))

    def finish(self, now_s: float) -> list[Event]:
        return self._take(self.clock.finish(self.reading(now_s)))

    def reading(self, now_s: float) -> ClockReading:
        return ClockReading(now_s, now_s, self.wall_s + now_s)

    def _take(self, events: Iterable[Event]) -> list[Event]:
        new = list(events)
        self.events += new
        return new

    @property
    def frames(self) -> list[Frame]:
        return [event for event in self.events if isinstance(event, Frame)]

    @property
    def outages(self) -> list[Outage]:
        return [event for event in self.events if isinstance(event, Outage)]

    def errors_s(self) -> list[float]:
        """How far each frame was placed from the time at which it was taken."""
        return [abs(frame.time_s - self.captured_s[frame.size[0]]) for frame in self.frames]


def watched(arrivals: Iterable[tuple[float | None, float, float]], origin_s: float = 0.0) -> Watch:
    """Watch arrivals of (timestamp, time of capture, arrival)."""
    watch, arrival_s = Watch(LiveOrigin(origin_s)), 0.0
    for pts_s, captured_s, arrival_s in arrivals:
        watch.arrive(pts_s, arrival_s, captured_s=captured_s)
    watch.finish(arrival_s)
    return watch


def camera(
    *, rate: float, fps: float, seconds: float, jitter_s: float = 0.02, seed: int = 0, base_s: float = 0.0
) -> Iterator[tuple[float, float, float]]:
    """A camera whose clock runs at ``rate``, behind a network that delays some frames."""
    chance, arrival_s = random.Random(seed), 0.0
    for number in range(int(seconds * fps)):
        captured_s = number / fps
        arrival_s = max(arrival_s, captured_s + chance.uniform(0.0, jitter_s))
        yield base_s + captured_s * rate, captured_s, arrival_s


def assert_in_order(frames: list[Frame]) -> None:
    assert all(earlier.time_s < later.time_s for earlier, later in pairwise(frames))
    epochs = [frame.epoch for frame in frames]
    assert epochs == sorted(epochs)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    rate=st.floats(0.95, 1.05),
    fps=st.sampled_from([2.0, 8.0, 25.0, 40.0]),
    jitter_s=st.sampled_from([0.0, 0.02, 0.1]),
    seed=st.integers(0, 1000),
    base_s=st.sampled_from([0.0, 26.5, 95_000.0]),
)
def test_a_slow_or_fast_clock_is_followed(rate, fps, jitter_s, seed, base_s):
    watch = watched(camera(rate=rate, fps=fps, seconds=90, jitter_s=jitter_s, seed=seed, base_s=base_s))

    assert max(watch.errors_s()) <= 0.5
    assert len(watch.frames) > 0.99 * 90 * fps - 1
    assert watch.outages == []
    assert_in_order(watch.frames)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(rate=st.floats(0.96, 1.04), fps=st.sampled_from([8.0, 25.0]), seed=st.integers(0, 1000))
def test_time_runs_within_a_hundredth_of_the_fitted_rate(rate, fps, seed):
    watch = watched(camera(rate=rate, fps=fps, seconds=60, jitter_s=0.0, seed=seed))

    steps = [later.time_s - earlier.time_s for earlier, later in pairwise(watch.frames[round(5 * fps) :])]
    assert min(steps) >= 0.975 / fps
    assert max(steps) <= 1.025 / fps


@settings(deadline=None, max_examples=20)
@given(
    segment_s=st.sampled_from([2.0, 6.0, 10.0]),
    delays=st.lists(st.floats(0.0, 0.5), min_size=12, max_size=12),
    download_s=st.floats(0.0, 1.0),
)
def test_segments_that_arrive_whole_are_placed_in_their_time(segment_s, delays, download_s):
    """Some segments are listed up to half a second later than others."""
    fps, arrivals = 10, []
    for index, late_s in enumerate([0.0, *delays]):
        for number in range(int(segment_s * fps)):
            captured_s = index * segment_s + number / fps
            fetched_s = (index + 1) * segment_s + late_s + download_s * (number + 1) / (segment_s * fps)
            arrivals.append((captured_s + 77.0, captured_s, fetched_s))
    watch = watched(arrivals, origin_s=0.0)

    assert max(watch.errors_s()) <= 0.5 + download_s
    assert watch.outages == []
    assert watch.frames[-1].epoch == 0
    assert len(watch.frames) >= 12 * segment_s * fps
    assert_in_order(watch.frames)


@settings(deadline=None, max_examples=40)
@given(
    garbage_s=st.one_of(st.floats(-100_000, -2), st.floats(4, 100_000)),
    at=st.integers(1, 248),
    fps=st.sampled_from([8.0, 25.0]),
)
def test_one_garbage_timestamp_moves_nothing(garbage_s, at, fps):
    arrivals = list(camera(rate=1.0, fps=fps, seconds=250 / fps, jitter_s=0.0))
    pts_s, captured_s, arrival_s = arrivals[at]
    arrivals[at] = (pts_s + garbage_s, captured_s, arrival_s)

    watch = watched(arrivals)

    assert max(watch.errors_s()) <= 0.5
    assert watch.outages == []
    assert len(watch.frames) >= 249 - at * (at < 0.5 * fps)
    assert_in_order(watch.frames)


def test_timestamps_that_are_all_garbage_give_way_to_arrivals():
    chance = random.Random(1)
    watch = watched((chance.uniform(0, 1e6), n / 10, n / 10) for n in range(300))

    assert watch.clock.goes_by_arrival
    assert max(watch.errors_s()[20:]) <= 0.001


@pytest.mark.parametrize("fps", [2, 8, 40])
def test_frames_without_timestamps_go_by_arrival(fps):
    watch = watched((None, n / fps, n / fps) for n in range(60 * fps))

    assert max(watch.errors_s()) == 0
    assert watch.frames[3].time_base * watch.frames[3].pts == pytest.approx(watch.frames[3].time_s, abs=0.001)
    assert watch.outages == []


@pytest.mark.parametrize("fps", [2, 8, 40])
def test_made_up_timestamps_give_way_to_arrivals(fps):
    """A demuxer that counts 25 pictures a second, whatever the camera sends."""
    watch = watched((n / 25, n / fps, n / fps) for n in range(120 * fps))

    assert watch.clock.goes_by_arrival
    assert max(watch.errors_s()[10 * fps :]) <= 0.001
    assert_in_order(watch.frames)


def test_a_pause_of_the_network_moves_no_frame():
    arrivals = [(n / 25, n / 25, n / 25) for n in range(2000)]
    stalled = [(p, c, 43.0 if 40 <= a < 43 else a) for p, c, a in arrivals]

    watch = watched(stalled)

    assert max(watch.errors_s()) <= 0.02
    assert watch.outages == []


def test_what_a_server_had_kept_is_not_new_time():
    """A server that sends its last four seconds at once to a new client."""
    arrivals = [(n / 25, n / 25, max(100.0, n / 25)) for n in range(96 * 25, 130 * 25)]

    watch = watched(arrivals, origin_s=0.0)

    assert max(watch.errors_s()) <= 0.5
    assert len(watch.frames) >= 30 * 25


def test_a_clock_that_jumps_back_opens_an_epoch_and_no_gap():
    watch = watched([(n / 25 if n < 250 else n / 25 - 7.0, n / 25, n / 25) for n in range(500)])

    assert max(watch.errors_s()) <= 0.1
    assert watch.outages == []
    assert {frame.epoch for frame in watch.frames} == {0, 1}
    assert len(watch.frames) == 500


def test_an_encoder_restarting_between_segments_loses_no_time():
    arrivals = [(n / 10 + (5000.0 if n >= 120 else 0.0), n / 10, (n // 60 + 1) * 6.0) for n in range(60 * 8)]

    watch = watched(arrivals)

    assert watch.outages == []
    assert {frame.epoch for frame in watch.frames} == {0, 1}
    assert max(watch.errors_s()) <= 0.2


def test_a_jump_with_lost_time_is_a_gap():
    before = [(n / 25, n / 25, n / 25) for n in range(250)]
    after = [(500 + n / 25, 18 + n / 25, 18 + n / 25) for n in range(250)]

    watch = watched(before + after)

    [gap] = watch.outages
    assert (gap.cause, gap.epoch) == ("clock jump", 0)
    assert (gap.start_s, gap.end_s) == pytest.approx((10.0, 18.0), abs=0.1)
    assert max(watch.errors_s()) <= 0.1


def test_a_source_that_leaves_the_wall_clock_opens_an_epoch():
    """Timestamps go on as if nothing was lost, but three seconds are missing for good."""
    before = [(n / 25, n / 25, n / 25) for n in range(250)]
    after = [(10 + n / 25, 13 + n / 25, 13 + n / 25) for n in range(25 * 120)]

    watch = watched(before + after)

    [gap] = watch.outages
    assert gap.cause == "clock drift"
    assert gap.end_s - gap.start_s == pytest.approx(3.0, abs=0.5)
    assert max(watch.errors_s()[-1000:]) <= 0.5
    assert_in_order(watch.frames)


def test_an_outage_lasts_until_the_first_new_frame():
    watch = Watch(LiveOrigin(50.0))
    for n in range(100):
        watch.arrive(n / 25, 50.0 + n / 25)
    watch.clock.open_epoch()
    refused = ConnectionTrouble("refused", "connection refused", 4)
    for n in range(100):
        watch.arrive(n / 25, 70.0 + n / 25, trouble=refused if n == 0 else None)

    [outage] = watch.outages
    assert (outage.start_s, outage.end_s) == pytest.approx((4.0, 20.0))
    assert (outage.cause, outage.attempts, outage.epoch) == ("refused", 4, 0)
    assert outage.wall_start_s == pytest.approx(WALL_S + 54.0)
    assert [frame.epoch for frame in watch.frames] == [0] * 100 + [1] * 100


def test_segments_read_again_after_a_reconnect_are_not_new_time():
    """Three old segments come first: two were placed before, and of the third only the end is new."""
    watch = Watch(LiveOrigin(0.0))
    for n in range(240):
        watch.arrive(30 + n / 10, (n // 60 + 1) * 6.0, captured_s=n / 10)
    watch.clock.open_epoch()
    lost = ConnectionTrouble("dropped", "", 1)
    for n in range(150, 420):
        arrival_s = max(27.0, (n // 60 + 1) * 6.0)
        watch.arrive(30 + n / 10, arrival_s, captured_s=n / 10, trouble=lost if n == 150 else None)
    watch.finish(45.0)

    assert max(watch.errors_s()) <= 0.2
    assert sum(outage.end_s - outage.start_s for outage in watch.outages) <= 0.2
    assert_in_order(watch.frames)


def test_a_resumed_stream_keeps_its_origin():
    watch = Watch(LiveOrigin(1000.0, first_epoch=3, seen_until_s=580.0))
    for n in range(50):
        watch.arrive(7.77 + n / 25, 1600.0 + n / 25)

    first = watch.frames[0]
    assert (first.time_s, first.epoch) == (pytest.approx(600.0), 3)
    assert first.wall_s == pytest.approx(WALL_S + 1600.0)


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0, 0.7])
def test_setting_the_clock_renames_time_and_loses_none(set_by_s):
    watch = Watch(LiveOrigin(0.0))
    for n in range(500):
        if n == 250:
            watch.wall_s += set_by_s
        watch.arrive(n / 25, n / 25)

    [gap] = watch.outages
    assert (gap.cause, gap.end_s - gap.start_s, gap.epoch) == ("clock set", 0.0, 0)
    assert max(watch.errors_s()) <= 0.001
    for frame in watch.frames:
        offset_s = WALL_S + (set_by_s if frame.epoch == 1 else 0.0)
        assert frame.wall_s == pytest.approx(offset_s + frame.time_s)
    assert {frame.epoch for frame in watch.frames} == {0, 1}


def test_a_clock_set_during_an_outage_makes_no_other_gap():
    watch = Watch(LiveOrigin(0.0))
    for n in range(100):
        watch.arrive(n / 25, n / 25)
    watch.clock.open_epoch()
    watch.wall_s -= 3600.0
    for n in range(100):
        watch.arrive(n / 25, 10 + n / 25, trouble=ConnectionTrouble("dropped", "", 1))

    [outage] = watch.outages
    assert (outage.start_s, outage.end_s) == pytest.approx((4.0, 10.0))
    assert watch.frames[-1].wall_s == pytest.approx(WALL_S - 3600.0 + watch.frames[-1].time_s)


def test_a_frame_held_back_comes_out_when_nothing_follows():
    watch = Watch(LiveOrigin(0.0))

    assert watch.arrive(5.0, 1.0) == []
    assert watch.tick(1.1) == []
    [frame] = watch.tick(1.4)

    assert isinstance(frame, Frame)
    assert frame.time_s == 1.0
