"""Disk usage of a memory, by purpose: observations, pictures, indexes, old versions, checkpoints.

    usage = measure_usage(folder, views, budget_bytes=20_000_000_000, stream_budgets={}, pins=pins)
    usage.words["event"], usage.pictures["moment"], usage.old_versions, usage.used_bytes

The parts add up to the size of the folder, even while others write or compact. The files of a table hold rows of
several rungs. Their size is divided in proportion to the uncompressed size of the rows.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..storage import leases
from ..storage.file_sizes import size_in_blocks, size_on_disk
from ..storage.tables import Tables, View, batches, count_versions, live_bytes, select_arrow, table_kind
from ..values import RUNGS, Rung
from .eviction_policy import EvictionCandidates, add_sums
from .pins import Pins

CHECKPOINTS = "questions.sqlite"
"""Prefix of the files that store the checkpoints of questions."""


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The size of a memory's folder and of its parts, in bytes, in whole blocks of the disk."""

    budget_bytes: int
    used_bytes: int
    words: Mapping[Rung, int]
    """Observations and their text vectors, by rung."""
    pictures: Mapping[Rung, int]
    """Pictures and their vectors, by the highest rung that shows them."""
    indexes: int
    old_versions: int
    """Files that only readers of an earlier commit need, or that are not deleted yet."""
    checkpoints: int
    """Checkpoints of questions."""
    rest: int
    """Streams, gaps, tombstones, pins, the backlog, and the metadata of the tables."""
    streams: Mapping[str, int]
    """The share of each stream in observations, pictures and indexes."""
    stream_budgets: Mapping[str, int]
    pinned_bytes: int
    """Uncompressed size of the pinned memories."""
    pin_quota_bytes: int
    versions: int
    """Number of versions of the observations table."""
    readers: int
    """Number of processes and snapshots that read the memory now."""
    free_bytes: int
    """Free space on the disk."""


def measure_usage(
    folder: Path,
    views: Tables,
    *,
    budget_bytes: int,
    stream_budgets: Mapping[str, int],
    pins: Pins,
) -> DiskUsage:
    """Measure the memory in ``folder``. ``views`` are views of its last finished commit."""
    tables: dict[str, dict[str, int]] = {}
    tables_bytes = old_bytes = 0
    folders = [folder / Path(view.uri).name for view in views.all()]
    for view, table_folder in zip(views.all(), folders, strict=True):
        tables[table_kind(table_folder.stem)] = sizes = live_bytes(view)
        # Live files may have been deleted since, so the folder can be smaller than their sum.
        old_bytes += max(0, size_on_disk(table_folder) - sum(sizes.values()))
        tables_bytes += sum(sizes.values())
    checkpoint_files = list(folder.glob(f"{CHECKPOINTS}*"))
    checkpoints = 0
    for file in checkpoint_files:
        with suppress(FileNotFoundError):  # SQLite deletes its temporary files at any time
            checkpoints += size_in_blocks(file.stat().st_size)
    other_bytes = size_on_disk(folder, leave_out=[*folders, *checkpoint_files])
    data = {kind: sizes.get("data file", 0) + sizes.get("deletion file", 0) for kind, sizes in tables.items()}
    rung_rows = _rows_by_rung(views.observations)
    rung_pictures = _pictures_by_rung(views)
    words = Counter(_divide(data["observations"], rung_rows))
    words.update(_divide(data.get("text_vectors", 0), rung_rows))
    pictures = Counter(_divide(data["frames"], rung_pictures))
    pictures.update(_divide(data.get("frame_vectors", 0), rung_pictures))
    indexes = sum(sizes.get("index file", 0) for sizes in tables.values())
    itemised_bytes = sum(words.values()) + sum(pictures.values()) + indexes
    return DiskUsage(
        budget_bytes=budget_bytes,
        used_bytes=tables_bytes + old_bytes + checkpoints + other_bytes,
        words={rung: words[rung] for rung in RUNGS},
        pictures={rung: pictures[rung] for rung in RUNGS},
        indexes=indexes,
        old_versions=old_bytes,
        checkpoints=checkpoints,
        rest=tables_bytes - itemised_bytes + other_bytes,
        streams=_divide(itemised_bytes, EvictionCandidates.of(views).stream_bytes),
        stream_budgets=dict(stream_budgets),
        pinned_bytes=pins.used_bytes(),
        pin_quota_bytes=pins.quota_bytes,
        versions=count_versions(folder / Path(views.observations.uri).name),
        readers=len(leases.held_leases(folder)),
        free_bytes=shutil.disk_usage(folder).free,
    )


def _rows_by_rung(view: View) -> dict[Any, float]:
    """The uncompressed bytes of the observations of each rung."""
    sums: Counter[str] = Counter()
    for batch in batches(view, ["rung", "bytes"]):
        add_sums(sums, batch["rung"], batch["bytes"])
    return dict(sums)


def _pictures_by_rung(views: Tables) -> dict[Any, float]:
    """The bytes of the pictures, by the highest rung that shows them."""
    parents = select_arrow(
        views.observations, where="rung != 'moment' AND base", columns=["rung", "frame_ids"]
    )
    highest_rung: dict[str, int] = {}
    for rung, ids in zip(parents["rung"].to_pylist(), parents["frame_ids"].to_pylist(), strict=True):
        for frame_id in ids:
            highest_rung[frame_id] = max(highest_rung.get(frame_id, 0), RUNGS.index(rung))
    sums: Counter[str] = Counter()
    for batch in batches(views.frames, ["id", "bytes"]):
        rungs = [RUNGS[highest_rung.get(frame_id, 0)] for frame_id in batch["id"].to_pylist()]
        add_sums(sums, pa.array(rungs), batch["bytes"])
    return dict(sums)


def _divide(total_bytes: int, weights: Mapping[Any, float]) -> dict[Any, int]:
    """Divide bytes in proportion to the weights."""
    weight = sum(weights.values())
    return {name: round(total_bytes * part / weight) for name, part in weights.items()} if weight else {}
