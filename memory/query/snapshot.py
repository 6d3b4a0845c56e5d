"""Snapshots: a fixed, read-only view of a memory, which a question reads from its first step to its last.

    snapshot = store.snapshot(as_of_s=asked_at_s)
    snapshot.cover("kitchen")                       # the whole stream in a few dozen memories
    for hit in snapshot.search("a red car", limit=5):
        print(hit.moment.span, hit.moment.caption)

A snapshot holds every table at one version. With ``as_of_s`` it hides everything written later. Moments are
returned with the observations of all their writers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar

from ..encoder import Encoder
from ..errors import SnapshotExpired
from ..storage import schema, tables
from ..storage.damage import reporting_damage
from ..storage.leases import ReadLease
from ..storage.manifest import detect_replaced_vectors
from ..storage.rows import (
    counts_by_stream,
    frames_from,
    gaps_from,
    moments_from,
    outlines_from,
    parse_records,
    streams_from,
    tombstones_from,
)
from ..storage.schema import Row
from ..storage.tables import Tables, all_of, any_of, equals, id_batches, one_of, quoted, select
from ..values import (
    Coverage,
    Extent,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Outline,
    Rung,
    Span,
    Stream,
    Tombstone,
    clipped_reductions,
    merged_reductions,
    spans_without,
    total_counts,
)
from .coverage import StreamOverview, coverage_of, lost_spans, overviews, with_lost
from .filters import containment_filter, kinds_filter, overlap_filter
from .hybrid_search import SEARCH_MODES, SearchMode, SearchQuery, rank_moments
from .ranking import best_first, position_of

_TIMES_PER_QUERY = 100
_INSTANT_S = 0.001
_COUNTED_COLUMNS = ("id", "stream", "rung", *schema.COUNT_COLUMNS)
_OUTLINE_COLUMNS = (
    "moment_id",
    "rung",
    "epoch",
    "start_s",
    "end_s",
    "written_at_s",
    "base",
    *schema.COUNT_COLUMNS,
)
_COVER_RUNGS: tuple[Rung, ...] = ("day", "hour", "event", "moment")


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _leased(
    read: Callable[Concatenate[Snapshot, _Parameters], _Result],
) -> Callable[Concatenate[Snapshot, _Parameters], _Result]:
    """Make a read raise ``SnapshotExpired`` if the writer revoked the lease, and ``MemoryDamaged`` if files are damaged."""

    @wraps(read)
    def reading(self: Snapshot, *args: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        try:
            with reporting_damage(self._folder):
                return read(self, *args, **options)
        except Exception as error:
            if self._lease.revoked:
                raise SnapshotExpired(self._folder) from error
            raise

    return reading  # type: ignore[return-value]  # a plain function, which mypy does not take for a method


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment found by a search, with its score."""

    moment: Moment
    score: float
    """Higher is better. Comparable within one search only."""


_Item = TypeVar("_Item", Gap, Tombstone)


class _ByStream(Generic[_Item]):
    """The gaps or tombstones of streams. Those of the first stream are read alone, then those of all others at once."""

    def __init__(self) -> None:
        self._items: dict[str, list[_Item]] = {}
        self._is_complete = False

    def of(self, stream: str, read: Callable[[str | None], list[_Item]]) -> list[_Item]:
        """Those of a stream, in time order. ``read`` reads those of one stream, or of all."""
        if stream not in self._items and not self._is_complete:
            self._is_complete = bool(self._items)
            items: dict[str, list[_Item]] = {} if self._is_complete else {stream: []}
            for item in read(None if self._is_complete else stream):
                items.setdefault(item.stream, []).append(item)
            self._items = items | self._items
        return self._items.get(stream, [])

    def clear(self) -> None:
        """Read everything again when it is next asked for."""
        self._items, self._is_complete = {}, False


