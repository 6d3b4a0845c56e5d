"""What of a memory is forgotten first, when there is no room for all of it.

    shelf = Shelf.of(views, now_s=…)
    for unit in shelf.lowest_value(need_bytes=50_000_000): …

What can go in one go is a ``EvictionUnit``: under one parent, the pictures that the parent does not show, or the memories
that it was made of. Pictures go before words, children before their parent, and nothing goes that a pin holds or
that has no parent yet; at last, what has no parent and never will.

Which unit goes first is a matter of what is lost for each byte, after the continuous-time consolidation of
infinity-Video (Santos et al., 2025): there, long-term memory is sampled anew with a density that follows past
attention, so that what was attended to stays "sticky". Here each unit has a lifetime drawn from an exponential
distribution, always the same for the same unit, whose mean grows with how much it was used and how unlike its
neighbours it is, and falls with how many bytes a second of its kind takes. The unit that outlived its lifetime by
most goes first. So the old is thinned, rather than cut off, and what was used stays long.

Knows numbers and spans alone; ``forgetting`` does what is decided here.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..ladder.representative_frames import MAX_FRAMES
from ..storage.rows import pins_from, stream_from, tombstones_from
from ..storage.schema import Row
from ..storage.tables import Tables, batches, select, select_arrow
from ..values import RUNGS, ForgottenLevel, Pin, Rung, Span

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
"""What a second is worth of the detail that can go, against a second of moments. What was merged before tells
less; it is kept longer for all that, as it takes less."""
_USE_HALF_LIFE_S = 30 * 86_400.0
_USE_WEIGHTS = {"cited": 1.0, "alerted": 1.0, "looked": 0.5, "asked": 0.25}
_STICKINESS = 4.0
"""How many times longer what was used once, just now, stays than what never was, less one."""
_SHORTEST_LIFE, _LONGEST_LIFE = 0.1, 4.0
"""Lifetimes are drawn between these, of a mean of about 1."""
_LEAST_SAMENESS = 0.25
"""What is like nothing around it stays four times as long as what is all alike."""
_STRETCHES = 32
"""Into so many stretches of equal size what is remembered is cut, for deciding what goes together."""
_PARENT_COLUMNS = (
    *("moment_id", "stream", "epoch", "rung", "start_s", "end_s"),
    *("written_at_s", "sameness", "bytes", "base"),
)
_MOMENT_COLUMNS = ("stream", "epoch", "start_s", "bytes", "written_at_s")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EvictionUnit:
    """Something that can be forgotten in one go."""

    parent_id: str
    """The memory that stays for it; for ``self``, the one that goes."""
    stream: str
    epoch: int
    rung: Rung
    """The parent's."""
    span: Span
    loss: Loss
    """Pictures below the parent that it does not show, the memories it was made of, or itself and all of that."""
    written_at_s: float
    """Unix seconds when the parent was written: about where in its tables it is."""
    bytes: int
    """What the rows take, before they are compressed."""
    priority: float
    """The unit of the highest goes first."""

    @property
    def lost(self) -> ForgottenLevel:
        """What a tombstone says of it afterwards."""
        if self.loss == "frame":
            return "frame"
        return self.rung if self.loss == "self" else RUNGS[RUNGS.index(self.rung) - 1]


