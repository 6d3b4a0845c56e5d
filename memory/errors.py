"""Errors of the memory: it cannot be opened, read or written, or a stream or span is unknown."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from ..common.errors import QuestionError, RecollectError


class MemoryStoreError(RecollectError):
    """The root of the errors of a memory that cannot be opened, read or written."""


class NotAMemory(MemoryStoreError):
    """The path holds no memory."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is not a Recollect memory: {why}. Give another `path`.")
        self.path, self.why = path, why


class NewerMemory(MemoryStoreError):
    """The memory was written by a newer Recollect."""

    def __init__(self, path: Path, schema: int, newest_schema: int) -> None:
        super().__init__(
            f"{path} has schema {schema}, and this Recollect reads schemas up to {newest_schema}. "
            "Nothing was changed. Upgrade Recollect, or use another memory."
        )
        self.path, self.schema, self.newest_schema = path, schema, newest_schema


class OlderMemory(MemoryStoreError):
    """An older Recollect wrote the memory, and this user may not write to it to migrate it."""

    def __init__(self, path: Path, schema: int, newest_schema: int) -> None:
        super().__init__(
            f"{path} has schema {schema}, and this Recollect reads schema {newest_schema}. It must be migrated, "
            "but this user may not write to it. "
            f"Run `recollect status --memory {shlex.quote(str(path))}` once as its owner."
        )
        self.path, self.schema, self.newest_schema = path, schema, newest_schema


class MemoryDamaged(MemoryStoreError):
    """A file of the memory is missing, or its content is not what was written."""

    def __init__(self, path: Path, part: str, why: str) -> None:
        memory = shlex.quote(str(path))
        super().__init__(
            f"{path} is damaged: its {part} cannot be read ({why}). `recollect check --memory {memory}` says what is "
            "damaged, and with `--repair` it rebuilds what can be rebuilt."
        )
        self.path, self.part, self.why = path, part, why


class UnrepairableSchema(MemoryStoreError):
    """A memory of an early schema is damaged, so that it can be neither migrated nor repaired."""

    def __init__(self, path: Path, schema: int) -> None:
        super().__init__(
            f"{path} has schema {schema} and cannot be migrated, because it is damaged. It was not repaired: rows of "
            "that schema cannot be checked, and intact ones could be lost. Put the damaged files back from a copy. "
            f"`recollect check --memory {shlex.quote(str(path))}` names them."
        )
        self.path, self.schema = path, schema


class ErasureBlocked(MemoryStoreError):
    """Branches or tags of the tables would keep what is to be erased. Recollect makes none."""

    def __init__(self, path: Path, kept_by: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot erase from {path}: {', '.join(kept_by)} would keep what is to be erased, and Recollect did not "
            "make it. Nothing was erased. Delete it with LanceDB (`lance.dataset(…).tags.delete(…)` or "
            "`.branches.delete(…)`), and erase again."
        )
        self.path, self.kept_by = path, kept_by


class ErasureIncomplete(MemoryStoreError):
    """The rows were erased, but other files in the memory's folder still hold them."""

    def __init__(self, path: Path, files: tuple[str, ...]) -> None:
        listed = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        super().__init__(
            f"the erasure from {path} is not complete: the tables no longer hold what was erased, but {listed} may. "
            "Delete these files if they are yours, such as copies, and erase the same span again."
        )
        self.path, self.files = path, files


class MemoryInUse(MemoryStoreError):
    """Another process is writing to the memory."""

    def __init__(self, path: Path, holder: str, advice: str | None = None) -> None:
        super().__init__(
            f"{path} is being written by {holder}. "
            + (
                advice
                or "You can ask and search in it now. "
                "To watch something else, stop that process or use another memory."
            )
        )
        self.path, self.holder = path, holder


class CannotWrite(MemoryStoreError):
    """The memory's folder or disk is read-only for this user."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"cannot write to {path}: the folder or its disk is read-only for this user. You can ask and search "
            "in it. To watch, use another path or ask its owner for write permission."
        )
        self.path = path


class DiskFull(MemoryStoreError):
    """The disk is full, or nearly full."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"no room to write to {path}: {why}. The memory is intact. "
            "Free some space and watch again: watching continues from where it stopped."
        )
        self.path, self.why = path, why


