"""A live stream goes on with its stream time, whatever the clocks were set to between two runs."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import MemoryStore, Stream
from recollect.memory.stream_catalog import ResumePoint
from recollect.perception.live_origin import find_live_origin, with_boot_clock
from recollect.perception.sources.host_clock import ClockReading, boot_id, read_clocks
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.stages.stream_worker import StreamWorker
from recollect.testing.stream_servers import HttpStreamServer

DOOR = Stream("door", "live", "rtsp://door", "address:door", "stopped", 4.0, origin_wall_s=1_000_000.0)
END = ResumePoint(end_s=100.0, epoch=2, shot=0, moments=20, origin_wall_s=1_000_000.0)


def at(*, elapsed_s: float, wall_s: float) -> ClockReading:
    return ClockReading(elapsed_s, elapsed_s, wall_s)


def test_a_new_stream_begins_now():
    origin = find_live_origin(DOOR, None, lambda: at(elapsed_s=50.0, wall_s=1_000_000.0))

    assert (origin.elapsed_s, origin.first_epoch, origin.now_s()) == (50.0, 0, 0.0)


@given(set_by_s=st.floats(-1e7, 1e7))
def test_elapsed_time_counts_in_one_run_of_the_machine(set_by_s):
    """The memory ended at 100 s, ten minutes ago, and the wall clock was set since."""
    stream = replace(DOOR, boot_id="a", boot_origin_s=50.0)
    now = at(elapsed_s=750.0, wall_s=1_000_700.0 + set_by_s)

    assert find_live_origin(stream, END, lambda: now, boot="a").now_s() == 700.0


@given(away_s=st.floats(-1e7, 1e7))
def test_after_a_restart_the_wall_clock_counts_but_never_back(away_s):
    stream = replace(DOOR, boot_id="a", boot_origin_s=50.0)
    now = at(elapsed_s=5.0, wall_s=1_000_100.0 + away_s)
    origin = find_live_origin(stream, END, lambda: now, boot="b")

    assert origin.now_s() == pytest.approx(100.0 + max(0.0, away_s))
    assert (origin.first_epoch, origin.seen_until_s) == (3, 100.0)


def test_a_memory_of_an_earlier_version_has_no_boot_clock():
    now = at(elapsed_s=5.0, wall_s=1_000_160.0)

    assert find_live_origin(DOOR, END, lambda: now).now_s() == pytest.approx(160.0)


def test_the_boot_clock_is_kept_with_the_stream():
    origin = find_live_origin(DOOR, None)
    stream = with_boot_clock(DOOR, origin)

    assert stream.boot_origin_s == origin.elapsed_s
    assert stream.boot_id == (boot_id() or None)


@pytest.mark.slow
@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_clock_set_while_watching_changes_later_wall_times(tmp_path, set_by_s):
    offset_s = 0.0

    def clocks() -> ClockReading:
        reading = read_clocks()
        return replace(reading, wall_s=reading.wall_s + offset_s)

    with MemoryStore.open(tmp_path / "memory", write=True) as store, HttpStreamServer(fps=10) as server:
        stream = replace(DOOR, origin_wall_s=time.time())
        origin = find_live_origin(stream, None, clocks)
        with closing(LiveSource(server.url, 4.0, origin=origin)) as source:
            worker = StreamWorker(store, stream, source, [], origin=origin)
            thread = threading.Thread(target=worker.run)
            thread.start()
            time.sleep(6.0)
            offset_s = set_by_s
            time.sleep(6.0)
            worker.stop()
            stopped_s = origin.now_s()
            thread.join()
        snapshot = store.snapshot()
        moments, gaps = snapshot.timeline("door", rung="moment"), snapshot.gaps("door")

    assert [gap.cause for gap in gaps if gap.cause not in ("connecting", "stopped")] == ["clock set"]
    spans = sorted([*(moment.span for moment in moments), *(gap.span for gap in gaps)])
    assert sum(span.duration_s for span in spans) == pytest.approx(stopped_s, abs=0.2)
    for moment in moments:
        told_s = moment.wall_start_s - (stream.origin_wall_s + moment.span.start_s)
        assert told_s == pytest.approx(set_by_s if moment.epoch else 0.0, abs=0.2)
    assert {moment.epoch for moment in moments} == {0, 1}
