"""Integrity check of a memory: every row once, every second and frame accounted for, and the ladder complete.

    expected = ExpectedContents(life(0, 24.0))
    expected.go_to(640)                                        # 640 moments and gaps of that life were committed
    for fault in find_faults(Path("kitchen"), expected):       # none, even if its writer was killed
        print(fault.message)

Rows may be missing because of the budget or an erasure. Then a tombstone must say so, and the loss must be complete.
The memory is opened for reading. No process may write to it during the check.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from ..memory.keeping.erasure import PENDING
from ..memory.ladder.builder import Ladder
from ..memory.query.snapshot import Snapshot
from ..memory.storage.commits import Commits
from ..memory.storage.tables import Tables, latest_view, select, select_arrow
from ..memory.store import MemoryStore
from ..memory.values import (
    RUNGS,
    Gap,
    KeyFrame,
    Moment,
    Rung,
    Span,
    Tombstone,
    merged_spans,
    spans_without,
    total_counts,
)
from .simulated_months import LifeEncoder, SimulatedMoment, lived

STREAMS = ("door", "yard")
_MOST = 1_000_000
_KEYS = {"gaps": "revision_id", "streams": "name", "backlog": "moment_id", "uses": None}
"""The column that identifies a row, for tables without an ``id``."""
_REACH_S = 6 * 3600.0
"""How long after an erased span its summaries may end, in seconds."""


def life(
    seed: int, hours: float, *, picture_bytes: int = 10_000, outages_a_day: float = 24.0
) -> Iterator[SimulatedMoment | Gap]:
    """The moments and gaps of two simulated cameras, in the order in which they end."""
    return heapq.merge(
        *(
            lived(seed + index, hours, name, picture_bytes=picture_bytes, outages_a_day=outages_a_day)
            for index, name in enumerate(STREAMS)
        ),
        key=end_s,
    )


def end_s(item: SimulatedMoment | Gap) -> float:
    """When a moment or gap ends, in stream seconds."""
    return item.span.end_s if isinstance(item, Gap) else item.moment.span.end_s


@dataclass(slots=True)
class PlannedErasure:
    """A span whose erasure was requested."""

    stream: str
    span: Span
    moment_ids: frozenset[str]
    """The moments of it that were stored at the request."""
    needle: bytes | None
    """Bytes of a picture of it, if there was a picture."""
    done: bool | None = None
    """None while it is not known whether the erasure took place."""
    purged: bool = False
    """Whether the writer confirmed that no file holds the span any more."""


@dataclass(slots=True)
class _Stream:
    """What was committed of one stream."""

    ladder: Ladder
    moments: list[Moment] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    parents: dict[str, Moment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IntegrityFault:
    """One thing that is wrong with a memory."""

    message: str
    missing: int = 0
    """The number of missing rows."""
    doubled: int = 0
    """The number of rows that are stored more than once."""


class ExpectedContents:
    """What a memory must hold after the first items of a life were committed."""

    def __init__(self, life: Iterator[SimulatedMoment | Gap]) -> None:
        self.position = 0
        """The number of moments and gaps of the life that were committed."""
        self.erasures: list[PlannedErasure] = []
        self.erasure_pending = False
        """Whether an erasure began and the writer has not yet confirmed that all files are clean."""
        self.streams = {name: _Stream(Ladder(name)) for name in STREAMS}
        self.closing: dict[str, Moment] = {}
        """Parents that may be stored already: they are committed just before the gap that comes next."""
        self.frames: dict[str, tuple[str, float, bytes]] = {}
        """The stream, time and digest of each picture."""
        self._life = life
        self._next = next(life)

    @property
    def rows(self) -> int:
        """The number of moments, parents, gaps and pictures."""
        streams = self.streams.values()
        return len(self.frames) + sum(
            len(stream.moments) + len(stream.parents) + len(stream.gaps) for stream in streams
        )

    def go_to(self, position: int) -> None:
        """Expect the life up to this position."""
        while self.position < position:
            self._take(self._next)
            self._next = next(self._life)
            self.position += 1
            if isinstance(self._next, Gap):
                parents = self.streams[self._next.stream].ladder.flush()
                self.closing = {parent.id: parent for parent in parents}

    def _take(self, item: SimulatedMoment | Gap) -> None:
        if isinstance(item, Gap):
            stream = self.streams[item.stream]
            stream.gaps.append(item)
            stream.parents |= self.closing
            self.closing = {}
            return
        stream = self.streams[item.moment.stream]
        stream.moments.append(item.moment)
        parents = stream.ladder.push(item.moment, item.frames)
        stream.parents |= {parent.id: parent for parent in parents}
        self.frames |= {frame.id: (frame.stream, frame.time_s, digest(frame)) for frame in item.frames}


def digest(frame: KeyFrame) -> bytes:
    """A digest of a picture's bytes."""
    return hashlib.blake2b(frame.jpeg, digest_size=8).digest()


