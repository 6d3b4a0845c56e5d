"""Eviction policy: chooses what a memory loses first when its disk budget is full.

    candidates = EvictionCandidates.of(views)
    for unit in candidates.lowest_value(need_bytes=50_000_000): ...

An ``EvictionUnit`` is what one eviction removes: below one parent, either the pictures that the parent does not show
or the memories that it was built from. Pictures are evicted before text, and children before their parent. Pinned
memories and memories that still wait for a parent are never evicted. A parent itself is evicted last, when it has no
parent and will get none.

The order weighs the loss of detail against the freed bytes. It follows the continuous-time consolidation of infinity-Video
(Santos et al., 2025), which samples long-term memory again with a density that follows past attention, so that
attended memories are "sticky". Here each unit has a lifetime drawn from an exponential distribution. The draw is
always the same for the same unit. Its mean grows with use and with dissimilarity to the neighbours, and falls with
the bytes that a second of its kind takes. The unit that has outlived its lifetime by the largest factor goes first.
So old memories are thinned instead of cut off, and used memories stay long.

This module knows numbers and spans alone. ``eviction`` deletes the chosen units.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..ladder.representative_frames import MAX_FRAMES
from ..storage.rows import pins_from, streams_from, tombstones_from
from ..storage.schema import Row
from ..storage.tables import Tables, batches, select, select_arrow
from ..values import RUNGS, ForgottenLevel, Pin, Rung, Span
from .stream_axis import Floats, Indexes, StreamAxis, containing_index, to_floats

Loss = Literal["frame", "children", "self"]
_LOSSES: tuple[Loss, ...] = get_args(Loss)
_ABOVE_MOMENTS = RUNGS[1:]
_WORTH: dict[tuple[Rung, Loss], float] = {
    ("event", "frame"): 1.0,
    ("event", "children"): 1.0,
    ("event", "self"): 0.25,
    ("hour", "frame"): 0.5,
    ("hour", "children"): 0.5,
    ("hour", "self"): 0.25,
    ("day", "frame"): 0.25,
    ("day", "children"): 0.25,
    ("day", "self"): 0.125,
}
"""Value of a second of the lost detail, relative to a second of moments. Summaries have less detail. They still stay
longer, because they take fewer bytes."""
_USE_HALF_LIFE_S = 30 * 86_400.0
_USE_WEIGHTS = {"cited": 1.0, "alerted": 1.0, "looked": 0.5, "asked": 0.25}
_STICKINESS = 4.0
"""A unit that was used once, just now, lives this many times longer in addition."""
_MIN_LIFE, _MAX_LIFE = 0.1, 4.0
"""Bounds of the drawn lifetimes, whose mean is about 1."""
_MIN_SAMENESS = 0.25
"""A unit that differs from all around it lives four times as long as one that is the same."""
_STRETCHES = 32
"""The memory is divided by writing time into this many stretches of equal size, which decide what goes together."""
_PARENT_COLUMNS = (
    *("moment_id", "stream", "epoch", "rung", "start_s", "end_s"),
    *("written_at_s", "sameness", "bytes", "base"),
)
_MOMENT_COLUMNS = ("stream", "epoch", "start_s", "bytes", "written_at_s")


@dataclass(frozen=True, slots=True)
class EvictionUnit:
    """What one eviction removes."""

    parent_id: str
    """The memory that represents the lost detail afterwards. For the loss ``self``, the memory that is lost."""
    stream: str
    epoch: int
    rung: Rung
    """The rung of the parent."""
    span: Span
    loss: Loss
    """``frame``: pictures that the parent does not show. ``children``: the memories it was built from. ``self``: itself
    with all pictures below it."""
    written_at_s: float
    """Unix seconds when the parent was written. Shows roughly where its rows are in the tables."""
    bytes: int
    """Uncompressed size of the rows."""
    priority: float
    """The unit with the highest priority is evicted first."""

    @property
    def lost(self) -> ForgottenLevel:
        """The level that the tombstone records."""
        if self.loss == "frame":
            return "frame"
        return self.rung if self.loss == "self" else RUNGS[RUNGS.index(self.rung) - 1]


class _Parents:
    """The memories of one rung above the moments, of all streams, as columns sorted by stream and time."""

    def __init__(
        self,
        rows: pa.Table,
        axis: StreamAxis,
        size_of: Mapping[str, int],
        lost_of: Mapping[str, ForgottenLevel],
    ) -> None:
        """``rows`` are the sorted base rows. ``size_of`` and ``lost_of`` are sizes and tombstones by memory id."""
        self.ids: list[str] = rows["moment_id"].to_pylist()
        self.streams: list[str] = rows["stream"].to_pylist()
        self.epochs = to_floats(rows["epoch"])
        self.starts_s, self.ends_s = to_floats(rows["start_s"]), to_floats(rows["end_s"])
        self.starts, self.ends = axis.positions(rows, "start_s"), axis.positions(rows, "end_s")
        self.written_s = to_floats(rows["written_at_s"])
        self.sameness = to_floats(rows["sameness"])
        self.bytes = np.array([size_of[memory_id] for memory_id in self.ids], np.float64)
        """Uncompressed size of their own rows, with later observations."""
        levels = [lost_of.get(memory_id) for memory_id in self.ids]
        self.lost_anything = np.array([level is not None for level in levels], bool)
        self.lost_children = np.array([level not in (None, "frame") for level in levels], bool)
        self.parent_index: Indexes = np.full(len(self.ids), -1, np.int64)
        """The index of each one's parent on the rung above, or -1."""
        self.is_final = np.zeros(len(self.ids), bool)
        """Whether the epoch has ended, so that no new parent will be built above it."""
        self.pinned = np.zeros(len(self.ids), bool)
        self.uses = np.zeros(len(self.ids))
        self.child_bytes, self.frame_bytes, self.frame_count = (np.zeros(len(self.ids)) for _ in range(3))
        """Sizes of the memories on the rung below, and sizes and numbers of the pictures in the span."""

    def __len__(self) -> int:
        return len(self.ids)

    def containing(self, positions: Floats) -> Indexes:
        """For each position, the index of the memory that contains it, or -1."""
        return containing_index(self.starts, self.ends, positions)

    def add_children(self, indexes: Indexes, sizes: Floats) -> None:
        """Add the sizes of memories on the rung below. ``indexes`` are those of their parents, or -1."""
        self.child_bytes += np.bincount(
            indexes[indexes >= 0], weights=sizes[indexes >= 0], minlength=len(self)
        )

    def add_frames(self, indexes: Indexes, sizes: Floats) -> None:
        """Add the sizes of pictures, likewise."""
        self.frame_bytes += np.bincount(
            indexes[indexes >= 0], weights=sizes[indexes >= 0], minlength=len(self)
        )
        self.frame_count += np.bincount(indexes[indexes >= 0], minlength=len(self))

    def mark_pinned(self, pins: Sequence[Pin], axis: StreamAxis) -> None:
        """Mark the memories that overlap a pin."""
        for pin in pins:
            start, end = axis.interval(pin.stream, pin.span)
            self.pinned |= (self.starts < end) & (self.ends > start)

    def add_uses(self, uses: Sequence[Row], axis: StreamAxis, now_s: float) -> None:
        """Add the weights of uses. A use is divided among the memories that it overlaps."""
        for use in uses:
            start, end = axis.interval(use["stream"], Span(use["start_s"], use["end_s"]))
            first = int(np.searchsorted(self.ends, start, side="right"))
            stop = int(np.searchsorted(self.starts, end, side="left"))
            if stop > first:
                self.uses[first:stop] += weight_of_use(use["how"], now_s - use["at_s"]) / (stop - first)


