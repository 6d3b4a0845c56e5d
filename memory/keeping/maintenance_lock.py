"""The maintenance lock: one thread or process at a time rewrites, deletes or pins in a memory.

with maintenance_lock(Path("kitchen")):
    cleaner.delete_old_versions()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..storage.file_lock import wait_for_lock

MAINTENANCE_LOCK_NAME = "upkeep.lock"


@contextmanager
def maintenance_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the memory in ``folder``, and wait for it first if necessary.

    The lock is not re-entrant. The kernel releases it when its process dies.
    """
    with (folder / MAINTENANCE_LOCK_NAME).open("a") as lock:
        wait_for_lock(lock)
        yield
