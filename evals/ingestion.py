"""Ingestion: watches the videos of an evaluation into memories, in simulated time.

    ingest(FileFootage(Path("house.mp4")), Path("run/house.lance"), name="house", watching=WatchSettings())
    with Recollect("run/house.lance") as memory:
        memory.ask("Who came in?", as_of=as_of_s(61.5))        # as if asked 61.5 s into the video

A video is watched once, as fast as possible. Each memory row is dated by the latest frame that had been seen when it
was written, so a question "as of" a time reads only rows from before that time. Rows that are written later, such as those of
a second look for another question, are dated today. No question of the evaluation sees them.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ..memory.encoder import Encoder
from ..memory.storage.file_sizes import size_on_disk
from ..memory.storage.manifest import UNBOUNDED_BYTES
from ..memory.store import MemoryStore
from ..perception.lmm import Lmm, LmmUsage
from ..perception.watch_options import WatchOptions
from ..perception.watching import watch
from .causal_video import Footage
from .records import Ingest, RecordedUsage

STREAM = "video"
"""The name of the stream in every memory of an evaluation. A file name could give answers away."""
_EPOCH_S = 978_307_200.0
"""Unix seconds of the first frame, in 2001: long before anything that is written while questions are asked."""
_SETTLING_S = 86_400.0
"""How long after the last frame everything about the video has been written."""


@dataclass(frozen=True)
class WatchSettings:
    """How videos are watched."""

    encoder: Encoder | None = None
    lmm: Lmm | None = None
    fps: float = 4.0
    ocr: bool = True
    budget_bytes: int = UNBOUNDED_BYTES

    @property
    def name(self) -> str:
        """The settings in words, for the records."""
        parts = [f"{self.fps:g} fps", f"text {'' if self.ocr else 'not '}read"]
        parts += ["no model" if self.lmm is None else self.lmm.name]
        parts += [] if self.encoder is None else [self.encoder.name]
        parts += [] if self.budget_bytes == UNBOUNDED_BYTES else [f"{self.budget_bytes:,} bytes"]
        return ", ".join(parts)


def as_of_s(asked_at_s: float) -> float:
    """The simulated Unix time of a time in the video, in seconds."""
    return _EPOCH_S + asked_at_s


def settled_s(duration_s: float) -> float:
    """The time in the video, in seconds, by which it is over and fully described."""
    return duration_s + _SETTLING_S


def ingest(footage: Footage, memory: Path, *, name: str, watching: WatchSettings) -> Ingest:
    """Watch a video into a memory of its own. An unfinished memory of an earlier run is deleted.

    Raises ``SourceError``, ``MemoryStoreError`` and, with an LMM, ``LmmError``.
    """
    shutil.rmtree(memory, ignore_errors=True)
    started_s = time.perf_counter()
    before = _caption_usage(watching.lmm)
    report = watch(
        memory,
        footage.source(watching.fps),
        stream=STREAM,
        options=WatchOptions(fps=watching.fps, ocr=watching.ocr, written_at=as_of_s),
        encoder=watching.encoder,
        lmm=watching.lmm,
        budget_bytes=watching.budget_bytes,
    )
    with MemoryStore.open(memory, write=True, encoder=watching.encoder) as store:
        # The weight of a word depends on which rows the index holds, which depends on when they were written.
        # Maintenance indexes all rows, so that repeated runs give the same answers.
        store.maintain()
    return Ingest(
        video=name,
        memory=watching.name,
        duration_s=report.until_s,
        seconds=time.perf_counter() - started_s,
        moments=report.moments,
        memory_bytes=size_on_disk(memory),
        usage=_caption_usage(watching.lmm, before),
    )


def _caption_usage(lmm: Lmm | None, before: RecordedUsage | None = None) -> RecordedUsage:
    """What describing has cost so far, less ``before``."""
    before = before or RecordedUsage()
    usage = LmmUsage() if lmm is None else lmm.usage["caption"]
    return RecordedUsage(lmm_calls=usage.calls - before.lmm_calls, tokens=usage.tokens - before.tokens)
