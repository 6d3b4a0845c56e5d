"""Watch options: how one source is watched.

WatchOptions(fps=2, ocr=False, disk_budget="5 GB")
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..common.errors import BadArgument
from .observers.observer import ObserverFactory

DEFAULT_FPS = 4.0
"""Frames a second shown to the observers: enough to follow people, and affordable on one core."""
MIN_FPS, MAX_FPS = 0.1, 60.0
"""The rates that can be chosen."""
MIN_IMAGE_FPS = 0.001
"""The lowest rate of pictures: one in a quarter of an hour."""
MIN_IDLE_S, MAX_IDLE_S = 0.1, 3600.0
"""The shortest and longest wait for a followed file to grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How one source is watched.

    Raises ``BadArgument`` if a value has a wrong type or is out of range.
    """

    fps: float = DEFAULT_FPS
    """Frames a second that the observers are shown. A stream that is resumed keeps the rate it began with."""
    ocr: bool = True
    """Whether text in the picture is read, which is the most expensive observer."""
    observers: tuple[ObserverFactory, ...] = ()
    """Observers beside the built-in and the installed ones, each most simply a class. See docs/extending.md."""
    image_fps: float = 1.0
    """How many pictures of a folder or pattern are shown a second."""
    follow: bool = False
    """Whether a file on the disk that another program still writes is watched until it stops growing."""
    follow_idle_s: float = 30.0
    """After how many seconds without growth a followed file has ended."""
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

    def __post_init__(self) -> None:
        _check_number("fps", self.fps, MIN_FPS, MAX_FPS)
        _check_number("image_fps", self.image_fps, MIN_IMAGE_FPS, MAX_FPS)
        _check_number("follow_idle_s", self.follow_idle_s, MIN_IDLE_S, MAX_IDLE_S)
        for name, flag in (("ocr", self.ocr), ("follow", self.follow), ("drain", self.drain)):
            if not isinstance(flag, bool):
                raise BadArgument(name, flag, "True or False")
        if not isinstance(self.observers, tuple | list) or not all(callable(make) for make in self.observers):
            raise BadArgument("observers", self.observers, "a tuple of observer classes or functions")
        if self.disk_budget is not None and (
            isinstance(self.disk_budget, bool) or not isinstance(self.disk_budget, str | int)
        ):
            raise BadArgument("disk_budget", self.disk_budget, 'a size such as "5 GB", or a number of bytes')
        if self.max_outage_s is not None and not (
            _is_number(self.max_outage_s) and math.isfinite(self.max_outage_s) and self.max_outage_s >= 0
        ):
            raise BadArgument("max_outage_s", self.max_outage_s, "a number of seconds, or None")
        if self.written_at is not None and not callable(self.written_at):
            raise BadArgument("written_at", self.written_at, "a function of the stream time, or None")


def _check_number(name: str, value: float, least: float, most: float) -> None:
    if not _is_number(value) or not least <= value <= most:
        raise BadArgument(name, value, f"a number from {least:g} to {most:g}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
