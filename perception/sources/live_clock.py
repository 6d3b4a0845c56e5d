"""The clock of a live source: gives received frames their stream time, wall time and epoch.

    clock = LiveClock(LiveOrigin(elapsed_s=81_200.0))
    clock.open_epoch()                              # a new connection
    for event in clock.place(received, reading, trouble=None):
        ...                                         # the outage before the frame, lost frames, the frame
    clock.tick(reading)                             # nothing came for a moment

Stream time is elapsed time since the stream's origin, which no change of the machine's clock touches. The wall
clock names it, by one offset for each epoch. ``SourceClock`` finds the time of each frame.
It opens no connection and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from .frame import Frame
from .host_clock import ClockReading, Clocks, read_clocks
from .reader_messages import ReceivedFrame
from .source import Dropped, Event, Outage
from .source_clock import Arrived, Placed, SourceClock

_NO_TIME_S = 0.5
"""A clock jump that took less than this lost nothing."""

_CLOCK_SET_S = 0.2
"""The machine's clock was set if it moved by more than this against elapsed time."""

_TICKS_PER_S = 1000
"""The time base of frames that come without a timestamp."""

_DETAILS = {
    "clock jump": "the source's clock jumped",
    "clock drift": "the source's clock had drifted from the time at which its frames arrive",
}


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


@dataclass(frozen=True, slots=True)
class LiveOrigin:
    """Where a live stream begins, or goes on."""

    elapsed_s: float
    """``ClockReading.elapsed_s`` at stream time 0."""
    first_epoch: int = 0
    """The epoch of the first frame."""
    seen_until_s: float = 0.0
    """Stream time up to which the stream is remembered."""
    clocks: Clocks = read_clocks

    def now_s(self) -> float:
        """The present stream time."""
        return self.clocks().elapsed_s - self.elapsed_s

    def wall_s(self, time_s: float) -> float:
        """Unix seconds at a stream time, by the wall clock as it is set now."""
        reading = self.clocks()
        return reading.wall_s - (reading.elapsed_s - self.elapsed_s) + time_s


