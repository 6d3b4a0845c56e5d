"""Watch options: how one source is watched.

WatchOptions(fps=2, ocr=False, disk_budget="5 GB")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .observers.observer import ObserverFactory

DEFAULT_FPS = 4.0
"""Frames a second shown to the observers: enough to follow people, and affordable on one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How one source is watched."""

    fps: float = DEFAULT_FPS
    """Frames a second that the observers are shown. A stream that is resumed keeps the rate it began with."""
    ocr: bool = True
    """Whether text in the picture is read, which is the most expensive observer."""
    observers: tuple[ObserverFactory, ...] = ()
    """Observers beside the built-in and the installed ones, each most simply a class. See docs/extending.md."""
    drain: bool = True
    """Whether watching a file ends only when what waits is described, unless the video LMM is away."""
    disk_budget: str | int | None = None
    """What the stream may take of the memory's disk budget, such as ``"5 GB"`` or a number of bytes. Kept until
    another value is given. None changes nothing."""
    max_outage_s: float | None = None
    """Give up on a live source after this many seconds without it. None never gives up."""
    written_at: Callable[[float], float] | None = None
    """For evaluations: the Unix time at which what was made of the frames up to a stream time counts as written,
    given that stream time. Descriptions take the date of what they describe. None: the present time."""
