"""Stream activity: what is being done with a stream now, by this process or another one.

for status in memory.status():
    if status.activity is not None:
        print(status.stream.name, status.activity.state, status.activity.detail)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class StreamActivity:
    """What the process that watches a stream last told, about once a second."""

    state: str
    """Of a live source ``connecting``, ``live``, ``stalled``, ``backing_off`` or ``stopped``. Of a file ``watching`` or
    ``describing``. ``interrupted``: the process that watched it has died."""
    since_s: float | None = None
    """When this state began, in Unix seconds. None for a file."""
    detail: str = ""
    """The state in a sentence, with the reason if the source does not connect."""
    cause: str = ""
    """Why no frames come: ``unauthorised``, ``not found``, ``refused``, … Empty while they come."""
    attempts: int = 0
    """Attempts to connect that failed since the last frame."""
    reconnects: int = 0
    """How often frames came again after an outage, in this run."""
    last_frame_s: float | None = None
    """When the last frame arrived, in Unix seconds."""
    frames_per_s: float = 0.0
    """Frames that arrived in a second, over the last ten."""
    lag_s: float = 0.0
    """How long the last frame had waited before it was looked at."""
    told_s: float = 0.0
    """When the watching process told this, in Unix seconds."""

    @property
    def last_frame_age_s(self) -> float | None:
        """Seconds since the last frame arrived."""
        return None if self.last_frame_s is None else max(0.0, time.time() - self.last_frame_s)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], told_s: float) -> Self:
        """Read what the watching process wrote. What is missing or of another type is left out."""
        connection = record.get("connection")
        if not isinstance(connection, Mapping):
            return cls(str(record.get("state", "watching")), told_s=told_s)
        return cls(
            state=str(connection.get("state", "watching")),
            since_s=_number(connection.get("since_s")),
            detail=str(connection.get("detail", "")),
            cause=str(connection.get("cause", "")),
            attempts=int(_number(connection.get("attempts")) or 0),
            reconnects=int(_number(connection.get("reconnects")) or 0),
            last_frame_s=_number(connection.get("last_frame_s")),
            frames_per_s=_number(connection.get("frames_per_s")) or 0.0,
            lag_s=_number(connection.get("lag_s")) or 0.0,
            told_s=told_s,
        )

    @classmethod
    def interrupted(cls, since_s: float | None) -> Self:
        """The activity of a stream whose watching was interrupted. ``since_s`` is None if it is unknown when."""
        return cls(
            "interrupted",
            since_s,
            "the process that watched it has ended without a word",
            told_s=since_s or 0.0,
        )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
