"""What readers still need: as long as a lease is held, what could be read when it was taken stays readable.

    with Lease.take(folder):
        ...                       # open tables at their newest version, and read
    needed_since_s(folder)        # who cleans up keeps all that was current then, or came later

A lease is a file in the memory's ``readers`` folder with a lock that the kernel lets go of, however the reader
dies. A reader that may not write into the folder reads without one: what it sees stays for a minute at least.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

READERS = "readers"
KEEP_S = 60.0
"""How long what was replaced stays for readers without a lease."""


class Lease:
    """Held until ``release``, or until nobody knows it any more."""

    def __init__(self, held: IO[str] | None) -> None:
        self.release = weakref.finalize(self, _let_go, held)
        """Let go of it; done twice, the second does nothing."""

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take one on the memory in ``folder``. Take it before reading what it is to keep."""
        path = folder / READERS / f"{uuid.uuid4().hex}.lease"
        while True:
            try:
                path.parent.mkdir(exist_ok=True)
                held = path.open("x", encoding="utf-8")
            except OSError:
                return cls(None)
            fcntl.flock(held, fcntl.LOCK_SH)
            # Somebody may have taken it for left behind before it was locked.
            if path.exists():
                held.write(repr(time.time()))
                held.flush()
                return cls(held)
            held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def held_since_s(folder: Path) -> float | None:
    """When the oldest lease that is held was taken, in Unix seconds; None where none is.

    Those of readers that died are removed.
    """
    since: list[float] = []
    for path in (folder / READERS).glob("*.lease"):
        with suppress(FileNotFoundError), path.open("r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                since.append(_since_s(file))
            else:
                path.unlink()
    return min(since, default=None)


def needed_since_s(folder: Path, keep_s: float = KEEP_S) -> float:
    """From when on a reader may have begun to read that still reads, in Unix seconds."""
    since_s = held_since_s(folder)
    recent_s = time.time() - keep_s
    return recent_s if since_s is None else min(since_s, recent_s)


def _since_s(file: IO[str]) -> float:
    said = file.read()
    # A lease that is being taken says nothing yet.
    return float(said) if said else os.fstat(file.fileno()).st_mtime


def _let_go(held: IO[str] | None) -> None:
    if held is not None:
        with suppress(OSError):
            os.unlink(held.name)
        held.close()
