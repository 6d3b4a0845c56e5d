"""The trace store keeps the newest steps within a limit, and erases those that mention erased memories."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from recollect.agent.errors import TracesInUse
from recollect.agent.traces import TraceStore, open_traces
from recollect.memory import moment_id

LIMIT_BYTES = 500_000
KETTLE, PARCEL = moment_id("kitchen", 0, "moment", 0.0), moment_id("kitchen", 0, "moment", 10.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "questions.sqlite"


@pytest.fixture
def traces(path: Path) -> Iterator[TraceStore]:
    opened = open_traces(path, most_bytes=LIMIT_BYTES)
    yield opened
    opened.close()


def ask(traces: TraceStore, name: str, *mentions: str, size: int = 5000) -> None:
    """Write two steps of a question. The second one mentions these words, in what it wrote."""
    config: Any = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
    for written in ([], list(mentions)):
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"found": ["x" * size]}
        config = traces.put(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {})
        traces.put_writes(config, [("found", written)], "task")


def kept_traces(traces: TraceStore) -> list[str]:
    return sorted(row[0] for row in traces.conn.execute("SELECT DISTINCT thread_id FROM checkpoints"))


def on_disk(path: Path) -> int:
    """The bytes of the traces and of SQLite's files beside them, except its shared memory, whose size is fixed."""
    return sum(file.stat().st_size for file in path.parent.iterdir() if not file.name.endswith("-shm"))


def files_with(path: Path, word: str) -> list[str]:
    return [file.name for file in path.parent.iterdir() if word.encode() in file.read_bytes()]


# -- trimmed ---------------------------------------------------------------------------------------------


def test_beyond_the_limit_the_oldest_traces_go_and_files_shrink(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")
    before_bytes = on_disk(path)

    traces.trim()

    kept = kept_traces(traces)
    assert before_bytes > 2 * LIMIT_BYTES
    assert on_disk(path) <= LIMIT_BYTES
    assert kept == [f"{number:03}" for number in range(100 - len(kept), 100)]
    assert len(kept) >= 20, "no more are deleted than necessary"


def test_trimming_after_each_question_keeps_the_limit(path, traces):
    largest_bytes = 0
    for number in range(200):
        ask(traces, f"{number:03}", size=2000)
        traces.trim()
        largest_bytes = max(largest_bytes, on_disk(path))

    assert kept_traces(traces)[-1] == "199"
    assert largest_bytes < LIMIT_BYTES + 4_200_000, "SQLite's log takes a thousand pages at most"


def test_a_file_of_deleted_traces_is_shrunk_before_more_are_cut(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")

    traces.trim(keep=30)

    assert len(kept_traces(traces)) == 30
    assert on_disk(path) <= LIMIT_BYTES


def test_traces_within_the_limit_are_kept(path, traces):
    for number in range(3):
        ask(traces, str(number))
    before_bytes = on_disk(path)

    traces.trim()

    assert kept_traces(traces) == ["0", "1", "2"]
    assert on_disk(path) == before_bytes


def test_a_single_trace_above_the_limit_is_deleted(path, traces):
    ask(traces, "long", size=1_000_000)

    traces.trim()

    assert kept_traces(traces) == []
    assert on_disk(path) <= LIMIT_BYTES


def test_traces_are_trimmed_when_opened_with_a_smaller_limit(path):
    large = open_traces(path, most_bytes=100 * LIMIT_BYTES)
    for number in range(100):
        ask(large, f"{number:03}")
    large.close()

    opened = open_traces(path, most_bytes=LIMIT_BYTES)

    kept = kept_traces(opened)
    opened.close()
    assert kept[-1] == "099"
    assert on_disk(path) <= LIMIT_BYTES


def test_a_locked_file_is_not_trimmed_and_raises_no_error(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")
    traces.conn.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")

    traces.trim()
    other.rollback()
    other.close()

    assert len(kept_traces(traces)) == 100
    traces.trim()
    assert on_disk(path) <= LIMIT_BYTES


# -- forgotten -------------------------------------------------------------------------------------------


def test_only_traces_that_name_the_memory_are_erased(path, traces):
    ask(traces, "parcel", "parcelword", PARCEL)
    ask(traces, "both", KETTLE, f"near:{PARCEL}:1")
    ask(traces, "kettle", "kettleword", KETTLE)
    ask(traces, "none")

    count = traces.forget({PARCEL})

    assert count == 2
    assert kept_traces(traces) == ["kettle", "none"]
    assert files_with(path, PARCEL) == files_with(path, "parcelword") == []
    assert files_with(path, "kettleword") != []


def test_erased_traces_are_gone_while_the_file_is_open_elsewhere(path, traces):
    other = open_traces(path)
    ask(other, "parcel", "parcelword", PARCEL)

    traces.forget({PARCEL})

    assert files_with(path, "parcelword") == []
    assert kept_traces(other) == []
    other.close()


def test_a_word_is_found_inside_other_words(traces):
    ask(traces, "one", "search:front door:who")
    ask(traces, "two", "search:yard:who")

    assert traces.forget({"front door"}) == 1
    assert kept_traces(traces) == ["two"]


def test_an_id_is_found_inside_any_other_text(traces):
    ask(traces, "one", f"00{PARCEL}ff")

    assert traces.forget({PARCEL}) == 1


def test_erasing_no_words_deletes_nothing(traces):
    ask(traces, "one", PARCEL)

    assert traces.forget(set()) == traces.forget({""}) == traces.forget({KETTLE}) == 0
    assert kept_traces(traces) == ["one"]


def test_all_traces_can_be_erased(path, traces):
    ask(traces, "one", "parcelword")
    ask(traces, "two")

    assert traces.forget_all() == 2
    assert kept_traces(traces) == []
    assert files_with(path, "parcelword") == []


def test_a_month_of_ids_is_searched_for_in_one_pass(traces):
    for number in range(50):
        ask(traces, str(number), *(moment_id("yard", number, "moment", float(at)) for at in range(50)))
    month = {moment_id("kitchen", 0, "moment", 10.0 * number) for number in range(100_000)}

    assert traces.forget(month) == 0
    assert len(kept_traces(traces)) == 50


@pytest.mark.parametrize("how", ["BEGIN", "BEGIN IMMEDIATE"], ids=["read", "written"])
def test_erasure_fails_clearly_while_the_file_is_in_use(path, traces, how):
    ask(traces, "parcel", "parcelword", PARCEL)
    traces.conn.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path)
    other.execute(how)
    other.execute("SELECT count(*) FROM checkpoints").fetchone()

    with pytest.raises(TracesInUse, match="run `recollect forget` again"):
        traces.forget({PARCEL})
    other.rollback()
    other.close()
    traces.forget({PARCEL})

    assert files_with(path, "parcelword") == []


def test_erasure_loses_no_trace_that_another_thread_writes(path, traces):
    stop = threading.Event()
    names: list[str] = []

    def keep_asking() -> None:
        while not stop.is_set():
            name = f"kettle-{len(names):04}"
            ask(traces, name, KETTLE, size=100)
            names.append(name)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    for number in range(20):
        ask(traces, f"parcel-{number}", "parcelword", PARCEL)
        traces.forget({PARCEL})
    stop.set()
    thread.join()

    assert kept_traces(traces) == names
    assert files_with(path, "parcelword") == []


def test_a_broken_file_fails_erasure_but_no_question(path):
    path.write_bytes(b"parcelword " * 1000)
    traces = open_traces(path)

    ask(traces, "kettle", KETTLE)  # it cannot be kept
    with pytest.raises(TracesInUse, match="not a database"):
        traces.forget({PARCEL})
    traces.close()
