"""Frame sampling: chooses the frames that the observers see, at a fixed rate.

sampler = FrameSampler(fps=4)
sampler.takes(frame.time_s)     # True for the first frame of each quarter of a second
"""

from __future__ import annotations

import math


class FrameSampler:
    """Says which frames the observers are shown: the first of each ``1 / fps`` seconds.

    It looks at nothing but presentation times, so it is right for a variable frame rate and
    chooses the same frames when a stream is read again from the middle.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self._fps = fps
        self._last: int | None = None

    def takes(self, time_s: float) -> bool:
        """Whether the frame at ``time_s`` is sampled. Ask once for every frame, in order."""
        # A hair is added because 0.75 * 4 may come out as 2.9999999.
        slot = math.floor(time_s * self._fps + 1e-6)
        taken = self._last is None or slot > self._last
        self._last = slot
        return taken
