"""File bytes: opens a file as a seekable stream of bytes, by its path or by an HTTP URL.

    with open_bytes("https://example.org/kitchen.mp4") as file:
        head = file.read(4096)

Everything that reads a file goes through here, except for FFmpeg where it opens a path itself.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import SourceUnreachable
from .remote_file import RemoteFile, find_remote_file
from .urls import redact

_BUFFER_BYTES = 256 * 1024


def is_url(location: str | Path) -> bool:
    """Whether a location is a URL, and not a path."""
    return isinstance(location, str) and "://" in location


def open_bytes(location: str | Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: The path cannot be opened.
        SourceUnreachable: The URL does not answer as a file.
    """
    if not is_url(location):
        return Path(location).open("rb")
    return cast(BinaryIO, io.BufferedReader(_open_remote(str(location)), _BUFFER_BYTES))


def size_of(location: str | Path) -> int:
    """The size of a file in bytes. See ``open_bytes`` for the errors."""
    return _open_remote(str(location)).size_bytes if is_url(location) else Path(location).stat().st_size


def version_of(location: str | Path) -> tuple[object, ...]:
    """What changes when the file changes, without reading it. See ``open_bytes`` for the errors."""
    if is_url(location):
        remote = _open_remote(str(location))
        return remote.size_bytes, remote.validator
    stat = Path(location).stat()
    return stat.st_size, stat.st_mtime_ns


def _open_remote(url: str) -> RemoteFile:
    remote = find_remote_file(url)
    if remote is None:
        raise SourceUnreachable(redact(url), "no file is served there now", 1)
    return remote
