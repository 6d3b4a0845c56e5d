"""The status tells the truth about a stream that another process watches, and about one whose process died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.memory.storage.activity import ACTIVITY_NAME, ActivityFile, read_activity
from recollect.stream_activity import StreamActivity
from recollect.testing.stream_servers import HttpStreamServer


def wait_until(happened: Callable[[], bool], timeout_s: float = 30.0) -> None:
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def watching_elsewhere(memory: Path, *urls: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "recollect.cli.main",
        "--memory",
        str(memory),
        "watch",
        "--no-ocr",
        *urls,
    ]
    if len(urls) == 1:
        command += ["--stream", "door"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def activity_of(memory: Path) -> StreamActivity | None:
    if not (memory / ACTIVITY_NAME).exists():
        return None
    with Recollect(memory) as opened:
        statuses = opened.status()
    return statuses[0].activity if statuses else None


def test_a_file_of_a_dead_writer_says_what_was_interrupted(tmp_path):
    file = ActivityFile(tmp_path)
    file.write({"door": {"state": "live"}}, {"gate": 5.0})
    alive = read_activity(tmp_path)
    file._lock.close()  # as the kernel does when the process dies
    dead = read_activity(tmp_path)

    assert (dict(alive.streams), dict(alive.interrupted)) == ({"door": {"state": "live"}}, {"gate": 5.0})
    assert dead.streams == {}
    assert dead.interrupted == {"gate": 5.0, "door": pytest.approx(time.time(), abs=5.0)}
    with ActivityFile(tmp_path) as next_writer:
        assert next_writer.interrupted == dead.interrupted


@pytest.mark.parametrize("text", ["", "[]", '{"streams": 3}', '{"written_s": "x"}', "[" * 100_000])
def test_a_damaged_file_says_nothing(tmp_path, text):
    (tmp_path / ACTIVITY_NAME).write_text(text, encoding="utf-8")

    assert read_activity(tmp_path).streams == {}


def test_a_clean_end_leaves_no_file(tmp_path):
    with ActivityFile(tmp_path) as file:
        file.write({"door": {"state": "live"}}, {})
        file.write({}, {})

    assert not (tmp_path / ACTIVITY_NAME).exists()


@pytest.mark.slow
def test_a_watch_tells_how_its_camera_is_connected(tmp_path):
    with HttpStreamServer(fps=10) as server, Recollect(tmp_path / "m.lance") as memory:
        watch = memory.start(server.url, stream="door")
        wait_until(
            lambda: watch.status().connection is not None and watch.status().connection.state == "live"
        )
        wait_until(lambda: watch.status().connection.frames_per_s > 2)
        live, live_at_s = watch.status().connection, time.time()
        [status] = memory.status()
        server.answer_with(401)
        server.drop()
        wait_until(lambda: watch.status().connection.cause == "unauthorised")
        away = watch.status().connection
        watch.stop()
        watch.wait()

    assert live_at_s - live.last_frame_s < 3.0
    assert live.lag_s < 3.0
    assert (live.cause, live.reconnects) == ("", 0)
    assert status.state == "watching"
    assert status.activity.state in ("connecting", "live")
    assert "401" in away.detail
    assert away.attempts >= 1
    assert away.since_s >= live.since_s


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills the process with a signal")
def test_a_killed_process_is_interrupted_and_not_watching(tmp_path, capsys):
    from recollect.cli.main import main

    memory = tmp_path / "m.lance"
    with HttpStreamServer(fps=10) as server:
        with watching_elsewhere(memory, server.url) as process:
            wait_until(lambda: (activity := activity_of(memory)) is not None and activity.state == "live")
            assert main(["--memory", str(memory), "--json", "status"]) == 0
            [watched] = json.loads(capsys.readouterr().out)["streams"]
            process.send_signal(signal.SIGKILL)
            process.wait()
            died_s = time.time()
        assert main(["--memory", str(memory), "--json", "status"]) == 0
        [interrupted] = json.loads(capsys.readouterr().out)["streams"]
        assert main(["--memory", str(memory), "status"]) == 0
        shown = capsys.readouterr().out

    assert (watched["state"], watched["activity"]["state"]) == ("watching", "live")
    assert (interrupted["state"], interrupted["activity"]["state"]) == ("interrupted", "interrupted")
    assert interrupted["activity"]["since_s"] == pytest.approx(died_s, abs=5.0)
    assert "watching was interrupted at" in shown
