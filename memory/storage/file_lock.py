"""File locks: exclusive locks on open files, which the kernel releases however their holder ends.

    with path.open("a+", encoding="utf-8") as file:
        wait_for_lock(file)    # or: if try_lock(file): ...
        ...                    # Closing the file releases the lock.

Linux and macOS lock the open file with ``flock``, through portalocker. A waiting process sleeps in the kernel, so
waiting takes turns. ``filelock`` waits by polling, and under load one waiter starves the other for a second.

On Windows, portalocker locks the first 64 KiB of the file, and the lock is mandatory. Other processes cannot read a
locked file, or rename or delete an open one. There the error of a second writer does not name the holder, and a read
lease keeps every version and cannot be revoked.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Any

_RETRY_S = 0.05


def wait_for_lock(file: IO[Any]) -> None:
    """Take the lock on an open file. Waits without limit. Raises ``OSError`` if the file cannot be locked."""
    while not _lock(file, wait=True):
        # Windows gives up after ten seconds.
        time.sleep(_RETRY_S)


def try_lock(file: IO[Any]) -> bool:
    """Take the lock on an open file without waiting.

    Returns whether it was free. Raises ``OSError`` if the file cannot be locked.
    """
    return _lock(file, wait=False)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on the file. False if the file does not exist."""
    try:
        with path.open("r", encoding="utf-8") as file:
            return not _lock(file, wait=False, shared=os.name != "nt")
    except FileNotFoundError:
        return False


def delete_locked(file: IO[Any]) -> None:
    """Delete an open file whose lock this process holds, and close it. Raises ``OSError`` if it cannot be deleted.

    The name disappears before the lock is released, except on Windows, where an open file cannot be deleted.
    """
    try:
        os.unlink(file.name)
    except PermissionError:
        file.close()
        os.unlink(file.name)
    finally:
        file.close()


def _lock(file: IO[Any], *, wait: bool, shared: bool = False) -> bool:
    """Take the lock. Returns False if another process holds it.

    Shared locks let several processes test a lock at the same time. On Windows they would need a further package.
    """
    # Imported late: portalocker needs a module of the platform, and importing the package must need none.
    import portalocker  # noqa: PLC0415

    flags = portalocker.LOCK_SH if shared else portalocker.LOCK_EX
    try:
        portalocker.lock(file, flags if wait else flags | portalocker.LOCK_NB)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from error
    return True
