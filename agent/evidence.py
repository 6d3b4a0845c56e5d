"""What an answer carries beside its words: what it rests on, and how much of its scope was watched and is still told.

evidence_of(snapshot, cited, moment).frame_ids      # the pictures that are still there
coverage_of(snapshot, "door", Span(0.0, 3600.0)).forgotten
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..memory.query.snapshot import Snapshot
from ..memory.values import Gap, Moment, Span, Tombstone
from .answer import Evidence, ForgottenSeen, GapSeen, StreamCoverage
from .forgotten_spans import stretches
from .reasoner import CitedSpan

MOST_STRETCHES = 20
"""Gaps named per stream, and stretches that were forgotten: the newest of each; a longer list helps nobody."""


def evidence_of(snapshot: Snapshot, cited: CitedSpan, moment: Moment) -> Evidence:
    """A stretch of a memory as evidence, with those of its pictures that are not forgotten."""
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
    """How much of a stream was watched within ``span``, or in all, and what of it is told no more."""
    seen = snapshot.coverage(stream, span)
    gone = stretches(seen.forgotten, span)
    return StreamCoverage(
        stream=stream,
        start_s=round(seen.span.start_s, 3),
        end_s=round(seen.span.end_s, 3),
        watched_s=round(seen.watched_s, 3),
        gaps=tuple(map(_gap_seen, seen.gaps[-MOST_STRETCHES:])),
        forgotten=tuple(map(_forgotten_seen, gone[-MOST_STRETCHES:])),
        forgotten_s=round(sum(one.span.duration_s for one in gone), 3),
    )


def _gap_seen(gap: Gap) -> GapSeen:
    return GapSeen(start_s=round(gap.span.start_s, 3), end_s=round(gap.span.end_s, 3), cause=gap.cause)


def _forgotten_seen(one: Tombstone) -> ForgottenSeen:
    forgotten_at = datetime.fromtimestamp(one.forgotten_at_s, UTC)
    return ForgottenSeen(
        start_s=round(one.span.start_s, 3),
        end_s=round(one.span.end_s, 3),
        lost=one.lost,
        cause=one.cause,
        forgotten_at=forgotten_at.isoformat(timespec="seconds"),
    )
