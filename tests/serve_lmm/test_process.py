"""The server process: when it is ready, how it ends, and that no child remains."""

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
                state: dict[str, Any] = json.loads(answer.read())
                return state
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


def test_a_server_runs_inside_the_block_only(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)
        state = told(server.launch.port)

    assert state["pid"] == server.pid
    assert state["words"][1:] == list(server.launch.command[5:])
    assert state["variables"]["HF_HUB_OFFLINE"] == "1"
    assert has_ended(state["pid"])
    assert has_ended(state["helper"])


@pytest.mark.slow
def test_a_server_can_be_started_again_at_the_same_address(launched):
    for _ in range(2):
        with VllmServer(launched()) as server:
            server.wait_ready(PATIENCE_S)

            assert server.is_ready()


def test_an_early_end_of_the_server_is_reported_with_its_output(launched, tmp_path):
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
def test_a_server_that_ignores_sigterm_is_killed(launched):
    with VllmServer(launched("--stubborn"), grace_s=0.5) as server:
        server.wait_ready(PATIENCE_S)
        state = told(server.launch.port)

        assert server.stop() == 128 + signal.SIGKILL

    assert has_ended(state["helper"])


@pytest.mark.slow
def test_a_second_server_at_the_same_address_is_refused(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)

        with pytest.raises(CannotListen):
            VllmServer(launched()).start()


@pytest.mark.slow
def test_the_children_of_a_killed_server_end_too(launched):
    with VllmServer(launched()) as server:
        server.wait_ready(PATIENCE_S)
        state = told(server.launch.port)
        os.kill(server.pid, signal.SIGKILL)

        assert server.wait() == 128 + signal.SIGKILL

    assert has_ended(state["helper"])


def test_the_command_prints_when_it_is_ready_and_how_to_use_it(stand_in, model, port):
    with command(model, port) as process:
        state = [line for line in (process.stdout.readline() for _ in range(3)) if line != "asked\n"]

    assert state[0] == "recollect: tiny is served. To use it:\n"
    assert state[1] == f"  export RECOLLECT_LMM__URL=http://127.0.0.1:{port}/v1\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_the_servers_exit_code(stand_in, model, port, number):
    with command(model, port) as process:
        state = told(port)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 3
    assert err == ""
    assert has_ended(state["helper"])


@pytest.mark.slow
def test_a_second_signal_kills_a_server_that_ignores_the_first(stand_in, model, port):
    with command(model, port, "--stubborn") as process:
        state = told(port)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 128 + signal.SIGKILL
    assert has_ended(state["pid"])


def test_a_server_that_cannot_start_gives_its_code_and_one_line(stand_in, model, port):
    with command(model, port, "--fail-at-once") as process:
        out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 7
    assert "no such architecture" in out
    assert len(err.splitlines()) == 1
    assert "exit code 7" in err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux ends children with their parent")
def test_the_server_ends_even_if_the_command_is_killed(stand_in, model, port):
    with command(model, port) as process:
        state = told(port)
        process.kill()
        process.wait(PATIENCE_S)

    assert has_ended(state["pid"])
    os.kill(state["helper"], signal.SIGKILL)  # vLLM ends its own; the stand-in leaves this one behind
