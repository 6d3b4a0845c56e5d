"""Every error Recollect raises on purpose, as one tree.

    RecollectError
    ├── SourceError            something to watch cannot be watched
    │   ├── SourceNotFound     no such file
    │   ├── NotAVideo          a folder, an empty file, text, sound only
    │   ├── UnsupportedSource  a URL whose scheme is not allowed
    │   ├── SourceUnreachable  a live source does not answer
    │   └── StreamNameTaken    another source has that name
    ├── MemoryStoreError       the memory cannot be opened or written
    │   ├── NotAMemory         the path holds something else
    │   ├── NewerMemory        written by a newer Recollect
    │   ├── MemoryInUse        another process is writing to it
    │   ├── DiskFull           no room to write
    │   └── EncoderMismatch    the vectors were made by another encoder
    └── QuestionError          the question cannot be asked
        ├── BadQuestion        empty, too long, or options that make no sense
        └── UnknownStream      no stream of that name in this memory

The raiser passes facts; the class owns the sentence: what happened, why, and what to do next.
"""

from __future__ import annotations

from pathlib import Path


class RecollectError(Exception):
    """The root: whatever Recollect raises on purpose is one of these."""


class SourceError(RecollectError):
    """Something to watch cannot be watched."""


class SourceNotFound(SourceError):
    """There is no file at the path."""

    def __init__(self, source: str) -> None:
        super().__init__(f"there is no file {source!r}. Check the path, or give a URL (rtsp://, http://).")
        self.source = source


class NotAVideo(SourceError):
    """The path holds no video: a folder, an empty file, text, or sound only."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source!r} is not a video: {why}. Give a file that a video player shows.")
        self.source, self.why = source, why


class UnsupportedSource(SourceError):
    """A URL with a scheme that is not allowed."""

    def __init__(self, source: str, scheme: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot watch {source!r}: the scheme {scheme!r} is not one of {', '.join(allowed)}. "
            "For a file, give its plain path."
        )
        self.source, self.scheme = source, scheme


class SourceUnreachable(SourceError):
    """A live source did not answer and may not be waited for any longer."""

    def __init__(self, source: str, why: str, attempts: int) -> None:
        super().__init__(
            f"{source!r} could not be reached after {attempts} attempts: {why}. "
            "Check that the camera or server is on and that the address and credentials are right."
        )
        self.source, self.why, self.attempts = source, why, attempts


class StreamNameTaken(SourceError):
    """The name asked for belongs to another source."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__(
            f"the stream {name!r} in this memory is another source ({source}). "
            "Choose another name with --stream, or leave it out to have one made."
        )
        self.name, self.source = name, source


class MemoryStoreError(RecollectError):
    """The memory cannot be opened or written."""


class NotAMemory(MemoryStoreError):
    """The path exists, but holds something other than a memory."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is not a Recollect memory: {why}. Give another path with --memory.")
        self.path, self.why = path, why


class NewerMemory(MemoryStoreError):
    """The memory was written by a newer Recollect."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {found}, and this Recollect knows schemas up to {known}. "
            "Nothing was changed. Upgrade Recollect, or use another memory."
        )
        self.path, self.found, self.known = path, found, known


class MemoryInUse(MemoryStoreError):
    """Another process is writing to the memory."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{path} is being written by {holder}. Asking and searching work meanwhile; "
            "to watch something else now, stop that process or use another memory."
        )
        self.path, self.holder = path, holder


class DiskFull(MemoryStoreError):
    """There is no room to write."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"no room to write to {path}: {why}. All that was remembered before is safe; "
            "free some space and watch again, it goes on where it stopped."
        )
        self.path, self.why = path, why


class EncoderMismatch(MemoryStoreError):
    """The memory's vectors were made by another encoder."""

    def __init__(self, path: Path, stored: str, given: str) -> None:
        super().__init__(
            f"{path} holds vectors of {stored!r} and was opened with {given!r}; they cannot be compared. "
            "Open it with the encoder that made it, or watch into a new memory."
        )
        self.path, self.stored, self.given = path, stored, given


class QuestionError(RecollectError):
    """The question cannot be asked."""


class BadQuestion(QuestionError):
    """The question is empty, too long, or its options make no sense."""

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot ask that: {why}.")
        self.why = why


class UnknownStream(QuestionError):
    """No stream of that name is in the memory."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        there = ", ".join(known) if known else "none yet; watch something first"
        super().__init__(f"there is no stream {name!r} in this memory. Streams here: {there}.")
        self.name, self.known = name, known
