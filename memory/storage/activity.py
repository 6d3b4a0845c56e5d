"""Activity: what the writer of a memory is doing with each stream now, told to other processes through a file.

    with ActivityFile(folder) as file:                          # the writer
        file.write({"door": {"state": "live"}}, interrupted={})     # about once a second

    activity = read_activity(folder)                            # any process
    activity.streams["door"], activity.interrupted

The file counts only while its writer lives, which a file lock tells: the kernel releases it when the process ends,
even if it is killed. What a dead process wrote is read as the time at which its streams were interrupted. The file is
replaced atomically, and holds no secrets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from .file_lock import is_locked, wait_for_lock

ACTIVITY_NAME = "activity.json"
ACTIVITY_LOCK_NAME = "activity.lock"
_DRAFT_NAME = "activity.json.new"


@dataclass(frozen=True, slots=True)
class Activity:
    """What the writer of a memory does, and what earlier ones were interrupted in."""

    streams: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is being done with each stream, as its writer described it."""
    interrupted: Mapping[str, float] = field(default_factory=dict)
    """When the watching of other streams was interrupted, in Unix seconds, by the death of its process."""
    written_s: float = 0.0
    """When the writer said so, in Unix seconds."""


class ActivityFile:
    """The file of one writer. The memory's writer lock must be held, so there is never a second one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.interrupted = read_activity(folder).interrupted
        """What earlier processes were interrupted in."""
        self._lock: IO[str] = (folder / ACTIVITY_LOCK_NAME).open("a", encoding="utf-8")
        wait_for_lock(self._lock)  # only for readers, which hold it for a moment
        self.write({}, self.interrupted)

    def write(self, streams: Mapping[str, Mapping[str, Any]], interrupted: Mapping[str, float]) -> None:
        """Write what this process does. Where the disk is full, the file stays as it was."""
        record = {"written_s": time.time(), "streams": streams, "interrupted": interrupted}
        draft = self._folder / _DRAFT_NAME
        with suppress(OSError):
            draft.write_text(json.dumps(record), encoding="utf-8")
            os.replace(draft, self._folder / ACTIVITY_NAME)

    def close(self) -> None:
        """Release the file. If nothing was interrupted, delete it."""
        if not read_activity(self._folder).interrupted:
            for name in (ACTIVITY_NAME, _DRAFT_NAME):
                with suppress(OSError):
                    (self._folder / name).unlink()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_activity(folder: Path) -> Activity:
    """Read what the writer does. A missing or damaged file says nothing."""
    try:
        is_current = is_locked(folder / ACTIVITY_LOCK_NAME)
        record = json.loads((folder / ACTIVITY_NAME).read_text(encoding="utf-8"))
        written_s = float(record["written_s"])
        streams = {str(name): dict(activity) for name, activity in record["streams"].items()}
        interrupted = {str(name): float(since_s) for name, since_s in record["interrupted"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Activity()
    if not is_current:
        return Activity({}, {**interrupted, **dict.fromkeys(streams, written_s)}, written_s)
    return Activity(streams, interrupted, written_s)
