"""Repair: rebuilds what can be rebuilt of a damaged memory, and records what is lost.

    report = repair_memory(Path("kitchen"), encoder)
    report.repaired, report.lost, report.is_whole

A damaged table is written anew from the rows that can be read and are intact, and replaces the old one when it is
complete. Indexes, vectors, summaries and the rows of streams are made again from other rows. Lost moments become gaps
or tombstones, so that each stream still accounts for its whole time. If the process is killed, the next run continues.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
from lancedb.index import FTS

from .encoder import Encoder
from .errors import MemoryDamaged, UnrepairableSchema
from .keeping.compaction import rebuild_indexes
from .keeping.file_digests import FILE_NAME
from .keeping.ladder_repair import damage_tombstone, lost_parents, missing_children, picture_tombstone
from .keeping.maintenance_lock import maintenance_lock
from .keeping.memory_check import (
    TRACES_NAME,
    CheckReport,
    FoundDamage,
    MemoryCheck,
    check_memory,
    lost_ends,
    lost_pictures,
    missing_vectors,
    orphans,
    unnamed_streams,
)
from .keeping.salvage import Forgotten, distinct_rows, restored_columns, salvaged_rows
from .query.snapshot import Snapshot
from .storage import schema
from .storage.commits import HEAD_NAME, Commits
from .storage.damage import reporting_damage
from .storage.disk_space import require_free_space
from .storage.leases import ReadLease
from .storage.manifest import MANIFEST_NAME, new_manifest, write_manifest
from .storage.rows import tombstone_row, tombstones_from
from .storage.schema import Row
from .storage.tables import (
    Tables,
    connect,
    latest_view,
    make_indexes,
    row_ids_with,
    table_exists,
    table_kind,
    vector_layout,
)
from .storage.writer_lock import WriterLock
from .store import MemoryStore
from .values import Moment, Stream

WORKSHOP = "repair"
"""The folder in the memory's folder in which tables are written anew."""
_BATCH_ROWS = 256
_OLDEST_SCHEMA = 3
"""The first schema whose rows are whole without a migration."""


def repair_memory(folder: Path, encoder: Encoder | None) -> CheckReport:
    """Repair the memory in ``folder``. ``encoder`` must be the one that made its vectors.

    Raises ``NotAMemory``, ``NewerMemory``, ``UnrepairableSchema``, ``EncoderMismatch``, ``MemoryInUse``,
    ``CannotWrite`` or ``DiskFull``. Nothing that can be read is lost then.
    """
    report = check_memory(folder)
    if report.is_whole and not (folder / WORKSHOP).exists():
        return replace(report, was_repaired=True)
    files = _FileRepair(folder, encoder)
    with WriterLock(folder, "repair"), maintenance_lock(folder), require_free_space(folder, 0):
        files.mend()
    references = _ReferenceRepair(folder, encoder)
    with MemoryStore.open(folder, write=True, encoder=encoder, min_free_bytes=0, what="repair") as store:
        references.mend(store)
        store.maintenance.cleaner.delete_old_versions(now=True)
        vectors = store.reindex(encoder) if references.need_vectors else None
    if vectors is not None:
        references.repaired.append(f"{vectors.texts} vectors of texts and {vectors.pictures} of pictures")
    return replace(
        report,
        was_repaired=True,
        repaired=(*files.repaired, *references.repaired),
        lost=(*files.lost, *references.lost),
        remaining=check_memory(folder).damages,
    )


