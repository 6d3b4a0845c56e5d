"""A memory stays within its disk budget during reads and writes, and evicts as little as possible."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import MemoryStore, Moment, Observation, Span
from recollect.memory.errors import (
    BadBudget,
    BudgetFull,
    NothingToPin,
    PinsFull,
    SnapshotExpired,
    UnknownStream,
)
from recollect.memory.keeping.disk_budget import MIN_BUDGET_BYTES
from recollect.memory.keeping.version_cleaner import LEASE_S
from recollect.memory.storage.file_sizes import size_on_disk
from recollect.memory.storage.leases import held_leases
from recollect.memory.storage.manifest import DEFAULT_BUDGET_BYTES, UNBOUNDED_BYTES
from recollect.testing.simulated_months import LifeEncoder, fill

BUDGET = MIN_BUDGET_BYTES
PICTURE = 60_000


@contextmanager
def peak_bytes(folder: Path) -> Iterator[list[int]]:
    """The largest size of the folder inside the block, measured continuously. A list with one item."""
    peak, finished = [0], threading.Event()

    def measure() -> None:
        while not finished.is_set():
            peak[0] = max(peak[0], size_on_disk(folder))
            time.sleep(0.002)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield peak
    finally:
        finished.set()
        thread.join()


def check_coverage(store: MemoryStore, stream: str, hours: float) -> None:
    coverage = store.snapshot().coverage(stream, Span(0.0, hours * 3600))
    gap_s = sum(gap.span.duration_s for gap in coverage.gaps)
    assert coverage.watched_s + gap_s == pytest.approx(hours * 3600)
    assert store.snapshot().counts(stream).balanced


@pytest.mark.slow
def test_a_folder_never_exceeds_its_budget(folder: Path) -> None:
    with (
        MemoryStore.open(
            folder, write=True, encoder=LifeEncoder(), budget_bytes=BUDGET, keep_versions_s=2.0
        ) as store,
        peak_bytes(folder) as peak,
    ):
        fill(store, ["door", "yard"], 2.0, picture_bytes=PICTURE, outages_a_day=40)
        store.maintain()

    assert peak[0] <= BUDGET
    assert peak[0] > 0.8 * BUDGET, "the budget is nearly used up"
    with MemoryStore.open(folder) as store:
        lost = [
            tombstone.lost for name in ("door", "yard") for tombstone in store.snapshot().tombstones(name)
        ]
        assert "frame" in lost
        for name in ("door", "yard"):
            check_coverage(store, name, 2.0)


@pytest.mark.slow
def test_files_of_readers_cause_no_eviction_and_no_overrun(folder: Path) -> None:
    with MemoryStore.open(folder, write=True, budget_bytes=BUDGET, keep_versions_s=2.0) as store:
        fill(store, ["door"], 0.9, picture_bytes=PICTURE, outages_a_day=0)
        snapshot = store.snapshot()
        moments = snapshot.timeline("door", limit=10_000)
        with peak_bytes(folder) as peak, ThreadPoolExecutor(1) as pool:
            filling = pool.submit(fill, store, ["yard"], 1.2, picture_bytes=PICTURE, outages_a_day=0)
            # Without the reader, it would have evicted by then.
            wait([filling], timeout=LEASE_S / 3)
            is_waiting = not filling.done()
            readable = len(snapshot.frames(key for moment in moments for key in moment.frame_ids))
            snapshot.release()
            filling.result()

        assert is_waiting
        assert readable == sum(len(moment.frame_ids) for moment in moments)
        assert peak[0] <= BUDGET
        assert len(store.snapshot().timeline("door", rung="event", limit=1000)) > 0


def test_a_revoked_snapshot_raises_snapshot_expired(
    store: MemoryStore, moment: Callable[..., Moment]
) -> None:
    store.append([moment(0, "a red car")])
    before = store.snapshot()
    store.append([moment(1)])
    held_leases(store.path)[0].revoke()
    store.maintain()
    store.maintenance.cleaner.delete_old_versions(now=True)

    with pytest.raises(SnapshotExpired, match="Ask again"):
        before.timeline("kitchen")


def test_a_memory_stores_its_budget_until_another_is_set(folder: Path) -> None:
    def budget() -> int:
        return int(json.loads((folder / "memory.json").read_text())["budget_bytes"])

    MemoryStore.open(folder, write=True).close()
    default = budget()
    MemoryStore.open(folder, write=True, budget_bytes=100_000_000).close()
    explicit = budget()
    MemoryStore.open(folder, write=True).close()

    assert default == DEFAULT_BUDGET_BYTES == 20_000_000_000
    assert explicit == budget() == 100_000_000
    with MemoryStore.open(folder) as reader:
        assert reader.budget_bytes == 100_000_000


def test_an_invalid_budget_creates_no_memory(folder: Path) -> None:
    with pytest.raises(BadBudget):
        MemoryStore.open(folder, write=True, budget_bytes=1000)
    with pytest.raises(BadBudget):
        MemoryStore.open(folder, write=True, stream_budgets={"door": 5})

    assert not folder.exists()


@pytest.mark.slow
def test_a_smaller_budget_takes_effect_at_once(folder: Path) -> None:
    with MemoryStore.open(folder, write=True) as store:
        fill(store, ["door"], 1.5, picture_bytes=PICTURE, outages_a_day=0)
    before_bytes = size_on_disk(folder)

    with MemoryStore.open(folder, write=True, budget_bytes=BUDGET) as store:
        store.compact()

    assert before_bytes > BUDGET
    assert size_on_disk(folder) <= BUDGET
    with MemoryStore.open(folder) as store:
        check_coverage(store, "door", 1.5)


@pytest.mark.slow
def test_a_stream_budget_evicts_from_that_stream_only(folder: Path) -> None:
    with MemoryStore.open(folder, write=True, budget_bytes=10 * BUDGET) as store:
        store.set_stream_budget("door", BUDGET)
        fill(store, ["door", "yard"], 1.8, picture_bytes=PICTURE, outages_a_day=0)
        store.maintain()
        usage = store.account()

        assert usage.streams["door"] <= BUDGET < usage.streams["yard"]
        assert usage.stream_budgets == {"door": BUDGET}
        assert store.snapshot().tombstones("yard") == []
        check_coverage(store, "door", 1.8)


def test_a_write_larger_than_the_budget_is_refused_without_loss(folder: Path, kitchen: Any) -> None:
    """All memories are too new to have a parent, so none can be evicted."""
    with MemoryStore.open(folder, write=True, budget_bytes=BUDGET) as store:
        moments, frames, _ = kitchen.life(0.02)
        store.put_stream(kitchen.stream)
        heavy = [replace(frame, jpeg=random.Random(frame.id).randbytes(6_000_000)) for frame in frames]
        kept = 0

        def append_all() -> None:
            nonlocal kept
            for number, moment in enumerate(moments):
                store.append([moment], heavy[2 * number : 2 * number + 2])
                kept += 1

        with pytest.raises(BudgetFull, match="larger budget"):
            append_all()
        stored = store.snapshot().timeline("kitchen")

        assert 3 <= kept == len(stored)
        assert len(store.snapshot().frames(key for moment in stored for key in moment.frame_ids)) == 2 * kept


def test_a_second_look_that_does_not_fit_is_not_written(folder: Path, kitchen: Any) -> None:
    with MemoryStore.open(folder, write=True, budget_bytes=BUDGET) as store:
        moments = kitchen.watch(store, 0.02)
    (folder / "in-the-way").write_bytes(b"x" * BUDGET)

    with MemoryStore.open(folder) as reader:
        with pytest.raises(BudgetFull):
            reader.write_back(moments[0], Observation("a dent", (), "inspect/1", 9000.0))
        assert len(reader.snapshot().get([moments[0].id])[moments[0].id].observations) == 1


def test_an_unbounded_memory_evicts_nothing(folder: Path, kitchen: Any) -> None:
    with MemoryStore.open(folder, write=True, budget_bytes=UNBOUNDED_BYTES) as store:
        kitchen.watch(store, 1.0)
        store.maintain()

        assert sys.maxsize == UNBOUNDED_BYTES
        assert store.snapshot().tombstones("kitchen") == []


# -- pins ------------------------------------------------------------------------------------------------


def test_a_pin_is_clipped_to_the_memories_and_can_be_removed(store: MemoryStore, kitchen: Any) -> None:
    kitchen.watch(store, 0.5)
    with MemoryStore.open(store.path) as reader:
        pin = reader.pin("kitchen", Span(1700.0, 9000.0), note="the parcel")

    assert (pin.span, pin.note) == (Span(1700.0, 1800.0), "the parcel")
    assert store.pins() == [pin]
    assert store.unpin(pin.id)
    assert not store.unpin(pin.id)
    assert store.pins() == []


def test_a_span_pinned_twice_has_one_pin(store: MemoryStore, kitchen: Any) -> None:
    kitchen.watch(store, 0.5)
    store.pin("kitchen", Span(100.0, 200.0))
    pinned_bytes_once = store.account().pinned_bytes
    store.pin("kitchen", Span(100.0, 200.0), note="again")
    store.pin("kitchen", Span(150.0, 160.0))

    assert [pin.note for pin in store.pins()] == ["again", ""]
    assert store.account().pinned_bytes == pinned_bytes_once > 0


def test_a_pin_that_exceeds_the_quota_is_refused(folder: Path, kitchen: Any) -> None:
    with MemoryStore.open(folder, write=True, budget_bytes=BUDGET) as store:
        moments, frames, _ = kitchen.life(1.0)
        store.put_stream(kitchen.stream)
        heavy = [replace(frame, jpeg=b"x" * 50_000) for frame in frames]
        kitchen_ladder = kitchen.ladder()
        store.append([row for moment in moments for row in (moment, *kitchen_ladder.push(moment))], heavy)
        first = store.pin("kitchen", Span(0.0, 10.0))

        with pytest.raises(PinsFull, match="Nothing was pinned"):
            store.pin("kitchen", Span(600.0, 2400.0))

        assert store.pins() == [first]
        assert 0 < store.account().pinned_bytes <= store.account().pin_quota_bytes == BUDGET // 10


def test_a_span_without_memories_cannot_be_pinned(store: MemoryStore, kitchen: Any) -> None:
    kitchen.watch(store, 0.1)

    with pytest.raises(NothingToPin):
        store.pin("kitchen", Span(5000.0, 6000.0))
    with pytest.raises(UnknownStream):
        store.pin("attic", Span(0.0, 1.0))


# -- disk usage -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_parts_of_disk_usage_add_up_to_the_folder_size(folder: Path, kitchen: Any) -> None:
    with MemoryStore.open(folder, write=True, encoder=LifeEncoder()) as store:
        fill(store, ["door"], 2.0, picture_bytes=3000, outages_a_day=0)
        store.maintain()
        (folder / "questions.sqlite").write_bytes(b"x" * 50_000)

        usage = store.account()

    parts = (*usage.words.values(), *usage.pictures.values(), usage.indexes, usage.old_versions)
    assert sum(parts) + usage.checkpoints + usage.rest == usage.used_bytes
    assert usage.checkpoints == 53_248
    assert all(usage.words[rung] > 0 for rung in ("moment", "event", "hour"))
    assert usage.pictures["moment"] > usage.pictures["event"] > usage.pictures["hour"] > 0
    assert usage.used_bytes == pytest.approx(size_on_disk(folder), rel=0.01)
    assert sum(usage.streams.values()) < usage.used_bytes
