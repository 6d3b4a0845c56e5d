"""The ``Source`` protocol and its events: frames, outages and dropped frames of a video.

    with closing(open_source("kitchen.mp4", fps=4)) as source:
        for event in source.frames():
            match event:
                case Frame(): ...      # every decoded frame, in order of time
                case Outage(): ...     # a stretch that the source could not deliver
                case Dropped(): ...    # single frames that were lost, and why

A source knows containers, codecs and connections. It knows nothing of shots, observers or memory, and
it stores nothing. ``source_factory`` opens one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from .frame import Frame


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of stream time the source could not deliver."""

    start_s: float
    end_s: float
    epoch: int
    """The epoch that ended (live), or that goes on (a damaged stretch of a file)."""
    cause: str
    """``stalled``, ``dropped``, ``refused``, ``damaged``, ``clock jump``, …"""
    detail: str = ""
    attempts: int = 0
    """How often it was tried to reopen the source."""
    wall_start_s: float | None = None
    """Unix seconds at ``start_s``; None where the source has no wall clock."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames that were there and are lost. Those of an outage are told of just before it."""

    count: int
    cause: Literal["damaged", "overload"]
    time_s: float
    """Stream time near which they were lost."""


Event = Frame | Outage | Dropped
"""What a source yields."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read."""

    kind: Literal["file", "live"]
    source: str
    """Where it is read from, without credentials."""
    content_id: str
    """A file's identity, made from its bytes; a live source's, from its address."""
    duration_s: float | None = None
    """How long the file says it is; None where it does not say, and for a live source."""
    width: int = 0
    """Of the upright picture in square pixels; 0 while a live source has sent none."""
    height: int = 0
    average_fps: float = 0.0
    """Frames a second the source says it has; 0 where it does not say. Never used for times."""
    has_audio: bool = False
    subtitle_tracks: int = 0
    started_wall_s: float | None = None
    """Unix seconds at stream time 0, for a live source that has begun."""


class Source(Protocol):
    """Something that can be watched."""

    @property
    def info(self) -> SourceInfo:
        """What is known of it by now."""

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame from ``from_s`` (stream seconds) on, with what was lost between them."""

    def stop(self) -> None:
        """End the iterator soon, after what it holds; from another thread or a signal handler too."""

    def close(self) -> None:
        """Let go of files, connections and processes. May be called twice."""
