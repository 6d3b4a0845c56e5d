"""Accounts for every frame of a stream: kept, merged into what was observed, between two samples, or lost.

    accounts = FrameAccounts()
    accounts.took(frame.time_s, sampled=frame.sampled)
    accounts.lost(dropped)
    accounts.settle(moment.span.end_s, stored=2)     # FrameCounts of all before, counted once

It knows times and numbers only, and nothing of what is in a picture.
"""

from __future__ import annotations

from collections import deque

from ...memory.values import FrameCounts
from ..sources.source import Dropped


class FrameAccounts:
    """Counts frames until the moment or gap they belong to is settled."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, bool]] = deque()
        self._lost: deque[Dropped] = deque()
        self.total = FrameCounts()
        """All that was settled so far."""

    def took(self, time_s: float, *, sampled: bool) -> None:
        """A frame came; ``sampled`` where the observers were shown it."""
        self._taken.append((time_s, sampled))

    def lost(self, dropped: Dropped) -> None:
        """Frames did not come."""
        self._lost.append(dropped)

    def settle(self, end_s: float, *, stored: int = 0) -> FrameCounts:
        """Every frame before ``end_s`` that is not settled yet; ``stored`` of them were kept."""
        captured = sampled = 0
        while self._taken and self._taken[0][0] < end_s:
            captured += 1
            sampled += self._taken.popleft()[1]
        dropped: dict[str, int] = {}
        while self._lost and self._lost[0].time_s < end_s:
            lost = self._lost.popleft()
            dropped[lost.cause] = dropped.get(lost.cause, 0) + lost.count
        counts = FrameCounts(
            captured=captured + sum(dropped.values()),
            stored=stored,
            sampled_out=captured - sampled,
            merged=sampled - stored,
            dropped=dropped,
        )
        self.total += counts
        return counts
