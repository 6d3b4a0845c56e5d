"""The clock of a live source: gives received frames their stream time and epoch.

    clock = LiveClock(origin_wall_s=None, first_epoch=0)
    clock.open_epoch()                      # a new connection
    for event in clock.place(received, trouble=None):
        ...                                 # the outage before the frame, lost frames, the frame

An epoch begins at the wall time at which its first frame arrived. Inside an epoch the source's own
timestamps count, because they are steadier than a network. It opens no connection and reads no clock.
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
    """Why a live source sends no frames."""

    cause: str
    """The cause of the first failure."""
    detail: str
    attempts: int

    @classmethod
    def after(cls, previous: ConnectionTrouble | None, cause: str, detail: str) -> ConnectionTrouble:
        """The trouble after one more failure. Without ``previous`` it is the first."""
        if previous is None:
            return cls(cause, detail, 1)
        first_detail = previous.detail.partition("; then ")[0]
        if detail != first_detail:
            detail = f"{first_detail}; then {detail}"
        return cls(previous.cause, detail, previous.attempts + 1)


class LiveClock:
    """Gives received frames their stream time and epoch."""

    def __init__(self, origin_wall_s: float | None, first_epoch: int) -> None:
        self.origin_wall_s = origin_wall_s
        self.has_begun = False
        self.size = (0, 0)
        self._epoch = first_epoch
        self._opens_epoch = True
        self._base_s = self._last_s = self._arrival_s = 0.0
        self._interval_s = 0.04
        self._first_pts = 0

    def open_epoch(self) -> None:
        """Begin an epoch with the next frame: a new connection may count time from elsewhere."""
        self._opens_epoch = True

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
        """Yield the frames lost near the last one, by cause."""
        for cause, count in lost.items():
            if count:
                yield Dropped(count, "overload" if cause == "overload" else "damaged", self._last_s)

    def place(self, received: ReceivedFrame, trouble: ConnectionTrouble | None) -> Iterator[Event]:
        """Yield the frame with its stream time, after the outage and the losses before it."""
        time_s = self._base_s + float((received.pts - self._first_pts) * received.time_base)
        step_s = time_s - self._last_s
        has_jumped = step_s < -_JUMP_BACK_S or step_s > received.wall_s - self._arrival_s + _JUMP_AHEAD_S
        if self._opens_epoch or has_jumped:
            if not self._opens_epoch:
                trouble = ConnectionTrouble("clock jump", "the source's clock jumped", 0)
            yield from self._begin_epoch(received, trouble)
            time_s = self._base_s
        elif step_s <= 0:
            time_s = self._last_s + 0.001  # slightly out of order; a frame never precedes the one before it
        else:
            self._interval_s = min(1.0, step_s)
        self._last_s, self._arrival_s, self.size = time_s, received.wall_s, received.size
        yield from self.losses(received.lost)
        yield Frame(
            time_s=time_s,
            pts=received.pts,
            time_base=received.time_base,
            thumb=received.thumb,
            epoch=self._epoch,
            wall_s=self._origin_s + time_s,
            small=received.small,
            read_picture=None if received.whole is None else received.whole.copy,
            rate=received.rate,
            size=received.size,
        )

    @property
    def _origin_s(self) -> float:
        return self.origin_wall_s or 0.0

    def _begin_epoch(self, received: ReceivedFrame, trouble: ConnectionTrouble | None) -> Iterator[Outage]:
        if self.origin_wall_s is None:
            self.origin_wall_s = received.wall_s
        self._base_s = max(0.0, received.wall_s - self._origin_s)
        if self.has_begun:
            outage = self.outage(received.wall_s, trouble or ConnectionTrouble("dropped", "", 0))
            # A clock that jumped while frames kept coming lost no time.
            if outage.cause == "clock jump" and outage.end_s - outage.start_s < _NO_TIME_S:
                self._base_s = outage.start_s
            else:
                self._base_s = outage.end_s
                if outage.end_s > outage.start_s:
                    yield outage
            self._epoch += 1
        self.has_begun, self._opens_epoch, self._first_pts = True, False, received.pts
