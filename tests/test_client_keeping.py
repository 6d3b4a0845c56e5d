"""The Python client: disk budgets, usage, compaction, pins, erasure, full disks and traces."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from recollect import Limits, Recollect, WatchOptions, to_plain
from recollect.agent.errors import BadQuestion, TracesInUse
from recollect.agent.traces import open_traces
from recollect.memory import MemoryStore, Span
from recollect.memory.errors import (
    BadBudget,
    DiskFull,
    MemoryInUse,
    NotAMemory,
    NothingToPin,
    PinsFull,
    UnknownStream,
)
from recollect.memory.storage.file_sizes import size_on_disk

SECRET_AT = (900.0, 920.0)


def manifest_of(memory: Path) -> dict[str, Any]:
    return json.loads((memory / "memory.json").read_text())


# -- budgets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "budget_bytes"),
    [
        ("20 GB", 20_000_000_000),
        ("1.5 GiB", 1_610_612_736),
        (70_000_000, 70_000_000),
        ("unbounded", sys.maxsize),
    ],
)
def test_the_disk_budget_is_stored_in_the_memory(short_video, tmp_path, budget, budget_bytes):
    with Recollect(tmp_path / "memory.lance", disk_budget=budget) as memory:
        memory.watch(short_video, options=WatchOptions(ocr=False))
        usage = memory.usage()

    assert usage.budget_bytes == manifest_of(memory.path)["budget_bytes"] == budget_bytes


@pytest.mark.parametrize("budget", ["lots", "", "-3 GB", "1 MB", 0, -1])
def test_an_invalid_budget_is_refused_before_a_memory_is_created(short_video, tmp_path, budget):
    with pytest.raises(BadBudget, match="Give a size such as 20 GB"):
        Recollect(tmp_path / "memory.lance", disk_budget=budget)
    with Recollect(tmp_path / "memory.lance") as memory, pytest.raises(BadBudget):
        memory.watch(short_video, options=WatchOptions(disk_budget=budget))

    assert not (tmp_path / "memory.lance").exists()


def test_a_stream_keeps_its_budget(short_video, tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.watch(short_video, stream="short", options=WatchOptions(ocr=False, disk_budget="500 MB"))
        memory.watch(short_video, options=WatchOptions(ocr=False))

        assert memory.usage().stream_budgets == {"short": 500_000_000}


def test_the_budget_of_a_finished_stream_can_be_changed(short_video, tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.watch(short_video, stream="short", options=WatchOptions(ocr=False, disk_budget="500 MB"))
        memory.watch(short_video, options=WatchOptions(ocr=False, disk_budget="600 MB"))

        assert memory.usage().stream_budgets == {"short": 600_000_000}


def test_a_new_budget_applies_to_usage_compaction_and_pins(door):
    with Recollect(door.memory, disk_budget="80 MB") as memory:
        before = memory.usage()
        after = memory.compact()
        usage = memory.usage()
        pinned = memory.pin("door", 0.0, 10.0)

    assert (before.budget_bytes, before.pin_quota_bytes) == (20_000_000_000, 2_000_000_000)
    for account in (after, usage):
        assert (account.budget_bytes, account.pin_quota_bytes) == (80_000_000, 8_000_000)
    assert pinned.stream == "door"


@pytest.mark.slow  # a memory of 70 MB: some 5 s
def test_a_smaller_budget_takes_effect_when_compacted(tmp_path):
    from recollect.testing.simulated_months import fill

    path = tmp_path / "large.lance"
    with MemoryStore.open(path, write=True) as store:
        fill(store, ["cam"], 1.5, picture_bytes=60_000, outages_a_day=0)
    with Recollect(path, disk_budget="64 MB") as memory:
        (before,), before_bytes = memory.status(), memory.usage().used_bytes

        account = memory.compact()

        (after,) = memory.status()
    assert before_bytes > 64_000_000 >= account.used_bytes
    assert size_on_disk(path) <= 64_000_000
    assert (before.tombstones, before.forgotten_s) == ((), {})
    assert {tombstone.cause for tombstone in after.tombstones} == {"budget"}
    assert 0 < after.forgotten_s["frame"] == sum(tombstone.span.duration_s for tombstone in after.tombstones)
    assert after.counts.captured == before.counts.captured


def test_a_question_has_its_own_limits(door):
    with Recollect(door.memory, limits=Limits(rounds=1)) as memory:
        assert memory.ask("When does a dog bark beside the wall?").usage.rounds == 1
    with Recollect(door.memory, limits=Limits(seconds=1e-6)) as memory:
        assert memory.ask("When does a dog bark beside the wall?").usage.rounds == 1


# -- usage and compact -----------------------------------------------------------------------------------


def test_usage_equals_the_size_of_the_folder(door):
    with Recollect(door.memory) as memory:
        account = memory.usage()

    parts = [*account.words.values(), *account.pictures.values()]
    parts += [account.indexes, account.old_versions, account.checkpoints, account.rest]
    assert sum(parts) == account.used_bytes
    # Readers' leases come and go.
    assert account.used_bytes == pytest.approx(size_on_disk(door.memory), abs=20_000)
    assert account.checkpoints == 0


def test_traces_count_towards_disk_usage(door):
    with Recollect(door.memory) as memory:
        memory.ask("What is on the wall?")

        assert memory.usage().checkpoints >= 20_000


def test_compacting_removes_old_versions_and_no_moments(door):
    with Recollect(door.memory) as memory:
        before = memory.timeline("door"), memory.usage()
        account = memory.compact()
        after = memory.timeline("door")

    assert after == before[0]
    assert account.old_versions < before[1].old_versions


@pytest.mark.parametrize("operation", ["compact", "forget"])
def test_compact_and_forget_do_not_wait_for_a_writer(door, operation):
    with (
        MemoryStore.open(door.memory, write=True, what="watch door"),
        Recollect(door.memory) as memory,
        pytest.raises(MemoryInUse, match="watch door"),
    ):
        memory.compact() if operation == "compact" else memory.forget("door", 0.0, 10.0)


def test_each_maintenance_call_refuses_a_missing_memory(tmp_path):
    with Recollect(tmp_path / "none.lance", disk_budget="1 GB") as memory:
        for call in (
            memory.usage,
            memory.compact,
            memory.pins,
            lambda: memory.pin("door"),
            lambda: memory.unpin("it"),
            lambda: memory.forget("door"),
        ):
            with pytest.raises(NotAMemory):
                call()

    assert list(tmp_path.iterdir()) == []


# -- pins ------------------------------------------------------------------------------------------------


def test_pins_are_listed_until_they_are_removed(door):
    with Recollect(door.memory) as memory:
        partial = memory.pin("door", 60.0, 90.0, note="the parcel")
        entire = memory.pin("yard")
        listed = memory.pins()
        with Recollect(door.memory) as second:
            listed_elsewhere = second.pins()
        removed = memory.unpin(partial.id), memory.unpin(partial.id)

        assert listed == listed_elsewhere == [partial, entire]
        assert (partial.span, partial.note) == (Span(60.0, 90.0), "the parcel")
        assert entire.span == Span(0.0, 360.0)
        assert removed == (True, False)
        assert memory.pins() == [entire]


def test_an_open_pin_extends_to_the_bounds_of_the_stream(door):
    with Recollect(door.memory) as memory:
        assert memory.pin("door", 1700.0).span == Span(1700.0, 1800.0)
        assert memory.pin("door", to_s=25.0).span == Span(0.0, 25.0)


@pytest.mark.parametrize(
    ("stream", "from_s", "to_s", "error"),
    [
        ("attic", None, None, UnknownStream),
        ("door", 20.0, 10.0, BadQuestion),
        ("door", -1.0, None, BadQuestion),
        ("door", float("nan"), None, BadQuestion),
        ("door", 9000.0, None, NothingToPin),
        ("door", 9000.0, 9010.0, NothingToPin),
    ],
)
def test_an_invalid_pin_raises_a_recollect_error(door, stream, from_s, to_s, error):
    with Recollect(door.memory) as memory:
        with pytest.raises(error):
            memory.pin(stream, from_s, to_s)

        assert memory.pins() == []


def test_a_pin_beyond_the_quota_needs_a_larger_budget(tmp_path):
    from recollect.testing.simulated_months import fill

    path = tmp_path / "memory.lance"
    with MemoryStore.open(path, write=True, budget_bytes=64_000_000) as store:
        fill(store, ["cam"], 0.6, picture_bytes=60_000, outages_a_day=0)
    with Recollect(path) as memory:
        with pytest.raises(PinsFull) as full:
            memory.pin("cam")
        assert memory.pins() == []
    with Recollect(path, disk_budget="1 GB") as memory:
        memory.compact()

        assert memory.pin("cam").stream == "cam"
    assert full.value.quota_bytes == 6_400_000 < full.value.needed_bytes


def test_pinning_respects_the_min_free_setting(door, monkeypatch):
    monkeypatch.setenv("RECOLLECT_MEMORY__MIN_FREE", "1000 TB")

    with Recollect(door.memory) as memory:
        with pytest.raises(DiskFull):
            memory.pin("door")
        assert memory.pins() == []


# -- erasure ---------------------------------------------------------------------------------------------


def test_erased_data_is_in_no_file_and_no_trace(door):
    with Recollect(door.memory) as memory:
        about_parcel = memory.ask("Where is the parcel?")
        about_secret = memory.ask(f"What does {door.secret} mean?")
        about_yard = memory.ask("What is in the yard?", stream="yard")
        before = door.files_with()

        receipt = memory.forget("door", *SECRET_AT)

        assert any(SECRET_AT[0] <= item.start_s < SECRET_AT[1] for item in about_parcel.evidence)
        assert any(name.startswith("questions.sqlite") for name in before), (
            "otherwise this test would prove nothing"
        )
        assert door.files_with() == []
        assert receipt.traces == 2
        assert memory.trace(about_parcel.trace_id) == memory.trace(about_secret.trace_id) == []
        assert memory.trace(about_yard.trace_id) != []
    assert door.files_with() == [], "nor after its files are closed"


def test_status_shows_the_erased_spans_of_a_stream(door):
    with Recollect(door.memory) as memory:
        receipt = memory.forget("door", 905.0, 915.0)
        status, _ = memory.status()

    (tombstone,) = status.tombstones
    assert receipt.erased == (Span(*SECRET_AT),)
    assert (tombstone.span, tombstone.cause) == (Span(*SECRET_AT), "asked")
    assert status.forgotten_s == {"day": 20.0}
    assert to_plain(status)["forgotten_s"] == {"day": 20.0}
    assert status.coverage.watched_s == 1800.0
    assert status.counts.captured == 180 * 250


def test_erasing_a_stream_erases_every_trace_about_it(door):
    with Recollect(door.memory) as memory:
        answer = memory.ask("What is on the wall?", stream="door")
        receipt = memory.forget("door")
        streams = [status.stream.name for status in memory.status()]

        assert (receipt.asked, receipt.traces) == (None, 1)
        assert memory.trace(answer.trace_id) == []
        assert streams == ["yard"]
        assert door.files_with() == door.files_with(b"door.mp4") == []


@pytest.mark.parametrize(
    ("from_s", "to_s", "moments"), [(1700.0, None, 10), (None, 95.0, 10), (0.0, 10.0, 1)]
)
def test_an_erased_span_may_be_open_at_either_end(door, from_s, to_s, moments):
    with Recollect(door.memory) as memory:
        receipt = memory.forget("door", from_s, to_s)
        remaining = len(memory.timeline("door"))

    assert receipt.memories["moment"] == moments
    assert remaining == 180 - moments


@pytest.mark.parametrize(
    ("stream", "from_s", "to_s", "error"),
    [
        ("attic", None, None, UnknownStream),
        ("door", 20.0, 10.0, BadQuestion),
        ("door", -1.0, None, BadQuestion),
    ],
)
def test_an_invalid_erasure_raises_and_erases_nothing(door, stream, from_s, to_s, error):
    with Recollect(door.memory) as memory:
        trace_id = memory.ask("What is on the wall?").trace_id
        with pytest.raises(error):
            memory.forget(stream, from_s, to_s)
        memory.compact()

        assert len(memory.timeline("door")) == 180
        assert memory.trace(trace_id) != []


def test_repeating_an_erasure_erases_traces_that_were_locked(door):
    """By then the memory no longer records which span was erased."""
    with Recollect(door.memory) as memory:
        memory.ask("Where is the parcel?")
        traces = memory._resources.traces()
        traces.conn.execute("PRAGMA busy_timeout = 50")
        blocker = sqlite3.connect(door.memory / "questions.sqlite")
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(TracesInUse, match="run `recollect forget` again"):
            memory.forget("door", *SECRET_AT)
        blocker.rollback()
        blocker.close()
        files_before = door.files_with()

        again = memory.forget("door", *SECRET_AT)

        assert files_before != []
        assert (again.erased, again.traces) == ((), 1)
        assert door.files_with() == []


DIES_BEFORE_THE_STEPS = """
import os, sys
from recollect import Recollect
with Recollect(sys.argv[1]) as memory:
    memory.ask("Where is the parcel?")
    memory.forget("door", 900.0, 920.0, on_wait=lambda readers: os.kill(os.getpid(), 9))
