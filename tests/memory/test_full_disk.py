"""A disk that fills up in the middle of anything costs nothing that was acknowledged, and it goes on once there is room.

Each kind of writing is tried with ever more room, a few blocks at a time, so that it fails once at every file that
it writes.
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
"""What two moments take to write, and a little more."""
UNTOLD = (MemoryStoreError, OSError, RuntimeError)
"""What is raised inside, where nobody has said yet that the disk is full."""


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
    """An empty memory on the small disk, with vectors; nothing is kept free beside it."""
    with open_memory(small.path / "memory") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def remember(store: MemoryStore, kitchen: Any, hours: float = 0.5) -> list[Moment]:
    """Have it watched with a word of its own from 15:00 to 15:20; the moments."""
    moments, frames, _ = kitchen.life(hours)
    told = [
        replace(one, observations=(replace(one.observations[0], caption="the xylophonequartz stands there"),))
        if Span(900, 920).overlaps(one.span)
        else one
        for one in moments
    ]
    store.put_stream(kitchen.stream)
    ladder = Ladder("kitchen")
    store.append([row for one in told for row in (one, *ladder.push(one))] + ladder.flush(), frames)
    return told


def room_by_room(disk: Any, step: int = STEP) -> Iterator[int]:
    """The disk with ever more room; inside the loop there is so much, and after it there is all again."""
    try:
        for room_bytes in range(0, ENOUGH, step):
            disk.leave(room_bytes)
            yield room_bytes
    finally:
        disk.empty()


def until_there_is_room(disk: Any, do: Callable[[], Any], *errors: type[Exception], step: int = STEP) -> int:
    """Try it with ever more room until it is done; how often it was not. Anything but ``errors`` is a failure."""
    for tried, _ in enumerate(room_by_room(disk, step)):
        try:
            do()
        except errors:
            disk.empty()
            continue
        return tried
    raise AssertionError("it is never done")


def unharmed(store: MemoryStore, kitchen: Any, moments: list[Moment]) -> None:
    """All is there and accounted for, for who has it open and for who opens it now."""
    kitchen.check(store, moments)
    with MemoryStore.open(store.path) as reader:
        kitchen.check(reader, moments)


def found_at(store: MemoryStore) -> list[float]:
    """Where the two moments begin that say most of the word."""
    hits = store.snapshot().search("xylophonequartz", rungs=["moment"], limit=2)
    return sorted(hit.moment.span.start_s for hit in hits)


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


# -- making and appending --------------------------------------------------------------------------------


def test_a_memory_is_made_once_there_is_room_for_it(small: Any, kitchen: Any) -> None:
    folder = small.path / "memory"

    tried = until_there_is_room(small, lambda: open_memory(folder).close(), DiskFull)

    assert tried >= 5
    with open_memory(folder) as store:
        unharmed(store, kitchen, remember(store, kitchen, 0.1))


def test_who_could_not_open_it_for_want_of_room_can_once_there_is_room(small: Any, kitchen: Any) -> None:
    """While the error is still held, as a caller may that tells it to somebody."""
    folder = small.path / "memory"
    small.leave(0)
    with pytest.raises(DiskFull) as full:
        open_memory(folder)
    small.empty()

    with open_memory(folder) as store:
        unharmed(store, kitchen, remember(store, kitchen, 0.1))
    assert full.value.path == folder


def test_a_full_disk_names_the_memory_and_what_to_do(store: MemoryStore, small: Any, kitchen: Any) -> None:
    small.leave(0)

    with pytest.raises(DiskFull, match="Free some space") as full:
        store.put_stream(kitchen.stream)

    assert full.value.path == store.path
    assert "The memory is intact" in str(full.value)


class Watching:
    """Appends two moments at a time, with the memories above that they complete."""

    def __init__(self, kitchen: Any) -> None:
        self.moments, self._frames, _ = kitchen.life(1.0)
        self._ladder = Ladder("kitchen")
        self.done = 0

    def next_batch(self) -> tuple[list[Moment], list[KeyFrame]]:
        batch = self.moments[self.done : self.done + 2]
        frames = self._frames[2 * self.done : 2 * self.done + 4]
        self.done += 2
        return [row for one in batch for row in (one, *self._ladder.push(one))], frames

    def check(self, store: MemoryStore) -> None:
        snapshot = store.snapshot()
        there = snapshot.timeline("kitchen", limit=10_000)
        acknowledged = self.moments[: self.done]
        assert there == acknowledged
        pictures = [key for moment in acknowledged for key in moment.frame_ids]
        assert len(snapshot.frames(pictures)) == len(pictures)


def append_with_ever_more_room(
    store: MemoryStore, small: Any, kitchen: Any, again: Callable[[MemoryStore], MemoryStore]
) -> int:
    """Append batch after batch to an ever less full disk, each that fails once more when there is room."""
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
                store = again(store)
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
def test_what_did_not_fit_can_be_appended_by_who_opens_it_next(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    def reopened(store: MemoryStore) -> MemoryStore:
        store.close()
        return open_memory(small.path / "memory")

    assert append_with_ever_more_room(store, small, kitchen, reopened) > 15


@pytest.mark.slow
def test_what_did_not_fit_can_be_appended_by_the_same_once_there_is_room(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    assert append_with_ever_more_room(store, small, kitchen, lambda store: store) > 15


def test_the_memories_above_are_made_once_there_is_room(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments, frames, _ = kitchen.life(1.1)
    store.put_stream(kitchen.stream)
    ladder = Ladder("kitchen")
    below, above = [], []
    for moment in moments:
        below.append(moment)
        above += ladder.push(moment)
    above += ladder.flush()
    store.append(below, frames)
    store.maintain()  # so that upkeep frees nothing meanwhile

    def consolidate() -> None:
        store.append(above)

    tried = until_there_is_room(small, consolidate, DiskFull)

    assert tried >= 2
    assert {rung: len(store.snapshot().timeline("kitchen", rung=rung)) for rung in ("event", "hour")} == {
        rung: sum(one.rung == rung for one in above) for rung in ("event", "hour")
    }
    unharmed(store, kitchen, moments)


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["stream", "gap", "look", "use", "pin", "unpin", "queue", "described", "budget"]
)
def test_each_small_thing_is_written_once_there_is_room(
    store: MemoryStore, small: Any, kitchen: Any, what: str
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
    }[what]

    tried = until_there_is_room(small, write, DiskFull, step=4096)

    assert tried >= 1
    assert written()
    unharmed(store, kitchen, moments)


# -- forgetting ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_cannot_be_forgotten_for_want_of_room_stays_whole(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    moments = remember(store, kitchen)
    failed = 0
    while units := kitchen.shelf(store).lowest_value(1e12)[:3]:
        for _ in room_by_room(small):
            try:
                kitchen.forget(store, units)
            except UNTOLD:
                failed += 1
                small.empty()
                unharmed(store, kitchen, moments)
                continue
            break
        small.empty()
        unharmed(store, kitchen, moments)
        kitchen.forget(store, kitchen.shelf(store).lowest_value(1e12)[3:])

    assert failed >= 5
    assert store.snapshot().tombstones("kitchen") != []


def test_an_append_that_has_to_forget_first_says_that_the_disk_is_full(
    disk: Callable[[int], Any], kitchen: Any
) -> None:
    roomy = disk(160)
    with open_memory(roomy.path / "memory") as store:
        moments = remember(store, kitchen)
    with open_memory(roomy.path / "memory", budget_bytes=MIN_BUDGET_BYTES) as store:
        # As if it had grown: all of it counts.
        (store.path / "in-the-way").write_bytes(bytes(MIN_BUDGET_BYTES - 5_500_000))
        later = replace(moments[-1], id="later", frame_ids=(), span=Span(1800.0, 1810.0))
        store._writes.budget.measure()
        roomy.leave(20_000)

        with pytest.raises(DiskFull):
            store.append([later])


@pytest.mark.slow
def test_what_upkeep_finds_no_room_for_is_done_later_and_fails_nobody(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    """Merging, the first indexes, forgetting, old versions."""
    moments = remember(store, kitchen)
    frames = kitchen.pictures(store)
    for number, _ in enumerate(room_by_room(small, 5 * STEP)):
        store.compact()
        small.empty()
        unharmed(store, kitchen, moments)
        assert found_at(store) == [900.0, 910.0]
        if size_on_disk(store.path) + number * 5 * STEP > ENOUGH // 2:
            break
        store.put_stream(replace(kitchen.stream, state="watching"))
        store.write_back(moments[number], Observation(f"look {number}", (), "inspect/1", 9000.0 + number))

    store.compact()
    unharmed(store, kitchen, moments)
    assert kitchen.pictures(store) == frames
    assert all(not index.num_unindexed_rows for index in store._tables.observations.list_indices())


@pytest.mark.slow
def test_what_upkeep_had_written_when_the_disk_was_full_takes_no_room_afterwards(
    store: MemoryStore, small: Any, kitchen: Any
) -> None:
    moments = remember(store, kitchen)
    store.compact()
    once_bytes = size_on_disk(store.path)
    for number, _ in enumerate(room_by_room(small, 2 * STEP)):
        store.compact()
        small.empty()
        if number == 30:
            break
        store.write_back(moments[number], Observation(f"look {number}", (), "inspect/1", 9000.0 + number))

    store.compact()

    assert size_on_disk(store.path) < 1.5 * once_bytes


@pytest.mark.slow
def test_an_index_of_vectors_is_made_once_there_is_room(store: MemoryStore, small: Any, kitchen: Any) -> None:
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
        unharmed(store, kitchen, moments)
        assert found_at(store) == [900.0, 910.0]
        if has_index():
            break

    assert room_bytes > 0


# -- reading ---------------------------------------------------------------------------------------------


def test_on_a_full_disk_all_can_be_read(store: MemoryStore, small: Any, kitchen: Any) -> None:
    moments = remember(store, kitchen, 0.1)
    small.leave(0)

    with MemoryStore.open(store.path) as reader:
        # The first of them may find a block that was just given back.
        snapshots = [reader.snapshot() for _ in range(5)]
        assert [one.timeline("kitchen", limit=1000) for one in snapshots] == 5 * [moments]
        for snapshot in snapshots:
            snapshot.release()
        assert reader.account().used_bytes > 0


# -- erasing ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("finished_by", ["the same", "the next", "compacting"])
def test_what_is_erased_is_gone_from_every_file_once_there_is_room(
    store: MemoryStore, small: Any, kitchen: Any, finished_by: str
) -> None:
    moments = remember(store, kitchen)
    store.maintain()

    for _ in room_by_room(small, 4 * STEP):
        try:
            store.erase("kitchen", Span(905.0, 915.0))
        except DiskFull:
            small.empty()
            unharmed(store, kitchen, moments)
            begun = len(store.snapshot().timeline("kitchen", limit=1000)) < len(moments)
            if begun and finished_by != "the same":
                assert (store.path / PENDING).exists()
                break
            continue
        break
    small.empty()
    if finished_by == "the next":
        store.close()
        with open_memory(small.path / "memory") as later:
            later.erase("kitchen", Span(905.0, 915.0))
    elif finished_by == "compacting":
        store.compact()

    assert files_with(store.path, "xylophonequartz") == []
    assert not (store.path / PENDING).exists()
    with open_memory(small.path / "memory") if finished_by == "the next" else store as left:
        unharmed(left, kitchen, moments)
        assert len(left.snapshot().timeline("kitchen", limit=1000)) == len(moments) - 2


# -- a disk that may only be read -------------------------------------------------------------------------


def test_on_a_disk_that_may_only_be_read_all_can_be_read_and_nothing_written(
    small: Any, kitchen: Any
) -> None:
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
