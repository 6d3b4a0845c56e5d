"""A memory on disk, and the right to add to it.

    with MemoryStore.open("kitchen", write=True) as store:
        store.put_stream(stream)
        store.append(moments, frames)
    with MemoryStore.open("kitchen") as store:
        store.snapshot().search("a red car")

Moments are appended in stream order and never edited; a second look adds an observation beside
the first. What waits to be described by somebody stands in a backlog, which outlives its writer too.
One process appends, any number read meanwhile, each through a ``Snapshot``. What ``append`` returned
from is safe from then on, also from ``kill -9``. In the writing process one thread may append while
another describes. The store knows nothing of video, models or questions.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from .encoder import Encoder
from .errors import BudgetFull, NotAMemory, UnknownStream
from .keeping.disk_budget import DiskBudget, check_budget
from .keeping.disk_usage import DiskUsage, measure_usage
from .keeping.erasure import Erasure, ErasureReceipt, OnWait
from .keeping.eviction_policy import weight_of_use
from .keeping.maintenance import Maintenance
from .keeping.pins import Pins
from .query.filters import overlap_filter
from .query.snapshot import Snapshot
from .storage import tables
from .storage.backlog import Backlog
from .storage.commits import CommitHead, Commits, Transaction
from .storage.leases import KEEP_VERSIONS_S, ReadLease
from .storage.manifest import (
    Manifest,
    detect_replaced_vectors,
    is_unused_folder,
    new_manifest,
    read_manifest,
    write_manifest,
)
from .storage.migrations import apply_migrations, migrate
from .storage.rows import (
    description_row,
    frame_row,
    gap_row,
    gaps_from,
    observation_rows,
    parse_records,
    second_look_row,
    stream_from,
    stream_row,
    tombstones_from,
    use_row,
)
from .storage.tables import (
    MIN_FREE_BYTES,
    Table,
    Tables,
    View,
    all_of,
    latest_view,
    one_of,
    open_view,
    quoted,
    require_free_space,
    select,
    table_exists,
    table_kind,
)
from .storage.vectors import frame_vector_rows, moments_of_frames, text_vector_rows
from .storage.writer_lock import WriterLock
from .values import (
    BacklogCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Pending,
    Pin,
    Rung,
    Span,
    Stream,
    Use,
    extents_of,
)

_COMMIT_BYTES, _OVERHEAD = 256 << 10, 1.2
"""What a commit takes at most: the list of its table's files, for each table, and so many times its rows."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where the memory of a stream ends."""

    end_s: float
    """End of its last moment or gap, whichever is later, in stream time."""
    epoch: int
    """The last moment's epoch."""
    shot: int
    """The last moment's shot."""
    moments: int
    """How many moments it holds."""


