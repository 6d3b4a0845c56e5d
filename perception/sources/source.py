"""The ``Source`` protocol and its events: frames, outages and dropped frames of a video.

    with closing(open_source("kitchen.mp4", fps=4)) as source:
        for event in source.frames():
            match event:
                case Frame(): ...      # every decoded frame, in order of time
                case Outage(): ...     # a stretch that the source could not deliver
                case Dropped(): ...    # single frames that were lost, and why

A source knows containers, codecs and connections. It knows nothing of shots, observers or memory, and it
stores nothing. ``open_source`` is in ``source_factory``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from .frame import Frame


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of stream time that the source could not deliver."""

    start_s: float
    end_s: float
    epoch: int
    """The epoch that ended (live), or that goes on (a damaged stretch of a file)."""
    cause: str
    """``stalled``, ``dropped``, ``refused``, ``damaged``, ``clock jump``, …"""
    detail: str = ""
    attempts: int = 0
    """Number of attempts to open the source again."""
    wall_start_s: float | None = None
    """Unix seconds at ``start_s``. None where the source has no wall clock."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames that were lost. Those of an outage are reported just before it."""

    count: int
    cause: Literal["damaged", "overload"]
    time_s: float
    """Stream time near which they were lost."""


Event = Frame | Outage | Dropped
"""What a source yields."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Facts about a source that are available before its frames are read."""

    kind: Literal["file", "live"]
    source: str
    """Its path or address, without credentials."""
    content_id: str
    """Computed from the bytes of a file, or from the stored part of the address of a live source."""
    duration_s: float | None = None
    """The duration that a file declares. None if it declares none, and for a live source."""
    width: int = 0
    """Of the upright picture in square pixels. 0 until a live source has sent a picture."""
    height: int = 0
    average_fps: float = 0.0
    """The frame rate that the source declares. 0 if it declares none. Never used for times."""
    has_audio: bool = False
    subtitle_tracks: int = 0
    started_wall_s: float | None = None
    """Unix seconds at stream time 0, for a live source that has begun."""


class Source(Protocol):
    """A video that can be watched."""

    @property
    def info(self) -> SourceInfo:
        """Current facts about the source."""

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame from ``from_s`` (stream seconds) on, and between them the losses."""

    def stop(self) -> None:
        """End the iterator soon, after the frames already read. Safe in signal handlers and other threads."""

    def close(self) -> None:
        """Close files and connections and end processes. May be called twice."""
