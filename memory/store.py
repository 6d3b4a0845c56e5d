"""Memory store: a memory on disk, open for reading or, in one process at a time, for writing.

    with MemoryStore.open("kitchen", write=True) as store:
        store.put_stream(stream)
        store.append(moments, frames)
    with MemoryStore.open("kitchen") as store:
        store.snapshot().search("a red car")

Moments are appended in stream order and never edited. An inspection adds an observation beside the first. Memories
that wait for a description are kept in a backlog on disk. One process appends. Any number of processes read at the
same time, each through a ``Snapshot``. When ``append`` returns, its moments survive even ``kill -9``. In the writing
process several threads may append, describe and erase at once. The store knows nothing of video, models or questions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from .budgeted_writes import BudgetedWrites
from .committed_tables import CommittedTables
from .descriptions import Descriptions
from .encoder import Encoder
from .errors import NotAMemory, UnknownStream
from .keeping.disk_budget import DiskBudget, check_budget
from .keeping.disk_usage import DiskUsage, measure_usage
from .keeping.erasure import Erasure, ErasureReceipt, OnWait
from .keeping.eviction_policy import weight_of_use
from .keeping.maintenance import Maintenance
from .keeping.pins import Pins
from .keeping.reindexing import OnProgress, ReindexReport, rebuild_vectors
from .moment_appender import MomentAppender
from .query.filters import overlap_filter
from .query.snapshot import Snapshot
from .storage.backlog import Backlog
from .storage.commits import Commits
from .storage.disk_space import MIN_FREE_BYTES, require_free_space
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
from .storage.rows import second_look_row, use_row
from .storage.tables import (
    Tables,
    all_of,
    open_view,
    quoted,
    select,
    table_exists,
    table_kind,
)
from .storage.vectors import text_vector_rows
from .storage.writer_lock import WriterLock
from .stream_catalog import ResumePoint, StreamCatalog
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
)

WRITE_BACK_WAIT_S = 3.0
"""How long a process that is not the writer waits for commits of other processes before it skips a write."""


class MemoryStore:
    """One memory. Open it with ``MemoryStore.open``. Close it, or use it as a context."""

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
        self._lock = lock
        self._keep_versions_s = keep_versions_s
        # A finished answer must not wait forever for a stalled writer.
        self._commits = Commits(folder, None if lock is not None else WRITE_BACK_WAIT_S)
        self._use(opened, encoder, manifest, min_free_bytes)
        if lock is not None:
            # This undoes a commit that a crash interrupted, and names the tables that were just created.
            self._commits.publish(opened)

    def _use(self, opened: Tables, encoder: Encoder | None, manifest: Manifest, min_free_bytes: int) -> None:
        """Use these tables, encoder and manifest."""
        self._tables, self._encoder, self._manifest = opened, encoder, manifest
        budget = DiskBudget(self.path, manifest.budget_bytes)
        self.maintenance = Maintenance(
            self.path,
            opened,
            self._commits,
            budget,
            stream_budgets=manifest.stream_budgets,
            min_free_bytes=min_free_bytes,
            keep_versions_s=self._keep_versions_s,
        )
        """Compaction, eviction and deletion of old versions."""
        self._writes = BudgetedWrites(
            self.path,
            budget,
            self._commits,
            self.maintenance,
            min_free_bytes=min_free_bytes,
            is_writer=self._lock is not None,
        )
        self._backlog = Backlog(opened.backlog)
        self._committed = CommittedTables(self.path, opened, self._commits)
        self._catalog = StreamCatalog(opened, self._committed, self._writes)
        self._appender = MomentAppender(opened, self._committed, self._writes, encoder, self._backlog)
        self._descriptions = Descriptions(opened, self._committed, self._writes, encoder, self._backlog)
        self._pins = Pins(self.path, opened, self._commits, manifest.budget_bytes)

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

        With ``write`` the memory is created if necessary, and no other process can write until it is closed. Their
        error names ``what`` as the purpose. Without ``write`` the memory must exist. A memory of an older schema is
        migrated to the current one. ``encoder`` must be the encoder that made the memory. A reader may leave it out
        and search by text only. ``min_free_bytes`` are left free on the disk. Replaced versions stay for
        ``keep_versions_s``, for readers that may not take a lease.

        ``budget_bytes`` is the disk budget of the folder, and ``stream_budgets`` holds the parts of it that streams
        may take, by name. A writer stores both in the memory, where they stay until other budgets are given. The
        default of a new memory is ``DEFAULT_BUDGET_BYTES``.

        Raises ``NotAMemory``, ``NewerMemory``, ``OlderMemory``, ``EncoderMismatch``, ``MemoryInUse``,
        ``BadBudget``, ``CannotWrite`` or ``DiskFull``.
        """
        folder = Path(path).expanduser()
        for size_bytes in (budget_bytes, *(stream_budgets or {}).values()):
            check_budget(size_bytes)
        if not write:
            manifest = migrate(folder)
            manifest.check_encoder(folder, encoder, required=False)
            Commits(folder).check_tables()
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
            # Raises before anything is written into a folder that is not a memory.
            read_manifest(folder)
        lock = WriterLock(folder, what)
        with require_free_space(folder, min_free_bytes):
            lock.acquire()
            try:
                if is_unused_folder(folder):
                    write_manifest(folder, new_manifest(encoder))
                manifest = apply_migrations(folder)
                Commits(folder).check_tables()
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
        """Release the writer lock. Appended moments are on disk already."""
        if self._lock is not None:
            self.maintenance.close()
            self.maintenance.record_files()
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
        """Append moments of any rung with their key frames, all of them or none.

        ``waiting`` lists the memories that are to be described later. They enter the backlog in the same commit.
        A repeated call with the same moments, after an error or a crash, adds only the missing ones.
        Raises ``DiskFull`` or ``BudgetFull``. The memory is unchanged then.
        """
        self._appender.append(moments, frames, waiting)

    def write_back(self, moment: Moment, observation: Observation) -> None:
        """Add the observation of an inspection to a moment. The same observation is kept once.

        Nothing is added if the moment was evicted or erased meanwhile. It needs no writer lock: a question may call
        it while streams are watched. Raises ``WriterStalled`` if another process hangs inside a commit.
        """
        row = second_look_row(moment, observation)
        vectors = text_vector_rows(self._encoder, [row])
        with self._writes.transaction({row["stream"]: row["bytes"]}) as change:
            stored = self._committed.rows_of({moment.id})
            if row["id"] in stored or not stored:
                return
            change.append(self._tables.observations, [row])
            if self._tables.text_vectors is not None:
                with detect_replaced_vectors(self.path, self._encoder):
                    change.append(self._tables.text_vectors, vectors)

    def note_uses(self, uses: Sequence[Use]) -> None:
        """Record which spans an answer used. They are evicted later than others.

        It needs no writer lock. Raises ``WriterStalled`` if another process hangs inside a commit.
        """
        with self._writes.transaction() as change:
            change.append(self._tables.uses, [use_row(use) for use in uses])

    def used(self, stream: str, span: Span) -> float:
        """How much answers used a span of a stream: 0 if never, 1 if it was cited once, just now."""
        where = all_of(f"stream = {quoted(stream)}", overlap_filter(span))
        uses = select(self._committed.view(self._tables.uses), where=where, columns=["how", "at_s"])
        return sum(weight_of_use(use["how"], time.time() - use["at_s"]) for use in uses)

    # -- the backlog of descriptions -------------------------------------------------------------------

    def enqueue(self, items: Sequence[Pending]) -> None:
        """Queue stored memories for description. Memories that were given up are tried again."""
        self._descriptions.enqueue(items)

    def backlog(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The next ``limit`` memories that can be described now, of one stream or of all, in that order.

        Memories queued in the newest minute come first, the most eventful of them before others. Memories that
        failed before come last. An event, hour or day is left out while a part of it waits.
        """
        return self._backlog.ready(limit=limit, stream=stream)

    def described(self, results: Sequence[tuple[Moment, Observation]]) -> None:
        """Add descriptions to memories, and remove these from the backlog.

        The first description of each writer is kept. Evicted or erased memories are skipped.
        """
        self._descriptions.add(results)

    def failed(self, item: Pending, error: str, *, is_charged: bool = True) -> None:
        """Record a failed attempt to describe a memory. After ``MAX_ATTEMPTS`` it is given up, and the error kept.

        If the server is at fault, the error is kept and the attempt not ``is_charged``.
        """
        self._descriptions.note_failure(item, error, is_charged=is_charged)

    def not_to_describe(self, moment_ids: Collection[str]) -> None:
        """Remove memories from the backlog, because nothing in them can be described."""
        self._descriptions.remove(moment_ids)

    def waiting(self, stream: str | None = None) -> int:
        """The length of the backlog, of one stream or of all."""
        return len(self._backlog.ids(stream))

    def backlog_counts(self) -> dict[str, BacklogCounts]:
        """The numbers of waiting and given-up memories, by stream. Streams without either are left out."""
        return self._backlog.counts()

    def not_described(self, written_by: Mapping[Rung, str], stream: str | None = None) -> list[str]:
        """The memories that neither wait nor were described by the writer named for their rung."""
        return self._descriptions.not_described(written_by, stream)

    # -- streams and gaps -----------------------------------------------------------------------------

    def put_stream(self, stream: Stream) -> None:
        """Add a stream, or overwrite the one of that name."""
        self._catalog.put_stream(stream)

    def put_gap(self, gap: Gap, *, written_at_s: float | None = None) -> None:
        """Add a gap, or its new state. ``written_at_s`` (Unix seconds) is now by default."""
        self._catalog.put_gap(gap, written_at_s)

    def streams(self) -> list[Stream]:
        """Every stream, by name."""
        return self._catalog.streams()

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        return self._catalog.stream(name)

    def stream_with_content(self, content_id: str) -> Stream | None:
        """The stream of the file or address with this content id, or None."""
        return next((stream for stream in self.streams() if stream.content_id == content_id), None)

    def resume(self, stream_name: str) -> ResumePoint | None:
        """The point at which to resume watching a stream. None if nothing of it is stored."""
        point = self._catalog.resume(stream_name)
        if point is None:
            self._appender.settle(stream_name)
        return point

    def snapshot(self, as_of_s: float | None = None) -> Snapshot:
        """A snapshot of the memory. Later writes and deletions do not change it.

        With ``as_of_s`` (Unix seconds) it holds only rows that had been written by then.
        Raises ``EncoderMismatch`` if the memory was reindexed with another encoder meanwhile.
        """
        read_manifest(self.path).check_encoder(self.path, self._encoder, required=False)
        lease = ReadLease.take(self.path)
        head, views = self._committed.at_head()
        lease.hold(head.versions)
        return Snapshot(
            views,
            extents=head.extents,
            folder=self.path,
            encoder=self._encoder,
            as_of_s=as_of_s,
            lease=lease,
        )

    @property
    def min_free_bytes(self) -> int:
        """Bytes left free on the disk. May be set."""
        return self._writes.min_free_bytes

    @min_free_bytes.setter
    def min_free_bytes(self, size_bytes: int) -> None:
        self._writes.min_free_bytes = size_bytes

    # -- disk usage, pins and erasure --------------------------------------------------

    def pin(self, stream: str, span: Span, note: str = "") -> Pin:
        """Protect a span of a stream from eviction. It needs no writer lock.

        Raises ``UnknownStream``, ``NothingToPin`` if nothing is stored in the span, and ``PinsFull``.
        """
        if self.stream(stream) is None:
            raise self._unknown(stream)
        with require_free_space(self.path, self.min_free_bytes):
            return self._pins.add(stream, span, note)

    def unpin(self, pin_id: str) -> bool:
        """Remove a pin. Returns whether it existed."""
        with require_free_space(self.path, self.min_free_bytes):
            return self._pins.remove(pin_id)

    def pins(self) -> list[Pin]:
        """All pins, by stream and time."""
        return self._pins.all()

    @property
    def budget_bytes(self) -> int:
        """The disk budget of the memory."""
        return self._manifest.budget_bytes

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a span of a stream, or the whole stream, for good. Afterwards no file of the memory holds it.

        Whole moments are erased, with their pictures, index entries, and the memories of higher rungs that summarise
        them. These are rebuilt from the remaining moments. The call waits for questions that began before it:
        ``on_wait`` is called with their number. It needs the writer lock, and may use the reserve of free space on
        the disk. Raises ``UnknownStream``.
        """
        if self._lock is None:
            raise RuntimeError("open the memory with write=True to erase from it")
        if self.stream(stream) is None:
            raise self._unknown(stream)
        with require_free_space(self.path, 0):
            receipt = self._eraser().erase(stream, span, on_wait=on_wait)
        self._appender.unsettle(stream)
        return receipt

    def _eraser(self) -> Erasure:
        return Erasure(self.path, self._tables, self._commits, self.maintenance, self.snapshot, self._encoder)

    def account(self) -> DiskUsage:
        """The memory's disk usage, by purpose."""
        manifest = read_manifest(self.path)
        with ReadLease.take(self.path) as lease:
            head = self._commits.head()
            lease.hold(head.versions)
            # Vectors of any encoder count, even if the memory was opened without an encoder.
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
        """Set the part of the memory's disk budget that a stream may take.

        Raises ``BadBudget``.
        """
        check_budget(budget_bytes)
        with require_free_space(self.path, self.min_free_bytes):
            self._manifest = read_manifest(self.path).with_budgets(None, {stream: budget_bytes})
            write_manifest(self.path, self._manifest)
        self.maintenance.set_stream_budgets(self._manifest.stream_budgets)

    def compact(self) -> None:
        """Evict to the disk budget, merge files and indexes, and delete old versions, all at once.

        It may use the reserve of free space on the disk, because it frees space in the end.
        """
        self._eraser().finish()
        self.maintenance.run(thorough=True, now=True)

    def reindex(
        self,
        encoder: Encoder | None,
        *,
        on_progress: OnProgress | None = None,
        paused: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> ReindexReport:
        """Rebuild all vectors with another encoder, or drop them, and use that encoder afterwards.

        Other threads may use the store meanwhile, except inside the block of ``paused``, which covers the switch.
        It needs the writer lock. Raises ``CannotWrite`` or ``DiskFull``, and errors of the encoder.
        """
        if self._lock is None:
            raise RuntimeError("open the memory with write=True to reindex it")

        @contextmanager
        def switching() -> Iterator[None]:
            with paused():
                self.maintenance.close()
                try:
                    yield
                finally:
                    manifest = read_manifest(self.path)
                    in_use = self._encoder if _made_by(manifest, self._encoder) else encoder
                    self._use(Tables.open(self.path, encoder=in_use), in_use, manifest, self.min_free_bytes)

        return rebuild_vectors(
            self.path,
            encoder,
            on_progress=on_progress,
            min_free_bytes=self.min_free_bytes,
            paused=switching,
        )

    def maintain(self, *, thorough: bool = True) -> None:
        """Merge appended rows into fragments and indexes, and delete versions that no reader uses.

        A thread of the writer does this from time to time, less thoroughly. Call it when a file was watched to its
        end: questions are fastest afterwards. It needs no writer lock and does not change the content. A failure is
        logged, and a later run tries again.
        """
        self.maintenance.run(thorough=thorough)

    def _unknown(self, stream: str) -> UnknownStream:
        return UnknownStream(stream, tuple(stored.name for stored in self.streams()))


def _made_by(manifest: Manifest, encoder: Encoder | None) -> bool:
    """Whether the memory's vectors are those of ``encoder``."""
    return manifest == manifest.with_encoder(encoder)