def find_faults(folder: Path, expected: ExpectedContents) -> list[IntegrityFault]:
    """Check a memory against what it must hold.

    Args:
        folder: The memory's folder.
        expected: Its contents. Erasures whose outcome was not known get one.

    Returns:
        The faults; empty if the memory is intact.

    """
    faults = _row_faults(folder)
    with MemoryStore.open(folder, encoder=LifeEncoder()) as store:
        snapshot = store.snapshot()
        try:
            for name, stream in expected.streams.items():
                if stream.moments or stream.gaps:
                    faults += _StreamCheck(snapshot, name, expected).faults()
            faults += _search_faults(snapshot, "by words and vectors")
        finally:
            snapshot.release()
    with MemoryStore.open(folder) as store:
        snapshot = store.snapshot()
        faults += _search_faults(snapshot, "by words")
        snapshot.release()
    return [*faults, *_erasure_faults(folder, expected)]


def _row_faults(folder: Path) -> list[IntegrityFault]:
    """Doubled rows, rows without their owner, and rows of a commit that was not completed."""
    opened = Tables.open(folder, encoder=LifeEncoder())
    views = opened.views(folder, Commits(folder).head().versions).by_kind()
    faults, ids = [], {}
    for kind, table in opened.by_kind().items():
        key = _KEYS.get(kind, "id")
        if key is None:
            continue
        ids[kind] = select_arrow(views[kind], columns=[key])[key].to_pylist()
        faults += _doubled(f"rows doubled in {kind}", ids[kind])
        newest = Counter(select_arrow(latest_view(table), columns=[key])[key].to_pylist())
        if newest != Counter(ids[kind]):
            faults.append(
                IntegrityFault(
                    f"the newest version of {kind} has other rows than the one that the head names"
                )
            )
    rows = select(views["observations"], where="base", columns=["moment_id", "rung", "frame_ids"])
    faults += _doubled("memories doubled", [row["moment_id"] for row in rows])
    pictures = {key for row in rows for key in row["frame_ids"]}
    of_moments = {key for row in rows if row["rung"] == "moment" for key in row["frame_ids"]}
    faults += _differing("vectors of words", set(ids["text_vectors"]), set(ids["observations"]))
    faults += _differing("vectors of pictures", set(ids["frame_vectors"]), of_moments)
    faults += _differing("pictures without a moment", set(ids["frames"]) - pictures, set())
    return faults


def _doubled(what: str, ids: Sequence[str]) -> list[IntegrityFault]:
    """A fault if some ids occur more than once."""
    doubled = [key for key, times in Counter(ids).items() if times > 1]
    if not doubled:
        return []
    return [IntegrityFault(f"{len(doubled)} {what}, such as {doubled[0]}", doubled=len(doubled))]


def _differing(what: str, stored: set[str], expected: set[str]) -> list[IntegrityFault]:
    faults = []
    if missing := expected - stored:
        faults.append(
            IntegrityFault(f"{what}: {len(missing)} missing, such as {min(missing)}", missing=len(missing))
        )
    if extra := stored - expected:
        faults.append(IntegrityFault(f"{what}: {len(extra)} without an owner, such as {min(extra)}"))
    return faults


