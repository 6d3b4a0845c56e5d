"""Whether a memory holds what it was told: every row once, every second and frame accounted for, the ladder whole.

    told = ExpectedContents(life(0, 24.0))
    told.go_to(640)                              # so many things of that life were committed
    for fault in faults(Path("kitchen"), told):  # none, whatever happened to its writer
        print(fault.words)

What the budget forgot and what somebody asked to have erased may be missing, where a tombstone says so, and then
all of it. The memory is read as any reader would; nobody may write to it meanwhile.
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
"""What every row of a table has for itself, where that is not an ``id``."""
_REACH_S = 6 * 3600.0
"""How long after a stretch that is erased something may have been told of it."""


def life(
    seed: int, hours: float, *, picture_bytes: int = 10_000, outages_a_day: float = 24.0
) -> Iterator[SimulatedMoment | Gap]:
    """What two cameras see side by side, in the order in which it ends."""
    return heapq.merge(
        *(
            lived(seed + at, hours, name, picture_bytes=picture_bytes, outages_a_day=outages_a_day)
            for at, name in enumerate(STREAMS)
        ),
        key=end_s,
    )


def end_s(seen: SimulatedMoment | Gap) -> float:
    """When it was over."""
    return seen.span.end_s if isinstance(seen, Gap) else seen.moment.span.end_s


@dataclass(slots=True)
class PlannedErasure:
    """A stretch that somebody asked to have erased."""

    stream: str
    span: Span
    there: frozenset[str]
    """The moments of it that were remembered then."""
    needle: bytes | None
    """Bytes of a picture of it, where there was one."""
    done: bool | None = None
    """None where nobody was told, and it has happened or it has not."""
    purged: bool = False
    """Whether somebody was told that no file holds it any more."""


@dataclass(slots=True)
class _Stream:
    """What was told of one stream."""

    ladder: Ladder
    moments: list[Moment] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    parents: dict[str, Moment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IntegrityFault:
    """Something that is wrong."""

    words: str
    missing: int = 0
    """So many rows that should be there."""
    doubled: int = 0
    """So many that are there more than once."""


class ExpectedContents:
    """What a memory was told of a life, up to a place in it."""

    def __init__(self, life: Iterator[SimulatedMoment | Gap]) -> None:
        self.position = 0
        """So many moments and gaps of the life were committed."""
        self.erasings: list[PlannedErasure] = []
        self.erasing = False
        """Whether one was begun, and nobody was told since then that all is cleaned up."""
        self.streams = {name: _Stream(Ladder(name)) for name in STREAMS}
        self.closing: dict[str, Moment] = {}
        """Parents that may be there already, as a gap comes next: they are committed just before it."""
        self.frames: dict[str, tuple[str, float, bytes]] = {}
        """Of each picture its stream, its time and a digest."""
        self._life = life
        self._next = next(life)

    @property
    def rows(self) -> int:
        """How many moments, parents, gaps and pictures that were."""
        streams = self.streams.values()
        return len(self.frames) + sum(len(one.moments) + len(one.parents) + len(one.gaps) for one in streams)

    def go_to(self, position: int) -> None:
        """Up to there it is committed now."""
        while self.position < position:
            self._take(self._next)
            self._next = next(self._life)
            self.position += 1
            if isinstance(self._next, Gap):
                parents = self.streams[self._next.stream].ladder.flush()
                self.closing = {parent.id: parent for parent in parents}

    def _take(self, seen: SimulatedMoment | Gap) -> None:
        if isinstance(seen, Gap):
            stream = self.streams[seen.stream]
            stream.gaps.append(seen)
            stream.parents |= self.closing
            self.closing = {}
            return
        stream = self.streams[seen.moment.stream]
        stream.moments.append(seen.moment)
        parents = stream.ladder.push(seen.moment, seen.frames)
        stream.parents |= {parent.id: parent for parent in parents}
        self.frames |= {one.id: (one.stream, one.time_s, digest(one)) for one in seen.frames}


def digest(frame: KeyFrame) -> bytes:
    """Tells a picture from others."""
    return hashlib.blake2b(frame.jpeg, digest_size=8).digest()


def faults(folder: Path, told: ExpectedContents) -> list[IntegrityFault]:
    """What is wrong with the memory."""
    found = _rows_faults(folder)
    with MemoryStore.open(folder, encoder=LifeEncoder()) as store:
        snapshot = store.snapshot()
        try:
            for name, stream in told.streams.items():
                if stream.moments or stream.gaps:
                    found += _StreamCheck(snapshot, name, told).faults()
            found += _search_faults(snapshot, "by words and vectors")
        finally:
            snapshot.release()
    with MemoryStore.open(folder) as store:
        snapshot = store.snapshot()
        found += _search_faults(snapshot, "by words")
        snapshot.release()
    return [*found, *_erasing_faults(folder, told)]


def _rows_faults(folder: Path) -> list[IntegrityFault]:
    """Rows that are there twice, rows without those they belong to, and what a crash left to be seen by the next."""
    opened = Tables.open(folder, encoder=LifeEncoder())
    views = opened.views(folder, Commits(folder).head().versions).by_kind()
    found, ids = [], {}
    for kind, table in opened.by_kind().items():
        key = _KEYS.get(kind, "id")
        if key is None:
            continue
        ids[kind] = select_arrow(views[kind], columns=[key])[key].to_pylist()
        if doubled := [one for one, times in Counter(ids[kind]).items() if times > 1]:
            found.append(
                IntegrityFault(
                    f"{len(doubled)} rows doubled in {kind}, such as {doubled[0]}", doubled=len(doubled)
                )
            )
        beyond = Counter(select_arrow(latest_view(table), columns=[key])[key].to_pylist())
        if beyond != Counter(ids[kind]):
            found.append(
                IntegrityFault(
                    f"the newest version of {kind} has other rows than the one that the head names"
                )
            )
    rows = select(views["observations"], where="base", columns=["moment_id", "rung", "frame_ids"])
    if doubled := [one for one, times in Counter(row["moment_id"] for row in rows).items() if times > 1]:
        found.append(
            IntegrityFault(f"{len(doubled)} memories doubled, such as {doubled[0]}", doubled=len(doubled))
        )
    pictures = {key for row in rows for key in row["frame_ids"]}
    of_moments = {key for row in rows if row["rung"] == "moment" for key in row["frame_ids"]}
    found += _differing("vectors of words", set(ids["text_vectors"]), set(ids["observations"]))
    found += _differing("vectors of pictures", set(ids["frame_vectors"]), of_moments)
    found += _differing("pictures that something shows", set(ids["frames"]) - pictures, set())
    return found


def _differing(what: str, there: set[str], wanted: set[str]) -> list[IntegrityFault]:
    found = []
    if missing := wanted - there:
        found.append(
            IntegrityFault(f"{what}: {len(missing)} missing, such as {min(missing)}", missing=len(missing))
        )
    if extra := there - wanted:
        found.append(IntegrityFault(f"{what}: {len(extra)} that nothing has, such as {min(extra)}"))
    return found


class _StreamCheck:
    """Looks through one stream."""

    def __init__(self, snapshot: Snapshot, name: str, told: ExpectedContents) -> None:
        self._snapshot, self._name, self._told, self._stream = snapshot, name, told, told.streams[name]
        self._memories = {
            memory.id: memory for rung in RUNGS for memory in snapshot.timeline(name, rung=rung, limit=_MOST)
        }
        self._tombstones = snapshot.tombstones(name)
        self._gone = [one for one in self._tombstones if one.lost != "frame"]
        self._pictures = {
            frame.id: digest(frame)
            for frame in snapshot.frames(key for key, facts in told.frames.items() if facts[0] == name)
        }

    def faults(self) -> list[IntegrityFault]:
        """What is wrong with it."""
        found = [
            *self._moments(),
            *self._parents(),
            *self._children(),
            *self._shown(),
            *self._accounts(),
            *self._erased(),
            *self._by_time(),
        ]
        return [replace(one, words=f"{self._name}: {one.words}") for one in found]

    def _moments(self) -> Iterator[IntegrityFault]:
        known = {moment.id: moment for moment in self._stream.moments}
        there = {key: one for key, one in self._memories.items() if one.rung == "moment"}
        if unknown := there.keys() - known.keys():
            yield IntegrityFault(f"{len(unknown)} moments of a commit that was cut off")
        changed = [key for key, one in there.items() if key in known and known[key] != one]
        if changed:
            yield IntegrityFault(f"{len(changed)} moments say something else, such as {changed[0]}")
        gone = _Places(self._gone)
        lost = [one for key, one in known.items() if key not in there and not gone.hold(one, "moment")]
        if lost:
            yield IntegrityFault(
                f"{len(lost)} moments missing, such as the one of {lost[0].span}", missing=len(lost)
            )
        if self._snapshot.gaps(self._name) != self._stream.gaps:
            yield IntegrityFault("its gaps are others than those acknowledged")

    def _parents(self) -> Iterator[IntegrityFault]:
        """Where nothing was erased, parents are those of a ladder that was never interrupted."""
        # What is left of an epoch of which something was erased is told anew.
        erased = {one.epoch for one in self._tombstones if one.cause == "asked"}
        known = {key: one for key, one in self._stream.parents.items() if one.epoch not in erased}
        there = {
            key: one
            for key, one in self._memories.items()
            if one.rung != "moment" and one.epoch not in erased
        }
        early = self._told.closing.keys() & there.keys()
        if early and early != self._told.closing.keys():
            yield IntegrityFault("some parents of what a gap ends, and not all")
        if unknown := there.keys() - known.keys() - early:
            yield IntegrityFault(
                f"{len(unknown)} parents that an unbroken ladder does not make, such as {_told(there, unknown)}"
            )
        changed = {
            key
            for key, one in there.items()
            if key in known and replace(one, sameness=0.0) != replace(known[key], sameness=0.0)
        }
        if changed:
            yield IntegrityFault(
                f"{len(changed)} parents are not as an unbroken ladder makes them, such as {_told(there, changed)}"
            )
        gone = _Places(self._gone)
        missing = {key for key, one in known.items() if key not in there and not gone.hold(one, one.rung)}
        if missing:
            yield IntegrityFault(
                f"{len(missing)} parents missing, such as {_told(known, missing)}", missing=len(missing)
            )

    def _children(self) -> Iterator[IntegrityFault]:
        """Children are all there or all forgotten, have one parent each, and fill it."""
        tombstones = {one.id: one for one in self._tombstones}
        parents = [one for one in self._memories.values() if one.rung != "moment"]
        held = Counter(key for parent in parents for key in parent.child_ids)
        if doubled := [key for key, times in held.items() if times > 1]:
            yield IntegrityFault(f"{len(doubled)} memories have two parents, such as {doubled[0]}")
        for parent in parents:
            below = RUNGS[RUNGS.index(parent.rung) - 1]
            children = [self._memories[key] for key in parent.child_ids if key in self._memories]
            where = f"the {parent.rung} of {parent.span}"
            if len(children) < len(parent.child_ids):
                if children:
                    yield IntegrityFault(f"{where} lost some children and not all")
                elif parent.id not in tombstones or tombstones[parent.id].lost != below:
                    yield IntegrityFault(f"{where} lost its children without a word")
                continue
            spans = [child.span for child in children]
            if {(child.rung, child.epoch) for child in children} != {(below, parent.epoch)}:
                yield IntegrityFault(f"{where} has children of another rung or epoch")
            if spans != sorted(spans) or any(one.end_s > next_.start_s for one, next_ in pairwise(spans)):
                yield IntegrityFault(f"{where} has children out of order")
            if Span(spans[0].start_s, spans[-1].end_s) != parent.span:
                yield IntegrityFault(f"{where} does not begin and end with its children")

    def _shown(self) -> Iterator[IntegrityFault]:
        """A picture is whole, or a tombstone has its time."""
        facts = self._told.frames
        shown = {key for memory in self._memories.values() for key in memory.frame_ids}
        lost = [
            key
            for key in shown - self._pictures.keys()
            if key not in facts or not any(one.span.contains(facts[key][1]) for one in self._tombstones)
        ]
        if lost:
            yield IntegrityFault(f"{len(lost)} pictures missing, such as {lost[0]}", missing=len(lost))
        if broken := [key for key, found in self._pictures.items() if facts[key][2] != found]:
            yield IntegrityFault(f"{len(broken)} pictures are not what was given, such as {broken[0]}")

    def _accounts(self) -> Iterator[IntegrityFault]:
        counts = self._snapshot.counts(self._name)
        told = total_counts(
            [one.counts for one in self._stream.moments] + [one.counts for one in self._stream.gaps]
        )
        if not counts.balanced:
            yield IntegrityFault(f"its counts are out of balance: {counts}")
        if (counts.captured, counts.dropped) != (told.captured, told.dropped):
            yield IntegrityFault(
                f"of {told.captured:,} frames it accounts for {counts.captured:,}: {counts}, not {told}"
            )
        if counts.stored != len(self._pictures):
            yield IntegrityFault(f"it counts {counts.stored} pictures and has {len(self._pictures)}")
        whole = _whole(self._stream)
        coverage = self._snapshot.coverage(self._name, whole)
        seen = [memory.span for memory in self._snapshot.cover(self._name, whole)]
        seen += [gap.span for gap in coverage.gaps] + [one.span for one in coverage.forgotten]
        if holes := spans_without([whole], merged_spans(seen)):
            yield IntegrityFault(
                f"{sum(one.duration_s for one in holes):.1f} s unaccounted for, first {holes[0]}"
            )
        gaps_s = sum(gap.span.duration_s for gap in coverage.gaps)
        if abs(coverage.watched_s + gaps_s - whole.duration_s) > 0.01:
            yield IntegrityFault(
                f"{coverage.watched_s:.1f} s watched and {gaps_s:.1f} s of gaps are not {whole.duration_s:.1f} s"
            )

    def _erased(self) -> Iterator[IntegrityFault]:
        """What was erased is gone from every rung; what was not told to be, wholly or not at all."""
        erasings = [one for one in self._told.erasings if one.stream == self._name]
        for tombstone in self._tombstones:
            if tombstone.cause == "asked" and not any(
                one.span.overlaps(Span(tombstone.span.start_s - _REACH_S, tombstone.span.end_s))
                for one in erasings
            ):
                yield IntegrityFault(f"{tombstone.span} was erased, and nobody had asked for it")
        asked = _Places([one for one in self._gone if one.cause == "asked"])
        known = {moment.id: moment for moment in self._stream.moments}
        for one in erasings:
            left = one.there & self._memories.keys()
            gone = {key for key in one.there - left if asked.hold(known[key], "moment")}
            if one.done is None:
                one.done = bool(gone)
                if left and gone:
                    yield IntegrityFault(
                        f"{one.span} was erased in part: {len(left)} of {len(one.there)} moments are left"
                    )
            touching = [memory for memory in self._memories.values() if memory.span.overlaps(one.span)]
            if one.done and touching:
                yield IntegrityFault(
                    f"{one.span} was erased, and {touching[0].rung} of {touching[0].span} is there"
                )

    def _by_time(self) -> Iterator[IntegrityFault]:
        """Asked for a stretch, it tells all that shares time with that and nothing else."""
        end_s = _whole(self._stream).end_s
        spans = [Span(0.0, 100.0), Span(max(0.0, end_s - 100.0), end_s)]
        spans += [one.span for one in self._told.erasings if one.stream == self._name]
        for span in spans:
            for rung in RUNGS:
                there = {
                    key for key, one in self._memories.items() if one.rung == rung and one.span.overlaps(span)
                }
                if found := there ^ {
                    one.id for one in self._snapshot.timeline(self._name, span, rung, limit=_MOST)
                }:
                    yield IntegrityFault(
                        f"asked for {span}, it tells {len(found)} {rung}s too many or too few"
                    )


class _Places:
    """Which tombstone holds a memory; asked for many of them."""

    def __init__(self, tombstones: Sequence[Tombstone]) -> None:
        self._of: dict[tuple[Rung, int], list[Span]] = {}
        for rung in RUNGS:
            for one in tombstones:
                if RUNGS.index(one.lost) >= RUNGS.index(rung):
                    self._of.setdefault((rung, one.epoch), []).append(one.span)
        self._of = {key: merged_spans(spans) for key, spans in self._of.items()}

    def hold(self, memory: Moment, rung: Rung) -> bool:
        """Whether memories of this rung were forgotten in all of its span."""
        span = memory.span
        return any(
            one.start_s <= span.start_s and span.end_s <= one.end_s
            for one in self._of.get((rung, memory.epoch), ())
        )


def _told(memories: Mapping[str, Moment], ids: Iterable[str]) -> str:
    one = memories[min(ids)]
    return f"the {one.rung} of {one.span} in epoch {one.epoch}"


def _whole(stream: _Stream) -> Span:
    spans = [one.span for one in stream.moments] + [one.span for one in stream.gaps]
    return Span(min(one.start_s for one in spans), max(one.end_s for one in spans))


def _search_faults(snapshot: Snapshot, how: str) -> Iterator[IntegrityFault]:
    """The last moment of each stream that is left is found by what it says."""
    for name in STREAMS:
        for moment in snapshot.latest(name):
            span = Span(moment.span.start_s - 30.0, moment.span.end_s)
            hits = snapshot.search(moment.caption, streams=[name], span=span, limit=10)
            if moment.id not in [hit.moment.id for hit in hits]:
                yield IntegrityFault(
                    f"{name}: {how}, the last moment is not found: {moment.caption!r} of {moment.span}"
                )


def _erasing_faults(folder: Path, told: ExpectedContents) -> Iterator[IntegrityFault]:
    """Once somebody was told that it is gone, no file holds it."""
    needles = {one.needle: one for one in told.erasings if one.purged and one.needle is not None}
    for needle, names in files_with(folder, needles).items():
        if names:
            yield IntegrityFault(
                f"{needles[needle].stream}: {needles[needle].span} was erased, and is in {', '.join(names)}"
            )
    if not told.erasing and (folder / PENDING).exists():
        yield IntegrityFault(f"all that was to be erased is, and {PENDING} says otherwise")


def files_with(folder: Path, needles: Iterable[bytes]) -> dict[bytes, list[str]]:
    """The files that hold these bytes."""
    found: dict[bytes, list[str]] = {needle: [] for needle in needles}
    for path in sorted(folder.rglob("*")) if found else ():
        if path.is_file():
            held = path.read_bytes()
            for needle, names in found.items():
                if needle in held:
                    names.append(str(path.relative_to(folder)))
    return found
