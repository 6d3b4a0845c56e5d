"""The server process: starts vLLM, waits until it is ready, and ends it with all its children.

    with VllmServer(launch, log=Path("vllm.log")) as server:
        server.wait_ready(timeout_s=300)
        ...                             # clients use launch.url

The server ends with the block, or with this process, even if this process is killed. The server has a process group
of its own, so Ctrl-C in a terminal does not reach it directly.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

from .errors import ServerEnded, ServerNotReady
from .launch import Launch

_LOOK_EVERY_S = 0.2
_ANSWER_S = 5.0
_REST_S = 5.0
"""How long the remaining children of a server may take to end."""
_PR_SET_PDEATHSIG = 1
_LAST_LINES = 20


class VllmServer:
    """A server that ends no later than the process that started it.

    On Linux the kernel sends it SIGTERM when the thread that called ``start`` ends, even if that was killed. On other
    systems it ends with this process only if this process ends normally. A vLLM that gets SIGTERM while it starts can
    take minutes to end.

    Args:
        launch: The launch plan.
        log: The file for its output; None is the output of this process.
        grace_s: How long it may take to end after SIGTERM.

    """

    def __init__(self, launch: Launch, *, log: Path | None = None, grace_s: float = 5.0) -> None:
        self.launch = launch
        self._grace_s = grace_s
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False

    @property
    def pid(self) -> int:
        """The id of its process, which is also that of its process group."""
        return self._running().pid

    def start(self) -> None:
        """Start the process. It takes half a minute or more to be ready.

        Raises:
            CannotListen: The port is taken, or the address is not of this machine.

        """
        self.launch.check_address()
        output: IO[bytes] | None = self._log.open("ab") if self._log else None
        with output or contextlib.nullcontext():
            self._process = subprocess.Popen(
                self.launch.command,
                env=self.launch.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                preexec_fn=_ends_with_its_parent(),  # noqa: PLW1509 - it does nothing but system calls
            )

    def is_ready(self) -> bool:
        """Whether the server's health check succeeds."""
        address = urlsplit(self.launch.root)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER_S)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the server takes requests.

        Raises:
            ServerEnded: The process ended.
            ServerNotReady: The server was not ready in time.

        """
        until = time.monotonic() + timeout_s
        while not self.is_ready():
            code = self._running().poll()
            if code is not None:
                raise ServerEnded(self.launch.model, _as_exit_code(code), self._last_lines())
            if time.monotonic() > until:
                raise ServerNotReady(self.launch.model, timeout_s, self._last_lines())
            time.sleep(_LOOK_EVERY_S)

    def wait(self) -> int:
        """Wait until the process has ended, end its remaining children, and return its exit code."""
        code = self._running().wait()
        if not self._over:
            self._over = True  # the id of an empty process group may be reused
            self._end_the_rest()
        return _as_exit_code(code)

    def terminate(self) -> None:
        """Send SIGTERM without waiting. After ``grace_s`` the process is killed.

        vLLM can take minutes to end while its parts still connect to each other.
        """
        if self._running().poll() is not None:
            return
        self._running().terminate()
        insist = threading.Timer(self._grace_s, self.kill)
        insist.daemon = True
        insist.start()

    def kill(self) -> None:
        """Kill the process without waiting. ``wait`` then ends its children."""
        self._running().kill()

    def stop(self) -> int:
        """Terminate the process, wait until it has ended, and return its exit code."""
        self.terminate()
        return self.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    def _end_the_rest(self) -> None:
        # SIGTERM first: the process that frees Python's shared memory after all others ignores it. If it were killed
        # with them, the memory would stay allocated.
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + _REST_S
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
                while time.monotonic() < until:
                    os.killpg(self.pid, 0)
                    time.sleep(_LOOK_EVERY_S)

    def _last_lines(self) -> str:
        if self._log is None:
            return ""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])


def _as_exit_code(code: int) -> int:
    """The exit code as a shell reports it: 128 plus the number of the signal that ended the process."""
    return 128 - code if code < 0 else code


def _ends_with_its_parent() -> Callable[[], None] | None:
    """A function for the new process that requests SIGTERM when its parent ends; None if the system has no such thing."""
    if sys.platform != "linux":
        return None
    control, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_the_kernel() -> None:
        control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before the request
            os._exit(1)

    return ask_the_kernel
