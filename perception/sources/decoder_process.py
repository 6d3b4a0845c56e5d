"""The decoder process, as its parent sees it: a job on an untrusted file, done by another process with limits.

    with closing(DecoderJob("file", {…}, size_bytes)) as job:
        message, blob = job.receive()       # raises DecoderDied if the process died or was silent for too long
        job.send({"kind": "next"})

A process that has done its job is kept for a few seconds for the next one. The process's own code is in
``decoder_child``.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from ..errors import SourceUnreachable
from .decoder_child import BOOTSTRAP, DIED_OF_SIGNAL, IDLE_S
from .decoder_limits import ELAPSED_PER_CPU, allowed_silence_s
from .file_bytes import FileLocation
from .job_channel import SHARED_BYTES
from .reader_messages import read_message

Buffer: TypeAlias = bytes | memoryview

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


def size_of(location: FileLocation) -> int:
    """The size of a file, or 0 if it cannot be had. It sets how long the decoder may take."""
    try:
        return location.stat().st_size
    except (OSError, ValueError, SourceUnreachable):
        return 0


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
        self._cpu_s = allowed_silence_s(size_bytes)
        self._silence_s = ELAPSED_PER_CPU * self._cpu_s + idle_s
        self._waiting_since_s: float | None = None
        self.is_closed = self._is_silent = False
        self._reading = threading.Lock()
        folder = _present_folder()
        self._process = _idle.start({"job": job, "cpu_s": self._cpu_s, "folder": folder, **task})
        threading.Thread(target=self._watch_silence, daemon=True).start()

    def send(self, request: dict[str, Any]) -> None:
        """Send a request. If the process is dead, ``receive`` tells."""
        if self.is_closed:
            return  # the process may have another job now
        with suppress(OSError, ValueError):
            self._process.write(request)

    def receive(self) -> tuple[dict[str, Any], Buffer]:
        """Wait for the next message. Its raw bytes may lie in shared memory, where those of a later message replace them.

        Raises:
            DecoderDied: There will be none.
        """
        with self._reading:
            return self._receive()

    def _receive(self) -> tuple[dict[str, Any], Buffer]:
        if self.is_closed:
            raise DecoderDied("its decoder was closed")
        self._waiting_since_s = time.monotonic()
        received = self._process.read()
        self._waiting_since_s = None
        if received is None:
            reason = self._reason()
            self.is_closed = True
            self._process.dispose()
            raise DecoderDied(reason)
        return received

    def close(self) -> None:
        """End the job, and keep the process for another. May be called twice."""
        if not self._reading.acquire(blocking=False):
            self.kill()  # another thread waits for a message
            return
        try:
            if self.is_closed:
                return
            self._is_stopped = lambda: True
            self.send({"kind": "close"})
            with suppress(DecoderDied):
                while self._receive()[0].get("kind") != "closed":
                    pass
                self.is_closed = True
                _idle.add(self._process)
        finally:
            self._reading.release()

    def kill(self) -> None:
        """End the process, even if it hangs. May be called twice."""
        if not self.is_closed:
            self._process.kill()

    def _watch_silence(self) -> None:
        while not self.is_closed:
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
        status = self._process.exit_status(_CLOSE_S)
        if status is None:
            return "its decoder sent an invalid message"
        number = status - DIED_OF_SIGNAL if status > DIED_OF_SIGNAL else -status
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"its decoder ended with status {status}"
        if name == "SIGXCPU":
            return f"decoding it gave nothing in {self._cpu_s:.0f} s of CPU time"
        if name == "SIGKILL":
            return "its decoder was killed, probably because the machine has no memory left"
        return f"its decoder crashed ({name})"


def _present_folder() -> str:
    """The folder that relative paths are about. A process that is kept may have been started in another one."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep  # it was removed


class _Process:
    """A decoder process, its pipes, and the memory that it shares with this process."""

    def __init__(self, task: dict[str, Any]) -> None:
        """Start it with its first task."""
        descriptor = os.memfd_create("recollect") if sys.platform == "linux" else None
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-c", BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=() if descriptor is None else (descriptor,),
            # A session of its own: Ctrl-C in a terminal must reach only the parent.
            start_new_session=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            # OpenBLAS would start a thread for each processor, and only a process with one thread can fork.
            | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            # A fork begins without memory of its own. In large pages, pictures cost far fewer page faults.
            | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        )
        self._shared = memoryview(b"")
        if descriptor is not None:
            os.ftruncate(descriptor, SHARED_BYTES)
            self._shared = memoryview(mmap.mmap(descriptor, SHARED_BYTES))
            os.close(descriptor)
        with suppress(OSError):
            self.write(task | {"sys_path": sys.path, "shared_fd": descriptor})

    def write(self, message: dict[str, Any]) -> None:
        """Write a line of JSON to it. Raises ``OSError`` if it is dead."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(message).encode() + b"\n")
        self._popen.stdin.flush()

    def read(self) -> tuple[dict[str, Any], Buffer] | None:
        """Its next message and raw bytes. None if there is none, or it is invalid."""
        assert self._popen.stdout is not None
        try:
            received = read_message(self._popen.stdout)
            if received is None or "shared" not in received[0]:
                return received
            offset, size = received[0]["shared"]
            return received[0], self._shared[offset : offset + size]
        except (TypeError, ValueError):  # made up by a decoder that was taken over
            return None

    def exit_status(self, timeout_s: float) -> int | None:
        """Its exit status. None if it does not end in time."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and its fork. Callable from any thread."""
        if self._popen.poll() is None:
            with suppress(OSError):
                if sys.platform == "win32":
                    self._popen.kill()
                else:
                    os.killpg(self._popen.pid, signal.SIGKILL)

    def dispose(self) -> None:
        """End it, and close its pipes."""
        self.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class _IdleProcesses:
    """Processes that wait for their next job, and since when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[_Process, float]] = []

    def start(self, task: dict[str, Any]) -> _Process:
        """Start a task, in a process that has not waited for so long that it may be ending, or in a new one."""
        self._remove(lambda index, since_s: time.monotonic() - since_s > IDLE_S / 2)
        with self._lock:
            process = self._idle.pop()[0] if self._idle else None
        if process is not None:
            try:
                process.write(task)
            except OSError:
                process.dispose()
            else:
                return process
        return _Process(task)

    def add(self, process: _Process) -> None:
        """Keep a process that has done its job, where it can do another."""
        if not hasattr(os, "fork"):
            process.dispose()
            return
        with self._lock:
            self._idle.append((process, time.monotonic()))
        self._remove(lambda index, since_s: index >= _MAX_IDLE)

    def clear(self) -> None:
        """End all of them."""
        self._remove(lambda index, since_s: True)

    def forget(self) -> None:
        """After a fork: they belong to the process that was forked."""
        self._lock, self._idle = threading.Lock(), []

    def _remove(self, is_removed: Callable[[int, float], bool]) -> None:
        with self._lock:
            removed = [entry for index, entry in enumerate(self._idle) if is_removed(index, entry[1])]
            self._idle = [entry for entry in self._idle if entry not in removed]
        for process, _ in removed:
            process.dispose()


_idle = _IdleProcesses()


def end_idle_processes() -> None:
    """End the processes that are kept for a next job."""
    _idle.clear()


atexit.register(end_idle_processes)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.forget)
