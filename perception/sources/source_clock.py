"""Source clock: times of a live source's frames, through drift and jumps of its clock.

    clock = SourceClock()
    clock.open()                           # a new connection
    for placed in clock.place(arrived):
        placed.time_s, placed.cause        # its time, and why the clock begins anew before it
    clock.tick(now_s)                      # nothing came for a moment

A source's timestamps are held against the arrivals of its frames (``ArrivalFit``), so a source whose clock is
slow or fast is followed. A source without true timestamps goes by arrival. Time never goes back and is never
ahead of the arrival.

The first frames of a connection are held back for a moment, because many sources first send what they had
kept. What was taken before the last frame, or before watching began, is not placed. A timestamp that jumps is
believed when the next frame follows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .arrival_fit import ArrivalFit
from .reader_messages import ReceivedFrame

_JUMP_S = 1.0
_JUMP_FRAMES = 5
"""A timestamp jumped if it goes back by more than ``_JUMP_S``, or ahead of the time that passed by more than
that and by more than so many frames."""

_GARBAGE_FRAMES = 8
"""After so many timestamps in a row that fit nothing, a source goes by arrival."""

_NO_TIME_S = 0.5
"""A jump lost no time if its frame came no later than this beyond the usual delay."""

_SLEW = 0.01
"""How much faster or slower than the fitted line time may run, to come back to it."""

_DRIFT_S = 2.0
"""Further than this from the fitted line, the clock begins anew on it."""

_SETTLE_S = 0.3
"""The first frames of a connection are held back until no frame came with less delay for this long."""

_SETTLE_DROP_S = 0.02
"""A delay that becomes smaller by less is no sign of frames that were kept."""

_SETTLE_LONGEST_S = 5.0
_HELD_FRAMES = 64
"""Bounds of holding back: seconds, and frames."""

_STEP_S = 0.001
"""The least time between two frames."""

_GOES_ON_DELAYS = 4.0
"""A new connection may begin this many usual delays ago, and still count time as the one before it."""

ClockBreak = Literal["clock jump", "clock drift"]
"""Why the clock begins anew."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A received frame with its times in seconds."""

    received: ReceivedFrame
    source_s: float | None
    """Its timestamp. None if it has none."""
    arrival_s: float
    """Stream time at which it arrived."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A received frame with its stream time."""

    received: ReceivedFrame
    time_s: float | None
    """None if it belongs to the past, and is not a part of the stream."""
    previous_end_s: float
    """Where the frame before it ends."""
    cause: ClockBreak | None = None


