"""Hand-made moments, and a memory to put them into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import (
    Finding,
    FrameCounts,
    KeyFrame,
    MemoryStore,
    Moment,
    Observation,
    Span,
    moment_id,
)

MakeMoment = Callable[..., Moment]


@pytest.fixture
def moment() -> MakeMoment:
    """A moment of 5 s: ``moment(3, "a red car")`` is [15, 20) and was written when it ended."""

    def make(number: int, caption: str = "nothing", *findings: Finding, **changed: Any) -> Moment:
        span = changed.pop("span", Span(number * 5.0, number * 5.0 + 5.0))
        stream = changed.pop("stream", "kitchen")
        written_at_s = changed.pop("written_at_s", 1000.0 + span.end_s)
        epoch = changed.pop("epoch", 0)
        return Moment(
            id=moment_id(stream, epoch, "moment", span.start_s),
            stream=stream,
            epoch=epoch,
            span=span,
            observations=(Observation(caption, findings, "observers/1", written_at_s),),
            counts=changed.pop("counts", FrameCounts(125, 1, 115, 9)),
            **changed,
        )

    return make


@pytest.fixture
def finding() -> Callable[..., Finding]:
    """``finding("action", "enters", 2.0, 3.0, "a car enters", track=1)``."""

    def make(field: Any, kind: str, start_s: float, end_s: float, text: str = "", **detail: Any) -> Finding:
        return Finding(field, kind, text or kind, Span(start_s, end_s), "motion/1", detail=detail)

    return make


@pytest.fixture
def frame() -> Callable[[float], KeyFrame]:
    """A picture of the kitchen at a time."""

    def make(time_s: float) -> KeyFrame:
        return KeyFrame(f"frame-{time_s}", "kitchen", time_s, int(time_s * 90_000), "1/90000", 4, 3, b"jpeg")

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a memory may be made."""
    return tmp_path / "memory.lance"


@pytest.fixture
def store(folder: Path) -> Iterator[MemoryStore]:
    """An empty memory, open for writing."""
    with MemoryStore.open(folder, write=True) as opened:
        yield opened
