"""Read leases: they keep the table versions that a reader needs until it releases them.

    with ReadLease.take(folder) as lease:
        lease.hold({"observations": 41})   # then read that version
    held_leases(folder)                    # the versions that a clean-up must keep

A lease is a locked file in the memory's ``readers`` folder. The kernel releases the lock when the reader ends,
even if it is killed. A reader without write permission reads without a lease. The versions that it reads
are kept for at least a minute.
"""

from __future__ import annotations

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

from .file_lock import delete_locked, try_lock, wait_for_lock

READERS = "readers"
KEEP_VERSIONS_S = 60.0
"""Seconds for which replaced versions are kept for readers without a lease."""


class ReadLease:
    """A lease that is held until ``release``, or until the object is garbage-collected."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self.release = weakref.finalize(self, _release, file)
        """Release the lease. A second call does nothing."""

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take a lease on the memory in ``folder``. Until ``hold`` is called, it keeps every version."""
        path = folder / READERS / f"{uuid.uuid4().hex}.lease"
        while True:
            try:
                path.parent.mkdir(exist_ok=True)
                file = path.open("x", encoding="utf-8")
            except OSError:
                return cls(None)
            wait_for_lock(file)
            # Before the lock, another process may have removed the file as left by a dead reader.
            if path.exists():
                return cls(file)
            file.close()

    def hold(self, versions: Mapping[str, int]) -> None:
        """Keep only these versions, by table name, from now on."""
        if self._file is not None:
            with suppress(OSError):  # On a full disk, the lease goes on keeping every version.
                self._file.write(json.dumps(versions))
                self._file.flush()

    @property
    def revoked(self) -> bool:
        """Whether the writer revoked the lease to free space."""
        return self._file is not None and not os.path.exists(self._file.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease of a living reader."""

    path: Path
    since_s: float
    """Unix seconds."""
    versions: Mapping[str, int] | None
    """The versions it keeps, by table name. None before its reader has called ``hold``: it keeps every version."""

    def revoke(self) -> None:
        """Revoke the lease. The versions it kept may be deleted."""
        self.path.unlink(missing_ok=True)


def held_leases(folder: Path) -> list[HeldLease]:
    """The leases of living readers, oldest first. Leases of dead readers are removed."""
    leases = []
    for path in (folder / READERS).glob("*.lease"):
        with suppress(FileNotFoundError), path.open("r+", encoding="utf-8") as file:
            if try_lock(file):
                delete_locked(file)
            else:
                leases.append(HeldLease(path, os.fstat(file.fileno()).st_mtime, _versions(file)))
    return sorted(leases, key=lambda lease: lease.since_s)


def _versions(file: IO[str]) -> Mapping[str, int] | None:
    """The versions that a locked lease file names. None if it names none yet, or cannot be read, as on Windows."""
    try:
        return {str(name): int(version) for name, version in json.loads(file.read()).items()}
    except (ValueError, PermissionError):
        return None


def _release(file: IO[str] | None) -> None:
    if file is not None:
        # On a full disk, the buffered text cannot be written.
        with suppress(OSError):
            delete_locked(file)
