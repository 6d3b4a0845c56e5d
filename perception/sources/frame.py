"""The ``Frame``: a decoded picture with its time, as sources yield it.

A source yields every frame that it decodes. Each frame carries a thumbnail, from which cuts are detected.
Sampled frames also carry a small colour picture for the observers, and can give the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...memory.watch_rate import WatchRate

Picture = NDArray[np.uint8]
"""Height × width × 3, blue-green-red, upright and with square pixels."""

Thumb = NDArray[np.uint8]
"""Luma, 36 rows × 64 columns for any shape of picture."""

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
    duration_s: float | None = None
    """How long the source says that it is shown. The next frame may come earlier or later. None if it does not say."""
    epoch: int = 0
    wall_s: float | None = None
    """Unix seconds. None where the source has no wall clock."""
    small: Picture | None = None
    """The picture at ``SMALL_SIDE`` on sampled frames. None on all others."""
    read_picture: Callable[[], Picture] | None = None
    """Makes the whole picture. Set on sampled frames, and valid until the next frame is requested."""
    rate: WatchRate | None = None
    """The reduced rate at which the source was watched. None at the full rate."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the whole picture, upright, in square pixels."""

    @property
    def sampled(self) -> bool:
        """Whether the observers see it."""
        return self.small is not None

    def picture(self) -> Picture:
        """The whole picture.

        Raises:
            ValueError: The frame was not sampled, so it carries no picture.
        """
        if self.read_picture is None:
            raise ValueError(f"the frame at {self.time_s:.3f} s was not sampled, so it carries no picture")
        return self.read_picture()