class BudgetFull(MemoryStoreError):
    """The disk budget is full, and nothing more can be evicted."""

    def __init__(self, path: Path, budget_bytes: int, used_bytes: int) -> None:
        super().__init__(
            f"{path} takes {used_bytes:,} bytes of its budget of {budget_bytes:,}, and nothing more can be evicted: "
            "the rest is pinned, or too new to be summarised. The memory is intact. Give it a larger budget, or "
            "remove pins (recollect status, recollect pin)."
        )
        self.path, self.budget_bytes, self.used_bytes = path, budget_bytes, used_bytes


class BadBudget(MemoryStoreError):
    """The disk budget cannot be used."""

    def __init__(self, budget: str, why: str) -> None:
        super().__init__(f"{budget} is no budget for a memory: {why}. Give a size such as 20 GB.")
        self.budget, self.why = budget, why


class PinsFull(MemoryStoreError):
    """A pin does not fit into the quota for pins."""

    def __init__(self, path: Path, needed_bytes: int, used_bytes: int, quota_bytes: int) -> None:
        super().__init__(
            f"this pin needs {needed_bytes:,} bytes, and pins in {path} already take {used_bytes:,} of their quota of "
            f"{quota_bytes:,}. Nothing was pinned. Pin less, remove other pins (recollect pin lists them), or give "
            "the memory a larger budget."
        )
        self.path, self.needed_bytes, self.used_bytes, self.quota_bytes = (
            path,
            needed_bytes,
            used_bytes,
            quota_bytes,
        )


class NothingToPin(MemoryStoreError):
    """The span to pin holds no memories."""

    def __init__(self, stream: str, start_s: float, end_s: float) -> None:
        period = f"after {start_s:g} s" if math.isinf(end_s) else f"between {start_s:g} s and {end_s:g} s"
        super().__init__(
            f"there is nothing to pin {period} of {stream!r}: the memory holds nothing of it, or forgot it. "
            "`recollect timeline` shows what it holds."
        )
        self.stream, self.start_s, self.end_s = stream, start_s, end_s


class RequestFailed(MemoryStoreError):
    """The process that writes to the memory failed to carry out a request of another process."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the process that writes to {path} could not carry out the request: {why}")
        self.path, self.why = path, why


class WriterStalled(MemoryStoreError):
    """Another process has held the commit lock for longer than this write may wait."""

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(
            f"cannot write to {path}: another process has held the commit lock for more than {waited_s:.3g} s. "
            "It is stopped, or its disk hangs. End it: kill -9 loses nothing that was committed."
        )
        self.path, self.waited_s = path, waited_s


class SnapshotExpired(MemoryStoreError):
    """The writer revoked this reader's lease to stay within the disk budget."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the snapshot of {path} has expired: the writer had to free space and revoked this reader's lease. "
            "Ask again."
        )
        self.path = path


class EncoderMismatch(MemoryStoreError):
    """The memory's vectors and the given encoder do not match, or one of them is missing."""

    def __init__(self, path: Path, stored: str | None, requested: str | None) -> None:
        reindex = f"recollect reindex --memory {shlex.quote(str(path))}"
        if stored is None:
            problem = (
                f"holds no vectors, and was opened with the encoder {requested}. To make them, run: {reindex}"
            )
        elif requested is None:
            problem = (
                f"holds vectors of {stored}, and was opened with no encoder. "
                f"Name it in vision.model, or drop the vectors: {reindex}"
            )
        else:
            problem = (
                f"holds vectors of {stored}, and was opened with the encoder {requested}. They cannot be compared. "
                f"Open it with the encoder that made it, or rebuild the vectors: {reindex}"
            )
        super().__init__(f"{path} {problem}")
        self.path, self.stored, self.requested = path, stored, requested


class UnknownStream(QuestionError):
    """The memory has no stream of that name."""

    def __init__(self, name: str, streams: tuple[str, ...]) -> None:
        listed = ", ".join(streams) if streams else "none yet. Watch something first"
        super().__init__(f"there is no stream {name!r} in this memory. Streams here: {listed}.")
        self.name, self.streams = name, streams
