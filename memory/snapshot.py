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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import schema, tables
from .encoder import Encoder
from .leases import Lease
from .manifest import using_vectors
from .ranking import Place, best_first, fused, nearest, places_of
from .rows import frame_from, gaps_from, moments_from, stream_from, summed_counts
from .schema import Row
from .tables import Tables, all_of, one_of, quoted, select
from .values import (
    Coverage,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Rung,
    Span,
    Stream,
    total_counts,
)
from .words import pairs_of, share_together

_ROWS_PER_MOMENT = 4
"""How many rows a search reads for each moment wanted: several observations may tell of the same one."""
_LEAST_ROWS = 160
"""How many it reads at least, so that the best of one is the best of forty."""
_FEW_ROWS = 2000
"""Up to so many observations that pass a filter, pictures are sought among their moments alone."""
_IDS_A_QUERY = 500
_COUNTED = ("id", *schema.COUNT_COLUMNS)
_PLACED = ("moment_id", "stream", "start_s")
_COVER_RUNGS: tuple[Rung, ...] = ("day", "hour", "event", "moment")


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment that a search found."""

    moment: Moment
    score: float
    """Higher is better; comparable within one search only."""


class Snapshot:
    """A memory as it was when the snapshot was taken. Made by ``MemoryStore.snapshot``.

    What it shows is kept on disk as long as somebody holds it.
    """

    def __init__(
        self, pinned: Tables, *, folder: Path, encoder: Encoder | None, as_of_s: float | None, lease: Lease
    ) -> None:
        self._tables = pinned
        self._lease = lease
        self._folder = folder
        self._encoder = encoder
        self.as_of_s = as_of_s
        """Unix seconds; nothing written later is seen. None: all that was there."""
        # What was pinned never changes, and a question asks for both more than once.
        self._covers: dict[tuple[str, Span | None], list[Moment]] = {}
        self._gaps: dict[str, list[Gap]] = {}

    def streams(self) -> list[Stream]:
        """Every stream, by name; as of a time, those of which something had been written by then."""
        rows = select(self._tables.streams)
        streams = sorted((stream_from(row) for row in rows), key=lambda stream: stream.name)
        return streams if self.as_of_s is None else [s for s in streams if self._knows(s.name)]

    def search(
        self,
        text: str,
        *,
        streams: Sequence[str] | None = None,
        span: Span | None = None,
        rungs: Sequence[Rung] | None = None,
        written_by: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        limit: int = 20,
    ) -> list[Hit]:
        """The moments that say most of ``text``, best first.

        ``text`` is plain words: nothing in it is an operator. Words match by their stem, and count for
        more where they stand together as they do in ``text``; where the memory has an encoder, meaning counts too, and where that takes pictures, so does what the
        key frames of moments show. Each filter narrows what is searched: moments of ``streams``,
        overlapping ``span``, of ``rungs``, described by one of ``written_by``, with a finding of
        one of ``kinds``.

        Raises ``EncoderMismatch`` where the vectors were replaced since the snapshot was taken.
        """
        if not text.strip() or limit < 1:
            return []
        narrow = all_of(self._of_streams(streams), _overlapping(span), self._written())
        where = all_of(
            narrow,
            one_of("rung", rungs) if rungs is not None else None,
            one_of("written_by", written_by) if written_by is not None else None,
            _with_kinds(kinds),
        )
        scores = self._scores(text, where, narrow, limit)
        moments = self.get(scores)
        return [Hit(moments[found], score) for found, score in scores.items() if found in moments]

    def get(self, ids: Iterable[str]) -> dict[str, Moment]:
        """The moments of these ids that are in the memory, in the order asked."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Moment] = {}
        for at in range(0, len(wanted), _IDS_A_QUERY):
            for moment in self._moments(one_of("moment_id", wanted[at : at + _IDS_A_QUERY])):
                found[moment.id] = moment
        return {moment_id: found[moment_id] for moment_id in wanted if moment_id in found}

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
            _overlapping(span),
            _with_kinds(kinds) or "base",
        )
        ids = self._first_ids(where, limit, newest_first=newest_first)
        return _in_time_order(self.get(ids).values())

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

    def frames(self, ids: Iterable[str]) -> list[KeyFrame]:
        """The pictures of these ids that are in the memory, in the order asked."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, KeyFrame] = {}
        for at in range(0, len(wanted), _IDS_A_QUERY):
            where = all_of(one_of("id", wanted[at : at + _IDS_A_QUERY]), self._written())
            for row in select(self._tables.frames, where=where):
                found[row["id"]] = frame_from(row)
        return [found[frame_id] for frame_id in wanted if frame_id in found]

    def gaps(self, stream: str, span: Span | None = None) -> list[Gap]:
        """The gaps of a stream that overlap ``span``, in time order."""
        if stream not in self._gaps:
            rows = select(self._tables.gaps, where=all_of(self._of_streams([stream]), self._written()))
            self._gaps[stream] = gaps_from(rows)
        return [gap for gap in self._gaps[stream] if span is None or gap.span.overlaps(span)]

    def cover(self, stream: str, span: Span | None = None) -> list[Moment]:
        """The fewest memories that tell all of ``span`` without telling anything twice, in time order.

        Days that lie wholly inside, then hours outside those days, then events, and moments for what
        is left at the edges and at the end that is still open. A few dozen, however long the span.
        """
        if (stream, span) in self._covers:
            return self._covers[stream, span]
        whole = span if span is not None else Span(-math.inf, math.inf)
        rows: list[Row] = []
        open_spans = [whole]
        for rung in _COVER_RUNGS:
            where = all_of(
                self._of_streams([stream]),
                f"rung = {quoted(rung)}",
                self._written(),
                " OR ".join(
                    f"({_overlapping(part) if rung == 'moment' else _inside(part)})" for part in open_spans
                ),
            )
            taken = select(self._tables.observations, where=where, columns=schema.MOMENT_COLUMNS)
            rows += taken
            open_spans = _without(open_spans, {Span(row["start_s"], row["end_s"]) for row in taken})
            if not open_spans:
                break
        return self._covers.setdefault((stream, span), moments_from(rows))

    def coverage(self, stream: str, span: Span | None = None) -> Coverage:
        """What of ``span`` was seen; of all that is remembered of the stream where it is None."""
        memories, gaps = self.cover(stream, span), self.gaps(stream, span)
        if span is None:
            spans = [memory.span for memory in memories] + [gap.span for gap in gaps]
            span = (
                Span(min(0.0, *(s.start_s for s in spans)), max(s.end_s for s in spans))
                if spans
                else Span(0, 0)
            )
        return Coverage(
            stream=stream,
            span=span,
            watched_s=_union_s(memory.span.clipped_to(span) for memory in memories),
            gaps=tuple(gaps),
        )

    def counts(self, stream: str) -> FrameCounts:
        """What became of every frame of a stream, those lost in its gaps included."""
        where = all_of(self._of_streams([stream]), "base AND rung = 'moment'", self._written())
        kept = tables.select_arrow(self._tables.observations, where=where, columns=_COUNTED)
        return total_counts([summed_counts(kept), *(gap.counts for gap in self.gaps(stream))])

    def _scores(self, text: str, where: str | None, narrow: str | None, limit: int) -> dict[str, float]:
        """The ids of the ``limit`` best moments, best first: by words, and by vectors where there are.

        ``where`` filters observations, and ``narrow`` is the part of it that moments alone answer.
        """
        places: dict[str, Place] = {}
        rankings = [self._by_words(text, where, limit, places)]
        if self._encoder is not None and self._tables.text_vectors is not None:
            vector = self._encoder.encode_texts([text])[0]
            with using_vectors(self._folder, self._encoder):
                rankings.append(self._by_meaning(vector, where, limit, places))
                if self._tables.frame_vectors is not None:
                    rankings.append(self._by_pictures(vector, where, narrow, limit, places))
        scores = rankings[0] if len(rankings) == 1 else fused(rankings, places)
        return {found: scores[found] for found in best_first(scores, places)[:limit]}

    def _by_words(
        self, text: str, where: str | None, limit: int, places: dict[str, Place]
    ) -> dict[str, float]:
        """By words that match, and by how many of them stand together as they do in ``text``.

        Full-text search takes each word for itself: of a blue coat and a red cup it makes as much as of
        a red coat and a blue cup.
        """
        rows = tables.match_text(
            self._tables.observations, text, where=where, columns=(*_PLACED, "text"), limit=_rows_for(limit)
        )
        places |= places_of(rows)
        asked = pairs_of(text)
        scores: dict[str, float] = {}
        for row in rows:
            score = row["_score"] * (1 + share_together(asked, row["text"]))
            scores[row["moment_id"]] = max(score, scores.get(row["moment_id"], 0.0))
        return scores

    def _by_meaning(
        self, vector: Any, where: str | None, limit: int, places: dict[str, Place]
    ) -> dict[str, float]:
        rows = tables.match_vector(
            self._tables.text_vectors, vector, where=where, columns=_PLACED, limit=_rows_for(limit)
        )
        places |= places_of(rows)
        return nearest(rows)

    def _by_pictures(
        self, vector: Any, where: str | None, narrow: str | None, limit: int, places: dict[str, Place]
    ) -> dict[str, float]:
        """Pictures know the facts of their moment; what was observed in it is asked of the observations."""
        of_moments = all_of(where, "rung = 'moment'")
        asked, widened = _rows_for(limit), False
        checked: dict[str, Place | None] = {}
        while True:
            rows = tables.match_vector(
                self._tables.frame_vectors, vector, where=narrow, columns=["moment_id"], limit=asked
            )
            near = nearest(rows)
            unchecked = [found for found in near if found not in checked]
            checked |= dict.fromkeys(unchecked)
            for at in range(0, len(unchecked), _IDS_A_QUERY):
                among = all_of(one_of("moment_id", unchecked[at : at + _IDS_A_QUERY]), of_moments)
                checked |= places_of(select(self._tables.observations, where=among, columns=_PLACED))
            fitting = {found: place for found in near if (place := checked[found]) is not None}
            if len(fitting) >= limit or len(rows) < asked:
                places |= fitting
                return {found: near[found] for found in fitting}
            if not widened:
                few = select(
                    self._tables.observations, where=of_moments, columns=["moment_id"], limit=_FEW_ROWS + 1
                )
                if len(few) <= _FEW_ROWS:
                    # Seldom met among the nearest: they are sought by name.
                    narrow = all_of(narrow, one_of("moment_id", (row["moment_id"] for row in few)))
            asked, widened = 4 * asked, True

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

    def _moments(self, where: str) -> list[Moment]:
        rows = select(
            self._tables.observations, where=all_of(where, self._written()), columns=schema.MOMENT_COLUMNS
        )
        return moments_from(rows)

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


def _rows_for(limit: int) -> int:
    return max(limit * _ROWS_PER_MOMENT, _LEAST_ROWS)


def _with_kinds(kinds: Sequence[str] | None) -> str | None:
    if kinds is None:
        return None
    listed = ", ".join(quoted(kind) for kind in kinds)
    return f"array_has_any(kinds, make_array({listed}))" if listed else "false"


def _overlapping(span: Span | None) -> str | None:
    """Rows that share time with ``span``."""
    if span is None:
        return None
    return _bounded("start_s <", span.end_s, "end_s >", span.start_s)


def _inside(span: Span) -> str | None:
    """Rows that lie wholly in ``span``."""
    return _bounded("end_s <=", span.end_s, "start_s >=", span.start_s)


def _bounded(below: str, end_s: float, above: str, start_s: float) -> str:
    sides = [f"{above} {start_s!r}"] if math.isfinite(start_s) else []
    sides += [f"{below} {end_s!r}"] if math.isfinite(end_s) else []
    return " AND ".join(sides) or "true"


def _without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of ``spans`` after ``taken``."""
    left = list(spans)
    for gone in taken:
        left = [
            part
            for span in left
            for part in (
                [Span(span.start_s, min(span.end_s, gone.start_s))] if span.start_s < gone.start_s else []
            )
            + ([Span(max(span.start_s, gone.end_s), span.end_s)] if gone.end_s < span.end_s else [])
        ]
    return left


def _in_time_order(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: (moment.span, moment.id))


def _union_s(spans: Iterable[Span | None]) -> float:
    """How many seconds belong to at least one span."""
    total_s, reached_s = 0.0, -math.inf
    for span in sorted(span for span in spans if span is not None):
        total_s += max(0.0, span.end_s - max(span.start_s, reached_s))
        reached_s = max(reached_s, span.end_s)
    return total_s
