"""Frame accounting: counts every frame of a stream as stored, merged, sampled out or dropped.

    accounts = FrameAccounts()
    accounts.note_frame(frame.time_s, sampled=frame.sampled)
    accounts.note_dropped(dropped)
    accounts.settle(moment.span.end_s, stored=2)     # FrameCounts of all frames before, each counted once

It knows times and numbers only, and no pictures.
"""

from __future__ import annotations

from collections import deque

from ...memory.values import FrameCounts
from ..sources.source import Dropped


class FrameAccounts:
    """Counts frames until the moment or gap that they belong to is settled."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, bool]] = deque()
        self._dropped: deque[Dropped] = deque()
        self.total = FrameCounts()
        """The sum of all settled counts."""

    def note_frame(self, time_s: float, *, sampled: bool) -> None:
        """Note a frame. ``sampled``: whether the observers saw it."""
        self._frames.append((time_s, sampled))

    def note_dropped(self, dropped: Dropped) -> None:
        """Note frames that were lost."""
        self._dropped.append(dropped)

    def settle(self, end_s: float, *, stored: int = 0) -> FrameCounts:
        """Count every frame before ``end_s`` that is not settled yet. ``stored`` of them became key frames."""
        captured = sampled = 0
        while self._frames and self._frames[0][0] < end_s:
            captured += 1
            sampled += self._frames.popleft()[1]
        by_cause: dict[str, int] = {}
        while self._dropped and self._dropped[0].time_s < end_s:
            dropped = self._dropped.popleft()
            by_cause[dropped.cause] = by_cause.get(dropped.cause, 0) + dropped.count
        counts = FrameCounts(
            captured=captured + sum(by_cause.values()),
            stored=stored,
            sampled_out=captured - sampled,
            merged=sampled - stored,
            dropped=by_cause,
        )
        self.total += counts
        return counts
