"""Has videos watched for an evaluation, in made-up time: as of a time, only what had been shown by then is there.

    ingest(FileFootage(Path("house.mp4")), Path("run/house.lance"), name="house", watching=WatchSettings())
    with Recollect("run/house.lance") as memory:
        memory.ask("Who came in?", as_of=as_of_s(61.5))        # the answer of one minute into the video

A file is watched once, as fast as it goes. What is made of it is dated by the latest frame that had been seen; what
anybody writes later, such as a second look for another question, is of today and so is never seen.
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
"""What the stream is called in every memory of an evaluation: the name of a file may give answers away."""
_BEGUN_S = 978_307_200.0
"""Unix seconds at the first frame, 2001: long before anything that is written while questions are asked."""
_AT_THE_END_S = 86_400.0
"""So long after the last frame all that is made of the video is there."""


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
        """Of all of this, for the records."""
        parts = [f"{self.fps:g} fps", f"text {'' if self.ocr else 'not '}read"]
        parts += ["no model" if self.lmm is None else self.lmm.name]
        parts += [] if self.encoder is None else [self.encoder.name]
        parts += [] if self.budget_bytes == UNBOUNDED_BYTES else [f"{self.budget_bytes:,} bytes"]
        return ", ".join(parts)


def as_of_s(asked_at_s: float) -> float:
    """The Unix time at which a question is asked that is asked so many seconds into a video."""
    return _BEGUN_S + asked_at_s


def at_the_end_s(duration_s: float) -> float:
    """When a video is over and all of it has been described, in seconds of the video."""
    return duration_s + _AT_THE_END_S


def ingest(footage: Footage, memory: Path, *, name: str, watching: WatchSettings) -> Ingest:
    """Watch a video into a memory of its own; what an earlier run left there half done is deleted.

    Raises ``SourceError``, ``MemoryStoreError`` and, where an LMM describes, ``LmmError``.
    """
    shutil.rmtree(memory, ignore_errors=True)
    begun = time.perf_counter()
    before = _spent(watching.lmm)
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
        # What a word counts for depends on which rows its index has, and that on how quickly they were written.
        store.maintain()
    return Ingest(
        video=name,
        memory=watching.name,
        duration_s=report.until_s,
        seconds=time.perf_counter() - begun,
        moments=report.moments,
        memory_bytes=size_on_disk(memory),
        usage=_spent(watching.lmm, before),
    )


def _spent(lmm: Lmm | None, before: RecordedUsage | None = None) -> RecordedUsage:
    """What describing has cost so far, or since before."""
    before = before or RecordedUsage()
    spent = LmmUsage() if lmm is None else lmm.usage["caption"]
    return RecordedUsage(lmm_calls=spent.calls - before.lmm_calls, tokens=spent.tokens - before.tokens)