class Snapshot:
    """A memory as it was when ``MemoryStore.snapshot`` made the snapshot.

    A lease keeps its data on disk until ``release``. After the first minute, a writer that needs the space to stay
    within its disk budget may revoke the lease. Reads then raise ``SnapshotExpired``.
    """

    def __init__(
        self,
        pinned: Tables,
        *,
        extents: Mapping[str, Extent] | None,
        folder: Path,
        encoder: Encoder | None,
        as_of_s: float | None,
        lease: ReadLease,
    ) -> None:
        self._tables = pinned
        self._extents = extents
        self._lease = lease
        self._folder = folder
        self._encoder = encoder
        self.as_of_s = as_of_s
        """Unix seconds. Later writes are hidden. None shows everything."""
        # Results can be cached because the tables are fixed. A question reads these more than once.
        self._covers: dict[tuple[str, Span | None], list[Moment]] = {}
        self._gaps = _ByStream[Gap]()
        self._forgotten = _ByStream[Tombstone]()
        self._lost: dict[str, list[Gap]] = {}

    def release(self) -> None:
        """Release the lease. The snapshot must not be read afterwards."""
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @_leased
    def streams(self) -> list[Stream]:
        """Every stream, sorted by name. As of a time, only streams with data written by then."""
        streams = streams_from(select(self._tables.streams))
        return (
            streams if self.as_of_s is None else [stream for stream in streams if self._has_data(stream.name)]
        )

    @_leased
    def search(
        self,
        text: str,
        *,
        streams: Sequence[str] | None = None,
        span: Span | None = None,
        rungs: Sequence[Rung] | None = None,
        written_by: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        modes: Collection[SearchMode] = SEARCH_MODES,
        limit: int = 20,
    ) -> list[Hit]:
        """The ``limit`` moments that match ``text`` best, best first.

        ``text`` is plain words without operators. Words match by their stem, and score higher if adjacent words
        of ``text`` are adjacent in the moment too. With an encoder, text vectors and the vectors of key frames are
        searched as well. ``modes`` selects among ``words``, ``meaning`` and ``pictures``.

        Filters: moments of ``streams``, that overlap ``span``, on ``rungs``, observed by a writer in
        ``written_by``, with a finding of a kind in ``kinds``. None means no filter.

        Raises ``EncoderMismatch`` if the vectors were replaced after the snapshot was taken.
        """
        if not text.strip() or limit < 1:
            return []
        query = SearchQuery(
            text=text,
            moments=all_of(self._of_streams(streams), self._written()),
            span=span,
            extents=self._extents,
            rungs=rungs,
            observed=all_of(
                one_of("written_by", written_by) if written_by is not None else None, kinds_filter(kinds)
            ),
            limit=limit,
            modes=modes,
        )
        with detect_replaced_vectors(self._folder, self._encoder):
            scores = rank_moments(self._tables, self._encoder, query)
        moments = self.get(scores)
        positions = {moment_id: position_of(moment) for moment_id, moment in moments.items()}
        best = best_first({moment_id: scores[moment_id] for moment_id in positions}, positions)
        return [Hit(moments[moment_id], scores[moment_id]) for moment_id in best[:limit]]

    @_leased
    def get(self, ids: Iterable[str]) -> dict[str, Moment]:
        """The moments of these ids, in the order of ``ids``. Ids that are not in the memory are left out."""
        requested = list(dict.fromkeys(ids))
        moments: dict[str, Moment] = {}
        for batch in id_batches(requested):
            condition = all_of(one_of("moment_id", batch), self._written())
            moments |= {moment.id: moment for moment in moments_from(self._records(condition))}
        return {moment_id: moments[moment_id] for moment_id in requested if moment_id in moments}

    @_leased
    def timeline(
        self,
        stream: str | None,
        span: Span | None = None,
        rung: Rung = "moment",
        kinds: Sequence[str] | None = None,
        *,
        limit: int = 200,
        newest_first: bool = False,
    ) -> list[Moment]:
        """The first ``limit`` memories of a rung that overlap ``span``, in time order.

        Without ``stream``, those of every stream, one stream after the other. With ``newest_first``, the last ``limit`` of them, also in time order. ``kinds`` keeps those with a
        finding of one of these kinds.
        """
        condition = all_of(
            None if stream is None else self._of_streams([stream]),
            equals("rung", rung),
            overlap_filter(span, self._extents, [rung]),
            kinds_filter(kinds) or "base",
        )
        order = ("stream", "start_s") if stream is None else ("start_s",)
        ids = self._first_ids(condition, limit, order=order, newest_first=newest_first)
        return sorted(self.get(ids).values(), key=lambda moment: (moment.stream, moment.span, moment.id))

    @_leased
    def moments_at(self, stream: str, times_s: Iterable[float]) -> list[Moment]:
        """The moments that contain one of these times, in time order."""
        sorted_s = sorted(set(times_s))
        of_stream = all_of(self._of_streams([stream]), "rung = 'moment'", "base", self._written())
        ids: list[str] = []
        for start in range(0, len(sorted_s), _TIMES_PER_QUERY):
            instants = [
                Span(time_s, time_s + _INSTANT_S) for time_s in sorted_s[start : start + _TIMES_PER_QUERY]
            ]
            at_instants = any_of(overlap_filter(instant, self._extents, ["moment"]) for instant in instants)
            condition = all_of(of_stream, at_instants)
            rows = select(self._tables.observations, where=condition, columns=["moment_id"])
            ids += [row["moment_id"] for row in rows]
        return _in_time_order(self.get(ids).values())

    @_leased
    def outlines(self, stream: str, span: Span | None = None) -> list[Outline]:
        """The outline of every memory of a stream that overlaps ``span``, on any rung, in time order."""
        condition = all_of(self._of_streams([stream]), overlap_filter(span, self._extents), self._written())
        return outlines_from(select(self._tables.observations, where=condition, columns=_OUTLINE_COLUMNS))

    @_leased
    def neighbours(self, moment: Moment, before: int = 1, after: int = 1) -> list[Moment]:
        """The memories of its rung just before and after it, in time order, without itself."""
        siblings = all_of(
            self._of_streams([moment.stream]),
            equals("rung", moment.rung),
            "base",
            f"moment_id != {quoted(moment.id)}",
        )
        start_s = moment.span.start_s
        ids = [
            *self._first_ids(all_of(siblings, f"start_s < {start_s!r}"), before, newest_first=True),
            *self._first_ids(all_of(siblings, f"start_s >= {start_s!r}"), after),
        ]
        return _in_time_order(self.get(ids).values())

    def children(self, moment: Moment) -> list[Moment]:
        """The memories that a memory above the first rung summarises, in time order."""
        return _in_time_order(self.get(moment.child_ids).values())

    def latest(self, stream: str, limit: int = 1) -> list[Moment]:
        """The last ``limit`` moments of a stream, in time order."""
        return self.timeline(stream, limit=limit, newest_first=True)

    @_leased
    def frames(self, ids: Iterable[str]) -> list[KeyFrame]:
        """The pictures of these ids, in the order of ``ids``. Those not in the memory, or damaged, are left out."""
        requested = list(dict.fromkeys(ids))
        frames = {frame.id: frame for frame in frames_from(self._frame_rows(requested))}
        return [frames[frame_id] for frame_id in requested if frame_id in frames]

    @_leased
    def signatures(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The signatures (see ``KeyFrame.signature``) of the pictures of these ids, without reading the pictures."""
        rows = self._frame_rows(list(dict.fromkeys(ids)), ["id", "signature"])
        return {row["id"]: row["signature"] for row in rows}

    @_leased
    def count_frames(self, stream: str, span: Span) -> int:
        """The number of pictures of a span of a stream."""
        in_span = f"time_s >= {span.start_s!r} AND time_s < {span.end_s!r}"
        condition = all_of(self._of_streams([stream]), in_span, self._written())
        return tables.count_rows(self._tables.frames, condition)

    @_leased
    def gaps(self, stream: str, span: Span | None = None) -> list[Gap]:
        """The gaps of a stream that overlap ``span``, in time order."""
        gaps = self._gaps.of(
            stream, lambda name: gaps_from(self._rows(self._tables.gaps, name, self._written()))
        )
        return [gap for gap in gaps if span is None or gap.span.overlaps(span)]

    @_leased
    def tombstones(self, stream: str, span: Span | None = None) -> list[Tombstone]:
        """The tombstones of a stream that overlap ``span``, in time order.

        As of a time, those of data that had been written by then, whenever it was forgotten.
        """
        stones = self._forgotten.of(
            stream,
            lambda name: tombstones_from(self._rows(self._tables.tombstones, name, self._forgotten_by())),
        )
        return [stone for stone in stones if span is None or stone.span.overlaps(span)]

    @_leased
    def cover(self, stream: str, span: Span | None = None) -> list[Moment]:
        """The fewest memories that cover ``span`` without overlap, in time order.

        Days that lie entirely inside ``span``, then hours outside those days, then events, and moments at the edges
        and at the unfinished end. Where these are forgotten, the memory that summarises them is returned, although
        it may start before the span or end after it. The result has a few dozen memories for any span.
        """
        if (stream, span) in self._covers:
            return self._covers[stream, span]
        rows: list[Row] = []
        uncovered = [span if span is not None else Span(-math.inf, math.inf)]
        for rung in _COVER_RUNGS:
            rung_rows = self._records(self._cover_filter(stream, rung, uncovered))
            rows += rung_rows
            uncovered = spans_without(uncovered, {Span(row["start_s"], row["end_s"]) for row in rung_rows})
            if not uncovered:
                break
        substitute_ids = {
            stone.id
            for stone in self._memory_tombstones(stream, span)
            if any(stone.span.overlaps(part) for part in uncovered)
        }
        memories = moments_from(rows)
        if substitute_ids:
            by_id = {memory.id: memory for memory in memories} | self.get(substitute_ids)
            memories = _in_time_order(by_id.values())
        return self._covers.setdefault((stream, span), memories)

    def coverage(self, stream: str, span: Span | None = None) -> Coverage:
        """How much of ``span`` was watched. Without ``span``, of everything that is known of the stream."""
        memories = self.cover(stream, span)
        lost = [gap for gap in self._lost_gaps(stream) if span is None or gap.span.overlaps(span)]
        gaps = with_lost(self.gaps(stream, span), lost)
        watched = [memory.span for memory in memories]
        coverage = coverage_of(stream, span, watched, gaps, self._memory_tombstones(stream, span))
        reduced = [part for memory in memories for part in memory.reduced]
        return replace(coverage, reduced=merged_reductions(clipped_reductions(reduced, coverage.span)))

    @_leased
    def overviews(self) -> dict[str, StreamOverview]:
        """The overview of each stream of which anything is stored, by name, in one pass for all streams."""
        return overviews(self._tables, written=self._written(), forgotten=self._forgotten_by())

    @_leased
    def counts(self, stream: str) -> FrameCounts:
        """The frame counts of a stream, including its gaps and its forgotten memories."""
        condition = all_of(self._of_streams([stream]), "base AND rung = 'moment'", self._written())
        rows = tables.select_arrow(self._tables.observations, where=condition, columns=_COUNTED_COLUMNS)
        moment_counts = counts_by_stream(rows).get(stream, FrameCounts())
        gap_counts = [gap.counts for gap in self.gaps(stream)]
        forgotten_counts = [stone.counts for stone in self.tombstones(stream)]
        return total_counts([moment_counts, *gap_counts, *forgotten_counts])

    def _first_ids(
        self,
        condition: str | None,
        limit: int,
        *,
        order: Sequence[str] = ("start_s",),
        newest_first: bool = False,
    ) -> list[str]:
        """The ids of the first ``limit`` moments, by time or another order. Reads only narrow columns."""
        if limit < 1:
            return []
        row_limit = limit
        while True:
            rows = select(
                self._tables.observations,
                where=all_of(condition, self._written()),
                columns=["moment_id", *order],
                order_by=order,
                descending=newest_first,
                limit=row_limit,
            )
            ids = list(dict.fromkeys(row["moment_id"] for row in rows))
            if len(ids) >= limit or len(rows) < row_limit:
                return ids[:limit]
            # Several rows belong to the same moment.
            row_limit *= 2

    def _records(self, condition: str | None) -> list[Row]:
        return parse_records(select(self._tables.observations, where=condition, columns=["record", "digest"]))

    def _rows(self, view: tables.View, stream: str | None, condition: str | None) -> list[Row]:
        of_stream = None if stream is None else self._of_streams([stream])
        return select(view, where=all_of(of_stream, condition))

    def _frame_rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> Iterator[Row]:
        for batch in id_batches(ids):
            condition = all_of(one_of("id", batch), self._written())
            yield from select(self._tables.frames, where=condition, columns=columns)

    def _lost_gaps(self, stream: str) -> list[Gap]:
        """The holes in the whole stream, which are time whose rows were damaged."""
        if stream not in self._lost:
            known = [memory.span for memory in self.cover(stream)]
            known += [stone.span for stone in self._memory_tombstones(stream, None)]
            self._lost[stream] = lost_spans(stream, known, self.gaps(stream))
        return self._lost[stream]

    def _memory_tombstones(self, stream: str, span: Span | None) -> list[Tombstone]:
        """The tombstones of memories, without those of pictures only."""
        return [stone for stone in self.tombstones(stream, span) if stone.lost != "frame"]

    def _cover_filter(self, stream: str, rung: Rung, spans: Iterable[Span]) -> str | None:
        """A filter for ``cover``: memories of a rung inside one of the spans, or moments that overlap one."""
        in_spans = any_of(
            overlap_filter(span, self._extents, [rung]) if rung == "moment" else containment_filter(span)
            for span in spans
        )
        return all_of(self._of_streams([stream]), equals("rung", rung), self._written(), in_spans)

    def _has_data(self, stream: str) -> bool:
        condition = all_of(self._of_streams([stream]), self._written())
        return any(
            select(table, where=condition, columns=["id"], limit=1)
            for table in (self._tables.observations, self._tables.gaps)
        )

    def _written(self) -> str | None:
        return None if self.as_of_s is None else f"written_at_s <= {float(self.as_of_s)!r}"

    def _forgotten_by(self) -> str | None:
        return None if self.as_of_s is None else f"written_from_s <= {float(self.as_of_s)!r}"

    @staticmethod
    def _of_streams(streams: Sequence[str] | None) -> str | None:
        return None if streams is None else one_of("stream", streams)


def _in_time_order(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: (moment.span, moment.id))
