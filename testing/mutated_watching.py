"""Watches mutated videos and compares what is told of them with what a lenient decoder shows.

    result = watch_mutated(clean["mp4"], folder, "mp4", seed=17, index=3)
    result.problem          # None, or what is wrong

A file that is refused with one of our errors is no problem, nor is one that is cut short with a reason.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..perception.errors import SourceError
from ..perception.sources.frame import Frame
from ..perception.sources.isolated_source import IsolatedFileSource
from ..perception.sources.source import Outage
from .lenient_decoding import lenient_decode
from .mutated_videos import FPS, mutate

EXCESS_S = 1.0
"""Seconds by which the coverage may exceed what a lenient decoder shows."""
_WATCH_FPS = 4.0
_OUR_FAULTS = ("unexpectedly", "gave nothing", "crashed", "invalid message", "ended with status")
"""Words of reasons that mean that the decoder process failed, and not only the file."""


@dataclass(frozen=True, slots=True)
class MutatedResult:
    """What became of a mutated video."""

    container: str
    index: int
    mutations: tuple[str, ...]
    outcome: str
    """``watched``, ``gaps``, or the reason why it was refused or cut short."""
    covered_s: float
    """Seconds that would be told as seen."""
    shown_s: float | None
    """Seconds that a lenient decoder shows. None if it died."""
    seconds: float
    """Time that watching took."""
    problem: str | None
    """What is wrong with the result, in a few words."""


def watch_mutated(clean: Path, folder: Path, container: str, *, seed: int, index: int) -> MutatedResult:
    """Mutate a clean file, read it as watching does, and compare."""
    data, mutations = mutate(clean.read_bytes(), seed, index)
    path = folder / f"{index}{clean.suffix}"
    path.write_bytes(data)
    start_s = time.monotonic()
    try:
        outcome, covered_s = _read(path)
    except Exception as error:  # any error but ours is a finding
        outcome, covered_s = f"{type(error).__name__}: {error}", 0.0
        problem: str | None = f"raised {outcome}"
    else:
        problem = next((outcome for fault in _OUR_FAULTS if fault in outcome), None)
    seconds = time.monotonic() - start_s
    lenient = lenient_decode(path, FPS)
    shown_s = None if lenient is None else lenient.seconds
    if problem is None and shown_s is not None and covered_s > shown_s + EXCESS_S:
        problem = f"covers {covered_s:.1f} s, where a lenient decoder shows {shown_s:.1f} s"
    path.unlink()
    return MutatedResult(container, index, mutations, outcome, covered_s, shown_s, seconds, problem)


def _read(path: Path) -> tuple[str, float]:
    """How reading a file ended, and the seconds that it covers."""
    end_s = gaps_s = 0.0
    outcome = "watched"
    try:
        with closing(IsolatedFileSource(path, _WATCH_FPS)) as source:
            for event in source.frames():
                if isinstance(event, Frame):
                    end_s = max(end_s, event.time_s + (event.duration_s or 0.0))
                elif isinstance(event, Outage):
                    gaps_s += event.end_s - event.start_s
                    end_s = max(end_s, event.end_s)
                    outcome = event.detail if "could not be read" in event.detail else "gaps"
    except SourceError as error:
        return str(error).replace(str(path), "the file"), 0.0
    return outcome, end_s - gaps_s
