"""``recollect watch`` with several sources: cameras and files at once, stopped by one Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recollect.memory import MemoryStore
from recollect.testing.stream_servers import HttpStreamServer, RtspServer


@pytest.fixture
def cameras() -> Iterator[tuple[HttpStreamServer, RtspServer]]:
    with HttpStreamServer() as first, RtspServer() as second:
        yield first, second


def start(memory: Path, *sources: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "recollect.cli.main", "watch", *sources, "--memory", str(memory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(child: subprocess.Popen[str]) -> tuple[str, str]:
    """Send SIGINT as Ctrl-C does, and return the remaining output."""
    child.send_signal(signal.SIGINT)
    return child.communicate(timeout=60)


@pytest.mark.slow  # starts Python and two cameras: some 10 s
def test_cameras_and_a_file_are_watched_until_ctrl_c(cameras, short_video, tmp_path):
    memory = tmp_path / "home.lance"
    child = start(memory, cameras[0].url, str(short_video), cameras[1].url)
    try:
        assert child.stdout is not None
        # The file does not wait for the cameras, which have no end.
        first = child.stdout.readline()
        still_runs = child.poll() is None
        out, err = end(child)
    finally:
        child.kill()
        child.wait()

    assert first.startswith("short: watched to 0:02"), err
    assert still_runs
    assert child.returncode == 0, err
    assert len([line for line in out.splitlines() if "watched to" in line]) == 2
    assert "Traceback" not in err
    with MemoryStore.open(memory) as store:
        assert [stream.state for stream in store.streams() if stream.kind == "live"] == ["stopped"] * 2


@pytest.mark.slow  # starts Python several times: some 10 s
@pytest.mark.parametrize("after_s", [1.0, 2.0])
def test_an_early_ctrl_c_ends_every_camera(tmp_path, after_s):
    """The cameras do not answer, so they would be tried for ever."""
    child = start(tmp_path / "home.lance", "rtsp://127.0.0.1:9/door", "rtsp://127.0.0.1:9/yard")
    time.sleep(after_s)
    try:
        end(child)
    finally:
        child.kill()
        child.wait()

    assert child.returncode in (0, 130)


@pytest.mark.slow  # starts Python: some 5 s
def test_a_source_that_fails_does_not_end_the_others(short_video, tmp_path):
    child = start(tmp_path / "home.lance", str(tmp_path / "none.mp4"), str(short_video))

    out, err = child.communicate(timeout=60)

    assert child.returncode == 2
    assert "there is no file" in err
    assert "short: watched to 0:02" in out