"""


@pytest.mark.slow  # starts Python: some 6 s
@pytest.mark.parametrize("operation", ["forget", "compact"])
def test_an_erasure_that_was_killed_is_finished_by_the_next(door, operation):
    with MemoryStore.open(door.memory) as reader:
        lease = reader.snapshot()  # the erasure waits for this reader
        killed = subprocess.run(
            [sys.executable, "-c", DIES_BEFORE_THE_STEPS, str(door.memory)], capture_output=True, check=False
        )
        lease.release()
    files_before = door.files_with()

    with Recollect(door.memory) as memory:
        memory.forget("door", *SECRET_AT) if operation == "forget" else memory.compact()

        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert files_before != []
        assert door.files_with() == []
        assert len(memory.timeline("door")) == 178


def test_an_erasure_waits_for_a_question_and_erases_its_trace(door):
    with Recollect(door.memory) as memory, ThreadPoolExecutor(1) as pool:
        steps = memory.steps("Where is the parcel?")
        next(steps)
        waiting = threading.Event()

        erasure = pool.submit(memory.forget, "door", *SECRET_AT, on_wait=lambda readers: waiting.set())
        assert waiting.wait(10)
        answer = list(steps)[-1][1]["answer"]
        del steps
        receipt = erasure.result(30)

        assert door.secret in json.dumps(answer), "the question began before the erasure"
        assert receipt.traces == 1
        assert door.files_with() == []


# -- a full disk -------------------------------------------------------------------------------------------


def on_a_small_disk(door: Any, small: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RECOLLECT_MEMORY__MIN_FREE", "0")
    memory = small.path / "door.lance"
    shutil.copytree(door.memory, memory)
    return door._replace(memory=memory)


def test_a_full_disk_prevents_neither_answers_nor_later_traces(door, disk, monkeypatch):
    small = disk(32)
    door = on_a_small_disk(door, small, monkeypatch)
    with Recollect(door.memory) as memory:
        expected = memory.ask("Where is the parcel?")
        for room_bytes in range(0, 70_000, 16_384):
            small.leave(room_bytes)
            answer = memory.ask("Where is the parcel?")
            small.empty()
            assert (answer.text, answer.evidence) == (expected.text, expected.evidence)
        with_room = memory.ask("Where is the parcel?")

        assert memory.trace(with_room.trace_id) != []
        assert memory.trace(expected.trace_id) != []
        assert len(memory.timeline("door")) == 180


def test_the_first_question_is_answered_on_a_full_disk(door, disk, monkeypatch):
    small = disk(32)
    door = on_a_small_disk(door, small, monkeypatch)
    small.leave(0)

    with Recollect(door.memory) as memory:
        answer = memory.ask("Where is the parcel?")
        small.empty()
        later = memory.ask("Where is the parcel?")

        assert answer.text == later.text
        assert memory.trace(later.trace_id) != []


@pytest.mark.slow
def test_an_erasure_that_failed_on_a_full_disk_can_be_repeated(door, disk, monkeypatch):
    small = disk(32)
    door = on_a_small_disk(door, small, monkeypatch)
    with Recollect(door.memory) as memory:
        memory.ask("Where is the parcel?")
        failed = 0
        for room_bytes in range(0, 2_000_000, 50_000):
            small.leave(room_bytes)
            try:
                memory.forget("door", *SECRET_AT)
            except (DiskFull, TracesInUse):
                failed += 1
                small.empty()
                assert len(memory.timeline("door")) in (178, 180)
                continue
            break
        small.empty()

        assert failed >= 2
        assert door.files_with() == []
        assert len(memory.timeline("door")) == 178


def test_forget_and_compact_may_use_the_reserve_of_the_disk(door, disk, short_video):
    """Less than the default reserve is free: watching is refused, but space can be freed."""
    small = disk(60)
    memory_path = small.path / "door.lance"
    shutil.copytree(door.memory, memory_path)
    on_disk = door._replace(memory=memory_path)
    with Recollect(memory_path) as memory:
        with pytest.raises(DiskFull, match="are kept free"):
            memory.watch(short_video, options=WatchOptions(ocr=False))

        receipt = memory.forget("door", *SECRET_AT)
        before = memory.usage()
        after = memory.compact()

    assert receipt.memories["moment"] == 2
    assert on_disk.files_with() == []
    assert after.used_bytes <= before.used_bytes


# -- traces of questions -----------------------------------------------------------------------------------


def test_earlier_traces_are_pruned_to_their_share_of_the_budget(door):
    share_bytes = 64_000_000 // 20
    with Recollect(door.memory, disk_budget="64 MB") as memory:
        memory.compact()
        memory.ask("What is on the wall?")
        traces = open_traces(door.memory / "questions.sqlite", 10**9)
        for number in range(100):
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"found": "x" * 50_000}
            config: Any = {"configurable": {"thread_id": f"before-{number}", "checkpoint_ns": ""}}
            traces.put(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {})
        traces.close()
        before_bytes = memory.usage().checkpoints

        last = memory.ask("What is on the wall?").trace_id

        assert before_bytes > share_bytes + 1_000_000 > memory.usage().checkpoints
        assert memory.trace(last) != []
