"""One unchanging view of a memory: what a question reads from its first step to its last.

    snapshot = store.snapshot(as_of_s=asked_at_s)
    snapshot.cover("kitchen")                       # the whole stream in a few dozen memories
    for hit in snapshot.search("a red car", limit=5):
        print(hit.moment.span, hit.moment.caption)

Every table is held at one version, and with ``as_of_s`` nothing written later is seen. All of it is
read-only. A moment is returned whole, with what every writer observed in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from ..encoder import Encoder
from ..errors import SnapshotExpired
from ..storage import schema, tables
from ..storage.leases import ReadLease
from ..storage.manifest import detect_replaced_vectors
from ..storage.rows import (
    frame_from,
    gaps_from,
    moments_from,
    outlines_from,
    parse_records,
    stream_from,
    summed_counts,
    tombstones_from,
)
from ..storage.schema import Row
from ..storage.tables import Tables, all_of, one_of, quoted, select
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
    spans_without,
    total_counts,
)
from .hybrid_search import (
    SEARCH_MODES,
    SearchMode,
    SearchQuery,
    containment_filter,
    kinds_filter,
    overlap_filter,
    rank_moments,
)
from .ranking import best_first, position_of

_IDS_A_QUERY = 500
_TIMES_A_QUERY = 100
_INSTANT_S = 0.001
_COUNTED = ("id", *schema.COUNT_COLUMNS)
_OUTLINED = ("moment_id", "rung", "epoch", "start_s", "end_s", "written_at_s", "base", *schema.COUNT_COLUMNS)
_COVER_RUNGS: tuple[Rung, ...] = ("day", "hour", "event", "moment")


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _leased(
    read: Callable[Concatenate[Snapshot, _Parameters], _Result],
) -> Callable[Concatenate[Snapshot, _Parameters], _Result]:
    """Where reading fails because the writer needed the room, that is said.

    Raises ``SnapshotExpired``.
    """

    @wraps(read)
    def reading(self: Snapshot, *args: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        try:
            return read(self, *args, **options)
        except Exception as error:
            if self._lease.revoked:
                raise SnapshotExpired(self._folder) from error
            raise

    return reading  # type: ignore[return-value]  # of a function it is not known that it is a method


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment that a search found."""

    moment: Moment
    score: float
    """Higher is better; comparable within one search only."""


