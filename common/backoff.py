"""Exponential back-off with jitter: how long to pause before the next attempt.

    backoff = Backoff(first_s=1.0, longest_s=60.0)
    backoff.pause_s(failures=1)     # anything from 0 to 1 s
    backoff.pause_s(failures=4)     # anything from 0 to 8 s

It does not sleep and counts nothing: the caller knows how to wait, and when to stop.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_MAX_DOUBLINGS = 30
"""Keeps the power of two a number that a float can hold."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each failure, up to a longest one, and are drawn at random below that.

    The jitter keeps clients that failed together from coming back together.
    """

    first_s: float
    """The longest pause after the first failure, in seconds."""
    longest_s: float
    """The longest pause after any failure, in seconds."""
    min_share: float = 0.0
    """The shortest pause as a share of the longest one after the same failure, 0 to 1."""

    def pause_s(self, failures: int) -> float:
        """Draw the pause after ``failures`` failures in a row, in seconds.

        Raises:
            ValueError: ``failures`` is below 1.
        """
        if failures < 1:
            raise ValueError(f"failures is {failures}, but a pause follows at least one failure")
        longest_s = min(self.longest_s, self.first_s * 2 ** min(failures - 1, _MAX_DOUBLINGS))
        return random.uniform(self.min_share * longest_s, longest_s)
