"""Migrations: bring a memory of an older schema to the current one, in small steps that are recorded.

    migrate(Path("kitchen"))      # does nothing if the schema is current

A step changes one thing, and can be applied again after a crash in the middle of it. ``memory.json`` lists
the applied steps by function name. A memory of a newer schema is refused before any migration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import CannotWrite, OlderMemory
from . import schema, tables
from .commits import HEAD_NAME, Commits
from .damage import reporting_damage
from .disk_space import require_free_space
from .manifest import Manifest, read_manifest, write_manifest
from .rows import record_json, start_hour
from .writer_lock import WriterLock

Step = Callable[[Path], None]

_NEVER_COLUMNS: schema.Row = {"reduced": []}
"""Fields of a record that never had a column of their own, with their defaults."""


def migrate(folder: Path) -> Manifest:
    """Bring the memory in ``folder`` to the current schema, and return its manifest.

    Raises ``OlderMemory`` if the folder is read-only for this user, ``MemoryInUse`` if another process is
    writing, ``MemoryDamaged`` and ``DiskFull``.
    """
    manifest = read_manifest(folder)
    if manifest.schema == schema.SCHEMA_VERSION:
        return manifest
    try:
        with WriterLock(folder, "migrate"), require_free_space(folder, 0):
            return apply_migrations(folder)
    except (CannotWrite, PermissionError) as error:
        raise OlderMemory(folder, manifest.schema, schema.SCHEMA_VERSION) from error


def apply_migrations(folder: Path) -> Manifest:
    """Like ``migrate``, for a caller that already holds the writer lock."""
    manifest = read_manifest(folder)
    while manifest.schema < schema.SCHEMA_VERSION:
        for step in _STEPS[manifest.schema]:
            if step.__name__ not in manifest.migrations:
                step(folder)
                manifest = replace(manifest, migrations=(*manifest.migrations, step.__name__))
                write_manifest(folder, manifest)
        manifest = replace(manifest, schema=manifest.schema + 1)
        write_manifest(folder, manifest)
    return manifest


def frames_tell_their_size(folder: Path) -> None:
    """Add columns for the size and the signature of pictures. The signature stays empty."""

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        sizes = [len(jpeg) for jpeg in batch["jpeg"].to_pylist()]
        empty = [b""] * len(sizes)
        return pa.record_batch(
            [pa.array(sizes, pa.int64()), pa.array(empty, pa.binary())], ["bytes", "signature"]
        )

    _add_columns(folder, "frames", ("bytes", "signature"), added, ["jpeg"])


def observations_tell_their_size(folder: Path) -> None:
    """Add columns for the size of memories and their pictures, and for similarity to the previous memory."""
    sizes: dict[str, int] = {}
    if tables.table_exists(folder, "frames"):
        frames = tables.select_arrow(tables.open_view(folder, "frames"), columns=["id", "bytes"])
        sizes = dict(zip(frames["id"].to_pylist(), frames["bytes"].to_pylist(), strict=True))

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        sizes_of_rows = [
            250 + sum(len(row[name]) for name in ("text", "findings", "caption")) for row in rows
        ]
        pictures = [
            sum(sizes.get(frame, 0) for frame in row["frame_ids"]) if row["rung"] == "moment" else 0
            for row in rows
        ]
        return pa.record_batch(
            [
                pa.array([0.0] * len(rows), pa.float32()),
                pa.array(sizes_of_rows, pa.int64()),
                pa.array(pictures, pa.int64()),
            ],
            ["sameness", "bytes", "frame_bytes"],
        )

    read = ["text", "findings", "caption", "frame_ids", "rung"]
    _add_columns(folder, "observations", ("sameness", "bytes", "frame_bytes"), added, read)


def tables_that_are_missing(folder: Path) -> None:
    """Create the tables of tombstones, pins, uses and the backlog."""
    for name, columns in schema.TABLES.items():
        tables.open_table(folder, name, columns, create=True)


def observations_have_records(folder: Path) -> None:
    """Store each observation as a JSON record in one column. Drop columns that no search or count uses."""

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        records = [
            record_json({**_NEVER_COLUMNS, **row, "findings": json.loads(row["findings"])}) for row in rows
        ]
        return pa.record_batch([pa.array(records, pa.string())], ["record"])

    read = [name for name in schema.RECORDED if name not in _NEVER_COLUMNS]
    _add_columns(folder, "observations", ("record",), added, read)
    _drop_columns(folder, "observations", {"shot", "wall_start_s", "child_ids", "caption", "findings"})


def memories_tell_their_hour(folder: Path) -> None:
    """Add a column for the hour in which a memory starts to the tables that are filtered by time."""

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        hours = [start_hour(start_s) for start_s in batch["start_s"].to_pylist()]
        return pa.record_batch([pa.array(hours, pa.int32())], ["start_hour"])

    for name in ("observations", *(path.stem for path in folder.glob("*_vectors-*.lance"))):
        _add_columns(folder, name, ("start_hour",), added, ["start_s"])
        with _changed(folder, name) as view:
            if view is not None and "start_s" in tables.indexed_columns(view):
                tables.make_indexes(tables.connect(folder).open_table(name))


def rows_have_digests(folder: Path) -> None:
    """Add a column for the digests of rows. It stays empty: nobody knows whether the old rows are still intact."""
    for name, columns in schema.TABLES.items():
        if "digest" in columns.names:
            with _changed(folder, name) as view:
                if view is not None and "digest" not in view.schema.names:
                    view.add_columns(columns.field("digest"))


def streams_have_boot_clocks(folder: Path) -> None:
    """Add columns for the clock by which a live stream goes on. They stay empty until it is watched again."""
    with _changed(folder, "streams") as view:
        if view is not None and "boot_id" not in view.schema.names:
            view.add_columns([schema.STREAMS.field(name) for name in ("boot_id", "boot_origin_s")])


def memory_has_a_head(folder: Path) -> None:
    """Name the versions of all tables in a commit head, in memories that are older than commit heads."""
    if (folder / HEAD_NAME).exists():
        return
    with Commits(folder).commit() as change:
        for path in sorted(folder.glob("*.lance")):
            change.touch(tables.connect(folder).open_table(path.stem))


def _add_columns(
    folder: Path,
    name: str,
    columns: tuple[str, ...],
    added: Callable[[pa.RecordBatch], pa.RecordBatch],
    read: list[str],
) -> None:
    with (
        reporting_damage(folder, f"table of {tables.table_kind(name).replace('_', ' ')}"),
        _changed(folder, name) as view,
    ):
        if view is not None and not set(columns) <= set(view.schema.names):
            try:
                view.add_columns(added, read_columns=read)
            except TypeError as error:  # LanceDB's answer to any error of the first batch
                raise (error.__context__ or error) from None


def _drop_columns(folder: Path, name: str, columns: Set[str]) -> None:
    with _changed(folder, name) as view:
        if view is not None and (existing := columns & set(view.schema.names)):
            view.drop_columns(sorted(existing))


@contextmanager
def _changed(folder: Path, name: str) -> Iterator[Any]:
    """A view of a table to change in one commit, or None if the table does not exist."""
    if not tables.table_exists(folder, name):
        yield None
        return
    commits = Commits(folder)
    if not (folder / HEAD_NAME).exists():
        # The memory is older than commit heads. Its tables are read at their newest versions.
        yield tables.open_view(folder, name)
        return
    with commits.commit() as change:
        yield tables.open_view(folder, name)
        change.touch(tables.connect(folder).open_table(name))


_STEPS: dict[int, tuple[Step, ...]] = {
    1: (frames_tell_their_size, observations_tell_their_size, tables_that_are_missing),
    2: (observations_have_records, memories_tell_their_hour),
    3: (rows_have_digests, streams_have_boot_clocks, memory_has_a_head),
}
"""The steps by the schema that they start from."""
