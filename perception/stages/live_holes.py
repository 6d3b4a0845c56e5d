"""Live holes: the stretches of a live stream in which frames are missing, though the source stayed connected.

    holes = HoleFinder(fps=4.0)
    holes.note_dropped(dropped)                               # before the frame that follows
    hole = holes.push(frame.time_s, sampled=frame.sampled)    # Hole(start_s, end_s, "overload", …), usually None
    holes.take_dropped()                                      # the losses to book on the hole or near the frame

Frames further apart than a second, or than three sampled frames, were not watched in between. Where some were lost, the
cause is theirs. Where none were, the source was silent for longer than it usually is. It keeps no clock.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

from ..sources.source import Dropped

LEAST_S = 1.0
LEAST_FRAMES = 3.0
"""A hole is longer than this time, and than so many distances between sampled frames."""

_TOLERANCE = 1.05
"""Frames of a steady source are not exactly one distance apart."""
_USUAL_DISTANCES = 3.0
"""A source that is this much slower than usual was silent. One that is always slow was not."""
_LEARNED = 30
_FEWEST_LEARNED = 3


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without frames, between two frames of one epoch."""

    start_s: float
    end_s: float
    cause: str
    detail: str


class HoleFinder:
    """Finds the holes of one live stream. Feed it all frames and losses in order."""

    def __init__(self, fps: float) -> None:
        """``fps`` is the full rate at which the stream is sampled."""
        self._limit_s = _TOLERANCE * max(LEAST_S, LEAST_FRAMES / fps)
        self._stands_for_s = 1.0 / fps
        self._distances_s: deque[float] = deque(maxlen=_LEARNED)
        self._dropped: list[Dropped] = []
        self._last_s: float | None = None
        self._sampled_s = 0.0

    def note_dropped(self, dropped: Dropped) -> None:
        """Take frames that were lost since the last frame."""
        self._dropped.append(dropped)

    def take_dropped(self) -> list[Dropped]:
        """The losses since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def restart(self) -> None:
        """The next frame begins anew: nothing is known of the time before it."""
        self._last_s = None
        self._distances_s.clear()

    def push(self, time_s: float, *, sampled: bool, reduced: bool = False) -> Hole | None:
        """Take the next frame, and return the hole before it. ``reduced``: it was watched at a reduced rate."""
        last_s, self._last_s = self._last_s, time_s
        if last_s is None:
            self._sampled_s = time_s
            return None
        distance_s, unsampled_s = time_s - last_s, time_s - self._sampled_s
        if sampled:
            self._sampled_s = time_s
        hole = self._hole(last_s, time_s, unsampled_s, reduced=reduced and sampled)
        if hole is not None:
            self._sampled_s = time_s
        if not self._dropped:
            # Only an undisturbed distance says how fast the source is.
            self._distances_s.append(distance_s)
        return hole

    def _hole(self, last_s: float, time_s: float, unsampled_s: float, *, reduced: bool) -> Hole | None:
        # No later than where the examined frames begin to be too far apart.
        examined_until_s = time_s - unsampled_s + self._limit_s / _TOLERANCE
        start_s = max(last_s, min(last_s + self._stands_for_s, examined_until_s))
        usual_s = statistics.median(self._distances_s) if self._distances_s else 0.0
        if self._dropped or (reduced and unsampled_s > _USUAL_DISTANCES * usual_s):
            if unsampled_s <= self._limit_s or start_s >= time_s:
                return None
            counts = {"overload": 0, "damaged": 0}
            for dropped in self._dropped:
                counts[dropped.cause] += dropped.count
            if counts["overload"] or not counts["damaged"]:
                detail = "the machine was too slow to watch every frame"
                return Hole(start_s, time_s, "overload", detail)
            return Hole(start_s, time_s, "damaged", "frames could not be decoded")
        if len(self._distances_s) < _FEWEST_LEARNED:
            return None
        if time_s - last_s <= max(self._limit_s, _USUAL_DISTANCES * usual_s):
            return None
        return Hole(start_s, time_s, "stalled", "the source sent nothing meanwhile")