class _CandidateReader:
    """Reads from views what the policy needs: a few numbers for each event, hour and day."""

    def __init__(self, views: Tables, vector_bytes: float) -> None:
        self._views = views
        self._vector_bytes = vector_bytes
        self._axis = StreamAxis()
        self._done = {stream.name: stream.state == "done" for stream in streams_from(select(views.streams))}
        self._latest_epoch: dict[str, int] = dict.fromkeys(self._done, 0)
        self._now_s = 0.0
        self._stream_bytes: Counter[str] = Counter()
        self._parents: dict[Rung, _Parents] = {}

    def read(self) -> EvictionCandidates:
        """Read all tables. Moments and pictures are many rows, so they are read in batches and kept as sums."""
        self._read_parents()
        self._read_moments()
        self._read_frames()
        pins, uses = pins_from(select(self._views.pins)), select(self._views.uses)
        for parents in self._parents.values():
            parents.mark_pinned(pins, self._axis)
            parents.add_uses(uses, self._axis, self._now_s)
            parents.is_final = np.array(
                [
                    self._done.get(stream, False) or epoch < self._latest_epoch.get(stream, 0)
                    for stream, epoch in zip(parents.streams, parents.epochs, strict=True)
                ],
                bool,
            )
        return EvictionCandidates(self._parents, self._now_s, self._stream_bytes)

    def _read_parents(self) -> None:
        observed = select_arrow(self._views.observations, where="rung != 'moment'", columns=_PARENT_COLUMNS)
        lost_of = {
            tombstone.id: tombstone.lost for tombstone in tombstones_from(select(self._views.tombstones))
        }
        for rung in _ABOVE_MOMENTS:
            self._parents[rung] = self._parents_of(observed, rung, lost_of)
        for below, above in pairwise(_ABOVE_MOMENTS):
            children, parents = self._parents[below], self._parents[above]
            children.parent_index = parents.containing(children.starts)
            parents.add_children(children.parent_index, children.bytes + self._vector_bytes)
        for parents in self._parents.values():
            self._now_s = max(self._now_s, float(parents.written_s.max(initial=0.0)))
            for name, size_bytes in zip(parents.streams, parents.bytes, strict=True):
                self._stream_bytes[name] += size_bytes + self._vector_bytes

    def _parents_of(self, observed: pa.Table, rung: Rung, lost_of: Mapping[str, ForgottenLevel]) -> _Parents:
        rows = observed.filter(pc.equal(observed["rung"], rung))
        size_of: Counter[str] = Counter()
        for memory_id, size_bytes in zip(
            rows["moment_id"].to_pylist(), rows["bytes"].to_pylist(), strict=True
        ):
            size_of[memory_id] += size_bytes
        base = rows.filter(rows["base"])
        order = np.argsort(self._axis.positions(base, "start_s"))
        return _Parents(base.take(pa.array(order)), self._axis, size_of, lost_of)

    def _read_moments(self) -> None:
        events = self._parents["event"]
        for batch in batches(self._views.observations, _MOMENT_COLUMNS, where="rung = 'moment'"):
            sizes = to_floats(batch["bytes"]) + self._vector_bytes
            events.add_children(events.containing(self._axis.positions(batch, "start_s")), sizes)
            self._now_s = max(self._now_s, float(to_floats(batch["written_at_s"]).max()))
            epochs = batch.group_by("stream").aggregate([("epoch", "max")])
            for name, epoch in zip(
                epochs["stream"].to_pylist(), epochs["epoch_max"].to_pylist(), strict=True
            ):
                self._latest_epoch[name] = max(epoch, self._latest_epoch.get(name, 0))
            add_sums(self._stream_bytes, batch["stream"], sizes)

    def _read_frames(self) -> None:
        for batch in batches(self._views.frames, ["stream", "time_s", "bytes"]):
            positions, sizes = self._axis.positions(batch, "time_s"), to_floats(batch["bytes"])
            for parents in self._parents.values():
                parents.add_frames(parents.containing(positions), sizes)
            add_sums(self._stream_bytes, batch["stream"], sizes)


