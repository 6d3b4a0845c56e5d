"""Erasure: deletes a span of a stream, or a whole stream, on request and for good. Returns an erasure receipt.

    erasure = Erasure(folder, tables, commits, maintenance, store.snapshot, encoder)
    receipt = erasure.erase("door", Span(60.0, 95.0))

An erasure deletes every moment that overlaps the span, every moment with findings that reach back into it, and every
parent of these. The parents are rebuilt from the children that remain. If the moments of an event were evicted before,
the rest of the event cannot be separated from the span, so the whole event is deleted. The pictures, vectors, pins,
uses and backlog entries of the deleted memories are deleted too. Then every file that contains a trace of them is
rewritten or deleted: deleted rows, index entries, old versions. The receipt is returned after that.

Questions that began before the erasure finish with their snapshot, and the erasure waits for them. If the process is
killed, the erasure has been committed or it has not. The next erasure or ``compact`` rewrites the remaining files.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from ..encoder import Encoder
from ..ladder.builder import rebuild_parents
from ..query.filters import overlap_filter
from ..query.snapshot import Snapshot
from ..storage.commits import Commits, Transaction
from ..storage.file_sizes import size_on_disk
from ..storage.rows import observation_rows, pending_row, pin_row, pins_from, tombstone_row
from ..storage.tables import Tables, all_of, latest_view, one_of, quoted, row_ids, row_ids_with, select
from ..storage.vectors import text_vector_rows
from ..values import (
    RUNGS,
    FrameCounts,
    Moment,
    Outline,
    Pending,
    Pin,
    Rung,
    Span,
    Tombstone,
    extents_of,
    make_id,
    merged_spans,
    spans_without,
    total_counts,
)
from .erasure_proof import ErasedSamples, require_erased, require_no_references
from .maintenance import Maintenance
from .maintenance_lock import maintenance_lock
from .pins import make_pin_id

PENDING = "erasing.pending"
"""This file exists in the memory's folder while files may still contain erased data."""
_REACH_BACK_S = 6 * 3600.0
"""How long after the span moments are searched for findings that reach back into it, in seconds."""
_CONTEXT_S = 10.0
"""A moment that begins this soon after another may have been described with the other as context, in seconds."""
_NO_LIMIT = 1_000_000

