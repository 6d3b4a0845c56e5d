"""Coverage of streams: what was watched, what was not, and what the memory has lost since.

    coverage_of("door", None, watched, gaps, forgotten)
    overviews(views, written=None)         # of every stream, in one pass over each table

A stream's memories, gaps and tombstones account for its whole time. A hole between them is time whose rows were
damaged or lost. It is reported as a gap with the cause ``memory damaged``, so that it never reads as watched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..storage.rows import counts_by_stream, gaps_from, tombstones_from
from ..storage.schema import COUNT_COLUMNS
from ..storage.tables import Tables, all_of, select, select_arrow
from ..values import Coverage, FrameCounts, Gap, Span, Tombstone, make_id, total_counts

MEMORY_DAMAGED = "memory damaged"
"""The cause of a gap in which the stream was watched, and whose rows cannot be read any more."""
_HOLE_S = 1.0
"""Neighbouring memories may lie this far apart."""


_Item = TypeVar("_Item", Gap, Tombstone)


@dataclass(frozen=True, slots=True)
class StreamOverview:
    """What a memory holds of one stream, in sums."""

    coverage: Coverage
    counts: FrameCounts
    tombstones: tuple[Tombstone, ...]
    """Those of pictures too."""
    lost: tuple[Gap, ...] = ()
    """Those of the gaps that no row of a gap records: holes, of which everything is lost."""


def coverage_of(
    stream: str,
    span: Span | None,
    watched: Sequence[Span],
    gaps: Sequence[Gap],
    forgotten: Sequence[Tombstone],
) -> Coverage:
    """The coverage of ``span``, from what overlaps it. Without ``span``, of everything that is known."""
    watched = [*watched, *(stone.span for stone in forgotten)]
    if span is None:
        span = _hull_from_zero([*watched, *(gap.span for gap in gaps)])
    return Coverage(
        stream=stream,
        span=span,
        watched_s=union_s(part.clipped_to(span) for part in watched),
        gaps=tuple(gaps),
        forgotten=tuple(forgotten),
    )


def lost_spans(stream: str, watched: Iterable[Span], gaps: Iterable[Gap]) -> list[Gap]:
    """The holes between the watched spans and the gaps of a whole stream, from time 0 on, as gaps."""
    gaps = list(gaps)
    spans = sorted([*watched, *(gap.span for gap in gaps)])
    reached_s, lost = 0.0, []
    for span in spans:
        if span.start_s - reached_s > _HOLE_S:
            lost.append(lost_gap(stream, Span(reached_s, span.start_s), gaps))
        reached_s = max(reached_s, span.end_s)
    return lost


def lost_gap(stream: str, span: Span, gaps: Sequence[Gap]) -> Gap:
    """The gap for a span of which everything is lost. ``gaps`` are the others of the stream."""
    return Gap(
        id=make_id(stream, "lost", round(span.start_s * 1000)),
        stream=stream,
        epoch=max((gap.epoch for gap in gaps if gap.span.end_s <= span.start_s), default=0),
        span=span,
        cause=MEMORY_DAMAGED,
        detail="what was stored of it is lost",
    )


def union_s(spans: Iterable[Span | None]) -> float:
    """The number of seconds that lie in at least one span."""
    total_s, reached_s = 0.0, -math.inf
    for span in sorted(span for span in spans if span is not None):
        total_s += max(0.0, span.end_s - max(span.start_s, reached_s))
        reached_s = max(reached_s, span.end_s)
    return total_s


def _hull_from_zero(spans: Sequence[Span]) -> Span:
    """The shortest span that contains time 0 and all spans. Empty without spans."""
    if not spans:
        return Span(0, 0)
    return Span(min(0.0, *(span.start_s for span in spans)), max(span.end_s for span in spans))


def overviews(
    views: Tables, *, written: str | None, forgotten: str | None = None
) -> dict[str, StreamOverview]:
    """The overview of each stream of which anything is stored, by name.

    Each table is read once, however many streams there are. ``written`` and ``forgotten`` are filters on times of
    writing.
    """
    rows = select_arrow(
        views.observations,
        where=all_of("base", written),
        columns=["id", "stream", "rung", "start_s", "end_s", *COUNT_COLUMNS],
    )
    gaps = _by_stream(gaps_from(select(views.gaps, where=written)))
    stones = _by_stream(tombstones_from(select(views.tombstones, where=forgotten)))
    watched = dict(_watched_by_stream(rows))
    counts = counts_by_stream(rows)
    return {
        stream: _overview(
            stream,
            watched.get(stream, []),
            gaps.get(stream, []),
            stones.get(stream, []),
            counts.get(stream, FrameCounts()),
        )
        for stream in sorted(watched.keys() | gaps.keys() | stones.keys())
    }


def _overview(
    stream: str, watched: Sequence[Span], gaps: list[Gap], stones: Sequence[Tombstone], counts: FrameCounts
) -> StreamOverview:
    forgotten = [stone for stone in stones if stone.lost != "frame"]
    known = [*watched, *(stone.span for stone in forgotten)]
    lost = lost_spans(stream, known, gaps)
    all_gaps = with_lost(gaps, lost)
    parts = [counts, *(gap.counts for gap in gaps), *(stone.counts for stone in stones)]
    return StreamOverview(
        coverage_of(stream, None, watched, all_gaps, forgotten),
        total_counts(parts),
        tuple(stones),
        tuple(lost),
    )


def with_lost(gaps: Sequence[Gap], lost: Sequence[Gap]) -> list[Gap]:
    """All of these gaps, in time order."""
    return sorted([*gaps, *lost], key=lambda gap: (gap.span, gap.id))


def _by_stream(items: Iterable[_Item]) -> dict[str, list[_Item]]:
    by_stream: dict[str, list[_Item]] = {}
    for item in items:
        by_stream.setdefault(item.stream, []).append(item)
    return by_stream


def _watched_by_stream(rows: pa.Table) -> Iterator[tuple[str, list[Span]]]:
    """The merged spans of the memories of each stream."""
    rows = rows.sort_by([("stream", "ascending"), ("start_s", "ascending")])
    streams = rows["stream"].to_numpy()
    starts_s, ends_s = rows["start_s"].to_numpy(), rows["end_s"].to_numpy()
    bounds = [0, *(np.flatnonzero(streams[1:] != streams[:-1]) + 1), len(streams)]
    for first, end in pairwise(bounds):
        if first < end:
            yield str(streams[first]), _merged(starts_s[first:end], ends_s[first:end])


def _merged(starts_s: NDArray[np.float64], ends_s: NDArray[np.float64]) -> list[Span]:
    """The spans with these starts, in order, and ends, as the fewest spans."""
    reached_s = np.maximum.accumulate(ends_s)
    apart = starts_s[1:] > reached_s[:-1]
    firsts, lasts = np.append(True, apart), np.append(apart, True)
    return [
        Span(float(start_s), float(end_s))
        for start_s, end_s in zip(starts_s[firsts], reached_s[lasts], strict=True)
    ]
