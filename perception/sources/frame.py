"""A frame on its way through perception.

A source yields every frame it decodes. Each carries a thumbnail, cheap enough to make for
all of them, from which cuts are found; the frames that fall on a sampling time also carry a
small colour picture for the observers, and can give the whole picture to those who ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""Height × width × 3, blue-green-red, upright and with square pixels."""

Thumb = NDArray[np.uint8]
"""Luma, 36 rows × 64 columns whatever the picture's shape."""

THUMB_SHAPE = (36, 64)
SMALL_SIDE = 320
"""The longer side of ``Frame.small``, in pixels."""


@dataclass(slots=True)
class Frame:
    """A decoded frame with its time."""

    time_s: float
    """Stream time, in seconds."""
    pts: int
    time_base: Fraction
    thumb: Thumb
    epoch: int = 0
    wall_s: float | None = None
    """Unix seconds, where the source has a wall clock."""
    small: Picture | None = None
    """The picture at ``SMALL_SIDE``, on sampled frames; None on all others."""
    read_picture: Callable[[], Picture] | None = None
    """Makes the whole picture; set on sampled frames. Call it before the next frame is asked for."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the whole picture, upright, in square pixels."""

    @property
    def sampled(self) -> bool:
        """Whether the observers are shown it."""
        return self.small is not None

    def picture(self) -> Picture:
        """The whole picture. Only a sampled frame has one."""
        if self.read_picture is None:
            raise ValueError(f"the frame at {self.time_s:.3f} s was not sampled, so it carries no picture")
        return self.read_picture()
