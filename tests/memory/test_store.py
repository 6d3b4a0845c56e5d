"""The store: appends are stored once, streams and gaps are revised, watching resumes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recollect.memory import (
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    MemoryStore,
    Moment,
    Observation,
    Span,
    Stream,
)
from recollect.memory.errors import DiskFull

Make = Callable[..., Moment]
KITCHEN = Stream("kitchen", "file", "/videos/kitchen.mp4", "sha-1", "watching", 2.0, duration_s=60.0)


def test_a_stored_moment_is_read_back_unchanged(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    sign = Finding(
        "visible_text",
        "line",
        "EXIT 'now' \u2603",
        Span(1.25, 4.0),
        "text/1",
        confidence=0.75,
        box=(0.1, 0.2, 0.3, 0.4),
        detail={"first_s": 0.5, "place": "left"},
    )
    stored = replace(
        moment(0, "A sign.", sign, shot=3, epoch=2, wall_start_s=1.7e9, frame_ids=("frame-1.0",)),
        counts=FrameCounts(125, 1, 110, 9, {"damaged": 5}),
    )
    model = Observation("A green sign.", (), "model/1", 1010.0)
    stored = replace(stored, observations=(*stored.observations, model))

    store.append([stored], [frame(1.0)])

    snapshot = store.snapshot()
    assert snapshot.get([stored.id]) == {stored.id: stored}
    assert snapshot.frames(["frame-1.0", "absent"]) == [frame(1.0)]


def test_a_moment_without_observations_is_refused(store: MemoryStore, moment: Make) -> None:
    with pytest.raises(ValueError, match="cannot be dated"):
        store.append([replace(moment(0), observations=())])


def test_a_batch_appended_again_after_a_crash_is_stored_once(
    folder: Path, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    batch = [moment(0), moment(1)]
    with MemoryStore.open(folder, write=True) as store:
        store.append(batch, [frame(1.0)])

    with MemoryStore.open(folder, write=True) as store:
        store.append([*batch, moment(2)], [frame(1.0), frame(11.0)])
        point = store.resume("kitchen")
        snapshot = store.snapshot()

    assert point is not None
    assert point.moments == 3
    assert snapshot.counts("kitchen").captured == 3 * 125


def test_moments_can_be_appended_again_after_a_full_disk(
    folder: Path, store: MemoryStore, moment: Make
) -> None:
    store.append([moment(0)])
    store.min_free_bytes = 1 << 60
    with pytest.raises(DiskFull):
        store.append([moment(1)])
    store.min_free_bytes = 0

    store.append([moment(1)])
    store.append([moment(2)])

    assert [m.span.start_s for m in store.snapshot().timeline("kitchen")] == [0.0, 5.0, 10.0]


def test_a_stream_is_overwritten_by_name(store: MemoryStore) -> None:
    store.put_stream(KITCHEN)
    store.put_stream(replace(KITCHEN, state="done"))
    store.put_stream(Stream("yard's", "live", "rtsp://cam/1", "sha-2", "failed", 1.0, error="gone"))

    assert [stream.name for stream in store.streams()] == ["kitchen", "yard's"]
    assert store.stream("kitchen") == replace(KITCHEN, state="done")
    assert store.stream("yard's") == store.stream_with_content("sha-2")
    assert store.stream("attic") is None


def test_a_gap_is_read_in_its_last_revision(store: MemoryStore) -> None:
    gap = Gap("g", "kitchen", 0, Span(5.0, 6.0), "stalled", attempts=1)
    store.put_gap(gap, written_at_s=100.0)
    store.put_gap(replace(gap, span=Span(5.0, 9.0), attempts=4), written_at_s=200.0)

    assert store.snapshot().gaps("kitchen") == [replace(gap, span=Span(5.0, 9.0), attempts=4)]
    assert store.snapshot(as_of_s=150.0).gaps("kitchen") == [gap]
    assert store.snapshot(as_of_s=50.0).gaps("kitchen") == []
    assert store.snapshot().gaps("kitchen", Span(9.0, 20.0)) == []


def test_an_unwatched_stream_has_no_resume_point(store: MemoryStore) -> None:
    assert store.resume("kitchen") is None


def test_watching_resumes_at_the_end_of_the_last_moment_or_gap(store: MemoryStore, moment: Make) -> None:
    store.append([moment(0, shot=1), moment(1, shot=4, epoch=2), moment(50, stream="yard")])
    without_gap = store.resume("kitchen")
    store.put_gap(Gap("g", "kitchen", 2, Span(10.0, 30.0), "stalled"))
    with_gap = store.resume("kitchen")

    assert without_gap is not None
    assert with_gap is not None
    assert (without_gap.end_s, without_gap.epoch, without_gap.shot, without_gap.moments) == (10.0, 2, 4, 2)
    assert with_gap == replace(without_gap, end_s=30.0)


def test_a_second_look_is_added_to_the_first_once(
    folder: Path, store: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    first = moment(0, "A car.")
    store.append([first])
    look = Observation("A red car.", (finding("object", "car", 0, 5, "red car"),), "inspect/1", 2000.0)
    with MemoryStore.open(folder) as reader:
        reader.write_back(first, look)
        reader.write_back(first, replace(look, written_at_s=2500.0))
        reader.write_back(first, replace(look, caption="A red car with a dent.", written_at_s=3000.0))

    snapshot = store.snapshot()
    stored = snapshot.get([first.id])[first.id]
    assert [o.caption for o in stored.observations] == ["A car.", "A red car.", "A red car with a dent."]
    assert snapshot.counts("kitchen") == first.counts
    assert [hit.moment for hit in snapshot.search("dent")] == [stored]
    assert [hit.moment.id for hit in snapshot.search("car", written_by=["inspect/1"])] == [first.id]
    assert snapshot.search("nothing", written_by=["inspect/1"]) == []


def test_background_maintenance_loses_nothing(store: MemoryStore, moment: Make) -> None:
    for number in range(70):
        store.append([moment(number, f"thing number{number}")])
    deadline = time.monotonic() + 30
    while fragments(store) >= 40 and time.monotonic() < deadline:
        time.sleep(0.05)  # maintenance runs in a thread

    snapshot = store.snapshot()
    assert [hit.moment.span.start_s for hit in snapshot.search("number3")] == [15.0]
    assert [hit.moment.span.start_s for hit in snapshot.search("number69")] == [345.0]
    assert len(snapshot.timeline("kitchen")) == 70
    assert fragments(store) < 40


def fragments(store: MemoryStore) -> int:
    return int(store._tables.observations.stats()["fragment_stats"]["num_fragments"])


def test_a_failed_maintenance_does_not_fail_an_append(store: MemoryStore, moment: Make) -> None:
    store.min_free_bytes = 1 << 60
    store.maintain()
    store.min_free_bytes = 0

    store.append([moment(0)])

    assert len(store.snapshot().timeline("kitchen")) == 1
