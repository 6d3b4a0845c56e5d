"""Has a stretch of a stream forgotten by everybody, at once and for good, because somebody asked for it.

    receipt = Erasure(folder, tables, commits, upkeep, store.snapshot, encoder).erase("door", Span(60.0, 95.0))

What goes is every moment that shares time with the stretch, whole; every moment whose findings reach back into it;
and every memory above, which is made anew of what is left. Where what is left cannot be told apart any more, as the
moments of an event were forgotten before, the whole event goes. With the memories go their pictures, vectors,
pins and uses, and what waits to be described; then, file by file, whatever still holds a trace of them: deleted
rows, the words of indexes, old versions. Only then is there a receipt.

Questions that began before go on with what they hold, and are waited for. Killed in the middle, it has happened or
it has not; the files are cleaned up by the next that is asked for, or by ``compact``.
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
from ..query.hybrid_search import overlap_filter
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
from .maintenance import Maintenance, maintenance_lock

PENDING = "erasing.pending"
"""Is in the memory's folder while files may still hold what was erased."""
_REACH_BACK_S = 6 * 3600.0
"""How long after a stretch moments are looked at for findings that reach back into it."""
_BEFORE_S = 10.0
"""A moment that begins so shortly after another may have been described with that in mind."""
_MANY = 1_000_000

