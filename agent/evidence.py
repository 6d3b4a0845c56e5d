"""Evidence and coverage of an answer: the cited spans, and how much of the scope was watched and is still remembered.

evidence_of(snapshot, cited, moment).frame_ids      # the pictures that still exist
coverage_of(snapshot, "door", Span(0.0, 3600.0)).forgotten
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from ..memory.query.snapshot import Snapshot
from ..memory.values import Gap, Moment, ReducedSpan, Span, Tombstone
from .answer import Evidence, ForgottenSeen, GapSeen, ReducedSeen, StreamCoverage
from .forgotten_spans import merge_tombstones
from .reasoner import CitedSpan

MAX_SPANS = 20
"""Gaps, spans of a lower rate and forgotten spans that are named for each stream. The newest are kept."""


def evidence_of(snapshot: Snapshot, cited: CitedSpan, moment: Moment) -> Evidence:
    """A cited span as evidence, with those of the moment's pictures that still exist."""
    frame_ids = moment.frame_ids
    if snapshot.tombstones(moment.stream, moment.span):
        frame_ids = tuple(frame.id for frame in snapshot.frames(frame_ids))
    return Evidence(
        stream=moment.stream,
        start_s=round(cited.start_s, 3),
        end_s=round(cited.end_s, 3),
        text=cited.text,
        frame_ids=frame_ids,
        memory_id=moment.id,
        score=round(cited.score, 3),
    )


def coverage_of(snapshot: Snapshot, stream: str, span: Span | None) -> StreamCoverage:
    """The watched and the forgotten parts of a stream within ``span`` (None: in all)."""
    coverage = snapshot.coverage(stream, span)
    forgotten = merge_tombstones(coverage.forgotten, span)
    return StreamCoverage(
        stream=stream,
        start_s=round(coverage.span.start_s, 3),
        end_s=round(coverage.span.end_s, 3),
        watched_s=round(coverage.watched_s, 3),
        gaps=tuple(map(_gap_seen, coverage.gaps[-MAX_SPANS:])),
        reduced=tuple(map(_reduced_seen, coverage.reduced[-MAX_SPANS:])),
        forgotten=tuple(map(_forgotten_seen, forgotten[-MAX_SPANS:])),
        forgotten_s=round(sum(tombstone.span.duration_s for tombstone in forgotten), 3),
    )


def _gap_seen(gap: Gap) -> GapSeen:
    return GapSeen(start_s=round(gap.span.start_s, 3), end_s=round(gap.span.end_s, 3), cause=gap.cause)


def _reduced_seen(reduced: ReducedSpan) -> ReducedSeen:
    start_s, end_s = round(reduced.span.start_s, 3), round(reduced.span.end_s, 3)
    return ReducedSeen(start_s=start_s, end_s=end_s, **asdict(reduced.rate))


def _forgotten_seen(tombstone: Tombstone) -> ForgottenSeen:
    forgotten_at = datetime.fromtimestamp(tombstone.forgotten_at_s, UTC)
    return ForgottenSeen(
        start_s=round(tombstone.span.start_s, 3),
        end_s=round(tombstone.span.end_s, 3),
        lost=tombstone.lost,
        cause=tombstone.cause,
        forgotten_at=forgotten_at.isoformat(timespec="seconds"),
    )
