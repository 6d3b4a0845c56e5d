"""One writer a memory: a lock the kernel lets go of, however the writer dies.

    with WriterLock(path, what="watch kitchen.mp4"):
        ...

The lock is ``flock`` on ``writer.lock``. The file also says who holds it, for the error that a
second writer gets; what it says after the holder died is stale and harmless.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import MemoryInUse

LOCK_NAME = "writer.lock"


class WriterLock:
    """The right to append to the memory in a folder."""

    def __init__(self, folder: Path, what: str = "a writer") -> None:
        self._folder, self._what = folder, what
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock at once, or raise ``MemoryInUse`` naming who holds it."""
        # "a+" neither truncates what the holder wrote nor fails where the file is missing.
        file = (self._folder / LOCK_NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            said = file.read()
            file.close()
            raise MemoryInUse(self._folder, _holder(said)) from None
        try:
            file.truncate(0)
            json.dump(
                {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot_id(), "what": self._what},
                file,
            )
            file.flush()
        except OSError:
            # On a full disk: the lock is let go of with the file, though not all of it could be written.
            with suppress(OSError):
                file.close()
            raise
        self._file = file

    def release(self) -> None:
        """Let go of it; done twice, the second does nothing."""
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


def _holder(said: str) -> str:
    """Who holds the lock, as words for an error."""
    try:
        holder = json.loads(said)
        return f"process {holder['pid']} on {holder['host']} ({holder['what']})"
    except (ValueError, KeyError, TypeError):
        # The holder has the lock but has not yet written who it is.
        return "another process"


def _boot_id() -> str:
    """Tells a pid of this boot from the same number before a restart; empty where unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