@dataclass(frozen=True, slots=True)
class _Stretches:
    """The stretches of writing time of one kind of rows."""

    ends_s: Floats
    """Unix seconds at which each stretch ends. Shape ``(_STRETCHES,)``."""
    size_bytes: float
    """The size of each stretch."""

    def index(self, written_at_s: float) -> int:
        """The stretch that contains this time."""
        return min(int(np.searchsorted(self.ends_s, written_at_s)), _STRETCHES - 1)


class EvictionCandidates:
    """The events, hours and days of a memory, with the numbers that the policy needs."""

    def __init__(
        self, parents: Mapping[Rung, _Parents], now_s: float, stream_bytes: Mapping[str, float]
    ) -> None:
        self._parents = parents
        self._now_s = now_s
        self.stream_bytes = stream_bytes
        """Uncompressed size of all rows, by stream."""

    @property
    def payload_bytes(self) -> float:
        """Uncompressed size of all rows."""
        return sum(self.stream_bytes.values())

    @classmethod
    def of(cls, views: Tables, *, vector_bytes: float = 0.0) -> EvictionCandidates:
        """Read the candidates. ``vector_bytes`` is the size of the vectors of an observation."""
        return _CandidateReader(views, vector_bytes).read()

    def lowest_value(self, need_bytes: float, streams: Iterable[str] | None = None) -> list[EvictionUnit]:
        """The units to evict to free ``need_bytes``, lowest value first. Fewer if that is all.

        ``streams`` limits the choice to these streams. The units can be evicted in any order.

        Rows that were written together share a file, and evicting some of them rewrites the file. To write no
        more than is freed, half of a stretch of writing time is evicted at once, and the stretch then stays
        whole until its other half is due. A stretch has the priority at which half of it is due.
        """
        names = None if streams is None else set(streams)
        stretches = {kind: self._stretches(kind, names) for kind in ("frame", "memory")}
        grouped: dict[tuple[str, int], list[EvictionUnit]] = {}
        for unit in self.units():
            if names is None or unit.stream in names:
                kind = "frame" if unit.loss == "frame" else "memory"
                grouped.setdefault((kind, stretches[kind].index(unit.written_at_s)), []).append(unit)
        halves = [_half(units, stretches[kind].size_bytes / 2) for (kind, _), units in grouped.items()]
        chosen: list[EvictionUnit] = []
        for _, units in sorted(halves, key=lambda half: (-half[0], half[1][0].parent_id)):
            if need_bytes <= 0:
                break
            chosen += units
            need_bytes -= sum(unit.bytes for unit in units)
        return chosen

    def _stretches(self, kind: str, streams: Set[str] | None) -> _Stretches:
        """Divide the pictures (``frame``) or the observations (``memory``) into stretches of equal size."""
        written: list[Floats] = []
        sizes: list[Floats] = []
        for rung, parents in self._parents.items():
            selected = np.array([streams is None or name in streams for name in parents.streams], bool)
            own = parents.bytes if kind == "memory" else np.zeros(len(parents))
            if rung == "event":
                own = own + (parents.child_bytes if kind == "memory" else parents.frame_bytes)
            written.append(parents.written_s[selected])
            sizes.append(own[selected])
        times, own_bytes = np.concatenate(written), np.concatenate(sizes)
        order = np.argsort(times, kind="stable")
        total = np.cumsum(own_bytes[order])
        ends = np.linspace(0.0, total[-1] if len(total) else 0.0, _STRETCHES + 1)[1:]
        indexes = np.minimum(np.searchsorted(total, ends), max(0, len(total) - 1))
        ends_s = times[order][indexes] if len(total) else np.zeros(_STRETCHES)
        return _Stretches(ends_s, float(ends[0]))

    def units(self) -> Iterator[EvictionUnit]:
        """Everything that can be evicted now, in no order."""
        for rung in _ABOVE_MOMENTS:
            for loss in _LOSSES:
                indexes, sizes = self._eligible(rung, loss)
                if len(indexes):
                    yield from self._weighted_units(rung, loss, indexes, sizes)

    def _weighted_units(
        self, rung: Rung, loss: Loss, indexes: Indexes, sizes: Floats
    ) -> Iterator[EvictionUnit]:
        parents = self._parents[rung]
        durations_s = np.maximum(1.0, parents.ends_s[indexes] - parents.starts_s[indexes])
        density = float(sizes.sum() / durations_s.sum())
        sameness = _MIN_SAMENESS + (1 - _MIN_SAMENESS) * parents.sameness[indexes]
        lives = np.array([_drawn_life(parents.ids[index], loss) for index in indexes])
        ages_s = np.maximum(1.0, self._now_s - parents.written_s[indexes])
        sticky = 1 + _STICKINESS * parents.uses[indexes]
        priorities = ages_s * density * sameness / (_WORTH[rung, loss] * lives * sticky)
        for index, size_bytes, priority in zip(indexes, sizes, priorities, strict=True):
            yield EvictionUnit(
                parent_id=parents.ids[index],
                stream=parents.streams[index],
                epoch=int(parents.epochs[index]),
                rung=rung,
                span=Span(float(parents.starts_s[index]), float(parents.ends_s[index])),
                loss=loss,
                written_at_s=float(parents.written_s[index]),
                bytes=int(size_bytes),
                priority=float(priority),
            )

    def _eligible(self, rung: Rung, loss: Loss) -> tuple[Indexes, Floats]:
        """The indexes of the parents of a rung that can have this loss now, and the bytes that it frees."""
        parents = self._parents[rung]
        if loss == "frame":
            eligible = self._has_extra_frames(rung) & self._children_have_lost(rung, "frame")
            shown_bytes = MAX_FRAMES * parents.frame_bytes / np.maximum(1.0, parents.frame_count)
            sizes = np.maximum(0.0, parents.frame_bytes - shown_bytes)
        elif loss == "children":
            eligible = (
                ~parents.lost_children
                & ~self._has_extra_frames(rung)
                & self._children_have_lost(rung, "children")
            )
            sizes = parents.child_bytes
        else:
            eligible = (
                parents.lost_children & (parents.parent_index < 0) & (parents.is_final | (rung == "day"))
            )
            sizes = parents.bytes + parents.frame_bytes
        indexes = np.flatnonzero(eligible & ~parents.pinned)
        return indexes, sizes[indexes]

    def _has_extra_frames(self, rung: Rung) -> NDArray[np.bool_]:
        """Whether each parent still has pictures that it does not show."""
        parents = self._parents[rung]
        return ~parents.lost_anything & (parents.frame_count > MAX_FRAMES)

    def _children_have_lost(self, rung: Rung, loss: Loss) -> NDArray[np.bool_]:
        """Whether all children of each parent have had this loss already."""
        have_lost = np.ones(len(self._parents[rung]), bool)
        if rung != "event":
            below: Rung = RUNGS[RUNGS.index(rung) - 1]
            parent_index = self._parents[below].parent_index
            remaining = (
                self._has_extra_frames(below) if loss == "frame" else ~self._parents[below].lost_children
            )
            have_lost[parent_index[(parent_index >= 0) & remaining]] = False
        return have_lost


