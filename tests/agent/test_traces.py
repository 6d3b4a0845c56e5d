"""The steps of questions are kept within a bound, the newest of them, and none that tells of what was forgotten."""

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

MOST = 500_000
KETTLE, PARCEL = moment_id("kitchen", 0, "moment", 0.0), moment_id("kitchen", 0, "moment", 10.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "questions.sqlite"


@pytest.fixture
def traces(path: Path) -> Iterator[TraceStore]:
    opened = open_traces(path, most_bytes=MOST)
    yield opened
    opened.close()


def ask(traces: TraceStore, name: str, *told: str, size: int = 5000) -> None:
    """Leave two steps of a question, which tell of these; the second of them only what it wrote."""
    config: Any = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
    for words in ([], list(told)):
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"found": ["x" * size]}
        config = traces.put(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {})
        traces.put_writes(config, [("found", words)], "task")


def there(traces: TraceStore) -> list[str]:
    return sorted(row[0] for row in traces.conn.execute("SELECT DISTINCT thread_id FROM checkpoints"))


def on_disk(path: Path) -> int:
    """What the traces take, with the files that SQLite keeps beside them; its index of these is always as large."""
    return sum(file.stat().st_size for file in path.parent.iterdir() if not file.name.endswith("-shm"))


def files_with(path: Path, word: str) -> list[str]:
    return [file.name for file in path.parent.iterdir() if word.encode() in file.read_bytes()]


# -- trimmed ---------------------------------------------------------------------------------------------


def test_more_than_they_may_take_the_oldest_go_and_the_files_shrink(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")
    before_bytes = on_disk(path)

    traces.trim()

    left = there(traces)
    assert before_bytes > 2 * MOST
    assert on_disk(path) <= MOST
    assert left == [f"{number:03}" for number in range(100 - len(left), 100)]
    assert len(left) >= 20, "no more go than have to"


def test_trimmed_after_each_question_they_never_take_much_more(path, traces):
    most_bytes = 0
    for number in range(200):
        ask(traces, f"{number:03}", size=2000)
        traces.trim()
        most_bytes = max(most_bytes, on_disk(path))

    assert there(traces)[-1] == "199"
    assert most_bytes < MOST + 4_200_000, "SQLite's log takes a thousand pages at most"


def test_a_file_that_is_large_only_for_what_was_in_it_costs_no_trace(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")

    traces.trim(keep=30)

    assert len(there(traces)) == 30
    assert on_disk(path) <= MOST


def test_what_fits_stays_as_it_is(path, traces):
    for number in range(3):
        ask(traces, str(number))
    before_bytes = on_disk(path)

    traces.trim()

    assert there(traces) == ["0", "1", "2"]
    assert on_disk(path) == before_bytes


def test_one_trace_that_alone_is_too_much_goes_too(path, traces):
    ask(traces, "long", size=1_000_000)

    traces.trim()

    assert there(traces) == []
    assert on_disk(path) <= MOST


def test_what_was_left_is_trimmed_when_opened_with_a_smaller_bound(path):
    large = open_traces(path, most_bytes=100 * MOST)
    for number in range(100):
        ask(large, f"{number:03}")
    large.close()

    opened = open_traces(path, most_bytes=MOST)

    left = there(opened)
    opened.close()
    assert left[-1] == "099"
    assert on_disk(path) <= MOST


def test_who_cannot_be_written_for_now_is_not_trimmed_and_that_is_no_error(path, traces):
    for number in range(100):
        ask(traces, f"{number:03}")
    traces.conn.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")

    traces.trim()
    other.rollback()
    other.close()

    assert len(there(traces)) == 100
    traces.trim()
    assert on_disk(path) <= MOST


# -- forgotten -------------------------------------------------------------------------------------------


def test_a_trace_that_names_a_memory_is_forgotten_and_no_other(path, traces):
    ask(traces, "parcel", "parcelword", PARCEL)
    ask(traces, "both", KETTLE, f"near:{PARCEL}:1")
    ask(traces, "kettle", "kettleword", KETTLE)
    ask(traces, "none")

    count = traces.forget({PARCEL})

    assert count == 2
    assert there(traces) == ["kettle", "none"]
    assert files_with(path, PARCEL) == files_with(path, "parcelword") == []
    assert files_with(path, "kettleword") != []


def test_the_files_hold_nothing_of_it_while_they_are_still_open_elsewhere(path, traces):
    other = open_traces(path)
    ask(other, "parcel", "parcelword", PARCEL)

    traces.forget({PARCEL})

    assert files_with(path, "parcelword") == []
    assert there(other) == []
    other.close()


def test_a_word_is_found_within_others(traces):
    ask(traces, "one", "search:front door:who")
    ask(traces, "two", "search:yard:who")

    assert traces.forget({"front door"}) == 1
    assert there(traces) == ["two"]


def test_an_id_is_found_whatever_stands_around_it(traces):
    ask(traces, "one", f"00{PARCEL}ff")

    assert traces.forget({PARCEL}) == 1


def test_nothing_sought_is_nothing_forgotten(traces):
    ask(traces, "one", PARCEL)

    assert traces.forget(set()) == traces.forget({""}) == traces.forget({KETTLE}) == 0
    assert there(traces) == ["one"]


def test_all_can_be_forgotten(path, traces):
    ask(traces, "one", "parcelword")
    ask(traces, "two")

    assert traces.forget_all() == 2
    assert there(traces) == []
    assert files_with(path, "parcelword") == []


def test_a_month_of_ids_is_looked_for_at_once(traces):
    for number in range(50):
        ask(traces, str(number), *(moment_id("yard", number, "moment", float(at)) for at in range(50)))
    month = {moment_id("kitchen", 0, "moment", 10.0 * number) for number in range(100_000)}

    assert traces.forget(month) == 0
    assert len(there(traces)) == 50


@pytest.mark.parametrize("how", ["BEGIN", "BEGIN IMMEDIATE"], ids=["read", "written"])
def test_while_others_keep_them_from_being_rewritten_that_is_said_and_it_can_be_done_later(path, traces, how):
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


def test_forgetting_while_another_thread_asks_loses_nothing_of_what_it_asks(path, traces):
    over = threading.Event()
    asked: list[str] = []

    def go_on() -> None:
        while not over.is_set():
            name = f"kettle-{len(asked):04}"
            ask(traces, name, KETTLE, size=100)
            asked.append(name)

    thread = threading.Thread(target=go_on)
    thread.start()
    for number in range(20):
        ask(traces, f"parcel-{number}", "parcelword", PARCEL)
        traces.forget({PARCEL})
    over.set()
    thread.join()

    assert there(traces) == asked
    assert files_with(path, "parcelword") == []


def test_a_file_that_is_no_database_cannot_be_forgotten_from_and_costs_no_answer(path):
    path.write_bytes(b"parcelword " * 1000)
    traces = open_traces(path)

    ask(traces, "kettle", KETTLE)  # kept nowhere
    with pytest.raises(TracesInUse, match="not a database"):
        traces.forget({PARCEL})
    traces.close()