class _StreamCheck:
    """The integrity check of one stream."""

    def __init__(self, snapshot: Snapshot, name: str, expected: ExpectedContents) -> None:
        self._snapshot, self._name = snapshot, name
        self._expected, self._stream = expected, expected.streams[name]
        self._memories = {
            memory.id: memory for rung in RUNGS for memory in snapshot.timeline(name, rung=rung, limit=_MOST)
        }
        self._parents = [memory for memory in self._memories.values() if memory.rung != "moment"]
        self._tombstones = snapshot.tombstones(name)
        self._losses = [tombstone for tombstone in self._tombstones if tombstone.lost != "frame"]
        self._erasures = [erasure for erasure in expected.erasures if erasure.stream == name]
        self._pictures = {
            frame.id: digest(frame)
            for frame in snapshot.frames(key for key, facts in expected.frames.items() if facts[0] == name)
        }

    def faults(self) -> list[IntegrityFault]:
        """All faults of the stream."""
        faults = [
            *self._moment_faults(),
            *self._parent_faults(),
            *self._child_faults(),
            *self._picture_faults(),
            *self._count_faults(),
            *self._coverage_faults(),
            *self._unrequested_erasures(),
            *self._incomplete_erasures(),
            *self._timeline_faults(),
        ]
        return [replace(fault, message=f"{self._name}: {fault.message}") for fault in faults]

    def _moment_faults(self) -> Iterator[IntegrityFault]:
        expected = {moment.id: moment for moment in self._stream.moments}
        stored = {key: memory for key, memory in self._memories.items() if memory.rung == "moment"}
        if unknown := stored.keys() - expected.keys():
            yield IntegrityFault(f"{len(unknown)} moments of a commit that was cut off")
        changed = [key for key, moment in stored.items() if key in expected and expected[key] != moment]
        if changed:
            yield IntegrityFault(f"{len(changed)} moments differ from those committed, such as {changed[0]}")
        losses = _LostSpans(self._losses)
        missing = [
            moment
            for key, moment in expected.items()
            if key not in stored and not losses.cover(moment, "moment")
        ]
        if missing:
            yield IntegrityFault(
                f"{len(missing)} moments missing, such as the one of {missing[0].span}", missing=len(missing)
            )
        if self._snapshot.gaps(self._name) != self._stream.gaps:
            yield IntegrityFault("its gaps differ from those acknowledged")

    def _parent_faults(self) -> Iterator[IntegrityFault]:
        """In epochs without an erasure, the parents are those of a ladder that was never interrupted."""
        # An erasure rebuilds the summaries of its epoch.
        rebuilt = {tombstone.epoch for tombstone in self._tombstones if tombstone.cause == "asked"}
        expected = {
            key: parent for key, parent in self._stream.parents.items() if parent.epoch not in rebuilt
        }
        stored = {parent.id: parent for parent in self._parents if parent.epoch not in rebuilt}
        losses = _LostSpans(self._losses)
        missing = {
            key
            for key, parent in expected.items()
            if key not in stored and not losses.cover(parent, parent.rung)
        }
        if missing:
            yield IntegrityFault(
                f"{len(missing)} parents missing, such as {_first_of(expected, missing)}",
                missing=len(missing),
            )
        yield from self._wrong_parents(expected, stored)

    def _wrong_parents(
        self, expected: Mapping[str, Moment], stored: Mapping[str, Moment]
    ) -> Iterator[IntegrityFault]:
        """Stored parents that an uninterrupted ladder would not make, or would make differently."""
        early = self._expected.closing.keys() & stored.keys()
        if early and early != self._expected.closing.keys():
            yield IntegrityFault("only some of the parents that a gap closes are stored")
        if unknown := stored.keys() - expected.keys() - early:
            yield IntegrityFault(
                f"{len(unknown)} parents that an uninterrupted ladder does not make, "
                f"such as {_first_of(stored, unknown)}"
            )
        changed = {
            key
            for key, parent in stored.items()
            if key in expected and replace(parent, sameness=0.0) != replace(expected[key], sameness=0.0)
        }
        if changed:
            yield IntegrityFault(
                f"{len(changed)} parents differ from those of an uninterrupted ladder, "
                f"such as {_first_of(stored, changed)}"
            )

    def _child_faults(self) -> Iterator[IntegrityFault]:
        """Each child has one parent. The children of a parent are all stored, or all forgotten."""
        references = [key for parent in self._parents for key in parent.child_ids]
        if shared := [key for key, times in Counter(references).items() if times > 1]:
            yield IntegrityFault(f"{len(shared)} memories have two parents, such as {shared[0]}")
        tombstones = {tombstone.id: tombstone for tombstone in self._tombstones}
        for parent in self._parents:
            children = [self._memories[key] for key in parent.child_ids if key in self._memories]
            name = f"the {parent.rung} of {parent.span}"
            if len(children) == len(parent.child_ids):
                yield from _order_faults(parent, children)
            elif children:
                yield IntegrityFault(f"{name} lost some children and not all")
            elif parent.id not in tombstones or tombstones[parent.id].lost != _rung_below(parent):
                yield IntegrityFault(f"{name} lost its children, and no tombstone says so")

    def _picture_faults(self) -> Iterator[IntegrityFault]:
        """Each picture is intact, or a tombstone contains its time."""
        facts = self._expected.frames
        shown = {key for memory in self._memories.values() for key in memory.frame_ids}
        missing = [
            key
            for key in shown - self._pictures.keys()
            if key not in facts
            or not any(tombstone.span.contains(facts[key][1]) for tombstone in self._tombstones)
        ]
        if missing:
            yield IntegrityFault(
                f"{len(missing)} pictures missing, such as {missing[0]}", missing=len(missing)
            )
        if changed := [key for key, stored in self._pictures.items() if facts[key][2] != stored]:
            yield IntegrityFault(f"{len(changed)} pictures differ from those committed, such as {changed[0]}")

    def _count_faults(self) -> Iterator[IntegrityFault]:
        """The counts of frames are balanced, and equal those committed."""
        counts = self._snapshot.counts(self._name)
        expected = total_counts(
            [moment.counts for moment in self._stream.moments] + [gap.counts for gap in self._stream.gaps]
        )
        if not counts.balanced:
            yield IntegrityFault(f"its counts are out of balance: {counts}")
        if (counts.captured, counts.dropped) != (expected.captured, expected.dropped):
            yield IntegrityFault(
                f"of {expected.captured:,} frames it accounts for {counts.captured:,}: {counts}, not {expected}"
            )
        if counts.stored != len(self._pictures):
            yield IntegrityFault(f"it counts {counts.stored} pictures and has {len(self._pictures)}")

    def _coverage_faults(self) -> Iterator[IntegrityFault]:
        """Memories, gaps and tombstones cover every second."""
        whole = _whole(self._stream)
        coverage = self._snapshot.coverage(self._name, whole)
        spans = [memory.span for memory in self._snapshot.cover(self._name, whole)]
        spans += [gap.span for gap in coverage.gaps]
        spans += [tombstone.span for tombstone in coverage.forgotten]
        if holes := spans_without([whole], merged_spans(spans)):
            yield IntegrityFault(
                f"{sum(hole.duration_s for hole in holes):.1f} s unaccounted for, first {holes[0]}"
            )
        gaps_s = sum(gap.span.duration_s for gap in coverage.gaps)
        if abs(coverage.watched_s + gaps_s - whole.duration_s) > 0.01:
            yield IntegrityFault(
                f"{coverage.watched_s:.1f} s watched and {gaps_s:.1f} s of gaps are not {whole.duration_s:.1f} s"
            )

    def _unrequested_erasures(self) -> Iterator[IntegrityFault]:
        """Every tombstone of an erasure belongs to a request."""
        for tombstone in self._tombstones:
            reach = Span(tombstone.span.start_s - _REACH_S, tombstone.span.end_s)
            requested = any(erasure.span.overlaps(reach) for erasure in self._erasures)
            if tombstone.cause == "asked" and not requested:
                yield IntegrityFault(f"{tombstone.span} was erased without a request")

    def _incomplete_erasures(self) -> Iterator[IntegrityFault]:
        """What was erased is gone from every rung. An unconfirmed erasure took place wholly or not at all."""
        erased_spans = _LostSpans([tombstone for tombstone in self._losses if tombstone.cause == "asked"])
        moments = {moment.id: moment for moment in self._stream.moments}
        for erasure in self._erasures:
            kept = erasure.moment_ids & self._memories.keys()
            erased = {key for key in erasure.moment_ids - kept if erased_spans.cover(moments[key], "moment")}
            if erasure.done is None:
                erasure.done = bool(erased)
                if kept and erased:
                    yield IntegrityFault(
                        f"{erasure.span} was erased in part: {len(kept)} of {len(erasure.moment_ids)} "
                        "moments are stored"
                    )
            touching = [memory for memory in self._memories.values() if memory.span.overlaps(erasure.span)]
            if erasure.done and touching:
                yield IntegrityFault(
                    f"{erasure.span} was erased, and {touching[0].rung} of {touching[0].span} is stored"
                )

    def _timeline_faults(self) -> Iterator[IntegrityFault]:
        """The timeline of a span has exactly the memories that overlap it."""
        end_s = _whole(self._stream).end_s
        spans = [Span(0.0, 100.0), Span(max(0.0, end_s - 100.0), end_s)]
        spans += [erasure.span for erasure in self._erasures]
        for span in spans:
            for rung in RUNGS:
                overlapping = {
                    key
                    for key, memory in self._memories.items()
                    if memory.rung == rung and memory.span.overlaps(span)
                }
                listed = {
                    memory.id for memory in self._snapshot.timeline(self._name, span, rung, limit=_MOST)
                }
                if differing := overlapping ^ listed:
                    yield IntegrityFault(
                        f"the timeline of {span} has {len(differing)} {rung}s too many or too few"
                    )