OnWait = Callable[[int], None]
"""Is told how many readers are waited for."""


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What is gone, and was still there when it was asked for."""

    stream: str
    asked: Span | None
    """None: all of the stream."""
    erased: tuple[Span, ...]
    """What it came to, in whole moments."""
    memories: dict[Rung, int]
    """Moments, and the memories above them that told of them."""
    made_anew: int
    """Memories above that were made anew of what is left."""
    pictures: int
    waiting: int
    """What waited to be described."""
    pins: int
    uses: int
    traces: int
    """Questions whose steps told of it."""
    memory_ids: frozenset[str]
    """The ids of what is gone, for who keeps something by them."""
    freed_bytes: int
    seconds: float


@dataclass(slots=True)
class _Plan:
    """What goes, and what is put in its place."""

    spans: list[Span] = field(default_factory=list)
    gone: dict[str, Rung] = field(default_factory=dict)
    """Memories by id, with their rung."""
    told_anew: set[str] = field(default_factory=set)
    """Memories of which only what was described goes."""
    parents: list[Moment] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    """Tombstones by id that go with the memories they were of."""
    waiting: list[Pending] = field(default_factory=list)


class Erasure:
    """Erases from one memory; its user holds the writer's lock."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        upkeep: Maintenance,
        snapshot: Callable[[], Snapshot],
        encoder: Encoder | None,
    ) -> None:
        self._folder, self._tables, self._commits = folder, opened, commits
        self._upkeep, self._snapshot, self._encoder = upkeep, snapshot, encoder

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a stretch of a stream; all of it, and that it was ever there, where ``span`` is None."""
        begun = time.monotonic()
        before_bytes = size_on_disk(self._folder)
        with maintenance_lock(self._folder):
            plan = _Plan() if span is None else self._plan(stream, span)
            # From here on somebody has to clean up.
            (self._folder / PENDING).touch()
            with self._commits.commit() as change:
                erase = self._delete if span is not None else self._delete_stream
                counts = erase(change, stream, plan)
            self._purge(on_wait)
        rungs = Counter(plan.gone.values())
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
            memory_ids=frozenset(plan.gone),
            freed_bytes=max(0, before_bytes - size_on_disk(self._folder)),
            seconds=time.monotonic() - begun,
        )

    def finish(self) -> None:
        """Clean up what somebody who was killed in the middle left, if anybody was."""
        if (self._folder / PENDING).exists():
            with maintenance_lock(self._folder):
                self._purge(None)

    def _purge(self, on_wait: OnWait | None) -> None:
        """Take what was deleted out of every file."""
        self._upkeep.rewrite_all()
        self._upkeep.wait_for_readers(on_wait)
        with self._commits.paused(self._tables):
            self._upkeep.delete_all_but_the_newest()
        (self._folder / PENDING).unlink(missing_ok=True)

    # -- what goes --------------------------------------------------------------------------------------

    def _plan(self, stream: str, span: Span) -> _Plan:
        snapshot = self._snapshot()
        waiting = select(latest_view(self._tables.backlog), columns=["moment_id"])
        try:
            return _Planning(snapshot, stream, span, {row["moment_id"] for row in waiting}).plan()
        finally:
            # Held any longer, it would have to be waited for.
            snapshot.release()

    def _delete(self, change: Transaction, stream: str, plan: _Plan) -> Counter[str]:
        """Erase a stretch; how many rows of which table went."""
        tables, counts = self._tables, Counter[str]()
        of_stream = f"stream = {quoted(stream)}"
        pins = self._pins_outside(stream, plan.spans)
        inside = " OR ".join(f"({overlap_filter(one)})" for one in plan.spans) or "false"
        doomed = {
            "frames": row_ids(latest_view(tables.frames), all_of(of_stream, _where("time_s", plan.spans))),
            "pins": row_ids(latest_view(tables.pins), all_of(of_stream, inside)),
            "uses": row_ids(latest_view(tables.uses), all_of(of_stream, inside)),
            "tombstones": row_ids_with(latest_view(tables.tombstones), "id", plan.replaced),
        }
        told_anew = self._descriptions_of(plan.told_anew)
        for name in ("observations", "text_vectors", "frame_vectors", "backlog"):
            if (table := getattr(tables, name)) is not None:
                doomed[name] = row_ids_with(latest_view(table), "moment_id", set(plan.gone))
                if name in ("observations", "text_vectors"):
                    doomed[name] += row_ids_with(latest_view(table), "id", told_anew)
        for name, ids in doomed.items():
            counts[name] = change.delete_rows(getattr(tables, name), ids)
        made = [row for parent in plan.parents for row in observation_rows(parent)]
        if tables.text_vectors is not None:
            change.append(tables.text_vectors, text_vector_rows(self._encoder, made))
        change.append(tables.observations, made)
        change.extents = extents_of(plan.parents)
        change.append(tables.backlog, [pending_row(item) for item in plan.waiting])
        change.append(tables.pins, [pin_row(pin) for pin in pins])
        change.upsert(tables.tombstones, "id", [tombstone_row(one) for one in plan.tombstones])
        return counts

    def _delete_stream(self, change: Transaction, stream: str, plan: _Plan) -> Counter[str]:
        """Erase a stream, and that it ever was; how many rows of which table went."""
        of_stream, counts = f"stream = {quoted(stream)}", Counter[str]()
        there = select(
            latest_view(self._tables.observations),
            where=all_of(of_stream, "base"),
            columns=["moment_id", "rung"],
        )
        plan.gone = {row["moment_id"]: row["rung"] for row in there}
        for name, table in self._tables.by_kind().items():
            where = f"name = {quoted(stream)}" if name == "streams" else of_stream
            counts[name] = change.delete_rows(table, row_ids(latest_view(table), where))
        return counts

    def _descriptions_of(self, moment_ids: Iterable[str]) -> set[str]:
        """The rows of what was said of these moments later than they were written."""
        where = all_of(one_of("moment_id", moment_ids), "NOT base")
        return {
            row["id"] for row in select(latest_view(self._tables.observations), where=where, columns=["id"])
        }

    def _pins_outside(self, stream: str, spans: Sequence[Span]) -> list[Pin]:
        """What is left of the pins that share time with these."""
        touched = [
            pin
            for pin in pins_from(select(latest_view(self._tables.pins), where=f"stream = {quoted(stream)}"))
            if any(pin.span.overlaps(span) for span in spans)
        ]
        return [
            replace(
                pin,
                id=make_id(stream, "pin", round(part.start_s * 1000), round(part.end_s * 1000)),
                span=part,
            )
            for pin in touched
            for part in spans_without([pin.span], spans)
        ]


class _Planning:
    """Works out what is to be erased of one snapshot."""

    def __init__(self, snapshot: Snapshot, stream: str, asked: Span, waiting: Set[str]) -> None:
        self._snapshot, self._stream, self._asked, self._waiting = snapshot, stream, asked, waiting
        self._tombstones = {one.id: one for one in snapshot.tombstones(stream)}
        self._plan = _Plan()

    def plan(self) -> _Plan:
        """Do it."""
        plan = self._plan
        moments = [one for one in self._outlines(self._asked) if one.rung == "moment"]
        moments += self._reaching_back({one.id for one in moments})
        pieces = _pieces([*moments, *self._beyond_telling_apart(moments)])
        plan.spans = sorted(span for spans in pieces.values() for span in spans)
        around = {one.id: one for span in plan.spans for one in self._outlines(span)}
        above = {key: one for key, one in around.items() if one.rung != "moment"}
        plan.gone = {one.id: one.rung for one in (*moments, *above.values())}
        self._make_parents_anew(above)
        self._put_tombstones(pieces, moments, above)
        self._have_told_anew(above)
        return plan

    def _outlines(self, span: Span) -> list[Outline]:
        return self._snapshot.outlines(self._stream, span)

    def _reaching_back(self, known: Set[str]) -> list[Outline]:
        """Moments after it in which something is told of it: how long somebody had been there, say."""
        after = Span(self._asked.end_s, self._asked.end_s + _REACH_BACK_S)
        told = {
            moment.id
            for moment in self._snapshot.timeline(self._stream, after, limit=_MANY)
            if any(finding.span.overlaps(self._asked) for finding in moment.findings)
        }
        return [one for one in self._outlines(after) if one.id in told - known]

    def _beyond_telling_apart(self, moments: Sequence[Outline]) -> list[Outline]:
        """Memories of which nothing is left but what they say themselves, and that say something of it."""
        spans = [self._asked, *(one.span for one in moments)]
        found: dict[str, Outline] = {}
        while True:
            more = [
                one
                for span in spans
                for one in self._outlines(span)
                if one.id not in found
                and one.id in self._tombstones
                and self._tombstones[one.id].lost != "frame"
            ]
            if not more:
                return list(found.values())
            found |= {one.id: one for one in more}
            spans = [one.span for one in more]

    def _make_parents_anew(self, above: Mapping[str, Outline]) -> None:
        """Events of the moments that are left, hours of the events that are left or new, days likewise."""
        old = self._snapshot.get(above)
        for below, rung in pairwise(RUNGS):
            for parent in (one for one in old.values() if one.rung == rung):
                left = [one for one in self._snapshot.children(parent) if one.id not in self._plan.gone]
                new = [
                    one
                    for one in self._plan.parents
                    if one.rung == below and parent.span.contains(one.span.start_s)
                ]
                children = sorted([*left, *new], key=lambda child: child.span)
                signatures = self._snapshot.signatures(key for one in children for key in one.frame_ids)
                # A picture that is gone already is not to be shown by what is made of it now.
                shown = [
                    replace(one, frame_ids=tuple(key for key in one.frame_ids if key in signatures))
                    for one in children
                ]
                made = rebuild_parents(self._stream, rung, shown, signatures)
                self._plan.parents += [replace(one, sameness=parent.sameness) for one in made]
                if parent.id in self._tombstones:
                    # It had lost the pictures below, so what takes its place has.
                    lost = replace(
                        self._tombstones[parent.id], lost="frame", memories=0, counts=FrameCounts()
                    )
                    self._plan.tombstones += [replace(lost, id=one.id, span=one.span) for one in made]

    def _put_tombstones(
        self, pieces: Mapping[int, Sequence[Span]], moments: Sequence[Outline], above: Mapping[str, Outline]
    ) -> None:
        """One for each stretch, which counts what the moments and the tombstones in it counted."""
        plan = self._plan
        left = {key: one for key, one in self._tombstones.items() if key in above}
        plan.replaced = set(left)
        for epoch, spans in pieces.items():
            for span in spans:
                inside = [one for one in moments if one.epoch == epoch and span.contains(one.span.start_s)]
                # What a parent that is only touched had counted must be counted once, and by somebody.
                before = [left.pop(key) for key, one in list(left.items()) if one.span.overlaps(span)]
                pictures = self._snapshot.count_frames(self._stream, span)
                plan.tombstones.append(
                    Tombstone(
                        id=make_id(self._stream, epoch, "erased", round(span.start_s * 1000)),
                        stream=self._stream,
                        epoch=epoch,
                        span=span,
                        lost="day",
                        cause="asked",
                        forgotten_at_s=time.time(),
                        written_from_s=min(
                            [one.written_at_s for one in inside] + [one.written_from_s for one in before]
                        ),
                        memories=len(inside) + sum(one.memories for one in before),
                        counts=total_counts(
                            [one.counts for one in inside]
                            + [one.counts for one in before]
                            + [FrameCounts(stored=-pictures, merged=pictures)]
                        ),
                    )
                )

    def _have_told_anew(self, above: Mapping[str, Outline]) -> None:
        """What a model said of what is left, it said of all that was there; it has to look again."""
        plan = self._plan
        told = {one.rung for one in above.values() if one.described or one.id in self._waiting}
        again: list[Outline | Moment] = [one for one in plan.parents if one.rung in told]
        for span in plan.spans:
            after = Span(span.end_s, span.end_s + _BEFORE_S)
            next_ = [
                one
                for one in self._outlines(after)
                if one.rung == "moment" and one.span.start_s >= span.end_s
            ]
            again += [one for one in next_[:1] if one.described and one.id not in plan.gone]
            plan.told_anew |= {one.id for one in next_[:1] if one.described}
        now_s = time.time()
        plan.waiting = [Pending(one.id, self._stream, one.rung, one.span, 0.5, now_s) for one in again]


def _pieces(outlines: Iterable[Outline]) -> dict[int, list[Span]]:
    """The stretches that these fill, by epoch."""
    of_epoch: dict[int, list[Span]] = {}
    for one in outlines:
        of_epoch.setdefault(one.epoch, []).append(one.span)
    return {epoch: merged_spans(spans) for epoch, spans in sorted(of_epoch.items())}


def _where(column: str, spans: Sequence[Span]) -> str:
    return (
        " OR ".join(f"({column} >= {one.start_s!r} AND {column} < {one.end_s!r})" for one in spans) or "false"
    )