OnWait = Callable[[int], None]
"""Called repeatedly with the number of readers that an erasure waits for."""


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What an erasure deleted."""

    stream: str
    asked: Span | None
    """The requested span. None for the whole stream."""
    erased: tuple[Span, ...]
    """The spans of the deleted moments."""
    memories: dict[Rung, int]
    """Number of deleted moments, events, hours and days."""
    made_anew: int
    """Number of parents that were rebuilt from their remaining children."""
    pictures: int
    waiting: int
    """Number of deleted backlog entries."""
    pins: int
    uses: int
    traces: int
    """Number of deleted traces of questions."""
    memory_ids: frozenset[str]
    """Ids of the deleted memories, for data that refers to them elsewhere."""
    freed_bytes: int
    seconds: float
    files_scanned: int = 0
    """Number of files that were searched for what was erased, without a hit."""


@dataclass(slots=True)
class _Plan:
    """The rows that an erasure deletes and writes."""

    spans: list[Span] = field(default_factory=list)
    deleted: dict[str, Rung] = field(default_factory=dict)
    """Rung of each deleted memory, by id."""
    undescribed: set[str] = field(default_factory=set)
    """Ids of the memories that lose only their descriptions."""
    parents: list[Moment] = field(default_factory=list)
    """Rebuilt parents."""
    tombstones: list[Tombstone] = field(default_factory=list)
    replaced_tombstones: set[str] = field(default_factory=set)
    """Ids of the tombstones that are deleted with their memories."""
    backlog: list[Pending] = field(default_factory=list)
    """Memories that need a new description."""


class Erasure:
    """Erases from one memory. The caller holds the writer lock."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        maintenance: Maintenance,
        snapshot: Callable[[], Snapshot],
        encoder: Encoder | None,
    ) -> None:
        self._folder, self._tables, self._commits = folder, opened, commits
        self._maintenance, self._snapshot, self._encoder = maintenance, snapshot, encoder

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a span of a stream. Without a span, erase the stream and its name."""
        started_s = time.monotonic()
        size_before_bytes = size_on_disk(self._folder)
        with maintenance_lock(self._folder):
            require_no_references(self._folder, self._tables)
            plan = _Plan() if span is None else self._plan(stream, span)
            samples = self._samples(stream, span, plan)
            # From now on, a crash leaves files to rewrite.
            (self._folder / PENDING).touch()
            with self._commits.commit() as change:
                erase = self._delete if span is not None else self._delete_stream
                counts = erase(change, stream, plan)
            scanned = self._purge(on_wait, samples)
        rungs = Counter(plan.deleted.values())
        return ErasureReceipt(
            stream=stream,
            asked=span,
            erased=tuple(plan.spans),
            memories={rung: rungs[rung] for rung in RUNGS},
            made_anew=len(plan.parents),
            pictures=counts["frames"],
            waiting=counts["backlog"],
            pins=counts["pins"],
            uses=counts["uses"],
            traces=0,
            memory_ids=frozenset(plan.deleted),
            files_scanned=scanned,
            freed_bytes=max(0, size_before_bytes - size_on_disk(self._folder)),
            seconds=time.monotonic() - started_s,
        )

    def finish(self) -> None:
        """Finish an erasure that was killed after its commit, if there is one."""
        if (self._folder / PENDING).exists():
            with maintenance_lock(self._folder):
                self._purge(None, ErasedSamples())

    def _purge(self, on_wait: OnWait | None, samples: ErasedSamples) -> int:
        """Remove every trace of deleted rows from the files. Returns how many files were then scanned for them."""
        self._maintenance.purge_deleted(on_wait)
        scanned = require_erased(self._folder, self._tables, self._commits, samples)
        (self._folder / PENDING).unlink(missing_ok=True)
        return scanned

    def _samples(self, stream: str, span: Span | None, plan: _Plan) -> ErasedSamples:
        of_stream = f"stream = {quoted(stream)}"
        if span is not None:
            # A rebuilt parent may have the id of the old one.
            ids = plan.deleted.keys() - {parent.id for parent in plan.parents}
            where = all_of(of_stream, _in_spans("time_s", plan.spans))
            return ErasedSamples.take(self._tables, ids, where)
        rows = select(latest_view(self._tables.observations), where=of_stream, columns=["moment_id"])
        return ErasedSamples.take(self._tables, {row["moment_id"] for row in rows}, of_stream)

    def _plan(self, stream: str, span: Span) -> _Plan:
        snapshot = self._snapshot()
        backlog = select(latest_view(self._tables.backlog), columns=["moment_id"])
        try:
            return _Planning(snapshot, stream, span, {row["moment_id"] for row in backlog}).plan()
        finally:
            # Otherwise the erasure would wait for its own snapshot.
            snapshot.release()

    def _delete(self, change: Transaction, stream: str, plan: _Plan) -> Counter[str]:
        """Delete a span and write what replaces it. Returns the number of deleted rows by kind of table."""
        tables, counts = self._tables, Counter[str]()
        pins = self._remaining_pins(stream, plan.spans)
        for name, ids in self._rows_to_delete(stream, plan).items():
            counts[name] = change.delete_rows(getattr(tables, name), ids)
        rows = [row for parent in plan.parents for row in observation_rows(parent)]
        if tables.text_vectors is not None:
            change.append(tables.text_vectors, text_vector_rows(self._encoder, rows))
        change.append(tables.observations, rows)
        change.extents = extents_of(plan.parents)
        change.append(tables.backlog, [pending_row(item) for item in plan.backlog])
        change.append(tables.pins, [pin_row(pin) for pin in pins])
        change.upsert(tables.tombstones, "id", [tombstone_row(tombstone) for tombstone in plan.tombstones])
        return counts

    def _rows_to_delete(self, stream: str, plan: _Plan) -> dict[str, list[int]]:
        """The ids of the rows that a plan deletes, by kind of table."""
        tables = self._tables
        of_stream = f"stream = {quoted(stream)}"
        inside = " OR ".join(f"({overlap_filter(span)})" for span in plan.spans) or "false"
        row_ids_of = {
            "frames": row_ids(latest_view(tables.frames), all_of(of_stream, _in_spans("time_s", plan.spans))),
            "pins": row_ids(latest_view(tables.pins), all_of(of_stream, inside)),
            "uses": row_ids(latest_view(tables.uses), all_of(of_stream, inside)),
            "tombstones": row_ids_with(latest_view(tables.tombstones), "id", plan.replaced_tombstones),
        }
        descriptions = self._descriptions_of(plan.undescribed)
        for name in ("observations", "text_vectors", "frame_vectors", "backlog"):
            if (table := getattr(tables, name)) is not None:
                row_ids_of[name] = row_ids_with(latest_view(table), "moment_id", set(plan.deleted))
                if name in ("observations", "text_vectors"):
                    row_ids_of[name] += row_ids_with(latest_view(table), "id", descriptions)
        return row_ids_of

    def _delete_stream(self, change: Transaction, stream: str, plan: _Plan) -> Counter[str]:
        """Delete a stream from every table. Returns the number of deleted rows by kind of table."""
        of_stream, counts = f"stream = {quoted(stream)}", Counter[str]()
        memories = select(
            latest_view(self._tables.observations),
            where=all_of(of_stream, "base"),
            columns=["moment_id", "rung"],
        )
        plan.deleted = {row["moment_id"]: row["rung"] for row in memories}
        for name, table in self._tables.by_kind().items():
            where = f"name = {quoted(stream)}" if name == "streams" else of_stream
            counts[name] = change.delete_rows(table, row_ids(latest_view(table), where))
        return counts

    def _descriptions_of(self, memory_ids: Iterable[str]) -> set[str]:
        """The ids of the observations that were added to these memories after they were written."""
        where = all_of(one_of("moment_id", memory_ids), "NOT base")
        rows = select(latest_view(self._tables.observations), where=where, columns=["id"])
        return {row["id"] for row in rows}

    def _remaining_pins(self, stream: str, spans: Sequence[Span]) -> list[Pin]:
        """The parts outside ``spans`` of the pins that overlap them."""
        overlapping = [
            pin
            for pin in pins_from(select(latest_view(self._tables.pins), where=f"stream = {quoted(stream)}"))
            if any(pin.span.overlaps(span) for span in spans)
        ]
        return [
            replace(pin, id=make_pin_id(stream, part), span=part)
            for pin in overlapping
            for part in spans_without([pin.span], spans)
        ]


class _Planning:
    """Works out what to erase from one snapshot."""

    def __init__(self, snapshot: Snapshot, stream: str, span: Span, backlog: Set[str]) -> None:
        """``backlog`` are the ids of the memories that wait for a description."""
        self._snapshot, self._stream, self._span, self._backlog = snapshot, stream, span, backlog
        self._tombstones = {tombstone.id: tombstone for tombstone in snapshot.tombstones(stream)}
        self._plan = _Plan()

    def plan(self) -> _Plan:
        """The plan for the requested span."""
        plan = self._plan
        moments = [memory for memory in self._outlines(self._span) if memory.rung == "moment"]
        moments += self._reaching_back({moment.id for moment in moments})
        spans_by_epoch = _spans_by_epoch([*moments, *self._inseparable(moments)])
        plan.spans = sorted(span for spans in spans_by_epoch.values() for span in spans)
        affected = {memory.id: memory for span in plan.spans for memory in self._outlines(span)}
        parents = {key: memory for key, memory in affected.items() if memory.rung != "moment"}
        plan.deleted = {memory.id: memory.rung for memory in (*moments, *parents.values())}
        self._rebuild_parents(parents)
        self._add_tombstones(spans_by_epoch, moments, parents)
        self._add_backlog(parents)
        return plan

    def _outlines(self, span: Span) -> list[Outline]:
        return self._snapshot.outlines(self._stream, span)

    def _reaching_back(self, deleted: Set[str]) -> list[Outline]:
        """Later moments with findings that reach into the span, such as how long a person had stayed."""
        after = Span(self._span.end_s, self._span.end_s + _REACH_BACK_S)
        reaching = {
            moment.id
            for moment in self._snapshot.timeline(self._stream, after, limit=_NO_LIMIT)
            if any(finding.span.overlaps(self._span) for finding in moment.findings)
        }
        return [memory for memory in self._outlines(after) if memory.id in reaching - deleted]

    def _inseparable(self, moments: Sequence[Outline]) -> list[Outline]:
        """Memories that lost their children to eviction, and whose summary includes part of the span."""
        spans = [self._span, *(moment.span for moment in moments)]
        inseparable: dict[str, Outline] = {}
        while True:
            more = [
                memory
                for span in spans
                for memory in self._outlines(span)
                if memory.id not in inseparable and self._has_lost_children(memory)
            ]
            if not more:
                return list(inseparable.values())
            inseparable |= {memory.id: memory for memory in more}
            spans = [memory.span for memory in more]

    def _has_lost_children(self, memory: Outline) -> bool:
        tombstone = self._tombstones.get(memory.id)
        return tombstone is not None and tombstone.lost != "frame"

    def _rebuild_parents(self, parents: Mapping[str, Outline]) -> None:
        """Rebuild events from the remaining moments, hours from the remaining and rebuilt events, and so on."""
        old_parents = self._snapshot.get(parents)
        for below, rung in pairwise(RUNGS):
            for parent in old_parents.values():
                if parent.rung == rung:
                    rebuilt = self._rebuilt(parent, self._remaining_children(parent, below))
                    self._plan.parents += rebuilt
                    self._keep_frame_tombstone(parent, rebuilt)

    def _remaining_children(self, parent: Moment, below: Rung) -> list[Moment]:
        """The children of a parent that are not deleted, and those that were rebuilt, in stream order."""
        old = [child for child in self._snapshot.children(parent) if child.id not in self._plan.deleted]
        rebuilt = [
            child
            for child in self._plan.parents
            if child.rung == below and parent.span.contains(child.span.start_s)
        ]
        return sorted([*old, *rebuilt], key=lambda child: child.span)

    def _rebuilt(self, parent: Moment, children: Sequence[Moment]) -> list[Moment]:
        signatures = self._snapshot.signatures(key for child in children for key in child.frame_ids)
        # A rebuilt parent must not show a picture that was evicted before.
        with_pictures = [
            replace(child, frame_ids=tuple(key for key in child.frame_ids if key in signatures))
            for child in children
        ]
        rebuilt = rebuild_parents(self._stream, parent.rung, with_pictures, signatures)
        return [replace(memory, sameness=parent.sameness) for memory in rebuilt]

    def _keep_frame_tombstone(self, parent: Moment, rebuilt: Sequence[Moment]) -> None:
        """If the parent had lost pictures, its successors have lost them too."""
        if parent.id in self._tombstones:
            tombstone = replace(self._tombstones[parent.id], lost="frame", memories=0, counts=FrameCounts())
            self._plan.tombstones += [
                replace(tombstone, id=memory.id, span=memory.span) for memory in rebuilt
            ]

    def _add_tombstones(
        self,
        spans_by_epoch: Mapping[int, Sequence[Span]],
        moments: Sequence[Outline],
        parents: Mapping[str, Outline],
    ) -> None:
        """Add a tombstone for each erased span. It includes the counts of the deleted moments and tombstones."""
        remaining = {key: tombstone for key, tombstone in self._tombstones.items() if key in parents}
        self._plan.replaced_tombstones = set(remaining)
        for epoch, spans in spans_by_epoch.items():
            for span in spans:
                erased = [
                    moment
                    for moment in moments
                    if moment.epoch == epoch and span.contains(moment.span.start_s)
                ]
                # Each replaced tombstone is counted exactly once, by the first span that it overlaps.
                replaced = [
                    remaining.pop(key)
                    for key, tombstone in list(remaining.items())
                    if tombstone.span.overlaps(span)
                ]
                self._plan.tombstones.append(self._tombstone(epoch, span, erased, replaced))

    def _tombstone(
        self, epoch: int, span: Span, erased: Sequence[Outline], replaced: Sequence[Tombstone]
    ) -> Tombstone:
        pictures = self._snapshot.count_frames(self._stream, span)
        written_s = [moment.written_at_s for moment in erased]
        written_s += [tombstone.written_from_s for tombstone in replaced]
        counts = [moment.counts for moment in erased] + [tombstone.counts for tombstone in replaced]
        return Tombstone(
            id=make_id(self._stream, epoch, "erased", round(span.start_s * 1000)),
            stream=self._stream,
            epoch=epoch,
            span=span,
            lost="day",
            cause="asked",
            forgotten_at_s=time.time(),
            written_from_s=min(written_s),
            memories=len(erased) + sum(tombstone.memories for tombstone in replaced),
            counts=total_counts([*counts, FrameCounts(stored=-pictures, merged=pictures)]),
        )

    def _add_backlog(self, parents: Mapping[str, Outline]) -> None:
        """Queue the memories whose description was written with the erased memories as context."""
        plan = self._plan
        described = {
            parent.rung for parent in parents.values() if parent.described or parent.id in self._backlog
        }
        queued: list[Outline | Moment] = [parent for parent in plan.parents if parent.rung in described]
        for span in plan.spans:
            successor = self._next_moment(span)
            if successor is not None and successor.described:
                plan.undescribed.add(successor.id)
                if successor.id not in plan.deleted:
                    queued.append(successor)
        now_s = time.time()
        plan.backlog = [
            Pending(memory.id, self._stream, memory.rung, memory.span, 0.5, now_s) for memory in queued
        ]

    def _next_moment(self, span: Span) -> Outline | None:
        """The first moment that begins shortly after a span."""
        after = Span(span.end_s, span.end_s + _CONTEXT_S)
        moments = (
            memory
            for memory in self._outlines(after)
            if memory.rung == "moment" and memory.span.start_s >= span.end_s
        )
        return next(moments, None)


def _spans_by_epoch(outlines: Iterable[Outline]) -> dict[int, list[Span]]:
    """The merged spans of these memories, by epoch."""
    spans: dict[int, list[Span]] = {}
    for memory in outlines:
        spans.setdefault(memory.epoch, []).append(memory.span)
    return {epoch: merged_spans(own) for epoch, own in sorted(spans.items())}


def _in_spans(column: str, spans: Sequence[Span]) -> str:
    """A filter that keeps the rows whose ``column`` lies in one of the spans."""
    conditions = [f"({column} >= {span.start_s!r} AND {column} < {span.end_s!r})" for span in spans]
    return " OR ".join(conditions) or "false"
