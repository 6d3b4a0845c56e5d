"""Brings a memory of an older schema to the present one, by small steps that are applied once and recorded.

    migrate(Path("kitchen"))      # does nothing where there is nothing to do

A step changes one thing and can be applied again where a crash came in the middle of it. Which were applied
stands in ``memory.json``. A memory of a newer schema is refused before any of this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import CannotWrite, OlderMemory
from . import schema, tables
from .lock import WriterLock
from .manifest import Manifest, read_manifest, write_manifest
from .tables import room_to_write

Step = Callable[[Path], None]


def migrate(folder: Path) -> Manifest:
    """Bring the memory in ``folder`` to the present schema; what it then says of itself.

    Raises ``OlderMemory`` where nothing may be written there, ``MemoryInUse`` where somebody else is writing,
    and ``DiskFull``.
    """
    manifest = read_manifest(folder)
    if manifest.schema == schema.SCHEMA_VERSION:
        return manifest
    try:
        with WriterLock(folder, "migrate"), room_to_write(folder, 0):
            return apply_steps(folder)
    except (CannotWrite, PermissionError) as error:
        raise OlderMemory(folder, manifest.schema, schema.SCHEMA_VERSION) from error


def apply_steps(folder: Path) -> Manifest:
    """The same for who holds the writer's lock already."""
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
    """Pictures get a column for how many bytes they take, and one for a signature, which stays empty."""

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        sizes = [len(jpeg) for jpeg in batch["jpeg"].to_pylist()]
        empty = [b""] * len(sizes)
        return pa.record_batch(
            [pa.array(sizes, pa.int64()), pa.array(empty, pa.binary())], ["bytes", "signature"]
        )

    _add_columns(folder, "frames", ("bytes", "signature"), added, ["jpeg"])


def observations_tell_their_size(folder: Path) -> None:
    """Memories get columns for how much they and their pictures take, and for how like the one before they are."""
    sizes: dict[str, int] = {}
    if tables.is_there(folder, "frames"):
        frames = tables.select_arrow(tables.view(folder, "frames"), columns=["id", "bytes"])
        sizes = dict(zip(frames["id"].to_pylist(), frames["bytes"].to_pylist(), strict=True))

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        own = [250 + sum(len(row[name]) for name in ("text", "findings", "caption")) for row in rows]
        pictures = [
            sum(sizes.get(frame, 0) for frame in row["frame_ids"]) if row["rung"] == "moment" else 0
            for row in rows
        ]
        return pa.record_batch(
            [
                pa.array([0.0] * len(rows), pa.float32()),
                pa.array(own, pa.int64()),
                pa.array(pictures, pa.int64()),
            ],
            ["sameness", "bytes", "frame_bytes"],
        )

    read = ["text", "findings", "caption", "frame_ids", "rung"]
    _add_columns(folder, "observations", ("sameness", "bytes", "frame_bytes"), added, read)


def tables_that_are_missing(folder: Path) -> None:
    """What was forgotten, pinned, used and waits to be described gets its tables."""
    for name, columns in schema.TABLES.items():
        tables.open_table(folder, name, columns, create=True)


def _add_columns(
    folder: Path,
    name: str,
    columns: tuple[str, ...],
    added: Callable[[pa.RecordBatch], pa.RecordBatch],
    read: list[str],
) -> None:
    if not tables.is_there(folder, name):
        return
    view: Any = tables.view(folder, name)
    if not set(columns) <= set(view.schema.names):
        view.add_columns(added, read_columns=read)


_STEPS: dict[int, tuple[Step, ...]] = {
    1: (frames_tell_their_size, observations_tell_their_size, tables_that_are_missing)
}
"""By the schema they start from."""
