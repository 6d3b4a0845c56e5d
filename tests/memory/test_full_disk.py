"""A full disk loses nothing that was acknowledged, and writing continues once there is room.

Each kind of write is repeated with a little more free space, so that it fails once at every file that it writes.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import (
    Finding,
    Gap,
    HashingEncoder,
    KeyFrame,
    Ladder,
    MemoryStore,
    Moment,
    Observation,
    Pending,
    Span,
    Use,
)
from recollect.memory.errors import CannotWrite, DiskFull, MemoryStoreError
from recollect.memory.keeping.disk_budget import MIN_BUDGET_BYTES
from recollect.memory.keeping.erasure import PENDING
from recollect.memory.storage.file_sizes import size_on_disk
from recollect.memory.storage.tables import append, latest_view, select

STEP = 8192
ENOUGH = 2_000_000
_COMMIT_BYTES = 80_000
"""A little more than the commit of two moments takes."""
RAW_ERRORS = (MemoryStoreError, OSError, RuntimeError)
"""Errors that internal functions raise on a full disk, before they are translated to ``DiskFull``."""


def open_memory(folder: Path, **options: Any) -> MemoryStore:
    return MemoryStore.open(
        folder, write=True, encoder=HashingEncoder(64), min_free_bytes=0, keep_versions_s=0.0, **options
    )


@pytest.fixture
def small(disk: Callable[[int], Any]) -> Any:
    """A disk of 32 MB."""
    return disk(32)


@pytest.fixture
def store(small: Any) -> Iterator[MemoryStore]:
    """An empty memory with vectors on the small disk. It reserves no free space."""
    with open_memory(small.path / "memory") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def remember(store: MemoryStore, kitchen: Any, hours: float = 0.5) -> list[Moment]:
    """Store moments with a unique word from 15:00 to 15:20, and return them."""
    moments, frames, _ = kitchen.life(hours)
    watched = [
        replace(
            moment,
            observations=(replace(moment.observations[0], caption="the xylophonequartz stands there"),),
        )
        if Span(900, 920).overlaps(moment.span)
        else moment
        for moment in moments
    ]
    store.put_stream(kitchen.stream)
    ladder = Ladder("kitchen")
    store.append(
        [row for moment in watched for row in (moment, *ladder.push(moment))] + ladder.flush(), frames
    )
    return watched


def room_by_room(disk: Any, step: int = STEP) -> Iterator[int]:
    """Limit the free space of the disk to growing sizes, which are yielded. At the end the disk is free again."""
    try:
        for room_bytes in range(0, ENOUGH, step):
            disk.leave(room_bytes)
            yield room_bytes
    finally:
        disk.empty()


def count_failures_until_there_is_room(
    disk: Any, action: Callable[[], Any], *errors: type[Exception], step: int = STEP
) -> int:
    """Repeat an action with more and more room until it succeeds. Returns how often it raised ``errors``."""
    for failures, _ in enumerate(room_by_room(disk, step)):
        try:
            action()
        except errors:
            disk.empty()
            continue
        return failures
    raise AssertionError("the action never succeeded")


def assert_intact(store: MemoryStore, kitchen: Any, moments: list[Moment]) -> None:
    """The memory is complete, for the open store and for a new reader."""
    kitchen.check(store, moments)
    with MemoryStore.open(store.path) as reader:
        kitchen.check(reader, moments)


def search_starts(store: MemoryStore) -> list[float]:
    """The starts of the two moments that match the unique word best."""
    hits = store.snapshot().search("xylophonequartz", rungs=["moment"], limit=2)
    return sorted(hit.moment.span.start_s for hit in hits)


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


# -- creating and appending --------------------------------------------------------------------------------


def test_a_memory_is_created_once_there_is_room(small: Any, kitchen: Any) -> None:
    folder = small.path / "memory"

    failures = count_failures_until_there_is_room(small, lambda: open_memory(folder).close(), DiskFull)

    assert failures >= 5
    with open_memory(folder) as store:
        assert_intact(store, kitchen, remember(store, kitchen, 0.1))


def test_a_memory_opens_after_a_full_disk_has_room_again(small: Any, kitchen: Any) -> None:
    """Also while the caller still holds the error."""
    folder = small.path / "memory"
    small.leave(0)
    with pytest.raises(DiskFull) as full:
        open_memory(folder)
    small.empty()

    with open_memory(folder) as store:
        assert_intact(store, kitchen, remember(store, kitchen, 0.1))
    assert full.value.path == folder


def test_a_full_disk_names_the_memory_and_the_remedy(store: MemoryStore, small: Any, kitchen: Any) -> None:
    small.leave(0)

    with pytest.raises(DiskFull, match="Free some space") as full:
        store.put_stream(kitchen.stream)

    assert full.value.path == store.path
    assert "The memory is intact" in str(full.value)


class Watching:
    """Makes batches of two moments, with the summaries that they complete."""

    def __init__(self, kitchen: Any) -> None:
        self.moments, self._frames, _ = kitchen.life(1.0)
        self._ladder = Ladder("kitchen")
        self.done = 0

    def next_batch(self) -> tuple[list[Moment], list[KeyFrame]]:
        batch = self.moments[self.done : self.done + 2]
        frames = self._frames[2 * self.done : 2 * self.done + 4]
        self.done += 2
        return [row for moment in batch for row in (moment, *self._ladder.push(moment))], frames

    def check(self, store: MemoryStore) -> None:
        snapshot = store.snapshot()
        stored = snapshot.timeline("kitchen", limit=10_000)
        acknowledged = self.moments[: self.done]
        assert stored == acknowledged
        pictures = [key for moment in acknowledged for key in moment.frame_ids]
        assert len(snapshot.frames(pictures)) == len(pictures)


def append_with_growing_room(
    store: MemoryStore, small: Any, kitchen: Any, recover: Callable[[MemoryStore], MemoryStore]
) -> int:
    """Append batches with growing room. A batch that fails is appended again with enough room."""
    store.put_stream(kitchen.stream)
    watching = Watching(kitchen)
    failed = 0
    for _ in range(2):
        for room_bytes in room_by_room(small, 4096):
            watching.check(store)
            rows, frames = watching.next_batch()
            try:
                store.append(rows, frames)
            except DiskFull:
                failed += 1
                small.empty()
                store = recover(store)
                store.append(rows, frames)
            small.empty()
            if room_bytes > _COMMIT_BYTES:
                break
        watching.check(store)
        with MemoryStore.open(store.path) as reader:
            watching.check(reader)
    store.close()
    return failed


@pytest.mark.slow
def test_the_next_writer_can_append_what_did_not_fit(store: MemoryStore, small: Any, kitchen: Any) -> None:
    def reopened(store: MemoryStore) -> MemoryStore:
        store.close()
        return open_memory(small.path / "memory")

    assert append_with_growing_room(store, small, kitchen, reopened) > 15


@pytest.mark.slow
def test_the_same_writer_can_append_what_did_not_fit(store: MemoryStore, small: Any, kitchen: Any) -> None:
    assert append_with_growing_room(store, small, kitchen, lambda store: store) > 15


def test_summaries_are_written_once_there_is_room(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments, frames, _ = kitchen.life(1.1)
    store.put_stream(kitchen.stream)
    ladder = Ladder("kitchen")
    below, above = [], []
    for moment in moments:
        below.append(moment)
        above += ladder.push(moment)
    above += ladder.flush()
    store.append(below, frames)
    store.maintain()  # so that maintenance frees nothing later

    def consolidate() -> None:
        store.append(above)

    failures = count_failures_until_there_is_room(small, consolidate, DiskFull)

    assert failures >= 2
    assert {rung: len(store.snapshot().timeline("kitchen", rung=rung)) for rung in ("event", "hour")} == {
        rung: sum(memory.rung == rung for memory in above) for rung in ("event", "hour")
    }
    assert_intact(store, kitchen, moments)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["stream", "gap", "look", "use", "pin", "unpin", "queue", "described", "budget"]
)
def test_each_kind_of_write_succeeds_once_there_is_room(
    store: MemoryStore, small: Any, kitchen: Any, kind: str
) -> None:
    moments = remember(store, kitchen, 0.1)
    look = Observation("a dent", (Finding("object", "dent", "a dent", moments[0].span, "i/1"),), "i/1", 9e9)
    pin = store.pin("kitchen", Span(0.0, 10.0))
    waiting = Pending(moments[0].id, "kitchen", "moment", moments[0].span, 0.5, 0.0)
    tables = store._tables
    write, written = {
        "stream": (
            lambda: store.put_stream(replace(kitchen.stream, name="yard")),
            lambda: store.stream("yard") is not None,
        ),
        "gap": (
            lambda: store.put_gap(Gap("g", "kitchen", 0, Span(9000.0, 9060.0), "stalled")),
            lambda: len(store.snapshot().gaps("kitchen")) == 1,
        ),
        "look": (
            lambda: store.write_back(moments[0], look),
            lambda: len(store.snapshot().get([moments[0].id])[moments[0].id].observations) == 2,
        ),
        "use": (
            lambda: store.note_uses([Use("kitchen", Span(0.0, 5.0), "cited", 1e9)]),
            lambda: tables.uses.count_rows() == 1,
        ),
        "pin": (lambda: store.pin("kitchen", Span(20.0, 30.0)), lambda: len(store.pins()) == 2),
        "unpin": (lambda: store.unpin(pin.id), lambda: store.pins() == []),
        "queue": (lambda: store.enqueue([waiting]), lambda: store.waiting() == 1),
        "described": (
            lambda: store.described([(moments[0], replace(look, written_by="lmm/1"))]),
            lambda: len(store.snapshot().get([moments[0].id])[moments[0].id].observations) == 2,
        ),
        "budget": (
            lambda: store.set_stream_budget("kitchen", MIN_BUDGET_BYTES),
            lambda: store.account().stream_budgets == {"kitchen": MIN_BUDGET_BYTES},
        ),
    }[kind]

    failures = count_failures_until_there_is_room(small, write, DiskFull, step=4096)

    assert failures >= 1
    assert written()
    assert_intact(store, kitchen, moments)


# -- evicting ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_eviction_without_room_leaves_the_memory_intact(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    moments = remember(store, kitchen)
    failed = 0
    while units := kitchen.candidates(store).lowest_value(1e12)[:3]:
        for _ in room_by_room(small):
            try:
                kitchen.evict(store, units)
            except RAW_ERRORS:
                failed += 1
                small.empty()
                assert_intact(store, kitchen, moments)
                continue
            break
        small.empty()
        assert_intact(store, kitchen, moments)
        kitchen.evict(store, kitchen.candidates(store).lowest_value(1e12)[3:])

    assert failed >= 5
    assert store.snapshot().tombstones("kitchen") != []


def test_an_append_that_must_evict_first_reports_a_full_disk(
    disk: Callable[[int], Any], kitchen: Any
) -> None:
    roomy = disk(160)
    with open_memory(roomy.path / "memory") as store:
        moments = remember(store, kitchen)
    with open_memory(roomy.path / "memory", budget_bytes=MIN_BUDGET_BYTES) as store:
        # The file counts as part of the memory and uses up its budget.
        (store.path / "in-the-way").write_bytes(bytes(MIN_BUDGET_BYTES - 5_500_000))
        next_moment = replace(moments[-1], id="later", frame_ids=(), span=Span(1800.0, 1810.0))
        store._writes.budget.measure()
        roomy.leave(20_000)

        with pytest.raises(DiskFull):
            store.append([next_moment])


@pytest.mark.slow
def test_maintenance_without_room_is_done_later(store: MemoryStore, small: Any, kitchen: Any) -> None:
    """Merging, first indexes, eviction, deletion of old versions."""
    moments = remember(store, kitchen)
    frames = kitchen.pictures(store)
    for number, _ in enumerate(room_by_room(small, 5 * STEP)):
        store.compact()
        small.empty()
        assert_intact(store, kitchen, moments)
        assert search_starts(store) == [900.0, 910.0]
        if size_on_disk(store.path) + number * 5 * STEP > ENOUGH // 2:
            break
        store.put_stream(replace(kitchen.stream, state="watching"))
        store.write_back(moments[number], Observation(f"look {number}", (), "inspect/1", 9000.0 + number))

    store.compact()
    assert_intact(store, kitchen, moments)
    assert kitchen.pictures(store) == frames
    assert all(not index.num_unindexed_rows for index in store._tables.observations.list_indices())


@pytest.mark.slow
def test_the_files_of_a_failed_maintenance_are_removed(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments = remember(store, kitchen)
    store.compact()
    compacted_bytes = size_on_disk(store.path)
    for number, _ in enumerate(room_by_room(small, 2 * STEP)):
        store.compact()
        small.empty()
        if number == 30:
            break
        store.write_back(moments[number], Observation(f"look {number}", (), "inspect/1", 9000.0 + number))

    store.compact()

    assert size_on_disk(store.path) < 1.5 * compacted_bytes


@pytest.mark.slow
def test_a_vector_index_is_made_once_there_is_room(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments = remember(store, kitchen)
    vectors = store._tables.text_vectors
    assert vectors is not None
    rows = select(latest_view(vectors))
    with store._commits.commit() as change:
        change.touch(vectors)
        for number in range(110):
            append(vectors, [{**row, "id": f"{row['id']}-{number}"} for row in rows])

    def has_index() -> bool:
        return any("vector" in index.columns for index in vectors.list_indices())

    for room_bytes in count(0, 600_000):
        assert not has_index()
        small.leave(room_bytes)
        store.maintain()
        small.empty()
        assert_intact(store, kitchen, moments)
        assert search_starts(store) == [900.0, 910.0]
        if has_index():
            break

    assert room_bytes > 0


# -- reading ---------------------------------------------------------------------------------------------


def test_everything_can_be_read_on_a_full_disk(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments = remember(store, kitchen, 0.1)
    small.leave(0)

    with MemoryStore.open(store.path) as reader:
        # The first of them may get a block that was just freed.
        snapshots = [reader.snapshot() for _ in range(5)]
        assert [snapshot.timeline("kitchen", limit=1000) for snapshot in snapshots] == 5 * [moments]
        for snapshot in snapshots:
            snapshot.release()
        assert reader.account().used_bytes > 0


# -- erasing ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("finished_by", ["the same", "the next", "compacting"])
def test_an_erasure_finishes_in_every_file_once_there_is_room(
    store: MemoryStore, small: Any, kitchen: Any, finished_by: str
) -> None:
    moments = remember(store, kitchen)
    store.maintain()

    for _ in room_by_room(small, 4 * STEP):
        try:
            store.erase("kitchen", Span(905.0, 915.0))
        except DiskFull:
            small.empty()
            assert_intact(store, kitchen, moments)
            started = len(store.snapshot().timeline("kitchen", limit=1000)) < len(moments)
            if started and finished_by != "the same":
                assert (store.path / PENDING).exists()
                break
            continue
        break
    small.empty()
    if finished_by == "the next":
        store.close()
        with open_memory(small.path / "memory") as next_writer:
            next_writer.erase("kitchen", Span(905.0, 915.0))
    elif finished_by == "compacting":
        store.compact()

    assert files_with(store.path, "xylophonequartz") == []
    assert not (store.path / PENDING).exists()
    with open_memory(small.path / "memory") if finished_by == "the next" else store as remaining:
        assert_intact(remaining, kitchen, moments)
        assert len(remaining.snapshot().timeline("kitchen", limit=1000)) == len(moments) - 2


# -- a read-only disk -------------------------------------------------------------------------


def test_a_read_only_disk_can_be_read_and_not_written(small: Any, kitchen: Any) -> None:
    folder = small.path / "memory"
    with open_memory(folder) as store:
        moments = remember(store, kitchen, 0.1)
    subprocess.run(["mount", "-o", "remount,ro", str(small.path)], check=True)

    with pytest.raises(CannotWrite, match="read-only"):
        open_memory(folder)
    with MemoryStore.open(folder, min_free_bytes=0) as reader:
        kitchen.check(reader, moments)
        for write in (
            lambda: reader.pin("kitchen", Span(0.0, 10.0)),
            lambda: reader.unpin("it"),
            lambda: reader.write_back(moments[0], Observation("a dent", (), "inspect/1", 9e9)),
            lambda: reader.note_uses([Use("kitchen", Span(0.0, 5.0), "cited", 1e9)]),
        ):
            with pytest.raises(CannotWrite):
                write()
        reader.account()