class SourceClock:
    """Places the frames of a live source in stream time. It reads no clock."""

    def __init__(self, seen_until_s: float = 0.0) -> None:
        """``seen_until_s`` is the time up to which the stream is remembered."""
        self.is_timed = True
        """Whether the source's timestamps count. Otherwise its frames go by arrival."""
        self._fit: ArrivalFit | None = None
        self._is_new = True
        self._has_begun = False
        self._is_ahead = False
        self._held: deque[Arrived] = deque()
        self._least_delay_s = self._settled_s = self._held_from_s = 0.0
        self._suspect: Arrived | None = None
        self._garbage = 0
        self._previous: Arrived | None = None
        self._first_source_s = self._placed_source_s = 0.0
        self._last_s = seen_until_s
        self._interval_s = 0.04

    @property
    def end_s(self) -> float:
        """Where the newest frame ends, judged by how long the one before it lasted."""
        return self._last_s + self._interval_s if self._has_begun else self._last_s

    def open(self) -> None:
        """A new connection was opened. It may count time from elsewhere."""
        self._is_new, self._is_ahead = True, False
        self._previous = self._suspect = None
        self._garbage = 0
        self._held.clear()

    def place(self, arrived: Arrived) -> Iterator[Placed]:
        """Yield the frames whose times are known now: usually this one."""
        if not self.is_timed or (arrived.source_s is None and self._fit is None):
            yield self._at(arrived, arrived.arrival_s)
        elif arrived.source_s is None:
            yield from self._place_between(arrived)
        elif self._held or self._previous is None:
            yield from self._settle(arrived, arrived.source_s)
        else:
            yield from self._check(arrived, arrived.source_s)

    def tick(self, now_s: float) -> Iterator[Placed]:
        """Yield the frames that were held back long enough. Call it when no frame came for a moment."""
        waited_s = now_s - (self._settled_s if self._suspect is None else self._suspect.arrival_s + _JUMP_S)
        if waited_s >= _SETTLE_S:
            yield from self.finish()

    def finish(self) -> Iterator[Placed]:
        """Yield all frames that are held back."""
        suspect, self._suspect = self._suspect, None
        if suspect is not None and suspect.source_s is not None:
            yield from self._jump(suspect, suspect.source_s)
        held, self._held = self._held, deque()
        for arrived in held:
            if arrived.source_s is not None:
                yield self._follow(arrived, arrived.source_s)

    # -- the first frames of a connection --------------------------------------------------------------

    def _settle(self, arrived: Arrived, source_s: float) -> Iterator[Placed]:
        """Hold back the first frames until their delays settle."""
        previous = self._previous
        if previous is None and self._goes_on(arrived, source_s):
            yield self._follow(arrived, source_s)
            return
        if previous is None or self._jumps(arrived, source_s, previous):
            # Timestamps before a jump were garbage, or the source had begun twice.
            yield from map(self._past, self._held)
            self._held.clear()
            self._fit = ArrivalFit(1.0 if self._fit is None else self._fit.rate)
            self._first_source_s = source_s
            self._least_delay_s = float("inf")
            if previous is None:
                self._held_from_s = arrived.arrival_s
            else:
                self._garbage += 1
        assert self._fit is not None
        self._fit.add(source_s, arrived.arrival_s)
        delay_s = arrived.arrival_s - source_s
        if delay_s < self._least_delay_s - _SETTLE_DROP_S:
            self._least_delay_s, self._settled_s = delay_s, arrived.arrival_s
        self._previous = arrived
        self._held.append(arrived)
        while len(self._held) > 1 and (len(self._held) > _HELD_FRAMES or self._is_past(self._held[0])):
            yield self._past(self._held.popleft())
        self.is_timed = self._garbage < _GARBAGE_FRAMES
        held_s = arrived.arrival_s - self._held_from_s
        settles = arrived.arrival_s - self._settled_s >= _SETTLE_S
        if settles or held_s >= _SETTLE_LONGEST_S or not self.is_timed:
            yield from self.finish()

    def _goes_on(self, arrived: Arrived, source_s: float) -> bool:
        """Whether a new connection counts time as the one before it."""
        if self._fit is None or source_s <= self._first_source_s + _JUMP_S:
            return False
        delay_s = arrived.arrival_s - self._fit.time_at(source_s)
        return -_STEP_S <= delay_s <= _GOES_ON_DELAYS * self._fit.usual_delay_s + _JUMP_S

    def _is_past(self, arrived: Arrived) -> bool:
        """Whether the first frame of a connection was taken before the last frame, or before watching began."""
        assert self._fit is not None
        assert arrived.source_s is not None
        time_s = self._fit.time_at(arrived.source_s)
        return time_s <= self._last_s if self._has_begun else time_s < self._last_s - _SETTLE_S

    # -- the frames that follow ------------------------------------------------------------------------

    def _check(self, arrived: Arrived, source_s: float) -> Iterator[Placed]:
        """Place a frame, unless its timestamp jumps. Then the next frame decides whether that is believed."""
        assert self._previous is not None
        suspect, self._suspect = self._suspect, None
        jumps = self._jumps(arrived, source_s, self._previous)
        if suspect is not None and suspect.source_s is not None:
            if jumps and not self._jumps(arrived, source_s, suspect):
                yield from self._jump(suspect, suspect.source_s)
                jumps = False
            else:
                # Its timestamp fits neither the frame before it nor the one after it.
                self._garbage += 1
                yield from self._place_between(suspect)
        if self._garbage >= _GARBAGE_FRAMES:
            self.is_timed = False
            yield self._at(arrived, arrived.arrival_s)
        elif jumps:
            self._suspect = arrived
        else:
            if suspect is None:
                self._garbage = 0
            yield self._follow(arrived, source_s)

    def _jumps(self, arrived: Arrived, source_s: float, previous: Arrived) -> bool:
        """Whether a timestamp does not follow that of the previous frame."""
        assert previous.source_s is not None
        step_s = source_s - previous.source_s
        passed_s = max(0.0, arrived.arrival_s - previous.arrival_s)
        return step_s < -_JUMP_S or step_s > passed_s + max(_JUMP_S, _JUMP_FRAMES * self._interval_s)

    def _jump(self, arrived: Arrived, source_s: float) -> Iterator[Placed]:
        """Go on with a clock that jumped."""
        assert self._fit is not None
        next_s = self.end_s
        time_s = arrived.arrival_s - self._fit.usual_delay_s
        if time_s - next_s < _NO_TIME_S:
            time_s = min(next_s, arrived.arrival_s)
        self._fit = ArrivalFit(self._fit.rate)
        # Time goes on where it was, until the arrivals of the new clock show where it belongs.
        self._fit.add(source_s, time_s)
        self._fit.add(source_s, arrived.arrival_s)
        self._first_source_s = source_s
        self._previous = arrived
        if not self._is_new:
            self._placed_source_s = source_s
            yield self._at(arrived, time_s, "clock jump")
        else:
            yield self._follow(arrived, source_s)

    def _follow(self, arrived: Arrived, source_s: float) -> Placed:
        """Place a frame by its timestamp."""
        assert self._fit is not None
        fit, self._previous = self._fit, arrived
        fit.add(source_s, arrived.arrival_s)
        if fit.is_made_up:
            self.is_timed = False
            cause: ClockBreak | None = "clock drift" if arrived.arrival_s - self._last_s > _DRIFT_S else None
            return self._at(arrived, arrived.arrival_s, cause)
        on_line_s = min(fit.time_at(source_s), arrived.arrival_s)
        time_s, cause = on_line_s, None
        if self._is_new:
            is_past = self._is_past(arrived)
        elif self._is_ahead:
            is_past, cause = on_line_s <= self._last_s, "clock drift"
        else:
            step_s = fit.rate * (source_s - self._placed_source_s)
            behind_s = on_line_s - (self._last_s + step_s)
            # Too far ahead, the stream waits until the source is there.
            is_past = self._is_ahead = behind_s < -_DRIFT_S
            if behind_s > _DRIFT_S:
                cause = "clock drift"
            else:
                slew_s = _SLEW * max(0.0, step_s)
                time_s = self._last_s + step_s + max(-slew_s, min(slew_s, behind_s))
        if is_past:
            return self._past(arrived)
        self._placed_source_s = source_s
        return self._at(arrived, min(time_s, arrived.arrival_s), cause)

    def _place_between(self, arrived: Arrived) -> Iterator[Placed]:
        """Place a frame that has no useful timestamp among those that have."""
        if self._is_new or self._is_ahead or self._fit is None:
            yield self._past(arrived)
            return
        self._placed_source_s += self._interval_s / self._fit.rate
        yield self._at(arrived, min(self.end_s, arrived.arrival_s))

    def _past(self, arrived: Arrived) -> Placed:
        return Placed(arrived.received, None, self.end_s)

    def _at(self, arrived: Arrived, time_s: float, cause: ClockBreak | None = None) -> Placed:
        end_s = self.end_s
        if self._is_new:
            time_s = max(time_s, end_s)
        elif self._has_begun:
            time_s = max(time_s, self._last_s + _STEP_S)
        if self._has_begun and not self._is_new and cause is None:
            self._interval_s = min(1.0, time_s - self._last_s)
        self._has_begun, self._is_new, self._is_ahead = True, False, False
        self._last_s = time_s
        return Placed(arrived.received, time_s, end_s, cause)