class _FileRepair:
    """Mends the files of one memory: each table can be opened and read afterwards. The caller holds the locks."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        self._folder, self._encoder = folder, encoder
        self.repaired: list[str] = []
        self.lost: list[str] = []

    def mend(self) -> None:
        """Mend every file."""
        self._finish_interrupted()
        check = MemoryCheck(self._folder)
        if check.manifest is not None and check.manifest.schema < _OLDEST_SCHEMA:
            raise UnrepairableSchema(self._folder, check.manifest.schema)
        if check.manifest is None:
            self._mend_manifest()
            check = MemoryCheck(self._folder)
        elif check.manifest.encoder is not None:
            check.manifest.check_encoder(self._folder, self._encoder, required=True)
        damages = list(check.damages())
        self._restore_heads(check)
        for name in check.table_names():
            if name in check.damaged_data:
                self._write_anew(name, check)
            elif name in check.damaged_indexes:
                self._mend_indexes(name, check)
        self._mend_small_files(damages)
        # The tables have other versions now. The next commit head names the newest of each.
        (self._folder / HEAD_NAME).unlink(missing_ok=True)

    def _finish_interrupted(self) -> None:
        """Put tables back that an earlier repair was about to replace."""
        workshop = self._folder / WORKSHOP
        for old in workshop.glob("*.old"):
            place = self._folder / f"{old.stem}.lance"
            if not place.exists():
                old.rename(place)
        shutil.rmtree(workshop, ignore_errors=True)

    def _mend_manifest(self) -> None:
        fits = any(table_exists(self._folder, name) for name in vector_layout(self._encoder))
        write_manifest(self._folder, new_manifest(self._encoder if fits else None))
        self.repaired.append(f"{MANIFEST_NAME}, with the default disk budget")
        self.lost.append(f"the disk budgets in {MANIFEST_NAME}")

    def _restore_heads(self, check: MemoryCheck) -> None:
        """Undo a commit that was interrupted, in the tables that are not written anew."""
        for name, version in check.head.versions.items():
            if table_exists(self._folder, name) and name not in check.damaged_data:
                table = connect(self._folder).open_table(name)
                if table.version != version:
                    table.restore(version)

    def _mend_small_files(self, damages: Iterable[FoundDamage]) -> None:
        parts = {damage.part for damage in damages}
        self.repaired += [part for part in (HEAD_NAME, FILE_NAME) if part in parts]
        # A table that was written anew has other files of the same names.
        (self._folder / FILE_NAME).unlink(missing_ok=True)
        if TRACES_NAME in parts:
            for path in self._folder.glob(f"{TRACES_NAME}*"):
                path.unlink(missing_ok=True)
            self.lost.append("the traces of earlier questions")

    def _mend_indexes(self, name: str, check: MemoryCheck) -> None:
        """Make the indexes of a table again from its rows, and the record of its last transaction."""
        try:
            with reporting_damage(self._folder):
                table = connect(self._folder).open_table(name)
                rebuild_indexes(table)
                make_indexes(table, FTS)
                # A new version does not need the transaction file of the old one.
                latest_view(table).restore()
        except MemoryDamaged:
            self._write_anew(name, check)
        else:
            self.repaired.append(f"the indexes of the table of {_words(name)}")

    def _write_anew(self, name: str, check: MemoryCheck) -> None:
        """Write a table anew from its intact rows, and put it in the place of the old one."""
        kind = table_kind(name)
        columns = schema.TABLES.get(kind) or vector_layout(self._encoder)[name]
        workshop, place = self._folder / WORKSHOP, self._folder / f"{name}.lance"
        workshop.mkdir(exist_ok=True)
        count = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal count
            rows = self._intact_rows(name, check)
            while part := list(islice(rows, _BATCH_ROWS)):
                count += len(part)
                full = [restored_columns(kind, row, columns) for row in part]
                yield pa.RecordBatch.from_pylist(full, schema=columns)

        with reporting_damage(self._folder):
            reader = pa.RecordBatchReader.from_batches(columns, batches())
            table = connect(workshop).create_table(name, data=reader, schema=columns)
            make_indexes(table)
        if place.exists():
            place.rename(workshop / f"{name}.old")
        (workshop / place.name).rename(place)
        shutil.rmtree(workshop)
        self.repaired.append(f"the table of {_words(name)}, from the {count} rows that are intact")
        if kind not in ("observations", "frames", "streams", "text_vectors", "frame_vectors"):
            self.lost.append(f"rows of the table of {_words(name)} that could not be read, if there were any")

    def _intact_rows(self, name: str, check: MemoryCheck) -> Iterator[Row]:
        kind, from_files = table_kind(name), name in check.damaged_versions
        skipped = check.damaged_files.get(name, set()) if kind.endswith("_vectors") else set()
        version = check.head.versions.get(name)
        rows = salvaged_rows(self._folder, name, version, from_files=from_files, skipped=skipped)
        if from_files and kind != "tombstones":
            # Data files still hold rows that were deleted.
            stones = salvaged_rows(self._folder, "tombstones", check.head.versions.get("tombstones"))
            forgotten = Forgotten(tombstones_from(stones))
            rows = (row for row in rows if not forgotten.has(kind, row))
        return distinct_rows(kind, rows)


class _ReferenceRepair:
    """Mends what the rows of one memory say of each other. Its tables can be read."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        self._folder, self._encoder = folder, encoder
        self.repaired: list[str] = []
        self.lost: list[str] = []
        self.need_vectors = False

    def mend(self, store: MemoryStore) -> None:
        """Mend the streams, the summaries and the account of time, and look whether vectors are missing."""
        snapshot, views = self._read()
        for name in unnamed_streams(views):
            store.put_stream(_stream_of(name, snapshot.latest(name)))
            self.repaired.append(f"the row of the stream {name}")
            self.lost.append(f"the source of the stream {name}")
        for name in snapshot.overviews():
            parents = lost_parents(snapshot, name)
            store.append(parents)
            if parents:
                self.repaired.append(f"{len(parents)} summaries of {name}")
        self._record_losses(store)
        self.need_vectors = self._encoder is not None and any(missing_vectors(views))

    def _record_losses(self, store: MemoryStore) -> None:
        """Record what is lost: as tombstones where something of it is left, and else as gaps."""
        snapshot, views = self._read()
        now_s, stones = time.time(), []
        for moment, pictures in lost_pictures(snapshot, views):
            stones.append(picture_tombstone(moment, pictures, now_s))
            self.lost.append(
                f"{pictures} pictures of {moment.stream} at {_times(moment.span.start_s, moment.span.end_s)}"
            )
        for name in snapshot.overviews():
            for parent in missing_children(snapshot, name):
                stones.append(damage_tombstone(snapshot, parent, now_s))
                times = _times(parent.span.start_s, parent.span.end_s)
                self.lost.append(f"details of {name} at {times}, of which the {parent.rung} is left")
        lost = [gap for overview in snapshot.overviews().values() for gap in overview.lost]
        for gap in [*lost, *lost_ends(snapshot, views)]:
            store.put_gap(gap)
            self.lost.append(f"everything of {gap.stream} at {_times(gap.span.start_s, gap.span.end_s)}")
        opened = Tables.open(self._folder, encoder=self._encoder)
        with Commits(self._folder).commit() as change:
            change.upsert(opened.tombstones, "id", [tombstone_row(stone) for stone in stones])
            # Nothing shows them any more, and an erasure of their time would not find them.
            for kind, ids in orphans(views).items():
                table = getattr(opened, kind)
                change.delete_rows(table, row_ids_with(latest_view(table), "id", ids))
                if ids:
                    self.lost.append(f"{len(ids)} {_words(kind)} of moments that are lost")

    def _read(self) -> tuple[Snapshot, Tables]:
        opened = Tables.open(self._folder, encoder=self._encoder)
        views = opened.views(self._folder, Commits(self._folder).head().versions)
        lease = ReadLease(None)
        snapshot = Snapshot(
            views, extents=None, folder=self._folder, encoder=self._encoder, as_of_s=None, lease=lease
        )
        return snapshot, views


def _stream_of(name: str, latest: list[Moment]) -> Stream:
    """What the moments of a stream tell of it. Its source is not among that."""
    wall_s = latest[-1].wall_start_s if latest else None
    return Stream(
        name=name,
        kind="file" if wall_s is None else "live",
        source="",
        content_id=f"lost:{name}",
        state="stopped",
        fps=0.0,
        origin_wall_s=None if wall_s is None else wall_s - latest[-1].span.start_s,
    )


def _times(start_s: float, end_s: float) -> str:
    return f"{start_s:.1f}–{end_s:.1f} s"


def _words(name: str) -> str:
    return table_kind(name).replace("_", " ")
