"""What is appended is there, once, and nothing else."""

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


def test_a_moment_comes_back_as_it_was(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    seen = Finding(
        "visible_text",
        "line",
        "EXIT 'now' \u2603",
        Span(1.25, 4.0),
        "text/1",
        confidence=0.75,
        box=(0.1, 0.2, 0.3, 0.4),
        detail={"first_s": 0.5, "place": "left"},
    )
    whole = replace(
        moment(0, "A sign.", seen, shot=3, epoch=2, wall_start_s=1.7e9, frame_ids=("frame-1.0",)),
        counts=FrameCounts(125, 1, 110, 9, {"damaged": 5}),
    )
    model = Observation("A green sign.", (), "model/1", 1010.0)
    whole = replace(whole, observations=(*whole.observations, model))

    store.append([whole], [frame(1.0)])

    snapshot = store.snapshot()
    assert snapshot.get([whole.id]) == {whole.id: whole}
    assert snapshot.frames(["frame-1.0", "absent"]) == [frame(1.0)]


def test_a_moment_nobody_observed_is_refused(store: MemoryStore, moment: Make) -> None:
    with pytest.raises(ValueError, match="cannot be dated"):
        store.append([replace(moment(0), observations=())])


def test_the_batch_in_doubt_is_stored_once(
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


def test_after_a_full_disk_the_same_moments_can_be_appended_again(
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


def test_a_gap_is_kept_as_last_written(store: MemoryStore) -> None:
    gap = Gap("g", "kitchen", 0, Span(5.0, 6.0), "stalled", attempts=1)
    store.put_gap(gap, written_at_s=100.0)
    store.put_gap(replace(gap, span=Span(5.0, 9.0), attempts=4), written_at_s=200.0)

    assert store.snapshot().gaps("kitchen") == [replace(gap, span=Span(5.0, 9.0), attempts=4)]
    assert store.snapshot(as_of_s=150.0).gaps("kitchen") == [gap]
    assert store.snapshot(as_of_s=50.0).gaps("kitchen") == []
    assert store.snapshot().gaps("kitchen", Span(9.0, 20.0)) == []


def test_nothing_watched_has_nowhere_to_resume(store: MemoryStore) -> None:
    assert store.resume("kitchen") is None


def test_watching_resumes_where_the_last_moment_or_gap_ended(store: MemoryStore, moment: Make) -> None:
    store.append([moment(0, shot=1), moment(1, shot=4, epoch=2), moment(50, stream="yard")])
    before = store.resume("kitchen")
    store.put_gap(Gap("g", "kitchen", 2, Span(10.0, 30.0), "stalled"))
    after = store.resume("kitchen")

    assert before is not None
    assert after is not None
    assert (before.end_s, before.epoch, before.shot, before.moments) == (10.0, 2, 4, 2)
    assert after == replace(before, end_s=30.0)


def test_a_second_look_is_kept_beside_the_first_and_only_once(
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
    found = snapshot.get([first.id])[first.id]
    assert [o.caption for o in found.observations] == ["A car.", "A red car.", "A red car with a dent."]
    assert snapshot.counts("kitchen") == first.counts
    assert [hit.moment for hit in snapshot.search("dent")] == [found]
    assert [hit.moment.id for hit in snapshot.search("car", written_by=["inspect/1"])] == [first.id]
    assert snapshot.search("nothing", written_by=["inspect/1"]) == []


def test_maintenance_by_the_way_loses_nothing(store: MemoryStore, moment: Make) -> None:
    for number in range(70):
        store.append([moment(number, f"thing number{number}")])
    deadline = time.monotonic() + 30
    while fragments(store) >= 40 and time.monotonic() < deadline:
        time.sleep(0.05)  # it is done in a thread of its own

    snapshot = store.snapshot()
    assert [hit.moment.span.start_s for hit in snapshot.search("number3")] == [15.0]
    assert [hit.moment.span.start_s for hit in snapshot.search("number69")] == [345.0]
    assert len(snapshot.timeline("kitchen")) == 70
    assert fragments(store) < 40


def fragments(store: MemoryStore) -> int:
    return int(store._tables.observations.stats()["fragment_stats"]["num_fragments"])


def test_a_failing_maintenance_fails_no_append(store: MemoryStore, moment: Make) -> None:
    store.min_free_bytes = 1 << 60
    store.maintain()
    store.min_free_bytes = 0

    store.append([moment(0)])

    assert len(store.snapshot().timeline("kitchen")) == 1
