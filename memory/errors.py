"""Errors of the memory: it cannot be opened, read or written."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from ..common.errors import QuestionError, RecollectError


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


class OlderMemory(MemoryStoreError):
    """The memory was written by an older Recollect, and nothing may be written there to bring it up to date."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {found}, and this Recollect reads schema {known}. It can bring the memory there, "
            f"but may not write into it: run `recollect status --memory {shlex.quote(str(path))}` once as its owner."
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


class CannotWrite(MemoryStoreError):
    """The folder of the memory, or its disk, is read-only for this user."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"nothing can be written to {path}: the folder or its disk is read-only for this user. "
            "Asking and searching work; to watch, use another path or ask its owner for the right to write."
        )
        self.path = path


class DiskFull(MemoryStoreError):
    """There is no room to write."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"no room to write to {path}: {why}. All that was remembered before is safe; "
            "free some space and watch again, it goes on where it stopped."
        )
        self.path, self.why = path, why


class BudgetFull(MemoryStoreError):
    """The budget is full with what may not be forgotten."""

    def __init__(self, path: Path, budget_bytes: int, used_bytes: int) -> None:
        super().__init__(
            f"{path} takes {used_bytes:,} bytes of its budget of {budget_bytes:,}, and nothing more in it may be "
            "forgotten: it is pinned, or too new to have anything that stands for it. All that was remembered is "
            "safe; give it a larger budget, or take pins away (recollect status, recollect pin)."
        )
        self.path, self.budget_bytes, self.used_bytes = path, budget_bytes, used_bytes


class BadBudget(MemoryStoreError):
    """So many bytes are no budget for a memory."""

    def __init__(self, given: str, why: str) -> None:
        super().__init__(f"{given} is no budget for a memory: {why}. Give a size such as 20 GB.")
        self.given, self.why = given, why


class PinsFull(MemoryStoreError):
    """A pin does not fit into the quota of pins."""

    def __init__(self, path: Path, needed_bytes: int, used_bytes: int, quota_bytes: int) -> None:
        super().__init__(
            f"pinning that would keep {needed_bytes:,} bytes more, and of the {quota_bytes:,} that pins may keep in "
            f"{path}, {used_bytes:,} are taken. Nothing was pinned; pin less, take other pins away (recollect pin "
            "lists them), or give the memory a larger budget."
        )
        self.path, self.needed_bytes, self.used_bytes, self.quota_bytes = (
            path,
            needed_bytes,
            used_bytes,
            quota_bytes,
        )


class NothingToPin(MemoryStoreError):
    """Nothing is remembered of the stretch that is to be pinned."""

    def __init__(self, stream: str, start_s: float, end_s: float) -> None:
        where = f"after {start_s:g} s" if math.isinf(end_s) else f"between {start_s:g} s and {end_s:g} s"
        super().__init__(
            f"there is nothing to pin {where} of {stream!r}: nothing of it is "
            "remembered, or not any more. `recollect timeline` shows what is."
        )
        self.stream, self.start_s, self.end_s = stream, start_s, end_s


class RequestFailed(MemoryStoreError):
    """The process that writes to the memory could not do what another process requested of it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the process that writes to {path} could not do it: {why}")
        self.path, self.why = path, why


class WriterStalled(MemoryStoreError):
    """Another process has held the commit lock for longer than this write may wait."""

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(
            f"nothing could be written to {path}: another process has been inside a commit for more than "
            f"{waited_s:.3g} s. It is stopped, or its disk hangs; end it (kill -9 loses nothing that was committed)."
        )
        self.path, self.waited_s = path, waited_s


class SnapshotExpired(MemoryStoreError):
    """What a reader had held for long was needed by the writer to stay within the budget."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} had to make room while it was being read, and what was being read is gone. Ask again."
        )
        self.path = path


class EncoderMismatch(MemoryStoreError):
    """The memory's vectors were made by another encoder, or it has none, or they need one."""

    def __init__(self, path: Path, stored: str | None, given: str | None) -> None:
        reindex = f"recollect reindex --memory {shlex.quote(str(path))}"
        if stored is None:
            what = (
                f"holds no vectors, and was opened with the encoder {given}. To have it make them: {reindex}"
            )
        elif given is None:
            what = (
                f"holds vectors of {stored}, and there is no encoder here to go on with. "
                f"Name it in vision.model, or drop the vectors: {reindex}"
            )
        else:
            what = (
                f"holds vectors of {stored}, and was opened with the encoder {given}; they cannot be compared. "
                f"Open it with the encoder that made it, or have this one make them anew: {reindex}"
            )
        super().__init__(f"{path} {what}")
        self.path, self.stored, self.given = path, stored, given


class UnknownStream(QuestionError):
    """No stream of that name is in the memory."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        there = ", ".join(known) if known else "none yet; watch something first"
        super().__init__(f"there is no stream {name!r} in this memory. Streams here: {there}.")
        self.name, self.known = name, known
