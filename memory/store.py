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

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from ..errors import NotAMemory
from . import schema, tables
from .backlog import Backlog
from .encoder import Encoder
from .leases import KEEP_S, Lease, needed_since_s
from .lock import WriterLock
from .manifest import is_vacant, read_manifest, using_vectors, write_manifest
from .snapshot import Snapshot
from .tables import MIN_FREE_BYTES, Tables, all_of, one_of, quoted, room_to_write, select
from .values import BacklogCounts, Gap, KeyFrame, Moment, Observation, Pending, Rung, Stream
from .vectors import frame_vector_rows, moments_of_frames, text_vector_rows

log = logging.getLogger(__name__)

_TIDY_COMMITS = 32
_TIDY_ROWS = 1024
_TIDY_FRAME_ROWS = 512


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
        lock: WriterLock | None,
        min_free_bytes: int,
        keep_versions_s: float,
    ) -> None:
        self.path = folder
        self._tables = opened
        self._encoder = encoder
        self._lock = lock
        self._min_free_bytes = min_free_bytes
        self._keep_versions_s = keep_versions_s
        self._backlog = Backlog(folder, create=lock is not None)
        self._settled: set[str] = set()
        self._arriving: set[str] = set()
        # What is queued and not there yet is either on its way or left by a crash; held while that is told apart.
        self._queueing = threading.Lock()
        self._counting = threading.Lock()
        # Whatever rewrites rows may collide with another rewrite of the same table, so one at a time.
        self._rewriting = threading.RLock()
        self._commits = self._rows = self._frame_rows = 0
        if lock is not None:
            self._commits, self._rows = tables.waiting(opened.observations)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        write: bool = False,
        encoder: Encoder | None = None,
        min_free_bytes: int = MIN_FREE_BYTES,
        keep_versions_s: float = KEEP_S,
        what: str = "a writer",
    ) -> MemoryStore:
        """Open the memory in the folder ``path``.

        With ``write`` it is made where there is none, and nobody else can write until it is closed;
        ``what`` tells others why. Without, it must exist. ``encoder`` must be the one that made the
        memory; a reader may leave it out and search by words alone. ``min_free_bytes`` are left free on
        the disk. What was replaced stays for ``keep_versions_s`` for readers that may not take a lease.

        Raises ``NotAMemory``, ``NewerMemory``, ``EncoderMismatch``, ``MemoryInUse`` or ``DiskFull``.
        """
        folder = Path(path).expanduser()
        if not write:
            manifest = read_manifest(folder)
            manifest.check_encoder(folder, encoder, required=False)
            opened = Tables.open(folder, encoder=encoder)
            return cls(
                folder,
                opened,
                encoder=encoder,
                lock=None,
                min_free_bytes=min_free_bytes,
                keep_versions_s=keep_versions_s,
            )
        if not folder.exists():
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise NotAMemory(folder, f"the folder cannot be made ({error.strerror})") from None
        elif not is_vacant(folder):
            # Refused before anything is put into a folder that is not ours.
            read_manifest(folder)
        lock = WriterLock(folder, what)
        lock.acquire()
        try:
            with room_to_write(folder, min_free_bytes):
                manifest = write_manifest(folder, encoder) if is_vacant(folder) else read_manifest(folder)
                manifest.check_encoder(folder, encoder, required=True)
                opened = Tables.open(folder, encoder=encoder, create=True)
            return cls(
                folder,
                opened,
                encoder=encoder,
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
        rows = [row for moment in moments for row in schema.observation_rows(moment)]
        written_at_s = {
            frame_id: moment.observations[0].written_at_s
            for moment in moments
            for frame_id in moment.frame_ids
        }
        latest_s = max((row["written_at_s"] for row in rows), default=time.time())
        pictures = [schema.frame_row(frame, written_at_s.get(frame.id, latest_s)) for frame in frames]
        streams = {row["stream"] for row in (*rows, *pictures)}
        of_frame = moments_of_frames(rows)
        seen = [(frame.id, frame.jpeg, of_frame[frame.id]) for frame in frames if frame.id in of_frame]
        frame_vectors = frame_vector_rows(self._encoder, seen)
        text_vectors = text_vector_rows(self._encoder, rows)
        # An upsert costs three appends: it is kept for the batch of which a crash or an error
        # may have left a part.
        settled = streams <= self._settled
        self._settled -= streams
        arriving = {item.moment_id for item in waiting}
        try:
            with room_to_write(self.path, self._min_free_bytes):
                with self._queueing:
                    self._arriving |= arriving
                    self._backlog.add(waiting)
                for table, added in (
                    (self._tables.frames, pictures),
                    (self._tables.frame_vectors, frame_vectors),
                    (self._tables.text_vectors, text_vectors),
                    (self._tables.observations, rows),
                ):
                    if added and settled:
                        tables.append(table, added)
                    elif added:
                        with self._rewriting:
                            tables.upsert(table, "id", added)
        finally:
            self._arriving -= arriving
        self._settled |= streams
        self._count(len(rows), len(pictures))

    def write_back(self, moment: Moment, observation: Observation) -> None:
        """Add what a second look saw to a moment in the memory; the same look twice is kept once.

        Needs no writer's lock: a question may do it while a stream is being watched.
        """
        row = schema.second_look_row(moment, observation)
        vectors = text_vector_rows(self._encoder, [row])
        with room_to_write(self.path, self._min_free_bytes):
            tables.upsert(self._tables.observations, "id", [row])
            if vectors and self._tables.text_vectors is not None:
                with using_vectors(self.path, self._encoder):
                    tables.upsert(self._tables.text_vectors, "id", vectors)
        if self._lock is not None:
            self._count(1, 0)

    # -- what waits to be described -------------------------------------------------------------------

    def enqueue(self, items: Sequence[Pending]) -> None:
        """Have memories that are there already described; one that was given up gets another chance."""
        with room_to_write(self.path, self._min_free_bytes):
            self._backlog.put(items)

    def backlog(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The next ``limit`` that can be described now, of one stream or of all, the next first.

        The newest minute of queueing goes first, and in it the most eventful; what has failed before
        goes last. An event, hour or day is left out while anything it is made of waits. What was
        queued by a writer that died before it remembered the moment is dropped, by the next writer.
        """
        while True:
            items = self._backlog.ready(limit=limit, stream=stream)
            there = self._known(item.moment_id for item in items)
            lost = {item.moment_id for item in items} - there
            if not (lost and self._lock and self._drop(lost)):
                return [item for item in items if item.moment_id in there]

    def _drop(self, lost: set[str]) -> bool:
        """Drop what of it is neither on its way nor there by now: it will not come. Whether anything was."""
        with self._queueing:
            # The same moments may be on their way again: a film is watched anew from where a crash came.
            orphans = lost - self._arriving
            orphans -= self._known(orphans)
            self._backlog.remove(orphans)
        return bool(orphans)

    def described(self, results: Sequence[tuple[Moment, Observation]]) -> None:
        """Add descriptions to memories, which then wait no longer.

        What a writer said of a moment is kept once: where a crash came between writing and this, the
        first description stays.
        """
        rows = {row["id"]: row for row in (schema.description_row(moment, told) for moment, told in results)}
        of_these = one_of("moment_id", {moment.id for moment, _ in results})
        stored = select(self._tables.observations, where=of_these, columns=["id"])
        new = [row for key, row in rows.items() if key not in {known["id"] for known in stored}]
        vectors = text_vector_rows(self._encoder, new)
        with room_to_write(self.path, self._min_free_bytes):
            if vectors and self._tables.text_vectors is not None:
                with self._rewriting:
                    # A description that a crash kept from being added may have left its vector.
                    tables.upsert(self._tables.text_vectors, "id", vectors, replace=True)
            if new:
                tables.append(self._tables.observations, new)
            self._backlog.remove(moment.id for moment, _ in results)
        self._count(len(new), 0)

    def failed(self, item: Pending, error: str) -> None:
        """Describing it was tried in vain; after ``MOST_ATTEMPTS`` it is given up, and the error kept."""
        with room_to_write(self.path, self._min_free_bytes):
            self._backlog.failed(item, error)
        self._count(1, 0)

    def not_to_describe(self, moment_ids: Collection[str]) -> None:
        """There is nothing to describe in these memories, so they wait no longer."""
        self._backlog.remove(moment_ids)

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
            tables.select_arrow(self._tables.observations, where=all_of(of_stream, kept), columns=columns)
            for kept in ("base", done)
        )
        described = {*told["moment_id"].to_pylist(), *self._backlog.ids(stream).to_pylist()}
        return [moment_id for moment_id in base["moment_id"].to_pylist() if moment_id not in described]

    # -- streams and gaps -----------------------------------------------------------------------------

    def put_stream(self, stream: Stream) -> None:
        """Add a stream, or overwrite the one of that name."""
        with room_to_write(self.path, self._min_free_bytes):
            tables.upsert(self._tables.streams, "name", [schema.stream_row(stream)], replace=True)

    def put_gap(self, gap: Gap, *, written_at_s: float | None = None) -> None:
        """Add a gap, or what became of it since; ``written_at_s`` (Unix seconds) is now by default."""
        row = schema.gap_row(gap, time.time() if written_at_s is None else written_at_s)
        with room_to_write(self.path, self._min_free_bytes):
            tables.upsert(self._tables.gaps, "revision_id", [row], replace=True)

    def streams(self) -> list[Stream]:
        """Every stream, by name."""
        rows = select(self._tables.streams)
        return sorted((schema.stream_from(row) for row in rows), key=lambda stream: stream.name)

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        rows = select(self._tables.streams, where=f"name = {quoted(name)}")
        return schema.stream_from(rows[0]) if rows else None

    def stream_with_content(self, content_id: str) -> Stream | None:
        """The stream made of this very file or address, or None."""
        return next((stream for stream in self.streams() if stream.content_id == content_id), None)

    def resume(self, stream_name: str) -> ResumePoint | None:
        """Where to go on watching a stream; None where nothing of it was remembered.

        Pictures and vectors whose moment was never committed (the writer died between the two) are
        deleted, so that watching on neither loses nor doubles any.
        """
        of_stream = f"stream = {quoted(stream_name)}"
        moments = f"{of_stream} AND base AND rung = 'moment'"
        last = select(
            self._tables.observations,
            where=moments,
            columns=["moment_id", "start_s", "end_s", "epoch", "shot", "frame_ids"],
            order_by="start_s",
            descending=True,
            limit=1,
        )
        gaps = schema.gaps_from(select(self._tables.gaps, where=of_stream))
        end_s = last[0]["end_s"] if last else None
        orphans = of_stream if end_s is None else f"{of_stream} AND time_s >= {end_s!r}"
        if last and last[0]["frame_ids"]:
            orphans = f"{orphans} AND NOT ({one_of('id', last[0]['frame_ids'])})"
        with self._rewriting:
            _delete(self._tables.frames, orphans)
            orphans = of_stream if end_s is None else f"{of_stream} AND start_s >= {end_s!r}"
            for vectors in (self._tables.text_vectors, self._tables.frame_vectors):
                if vectors is not None:
                    _delete(vectors, orphans)
        self._settled.discard(stream_name)
        if end_s is None:
            # No part of a batch can be there already.
            self._settled.add(stream_name)
            if not gaps:
                return None
        ends = [gap.span.end_s for gap in gaps] + ([] if end_s is None else [end_s])
        return ResumePoint(
            end_s=max(ends),
            epoch=last[0]["epoch"] if last else gaps[-1].epoch,
            shot=last[0]["shot"] if last else 0,
            moments=self._tables.observations.count_rows(moments),
        )

    def snapshot(self, as_of_s: float | None = None) -> Snapshot:
        """The memory as it is now, and stays for who holds it, whatever is appended or cleaned up meanwhile.

        With ``as_of_s`` (Unix seconds), only what had been written by then.
        Raises ``EncoderMismatch`` where the vectors were replaced by another encoder's meanwhile.
        """
        read_manifest(self.path).check_encoder(self.path, self._encoder, required=False)
        lease = Lease.take(self.path)
        pinned = self._tables.pinned(self.path)
        return Snapshot(pinned, folder=self.path, encoder=self._encoder, as_of_s=as_of_s, lease=lease)

    def maintain(self, *, thorough: bool = True) -> None:
        """Fold what was appended into fragments and indexes, and delete versions nobody reads.

        ``append`` does it now and then, not thoroughly; worth calling when a file has been watched to
        its end: questions are quickest afterwards. It needs no lock and never changes what is
        remembered. A failure is logged and tried again later.
        """
        with self._counting:
            self._commits = self._rows = self._frame_rows = 0
        since_s = needed_since_s(self.path, self._keep_versions_s)
        tidying: dict[str, Callable[..., None]] = {"backlog": self._backlog.tidy}
        tidying |= {table.name: partial(tables.tidy, table) for table in self._tables.all()}
        for name, tidy in tidying.items():
            try:
                with room_to_write(self.path, self._min_free_bytes), self._rewriting:
                    tidy(needed_since_s=since_s, thorough=thorough)
            except Exception:
                # It only makes questions slower: nothing that was or will be appended depends on it.
                log.warning("could not tidy %s in %s", name, self.path, exc_info=True)

    def _known(self, moment_ids: Iterable[str]) -> set[str]:
        """Those of these memories that are there."""
        there = select(
            self._tables.observations, where=one_of("moment_id", moment_ids), columns=["moment_id"]
        )
        return {row["moment_id"] for row in there}

    def _count(self, rows: int, frame_rows: int) -> None:
        with self._counting:
            self._commits += 1
            self._rows += rows
            self._frame_rows += frame_rows
            due = (
                self._commits >= _TIDY_COMMITS
                or self._rows >= _TIDY_ROWS
                or self._frame_rows >= _TIDY_FRAME_ROWS
            )
            if due:
                # Taken by this thread: another that counts meanwhile finds nothing due.
                self._commits = self._rows = self._frame_rows = 0
        if due:
            self.maintain(thorough=False)


def _delete(table: tables.Table, where: str) -> None:
    """Delete what ``where`` keeps; where that is nothing, no version is made."""
    if table.count_rows(where):
        table.delete(where)
