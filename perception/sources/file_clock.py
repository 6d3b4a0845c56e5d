"""File clock: gives the pictures of a file their stream times, and does not believe every timestamp.

    clock = FileClock(from_start=True)
    for timestamp_s, picture in decoded:
        for time_s, picture in clock.push(timestamp_s, picture): ...
    for time_s, picture in clock.finish(): ...

Timestamps come in the order of presentation. A timestamp that the next ones contradict is replaced. If the next
ones agree on a step back, the file's clock began again: times go on with the differences of the new timestamps.
A step ahead on which they agree is a hole, or in some containers a clock that jumped. Times always rise.

The clock knows timestamps only, and opens no file.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")

LOOKAHEAD = 3
"""The number of later timestamps that are consulted about one that does not fit."""

CLOCK_JUMP_S = 600.0
"""Containers whose clock may jump: a longer step ahead is a jump of the clock, a shorter one a hole in the file."""

_SAME_RATE = 4.0
"""A step ahead is the rate of the pictures, and no jump, if the next step is at least this part of it."""

DEFAULT_STEP_S = 0.04

_LEAST_STEP_S = 1e-6
"""Times rise at least by this."""


class _Waiting(NamedTuple, Generic[Item]):
    timestamp_s: float | None
    item: Item


class FileClock(Generic[Item]):
    """Turns timestamps into stream times that rise, with a delay of one item, or more where one does not fit."""

    def __init__(
        self,
        *,
        from_start: bool,
        step_s: float = DEFAULT_STEP_S,
        may_jump: bool = False,
        declared_end_s: float | None = None,
    ) -> None:
        """Nothing has come yet.

        Args:
            from_start: Whether the first item is the first of the file. If not, its timestamp is believed.
            step_s: The distance of two pictures until two have come.
            may_jump: Whether the clock of this kind of container may jump ahead.
            declared_end_s: The stream time at which the container says that it ends, if it does.
        """
        self._waiting: deque[_Waiting[Item]] = deque()
        self._has_begun = not from_start
        self._may_jump, self._declared_end_s = may_jump, declared_end_s
        self._offset_s = 0.0
        self._last_s = -math.inf
        self._steps_s: deque[float] = deque([step_s], maxlen=5)
        self._has_stepped = False

    @property
    def last_s(self) -> float:
        """The newest stream time. 0 before the first."""
        return max(0.0, self._last_s)

    @property
    def step_s(self) -> float:
        """The usual distance of two times, lately."""
        return sorted(self._steps_s)[(len(self._steps_s) - 1) // 2]

    def stream_time(self, timestamp_s: float | None) -> float:
        """About which stream time a timestamp means, without looking at others."""
        if timestamp_s is None or self._last_s == -math.inf:
            return self.last_s
        time_s = timestamp_s + self._offset_s
        return time_s if abs(time_s - self._last_s) <= CLOCK_JUMP_S else self._last_s

    def push(self, timestamp_s: float | None, item: Item) -> list[tuple[float, Item]]:
        """Take the next item, with None for a timestamp that is missing. Returns the items whose times are settled."""
        self._waiting.append(_Waiting(timestamp_s, item))
        if len(self._waiting) == 2 and (time_s := self._obvious_time()) is not None:
            return [(self._advance(time_s), self._waiting.popleft().item)]
        return self._settle(at_end=False)

    def finish(self) -> list[tuple[float, Item]]:
        """The items that still wait: no more will come."""
        return self._settle(at_end=True)

    def _settle(self, *, at_end: bool) -> list[tuple[float, Item]]:
        settled: list[tuple[float, Item]] = []
        while self._waiting:
            following = [
                waiting.timestamp_s + self._offset_s
                for waiting in list(self._waiting)[1:]
                if waiting.timestamp_s is not None
            ]
            if not (at_end or self._is_decided(following)):
                break
            if not self._has_begun:
                self._begin(following)
                continue
            waiting = self._waiting.popleft()
            settled.append((self._advance(self._time_of(waiting.timestamp_s, following)), waiting.item))
        return settled

    def _obvious_time(self) -> float | None:
        """The stream time of the first of two items that rise as usual. None for any other two: see ``_time_of``."""
        first_s, next_s = self._waiting[0].timestamp_s, self._waiting[1].timestamp_s
        if first_s is None or next_s is None:
            return None
        time_s = first_s + self._offset_s
        rises = self._last_s < time_s < next_s + self._offset_s
        return time_s if rises and time_s - self._last_s <= CLOCK_JUMP_S else None

    def _is_decided(self, following: list[float]) -> bool:
        """Whether enough is known about the first item that waits."""
        timestamp_s = self._waiting[0].timestamp_s
        if timestamp_s is None:
            return self._has_begun or len(following) >= LOOKAHEAD or len(self._waiting) > 2 * LOOKAHEAD
        time_s = timestamp_s + self._offset_s
        if following and self._last_s < time_s < following[0]:
            # Where a clock may jump, the step after a long one tells a jump from a slow rate.
            return True
        return len(following) >= LOOKAHEAD or len(self._waiting) > 2 * LOOKAHEAD

    def _begin(self, following: list[float]) -> None:
        """Settle where the first item of the file belongs: at its own time, or at 0 if that cannot be."""
        self._has_begun = True
        timestamp_s = self._waiting[0].timestamp_s
        if timestamp_s is None:
            return
        first_s = timestamp_s
        if self._is_contradicted(first_s, following):
            # It is too late for those that follow, and belongs just before them.
            rising = [time_s for time_s in following if time_s <= first_s]
            step_s = rising[1] - rising[0] if len(rising) > 1 and rising[1] > rising[0] else self.step_s
            first_s = rising[0] - step_s
            self._waiting[0] = _Waiting(first_s, self._waiting[0].item)
        if first_s < 0 or (self._may_jump and first_s > CLOCK_JUMP_S):
            self._offset_s = -first_s

    def _time_of(self, timestamp_s: float | None, following: list[float]) -> float:
        """The stream time of an item. It may be refused by ``_advance`` only if it does not rise."""
        expected_s = self._last_s + self.step_s if self._last_s > -math.inf else 0.0
        if timestamp_s is None:
            return expected_s
        time_s = timestamp_s + self._offset_s
        if self._last_s == -math.inf:
            return time_s
        later = [later_s for later_s in following[:LOOKAHEAD] if later_s > self._last_s]
        if time_s > self._last_s:
            if self._is_contradicted(time_s, following):
                return self._between(later[0])
            if not following and not self._is_likely_end(time_s):
                return expected_s
            if self._is_jump(time_s, following):
                if following and not self._has_stepped:
                    expected_s = self._last_s + following[0] - time_s
                self._offset_s += expected_s - time_s
                return expected_s
            return time_s
        if 2 * len(later) > min(len(following), LOOKAHEAD):
            return self._between(later[0])
        if following and following[0] > time_s:
            # The ones that follow agree with the step back.
            self._offset_s += expected_s - time_s
        return expected_s

    def _is_contradicted(self, time_s: float, following: list[float]) -> bool:
        """Whether most of the times that follow go on from the last one, but lie before this one."""
        window = following[:LOOKAHEAD]
        before = [later_s for later_s in window if self._last_s < later_s <= time_s]
        return 2 * len(before) > len(window) > 0

    def _is_jump(self, time_s: float, following: list[float]) -> bool:
        """Whether a step ahead is a jump of the clock, and not a hole or a slow rate."""
        jump_s = time_s - self._last_s
        if not self._may_jump or jump_s <= CLOCK_JUMP_S:
            return False
        return not following or following[0] - time_s < jump_s / _SAME_RATE

    def _is_likely_end(self, time_s: float) -> bool:
        """Whether a last item, which no other confirms, belongs at its own time."""
        if time_s - self._last_s <= _SAME_RATE * max(self.step_s, 0.25):
            return True
        return self._declared_end_s is not None and time_s <= self._declared_end_s

    def _between(self, later_s: float) -> float:
        return min(self._last_s + self.step_s, (self._last_s + later_s) / 2)

    def _advance(self, time_s: float) -> float:
        if self._last_s > -math.inf:
            if time_s < self._last_s + _LEAST_STEP_S:
                time_s = self._last_s + max(self.step_s, _LEAST_STEP_S)
            if not self._has_stepped:
                self._steps_s.clear()
                self._has_stepped = True
            self._steps_s.append(time_s - self._last_s)
        self._last_s = time_s
        return time_s
