"""File coverage: turns losses, and stretches without a picture, into ``Dropped`` events and outages.

    coverage = FileCoverage(from_s=0.0, from_start=True, has_lost=lambda before, after: False)
    coverage.note_damage(Damage(3.2, count=1))
    events = coverage.until(TimedPicture(time_s=5.0, shown_s=0.04))
    events = coverage.at_end(FileEnd(...))

A picture is shown until the next one, and a long wait is no loss: recordings of a screen hold a picture for
minutes. A stretch counts as lost if something failed in it, or if bytes of the file are missing there.
It knows times only, and opens no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .source import Dropped, Outage

OUTAGE_S = 1.0
"""A stretch without a picture of at least this length is an outage. Of a shorter one, only the lost frames are counted,
until such stretches together are as long."""

_HOLE_S = 0.2
"""Shorter stretches are never told."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A loss near a time."""

    time_s: float
    count: int
    """Number of lost frames. 0 where data was skipped and the number is unknown."""


@dataclass(frozen=True, slots=True)
class TimedPicture:
    """A picture of the file: its time, and how long the file says that it is shown."""

    time_s: float
    shown_s: float
    offset: int | None = None
    """Where its packet lies in the file, in bytes."""


@dataclass(frozen=True, slots=True)
class FileEnd:
    """What is known of the end of a file when all of it was read."""

    picture_end_s: float | None
    """The end of the picture that the file declares, or that its unread bytes suggest. None if nothing does."""
    end_s: float
    """The end of all that a player shows, the sound included."""


class FileCoverage:
    """Follows the pictures of a file, and reports what lies between them."""

    def __init__(
        self,
        from_s: float,
        *,
        from_start: bool,
        is_continuous: bool,
        has_lost: Callable[[TimedPicture, TimedPicture], bool],
    ) -> None:
        """No picture has come yet.

        Args:
            from_s: Losses before this time are not reported.
            from_start: Whether the first picture is the first of the file.
            is_continuous: Whether the encoders of such files never pause, so that they hold no picture.
            has_lost: Whether something is missing between two pictures, judged by the bytes between them. It is
                called only for pictures far apart.
        """
        self._from_s, self._from_start = from_s, from_start
        self._is_continuous, self._has_lost = is_continuous, has_lost
        self._pending: list[Damage] = []
        self._before_last: TimedPicture | None = None
        self._last: TimedPicture | None = None
        self._failed_until_s = -math.inf
        """The time of the latest damage before the newest picture."""
        self._untold_s = 0.0
        """How long the damaged stretches are that were too short for outages, together."""

    @property
    def shown_until_s(self) -> float:
        """The end of the newest picture. 0 before the first."""
        return 0.0 if self._last is None else self._last.time_s + self._last.shown_s

    def note_damage(self, damage: Damage) -> None:
        """Note a loss."""
        self._pending.append(damage)

    def until(self, picture: TimedPicture) -> list[Dropped | Outage]:
        """What lies between the picture before and this one, as events."""
        earlier = self._take_earlier(picture.time_s) if self._pending else []
        before, last, start_s = self._before_last, self._last, self.shown_until_s
        self._before_last, self._last = last, picture
        if last is None and not self._from_start:
            return []
        if earlier:
            return self._events(earlier, start_s, picture.time_s, "damaged", "it could not be decoded")
        hole_s = picture.time_s - start_s
        if hole_s < _HOLE_S:
            return []
        if last is None:
            return self._events([], start_s, picture.time_s, "no picture", "the picture begins later")
        if self._is_continuous and hole_s < 4 * last.shown_s:
            return []
        # The last packet before damaged bytes may have been given the first picture after them.
        if self._has_lost(before or last, picture):
            return self._events([], start_s, picture.time_s, "damaged", "a part of the file is missing")
        if not self._is_continuous:
            return []
        if start_s - self._failed_until_s <= OUTAGE_S:
            return self._events([], start_s, picture.time_s, "damaged", "it could not be decoded")
        return self._events([], start_s, picture.time_s, "no picture", "the file holds none here")

    def _take_earlier(self, time_s: float) -> list[Damage]:
        """Take the losses before ``time_s``. Packets fail in decoding order, so some may belong after it."""
        earlier = [damage for damage in self._pending if damage.time_s < time_s]
        self._pending = [damage for damage in self._pending if damage.time_s >= time_s]
        self._failed_until_s = max([self._failed_until_s, *(damage.time_s for damage in earlier)])
        return earlier

    def at_end(self, end: FileEnd) -> list[Dropped | Outage]:
        """What lies between the last picture and the end of the file, as events."""
        start_s = self.shown_until_s
        shown_s = 0.0 if self._last is None else self._last.shown_s
        # The timestamps of damaged packets may be wrong, so that few losses do not make a long gap.
        longest_s = OUTAGE_S + 4 * shown_s * sum(max(1, damage.count) for damage in self._pending)
        lost_until_s = max([start_s, *(damage.time_s + shown_s for damage in self._pending)])
        lost_until_s = max(min(lost_until_s, start_s + longest_s), end.picture_end_s or 0.0)
        events = self._events(self._pending, start_s, lost_until_s, "damaged", "the file ends too early")
        if any(isinstance(event, Outage) for event in events):
            start_s = lost_until_s
        return events + self._events([], start_s, end.end_s, "no picture", "the file goes on without it")

    def _events(
        self, losses: list[Damage], start_s: float, end_s: float, cause: str, detail: str
    ) -> list[Dropped | Outage]:
        # Losses before from_s were reported by an earlier run.
        count = sum(damage.count for damage in losses if damage.time_s >= self._from_s)
        start_s = max(start_s, self._from_s)
        events: list[Dropped | Outage] = [Dropped(count, "damaged", start_s)] if count else []
        length_s = end_s - start_s
        is_short_damage = cause == "damaged" and _HOLE_S <= length_s < OUTAGE_S
        if length_s + (self._untold_s if is_short_damage else 0.0) >= OUTAGE_S:
            events.append(Outage(start_s, end_s, epoch=0, cause=cause, detail=detail))
        elif is_short_damage:
            self._untold_s += length_s
        return events
