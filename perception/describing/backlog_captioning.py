"""Backlog captioning: queues moments that were watched without a video LMM, or described by another one.

    queue_undescribed(store, lmm.name)     # all that this model with these prompts has not described

The captioner then describes the backlog.
"""

from __future__ import annotations

from ...memory.store import MemoryStore
from ...memory.values import RUNGS
from .describer import template_of
from .description_queue import backlog_entries

_BATCH_SIZE = 500


def queue_undescribed(store: MemoryStore, model: str, stream: str | None = None) -> None:
    """Queue all moments and summaries that are not queued, and that this model with these prompts has not described."""
    writers = {rung: template_of(rung).written_by(model) for rung in RUNGS}
    ids = store.not_described(writers, stream)
    snapshot = store.snapshot()
    for start in range(0, len(ids), _BATCH_SIZE):
        store.enqueue(backlog_entries(snapshot.get(ids[start : start + _BATCH_SIZE]).values()))
