"""Commits over several tables are atomic, also after errors and crashes."""

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


def test_readers_see_no_change_before_the_commit_ends(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    with Commits(store.path).commit() as change:
        change.append(store._tables.frames, [frame_row(frame(1.0), 0.0)])
        change.append(store._tables.observations, observation_rows(moment(0, "a red car")))
        inside = captions(store), store.snapshot().frames(["frame-1.0"])

    assert inside == ([], [])
    assert captions(store) == ["a red car"]
    assert store.snapshot().frames(["frame-1.0"]) == [frame(1.0)]


def test_a_commit_that_fails_leaves_nothing(
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
def test_the_next_commit_after_a_crash_undoes_the_unfinished_one(
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
            inside = captions(reader)
        dying.send_signal(signal.SIGKILL)

    with MemoryStore.open(folder, write=next_is == "a writer") as store:
        if next_is == "a second look":
            store.write_back(moment(0), moment(0, "a dent").observations[0])
        else:
            store.append([moment(1, "a blue car")])
        finally_stored = captions(store)

    assert inside == ["a red car"]
    assert finally_stored == (["a red car", "a blue car"] if next_is == "a writer" else ["a dent"])


def test_rows_of_an_unfinished_commit_do_not_count_as_stored(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    """On a disk too full to restore the tables, the next commit restores them. The batch is then appended again."""
    store.append([moment(0)])
    batch = moment(1, frame_ids=("frame-6.0",))
    append(store._tables.frames, [frame_row(frame(6.0), 0.0)])
    append(store._tables.observations, observation_rows(batch))
    (store.path / "commit.lock").write_text("unfinished")
    store._appender.unsettle("kitchen")

    store.append([batch], [frame(6.0)])

    assert [memory.span.start_s for memory in store.snapshot().timeline("kitchen")] == [0.0, 5.0]
    assert pictures(store) == ["frame-6.0"]


def test_commits_of_several_threads_are_serialised(store: MemoryStore, moment: Make) -> None:
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


@pytest.mark.parametrize("content", ["", "{", "[]", '{"number": 1}'])
def test_an_unreadable_head_loses_no_rows(folder: Path, moment: Make, content: str) -> None:
    with MemoryStore.open(folder, write=True) as store:
        store.append([moment(0, "a red car")])
    (folder / HEAD_NAME).write_text(content)

    with MemoryStore.open(folder) as reader:
        before_append = captions(reader)
    with MemoryStore.open(folder, write=True) as store:
        store.append([moment(1, "a blue car")])

        assert before_append == ["a red car"]
        assert captions(store) == ["a red car", "a blue car"]
