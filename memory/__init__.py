"""The memory: values, the store on disk, its snapshots and search, the ladder of summaries, reindexing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .values import (
    RUNGS,
    BacklogCounts,
    Box,
    Coverage,
    Field,
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Pending,
    Pin,
    Rung,
    Span,
    Stream,
    StreamState,
    Tombstone,
    Use,
    make_id,
    moment_id,
    total_counts,
)

if TYPE_CHECKING:
    from .encoder import Encoder, HashingEncoder, ImageEncoder
    from .keeping.reindexing import ReindexReport, reindex
    from .ladder.builder import Ladder
    from .query.snapshot import Hit, Snapshot
    from .store import MemoryStore
    from .stream_catalog import ResumePoint

# These load LanceDB or numpy, which takes seconds, so they are imported at first use.
_LATER = {
    "Encoder": "encoder",
    "HashingEncoder": "encoder",
    "Hit": "query.snapshot",
    "ImageEncoder": "encoder",
    "Ladder": "ladder.builder",
    "MemoryStore": "store",
    "ReindexReport": "keeping.reindexing",
    "ResumePoint": "stream_catalog",
    "Snapshot": "query.snapshot",
    "reindex": "keeping.reindexing",
}

__all__ = [
    "RUNGS",
    "BacklogCounts",
    "Box",
    "Coverage",
    "Encoder",
    "Field",
    "Finding",
    "FrameCounts",
    "Gap",
    "HashingEncoder",
    "Hit",
    "ImageEncoder",
    "KeyFrame",
    "Ladder",
    "MemoryStore",
    "Moment",
    "Observation",
    "Pending",
    "Pin",
    "ReindexReport",
    "ResumePoint",
    "Rung",
    "Snapshot",
    "Span",
    "Stream",
    "StreamState",
    "Tombstone",
    "Use",
    "make_id",
    "moment_id",
    "reindex",
    "total_counts",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
