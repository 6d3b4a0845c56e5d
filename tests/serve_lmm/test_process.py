"""The process a server runs in: when it is ready, how it ends, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from recollect.serve_lmm.errors import CannotListen, ServerEnded, ServerNotReady
from recollect.serve_lmm.launch import Launch, plan_launch
from recollect.serve_lmm.process import VllmServer
from recollect.serve_lmm.vllm import find_vllm
from recollect.settings import read_settings

from .conftest import RECOLLECT

PATIENCE_S = 30.0


@pytest.fixture
def launched(stand_in, model, port) -> Callable[..., Launch]:
    def launching(*further: str) -> Launch:
        return plan_launch(read_settings(serve={"model": str(model), "port": port}), find_vllm(), further)

    return launching


@contextmanager
def command(model: Path, port: int, *further: str) -> Iterator[subprocess.Popen[str]]:
    """``recollect serve-lmm`` in a process of its own."""
    argv = [*RECOLLECT, "serve-lmm", str(model), "--port", str(port), "--", *further]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(port: int) -> dict[str, Any]:
    """What the stand-in says of itself, when it can."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                said: dict[str, Any] = json.loads(answer.read())
                return said
        except OSError:
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or is a corpse that nobody has looked after yet."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_server_is_there_inside_the_block_and_not_after_it(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)
        said = told(server.launch.port)

    assert said["pid"] == server.pid
    assert said["words"][1:] == list(server.launch.command[5:])
    assert said["variables"]["HF_HUB_OFFLINE"] == "1"
    assert has_ended(said["pid"])
    assert has_ended(said["helper"])


@pytest.mark.slow
def test_it_can_be_started_again_at_the_same_place(launched):
    for _ in range(2):
        with VllmServer(launched()) as server:
            server.wait_ready(PATIENCE_S)

            assert server.is_ready()


def test_a_server_that_ends_instead_is_told_with_its_last_words(launched, tmp_path):
    with (
        VllmServer(launched("--fail-at-once"), log=tmp_path / "log") as server,
        pytest.raises(ServerEnded, match="no such architecture") as raised,
    ):
        server.wait_ready(PATIENCE_S)

    assert raised.value.code == 7


@pytest.mark.slow
def test_waiting_for_a_server_has_an_end(launched):
    with VllmServer(launched("--never-ready")) as server, pytest.raises(ServerNotReady):
        server.wait_ready(0.5)


@pytest.mark.slow
def test_a_server_that_does_not_end_when_asked_is_killed(launched):
    with VllmServer(launched("--stubborn"), grace_s=0.5) as server:
        server.wait_ready(PATIENCE_S)
        said = told(server.launch.port)

        assert server.stop() == 128 + signal.SIGKILL

    assert has_ended(said["helper"])


@pytest.mark.slow
def test_a_second_server_at_the_same_place_is_not_started(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)

        with pytest.raises(CannotListen):
            VllmServer(launched()).start()


def test_what_it_started_ends_even_if_it_was_killed(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)
        said = told(server.launch.port)
        os.kill(server.pid, signal.SIGKILL)

        assert server.wait() == 128 + signal.SIGKILL

    assert has_ended(said["helper"])


def test_the_command_says_when_it_serves_and_how_to_use_it(stand_in, model, port):
    with command(model, port) as process:
        said = [line for line in (process.stdout.readline() for _ in range(3)) if line != "asked\n"]

    assert said[0] == "recollect: tiny is served. To use it:\n"
    assert said[1] == f"  export RECOLLECT_LMM__URL=http://127.0.0.1:{port}/v1\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_the_code_of_the_server(stand_in, model, port, number):
    with command(model, port) as process:
        said = told(port)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 3
    assert err == ""
    assert has_ended(said["helper"])


@pytest.mark.slow
def test_a_second_signal_ends_a_server_that_does_not_listen(stand_in, model, port):
    with command(model, port, "--stubborn") as process:
        said = told(port)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 128 + signal.SIGKILL
    assert has_ended(said["pid"])


def test_a_server_that_cannot_start_gives_its_code_and_one_line(stand_in, model, port):
    with command(model, port, "--fail-at-once") as process:
        out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 7
    assert "no such architecture" in out
    assert len(err.splitlines()) == 1
    assert "exit code 7" in err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux ends children with their parent")
def test_a_server_does_not_outlive_a_killed_command(stand_in, model, port):
    with command(model, port) as process:
        said = told(port)
        process.kill()
        process.wait(PATIENCE_S)

    assert has_ended(said["pid"])
    os.kill(said["helper"], signal.SIGKILL)  # vLLM ends its own; the stand-in leaves this one behind
