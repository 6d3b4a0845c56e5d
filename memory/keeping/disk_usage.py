"""What a memory takes on the disk, by what it is for.

    account = take_account(folder, views, budget_bytes=…, stream_budgets={}, pins=pins)
    account.words["event"], account.pictures["moment"], account.old_versions, account.used_bytes

The sum of the parts is what the folder takes, whatever is written or tidied away meanwhile. What lies in the files of
one table is told apart by rung in proportion to what its rows take before they are compressed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..storage import leases
from ..storage.file_sizes import size_in_blocks, size_on_disk
from ..storage.tables import Tables, View, batches, count_versions, live_bytes, select_arrow, table_kind
from ..values import RUNGS, Rung
from .eviction_policy import EvictionCandidates
from .pins import Pins

CHECKPOINTS = "questions.sqlite"
"""What the files begin with in which the steps of questions are kept."""


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The bytes of a memory's folder, in whole blocks of the disk."""

    budget_bytes: int
    used_bytes: int
    words: Mapping[Rung, int]
    """Observations, with the vectors of their words, by the rung they belong to."""
    pictures: Mapping[Rung, int]
    """Pictures, with their vectors, by the highest rung that shows them."""
    indexes: int
    old_versions: int
    """What is only kept for readers of an earlier state, or was not tidied away yet."""
    checkpoints: int
    """The steps of questions."""
    rest: int
    """Streams, gaps, tombstones, pins, what waits to be described, and the tables' own books."""
    streams: Mapping[str, int]
    """The bytes of each stream: its share of words, pictures and indexes."""
    stream_budgets: Mapping[str, int]
    pinned_bytes: int
    """What pins keep, before it is compressed."""
    pin_quota_bytes: int
    versions: int
    """How many versions of its largest table there are."""
    readers: int
    """How many read it now."""
    free_bytes: int
    """Left on the disk."""


def take_account(
    folder: Path,
    views: Tables,
    *,
    budget_bytes: int,
    stream_budgets: Mapping[str, int],
    pins: Pins,
) -> DiskUsage:
    """Measure the memory in ``folder``; ``views`` is its newest state."""
    tables: dict[str, dict[str, int]] = {}
    tables_bytes = old_bytes = 0
    folders = [folder / Path(view.uri).name for view in views.all()]
    for view, table_folder in zip(views.all(), folders, strict=True):
        tables[table_kind(table_folder.stem)] = sizes = live_bytes(view)
        # The folder holds less than what was live a moment ago where some of that went since.
        old_bytes += max(0, size_on_disk(table_folder) - sum(sizes.values()))
        tables_bytes += sum(sizes.values())
    steps = list(folder.glob(f"{CHECKPOINTS}*"))
    checkpoints = 0
    for file in steps:
        with suppress(FileNotFoundError):  # SQLite's own files come and go
            checkpoints += size_in_blocks(file.stat().st_size)
    beside_bytes = size_on_disk(folder, leave_out=[*folders, *steps])
    used_bytes = tables_bytes + old_bytes + checkpoints + beside_bytes
    data = {kind: sizes.get("data file", 0) + sizes.get("deletion file", 0) for kind, sizes in tables.items()}
    rungs_words = _rows_by_rung(views.observations)
    rungs_pictures = _pictures_by_rung(views)
    words = Counter(_shared_out(data["observations"], rungs_words))
    words.update(_shared_out(data.get("text_vectors", 0), rungs_words))
    pictures = Counter(_shared_out(data["frames"], rungs_pictures))
    pictures.update(_shared_out(data.get("frame_vectors", 0), rungs_pictures))
    indexes = sum(sizes.get("index file", 0) for sizes in tables.values())
    told = sum(words.values()) + sum(pictures.values()) + indexes
    return DiskUsage(
        budget_bytes=budget_bytes,
        used_bytes=used_bytes,
        words={rung: words[rung] for rung in RUNGS},
        pictures={rung: pictures[rung] for rung in RUNGS},
        indexes=indexes,
        old_versions=old_bytes,
        checkpoints=checkpoints,
        rest=tables_bytes - told + beside_bytes,
        streams=_shared_out(told, EvictionCandidates.of(views).streams_bytes),
        stream_budgets=dict(stream_budgets),
        pinned_bytes=pins.used_bytes(),
        pin_quota_bytes=pins.quota_bytes,
        versions=count_versions(folder / Path(views.observations.uri).name),
        readers=len(leases.held_leases(folder)),
        free_bytes=shutil.disk_usage(folder).free,
    )


def _rows_by_rung(view: View) -> dict[Any, float]:
    sums: Counter[str] = Counter()
    for batch in batches(view, ["rung", "bytes"]):
        _add(sums, batch["rung"], batch["bytes"])
    return dict(sums)


def _pictures_by_rung(views: Tables) -> dict[Any, float]:
    """The bytes of the pictures, by the highest rung that shows them."""
    parents = select_arrow(
        views.observations, where="rung != 'moment' AND base", columns=["rung", "frame_ids"]
    )
    shown: dict[str, int] = {}
    for rung, ids in zip(parents["rung"].to_pylist(), parents["frame_ids"].to_pylist(), strict=True):
        for key in ids:
            shown[key] = max(shown.get(key, 0), RUNGS.index(rung))
    sums: Counter[str] = Counter()
    for batch in batches(views.frames, ["id", "bytes"]):
        owners = np.array([shown.get(key, 0) for key in batch["id"].to_pylist()])
        _add(sums, pa.array([RUNGS[owner] for owner in owners]), batch["bytes"])
    return dict(sums)


def _add(sums: Counter[str], names: Any, sizes: Any) -> None:
    grouped = pa.table({"name": names, "size": sizes}).group_by("name").aggregate([("size", "sum")])
    for name, size in zip(grouped["name"].to_pylist(), grouped["size_sum"].to_pylist(), strict=True):
        sums[name] += size


def _shared_out(total_bytes: int, weights: Mapping[Any, float]) -> dict[Any, int]:
    """So many bytes, in proportion."""
    weight = sum(weights.values())
    return {name: round(total_bytes * part / weight) for name, part in weights.items()} if weight else {}
