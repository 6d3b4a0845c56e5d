"""Eviction: deletes what the eviction policy chose, and leaves tombstones.

    with maintenance_lock(folder):
        evict(views, tables, commits, units)

After an eviction, a parent represents the lost detail. Its tombstone has the parent's id. The tombstone records what
was lost, when and why, and counts the frames that the evicted memories accounted for. An eviction is one commit: a
reader sees either the memories or the tombstone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..storage.commits import Commits, Transaction
from ..storage.rows import tombstone_row, tombstones_from
from ..storage.tables import Tables, View, batches, latest_view, one_of, row_ids_with, select, select_arrow
from ..values import RUNGS, ForgottenLevel, FrameCounts, Rung, Tombstone, make_id
from .eviction_policy import EvictionUnit
from .stream_axis import Indexes, StreamAxis, containing_index

_LEVELS = get_args(ForgottenLevel)
_COUNTED = ("captured", "stored", "sampled_out", "merged")
_MEMORY_COLUMNS = ("moment_id", "stream", "start_s", "written_at_s", "dropped", *_COUNTED)
_FRAME_COLUMNS = ("id", "stream", "time_s")


def evict(
    views: Tables, tables: Tables, commits: Commits, units: Sequence[EvictionUnit], *, cause: str = "budget"
) -> int:
    """Evict these units. Returns how many memories and pictures were deleted.

    ``views`` is the state from which the units were chosen. The caller holds the maintenance lock,
    so that no other thread or process deletes or rewrites rows.
    """
    losses = _collect_losses(views, units)
    tombstones = _Tombstones(views, cause)
    for loss in losses:
        tombstones.add(loss)
    memory_ids = {memory_id for loss in losses for memory_id in loss.memory_ids}
    with commits.commit() as change:
        tombstones.write(change, tables)
        change.delete_rows(tables.frames, [row_id for loss in losses for row_id in loss.frame_row_ids])
        # Looked up now, because descriptions may have been added since the units were chosen.
        for table in (tables.observations, tables.text_vectors, tables.frame_vectors, tables.backlog):
            if table is not None:
                change.delete_rows(table, row_ids_with(latest_view(table), "moment_id", memory_ids))
    return len(memory_ids) + sum(len(loss.frame_row_ids) for loss in losses)


@dataclass(slots=True)
class _UnitLoss:
    """The rows that one unit loses."""

    unit: EvictionUnit
    memory_ids: set[str] = field(default_factory=set)
    frame_row_ids: list[int] = field(default_factory=list)
    counts: FrameCounts = field(default_factory=FrameCounts)
    written_from_s: float | None = None

    def add_memories(self, rows: pa.Table) -> None:
        """Add rows of memories that are deleted."""
        self.memory_ids |= set(rows["moment_id"].to_pylist())
        written_s = float(pc.min(rows["written_at_s"]).as_py())
        self.written_from_s = (
            written_s if self.written_from_s is None else min(written_s, self.written_from_s)
        )
        captured, stored, sampled_out, merged = (int(pc.sum(rows[name]).as_py()) for name in _COUNTED)
        self.counts += FrameCounts(captured, stored, sampled_out, merged)
        for causes in rows.filter(pc.not_equal(rows["dropped"], ""))["dropped"].to_pylist():
            self.counts += FrameCounts(dropped=json.loads(causes))

    def add_frames(self, row_ids: Sequence[int]) -> None:
        """Add pictures that are deleted. They are counted as merged from now on."""
        self.frame_row_ids += row_ids
        self.counts += FrameCounts(stored=-len(row_ids), merged=len(row_ids))


def _collect_losses(views: Tables, units: Sequence[EvictionUnit]) -> list[_UnitLoss]:
    losses = [_UnitLoss(unit) for unit in units]
    axis = StreamAxis()
    for rung in RUNGS:
        losing = [loss for loss in losses if _lost_rung(loss.unit) == rung]
        where = f"rung = '{rung}'"
        for loss, rows in _rows_by_span(axis, losing, views.observations, _MEMORY_COLUMNS, where):
            loss.add_memories(rows)
    shown = _shown_frames(views, [loss for loss in losses if loss.unit.loss == "frame"])
    # An event and its hour contain the same pictures, so each rung is searched separately.
    for rung in RUNGS[1:]:
        losing = [loss for loss in losses if loss.unit.rung == rung and loss.unit.loss != "children"]
        for loss, rows in _rows_by_span(axis, losing, views.frames, _FRAME_COLUMNS):
            keep = pc.is_in(rows["id"], pa.array(shown.get(loss.unit.parent_id, []), pa.string()))
            loss.add_frames(rows.filter(pc.invert(keep))["_rowid"].to_pylist())
    return losses


def _lost_rung(unit: EvictionUnit) -> Rung | None:
    """The rung of the memories that are deleted. None if only pictures are."""
    if unit.loss == "frame":
        return None
    return unit.rung if unit.loss == "self" else RUNGS[RUNGS.index(unit.rung) - 1]


def _rows_by_span(
    axis: StreamAxis,
    losses: Sequence[_UnitLoss],
    view: View,
    columns: Sequence[str],
    where: str | None = None,
) -> Iterable[tuple[_UnitLoss, pa.Table]]:
    """Each unit with the rows that begin in its span, in batches. The spans do not overlap."""
    if not losses:
        return
    time = "start_s" if "start_s" in columns else "time_s"
    places = sorted(
        (*axis.interval(loss.unit.stream, loss.unit.span), number) for number, loss in enumerate(losses)
    )
    starts, ends = (np.array(side) for side in zip(*[place[:2] for place in places], strict=True))
    for batch in batches(view, columns, where, with_row_id=True):
        indexes = containing_index(starts, ends, axis.positions(batch, time))
        for index, rows in _split(batch, indexes):
            yield losses[places[index][2]], rows


def _split(batch: pa.Table, indexes: Indexes) -> Iterable[tuple[int, pa.Table]]:
    """The rows of each index, without those of index -1."""
    inside, inside_indexes = batch.filter(pa.array(indexes >= 0)), indexes[indexes >= 0]
    order = np.argsort(inside_indexes, kind="stable")
    inside, inside_indexes = inside.take(pa.array(order)), inside_indexes[order]
    for index in np.unique(inside_indexes):
        first, stop = np.searchsorted(inside_indexes, [index, index + 1])
        yield int(index), inside.slice(int(first), int(stop - first))


def _shown_frames(views: Tables, losses: Sequence[_UnitLoss]) -> Mapping[str, list[str]]:
    """The ids of the pictures that each parent shows, by the parent's id."""
    if not losses:
        return {}
    parents = select_arrow(
        views.observations, where="rung != 'moment' AND base", columns=["moment_id", "frame_ids"]
    )
    parent_ids = pa.array([loss.unit.parent_id for loss in losses], pa.string())
    rows = parents.filter(pc.is_in(parents["moment_id"], parent_ids))
    return dict(zip(rows["moment_id"].to_pylist(), rows["frame_ids"].to_pylist(), strict=True))