class LiveClock:
    """Gives received frames their stream time, wall time and epoch."""

    def __init__(self, origin: LiveOrigin | None = None) -> None:
        """Without an origin, the stream begins with its first frame."""
        self.has_begun = False
        self.size = (0, 0)
        self.origin_wall_s: float | None = None
        """Unix seconds at stream time 0, by the wall clock as it is set in this epoch."""
        self._origin_elapsed_s = None if origin is None else origin.elapsed_s
        self._epoch = 0 if origin is None else origin.first_epoch
        self._opens_epoch = True
        self._trouble: ConnectionTrouble | None = None
        self._recording_s: float | None = None
        """Stream time at timestamp 0 of a recording."""
        self._source_clock = SourceClock(0.0 if origin is None else origin.seen_until_s)

    @property
    def goes_by_arrival(self) -> bool:
        """Whether the source has no true timestamps."""
        return not self._source_clock.is_timed

    def open_epoch(self) -> None:
        """Begin an epoch with the next frame: a new connection may count time from elsewhere."""
        self._opens_epoch, self._recording_s = True, None
        self._source_clock.open()

    def outage(self, reading: ClockReading, trouble: ConnectionTrouble) -> Outage:
        """The outage that began after the last frame, up to now."""
        now_s = reading.elapsed_s - (self._origin_elapsed_s or 0.0)
        return self._outage(self._source_clock.end_s, now_s, trouble)

    def losses(self, lost: Mapping[str, int]) -> Iterator[Dropped]:
        """Yield the frames lost near the last one, by cause."""
        for cause, count in lost.items():
            if count:
                yield Dropped(
                    count, "overload" if cause == "overload" else "damaged", self._source_clock.end_s
                )

    def place(
        self,
        received: ReceivedFrame,
        reading: ClockReading,
        trouble: ConnectionTrouble | None,
        *,
        is_recording: bool = False,
    ) -> Iterator[Event]:
        """Yield the frames whose time is known now, each after the outage and the losses before it.

        ``reading`` is the present time. ``trouble`` is the reason if no frames came for a while. The frames of
        a recording come as fast as they are read, so their arrivals say nothing of time.
        """
        arrival_s = reading.elapsed_at(received.arrival_s)
        if self._origin_elapsed_s is None:
            self._origin_elapsed_s = arrival_s
        self._trouble = trouble or self._trouble
        source_s = None if received.pts is None else float(received.pts * received.time_base)
        arrival_s -= self._origin_elapsed_s
        if is_recording and source_s is not None:
            if self._opens_epoch and self._recording_s is None:
                self._recording_s = arrival_s - source_s
            arrival_s = source_s + (self._recording_s or 0.0)
        arrived = Arrived(received, source_s, arrival_s)
        yield from self._events(self._source_clock.place(arrived), reading)

    def tick(self, reading: ClockReading) -> Iterator[Event]:
        """Yield the frames that were held back long enough. Call it when no frame came for a moment."""
        now_s = reading.elapsed_s - (self._origin_elapsed_s or 0.0)
        yield from self._events(self._source_clock.tick(now_s), reading)

    def finish(self, reading: ClockReading) -> Iterator[Event]:
        """Yield the frames that are held back: the connection has ended."""
        yield from self._events(self._source_clock.finish(), reading)

    def _events(self, frames: Iterable[Placed], reading: ClockReading) -> Iterator[Event]:
        for placed in frames:
            if placed.time_s is not None:
                yield from self._begin_epoch_if_needed(placed, placed.time_s, reading)
            yield from self.losses(placed.received.lost)
            if placed.time_s is not None:
                yield self._frame(placed.received, placed.time_s)

    def _frame(self, received: ReceivedFrame, time_s: float) -> Frame:
        self.has_begun, self.size = True, received.size
        assert self.origin_wall_s is not None
        return Frame(
            time_s=time_s,
            pts=round(time_s * _TICKS_PER_S) if received.pts is None else received.pts,
            time_base=Fraction(1, _TICKS_PER_S) if received.pts is None else received.time_base,
            thumb=received.thumb,
            epoch=self._epoch,
            wall_s=self.origin_wall_s + time_s,
            small=received.small,
            read_picture=None if received.whole is None else received.whole.copy,
            rate=received.rate,
            size=received.size,
        )

    def _begin_epoch_if_needed(
        self, placed: Placed, time_s: float, reading: ClockReading
    ) -> Iterator[Outage]:
        """Begin an epoch before a frame, and yield the outage before it."""
        assert self._origin_elapsed_s is not None
        origin_wall_s = reading.wall_s - (reading.elapsed_s - self._origin_elapsed_s)
        moved_s = origin_wall_s - (origin_wall_s if self.origin_wall_s is None else self.origin_wall_s)
        end_s, trouble = placed.previous_end_s, None
        if self._opens_epoch:
            trouble = self._trouble or ConnectionTrouble("dropped", "", 0)
        elif placed.cause is not None:
            trouble = ConnectionTrouble(placed.cause, _DETAILS[placed.cause], 0)
        elif abs(moved_s) > _CLOCK_SET_S:
            trouble = ConnectionTrouble("clock set", f"the machine's clock was set by {moved_s:+.1f} s", 0)
        self._trouble = None
        if trouble is None:
            return
        if self.has_begun:
            if trouble.cause == "clock set":
                # The wall clock names time otherwise from here on. None is lost.
                yield self._outage(min(end_s, time_s), 0.0, trouble)
            elif placed.cause is None or time_s - end_s >= _NO_TIME_S:
                yield self._outage(end_s, time_s, trouble)
            self._epoch += 1
        self._opens_epoch, self.origin_wall_s = False, origin_wall_s

    def _outage(self, start_s: float, end_s: float, trouble: ConnectionTrouble) -> Outage:
        return Outage(
            start_s=start_s,
            end_s=max(start_s, end_s),
            epoch=self._epoch,
            cause=trouble.cause,
            detail=trouble.detail,
            attempts=trouble.attempts,
            wall_start_s=None if self.origin_wall_s is None else self.origin_wall_s + start_s,
        )
