"""The writer lock: one writer per memory.

    with WriterLock(path, purpose="watch kitchen.mp4"):
        ...

The lock is a file lock on ``writer.lock``. The kernel releases it when the writer ends, even if it is killed. The
file also names its holder, for the error that a second writer gets. After the holder has died, that name is
stale and has no effect.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import MemoryInUse
from .file_lock import try_lock

LOCK_NAME = "writer.lock"


class WriterLock:
    """The lock of the writer of the memory in a folder."""

    def __init__(self, folder: Path, purpose: str = "a writer") -> None:
        self._folder, self._purpose = folder, purpose
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock without waiting. Raises ``MemoryInUse``, which names the holder."""
        # "a+" keeps the holder's text and creates a missing file.
        file = (self._folder / LOCK_NAME).open("a+", encoding="utf-8")
        try:
            if not try_lock(file):
                raise MemoryInUse(self._folder, _holder(_read_locked(file)))
            file.truncate(0)
            json.dump(
                {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot_id(), "what": self._purpose},
                file,
            )
            file.flush()
        except (OSError, MemoryInUse):
            # If the disk is full, closing the file releases the lock, though it fails to write the rest of the text.
            with suppress(OSError):
                file.close()
            raise
        self._file = file

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> WriterLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read_locked(file: IO[str]) -> str:
    """The text of a file that another process has locked. Empty on Windows, where it cannot be read."""
    file.seek(0)
    try:
        return file.read()
    except PermissionError:
        return ""


def _holder(text: str) -> str:
    """The holder of the lock, described for an error message."""
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} ({holder['what']})"
    except (ValueError, KeyError, TypeError):
        # The holder has taken the lock and not yet written its name, or the name cannot be read.
        return "another process"


def _boot_id() -> str:
    """The id of this boot, which tells a pid from the same pid before a restart. Empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
