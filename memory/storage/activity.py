"""Activity: what the writer of a memory is doing with each stream now, told to other processes through a file.

    write_activity(folder, {"door": {"state": "live"}}, interrupted={})     # the writer, about once a second
    activity = read_activity(folder)                                        # any process
    activity.streams["door"], activity.interrupted

The file counts only while the process that wrote it holds the writer lock. What a dead process wrote is read as the
time at which its streams were interrupted. The file is replaced atomically, and holds no secrets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .file_lock import is_locked
from .writer_lock import LOCK_NAME, boot_id, lock_holder

ACTIVITY_NAME = "activity.json"
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


def write_activity(
    folder: Path, streams: Mapping[str, Mapping[str, Any]], interrupted: Mapping[str, float]
) -> None:
    """Write what this process, which holds the writer lock, does. Raises ``OSError``."""
    record = {
        "pid": os.getpid(),
        "boot": boot_id(),
        "written_s": time.time(),
        "streams": streams,
        "interrupted": interrupted,
    }
    draft = folder / _DRAFT_NAME
    draft.write_text(json.dumps(record), encoding="utf-8")
    draft.replace(folder / ACTIVITY_NAME)


def clear_activity(folder: Path) -> None:
    """Delete the file, because nothing is being done and nothing was interrupted."""
    for name in (ACTIVITY_NAME, _DRAFT_NAME):
        with suppress(OSError):
            (folder / name).unlink()


def read_activity(folder: Path) -> Activity:
    """Read what the writer does. A missing or damaged file says nothing."""
    try:
        record = json.loads((folder / ACTIVITY_NAME).read_text(encoding="utf-8"))
        written_s = float(record["written_s"])
        streams = {str(name): dict(activity) for name, activity in record["streams"].items()}
        interrupted = {str(name): float(since_s) for name, since_s in record["interrupted"].items()}
        is_current = _writes_now(folder, record["pid"], record["boot"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Activity()
    if not is_current:
        return Activity({}, {**interrupted, **dict.fromkeys(streams, written_s)}, written_s)
    return Activity(streams, interrupted, written_s)


def _writes_now(folder: Path, pid: object, boot: object) -> bool:
    """Whether the process that wrote the file holds the writer lock."""
    if not is_locked(folder / LOCK_NAME):
        return False
    holder = lock_holder(folder)
    # On Windows, the text of a lock that is held cannot be read.
    return holder is None or (holder.get("pid"), holder.get("boot")) == (pid, boot)
