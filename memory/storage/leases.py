"""What readers still need: the versions that a lease names stay readable as long as it is held.

    with Lease.take(folder) as lease:
        lease.hold({"observations": 41})   # then read that version
    held(folder)                           # who cleans up keeps what these name

A lease is a file in the memory's ``readers`` folder with a lock that the kernel lets go of, however the reader
dies. A reader that may not write into the folder reads without one: what it sees stays for a minute at least.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

READERS = "readers"
KEEP_VERSIONS_S = 60.0
"""How long what was replaced stays for readers without a lease."""


class ReadLease:
    """Held until ``release``, or until nobody knows it any more."""

    def __init__(self, file: IO[str] | None) -> None:
        self._held = file
        self.release = weakref.finalize(self, _let_go, file)
        """Let go of it; done twice, the second does nothing."""

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take one on the memory in ``folder``. Until it says what it is for, everything is kept."""
        path = folder / READERS / f"{uuid.uuid4().hex}.lease"
        while True:
            try:
                path.parent.mkdir(exist_ok=True)
                file = path.open("x", encoding="utf-8")
            except OSError:
                return cls(None)
            fcntl.flock(file, fcntl.LOCK_SH)
            # Somebody may have taken it for left behind before it was locked.
            if path.exists():
                return cls(file)
            file.close()

    def hold(self, versions: Mapping[str, int]) -> None:
        """From now on, these versions are kept, by the table's name."""
        if self._held is not None:
            with suppress(OSError):  # a full disk: it goes on holding everything
                self._held.write(json.dumps(versions))
                self._held.flush()

    @property
    def revoked(self) -> bool:
        """Whether the writer took it back, for want of room."""
        return self._held is not None and not os.path.exists(self._held.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that somebody holds."""

    path: Path
    since_s: float
    """Unix seconds."""
    versions: Mapping[str, int] | None
    """None while its reader has not said yet what it needs."""

    def revoke(self) -> None:
        """Take it back: what it named may go."""
        self.path.unlink(missing_ok=True)


def held_leases(folder: Path) -> list[HeldLease]:
    """The leases that are held, the oldest first. Those of readers that died are removed."""
    found = []
    for path in (folder / READERS).glob("*.lease"):
        with suppress(FileNotFoundError), path.open("r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(HeldLease(path, os.fstat(file.fileno()).st_mtime, _versions(file.read())))
            else:
                path.unlink()
    return sorted(found, key=lambda lease: lease.since_s)


def _versions(said: str) -> Mapping[str, int] | None:
    try:
        return {str(name): int(version) for name, version in json.loads(said).items()}
    except ValueError:
        return None


def _let_go(file: IO[str] | None) -> None:
    if file is not None:
        with suppress(OSError):
            os.unlink(file.name)
        # On a full disk what it says may never have been written.
        with suppress(OSError):
            file.close()
