"""Backlog captioning: queues what was watched without a video LMM, or described by another one.

    queue_everything(store, lmm.name)      # all that this model with these prompts has not described

The captioner then describes what waits.
"""

from __future__ import annotations

from ...memory.store import MemoryStore
from ...memory.values import RUNGS
from .captioner import to_describe
from .describer import template_of

_MOMENTS_AT_ONCE = 500


def queue_everything(store: MemoryStore, model: str, stream: str | None = None) -> None:
    """Queue whatever neither waits nor was described by this model with these prompts."""
    writers = {rung: template_of(rung).written_by(model) for rung in RUNGS}
    ids = store.not_described(writers, stream)
    snapshot = store.snapshot()
    for at in range(0, len(ids), _MOMENTS_AT_ONCE):
        store.enqueue(to_describe(snapshot.get(ids[at : at + _MOMENTS_AT_ONCE]).values()))