class _Tombstones:
    """The stored tombstones, and how an eviction changes them."""

    def __init__(self, views: Tables, cause: str) -> None:
        self._cause = cause
        self._now_s = time.time()
        self._stored = {tombstone.id: tombstone for tombstone in tombstones_from(select(views.tombstones))}
        self._roots = {key: root for key, root in self._stored.items() if key == _root_id(root)}
        """Tombstones of spans that no memory represents."""
        self._new: dict[str, Tombstone] = {}
        self._replaced: set[str] = set()

    def add(self, loss: _UnitLoss) -> None:
        """Add the tombstone of a unit. It includes the tombstones of the memories that the unit loses."""
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
            memories=len(loss.memory_ids),
            counts=loss.counts,
        )
        for memory_id in sorted(loss.memory_ids & self._stored.keys()):
            tombstone = _added_up(tombstone, self._stored[memory_id])
            self._replaced.add(memory_id)
        if unit.loss == "self":
            self._add_root(tombstone)
        else:
            earlier = self._stored.get(tombstone.id)
            self._new[tombstone.id] = tombstone if earlier is None else _added_up(tombstone, earlier)

    def write(self, change: Transaction, tables: Tables) -> None:
        """Write the new tombstones and delete those that they replace."""
        change.upsert(tables.tombstones, "id", [tombstone_row(tombstone) for tombstone in self._new.values()])
        if expired := self._replaced & self._stored.keys() - self._new.keys():
            change.delete(tables.tombstones, one_of("id", expired))

    def _add_root(self, root: Tombstone) -> None:
        """Add the tombstone of a span that no memory represents. It absorbs adjacent roots of the same kind."""
        for neighbour in list(self._roots.values()):
            if _is_adjacent(root, neighbour):
                del self._roots[neighbour.id]
                self._new.pop(neighbour.id, None)
                self._replaced.add(neighbour.id)
                level = max(root.lost, neighbour.lost, key=_LEVELS.index)
                root = replace(_added_up(root, neighbour), span=root.span.hull(neighbour.span), lost=level)
        root = replace(root, id=_root_id(root))
        self._roots[root.id] = self._new[root.id] = root


def _is_adjacent(root: Tombstone, neighbour: Tombstone) -> bool:
    same_kind = (neighbour.stream, neighbour.epoch, neighbour.cause) == (root.stream, root.epoch, root.cause)
    touches = neighbour.span.end_s == root.span.start_s or root.span.end_s == neighbour.span.start_s
    return same_kind and touches


def _added_up(tombstone: Tombstone, earlier: Tombstone) -> Tombstone:
    """The tombstone, plus the counts of an earlier one of the same or an adjacent span."""
    return replace(
        tombstone,
        memories=tombstone.memories + earlier.memories,
        counts=tombstone.counts + earlier.counts,
        written_from_s=min(tombstone.written_from_s, earlier.written_from_s),
    )


def _root_id(tombstone: Tombstone) -> str:
    return make_id(tombstone.stream, tombstone.epoch, "forgotten", round(tombstone.span.start_s * 1000))
