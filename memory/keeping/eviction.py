"""Forgets what is least worth keeping, and leaves a tombstone where it was.

    with maintenance_lock(folder):
        forget(views, tables, commits, units)

A parent stands for what is gone; its tombstone, which has its id, says what that was, when it went and why, and has
the frames that the forgotten memories accounted for. All of it is one commit: a reader sees the memories, or the
tombstone, and never neither. What goes first is decided in ``retention``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..storage.commits import Commits, Transaction
from ..storage.rows import tombstone_row, tombstones_from
from ..storage.tables import Tables, batches, latest_view, one_of, row_ids_with, select, select_arrow
from ..values import RUNGS, ForgottenLevel, FrameCounts, Rung, Tombstone, make_id
from .eviction_policy import EvictionUnit, StreamAxis, holding

_LOST = get_args(ForgottenLevel)
_COUNTED = ("captured", "stored", "sampled_out", "merged")
_ROWS = ("moment_id", "stream", "start_s", "written_at_s", "dropped", *_COUNTED)


def forget(
    views: Tables, tables: Tables, commits: Commits, units: Sequence[EvictionUnit], *, cause: str = "budget"
) -> int:
    """Forget these units; how many memories and pictures are gone.

    ``views`` is the state that they were chosen of; nobody else may delete or rewrite anything meanwhile.
    """
    losses = _losses(views, units)
    tombstones = _Tombstones(views, cause)
    for loss in losses:
        tombstones.put(loss)
    memories = {key for loss in losses for key in loss.moment_ids}
    with commits.commit() as change:
        tombstones.write(change, tables)
        change.delete_rows(tables.frames, [key for loss in losses for key in loss.frame_rows])
        # Looked for now: somebody may have described one of them since they were chosen.
        for table in (tables.observations, tables.text_vectors, tables.frame_vectors, tables.backlog):
            if table is not None:
                change.delete_rows(table, row_ids_with(latest_view(table), "moment_id", memories))
    return len(memories) + sum(len(loss.frame_rows) for loss in losses)


@dataclass(slots=True)
class _Loss:
    """What one unit loses."""

    unit: EvictionUnit
    moment_ids: set[str] = field(default_factory=set)
    frame_rows: list[int] = field(default_factory=list)
    counts: FrameCounts = field(default_factory=FrameCounts)
    written_from_s: float | None = None

    def add_rows(self, rows: pa.Table) -> None:
        """Rows of memories that go."""
        self.moment_ids |= set(rows["moment_id"].to_pylist())
        written_s = float(pc.min(rows["written_at_s"]).as_py())
        self.written_from_s = (
            written_s if self.written_from_s is None else min(written_s, self.written_from_s)
        )
        captured, stored, sampled_out, merged = (int(pc.sum(rows[name]).as_py()) for name in _COUNTED)
        self.counts += FrameCounts(captured, stored, sampled_out, merged)
        for causes in rows.filter(pc.not_equal(rows["dropped"], ""))["dropped"].to_pylist():
            self.counts += FrameCounts(dropped=json.loads(causes))

    def add_frames(self, row_ids: Sequence[int]) -> None:
        """Pictures that go. They were kept, and now are only remembered by what was observed in them."""
        self.frame_rows += row_ids
        self.counts += FrameCounts(stored=-len(row_ids), merged=len(row_ids))


def _losses(views: Tables, units: Sequence[EvictionUnit]) -> list[_Loss]:
    losses = [_Loss(unit) for unit in units]
    line = StreamAxis()
    for rung in RUNGS:
        going = [loss for loss in losses if _rung_that_goes(loss.unit) == rung]
        for loss, rows in _by_span(going, line, views.observations, _ROWS, "start_s", f"rung = '{rung}'"):
            loss.add_rows(rows)
    shown = _shown(views, [loss for loss in losses if loss.unit.loss == "frame"])
    # Pictures lie in an event and in its hour at once, so each rung is looked at by itself.
    for rung in RUNGS[1:]:
        going = [loss for loss in losses if loss.unit.rung == rung and loss.unit.loss != "children"]
        for loss, rows in _by_span(going, line, views.frames, ("id", "stream", "time_s"), "time_s"):
            keep = pc.is_in(rows["id"], pa.array(shown.get(loss.unit.parent_id, []), pa.string()))
            loss.add_frames(rows.filter(pc.invert(keep))["_rowid"].to_pylist())
    return losses


def _rung_that_goes(unit: EvictionUnit) -> Rung | None:
    """Of which rung the memories are that go."""
    if unit.loss == "frame":
        return None
    return unit.rung if unit.loss == "self" else RUNGS[RUNGS.index(unit.rung) - 1]


def _by_span(
    losses: Sequence[_Loss],
    line: StreamAxis,
    view: pa.Table,
    columns: Sequence[str],
    time: str,
    where: str | None = None,
) -> list[tuple[_Loss, pa.Table]]:
    """The rows that begin in the span of each of these; the spans do not overlap."""
    if not losses:
        return []
    places = sorted((*line.place(loss.unit.stream, loss.unit.span), at) for at, loss in enumerate(losses))
    starts, ends = (np.array(side) for side in zip(*[place[:2] for place in places], strict=True))
    found: list[tuple[_Loss, pa.Table]] = []
    for batch in batches(view, columns, where, with_row_id=True):
        at: NDArray[np.int64] = holding(starts, ends, line.keys(batch, time))
        inside = batch.filter(pa.array(at >= 0))
        of = at[at >= 0]
        order = np.argsort(of, kind="stable")
        inside, of = inside.take(pa.array(order)), of[order]
        for place in np.unique(of):
            first, last = np.searchsorted(of, [place, place + 1])
            found.append((losses[places[place][2]], inside.slice(int(first), int(last - first))))
    return found


def _shown(views: Tables, losses: Sequence[_Loss]) -> dict[str, list[str]]:
    """The pictures that each parent shows."""
    if not losses:
        return {}
    parents = select_arrow(
        views.observations, where="rung != 'moment' AND base", columns=["moment_id", "frame_ids"]
    )
    wanted = pa.array([loss.unit.parent_id for loss in losses], pa.string())
    kept = parents.filter(pc.is_in(parents["moment_id"], wanted))
    return dict(zip(kept["moment_id"].to_pylist(), kept["frame_ids"].to_pylist(), strict=True))


class _Tombstones:
    """Those there are, and what becomes of them."""

    def __init__(self, views: Tables, cause: str) -> None:
        self._cause = cause
        self._now_s = time.time()
        self._there = {one.id: one for one in tombstones_from(select(views.tombstones))}
        self._roots = {key: one for key, one in self._there.items() if key == _root_id(one)}
        self._new: dict[str, Tombstone] = {}
        self._replaced: set[str] = set()

    def put(self, loss: _Loss) -> None:
        """Put one down for what a unit loses; it says all that those below it said."""
        unit = loss.unit
        tombstone = Tombstone(
            id=unit.parent_id,
            stream=unit.stream,
            epoch=unit.epoch,
            span=unit.span,
            lost=unit.lost,
            cause=self._cause,
            forgotten_at_s=self._now_s,
            written_from_s=unit.written_at_s if loss.written_from_s is None else loss.written_from_s,
            memories=len(loss.moment_ids),
            counts=loss.counts,
        )
        for below in sorted(loss.moment_ids & self._there.keys()):
            tombstone = _both(tombstone, self._there[below])
            self._replaced.add(below)
        if unit.loss == "self":
            self._join(tombstone)
        else:
            earlier = self._there.get(tombstone.id)
            self._new[tombstone.id] = tombstone if earlier is None else _both(tombstone, earlier)

    def write(self, change: Transaction, tables: Tables) -> None:
        """Write them down."""
        change.upsert(tables.tombstones, "id", [tombstone_row(one) for one in self._new.values()])
        if gone := self._replaced & self._there.keys() - self._new.keys():
            change.delete(tables.tombstones, one_of("id", gone))

    def _join(self, root: Tombstone) -> None:
        """Nothing stands for it any more: it becomes part of the tombstones next to it, if there are any."""
        for other in list(self._roots.values()):
            alike = (other.stream, other.epoch, other.cause) == (root.stream, root.epoch, root.cause)
            if alike and (other.span.end_s == root.span.start_s or root.span.end_s == other.span.start_s):
                del self._roots[other.id]
                self._new.pop(other.id, None)
                self._replaced.add(other.id)
                lost = max(root.lost, other.lost, key=_LOST.index)
                root = replace(_both(root, other), span=root.span.hull(other.span), lost=lost)
        root = replace(root, id=_root_id(root))
        self._roots[root.id] = self._new[root.id] = root


def _both(tombstone: Tombstone, earlier: Tombstone) -> Tombstone:
    """What one says, with what an earlier one of the same or of the next span had counted."""
    return replace(
        tombstone,
        memories=tombstone.memories + earlier.memories,
        counts=tombstone.counts + earlier.counts,
        written_from_s=min(tombstone.written_from_s, earlier.written_from_s),
    )


def _root_id(tombstone: Tombstone) -> str:
    return make_id(tombstone.stream, tombstone.epoch, "forgotten", round(tombstone.span.start_s * 1000))