class StreamAxis:
    """All streams laid one after the other on one line, so that places on it can be compared."""

    _STREAM_S = 4e9
    """Room for each stream's times."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def start(self, stream: str) -> float:
        """Where a stream begins."""
        return self._STREAM_S * self._numbers.setdefault(stream, len(self._numbers))

    def keys(self, rows: pa.Table, column: str) -> Numbers:
        """The places of rows, by a column of times."""
        if not len(rows):
            return np.zeros(0)
        names = rows["stream"].combine_chunks().dictionary_encode()
        starts = np.array([self.start(name) for name in names.dictionary.to_pylist()])
        found: Numbers = starts[names.indices.to_numpy()] + _numbers(rows[column])
        return found

    def place(self, stream: str, span: Span) -> tuple[float, float]:
        """Where a stretch of a stream begins and ends."""
        start = self.start(stream)
        return start + span.start_s, start + min(span.end_s, self._STREAM_S - 1)


class _Parents:
    """The memories of one rung above the first, of all streams, in order of stream and time."""

    def __init__(
        self,
        rows: pa.Table,
        line: StreamAxis,
        bytes_of: Mapping[str, int],
        lost: Mapping[str, ForgottenLevel],
    ) -> None:
        """``rows`` are the base rows, in order."""
        self.ids: list[str] = rows["moment_id"].to_pylist()
        self.streams: list[str] = rows["stream"].to_pylist()
        self.epochs = _numbers(rows["epoch"])
        self.starts_s, self.ends_s = _numbers(rows["start_s"]), _numbers(rows["end_s"])
        self.keys, self.ends = line.keys(rows, "start_s"), line.keys(rows, "end_s")
        self.written_s = _numbers(rows["written_at_s"])
        self.sameness = _numbers(rows["sameness"])
        self.bytes = np.array([bytes_of[key] for key in self.ids], np.float64)
        """What they take themselves, with what was added to them since."""
        losses = [lost.get(key) for key in self.ids]
        self.lost_something = np.array([loss is not None for loss in losses], bool)
        self.lost_children = np.array([loss not in (None, "frame") for loss in losses], bool)
        self.of_parent = np.full(len(self.ids), -1, np.int64)
        """Which one of the rung above holds it, or -1."""
        self.over = np.zeros(len(self.ids), bool)
        """Whether its epoch has ended, so that nothing will stand above it that does not yet."""
        self.pinned = np.zeros(len(self.ids), bool)
        self.uses = np.zeros(len(self.ids))
        self.row_bytes, self.frame_bytes, self.frame_count = (np.zeros(len(self.ids)) for _ in range(3))
        """What the memories just below take, and the pictures in its span."""

    def __len__(self) -> int:
        return len(self.ids)

    def holding(self, keys: Numbers) -> NDArray[np.int64]:
        """For each place on the line, which of these it lies in, or -1."""
        return holding(self.keys, self.ends, keys)

    def add_rows(self, of: NDArray[np.int64], sizes: Numbers) -> None:
        """Memories just below that take so much; ``of`` says which of these each belongs to, or -1."""
        self.row_bytes += np.bincount(of[of >= 0], weights=sizes[of >= 0], minlength=len(self))

    def add_frames(self, of: NDArray[np.int64], sizes: Numbers) -> None:
        """Pictures, likewise."""
        self.frame_bytes += np.bincount(of[of >= 0], weights=sizes[of >= 0], minlength=len(self))
        self.frame_count += np.bincount(of[of >= 0], minlength=len(self))

    def note_pins(self, pins: Sequence[Pin], line: StreamAxis) -> None:
        """Whatever shares time with a pin stays."""
        for pin in pins:
            start, end = line.place(pin.stream, pin.span)
            self.pinned |= (self.keys < end) & (self.ends > start)

    def note_uses(self, uses: Sequence[Row], line: StreamAxis, now_s: float) -> None:
        """How much each was used: a use counts half after a month, and is shared among what it reaches over."""
        for use in uses:
            start, end = line.place(use["stream"], Span(use["start_s"], use["end_s"]))
            first = int(np.searchsorted(self.ends, start, side="right"))
            last = int(np.searchsorted(self.keys, end, side="left"))
            if last > first:
                self.uses[first:last] += weight_of_use(use["how"], now_s - use["at_s"]) / (last - first)


class EvictionCandidates:
    """What a memory holds, as far as forgetting must know it: numbers, a few for each event."""

    def __init__(
        self, parents: Mapping[Rung, _Parents], now_s: float, streams_bytes: Mapping[str, float]
    ) -> None:
        self._parents = parents
        self._now_s = now_s
        self.streams_bytes = streams_bytes
        """What all rows of each stream take, before they are compressed."""

    @property
    def payload_bytes(self) -> float:
        """What all rows take, before they are compressed."""
        return sum(self.streams_bytes.values())

    @classmethod
    def of(cls, views: Tables, *, vector_bytes: float = 0.0) -> EvictionCandidates:
        """Read it. ``vector_bytes`` is what the vectors of an observation take."""
        done = {stream.name: stream.state == "done" for stream in map(stream_from, select(views.streams))}
        line = StreamAxis()
        streams_bytes: Counter[str] = Counter()
        latest_epoch: dict[str, int] = dict.fromkeys(done, 0)
        now_s = 0.0

        observed = select_arrow(views.observations, where="rung != 'moment'", columns=_PARENT_COLUMNS)
        tombstones = {one.id: one.lost for one in tombstones_from(select(views.tombstones))}
        parents: dict[Rung, _Parents] = {
            rung: _parents_of(observed, rung, line, tombstones) for rung in _ABOVE_MOMENTS
        }
        for below, above in pairwise(_ABOVE_MOMENTS):
            parents[below].of_parent = parents[above].holding(parents[below].keys)
            parents[above].add_rows(parents[below].of_parent, parents[below].bytes + vector_bytes)
        for one in parents.values():
            now_s = max(now_s, float(one.written_s.max(initial=0.0)))
            for name, size in zip(one.streams, one.bytes, strict=True):
                streams_bytes[name] += size + vector_bytes
        # The rest is many rows: read a part at a time, and kept as sums.
        for batch in batches(views.observations, _MOMENT_COLUMNS, where="rung = 'moment'"):
            sizes = _numbers(batch["bytes"]) + vector_bytes
            parents["event"].add_rows(parents["event"].holding(line.keys(batch, "start_s")), sizes)
            now_s = max(now_s, float(_numbers(batch["written_at_s"]).max()))
            epochs = batch.group_by("stream").aggregate([("epoch", "max")])
            for name, epoch in zip(
                epochs["stream"].to_pylist(), epochs["epoch_max"].to_pylist(), strict=True
            ):
                latest_epoch[name] = max(epoch, latest_epoch.get(name, 0))
            _add_sums(streams_bytes, batch["stream"], sizes)
        for batch in batches(views.frames, ["stream", "time_s", "bytes"]):
            keys, sizes = line.keys(batch, "time_s"), _numbers(batch["bytes"])
            for one in parents.values():
                one.add_frames(one.holding(keys), sizes)
            _add_sums(streams_bytes, batch["stream"], sizes)
        for one in parents.values():
            one.note_pins(pins_from(select(views.pins)), line)
            one.note_uses(select(views.uses), line, now_s)
            one.over = np.array(
                [
                    done.get(stream, False) or epoch < latest_epoch.get(stream, 0)
                    for stream, epoch in zip(one.streams, one.epochs, strict=True)
                ],
                bool,
            )
        return cls(parents, now_s, streams_bytes)

    def lowest_value(self, need_bytes: float, streams: Iterable[str] | None = None) -> list[EvictionUnit]:
        """What to forget to be rid of so much, the first to go first; less where that is all there is.

        Only of ``streams``, where they are given. What is listed can go in any order.

        Rows that were written together lie in one file, which is written anew without what is forgotten of it. So
        that this costs no more than what it frees, half of a stretch of time goes at once, and what goes later
        stays whole until then: a stretch is as old as the half of it that is least worth keeping.
        """
        wanted = None if streams is None else set(streams)
        stretches = self._stretches(wanted)
        together: dict[tuple[str, int], list[EvictionUnit]] = {}
        for unit in self._units():
            if wanted is None or unit.stream in wanted:
                kind = "frame" if unit.loss == "frame" else "memory"
                at = int(np.searchsorted(stretches[kind][0], unit.written_at_s))
                together.setdefault((kind, min(at, _STRETCHES - 1)), []).append(unit)
        halves: list[tuple[float, list[EvictionUnit]]] = []
        for (kind, at), units in together.items():
            units.sort(key=lambda unit: (-unit.priority, unit.parent_id))
            half_bytes = max(1.0, float(stretches[kind][1][at]) / 2)
            sizes = np.cumsum([unit.bytes for unit in units])
            many = min(len(units), int(np.searchsorted(sizes, half_bytes)) + 1)
            # Where the rest may not go, it costs more to be rid of these.
            halves.append((units[many - 1].priority * min(1.0, sizes[many - 1] / half_bytes), units[:many]))
        chosen: list[EvictionUnit] = []
        for _, units in sorted(halves, key=lambda half: (-half[0], half[1][0].parent_id)):
            if need_bytes <= 0:
                break
            chosen += units
            need_bytes -= sum(unit.bytes for unit in units)
        return chosen

    def _stretches(self, streams: Set[str] | None) -> dict[str, tuple[Numbers, Numbers]]:
        """Up to when each stretch was written, and what is in it: of pictures, and of memories."""
        found: dict[str, tuple[Numbers, Numbers]] = {}
        for kind in ("frame", "memory"):
            written: list[Numbers] = []
            sizes: list[Numbers] = []
            for rung, parents in self._parents.items():
                in_it = np.array([streams is None or name in streams for name in parents.streams], bool)
                own = parents.bytes if kind == "memory" else np.zeros(len(parents))
                if rung == "event":
                    own = own + (parents.row_bytes if kind == "memory" else parents.frame_bytes)
                written.append(parents.written_s[in_it])
                sizes.append(own[in_it])
            times, bytes_ = np.concatenate(written), np.concatenate(sizes)
            order = np.argsort(times, kind="stable")
            total = np.cumsum(bytes_[order])
            ends = np.linspace(0.0, total[-1] if len(total) else 0.0, _STRETCHES + 1)[1:]
            at = np.minimum(np.searchsorted(total, ends), max(0, len(total) - 1))
            found[kind] = (
                times[order][at] if len(total) else np.zeros(_STRETCHES),
                np.full(_STRETCHES, ends[0]),
            )
        return found

    def _units(self) -> list[EvictionUnit]:
        units: list[EvictionUnit] = []
        for rung in _ABOVE_MOMENTS:
            for loss in _LOSSES:
                at, sizes = self._eligible(rung, loss)
                if len(at):
                    units += self._weighed(rung, loss, at, sizes)
        return units

    def _weighed(self, rung: Rung, loss: Loss, at: NDArray[np.int64], sizes: Numbers) -> list[EvictionUnit]:
        parents = self._parents[rung]
        lasts_s = np.maximum(1.0, parents.ends_s[at] - parents.starts_s[at])
        density = float(sizes.sum() / lasts_s.sum())
        sameness = _LEAST_SAMENESS + (1 - _LEAST_SAMENESS) * parents.sameness[at]
        lives = np.array([_drawn_life(parents.ids[one], loss) for one in at])
        ages_s = np.maximum(1.0, self._now_s - parents.written_s[at])
        sticky = 1 + _STICKINESS * parents.uses[at]
        priorities = ages_s * density * sameness / (_WORTH[rung, loss] * lives * sticky)
        return [
            EvictionUnit(
                parent_id=parents.ids[one],
                stream=parents.streams[one],
                epoch=int(parents.epochs[one]),
                rung=rung,
                span=Span(float(parents.starts_s[one]), float(parents.ends_s[one])),
                loss=loss,
                written_at_s=float(parents.written_s[one]),
                bytes=int(size),
                priority=float(priority),
            )
            for one, size, priority in zip(at, sizes, priorities, strict=True)
        ]

    def _eligible(self, rung: Rung, loss: Loss) -> tuple[NDArray[np.int64], Numbers]:
        """Which parents of a rung can lose that now, and what it takes."""
        parents = self._parents[rung]
        if loss == "frame":
            loses = self._has_pictures_to_lose(rung) & self._below_lost(rung, "frame")
            shown_bytes = MAX_FRAMES * parents.frame_bytes / np.maximum(1.0, parents.frame_count)
            sizes = np.maximum(0.0, parents.frame_bytes - shown_bytes)
        elif loss == "children":
            loses = (
                ~parents.lost_children
                & ~self._has_pictures_to_lose(rung)
                & self._below_lost(rung, "children")
            )
            sizes = parents.row_bytes
        else:
            loses = parents.lost_children & (parents.of_parent < 0) & (parents.over | (rung == "day"))
            sizes = parents.bytes + parents.frame_bytes
        at = np.flatnonzero(loses & ~parents.pinned)
        return at, sizes[at]

    def _has_pictures_to_lose(self, rung: Rung) -> NDArray[np.bool_]:
        parents = self._parents[rung]
        return ~parents.lost_something & (parents.frame_count > MAX_FRAMES)

    def _below_lost(self, rung: Rung, loss: Loss) -> NDArray[np.bool_]:
        """Whether all that a parent is made of has lost that already, each for itself."""
        done = np.ones(len(self._parents[rung]), bool)
        if rung != "event":
            below: Rung = RUNGS[RUNGS.index(rung) - 1]
            held = self._parents[below].of_parent
            left = (
                self._has_pictures_to_lose(below) if loss == "frame" else ~self._parents[below].lost_children
            )
            done[held[(held >= 0) & left]] = False
        return done


def _parents_of(
    observed: pa.Table, rung: Rung, line: StreamAxis, lost: Mapping[str, ForgottenLevel]
) -> _Parents:
    rows = observed.filter(pc.equal(observed["rung"], rung))
    bytes_of: Counter[str] = Counter()
    for key, size in zip(rows["moment_id"].to_pylist(), rows["bytes"].to_pylist(), strict=True):
        bytes_of[key] += size
    base = rows.filter(rows["base"])
    return _Parents(base.take(pa.array(np.argsort(line.keys(base, "start_s")))), line, bytes_of, lost)


def _add_sums(total: Counter[str], names: pa.ChunkedArray, sizes: Numbers) -> None:
    sums = pa.table({"name": names, "size": sizes}).group_by("name").aggregate([("size", "sum")])
    for name, size in zip(sums["name"].to_pylist(), sums["size_sum"].to_pylist(), strict=True):
        total[name] += size


def _numbers(column: pa.ChunkedArray) -> Numbers:
    numbers: Numbers = column.to_numpy().astype(np.float64)
    return numbers


def weight_of_use(how: str, age_s: float) -> float:
    """How much a use of some seconds ago counts: 1 where it was cited just now, half of that after a month."""
    return _USE_WEIGHTS.get(how, 0.0) * float(0.5 ** (max(0.0, age_s) / _USE_HALF_LIFE_S))


def holding(starts: Numbers, ends: Numbers, keys: Numbers) -> NDArray[np.int64]:
    """Which of some stretches, which are in order and do not overlap, each place lies in, or -1."""
    if not len(starts):
        return np.full(len(keys), -1, np.int64)
    at = np.searchsorted(starts, keys, side="right") - 1
    return np.where((at >= 0) & (keys < ends[at]), at, -1)


def _drawn_life(parent_id: str, loss: str) -> float:
    """A lifetime of mean 1 for this unit: always the same."""
    digest = hashlib.blake2b(f"{parent_id} {loss}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "little") + 1) / (2**64 + 1)
    return min(_LONGEST_LIFE, max(_SHORTEST_LIFE, -math.log(uniform)))
