"""Disk space: what writers leave free, and the errors of a full or read-only disk.

with require_free_space(folder, MIN_FREE_BYTES):
    append(tables.observations, rows)        # raises DiskFull or CannotWrite instead of an OSError
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CannotWrite, DiskFull

MIN_FREE_BYTES = 64 << 20
"""The free space on the disk that writers leave by default."""
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_FULL_MESSAGES = ("No space left", "os error 28", "Disk quota", "os error 122")
_READ_ONLY_ERRNOS = (errno.EACCES, errno.EROFS, errno.EPERM)
_READ_ONLY_MESSAGES = ("Permission denied", "Read-only file system")


@contextmanager
def require_free_space(folder: Path, min_free_bytes: int) -> Iterator[None]:
    """Require ``min_free_bytes`` of free space before the block writes, and translate errors of the disk.

    Raises ``DiskFull`` before the block if less is free, and in the block if the disk runs full. Raises
    ``CannotWrite`` if the folder or its disk is read-only for this user.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < min_free_bytes:
        raise DiskFull(folder, f"{free_bytes:,} bytes are free, and {min_free_bytes:,} are kept free")
    try:
        yield
    except (OSError, RuntimeError) as error:
        if _is_error(error, _FULL_ERRNOS, _FULL_MESSAGES):
            raise DiskFull(folder, "the disk is full") from error
        if _is_error(error, _READ_ONLY_ERRNOS, _READ_ONLY_MESSAGES):
            raise CannotWrite(folder) from error
        raise


def is_disk_error(error: BaseException) -> bool:
    """Whether an error says that the disk is full or read-only."""
    return _is_error(error, _FULL_ERRNOS, _FULL_MESSAGES) or _is_error(
        error, _READ_ONLY_ERRNOS, _READ_ONLY_MESSAGES
    )


def _is_error(error: BaseException, numbers: Collection[int], messages: Iterable[str]) -> bool:
    """Whether it is a system error of these numbers. Lance passes on only the text of a system error."""
    text = str(error)
    return getattr(error, "errno", None) in numbers or any(message in text for message in messages)
