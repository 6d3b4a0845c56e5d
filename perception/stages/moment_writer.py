"""Moment writer: writes one stream's moments, the rungs above them, its gaps and its state to the memory.

    writer = MomentWriter(store, stream, append)
    writer.resume()                      # restores the ladder of the last commit
    writer.add(moment, frames)
    if writer.is_due():
        writer.commit()

Moments are committed in batches. The times to commit are multiples of ``FLUSH_S`` on the monotonic clock, the same
for every stream of a process, so that the batches of live streams can share a commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...memory.ladder.builder import Ladder
from ...memory.store import MemoryStore
from ...memory.values import FrameCounts, Gap, KeyFrame, Moment, Span, Stream, StreamState, make_id
from ..sources.source import Outage

FLUSH_S = 1.5
FLUSH_MOMENTS = 64
"""A batch is committed when either is reached. One commit per row would create too many versions."""
MAINTENANCE_MOMENTS = 256
"""A run that wrote fewer leaves maintenance to the store's own thread."""

Append = Callable[[Sequence[Moment], Sequence[KeyFrame]], None]
"""Appends moments with their key frames to the memory, and returns when they are durable."""


class MomentWriter:
    """Writes the moments and gaps of one stream. It belongs to one thread."""

    def __init__(self, store: MemoryStore, stream: Stream, append: Append | None = None) -> None:
        """Without ``append``, moments go straight to the store."""
        self._store = store
        self._stream = stream
        self._append = append or store.append
        self._ladder = Ladder(stream.name, self._used)
        self._moments: list[Moment] = []
        self._frames: list[KeyFrame] = []
        self._flushed_at = time.monotonic()
        self.written = 0
        """Moments added in this run, without those of the rungs above."""
        self.gaps = 0
        """Gaps recorded in this run."""

    def resume(self) -> None:
        """Restore the ladder from the memory, after an earlier run or an erasure."""
        self._ladder = Ladder.restore(self._store.snapshot(), self._stream.name, self._used)

    def add(self, moment: Moment, frames: Sequence[KeyFrame]) -> None:
        """Add a moment to the batch, with the parents that it completes."""
        self._moments.append(moment)
        self._moments += self._ladder.push(moment, frames)
        self._frames += frames
        self.written += 1

    def flush_ladder(self) -> None:
        """Add the parents of all open levels, because a gap begins or the stream ends."""
        self._moments += self._ladder.flush()

    def is_due(self) -> bool:
        """Whether it is time to commit."""
        ticks = time.monotonic() // FLUSH_S - self._flushed_at // FLUSH_S
        return ticks > 0 or len(self._moments) >= FLUSH_MOMENTS

    def commit(self) -> None:
        """Commit the batch."""
        moments, frames = self._moments, self._frames
        self._moments, self._frames = [], []
        if moments:
            self._append(moments, frames)
        self._flushed_at = time.monotonic()

    def put_gap(self, outage: Outage, counts: FrameCounts) -> None:
        """Record a gap that has ended, after committing the moments before it."""
        self.put_open_gap(outage, counts)
        self.gaps += 1

    def put_open_gap(self, outage: Outage, counts: FrameCounts | None = None) -> None:
        """Record a gap that has not ended, so that questions asked before its end take it into account."""
        self.commit()
        self._store.put_gap(
            Gap(
                id=make_id(self._stream.name, outage.epoch, "gap", round(outage.start_s * 1000)),
                stream=self._stream.name,
                epoch=outage.epoch,
                span=Span(outage.start_s, outage.end_s),
                cause=outage.cause,
                detail=outage.detail,
                attempts=outage.attempts,
                wall_start_s=outage.wall_start_s,
                counts=counts or FrameCounts(),
            )
        )

    def put_state(self, state: StreamState, error: str = "", *, duration_s: float | None = None) -> None:
        """Record the state of the stream, and its duration where it is known now."""
        self._stream = replace(
            self._stream,
            state=state,
            error=error,
            duration_s=self._stream.duration_s if duration_s is None else duration_s,
        )
        self._store.put_stream(self._stream)

    def maintain(self) -> None:
        """Compact and index the tables if this run wrote much."""
        if self.written >= MAINTENANCE_MOMENTS:
            self._store.maintain()

    def _used(self, span: Span) -> float:
        return self._store.used(self._stream.name, span)
