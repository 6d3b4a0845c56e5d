"""Cuts a stream into moments of 2 to 10 seconds that never cross a cut.

    cutter = MomentCutter()
    cutter.push(frame.time_s, frame.thumb)   # spans that are now final, usually none
    cutter.cut(12.48)                        # a shot ended: returns the spans that were open

Within a shot, a moment ends where the picture goes from quiet to active or back, or when it is long enough.
The decision depends only on the frames since the last final moment ended. So watching that is resumed there
gives the same moments as watching without a break.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...memory.values import Span
from ..sources.frame import Thumb

MIN_S = 2.0
MAX_S = 10.0
ACTIVE_S = 5.0
"""The target length of an active moment. A quiet moment may last ``MAX_S``."""
SETTLE_S = 0.75
"""A change between quiet and active counts after this time."""
STEP_LEVELS = 12
"""The difference in luma (of 255) from which on a cell of the thumbnail counts as changed."""
ACTIVE_CELLS = 0.01
"""The share of changed cells from which on a picture counts as active."""


class MomentCutter:
    """Decides where moments end. It takes sampled frames in order, and reads no clock.

    ``max_s`` is the longest duration of a quiet moment. For a live stream it is shorter than ``MAX_S``, so that
    questions find the last seconds.
    """

    def __init__(self, max_s: float = MAX_S) -> None:
        self._max_s = max_s
        self._start_s: float | None = None
        self._held: Span | None = None
        self._last: tuple[float, Thumb] | None = None
        self._was_active: bool | None = None
        self._change_s: float | None = None

    @property
    def current_from_s(self) -> float | None:
        """The start of the moment that is being filled. None if there is none."""
        return self._start_s

    @property
    def open_from_s(self) -> float | None:
        """The time from which on nothing is final. None if no moment is open."""
        return self._start_s if self._held is None else self._held.start_s

    def begin(self, time_s: float) -> None:
        """Begin a moment at ``time_s``, independent of the next frame's time."""
        self._start_s = time_s

    def push(self, time_s: float, thumb: Thumb) -> list[Span]:
        """Take one sampled frame, and return the moments that it made final."""
        if self._start_s is None:
            self._start_s = time_s
        final: list[Span] = []
        if self._held is not None and time_s - self._start_s >= MIN_S:
            # The moment after it is long enough, so the held moment keeps its end.
            final.append(self._held)
            self._held = None
        last_s = self._start_s if self._last is None else self._last[0]
        if time_s - self._start_s > self._max_s and time_s - last_s <= self._max_s:
            final += self._hold(self._start_s + self._max_s)
            # The previous picture belongs to a moment that may become final.
            self._last = None
        is_active = self._is_active(thumb)
        self._last = (time_s, thumb)
        if self._ends_at(time_s, is_active):
            final += self._hold(time_s)
        return final

    def cut(self, time_s: float) -> list[Span]:
        """End the shot, epoch or stream at ``time_s``, and return every open moment."""
        start_s, held, open_from_s = self._start_s, self._held, self.open_from_s
        last_s = time_s if self._last is None else self._last[0]
        self._start_s, self._held, self._last = None, None, None
        self._was_active, self._change_s = None, None
        if start_s is None or open_from_s is None or time_s <= open_from_s:
            return []
        if held is not None and time_s - start_s >= MIN_S:
            return [held, *_halved(Span(start_s, time_s), last_s, self._max_s)]
        return _halved(Span(open_from_s, time_s), last_s, self._max_s)

    def _ends_at(self, time_s: float, is_active: bool) -> bool:
        """Whether the open moment ends at ``time_s``: its activity changed for good, or it is long enough."""
        assert self._start_s is not None
        length_s = time_s - self._start_s
        if self._was_active is None:
            if length_s >= SETTLE_S:
                self._was_active = is_active
        elif is_active == self._was_active:
            self._change_s = None
        else:
            if self._change_s is None:
                self._change_s = time_s
            if time_s - self._change_s >= SETTLE_S:
                self._change_s = None
                if length_s >= MIN_S:
                    return True
                self._was_active = is_active
        return length_s >= (ACTIVE_S if self._was_active else self._max_s)

    def _hold(self, end_s: float) -> list[Span]:
        """End the open moment, but hold it back until the next one is long enough."""
        assert self._start_s is not None
        final = [self._held] if self._held is not None else []
        self._held = Span(self._start_s, end_s)
        self._start_s, self._was_active, self._change_s = end_s, None, None
        return final

    def _is_active(self, thumb: Thumb) -> bool:
        if self._last is None:
            return False
        changed = np.count_nonzero(cv2.absdiff(thumb, self._last[1]) > STEP_LEVELS)
        return bool(changed > ACTIVE_CELLS * thumb.size)


def _halved(span: Span, last_s: float, max_s: float) -> list[Span]:
    """The span, or its two halves if it is too long and its last frame, at ``last_s``, is in the second half."""
    if span.duration_s <= max_s or last_s < span.middle_s:
        return [span]
    return [Span(span.start_s, span.middle_s), Span(span.middle_s, span.end_s)]