def _rung_below(parent: Moment) -> Rung:
    return RUNGS[RUNGS.index(parent.rung) - 1]


def _order_faults(parent: Moment, children: Sequence[Moment]) -> Iterator[IntegrityFault]:
    """The children are of the rung below and the same epoch, in order, and as long as the parent."""
    name = f"the {parent.rung} of {parent.span}"
    spans = [child.span for child in children]
    if {(child.rung, child.epoch) for child in children} != {(_rung_below(parent), parent.epoch)}:
        yield IntegrityFault(f"{name} has children of another rung or epoch")
    if spans != sorted(spans) or any(span.end_s > next_.start_s for span, next_ in pairwise(spans)):
        yield IntegrityFault(f"{name} has children out of order")
    if Span(spans[0].start_s, spans[-1].end_s) != parent.span:
        yield IntegrityFault(f"{name} does not begin and end with its children")


class _LostSpans:
    """The spans of tombstones by rung and epoch, for many look-ups."""

    def __init__(self, tombstones: Sequence[Tombstone]) -> None:
        spans: dict[tuple[Rung, int], list[Span]] = {}
        for rung in RUNGS:
            for tombstone in tombstones:
                if RUNGS.index(tombstone.lost) >= RUNGS.index(rung):
                    spans.setdefault((rung, tombstone.epoch), []).append(tombstone.span)
        self._spans = {key: merged_spans(lost) for key, lost in spans.items()}

    def cover(self, memory: Moment, rung: Rung) -> bool:
        """Whether memories of this rung were lost in all of the memory's span."""
        span = memory.span
        return any(
            lost.start_s <= span.start_s and span.end_s <= lost.end_s
            for lost in self._spans.get((rung, memory.epoch), ())
        )


