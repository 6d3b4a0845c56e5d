"""Places the frames of a live source in stream time and epochs.

    timeline = LiveClock(origin_wall_s=None, first_epoch=0)
    timeline.open_epoch()                      # a connection was made
    for event in timeline.place(arrived, trouble=None):
        ...                                    # the outage before it, what was lost, the frame

An epoch begins when its first frame arrived by the wall clock; inside it the source's own
timestamps count, which are steadier than a network. It opens no connection and keeps no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .frame import Frame
from .reader_messages import ReceivedFrame
from .source import Dropped, Event, Outage

_JUMP_BACK_S = 1.0
_JUMP_AHEAD_S = 5.0
"""The source's clock jumped if it goes back, or ahead of the wall clock, by more than this."""

_NO_TIME_S = 0.5
"""A clock jump that took less than this lost nothing."""


@dataclass(frozen=True, slots=True)
class ConnectionTrouble:
    """Why the source is away."""

    cause: str
    """What began it."""
    detail: str
    attempts: int

    @classmethod
    def after(cls, before: ConnectionTrouble | None, cause: str, detail: str) -> ConnectionTrouble:
        """Another attempt failed, or the first trouble came."""
        if before is None:
            return cls(cause, detail, 1)
        first = before.detail.partition("; then ")[0]
        return cls(before.cause, first if detail == first else f"{first}; then {detail}", before.attempts + 1)


class LiveClock:
    """Places what arrives in stream time and epochs."""

    def __init__(self, origin_wall_s: float | None, first_epoch: int) -> None:
        self.origin_wall_s = origin_wall_s
        self.begun = False
        self.size = (0, 0)
        self._epoch = first_epoch
        self._fresh = True
        self._base_s = self._last_s = self._arrival_s = 0.0
        self._interval_s = 0.04
        self._first_pts = 0

    def open_epoch(self) -> None:
        """A new connection: its clock has nothing to do with the last one's."""
        self._fresh = True

    def outage(self, wall_s: float, trouble: ConnectionTrouble) -> Outage:
        """The outage that began after the last frame, up to ``wall_s``."""
        start_s = self._last_s + self._interval_s
        return Outage(
            start_s=start_s,
            end_s=max(start_s, wall_s - self._origin_s),
            epoch=self._epoch,
            cause=trouble.cause,
            detail=trouble.detail,
            attempts=trouble.attempts,
            wall_start_s=self._origin_s + start_s,
        )

    def losses(self, lost: Mapping[str, int]) -> Iterator[Dropped]:
        """Tell of frames lost near the last one."""
        for cause, count in lost.items():
            if count:
                yield Dropped(count, "overload" if cause == "overload" else "damaged", self._last_s)

    def place(self, arrived: ReceivedFrame, trouble: ConnectionTrouble | None) -> Iterator[Event]:
        """Yield a frame with its time, after what is to be told of the time before it."""
        time_s = self._base_s + float((arrived.pts - self._first_pts) * arrived.time_base)
        step_s = time_s - self._last_s
        if self._fresh or step_s < -_JUMP_BACK_S or step_s > arrived.wall_s - self._arrival_s + _JUMP_AHEAD_S:
            if not self._fresh:
                trouble = ConnectionTrouble("clock jump", "the source's clock jumped", 0)
            yield from self._begin_epoch(arrived, trouble)
            time_s = self._base_s
        elif step_s <= 0:
            time_s = self._last_s + 0.001  # out of order by a little: a frame is never before another
        else:
            self._interval_s = min(1.0, step_s)
        self._last_s, self._arrival_s, self.size = time_s, arrived.wall_s, arrived.size
        yield from self.losses(arrived.lost)
        yield Frame(
            time_s=time_s,
            pts=arrived.pts,
            time_base=arrived.time_base,
            thumb=arrived.thumb,
            epoch=self._epoch,
            wall_s=self._origin_s + time_s,
            small=arrived.small,
            read_picture=None if arrived.whole is None else arrived.whole.copy,
            size=arrived.size,
        )

    @property
    def _origin_s(self) -> float:
        return self.origin_wall_s or 0.0

    def _begin_epoch(self, arrived: ReceivedFrame, trouble: ConnectionTrouble | None) -> Iterator[Outage]:
        if self.origin_wall_s is None:
            self.origin_wall_s = arrived.wall_s
        self._base_s = max(0.0, arrived.wall_s - self._origin_s)
        if self.begun:
            outage = self.outage(arrived.wall_s, trouble or ConnectionTrouble("dropped", "", 0))
            # A clock that jumped while frames kept coming has cost no time.
            if outage.cause == "clock jump" and outage.end_s - outage.start_s < _NO_TIME_S:
                self._base_s = outage.start_s
            else:
                self._base_s = outage.end_s
                if outage.end_s > outage.start_s:
                    yield outage
            self._epoch += 1
        self.begun, self._fresh, self._first_pts = True, False, arrived.pts