def _half(units: list[EvictionUnit], half_bytes: float) -> tuple[float, list[EvictionUnit]]:
    """The units of one stretch that are due first, about ``half_bytes`` of them, and their common priority."""
    units = sorted(units, key=lambda unit: (-unit.priority, unit.parent_id))
    half_bytes = max(1.0, half_bytes)
    sizes = np.cumsum([unit.bytes for unit in units])
    count = min(len(units), int(np.searchsorted(sizes, half_bytes)) + 1)
    # If the rest of the stretch cannot be evicted, rewriting it costs more for each byte.
    return float(units[count - 1].priority * min(1.0, sizes[count - 1] / half_bytes)), units[:count]


def add_sums(totals: Counter[str], names: pa.ChunkedArray, sizes: Floats | pa.ChunkedArray) -> None:
    """Add the sizes of rows to the totals of their names."""
    sums = pa.table({"name": names, "size": sizes}).group_by("name").aggregate([("size", "sum")])
    for name, size_bytes in zip(sums["name"].to_pylist(), sums["size_sum"].to_pylist(), strict=True):
        totals[name] += size_bytes


def weight_of_use(how: str, age_s: float) -> float:
    """The weight of a use that is ``age_s`` seconds old. A new citation has weight 1. Weights halve every 30 days."""
    return _USE_WEIGHTS.get(how, 0.0) * float(0.5 ** (max(0.0, age_s) / _USE_HALF_LIFE_S))


def _drawn_life(parent_id: str, loss: str) -> float:
    """The lifetime of a unit, of mean 1. It is always the same for the same unit."""
    digest = hashlib.blake2b(f"{parent_id} {loss}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "little") + 1) / (2**64 + 1)
    return min(_MAX_LIFE, max(_MIN_LIFE, -math.log(uniform)))