class MemoryStore:
    """One memory. Open it with ``MemoryStore.open``; close it, or use it as a context."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        *,
        encoder: Encoder | None,
        manifest: Manifest,
        lock: WriterLock | None,
        min_free_bytes: int,
        keep_versions_s: float,
    ) -> None:
        self.path = folder
        self._tables = opened
        self._encoder = encoder
        self._lock = lock
        self._min_free_bytes = min_free_bytes
        self._commits = Commits(folder)
        self._backlog = Backlog(opened.backlog)
        self._manifest = manifest
        self._ledger = DiskBudget(folder, manifest.budget_bytes)
        self.maintenance = Maintenance(
            folder,
            opened,
            self._commits,
            self._ledger,
            stream_budgets=manifest.stream_budgets,
            min_free_bytes=min_free_bytes,
            keep_versions_s=keep_versions_s,
        )
        """Compaction, eviction and deletion of old versions."""
        self._pins = Pins(folder, opened, self._commits, manifest.budget_bytes)
        self._settled: set[str] = set()
        self._pinning = threading.Lock()
        self._pinned: tuple[CommitHead, Tables] | None = None
        if lock is not None:
            # What a crash left half done is undone, and the tables that were just made are named.
            self._commits.publish(opened)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        write: bool = False,
        encoder: Encoder | None = None,
        budget_bytes: int | None = None,
        stream_budgets: Mapping[str, int] | None = None,
        min_free_bytes: int = MIN_FREE_BYTES,
        keep_versions_s: float = KEEP_VERSIONS_S,
        what: str = "a writer",
    ) -> MemoryStore:
        """Open the memory in the folder ``path``.

        With ``write`` it is made where there is none, and nobody else can write until it is closed;
        ``what`` tells others why. Without, it must exist. A memory of an older schema is brought to the
        present one. ``encoder`` must be the one that made the memory; a reader may leave it out and search by
        words alone. ``min_free_bytes`` are left free on the disk. What was replaced stays for
        ``keep_versions_s`` for readers that may not take a lease.

        ``budget_bytes`` is what the folder may take on the disk from now on, and ``stream_budgets`` what
        streams may take of that, by name; a writer notes both in the memory, where they stay until others are
        given. A new memory has ``DEFAULT_BUDGET_BYTES`` where nothing is said.

        Raises ``NotAMemory``, ``NewerMemory``, ``OlderMemory``, ``EncoderMismatch``, ``MemoryInUse``,
        ``BadBudget``, ``CannotWrite`` or ``DiskFull``.
        """
        folder = Path(path).expanduser()
        for size_bytes in (budget_bytes, *(stream_budgets or {}).values()):
            check_budget(size_bytes)
        if not write:
            manifest = migrate(folder)
            manifest.check_encoder(folder, encoder, required=False)
            opened = Tables.open(folder, encoder=encoder)
            return cls(
                folder,
                opened,
                encoder=encoder,
                manifest=manifest,
                lock=None,
                min_free_bytes=min_free_bytes,
                keep_versions_s=keep_versions_s,
            )
        if not folder.exists():
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise NotAMemory(folder, f"the folder cannot be made ({error.strerror})") from None
        elif not is_unused_folder(folder):
            # Refused before anything is put into a folder that is not ours.
            read_manifest(folder)
        lock = WriterLock(folder, what)
        with require_free_space(folder, min_free_bytes):
            lock.acquire()
            try:
                if is_unused_folder(folder):
                    write_manifest(folder, new_manifest(encoder))
                manifest = apply_migrations(folder)
                manifest.check_encoder(folder, encoder, required=True)
                with_budgets = manifest.with_budgets(budget_bytes, stream_budgets)
                if with_budgets != manifest:
                    write_manifest(folder, with_budgets)
                opened = Tables.open(folder, encoder=encoder, create=True)
                return cls(
                    folder,
                    opened,
                    encoder=encoder,
                    manifest=with_budgets,
                    lock=lock,
                    min_free_bytes=min_free_bytes,
                    keep_versions_s=keep_versions_s,
                )
            except BaseException:
                lock.release()
                raise

    def close(self) -> None:
        """Let the next writer in; what was appended is already safe."""
        if self._lock is not None:
            self.maintenance.close()
            self._lock.release()
            self._lock = None

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(
        self,
        moments: Sequence[Moment],
        frames: Sequence[KeyFrame] = (),
        waiting: Sequence[Pending] = (),
    ) -> None:
        """Remember moments of any rung, with the pictures they name; all of them or none.

        Those of them that are to be described later are named by ``waiting`` and put in the backlog
        first, so that none is forgotten. The moments become visible, and safe, in one step at the end.
        Called again with the same moments after an error or a crash, it adds only what is missing.
        Raises ``DiskFull``; what was remembered before stays.
        """
        known = self._known_of_unsettled(moments)
        moments = [moment for moment in moments if moment.id not in known]
        named = {frame_id: moment for moment in moments for frame_id in moment.frame_ids}
        frames = [frame for frame in frames if frame.id in named or not known]
        sizes = {frame.id: len(frame.jpeg) for frame in frames}
        added = [
            row
            for moment in moments
            for row in observation_rows(
                moment, sum(sizes.get(key, 0) for key in moment.frame_ids) if moment.rung == "moment" else 0
            )
        ]
        latest_s = max((row["written_at_s"] for row in added), default=time.time())
        written_at_s = {key: moment.observations[0].written_at_s for key, moment in named.items()}
        pictures = [frame_row(frame, written_at_s.get(frame.id, latest_s)) for frame in frames]
        of_frame = moments_of_frames(added)
        seen = [(frame.id, frame.jpeg, of_frame[frame.id]) for frame in frames if frame.id in of_frame]
        frame_vectors = frame_vector_rows(self._encoder, seen)
        text_vectors = text_vector_rows(self._encoder, added)
        streams = {row["stream"] for row in (*added, *pictures)}
        self._settled -= streams
        stream_bytes: Counter[str] = Counter()
        for row in (*added, *pictures):
            stream_bytes[row["stream"]] += row["bytes"]
        vectors = len(text_vectors) + len(frame_vectors)
        vector_bytes = 0 if self._encoder is None else vectors * (4 * self._encoder.dim + 200)
        with self._change(stream_bytes, vector_bytes) as change:
            change.append(self._tables.frames, pictures)
            change.append(self._tables.frame_vectors, frame_vectors)
            change.append(self._tables.text_vectors, text_vectors)
            change.append(self._tables.observations, added)
            change.extents = extents_of(moments)
            # Last: who describes looks at the queue as it is, and finds nothing there that is not there yet.
            self._backlog.add(change, [item for item in waiting if item.moment_id not in known])
        self._settled |= streams

    def write_back(self, moment: Moment, observation: Observation) -> None:
        """Add what a second look saw to a moment in the memory; the same look twice is kept once.

        Where the moment is forgotten by now, so is the look. Needs no writer's lock: a question may do it while a stream is being watched.
        """
        row = second_look_row(moment, observation)
        vectors = text_vector_rows(self._encoder, [row])
        with self._change({row["stream"]: row["bytes"]}) as change:
            there = self._rows_of({moment.id})
            if row["id"] in there or not there:
                return
            change.append(self._tables.observations, [row])
            if self._tables.text_vectors is not None:
                with detect_replaced_vectors(self.path, self._encoder):
                    change.append(self._tables.text_vectors, vectors)

    def note_uses(self, uses: Sequence[Use]) -> None:
        """Note which stretches served somebody: they are forgotten later than others.

        Needs no writer's lock, as a second look needs none.
        """
        with self._change() as change:
            change.append(self._tables.uses, [use_row(use) for use in uses])

    def used(self, stream: str, span: Span) -> float:
        """How much a stretch of a stream served somebody: 0 never, 1 where it was cited once, just now."""
        where = all_of(f"stream = {quoted(stream)}", overlap_filter(span))
        uses = select(self._finished(self._tables.uses), where=where, columns=["how", "at_s"])
        return sum(weight_of_use(use["how"], time.time() - use["at_s"]) for use in uses)

    # -- what waits to be described -------------------------------------------------------------------

    def enqueue(self, items: Sequence[Pending]) -> None:
        """Have memories that are there already described; one that was given up gets another chance."""
        with self._change() as change:
            self._backlog.put(change, items)

    def backlog(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The next ``limit`` that can be described now, of one stream or of all, the next first.

        The newest minute of queueing goes first, and in it the most eventful; what has failed before
        goes last. An event, hour or day is left out while anything it is made of waits.
        """
        return self._backlog.ready(limit=limit, stream=stream)

    def described(self, results: Sequence[tuple[Moment, Observation]]) -> None:
        """Add descriptions to memories, which then wait no longer.

        What a writer said of a moment is kept once: the first description stays. What was forgotten meanwhile
        is not described.
        """
        told = {row["id"]: row for row in (description_row(moment, said) for moment, said in results)}
        vectors = text_vector_rows(self._encoder, list(told.values()))
        with self._change({row["stream"]: row["bytes"] for row in told.values()}) as change:
            there = self._rows_of({moment.id for moment, _ in results})
            new = {
                key: row
                for key, row in told.items()
                if key not in there and row["moment_id"] in there.values()
            }
            change.append(self._tables.text_vectors, [row for row in vectors if row["id"] in new])
            change.append(self._tables.observations, list(new.values()))
            self._backlog.remove(change, (moment.id for moment, _ in results))

    def failed(self, item: Pending, error: str) -> None:
        """Describing it was tried in vain; after ``MAX_ATTEMPTS`` it is given up, and the error kept."""
        with self._change() as change:
            self._backlog.failed(change, item, error)

    def not_to_describe(self, moment_ids: Collection[str]) -> None:
        """There is nothing to describe in these memories, so they wait no longer."""
        with self._change() as change:
            self._backlog.remove(change, moment_ids)

    def waiting(self, stream: str | None = None) -> int:
        """How many wait to be described, of one stream or of all."""
        return len(self._backlog.ids(stream))

    def backlog_counts(self) -> dict[str, BacklogCounts]:
        """How much waits to be described and was given up, by stream; streams without either are left out."""
        return self._backlog.counts()

    def not_described(self, written_by: Mapping[Rung, str], stream: str | None = None) -> list[str]:
        """The memories that neither wait nor were described by the writer named for their rung."""
        of_stream = None if stream is None else f"stream = {quoted(stream)}"
        done = " OR ".join(
            f"rung = {quoted(rung)} AND written_by = {quoted(writer)}" for rung, writer in written_by.items()
        )
        columns = ["moment_id"]
        base, told = (
            tables.select_arrow(
                self._finished(self._tables.observations), where=all_of(of_stream, kept), columns=columns
            )
            for kept in ("base", done)
        )
        described = {*told["moment_id"].to_pylist(), *self._backlog.ids(stream).to_pylist()}
        return [moment_id for moment_id in base["moment_id"].to_pylist() if moment_id not in described]

    # -- streams and gaps -----------------------------------------------------------------------------

    def put_stream(self, stream: Stream) -> None:
        """Add a stream, or overwrite the one of that name."""
        with self._change() as change:
            change.upsert(self._tables.streams, "name", [stream_row(stream)])

    def put_gap(self, gap: Gap, *, written_at_s: float | None = None) -> None:
        """Add a gap, or what became of it since; ``written_at_s`` (Unix seconds) is now by default."""
        row = gap_row(gap, time.time() if written_at_s is None else written_at_s)
        with self._change() as change:
            change.upsert(self._tables.gaps, "revision_id", [row])

    def streams(self) -> list[Stream]:
        """Every stream, by name."""
        found = (stream_from(row) for row in select(self._finished(self._tables.streams)))
        return sorted(found, key=lambda stream: stream.name)

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        found = select(self._finished(self._tables.streams), where=f"name = {quoted(name)}")
        return stream_from(found[0]) if found else None

    def stream_with_content(self, content_id: str) -> Stream | None:
        """The stream made of this very file or address, or None."""
        return next((stream for stream in self.streams() if stream.content_id == content_id), None)

    def resume(self, stream_name: str) -> ResumePoint | None:
        """Where to go on watching a stream; None where nothing of it was remembered."""
        of_stream = f"stream = {quoted(stream_name)}"
        moments = f"{of_stream} AND base AND rung = 'moment'"
        observations = self._finished(self._tables.observations)
        # The last moment, or, where it is forgotten, what stands for it.
        last = [
            told
            for where in (moments, f"{of_stream} AND base")
            for told in parse_records(
                row["record"]
                for row in select(
                    observations,
                    where=where,
                    columns=["record", "end_s"],
                    order_by="end_s",
                    descending=True,
                    limit=1,
                )
            )
        ]
        gaps = gaps_from(select(self._finished(self._tables.gaps), where=of_stream))
        forgotten = tombstones_from(select(self._finished(self._tables.tombstones), where=of_stream))
        if not last:
            # No part of a batch can be there already.
            self._settled.add(stream_name)
        others = [(gap.span.end_s, gap.epoch) for gap in gaps]
        others += [(one.span.end_s, one.epoch) for one in forgotten]
        ends = [(row["end_s"], row["epoch"]) for row in last]
        if not ends and not others:
            return None
        return ResumePoint(
            end_s=max(end_s for end_s, _ in (*ends, *others)),
            epoch=max(epoch for _, epoch in ends or others),
            shot=last[0]["shot"] if last else 0,
            moments=observations.count_rows(moments),
        )

    def snapshot(self, as_of_s: float | None = None) -> Snapshot:
        """The memory as it is now, and stays for who holds it, whatever is written or cleaned up meanwhile.

        With ``as_of_s`` (Unix seconds), only what had been written by then.
        Raises ``EncoderMismatch`` where the vectors were replaced by another encoder's meanwhile.
        """
        read_manifest(self.path).check_encoder(self.path, self._encoder, required=False)
        lease = ReadLease.take(self.path)
        head, pinned = self._pin()
        lease.hold(head.versions)
        return Snapshot(
            pinned,
            extents=head.extents,
            folder=self.path,
            encoder=self._encoder,
            as_of_s=as_of_s,
            lease=lease,
        )

    def _pin(self) -> tuple[CommitHead, Tables]:
        """Views of the last state that was finished; opened once, whoever asks for it."""
        with self._pinning:
            head = self._commits.head()
            if self._pinned is None or self._pinned[0] != head:
                self._pinned = (head, self._tables.views(self.path, head.versions))
            return self._pinned

    def _finished(self, table: Table) -> View:
        """What finished commits left of a table: on a full disk, one may not have been undone yet."""
        newest = latest_view(table)
        version = self._commits.head().versions.get(table.name, newest.version)
        return newest if newest.version == version else newest.checkout_version(version)

    # -- what it takes, and what may not be forgotten --------------------------------------------------

    def pin(self, stream: str, span: Span, note: str = "") -> Pin:
        """Never forget a stretch of a stream for want of room. Needs no writer's lock.

        Raises ``UnknownStream``, ``NothingToPin`` where nothing is remembered there, and ``PinsFull``.
        """
        if self.stream(stream) is None:
            raise UnknownStream(stream, tuple(one.name for one in self.streams()))
        with require_free_space(self.path, self._min_free_bytes):
            return self._pins.add(stream, span, note)

    def unpin(self, pin_id: str) -> bool:
        """Take a pin away; whether there was one."""
        with require_free_space(self.path, self._min_free_bytes):
            return self._pins.remove(pin_id)

    def pins(self) -> list[Pin]:
        """Every pin, by stream and time."""
        return self._pins.all()

    @property
    def budget_bytes(self) -> int:
        """What the memory may take on the disk."""
        return self._manifest.budget_bytes

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Have a stretch of a stream, or all of it, forgotten for good; when this returns no file holds it.

        Of a stretch, whole moments go, with every memory, picture and index that tells of them; the memories above
        are made anew of what is left. Questions that began before are waited for (``on_wait`` is told how many).
        Needs the writer's lock. Raises ``UnknownStream``.
        """
        if self._lock is None:
            raise RuntimeError("only who opened the memory for writing may erase from it")
        if self.stream(stream) is None:
            raise UnknownStream(stream, tuple(one.name for one in self.streams()))
        with require_free_space(self.path, 0):
            receipt = self._eraser().erase(stream, span, on_wait=on_wait)
        self._settled.discard(stream)
        return receipt

    def _eraser(self) -> Erasure:
        return Erasure(self.path, self._tables, self._commits, self.maintenance, self.snapshot, self._encoder)

    def account(self) -> DiskUsage:
        """What the memory takes on the disk, by what it is for."""
        manifest = read_manifest(self.path)
        with ReadLease.take(self.path) as lease:
            head = self._commits.head()
            lease.hold(head.versions)
            # Its vectors take what they take, whoever asks.
            vectors = {
                table_kind(name): open_view(self.path, name, version)
                for name, version in head.versions.items()
                if table_kind(name) in ("text_vectors", "frame_vectors") and table_exists(self.path, name)
            }
            return measure_usage(
                self.path,
                replace(self._tables.views(self.path, head.versions), **vectors),
                budget_bytes=manifest.budget_bytes,
                stream_budgets=manifest.stream_budgets,
                pins=self._pins,
            )

    def set_stream_budget(self, stream: str, budget_bytes: int) -> None:
        """What a stream may take of the memory's budget from now on.

        Raises ``BadBudget``.
        """
        check_budget(budget_bytes)
        with require_free_space(self.path, self._min_free_bytes):
            self._manifest = read_manifest(self.path).with_budgets(None, {stream: budget_bytes})
            write_manifest(self.path, self._manifest)
        self.maintenance.set_stream_budgets(self._manifest.stream_budgets)

    def compact(self) -> None:
        """Forget what is over the budget, merge files and indexes, and delete old versions, all of it now."""
        self._eraser().finish()
        self.maintenance.run(thorough=True, now=True)

    def maintain(self, *, thorough: bool = True) -> None:
        """Fold what was appended into fragments and indexes, and delete versions nobody reads.

        A thread of the writer does it now and then, not thoroughly; worth calling when a file has been watched to
        its end: questions are quickest afterwards. It needs no writer's lock and never changes what is
        remembered. A failure is logged and tried again later.
        """
        self.maintenance.run(thorough=thorough)

    @contextmanager
    def _change(
        self, stream_bytes: Mapping[str, int] | None = None, vector_bytes: int = 0
    ) -> Iterator[Transaction]:
        """Write to the memory: all of it or nothing, and only where there is room.

        ``stream_bytes`` is about how much is written of which stream, and ``vector_bytes`` of vectors.
        """
        size_bytes = _COMMIT_BYTES + int(_OVERHEAD * (sum((stream_bytes or {}).values()) + vector_bytes))
        if not self._ledger.fits(size_bytes):
            if self._lock is None:
                raise BudgetFull(self.path, self._ledger.budget_bytes, self._ledger.used_bytes)
            with require_free_space(self.path, 0):
                self.maintenance.make_room(size_bytes)
        with (
            require_free_space(self.path, self._min_free_bytes),
            self._ledger.writing(size_bytes),
            self._commits.commit() as change,
        ):
            yield change
        if self._lock is not None:
            self.maintenance.note(change.rows, stream_bytes or {})

    def _known_of_unsettled(self, moments: Sequence[Moment]) -> set[str]:
        """Those of these memories that are there, of streams whose last batch is in doubt."""
        unsettled = {moment.id for moment in moments if moment.stream not in self._settled}
        return set(self._rows_of(unsettled).values())

    def _rows_of(self, moment_ids: Set[str]) -> dict[str, str]:
        """The ids of the rows that there are of these memories, each with the memory's."""
        if not moment_ids:
            return {}
        where = one_of("moment_id", moment_ids)
        there = select(self._finished(self._tables.observations), where=where, columns=["id", "moment_id"])
        return {row["id"]: row["moment_id"] for row in there}
