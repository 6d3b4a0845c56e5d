"""``recollect watch`` on a live stream with outages, while another process asks its memory."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect import Recollect
from recollect.client import StreamStatus
from recollect.memory.errors import MemoryStoreError
from recollect.memory.values import Gap
from recollect.testing.stream_servers import HttpStreamServer, RtspServer

WORDS = ("KITCHEN", "GARDEN", "HARBOUR", "LIBRARY", "STATION", "MUSEUM")
WORD_S = 10.0


def word_at(time_s: float) -> str:
    return WORDS[int(time_s / WORD_S) % len(WORDS)]


def draw(time_s: float) -> np.ndarray:
    """A word that changes every ten seconds, and the seconds below it."""
    picture = np.full((360, 640, 3), 225, np.uint8)
    cv2.putText(picture, word_at(time_s), (40, 150), cv2.FONT_HERSHEY_SIMPLEX, 3, (20, 20, 20), 8)
    cv2.putText(picture, f"{int(time_s)}", (40, 310), cv2.FONT_HERSHEY_SIMPLEX, 3, (120, 40, 20), 8)
    return picture


def wait_until(happened: Callable[[], object], timeout_s: float = 120.0) -> None:
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.2)


@contextmanager
def watching(url: str, memory: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a child process. SIGTERM must end it with exit code 0."""
    command = ["watch", url, "--stream", "door", "--memory", str(memory)]
    child = subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
        assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGTERM)
        output, log = child.communicate(timeout=30)
        assert child.returncode == 0, log
        assert output.startswith("door: watched to"), output
        assert "Traceback" not in log
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def status_of(recollect: Recollect) -> StreamStatus | None:
    """The status of the stream, or None before it exists."""
    try:
        return next(iter(recollect.status()), None)
    except MemoryStoreError:
        return None


def gaps_of(recollect: Recollect) -> list[Gap]:
    status = status_of(recollect)
    return [] if status is None else [gap for gap in status.gaps if gap.cause != "connecting"]


def epochs_of(recollect: Recollect) -> set[int]:
    if status_of(recollect) is None:
        return set()
    return {moment.epoch for moment in recollect.timeline("door")}


def stream_now_s(recollect: Recollect) -> float:
    status = status_of(recollect)
    assert status is not None
    assert status.stream.origin_wall_s is not None
    return time.time() - status.stream.origin_wall_s


def assert_answers_about_now(recollect: Recollect) -> float:
    """The answer to a question about now has evidence of the last 15 s. Returns the age of the newest, in seconds."""
    answer = recollect.ask("What is to be seen now?")
    now_s = stream_now_s(recollect)

    assert not answer.abstained, answer
    ago_s = now_s - max(evidence.end_s for evidence in answer.evidence)
    assert ago_s < 15.0, answer
    return ago_s


def assert_accounted_for(recollect: Recollect) -> None:
    """Every second from the first frame on is in a moment or a gap, and every frame is counted."""
    status = status_of(recollect)
    assert status is not None
    moments = recollect.timeline("door", limit=100_000)
    spans = sorted([moment.span for moment in moments] + [gap.span for gap in status.gaps])
    assert all(abs(later.start_s - earlier.end_s) < 0.6 for earlier, later in pairwise(spans)), spans
    assert status.counts.balanced
    assert status.counts.captured > 5 * status.coverage.watched_s
    assert all(moment.counts.balanced for moment in moments)


@pytest.mark.slow
def test_a_live_stream_answers_while_watched_and_reports_outages(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    with HttpStreamServer(draw) as server, Recollect(memory) as recollect:
        with watching(server.url, memory):
            wait_until(lambda: epochs_of(recollect))
            assert_answers_about_now(recollect)

            server.refuse()
            wait_until(lambda: gaps_of(recollect))
            (open_gap,) = gaps_of(recollect)
            accepted = server.connections
            server.resume()
            wait_until(lambda: server.connections > accepted)
            time.sleep(3.0)

        (gap,) = gaps_of(recollect)
        assert gap.id == open_gap.id
        assert gap.cause == "dropped"
        assert gap.span.end_s > open_gap.span.end_s
        assert epochs_of(recollect) == {0, 1}
        assert_accounted_for(recollect)


@pytest.mark.slow
@pytest.mark.parametrize("server_kind", [HttpStreamServer, RtspServer])
def test_a_drop_and_a_stall_leave_two_gaps_and_watching_resumes(
    tmp_path: Path, server_kind: type[HttpStreamServer] | type[RtspServer]
) -> None:
    memory = tmp_path / "memory"
    with server_kind(draw) as server, Recollect(memory) as recollect:
        with watching(server.url, memory):
            wait_until(lambda: epochs_of(recollect) == {0})
            server.drop()
            server.refuse()
            time.sleep(3.0)
            server.resume()
            wait_until(lambda: epochs_of(recollect) == {0, 1})
            assert_answers_about_now(recollect)
            server.stall()
            wait_until(lambda: len(gaps_of(recollect)) == 2)
            server.resume()
            wait_until(lambda: epochs_of(recollect) == {0, 1, 2})
            assert_answers_about_now(recollect)

        dropped, stalled = gaps_of(recollect)
        assert (dropped.cause, stalled.cause) == ("dropped", "stalled")
        assert (dropped.epoch, stalled.epoch) == (0, 1)
        assert dropped.attempts >= 1
        assert stalled.span.duration_s >= 5.0
        assert_accounted_for(recollect)

        server.refuse()
        with watching(server.url, memory):
            wait_until(lambda: recollect.gaps("door")[-1].cause == "connecting")
            server.resume()
            wait_until(lambda: epochs_of(recollect) == {0, 1, 2, 3})
        restart_gap = gaps_of(recollect)[-1]
        assert restart_gap.cause == "not watched"
        assert restart_gap.epoch == 2
        assert_accounted_for(recollect)
        later = [moment for moment in recollect.timeline("door") if moment.epoch == 3]
        assert later[0].span.start_s > restart_gap.span.end_s
        assert stream_now_s(recollect) - later[-1].span.end_s < 15.0
