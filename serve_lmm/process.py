"""The process a server runs in, and all that it starts.

    with VllmServer(launch, log=Path("vllm.log")) as server:
        server.wait_ready(timeout_s=300)
        ...                             # clients ask at launch.url

Leaving the block ends it, and so does the end of this process, however that comes. The server is in a
process group of its own, so Ctrl-C in a terminal reaches it through us alone.
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
"""How long what a server leaves running may take to end."""
_PR_SET_PDEATHSIG = 1
_LAST_LINES = 20


class VllmServer:
    """A server that lives no longer than the process that made it.

    On Linux the kernel asks it to end when the thread that called ``start`` is gone, even if that was
    killed; elsewhere only a process that ends in an orderly way takes it along. Asked in the middle of its
    start, vLLM can take minutes, and nobody is left to insist.

    Args:
        launch: What to run.
        log: A file that gets what it prints; None lets it print where we do.
        grace_s: How long it may take to end when it is asked to.

    """

    def __init__(self, launch: Launch, *, log: Path | None = None, grace_s: float = 5.0) -> None:
        self.launch = launch
        self._grace_s = grace_s
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False

    @property
    def pid(self) -> int:
        """Its process, which is also its process group."""
        return self._running().pid

    def start(self) -> None:
        """Start it; it takes half a minute or more until it is ready.

        Raises:
            CannotListen: the port is taken, or the address is not of this machine.

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
        """Whether it answers that it is healthy."""
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
        """Wait until it takes requests.

        Raises:
            ServerEnded: it ended instead.
            ServerNotReady: it took longer than that.

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
        """Wait until it has ended, end whatever it left running, and return its exit code."""
        code = self._running().wait()
        if not self._over:
            self._over = True  # the number of an empty group may become another's
            self._end_the_rest()
        return _as_exit_code(code)

    def terminate(self) -> None:
        """Ask it to end, without waiting for that; if it takes longer than ``grace_s``, it is killed.

        vLLM can take minutes, where it is asked while its parts still look for each other.
        """
        if self._running().poll() is not None:
            return
        self._running().terminate()
        insist = threading.Timer(self._grace_s, self.kill)
        insist.daemon = True
        insist.start()

    def kill(self) -> None:
        """End it at once, without waiting for that; whoever waits for it then ends what it started."""
        self._running().kill()

    def stop(self) -> int:
        """Ask it to end, wait until it has, and return its exit code."""
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
        # Asked first: the process that clears away Python's shared memory when all others have gone does
        # not listen to that; killed with them, it would leave the memory taken.
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
    """As a shell says it: 128 and the signal's number for a process that a signal ended."""
    return 128 - code if code < 0 else code


def _ends_with_its_parent() -> Callable[[], None] | None:
    """What a new process does first, so that it gets SIGTERM when its parent is gone; None where it cannot."""
    if sys.platform != "linux":
        return None
    control, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_the_kernel() -> None:
        control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before the kernel was asked
            os._exit(1)

    return ask_the_kernel
