"""Every signal ends watching cleanly and soon, whatever the cameras do, and the log has one event a line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.testing.stream_servers import HttpStreamServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="sends signals")]


@contextmanager
def watching(memory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "recollect.cli.main",
        "--memory",
        str(memory),
        "watch",
        "--no-ocr",
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def read_until(process: subprocess.Popen[str], word: str, count: int) -> list[str]:
    lines: list[str] = []
    while sum(word in line for line in lines) < count:
        line = process.stderr.readline()
        assert line, f"it ended: {lines}"
        lines.append(line)
    return lines


@pytest.mark.parametrize("cameras", [1, 3])
@pytest.mark.parametrize(
    ("state", "number"),
    [("connecting", "SIGHUP"), ("backing off", "SIGTERM"), ("outage", "SIGINT"), ("live", "SIGHUP")],
)
def test_a_signal_ends_watching_cleanly_within_seconds(tmp_path, cameras, state, number):
    with socket.create_server(("127.0.0.1", 0)) as silent, HttpStreamServer(fps=10) as server:
        port = silent.getsockname()[1] if state == "connecting" else server.port
        urls = [f"http://127.0.0.1:{port}/{camera}" for camera in range(cameras)]
        if state == "backing off":
            server.refuse()
        with watching(tmp_path / "m.lance", *urls) as process:
            if state in ("outage", "live"):
                read_until(process, ": live", cameras)
                time.sleep(3.0)
            if state == "outage":
                server.refuse()
            read_until(
                process,
                "connecting" if state == "connecting" else "disconnected",
                cameras * (state != "live"),
            )
            began_s = time.monotonic()
            process.send_signal(getattr(signal, number))
            process.send_signal(signal.SIGTERM)  # service managers may send several
            assert process.wait(20) == 0
            took_s = time.monotonic() - began_s

    assert took_s < 10.0
    with Recollect(tmp_path / "m.lance") as memory:
        statuses = memory.status()
    assert len(statuses) == cameras
    assert {status.state for status in statuses} == {"stopped"}
    if state in ("outage", "live"):
        assert all(status.coverage.watched_s > 1.0 for status in statuses)


def test_the_log_has_time_level_and_stream(tmp_path):
    with HttpStreamServer() as server:
        server.refuse()
        with watching(tmp_path / "m.lance", "--stream", "door", server.url) as process:
            [*_, line] = read_until(process, "disconnected", 1)
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d WARNING door: disconnected \(.*refused.*\)\n"
    assert re.fullmatch(pattern, line)


def test_the_log_is_json_where_that_is_asked_for(tmp_path):
    with HttpStreamServer() as server:
        server.refuse()
        with watching(
            tmp_path / "m.lance", "--stream", "door", "--log-format", "json", server.url
        ) as process:
            lines = [json.loads(line) for line in read_until(process, "Disconnected", 1)]
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    assert {"level": "WARNING", "stream": "door", "event": "Disconnected"}.items() <= lines[-1].items()
    assert all(line["time"] and line["message"] for line in lines)
