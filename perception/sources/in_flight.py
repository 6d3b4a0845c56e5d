"""In flight: the frames that a reader process has sent and its parent has not dealt with yet.

    in_flight = InFlight(limit=8)
    in_flight.add(arrival_s)        # waits until fewer than 8 frames are under way
    in_flight.acknowledge(1)        # the parent has dealt with the oldest

So a slow parent makes packets wait in the child, where their age is known and where they are still small.
"""

from __future__ import annotations

import threading
from collections import deque


class InFlight:
    """The arrivals of the frames under way, oldest first. Safe for use by several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._arrivals: deque[float] = deque()
        self._changed = threading.Condition()

    def add(self, arrival_s: float) -> None:
        """Note a frame that is about to be sent. Waits while as many as allowed are under way."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._arrivals) < self._limit)
            self._arrivals.append(arrival_s)

    def acknowledge(self, count: int) -> None:
        """Forget the oldest frames, because the parent has dealt with them."""
        with self._changed:
            for _ in range(min(count, len(self._arrivals))):
                self._arrivals.popleft()
            self._changed.notify_all()

    @property
    def oldest_s(self) -> float | None:
        """The arrival of the oldest frame under way. None if there is none."""
        with self._changed:
            return self._arrivals[0] if self._arrivals else None