def _first_of(memories: Mapping[str, Moment], ids: Iterable[str]) -> str:
    memory = memories[min(ids)]
    return f"the {memory.rung} of {memory.span} in epoch {memory.epoch}"


def _whole(stream: _Stream) -> Span:
    spans = [moment.span for moment in stream.moments] + [gap.span for gap in stream.gaps]
    return Span(min(span.start_s for span in spans), max(span.end_s for span in spans))


def _search_faults(snapshot: Snapshot, how: str) -> Iterator[IntegrityFault]:
    """A search for its caption finds the last moment of each stream."""
    for name in STREAMS:
        for moment in snapshot.latest(name):
            span = Span(moment.span.start_s - 30.0, moment.span.end_s)
            hits = snapshot.search(moment.caption, streams=[name], span=span, limit=10)
            if moment.id not in [hit.moment.id for hit in hits]:
                yield IntegrityFault(
                    f"{name}: {how}, the last moment is not found: {moment.caption!r} of {moment.span}"
                )


def _erasure_faults(folder: Path, expected: ExpectedContents) -> Iterator[IntegrityFault]:
    """After a confirmed erasure, no file holds the pictures of its span."""
    needles = {
        erasure.needle: erasure
        for erasure in expected.erasures
        if erasure.purged and erasure.needle is not None
    }
    for needle, names in files_with(folder, needles).items():
        if names:
            erasure = needles[needle]
            yield IntegrityFault(f"{erasure.stream}: {erasure.span} was erased, and is in {', '.join(names)}")
    if not expected.erasure_pending and (folder / PENDING).exists():
        yield IntegrityFault(f"every erasure was confirmed, and {PENDING} still exists")


def files_with(folder: Path, needles: Iterable[bytes]) -> dict[bytes, list[str]]:
    """The files that contain these bytes."""
    files: dict[bytes, list[str]] = {needle: [] for needle in needles}
    for path in sorted(folder.rglob("*")) if files else ():
        if path.is_file():
            content = path.read_bytes()
            for needle, names in files.items():
                if needle in content:
                    names.append(str(path.relative_to(folder)))
    return files
