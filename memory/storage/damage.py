"""Damage reports: turns the errors of LanceDB and Arrow about damaged or missing files into ``MemoryDamaged``.

    with reporting_damage(folder):
        view.to_table()              # raises MemoryDamaged if a file of the table cannot be read

LanceDB raises many types for the same cause: ``OSError``, ``RuntimeError``, ``ValueError``, Arrow's own, and panics of
its Rust code, some of which are no ``Exception``. A full disk, a missing permission, a conflict of two writers and
errors of Recollect itself pass unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from ...common.errors import RecollectError
from ...common.text import shortened
from ..errors import MemoryDamaged
from .disk_space import is_disk_error

_PANICS = ("PanicException", "RustPanic")
_LANCE = re.compile(
    r"lance|task was aborted|panicked|was not found|protobuf|arrow|\.manifest|parquet", re.IGNORECASE
)
_CONFLICT = re.compile(r"commit conflict|concurrent|retryable|incompatible transaction", re.IGNORECASE)
_TABLE = re.compile(r"([a-z_]+)(?:-[0-9a-f]{20})?\.lance/(_indices)?")
_NOISE = re.compile(r",? ?/\S*/(?:\.cargo|rust|lance)\S*|,? ?/rustc/\S*")
_OURS = (UnicodeDecodeError, pa.ArrowException)
"""Errors that only unreadable data causes, whatever they say."""


@contextmanager
def reporting_damage(folder: Path | Callable[[], Path], part: str = "data") -> Iterator[None]:
    """Raise ``MemoryDamaged`` if the block fails because a file of the memory is damaged or missing.

    ``folder`` is the memory's, or finds it, where that costs something. ``part`` is what is read, such as
    ``table of gaps``, for errors that do not name a file.
    """
    try:
        yield
    except (RecollectError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if not is_damage(error):
            raise
        raise MemoryDamaged(
            folder if isinstance(folder, Path) else folder(), _part(str(error)) or part, _why(error)
        ) from error


def is_damage(error: BaseException) -> bool:
    """Whether an error means that a file is damaged or missing."""
    text = str(error)
    if type(error).__name__ in _PANICS or isinstance(error, _OURS):
        return True
    if is_disk_error(error) or _CONFLICT.search(text):
        return False
    # Errors of LanceDB carry no number. Others are about files of our own, or a lack of handles.
    is_numbered = isinstance(error, OSError) and error.errno is not None
    is_raw = isinstance(error, OSError | RuntimeError | ValueError) and not is_numbered
    return is_raw and bool(_LANCE.search(text))


def _part(text: str) -> str | None:
    """The part of the memory that an error is about. None if it does not say."""
    match = _TABLE.search(text)
    if match is None:
        return None
    table = match[1].replace("_", " ")
    return f"index of {table}" if match[2] else f"table of {table}"


def _why(error: BaseException) -> str:
    """The error in a few words, without the source files of LanceDB."""
    text = _NOISE.sub("", " ".join(str(error).split()))
    return shortened(text or type(error).__name__, 160)
