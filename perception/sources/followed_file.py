"""Followed file: a file that another program still writes, read as if its end had not come yet.

    with FollowedFile(Path("recording.mkv"), idle_s=30.0).open("rb") as file:
        while piece := file.read(65536): ...      # waits at the end of the file for more

It ends when it has not grown for ``idle_s`` seconds. It is read from its start and without jumps, because a container
that is being written has no index, and a demuxer that jumped to the end would wait there.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from .file_bytes import FileStat

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_POLL_S = 0.1


class FollowedFile:
    """The location of a file that still grows."""

    def __init__(self, path: Path, idle_s: float) -> None:
        self._path, self._idle_s = path, idle_s

    def open(self, mode: Literal["rb"] = "rb", /) -> BinaryIO:
        """Open it for reading to its coming end."""
        return cast(BinaryIO, _GrowingFile(self._path, self._idle_s))

    def stat(self) -> FileStat:
        """Its present size."""
        return self._path.stat()

    def __str__(self) -> str:
        return str(self._path)


class _GrowingFile(io.RawIOBase):
    def __init__(self, path: Path, idle_s: float) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._idle_s = idle_s
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes, and wait for them. 0 when the file has not grown for long enough."""
        give_up_s = time.monotonic() + self._idle_s
        while not (count := self._file.readinto(buffer) or 0) and not self._has_ended:
            self._has_ended = time.monotonic() >= give_up_s
            time.sleep(_POLL_S)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
