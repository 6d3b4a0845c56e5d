"""The decoder process, as its parent sees it: a job on an untrusted file, done by another process with limits.

    with closing(DecoderJob("probe", {"path": "kitchen.mp4", "fps": 4}, size_bytes)) as job:
        message, blob = job.receive()       # raises DecoderDied if the process died or was silent for too long
        job.send({"kind": "next"})

A process that has done its job is kept for a few seconds for the next one. The process's own code is in
``decoder_child``.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .decoder_child import BOOTSTRAP, DIED_OF_SIGNAL, IDLE_S
from .decoder_limits import allowed_silence_s
from .reader_messages import read_message

_CLOSE_S = 1.0
"""How long a process may take to end its job before it is killed."""

_TICK_S = 0.25
"""How often it is checked whether a process is silent for too long."""

_MAX_IDLE = 4
"""Processes that are kept for the next job."""

_ENVIRONMENT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "SYSTEMROOT",
    "TZ",
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""Variables that the process inherits, the last ones for files behind URLs. Others may hold secrets."""


class DecoderDied(Exception):
    """The process died, was silent for too long or sent an invalid message. The text is the reason."""


class DecoderJob:
    """A job in a decoder process. One thread uses it. Only ``close`` and ``kill`` may be called from others."""

    def __init__(
        self,
        job: str,
        task: dict[str, Any],
        size_bytes: int,
        *,
        idle_s: float = 0.0,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start a job on a file of ``size_bytes``, with the values that the job takes.

        The process may wait for ``idle_s`` for the file to grow.
        While ``is_stopped``, the process may be silent only for as long as it may take to close.
        """
        self._is_stopped = is_stopped
        self._silence_s = allowed_silence_s(size_bytes) + idle_s
        self._waiting_since_s: float | None = None
        self._is_closed = self._is_silent = False
        self._reading = threading.Lock()
        folder = _present_folder()
        self._process = _take_process({"job": job, "silence_s": self._silence_s, "folder": folder, **task})
        threading.Thread(target=self._watch_silence, daemon=True).start()

    def send(self, request: dict[str, Any]) -> None:
        """Send a request. If the process is dead, ``receive`` tells."""
        if self._is_closed:
            return  # the process may have another job now
        with suppress(OSError, ValueError):
            _write_line(self._process, request)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait for the next message.

        Raises:
            DecoderDied: There will be none.
        """
        with self._reading:
            return self._receive()

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        if self._is_closed:
            raise DecoderDied("its decoder was closed")
        assert self._process.stdout is not None
        self._waiting_since_s = time.monotonic()
        try:
            received = read_message(self._process.stdout)
        except ValueError:  # made up by a decoder that was taken over
            received = None
        self._waiting_since_s = None
        if received is None:
            reason = self._reason()
            self._end()
            raise DecoderDied(reason)
        return received

    def close(self) -> None:
        """End the job, and keep the process for another. May be called twice."""
        if not self._reading.acquire(blocking=False):
            self.kill()  # another thread waits for a message
            return
        try:
            if self._is_closed:
                return
            self._is_stopped = lambda: True
            self.send({"kind": "close"})
            with suppress(DecoderDied):
                while self._receive()[0].get("kind") != "closed":
                    pass
                self._is_closed = True
                _keep_process(self._process)
        finally:
            self._reading.release()

    def kill(self) -> None:
        """End the process, even if it hangs. May be called twice."""
        if not self._is_closed:
            _kill(self._process)

    def _end(self) -> None:
        self._is_closed = True
        _dispose(self._process)

    def _watch_silence(self) -> None:
        while not self._is_closed:
            since_s, limit_s = self._waiting_since_s, _CLOSE_S if self._is_stopped() else self._silence_s
            if since_s is not None and time.monotonic() - since_s > limit_s:
                self._is_silent = True
                self.kill()
                return
            time.sleep(_TICK_S)

    def _reason(self) -> str:
        """Why there is no next message, in a few words."""
        if self._is_silent:
            return f"decoding it gave nothing for {self._silence_s:.0f} s"
        try:
            status = self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            return "its decoder sent an invalid message"
        number = status - DIED_OF_SIGNAL if status > DIED_OF_SIGNAL else -status
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"its decoder ended with status {status}"
        if name == "SIGXCPU":
            return f"decoding it gave nothing for {self._silence_s:.0f} s"
        if name == "SIGKILL":
            return "its decoder was killed, probably because the machine has no memory left"
        return f"its decoder crashed ({name})"


class _IdleProcesses:
    """Processes that wait for their next job, and since when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[subprocess.Popen[bytes], float]] = []

    def add(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._idle.append((process, time.monotonic()))
        self._remove(lambda index, since_s: index >= _MAX_IDLE)

    def take(self) -> subprocess.Popen[bytes] | None:
        """One that has not waited for so long that it may be ending."""
        self._remove(lambda index, since_s: time.monotonic() - since_s > IDLE_S / 2)
        with self._lock:
            return self._idle.pop()[0] if self._idle else None

    def clear(self) -> None:
        """End all of them."""
        self._remove(lambda index, since_s: True)

    def forget(self) -> None:
        """After a fork: they belong to the process that was forked."""
        self.__init__()  # type: ignore[misc]

    def _remove(self, is_removed: Callable[[int, float], bool]) -> None:
        with self._lock:
            removed = [entry for index, entry in enumerate(self._idle) if is_removed(index, entry[1])]
            self._idle = [entry for entry in self._idle if entry not in removed]
        for process, _ in removed:
            _dispose(process)


_idle = _IdleProcesses()
atexit.register(_idle.clear)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.forget)


def _take_process(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A process that begins with ``task``."""
    process = _idle.take()
    if process is not None:
        try:
            _write_line(process, task)
        except OSError:
            _dispose(process)
        else:
            return process
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A session of its own: Ctrl-C in a terminal must reach only the parent.
        start_new_session=True,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # OpenBLAS would start a thread for each processor, and only a process with one thread can fork.
        | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    with suppress(OSError):
        _write_line(process, task | {"sys_path": sys.path})
    return process


def _present_folder() -> str:
    """The folder that relative paths are about. A process that is kept may have been started in another one."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep  # it was removed


def _keep_process(process: subprocess.Popen[bytes]) -> None:
    """Keep a process that has done its job, where it can do another."""
    if hasattr(os, "fork"):
        _idle.add(process)
    else:
        _dispose(process)


def _write_line(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its fork."""
    if process.poll() is None:
        with suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)


def _dispose(process: subprocess.Popen[bytes]) -> None:
    """End a process, and close its pipes."""
    _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
