"""A live stream at reduced rates: moments of one rate, gaps where nothing was seen, and every frame counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.memory import MemoryStore
from recollect.memory.values import Gap, Moment, ReducedSpan, Span, Stream, total_counts
from recollect.memory.watch_rate import WatchRate
from recollect.perception.observers.motion import MotionObserver
from recollect.perception.observers.observer import Observer
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.sources.source import Dropped, Event, Outage, SourceInfo
from recollect.perception.stages.stream_worker import StreamWorker
from recollect.perception.watch_events import RateChanged, WatchEvent

NO_TEXT = WatchRate(4.0, reads_text=False)
ONE = WatchRate(1.0, reads_text=False)
KEY_FRAMES = WatchRate(1.0, reads_text=False, key_frames_only=True)


class ScriptedLive:
    """A live source that yields the events it was made with."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self.info = SourceInfo("live", "rtsp://camera/1", "address:1")

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        yield from self._events

    def stop(self) -> None:
        """It ends by itself."""

    def close(self) -> None:
        """It holds nothing."""


def frame(time_s: float, rate: WatchRate | None = None, *, epoch: int = 0) -> Frame:
    picture = np.full((180, 320, 3), 90, np.uint8)
    return Frame(
        time_s=time_s,
        pts=round(time_s * 1000),
        time_base=Fraction(1, 1000),
        thumb=np.full(THUMB_SHAPE, 90, np.uint8),
        epoch=epoch,
        small=picture,
        read_picture=picture.copy,
        rate=rate,
        size=(320, 180),
    )


def frames(start_s: float, end_s: float, every_s: float = 0.25, rate: WatchRate | None = None) -> list[Event]:
    return [frame(float(time_s), rate) for time_s in np.arange(start_s, end_s - 1e-9, every_s)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryStore]:
    store = MemoryStore.open(tmp_path_factory.mktemp("live") / "memory", write=True)
    yield store
    store.close()


def watched(
    store: MemoryStore,
    events: Sequence[Event],
    on_event: list[WatchEvent] | None = None,
    observer: Observer | None = None,
) -> tuple[list[Moment], list[Gap]]:
    name = f"cam{len(store.streams())}"
    end_s = max(event.end_s if isinstance(event, Outage) else event.time_s for event in events)
    stream = Stream(
        name, "live", "rtsp://camera/1", name, "watching", 4.0, origin_wall_s=time.time() - end_s + 60.0
    )
    store.put_stream(stream)
    published = [] if on_event is None else on_event
    worker = StreamWorker(
        store, stream, ScriptedLive(events), [observer or MotionObserver()], on_event=published.append
    )
    worker.run()
    with store.snapshot() as snapshot:
        return snapshot.timeline(name, limit=10_000), snapshot.gaps(name)


def test_a_hole_is_a_gap_that_counts_what_was_dropped(store: MemoryStore) -> None:
    events = [*frames(0, 6), Dropped(60, "overload", 5.75), *frames(9, 15)]

    moments, [gap] = watched(store, events)

    assert (gap.span.start_s, gap.span.end_s, gap.cause) == (6.0, 9.0, "overload")
    assert gap.counts.dropped == {"overload": 60}
    assert all(not moment.counts.dropped for moment in moments)
    assert all(moment.span.end_s <= 6.0 or moment.span.start_s >= 9.0 for moment in moments)
    assert total_counts([gap.counts, *(moment.counts for moment in moments)]).captured == 60 + 48


def test_a_moment_ends_where_the_rate_changes(store: MemoryStore) -> None:
    published: list[WatchEvent] = []
    events = [*frames(0, 5), *frames(5, 9, rate=NO_TEXT), *frames(9, 14, 1.0, ONE), *frames(14, 20)]

    moments, gaps = watched(store, events, published)

    assert gaps == []
    assert all(a.span.end_s == b.span.start_s for a, b in pairwise(moments))
    rates = {moment.span: moment.reduced for moment in moments}
    for span, reduced in rates.items():
        expected = NO_TEXT if 5 <= span.start_s < 9 else ONE if 9 <= span.start_s < 14 else None
        assert reduced == (() if expected is None else (ReducedSpan(span, expected),))
    assert {5.0, 9.0, 14.0} <= {span.start_s for span in rates}
    changes = [event for event in published if isinstance(event, RateChanged)]
    assert [(event.time_s, event.rate) for event in changes] == [
        (5.0, NO_TEXT),
        (9.0, ONE),
        (14.0, WatchRate(4.0)),
    ]
    assert [event.is_full for event in changes] == [False, False, True]


