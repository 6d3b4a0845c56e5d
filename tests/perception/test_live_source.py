"""Live sources over real sockets: every loss is reported, and nothing hangs."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from recollect.common.backoff import Backoff
from recollect.perception.errors import SourceUnreachable
from recollect.perception.sources.connection_progress import LiveTimeouts
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.sources.overload_ladder import DROP_S
from recollect.perception.sources.reader_child import FRAMES_IN_FLIGHT
from recollect.perception.sources.source import Dropped, Event, Outage
from recollect.testing.stream_servers import HttpStreamServer, RtspServer

HASTE = LiveTimeouts(open_s=3.0, stall_s=0.8, backoff=Backoff(first_s=0.1, longest_s=0.3))


def wait_until(happened: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


class Watching:
    """Iterates a source on a thread, as a worker does, so that a test can wait for its events."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.events: list[Event] = []
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        try:
            for event in self.source.frames():
                self.events.append(event)
        except SourceUnreachable as error:
            self.error = error

    @property
    def frames(self) -> list[Frame]:
        return [event for event in self.events if isinstance(event, Frame)]

    @property
    def outages(self) -> list[Outage]:
        return [event for event in self.events if isinstance(event, Outage)]

    def wait_for_frames(self, count: int, *, epoch: int = 0, timeout_s: float = 20.0) -> None:
        wait_until(lambda: sum(frame.epoch == epoch for frame in self.frames) >= count, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> float:
        """Stop the source, and return the seconds that this took."""
        began = time.monotonic()
        self.source.stop()
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def join(self, timeout_s: float = 10.0) -> None:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()


@contextmanager
def watching(url: str, **options: object) -> Iterator[Watching]:
    with closing(LiveSource(url, 4, **{"timeouts": HASTE, **options})) as source:
        watch = Watching(source)
        yield watch
        watch.stop()


@pytest.mark.parametrize("server_kind", [HttpStreamServer, RtspServer])
def test_frames_arrive_with_stream_time_wall_time_and_pictures(server_kind):
    with server_kind(fps=25) as server, watching(server.url) as watch:
        watch.wait_for_frames(30)
        now_s = time.time()
        watch.stop()

    frames = watch.frames
    assert frames[0].time_s == 0.0
    assert watch.source.info.started_wall_s == frames[0].wall_s
    assert abs(frames[29].wall_s - now_s) < 2.0
    assert all(frame.wall_s - frame.time_s == pytest.approx(frames[0].wall_s, abs=1e-3) for frame in frames)
    assert [b.time_s - a.time_s for a, b in itertools.pairwise(frames[:20])] == pytest.approx(
        [0.04] * 19, abs=0.05
    )
    assert {frame.thumb.shape for frame in frames} == {THUMB_SHAPE}
    assert frames[0].sampled
    assert frames[0].small.shape == (240, 320, 3)
    assert frames[0].picture().shape == (240, 320, 3)
    assert 3 <= sum(frame.sampled for frame in frames[:26]) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("server_kind", [HttpStreamServer, pytest.param(RtspServer, marks=pytest.mark.slow)])
def test_a_stall_becomes_an_outage_and_a_new_epoch(server_kind):
    with server_kind(fps=25) as server, watching(server.url) as watch:
        watch.wait_for_frames(10)
        server.stall()
        wait_until(lambda: watch.source.current_outage is not None)
        outage_meanwhile = watch.source.current_outage
        server.resume()
        watch.wait_for_frames(5, epoch=1)

    [outage] = watch.outages
    assert outage.cause == "stalled"
    assert outage.epoch == 0
    assert outage_meanwhile is not None
    assert outage_meanwhile.start_s == outage.start_s
    assert outage.end_s - outage.start_s > 0.5
    assert outage.wall_start_s == pytest.approx(watch.frames[0].wall_s + outage.start_s)
    epochs = [frame.epoch for frame in watch.frames]
    assert epochs == sorted(epochs)
    assert next(frame for frame in watch.frames if frame.epoch == 1).time_s == outage.end_s
    assert watch.source.current_outage is None


@pytest.mark.slow
def test_two_drops_are_two_outages_and_time_never_goes_back():
    with HttpStreamServer(fps=25) as server, watching(server.url) as watch:
        for epoch in (0, 1):
            watch.wait_for_frames(10, epoch=epoch)
            server.drop()
        watch.wait_for_frames(5, epoch=2)

    assert [outage.cause for outage in watch.outages] == ["dropped", "dropped"]
    assert [outage.epoch for outage in watch.outages] == [0, 1]
    times = [frame.time_s for frame in watch.frames]
    assert times == sorted(set(times))


@pytest.mark.slow
def test_a_refusing_server_is_tried_until_it_accepts():
    states = []
    with HttpStreamServer(fps=25) as server:
        server.refuse()
        with watching(server.url, on_state=lambda state, detail: states.append((state, detail))) as watch:
            wait_until(lambda: any(state == "backing_off" for state, _ in states))
            server.refuse(False)
            watch.wait_for_frames(3)

    assert watch.outages == []
    assert watch.frames[0].epoch == 0
    assert any(state == "backing_off" and "refused" in detail.lower() for state, detail in states)
    names = [state for state, _ in states]
    assert names.index("backing_off") < names.index("live") < names.index("stopped")


@pytest.mark.parametrize(("status", "cause"), [(401, "unauthorised"), (404, "not found"), (503, "refused")])
def test_the_status_of_the_server_becomes_the_cause(status, cause):
    with HttpStreamServer() as server:
        server.answer_with(status)
        source = LiveSource(server.url, 4, max_outage_s=0.1, timeouts=HASTE)
        with closing(source), pytest.raises(SourceUnreachable) as raised:
            list(source.frames())

    assert raised.value.why.startswith(cause)
    assert raised.value.attempts >= 1


@pytest.mark.slow
def test_a_source_unreachable_too_long_ends_with_its_outage():
    with HttpStreamServer(fps=25) as server, watching(server.url, max_outage_s=1.0) as watch:
        watch.wait_for_frames(5)
        server.refuse()
        watch.join()

    assert isinstance(watch.error, SourceUnreachable)
    [outage] = watch.outages
    assert outage.cause == "dropped"
    assert outage.end_s - outage.start_s > 0.5


def test_stopping_is_prompt_and_keeps_the_frames_read():
    with HttpStreamServer(fps=25) as server, watching(server.url) as watch:
        watch.wait_for_frames(10)
        read_count = len(watch.events)
        took_s = watch.stop()

    assert took_s < 1.0
    assert len(watch.events) >= read_count
    assert watch.outages == []


@pytest.mark.slow
def test_stopping_in_an_outage_still_reports_it():
    with HttpStreamServer(fps=25) as server, watching(server.url) as watch:
        watch.wait_for_frames(5)
        server.refuse()
        wait_until(lambda: watch.source.current_outage is not None)
        time.sleep(0.6)
        took_s = watch.stop()

    assert took_s < 1.0
    assert isinstance(watch.events[-1], Outage)
    assert watch.events[-1].end_s - watch.events[-1].start_s > 0.5


def test_a_silent_server_does_not_block_stopping():
    states = []
    quick = LiveTimeouts(open_s=0.5, stall_s=0.5, backoff=Backoff(first_s=0.1, longest_s=0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with watching(url, timeouts=quick, on_state=lambda state, _: states.append(state)) as watch:
            wait_until(lambda: "backing_off" in states)
            took_s = watch.stop()

    assert "stalled" in states
    assert took_s < 1.0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="stops the process with a signal")
def test_a_reader_that_hangs_is_killed_and_replaced():
    """SIGSTOP simulates a decoder in an endless loop: the process does not react, not even to SIGTERM."""
    import signal

    with HttpStreamServer(fps=25) as server, watching(server.url) as watch:
        watch.wait_for_frames(5)
        process = watch.source._child._process
        process.send_signal(signal.SIGSTOP)
        watch.wait_for_frames(3, epoch=1)

    assert process.poll() == -signal.SIGKILL
    assert watch.outages[0].cause == "stalled"


@pytest.mark.slow
def test_a_burst_waits_for_a_slow_consumer_and_nothing_is_lost():
    """A consumer that pauses for less than the ladder's bound gets every frame afterwards."""
    with HttpStreamServer(fps=50) as server, closing(LiveSource(server.url, 4, timeouts=HASTE)) as source:
        events = source.frames()
        next(events)
        time.sleep(2.5)
        frames = list(itertools.islice(events, 150))
        events.close()

    assert all(isinstance(event, Frame) for event in frames)
    assert max(b.time_s - a.time_s for a, b in itertools.pairwise(frames)) < 0.1


@pytest.mark.slow
def test_a_consumer_that_is_too_slow_gets_a_report_of_drops():
    with HttpStreamServer(fps=25) as server, closing(LiveSource(server.url, 4, timeouts=HASTE)) as source:
        events = source.frames()
        next(events)
        time.sleep(DROP_S + 1.0)
        later = list(itertools.islice(events, 3 * FRAMES_IN_FLIGHT))
        events.close()

    dropped = [event for event in later if isinstance(event, Dropped)]
    assert sum(event.count for event in dropped if event.cause == "overload") > 25
    times = [event.time_s for event in later if isinstance(event, Frame)]
    assert max(b - a for a, b in itertools.pairwise(times)) > DROP_S - 1.0


@pytest.mark.slow
def test_credentials_appear_in_no_state_and_no_outage():
    states = []
    with HttpStreamServer(fps=25) as server:
        url = server.url.replace("//", "//anna:s3cret@") + "?token=t0psecret"
        with watching(url, on_state=lambda *fields: states.append(" ".join(fields))) as watch:
            watch.wait_for_frames(3)
            server.refuse()
            time.sleep(0.5)

    shown = " ".join([*states, repr(watch.source.info), repr(watch.outages)])
    assert "s3cret" not in shown
    assert "t0psecret" not in shown


def test_pauses_grow_and_stay_below_their_limits():
    timeouts = LiveTimeouts()

    assert all(timeouts.backoff_after("refused").pause_s(1) <= 1.0 for _ in range(50))
    assert all(timeouts.backoff_after("refused").pause_s(100) <= 60.0 for _ in range(50))
    assert max(timeouts.backoff_after("unauthorised").pause_s(100) for _ in range(200)) > 60.0
    assert max(timeouts.backoff_after("stalled").pause_s(4) for _ in range(200)) > 4.0
