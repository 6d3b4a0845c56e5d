"""A change of many tables is one step: all of it is seen, or none, whatever happens in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from recollect.memory import KeyFrame, MemoryStore, Moment
from recollect.memory.storage.commits import HEAD_NAME, Commits
from recollect.memory.storage.rows import frame_row, observation_rows
from recollect.memory.storage.tables import append, latest_view, select

Make = Callable[..., Moment]


def captions(store: MemoryStore) -> list[str]:
    return [moment.caption for moment in store.snapshot().timeline("kitchen", limit=10_000)]


def pictures(store: MemoryStore) -> list[str]:
    return sorted(row["id"] for row in select(latest_view(store._tables.frames), columns=["id"]))


def test_nobody_sees_a_change_before_all_of_it_is_done(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    with Commits(store.path).commit() as change:
        change.append(store._tables.frames, [frame_row(frame(1.0), 0.0)])
        change.append(store._tables.observations, observation_rows(moment(0, "a red car")))
        before = captions(store), store.snapshot().frames(["frame-1.0"])

    assert before == ([], [])
    assert captions(store) == ["a red car"]
    assert store.snapshot().frames(["frame-1.0"]) == [frame(1.0)]


def test_a_change_that_fails_in_the_middle_leaves_nothing(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    store.append([moment(0, "a red car")])

    def fail() -> None:
        with Commits(store.path).commit() as change:
            change.append(store._tables.frames, [frame_row(frame(6.0), 0.0)])
            change.delete(store._tables.observations, "true")
            raise OSError("in the middle")

    with pytest.raises(OSError, match="in the middle"):
        fail()

    assert captions(store) == ["a red car"]
    assert pictures(store) == []
    store.append([moment(1, "a blue car")])
    assert captions(store) == ["a red car", "a blue car"]


DIES_IN_THE_MIDDLE = """
import os, sys
from pathlib import Path
from recollect.memory.storage.commits import Commits
from recollect.memory.storage.tables import Tables
tables = Tables.open(Path(sys.argv[1]), encoder=None)
with Commits(Path(sys.argv[1])).commit() as change:
    change.delete(tables.observations, "true")
    print("deleted", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.parametrize("next_is", ["a writer", "a second look"])
def test_who_comes_after_a_crash_undoes_what_it_left(
    folder: Path, moment: Make, next_is: str, finding: Callable[..., object]
) -> None:
    with MemoryStore.open(folder, write=True) as store:
        store.append([moment(0, "a red car")])
    with subprocess.Popen(
        [sys.executable, "-c", DIES_IN_THE_MIDDLE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"deleted\n"
        with MemoryStore.open(folder) as reader:
            while_in_the_middle = captions(reader)
        dying.send_signal(signal.SIGKILL)

    with MemoryStore.open(folder, write=next_is == "a writer") as store:
        if next_is == "a second look":
            store.write_back(moment(0), moment(0, "a dent").observations[0])
        else:
            store.append([moment(1, "a blue car")])
        after = captions(store)

    assert while_in_the_middle == ["a red car"]
    assert after == (["a red car", "a blue car"] if next_is == "a writer" else ["a dent"])


def test_what_an_unfinished_change_left_does_not_count_as_there(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    """As where the disk was too full even to undo it: the next commit does, and the batch is appended again."""
    store.append([moment(0)])
    batch = moment(1, frame_ids=("frame-6.0",))
    append(store._tables.frames, [frame_row(frame(6.0), 0.0)])
    append(store._tables.observations, observation_rows(batch))
    (store.path / "commit.lock").write_text("unfinished")
    store._appender.unsettle("kitchen")

    store.append([batch], [frame(6.0)])

    assert [one.span.start_s for one in store.snapshot().timeline("kitchen")] == [0.0, 5.0]
    assert pictures(store) == ["frame-6.0"]


def test_changes_of_several_threads_come_one_after_the_other(store: MemoryStore, moment: Make) -> None:
    def append(stream: str) -> None:
        for number in range(10):
            store.append([moment(number, stream, stream=stream)])

    threads = [threading.Thread(target=append, args=(f"s{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    snapshot = store.snapshot()
    assert [len(snapshot.timeline(f"s{n}")) for n in range(3)] == [10, 10, 10]
    assert Commits(store.path).head().number >= 30


@pytest.mark.parametrize("left", ["", "{", "[]", '{"number": 1}'])
def test_a_head_that_cannot_be_read_costs_nothing_that_the_tables_have(
    folder: Path, moment: Make, left: str
) -> None:
    with MemoryStore.open(folder, write=True) as store:
        store.append([moment(0, "a red car")])
    (folder / HEAD_NAME).write_text(left)

    with MemoryStore.open(folder) as reader:
        read = captions(reader)
    with MemoryStore.open(folder, write=True) as store:
        store.append([moment(1, "a blue car")])

        assert read == ["a red car"]
        assert captions(store) == ["a red car", "a blue car"]