@pytest.mark.parametrize(("rate", "every_s"), [(None, 0.25), (ONE, 1.0), (KEY_FRAMES, 1.0)])
def test_only_a_close_watch_says_that_nothing_moves(store, rate, every_s):
    moments, _ = watched(store, frames(0, 20, every_s, rate))

    said = [moment for moment in moments if "Nothing moves" in moment.caption]
    assert bool(said) == (rate is None)
    if rate is not None:
        assert not any(finding.kind == "empty" for moment in moments for finding in moment.findings)
        assert all("Nothing" not in moment.caption for moment in moments)


def test_coverage_tells_at_which_rate_a_stream_was_watched(store: MemoryStore) -> None:
    moments, _ = watched(store, [*frames(0, 30), *frames(30, 50, 1.0, ONE), *frames(50, 80)])

    with store.snapshot() as snapshot:
        coverage = snapshot.coverage(moments[0].stream)

    [reduced] = coverage.reduced
    assert (reduced.span.start_s, reduced.span.end_s, reduced.rate) == (30.0, 50.0, ONE)
    assert coverage.gaps == ()


pieces = st.lists(
    st.tuples(
        st.floats(0.3, 9.0),  # seconds of frames
        st.sampled_from([(None, 0.25), (NO_TEXT, 0.25), (ONE, 0.96), (KEY_FRAMES, 1.0), (KEY_FRAMES, 3.0)]),
        st.integers(0, 200),  # frames dropped before it
        st.floats(0.0, 6.0),  # the hole before it
        st.booleans(),  # whether the hole is an outage
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces)
def test_every_second_and_every_frame_is_accounted_for(store: MemoryStore, script) -> None:
    events, now_s, epoch, captured = [frame(0.0)], 0.0, 0, 1
    for length_s, (rate, every_s), dropped, hole_s, is_outage in script:
        interval_s = 0.25
        if dropped:
            events.append(Dropped(dropped, "overload", now_s))
            captured += dropped
        if is_outage and hole_s > 0.5:
            events.append(Outage(now_s + interval_s, now_s + interval_s + hole_s, epoch, "stalled"))
            epoch += 1
        now_s += interval_s + hole_s
        end_s = now_s + length_s
        while True:
            events.append(frame(now_s, rate, epoch=epoch))
            captured += 1
            if now_s + every_s > end_s:
                break
            now_s += every_s
            if rate == KEY_FRAMES:
                events.append(Dropped(24, "overload", now_s))
                captured += 24

    moments, gaps = watched(store, events)

    spans = sorted([*(moment.span for moment in moments), *(gap.span for gap in gaps)])
    assert spans[0].start_s == 0.0
    assert all(a.end_s == pytest.approx(b.start_s, abs=1e-6) for a, b in pairwise(spans))
    counts = total_counts([*(moment.counts for moment in moments), *(gap.counts for gap in gaps)])
    assert counts.captured == captured
    assert counts.balanced
    for before, event, after in zip(events, events[1:], events[2:], strict=False):
        if (
            isinstance(before, Frame)
            and isinstance(event, Dropped)
            and isinstance(after, Frame)
            and after.time_s - before.time_s > 1.05
        ):
            assert any(gap.span.end_s == after.time_s and gap.cause == "overload" for gap in gaps)
    for moment in moments:
        assert len({reduced.rate for reduced in moment.reduced}) <= 1
        inside = [
            event.rate for event in events if isinstance(event, Frame) and moment.span.contains(event.time_s)
        ]
        assert len(set(inside)) <= 1


class LateReader(MotionObserver):
    """An observer whose text is never read in time in the first ten seconds."""

    def has_read(self, span: Span) -> bool:
        return span.start_s >= 10.0


def test_text_that_is_read_too_late_is_told_as_not_read(store: MemoryStore) -> None:
    moments, _ = watched(store, frames(0, 20), observer=LateReader())

    assert {bool(moment.reduced) for moment in moments if moment.span.start_s >= 10.0} == {False}
    late = [moment for moment in moments if moment.span.start_s < 10.0]
    assert all(moment.reduced == (ReducedSpan(moment.span, NO_TEXT),) for moment in late)
