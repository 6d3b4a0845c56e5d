"""Fixtures for tests of the memory: hand-made moments, and a store for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import (
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    Ladder,
    MemoryStore,
    Moment,
    Observation,
    Span,
    Stream,
    moment_id,
)
from recollect.memory.keeping.eviction_policy import EvictionCandidates, EvictionUnit
from recollect.memory.storage.tables import select

MakeMoment = Callable[..., Moment]


@pytest.fixture
def moment() -> MakeMoment:
    """A moment of 5 s: ``moment(3, "a red car")`` is [15, 20), written at its end."""

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
    """Makes a picture of the kitchen at a time."""

    def make(time_s: float) -> KeyFrame:
        return KeyFrame(f"frame-{time_s}", "kitchen", time_s, int(time_s * 90_000), "1/90000", 4, 3, b"jpeg")

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The path of a memory that does not exist yet."""
    return tmp_path / "memory.lance"


@pytest.fixture
def store(folder: Path) -> Iterator[MemoryStore]:
    """An empty memory, open for writing."""
    with MemoryStore.open(folder, write=True) as opened:
        yield opened


KITCHEN = Stream("kitchen", "live", "rtsp://cam", "kitchen", "stopped", 4.0)


def life(
    hours: float, *, epochs: int = 1, stream: str = "kitchen"
) -> tuple[list[Moment], list[KeyFrame], list[Gap]]:
    """Moments of 10 s with a picture every 5 s, in epochs with gaps of a minute between them."""
    moments: list[Moment] = []
    frames: list[KeyFrame] = []
    gaps: list[Gap] = []
    at_s = 0.0
    for epoch in range(epochs):
        if epoch:
            gaps.append(Gap(f"gap-{stream}-{epoch}", stream, epoch - 1, Span(at_s, at_s + 60), "stalled"))
            at_s += 60
        for _ in range(int(hours * 360 / epochs)):
            span = Span(at_s, at_s + 10)
            pictures = [
                KeyFrame(f"{stream}-{time_s}", stream, time_s, int(time_s), "1/1", 4, 3, b"jpeg" * 50)
                for time_s in (at_s, at_s + 5)
            ]
            moments.append(
                Moment(
                    moment_id(stream, epoch, "moment", at_s),
                    stream,
                    epoch,
                    span,
                    (Observation(f"at {at_s:g}", (), "observers/1", 1000.0 + span.end_s),),
                    frame_ids=tuple(picture.id for picture in pictures),
                    counts=FrameCounts(250, 2, 208, 38, {"damaged": 2})
                    if at_s % 100 == 0
                    else FrameCounts(250, 2, 208, 40),
                )
            )
            frames += pictures
            at_s += 10
    return moments, frames, gaps


def fill(
    store: MemoryStore, hours: float, *, epochs: int = 1, finish: bool = True, stream: str = "kitchen"
) -> list[Moment]:
    """Store the moments of ``life`` with their summaries and gaps, and return the moments."""
    moments, frames, gaps = life(hours, epochs=epochs, stream=stream)
    store.put_stream(replace(KITCHEN, name=stream, content_id=stream))
    ladder = Ladder(stream)
    rows: list[Moment] = []
    for earlier, moment in itertools.pairwise([None, *moments]):
        if earlier is not None and moment.epoch != earlier.epoch:
            rows += ladder.flush()
        rows += [moment, *ladder.push(moment)]
    store.append(rows + (ladder.flush() if finish else []), frames)
    for gap in gaps:
        store.put_gap(gap)
    return moments


def candidates(store: MemoryStore) -> EvictionCandidates:
    return EvictionCandidates.of(store.maintenance.evictions.views())


def evict(store: MemoryStore, units: list[EvictionUnit]) -> None:
    store.maintenance.evictions.evict(units)


def evict_all(store: MemoryStore) -> int:
    """Evict until nothing more can be evicted. Returns the number of passes."""
    for passes in itertools.count():
        units = candidates(store).lowest_value(1e12)
        if not units:
            return passes
        evict(store, units)
    raise AssertionError


def stored_pictures(store: MemoryStore) -> set[str]:
    return {row["id"] for row in select(store._committed.at_head()[1].frames, columns=["id"])}


def check(store: MemoryStore, moments: list[Moment]) -> None:
    """Every second belongs to a memory, a gap or a tombstone, and every frame is counted once."""
    snapshot = store.snapshot()
    stream = moments[0].stream
    full_span = Span(moments[0].span.start_s, moments[-1].span.end_s)
    coverage = snapshot.coverage(stream, full_span)
    gap_s = sum(gap.span.duration_s for gap in coverage.gaps)
    assert coverage.watched_s + gap_s == pytest.approx(full_span.duration_s)

    counts = snapshot.counts(stream)
    assert counts.balanced
    assert counts.captured == sum(moment.counts.captured for moment in moments)
    assert counts.dropped == sum((moment.counts for moment in moments), FrameCounts()).dropped
    pictures = stored_pictures(store)
    assert counts.stored == len(pictures)

    memories = {
        memory.id: memory
        for rung in ("moment", "event", "hour", "day")
        for memory in snapshot.timeline(stream, rung=rung, limit=100_000)
    }
    tombstones = {tombstone.id: tombstone for tombstone in snapshot.tombstones(stream)}
    for memory in memories.values():
        missing = set(memory.child_ids) - memories.keys()
        assert not missing or tombstones[memory.id].lost == memories_below(memory), (
            "children are missing without a tombstone"
        )
        assert not missing or missing == set(memory.child_ids), "only some children are missing"
    for memory in memories.values():
        for key in set(memory.frame_ids) - pictures:
            at_s = float(key.rpartition("-")[2])
            assert any(tombstone.span.contains(at_s) for tombstone in tombstones.values()), (
                "a picture is missing without a tombstone"
            )
    shown = {key for memory in memories.values() for key in memory.frame_ids}
    assert pictures <= shown, "no memory shows this picture"


def memories_below(parent: Moment) -> str:
    return {"event": "moment", "hour": "event", "day": "hour"}[parent.rung]


class Kitchen:
    """Functions to fill, evict from and check the memory of a kitchen camera."""

    stream = KITCHEN
    life = staticmethod(life)
    """Moments of 10 s, pictures and gaps."""

    @staticmethod
    def ladder() -> Ladder:
        """A new ladder of the kitchen."""
        return Ladder("kitchen")

    watch = staticmethod(fill)
    """``watch(store, 2.0, epochs=3)`` stores two hours with two gaps, and returns the moments."""
    candidates = staticmethod(candidates)
    evict = staticmethod(evict)
    evict_all = staticmethod(evict_all)
    """Evicts until nothing more can be evicted. Returns the number of passes."""
    check = staticmethod(check)
    """Asserts that every second and every frame is accounted for."""
    pictures = staticmethod(stored_pictures)


@pytest.fixture
def kitchen() -> Kitchen:
    """Functions for the memory of a kitchen camera."""
    return Kitchen()
