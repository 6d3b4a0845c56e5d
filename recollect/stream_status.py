"""Stream status: what a memory holds of one stream, and how completely the stream was watched."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from .memory.values import (
    BacklogCounts,
    Coverage,
    ForgottenLevel,
    FrameCounts,
    Gap,
    ReducedSpan,
    Span,
    Stream,
    Tombstone,
)
from .stream_activity import StreamActivity

if TYPE_CHECKING:
    from .memory.query.coverage import StreamOverview


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a memory holds of one stream, and how completely the stream was watched."""

    stream: Stream
    coverage: Coverage
    gaps: tuple[Gap, ...]
    counts: FrameCounts
    backlog: BacklogCounts
    """What waits for a description by a video LMM."""
    tombstones: tuple[Tombstone, ...] = ()
    """Which spans were evicted or erased."""
    activity: StreamActivity | None = None
    """What is being done with it now, or that its watching was interrupted. None if it is not being watched."""

    @classmethod
    def of(
        cls,
        stream: Stream,
        overview: StreamOverview | None,
        backlog: BacklogCounts,
        reduced: tuple[ReducedSpan, ...] = (),
        activity: StreamActivity | None = None,
    ) -> Self:
        """The status of a stream. ``overview`` is None if nothing of it is stored yet."""
        if overview is None:
            return cls(
                stream, Coverage(stream.name, Span(0, 0), 0.0, ()), (), FrameCounts(), backlog, (), activity
            )
        coverage = replace(overview.coverage, reduced=reduced)
        return cls(stream, coverage, coverage.gaps, overview.counts, backlog, overview.tombstones, activity)

    @property
    def state(self) -> str:
        """``watching``, ``stopped``, ``done``, ``failed``, or ``interrupted`` if its watching process has died."""
        return (
            "interrupted"
            if self.activity is not None and self.activity.state == "interrupted"
            else self.stream.state
        )

    @property
    def forgotten_s(self) -> dict[ForgottenLevel, float]:
        """Seconds of which detail is gone, by the highest level that is gone: frames, moments, events, hours, days."""
        total: dict[ForgottenLevel, float] = {}
        for tombstone in self.tombstones:
            total[tombstone.lost] = total.get(tombstone.lost, 0.0) + tombstone.span.duration_s
        return total

    @property
    def oldest_waiting_s(self) -> float | None:
        """Seconds that the oldest entry of the backlog has waited; None if nothing waits."""
        since_s = self.backlog.oldest_queued_at_s
        return None if since_s is None else max(0.0, time.time() - since_s)
