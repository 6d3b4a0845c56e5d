"""Cuts a stream into moments of 2 to 10 seconds that never cross a cut.

    cutter = MomentCutter()
    cutter.push(frame.time_s, frame.thumb)   # spans that are now final, usually none
    cutter.cut(12.48)                        # a shot ended there: what stood open is final

Within a shot a moment ends where the picture goes from quiet to active or back, or when it is long
enough. What it decides depends only on frames since the last final moment ended, so watching that is
resumed there gives the same moments as watching that was never broken.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...memory.values import Span
from ..sources.frame import Thumb

MIN_S = 2.0
MAX_S = 10.0
ACTIVE_S = 5.0
"""The length aimed at while things move; a quiet moment may last ``MAX_S``."""
SETTLE_S = 0.75
"""A change between quiet and active counts once it has lasted this long."""
STEP_LEVELS = 12
"""From this difference in luma (of 255) on, a cell of the thumbnail has changed."""
ACTIVE_CELLS = 0.01
"""The share of changed cells from which on a picture is active."""


class MomentCutter:
    """Decides where moments end. Feed it sampled frames in order; it keeps no clock of its own.

    ``max_s`` is the longest a quiet moment may be: a live stream, of which one asks what was seen
    seconds ago, wants it shorter than ``MAX_S``.
    """

    def __init__(self, max_s: float = MAX_S) -> None:
        self._max_s = max_s
        self._start_s: float | None = None
        self._held: Span | None = None
        self._last: tuple[float, Thumb] | None = None
        self._state: bool | None = None
        self._candidate_s: float | None = None

    @property
    def current_from_s(self) -> float | None:
        """Where the moment that is being filled begins."""
        return self._start_s

    @property
    def open_from_s(self) -> float | None:
        """From where on nothing is final yet; None where no moment is open."""
        return self._start_s if self._held is None else self._held.start_s

    def begin(self, time_s: float) -> None:
        """A moment begins here, whatever the next frame's time."""
        self._start_s = time_s

    def push(self, time_s: float, thumb: Thumb) -> list[Span]:
        """Take one sampled frame; return the moments it made final."""
        if self._start_s is None:
            self._start_s = time_s
        final: list[Span] = []
        if self._held is not None and time_s - self._start_s >= MIN_S:
            # What follows is long enough to stand alone, so the held moment keeps its end.
            final.append(self._held)
            self._held = None
        last_s = self._start_s if self._last is None else self._last[0]
        if time_s - self._start_s > self._max_s and time_s - last_s <= self._max_s:
            final += self._hold(self._start_s + self._max_s)
            # What it looked like before belongs to a moment that may become final.
            self._last = None
        active = self._active(thumb)
        self._last = (time_s, thumb)
        length_s = time_s - self._start_s
        if self._state is None:
            if length_s >= SETTLE_S:
                self._state = active
        elif active != self._state:
            if self._candidate_s is None:
                self._candidate_s = time_s
            if time_s - self._candidate_s >= SETTLE_S:
                self._candidate_s = None
                if length_s >= MIN_S:
                    return final + self._hold(time_s)
                self._state = active
        else:
            self._candidate_s = None
        if length_s >= (ACTIVE_S if self._state else self._max_s):
            final += self._hold(time_s)
        return final

    def cut(self, time_s: float) -> list[Span]:
        """The shot, epoch or stream ends at ``time_s``; return every moment still open."""
        start_s, held, open_from_s = self._start_s, self._held, self.open_from_s
        last_s = time_s if self._last is None else self._last[0]
        self._start_s, self._held, self._last = None, None, None
        self._state, self._candidate_s = None, None
        if start_s is None or open_from_s is None or time_s <= open_from_s:
            return []
        if held is not None and time_s - start_s >= MIN_S:
            return [held, *_halved(Span(start_s, time_s), last_s)]
        return _halved(Span(open_from_s, time_s), last_s)

    def _hold(self, end_s: float) -> list[Span]:
        """End the open moment, but keep it until it is known that what follows is not too short."""
        assert self._start_s is not None
        final = [self._held] if self._held is not None else []
        self._held = Span(self._start_s, end_s)
        self._start_s, self._state, self._candidate_s = end_s, None, None
        return final

    def _active(self, thumb: Thumb) -> bool:
        if self._last is None:
            return False
        changed = np.count_nonzero(cv2.absdiff(thumb, self._last[1]) > STEP_LEVELS)
        return bool(changed > ACTIVE_CELLS * thumb.size)


def _halved(span: Span, last_s: float) -> list[Span]:
    """The span, or its two halves where it is too long and its last frame, at ``last_s``, is in the second."""
    if span.duration_s <= MAX_S or last_s < span.middle_s:
        return [span]
    return [Span(span.start_s, span.middle_s), Span(span.middle_s, span.end_s)]