class Snapshot:
    """A memory as it was when the snapshot was taken. Made by ``MemoryStore.snapshot``.

    What it shows is kept on disk as long as somebody holds it; only a writer that has no room left within its
    budget takes it back, and not in the first minute. What is read from it then raises ``SnapshotExpired``.
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
        """Unix seconds; nothing written later is seen. None: all that was there."""
        # What was pinned never changes, and a question asks for both more than once.
        self._covers: dict[tuple[str, Span | None], list[Moment]] = {}
        self._gaps: dict[str, list[Gap]] = {}
        self._forgotten: dict[str, list[Tombstone]] = {}

    def release(self) -> None:
        """Hold it no longer: what it shows may go. Nothing is to be read from it afterwards."""
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @_leased
    def streams(self) -> list[Stream]:
        """Every stream, by name; as of a time, those of which something had been written by then."""
        rows = select(self._tables.streams)
        streams = sorted((stream_from(row) for row in rows), key=lambda stream: stream.name)
        return streams if self.as_of_s is None else [s for s in streams if self._knows(s.name)]

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
        """The moments that say most of ``text``, best first.

        ``text`` is plain words: nothing in it is an operator. Words match by their stem, and count for
        more where they stand together as they do in ``text``; where the memory has an encoder, meaning counts
        too, and where that takes pictures, so does what the key frames of moments show. Each filter narrows what is searched: moments of ``streams``,
        overlapping ``span``, of ``rungs``, described by one of ``written_by``, with a finding of
        one of ``kinds``. ``modes`` leaves out others than these: ``words``, ``meaning``, ``pictures``.

        Raises ``EncoderMismatch`` where the vectors were replaced since the snapshot was taken.
        """
        if not text.strip() or limit < 1:
            return []
        sought = SearchQuery(
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
            scores = rank_moments(self._tables, self._encoder, sought)
        moments = self.get(scores)
        places = {found: position_of(moment) for found, moment in moments.items()}
        best = best_first({found: scores[found] for found in places}, places)
        return [Hit(moments[found], scores[found]) for found in best[:limit]]

    @_leased
    def get(self, ids: Iterable[str]) -> dict[str, Moment]:
        """The moments of these ids that are in the memory, in the order asked."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Moment] = {}
        for at in range(0, len(wanted), _IDS_A_QUERY):
            among = one_of("moment_id", wanted[at : at + _IDS_A_QUERY])
            for moment in moments_from(self._told(all_of(among, self._written()))):
                found[moment.id] = moment
        return {moment_id: found[moment_id] for moment_id in wanted if moment_id in found}

    @_leased
    def timeline(
        self,
        stream: str,
        span: Span | None = None,
        rung: Rung = "moment",
        kinds: Sequence[str] | None = None,
        *,
        limit: int = 200,
        newest_first: bool = False,
    ) -> list[Moment]:
        """The first ``limit`` moments that overlap ``span``, in time order.

        With ``newest_first``, the last ``limit`` of them, in time order too. ``kinds`` keeps those
        with a finding of one of these kinds.
        """
        where = all_of(
            self._of_streams([stream]),
            f"rung = {quoted(rung)}",
            overlap_filter(span, self._extents, [rung]),
            kinds_filter(kinds) or "base",
        )
        ids = self._first_ids(where, limit, newest_first=newest_first)
        return _in_time_order(self.get(ids).values())

    @_leased
    def moments_at(self, stream: str, times_s: Iterable[float]) -> list[Moment]:
        """The moments in which one of these times lies, in time order."""
        sought = sorted(set(times_s))
        here = all_of(self._of_streams([stream]), "rung = 'moment'", "base", self._written())
        ids: list[str] = []
        for first in range(0, len(sought), _TIMES_A_QUERY):
            instants = [Span(at_s, at_s + _INSTANT_S) for at_s in sought[first : first + _TIMES_A_QUERY]]
            in_one = " OR ".join(f"({overlap_filter(one, self._extents, ['moment'])})" for one in instants)
            rows = select(self._tables.observations, where=all_of(here, in_one), columns=["moment_id"])
            ids += [row["moment_id"] for row in rows]
        return _in_time_order(self.get(ids).values())

    @_leased
    def outlines(self, stream: str, span: Span | None = None) -> list[Outline]:
        """Every memory of a stream that overlaps ``span``, of any rung, in time order, without what it says."""
        where = all_of(self._of_streams([stream]), overlap_filter(span, self._extents), self._written())
        return outlines_from(select(self._tables.observations, where=where, columns=_OUTLINED))

    def neighbours(self, moment: Moment, before: int = 1, after: int = 1) -> list[Moment]:
        """The moments of its rung just before and just after it, in time order, without itself."""
        same = all_of(self._of_streams([moment.stream]), f"rung = {quoted(moment.rung)}", "base")
        here = f"moment_id != {quoted(moment.id)}"
        start_s = moment.span.start_s
        ids = [
            *self._first_ids(all_of(same, here, f"start_s < {start_s!r}"), before, newest_first=True),
            *self._first_ids(all_of(same, here, f"start_s >= {start_s!r}"), after),
        ]
        return _in_time_order(self.get(ids).values())

    def children(self, moment: Moment) -> list[Moment]:
        """What a memory above the first rung was made of, in time order."""
        return _in_time_order(self.get(moment.child_ids).values())

    def latest(self, stream: str, limit: int = 1) -> list[Moment]:
        """The last ``limit`` moments of a stream, in time order."""
        return self.timeline(stream, limit=limit, newest_first=True)

    @_leased
    def frames(self, ids: Iterable[str]) -> list[KeyFrame]:
        """The pictures of these ids that are in the memory, in the order asked."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, KeyFrame] = {}
        for at in range(0, len(wanted), _IDS_A_QUERY):
            where = all_of(one_of("id", wanted[at : at + _IDS_A_QUERY]), self._written())
            for row in select(self._tables.frames, where=where):
                found[row["id"]] = frame_from(row)
        return [found[frame_id] for frame_id in wanted if frame_id in found]

    @_leased
    def signatures(self, ids: Iterable[str]) -> dict[str, bytes]:
        """How the pictures of these ids look that are in the memory, as ``KeyFrame.signature`` has it.

        The pictures themselves are not read.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, bytes] = {}
        for at in range(0, len(wanted), _IDS_A_QUERY):
            where = all_of(one_of("id", wanted[at : at + _IDS_A_QUERY]), self._written())
            for row in select(self._tables.frames, where=where, columns=["id", "signature"]):
                found[row["id"]] = row["signature"]
        return found

    @_leased
    def count_frames(self, stream: str, span: Span) -> int:
        """How many pictures of a stretch of a stream there are."""
        in_span = f"time_s >= {span.start_s!r} AND time_s < {span.end_s!r}"
        where = all_of(self._of_streams([stream]), in_span, self._written())
        return int(self._tables.frames.count_rows(where))

    @_leased
    def gaps(self, stream: str, span: Span | None = None) -> list[Gap]:
        """The gaps of a stream that overlap ``span``, in time order."""
        if stream not in self._gaps:
            rows = select(self._tables.gaps, where=all_of(self._of_streams([stream]), self._written()))
            self._gaps[stream] = gaps_from(rows)
        return [gap for gap in self._gaps[stream] if span is None or gap.span.overlaps(span)]

    @_leased
    def tombstones(self, stream: str, span: Span | None = None) -> list[Tombstone]:
        """What of a stream was forgotten, where that overlaps ``span``, in time order.

        As of a time, what had been written by then and is forgotten by now.
        """
        if stream not in self._forgotten:
            as_of = None if self.as_of_s is None else f"written_from_s <= {float(self.as_of_s)!r}"
            found = select(self._tables.tombstones, where=all_of(self._of_streams([stream]), as_of))
            self._forgotten[stream] = tombstones_from(found)
        return [one for one in self._forgotten[stream] if span is None or one.span.overlaps(span)]

    @_leased
    def cover(self, stream: str, span: Span | None = None) -> list[Moment]:
        """The fewest memories that tell all of ``span`` without telling anything twice, in time order.

        Days that lie wholly inside, then hours outside those days, then events, and moments for what
        is left at the edges and at the end that is still open. Where these are forgotten, what stands for them,
        though it begins before the span or ends after it. A few dozen, however long the span.
        """
        if (stream, span) in self._covers:
            return self._covers[stream, span]
        whole = span if span is not None else Span(-math.inf, math.inf)
        found: list[Row] = []
        open_spans = [whole]
        for rung in _COVER_RUNGS:
            where = all_of(
                self._of_streams([stream]),
                f"rung = {quoted(rung)}",
                self._written(),
                " OR ".join(
                    f"({overlap_filter(part, self._extents, [rung]) if rung == 'moment' else containment_filter(part)})"
                    for part in open_spans
                ),
            )
            taken = self._told(where)
            found += taken
            open_spans = spans_without(open_spans, {Span(row["start_s"], row["end_s"]) for row in taken})
            if not open_spans:
                break
        stands = {
            one.id
            for one in self.tombstones(stream, span)
            if one.lost != "frame" and any(one.span.overlaps(part) for part in open_spans)
        }
        memories = moments_from(found)
        if stands:
            memories = _in_time_order(
                {one.id: one for one in (*memories, *self.get(stands).values())}.values()
            )
        return self._covers.setdefault((stream, span), memories)

    def coverage(self, stream: str, span: Span | None = None) -> Coverage:
        """What of ``span`` was seen; of all that is remembered of the stream where it is None."""
        memories, gaps = self.cover(stream, span), self.gaps(stream, span)
        forgotten = [one for one in self.tombstones(stream, span) if one.lost != "frame"]
        seen = [memory.span for memory in memories] + [one.span for one in forgotten]
        if span is None:
            spans = seen + [gap.span for gap in gaps]
            span = (
                Span(min(0.0, *(s.start_s for s in spans)), max(s.end_s for s in spans))
                if spans
                else Span(0, 0)
            )
        return Coverage(
            stream=stream,
            span=span,
            watched_s=_union_s(one.clipped_to(span) for one in seen),
            gaps=tuple(gaps),
            forgotten=tuple(forgotten),
        )

    @_leased
    def counts(self, stream: str) -> FrameCounts:
        """What became of every frame of a stream, those lost in its gaps and of what is forgotten included."""
        where = all_of(self._of_streams([stream]), "base AND rung = 'moment'", self._written())
        kept = tables.select_arrow(self._tables.observations, where=where, columns=_COUNTED)
        lost = [gap.counts for gap in self.gaps(stream)]
        return total_counts([summed_counts(kept), *lost, *(one.counts for one in self.tombstones(stream))])

    def _first_ids(self, where: str | None, limit: int, *, newest_first: bool = False) -> list[str]:
        """The ids of the first ``limit`` moments by time; reads two narrow columns, not the memories."""
        if limit < 1:
            return []
        rows_wanted = limit
        while True:
            rows = select(
                self._tables.observations,
                where=all_of(where, self._written()),
                columns=["moment_id", "start_s"],
                order_by="start_s",
                descending=newest_first,
                limit=rows_wanted,
            )
            ids = list(dict.fromkeys(row["moment_id"] for row in rows))
            if len(ids) >= limit or len(rows) < rows_wanted:
                return ids[:limit]
            # Several rows told of the same moment.
            rows_wanted *= 2

    def _told(self, where: str | None) -> list[Row]:
        found = tables.select_arrow(self._tables.observations, where=where, columns=["record"])
        return parse_records(found["record"].to_pylist())

    def _knows(self, stream: str) -> bool:
        where = all_of(self._of_streams([stream]), self._written())
        return any(
            select(table, where=where, columns=["id"], limit=1)
            for table in (self._tables.observations, self._tables.gaps)
        )

    def _written(self) -> str | None:
        return None if self.as_of_s is None else f"written_at_s <= {float(self.as_of_s)!r}"

    @staticmethod
    def _of_streams(streams: Sequence[str] | None) -> str | None:
        return None if streams is None else one_of("stream", streams)


def _in_time_order(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: (moment.span, moment.id))


def _union_s(spans: Iterable[Span | None]) -> float:
    """How many seconds belong to at least one span."""
    total_s, reached_s = 0.0, -math.inf
    for span in sorted(span for span in spans if span is not None):
        total_s += max(0.0, span.end_s - max(span.start_s, reached_s))
        reached_s = max(reached_s, span.end_s)
    return total_s
