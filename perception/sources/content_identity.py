"""Content identity of files: by what one is known again, also by URL, and of growing files.

    content_id = content_id_of("kitchen.mp4")             # "blake2b:… bytes:1048576 sample:…"
    FileContent(Path("copy.mp4")).relation(content_id)   # "same"

An identity has up to three marks:

- ``blake2b``: the hash of all bytes. A file on a disk has it. Behind a URL it would cost the whole file.
- ``bytes``: the size.
- ``sample``: a hash of 16 blocks of 64 KiB, spread evenly over the file, or of everything in a smaller one. It costs
  at most 1 MiB of reading. So it also identifies a file behind a URL, and it is the same by path and by URL.

A file that is still being written has grown if the sample of its first bytes, up to the size it had, is the same.
The sample leaves out the first 64 KiB, and at most the first half: there the writers of Matroska, FLV, AVI and MP4
put sizes and indexes when they finish. Two different recordings that agree in all blocks would be taken for one.
That can happen to uncompressed video only.

Memories of earlier versions have the first mark only. Their files are known again, but not after they have grown.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from .file_bytes import FileLocation, RemoteLocation, location_of

BLOCKS = 16
BLOCK_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024
"""The start of a file that is left out of its sample."""
_PROBE_BYTES = 4096
_CHUNK_BYTES = 1024 * 1024

Relation = Literal["same", "grown", "other"]
"""What a file is to an identity: the same file, the same one after more was written, or another one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The marks of a content id. None where it lacks one."""

    content_hash: str | None = None
    size_bytes: int | None = None
    sample: str | None = None

    @classmethod
    def parse(cls, content_id: str) -> Identity:
        """The marks of a stored content id. All None if it identifies no file."""
        marks = dict(part.partition(":")[::2] for part in content_id.split(" "))
        size = marks.get("bytes", "")
        return cls(marks.get("blake2b"), int(size) if size.isdecimal() else None, marks.get("sample"))

    def __str__(self) -> str:
        marks = {"blake2b": self.content_hash, "bytes": self.size_bytes, "sample": self.sample}
        return " ".join(f"{name}:{mark}" for name, mark in marks.items() if mark is not None)


class FileContent:
    """The content of a file, on the disk or behind a URL, to compare with stored content ids.

    Its methods raise ``OSError``, or ``SourceError`` if it is a URL that does not answer.
    """

    def __init__(self, location: FileLocation, content_id: str = "") -> None:
        """With ``content_id``, which was computed before, the file is not read for it again."""
        self._location, self._content_id = location, content_id
        self._starts: dict[tuple[int, int], str] = {}

    @cached_property
    def identity(self) -> Identity:
        """All marks of the file. The first access reads it."""
        if self._content_id:
            return Identity.parse(self._content_id)
        with self._location.open("rb") as file:
            size_bytes = file.seek(0, io.SEEK_END)
            sample = _sample(file, size_bytes)
            if isinstance(self._location, RemoteLocation):
                return Identity(None, size_bytes, sample)
            file.seek(0)
            return Identity(_hash(file), size_bytes, sample)

    def relation(self, stored_id: str) -> Relation:
        """What the file is to a stored content id."""
        stored, own = Identity.parse(stored_id), self.identity
        if stored.content_hash is not None and stored.content_hash == own.content_hash:
            return "same"
        if stored.size_bytes is None or stored.sample is None or own.size_bytes is None:
            return "other"
        if stored.size_bytes == own.size_bytes:
            has_changed = stored.content_hash is not None and own.content_hash is not None
            return "other" if has_changed or stored.sample != own.sample else "same"
        return "grown" if self._begins_with(stored.size_bytes, stored.sample) else "other"

    def _begins_with(self, size_bytes: int, sample: str) -> bool:
        """Whether the first ``size_bytes`` have this sample."""
        assert self.identity.size_bytes is not None
        if size_bytes > self.identity.size_bytes:
            return False
        # Memories may hold a thousand streams. The first bytes of the sample rule out nearly all of them.
        start = _sample_start(size_bytes)
        span = (start, min(_PROBE_BYTES, size_bytes - start))
        if span not in self._starts:
            with self._location.open("rb") as file:
                self._starts[span] = _probe(file, *span)
        if not sample.startswith(self._starts[span]):
            return False
        with self._location.open("rb") as file:
            return _sample(file, size_bytes) == sample


def content_id_of(source: str | Path) -> str:
    """The content id of a file at a path or URL. See ``FileContent`` for the errors."""
    return str(FileContent(location_of(source)).identity)


def content_hash_of(path: Path) -> str:
    """The hash of all bytes of a file. Two files with the same bytes have the same."""
    with path.open("rb") as file:
        return f"blake2b:{_hash(file)}"


def _hash(file: BinaryIO) -> str:
    digest = hashlib.blake2b(digest_size=20)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _sample_start(size_bytes: int) -> int:
    return min(HEAD_BYTES, size_bytes // 2)


def _sample(file: BinaryIO, size_bytes: int) -> str:
    """A hash of blocks of the first ``size_bytes``. It begins with a hash of its first bytes alone."""
    start = _sample_start(size_bytes)
    length = size_bytes - start
    digest = hashlib.blake2b(digest_size=16)
    if length <= BLOCKS * BLOCK_BYTES:
        file.seek(start)
        digest.update(file.read(length))
    else:
        for number in range(BLOCKS):
            file.seek(start + (length - BLOCK_BYTES) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
    return _probe(file, start, min(_PROBE_BYTES, length)) + digest.hexdigest()


def _probe(file: BinaryIO, start: int, length: int) -> str:
    file.seek(start)
    return hashlib.blake2b(file.read(length), digest_size=4).hexdigest()
