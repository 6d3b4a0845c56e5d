"""Frame sampling: chooses the frames that the observers see.

sampler = FrameSampler(fps=4)
sampler.takes(frame.time_s)     # True for the first frame of each quarter of a second
"""

from __future__ import annotations

import math


class FrameSampler:
    """Chooses the first frame of each ``1 / fps`` seconds of stream time.

    It uses presentation times only. So it is right for a variable frame rate, and it chooses the same frames
    when a stream is read again from the middle.

    Raises:
        ValueError: ``fps`` is not above 0.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self._fps = fps
        self._last_slot: int | None = None

    def takes(self, time_s: float) -> bool:
        """Whether the frame at ``time_s`` is sampled. Call it once for every frame, in order."""
        # The small addend is for products such as 0.75 * 4, which may come out as 2.9999999.
        slot = math.floor(time_s * self._fps + 1e-6)
        is_sampled = self._last_slot is None or slot > self._last_slot
        self._last_slot = slot
        return is_sampled


_AT_MOST = 0.95
"""Chosen frames are aimed at this part of the largest distance, because intervals vary."""


class SparseSampler:
    """Chooses few frames, but so many that no more than ``1 / fps`` seconds lie between two of them.

    ``FrameSampler`` chooses a first frame of each second, and those may be further apart. The rate may change from
    frame to frame.
    """

    def __init__(self) -> None:
        self._last_s = self._taken_s = -math.inf

    def takes(self, time_s: float, fps: float) -> bool:
        """Whether the frame at ``time_s`` is sampled. Call it once for every frame, in order."""
        interval_s, self._last_s = time_s - self._last_s, time_s
        elapsed_s = time_s - self._taken_s
        if elapsed_s >= 0 and elapsed_s + max(0.0, interval_s) <= _AT_MOST / fps:
            return False
        self._taken_s = time_s
        return True
