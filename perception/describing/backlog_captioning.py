"""Opens a memory and has what waits in it described.

    report = caption(Path("recollect.lance"), lmm)                    # what watching left over
    report = caption(Path("recollect.lance"), lmm, everything=True)   # all that this model has not described

Watching describes too, beside its work; this is for what was watched without a model, or with another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...memory.encoder import Encoder
from ...memory.errors import UnknownStream
from ...memory.storage.manifest import read_manifest
from ...memory.storage.tables import MIN_FREE_BYTES
from ...memory.store import MemoryStore
from ...memory.values import RUNGS
from ..lmm import Lmm
from ..watching import Stoppable
from .captioner import Captioner, CaptionReport, to_describe
from .describer import template_of

_MOMENTS_AT_ONCE = 500


def caption(
    path: Path,
    lmm: Lmm,
    *,
    stream: str | None = None,
    everything: bool = False,
    encoder: Encoder | None = None,
    budget_bytes: int | None = None,
    min_free_bytes: int = MIN_FREE_BYTES,
    on_progress: Callable[[CaptionReport], None] | None = None,
    on_state: Callable[[str, str], None] | None = None,
    on_start: Callable[[Stoppable], None] | None = None,
) -> CaptionReport:
    """Describe what waits in the memory at ``path``, until nothing does or the model is away.

    With ``everything``, all that this model with these prompts has not described is queued first, what
    was given up included. ``on_start`` is given what must be told to stop, before it runs.

    Raises:
        UnknownStream: There is no such stream in the memory.
        MemoryStoreError: There is no memory, or it is in use, full, or newer than this Recollect.
        LmmError: With ``everything``: the server does not say which model it serves.
    """
    read_manifest(path)  # a wrong path must not make an empty memory
    with MemoryStore.open(
        path,
        write=True,
        encoder=encoder,
        budget_bytes=budget_bytes,
        min_free_bytes=min_free_bytes,
        what="describe what was watched",
    ) as store:
        if stream is not None and store.stream(stream) is None:
            raise UnknownStream(stream, tuple(known.name for known in store.streams()))
        if everything:
            queue_everything(store, lmm.name, stream)
        with Captioner(store, lmm, stream=stream, on_progress=on_progress, on_state=on_state) as captioner:
            if on_start is not None:
                on_start(captioner)
            return captioner.finish()


def queue_everything(store: MemoryStore, model: str, stream: str | None = None) -> None:
    """Queue whatever neither waits nor was described by this model with these prompts."""
    writers = {rung: template_of(rung).written_by(model) for rung in RUNGS}
    ids = store.not_described(writers, stream)
    snapshot = store.snapshot()
    for at in range(0, len(ids), _MOMENTS_AT_ONCE):
        store.enqueue(to_describe(snapshot.get(ids[at : at + _MOMENTS_AT_ONCE]).values()))
