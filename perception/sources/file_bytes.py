"""File bytes: where the bytes of a file are, on the disk or behind an HTTP URL, and how they are read.

    location = location_of("https://example.org/kitchen.mp4")    # or a path
    with location.open("rb") as file:
        head = file.read(4096)

A path is a location as it is. Everything that reads files takes a location, so that a file is the same wherever it is.
"""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, cast

from ...common.file_names import is_stored_path, path_from
from ..errors import SourceUnreachable
from .urls import redact

if TYPE_CHECKING:
    from .remote_file import RemoteFile

_BUFFER_BYTES = 256 * 1024


class FileStat(Protocol):
    """Facts about a file."""

    @property
    def st_size(self) -> int:
        """Its size in bytes."""


class FileLocation(Protocol):
    """Where a file is: a ``Path``, or a ``RemoteLocation``. As text it holds no credentials."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open it for reading. Raises ``OSError``, or ``SourceUnreachable`` behind a URL."""

    def stat(self) -> FileStat:
        """Its size. Raises the same errors."""


class RemoteLocation:
    """A file behind an HTTP URL. Its server is asked once whether it serves a file."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _remote(self) -> RemoteFile:
        from .remote_file import find_remote_file  # noqa: PLC0415 - loads HTTP and TLS

        remote = find_remote_file(self.url)
        if remote is None:
            raise SourceUnreachable(redact(self.url), "no file is served there now", 1)
        return remote

    def open(self, mode: Literal["rb"] = "rb", /) -> BinaryIO:
        """Open it for reading."""
        return cast(BinaryIO, io.BufferedReader(self._remote.reopened(), _BUFFER_BYTES))

    def stat(self) -> FileStat:
        """Its size."""
        return SimpleNamespace(st_size=self._remote.size_bytes)

    @property
    def version(self) -> tuple[int, str]:
        """What changes when the file changes, as far as the server says."""
        return self._remote.size_bytes, self._remote.validator

    def __str__(self) -> str:
        return redact(self.url)


def is_url(source: str | Path) -> bool:
    """Whether a source is a URL, and not a path."""
    return isinstance(source, str) and "://" in source and not is_stored_path(source)


def location_of(source: str | Path) -> Path | RemoteLocation:
    """The location of a file that is given by its path, its URL, or the stored form of its path."""
    return RemoteLocation(str(source)) if is_url(source) else path_from(str(source))
