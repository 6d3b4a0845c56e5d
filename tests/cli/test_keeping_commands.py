"""Disk usage and retention on the command line: status, pin, forget, compact, and the budgets of watch."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NoReturn

import pytest

from recollect import Recollect
from recollect.cli.main import main
from recollect.memory import MemoryStore

RUNGS = ("moment", "event", "hour", "day")


@pytest.fixture
def run(capfd):
    """Runs the command on a memory. Returns exit code, standard output and standard error."""

    def running(*argv: str, memory: Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([*argv, "--memory", str(memory)])
        return (code, *capfd.readouterr())

    return running


def json_object(result: tuple[int, str, str]) -> dict[str, Any]:
    """The single JSON object on standard output. The command must print nothing else."""
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out, parse_constant=refuse_constant)


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not valid JSON")


def manifest_of(memory: Path) -> dict[str, Any]:
    return json.loads((memory / "memory.json").read_text())


# -- status ----------------------------------------------------------------------------------------------


def test_status_prints_usage_by_rung_part_and_stream(run, door):
    code, out, err = run("status", memory=door.memory)

    assert (code, err) == (0, "")
    first, texts, pictures, rest, *streams = out.splitlines()
    assert first.startswith(f"{door.memory}: 2 streams, ")
    assert " of 20.0 GB; " in first
    assert first.endswith(" free on the disk")
    for line in (texts, pictures):
        assert all(f"{rung} " in line for rung in ("moments", "events", "hours", "days"))
    assert all(f"{part}: " in rest for part in ("indexes", "old versions", "traces of questions", "rest"))
    assert streams[0].startswith("  door (file, done): 0:00.0–30:00.0 of 30:00.0, watched 1800.0 s, ")
    assert streams[2].startswith("  yard (live, interrupted): ")


def test_status_json_accounts_for_every_byte(run, door):
    with Recollect(door.memory) as memory:
        memory.ask("What is there?")  # stores a trace

    report = json_object(run("status", "--json", memory=door.memory))

    account = report["account"]
    assert set(account["words"]) == set(account["pictures"]) == set(RUNGS)
    parts = [*account["words"].values(), *account["pictures"].values()]
    parts += [account[name] for name in ("indexes", "old_versions", "checkpoints", "rest")]
    assert sum(parts) == account["used_bytes"] == report["bytes"]
    assert min(parts) >= 0
    assert account["checkpoints"] > 0
    assert account["budget_bytes"] == 20_000_000_000
    assert account["versions"] >= 1
    assert account["free_bytes"] > 0
    assert account["pin_quota_bytes"] == 2_000_000_000
    assert set(account["streams"]) == {"door", "yard"}
    assert {stream["stream"]: stream["watched_s"] for stream in report["streams"]} == {
        "door": 1800,
        "yard": 360,
    }


def test_status_shows_pins_tombstones_and_stream_budgets(run, door):
    run("pin", "door", "--from", "1:00", "--to", "1:30", memory=door.memory)
    run("forget", "door", "--from", "15:00", "--to", "15:20", memory=door.memory)
    with MemoryStore.open(door.memory, write=True) as store:
        store.set_stream_budget("door", 100_000_000)

    _, out, _ = run("status", memory=door.memory)
    door_report, _ = json_object(run("status", "--json", memory=door.memory))["streams"]

    assert "pinned: " in out
    assert " of 100.0 MB" in out
    assert "no longer stored: days of 0:20.0" in out
    assert door_report["forgotten_s"] == {"day": 20}
    assert door_report["watched_s"] == 1800, "erasure keeps the watched time"


def test_status_names_an_unbounded_budget(run, door):
    run("compact", "--disk-budget", "unbounded", memory=door.memory)

    assert " of unbounded; " in run("status", memory=door.memory)[1]


# -- pin -------------------------------------------------------------------------------------------------


def test_a_pin_is_listed_and_removed_by_its_id(run, door):
    pinned = json_object(
        run(
            "pin",
            "door",
            "--from",
            "1:00",
            "--to",
            "1:30",
            "--note",
            "the parcel",
            "--json",
            memory=door.memory,
        )
    )
    listed = run("pin", memory=door.memory)
    (pin,) = pinned["pins"]
    removed = run("pin", "--remove", pin["id"], memory=door.memory)

    assert (pin["stream"], pin["start_s"], pin["end_s"], pin["note"]) == ("door", 60, 90, "the parcel")
    assert pinned["quota_bytes"] == 2_000_000_000
    assert 0 < pinned["pinned_bytes"] < 1_000_000
    assert listed[1].startswith(f"{pin['id']}  door  1:00.0–1:30.0  the parcel\n1 pinned, ")
    assert removed == (0, "0 pinned, 0 bytes of 2.0 GB\n", "")


def test_a_pin_without_times_covers_the_whole_stream(run, door):
    report = json_object(run("pin", "yard", "--json", memory=door.memory))

    assert [(pin["start_s"], pin["end_s"]) for pin in report["pins"]] == [(0, 360)]


def test_a_span_can_be_pinned_while_the_memory_is_written(run, door):
    with MemoryStore.open(door.memory, write=True, what="watch yard"):
        code, out, err = run("pin", "door", "--to", "20", memory=door.memory)

    assert (code, err) == (0, "")
    assert "1 pinned" in out


def test_a_pin_beyond_the_quota_changes_nothing(run, tmp_path, simulate_camera):
    memory = simulate_camera(
        tmp_path / "large.lance", hours=0.6, picture_bytes=60_000, budget_bytes=64_000_000
    )
    run("pin", "cam", "--to", "10", memory=memory)

    code, out, err = run("pin", "cam", memory=memory)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "quota of 6,400,000" in err
    assert "Pin less, remove other pins (recollect pin lists them), or give the memory a larger budget" in err
    assert run("pin", memory=memory)[1].count("\n") == 2


@pytest.fixture
def simulate_camera():
    """Makes a memory of ``hours`` of a simulated camera ``cam``."""

    def make(path: Path, *, hours: float, picture_bytes: int, budget_bytes: int) -> Path:
        from recollect.testing.simulated_months import fill

        with MemoryStore.open(path, write=True, budget_bytes=budget_bytes) as store:
            fill(store, ["cam"], hours, picture_bytes=picture_bytes, outages_a_day=0)
        return path

    return make


# -- forget ----------------------------------------------------------------------------------------------


def test_an_erasure_prints_a_receipt_and_leaves_no_data(run, door):
    before = door.files_with()

    code, out, err = run("forget", "door", "--from", "15:05", "--to", "15:12", memory=door.memory)

    assert len(before) >= 2
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "erased: 15:00.0–15:20.0 of door, in whole moments"
    assert lines[1].startswith("  memories: 2 moments, 1 event, 1 hour (")
    assert lines[1].endswith(" rebuilt from what remains)")
    assert lines[2].startswith("  pictures: 2; ")
    assert "files holds the erased data" in lines[3]
    assert door.files_with() == []


def test_a_receipt_in_json_is_one_object(run, door):
    receipt = json_object(run("forget", "door", "--from", "25:00", "--json", memory=door.memory))

    assert receipt["asked"] == {"start_s": 1500, "end_s": None}, "no end was given"
    assert receipt["erased"] == [{"start_s": 1500, "end_s": 1800}]
    assert receipt["memories"]["moment"] == receipt["pictures"] == 30
    assert "memory_ids" not in receipt


def test_erasing_a_whole_stream_erases_its_name(run, door):
    code, out, err = run("forget", "door", "--all", memory=door.memory)
    again = run("forget", "door", "--all", memory=door.memory)

    assert (code, err) == (0, "")
    assert out.startswith("erased: all of door\n  memories: 180 moments, ")
    assert door.files_with() == []
    assert again == (2, "", "recollect: there is no stream 'door' in this memory. Streams here: yard.\n")


def test_erasing_an_empty_span_succeeds(run, door):
    code, out, err = run("forget", "door", "--from", "10:00:00", memory=door.memory)

    assert (code, err) == (0, "")
    assert out.startswith("nothing of that span was stored of door\n  memories: none\n")


class CallingStream(io.StringIO):
    """A text stream that calls a function before each write."""

    def __init__(self, on_write: Callable[[], None]) -> None:
        super().__init__()
        self._on_write = on_write

    def write(self, text: str) -> int:
        """Call the function, then keep the text."""
        self._on_write()
        return super().write(text)


def test_forget_reports_that_it_waits_for_a_question(run, door):
    with MemoryStore.open(door.memory) as reader:
        lease = reader.snapshot()
        with MemoryStore.open(door.memory, write=True) as writer:
            writer.put_stream(next(stream for stream in writer.streams() if stream.name == "door"))
        stderr = CallingStream(on_write=lease.release)
        with redirect_stderr(stderr):
            code, out, _ = run("forget", "door", "--from", "15:00", "--to", "15:20", memory=door.memory)

    assert (code, stderr.getvalue()) == (0, "waiting for 1 question to finish\n")
    assert out.startswith("erased: ")
    assert door.files_with() == []


# -- compact, and the budgets of watch --------------------------------------------------------------------


def test_compact_prints_both_sizes_and_stores_the_new_budget(run, door):
    code, out, err = run("compact", "--disk-budget", "80 MB", memory=door.memory)

    assert (code, err) == (0, "")
    assert out.startswith(f"{door.memory}: ")
    assert " before, " in out
    assert manifest_of(door.memory)["budget_bytes"] == 80_000_000
    assert " of 80.0 MB; " in run("status", memory=door.memory)[1]


@pytest.mark.slow  # a memory of 70 MB: some 5 s
def test_compacting_to_a_smaller_budget_leaves_tombstones(run, tmp_path, simulate_camera):
    memory = simulate_camera(
        tmp_path / "large.lance", hours=1.5, picture_bytes=60_000, budget_bytes=1_000_000_000
    )
    before = json_object(run("status", "--json", memory=memory))

    run("compact", "--disk-budget", "64 MB", memory=memory)

    after = json_object(run("status", "--json", memory=memory))
    assert before["bytes"] > 64_000_000 >= after["bytes"]
    assert before["streams"][0]["forgotten_s"] == {}
    assert after["streams"][0]["forgotten_s"]["frame"] > 0
    assert after["streams"][0]["watched_s"] == before["streams"][0]["watched_s"]


def test_watch_stores_both_budgets_in_the_memory(run, short_video, tmp_path):
    memory = tmp_path / "memory.lance"
    budgets = ["--disk-budget", "1.5 GiB", "--stream-disk-budget", "500MB"]

    code, _, err = run("watch", str(short_video), "--stream", "short", "--no-ocr", *budgets, memory=memory)
    again = run("watch", str(short_video), "--no-ocr", memory=memory)

    assert (code, err) == (0, "")
    assert again[0] == 0
    assert manifest_of(memory)["budget_bytes"] == 1_610_612_736
    assert manifest_of(memory)["stream_budgets"] == {"short": 500_000_000}
    assert " of 500.0 MB\n" in run("status", memory=memory)[1]


def test_an_invalid_budget_creates_no_memory(run, short_video, tmp_path):
    for flag in ("--disk-budget", "--stream-disk-budget"):
        code, _, err = run("watch", str(short_video), flag, "lots", memory=tmp_path / "memory.lance")

        assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "memory.lance").exists()


def test_the_settings_give_the_budget_unless_a_flag_does(run, short_video, tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_MEMORY__DISK_BUDGET", "300 MB")
    settings, flag = tmp_path / "settings.lance", tmp_path / "flag.lance"

    run("watch", str(short_video), "--no-ocr", memory=settings)
    run("watch", str(short_video), "--no-ocr", "--disk-budget", "400 MB", memory=flag)

    assert (manifest_of(settings)["budget_bytes"], manifest_of(flag)["budget_bytes"]) == (
        300_000_000,
        400_000_000,
    )


def test_a_budget_too_small_in_the_settings_is_one_line(run, door, monkeypatch):
    monkeypatch.setenv("RECOLLECT_MEMORY__DISK_BUDGET", "1 MB")

    code, out, err = run("compact", memory=door.memory)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "1,000,000 bytes is no budget for a memory" in err


def test_failed_maintenance_is_reported_without_a_traceback(run, door, disk, monkeypatch):
    small = disk(16)
    memory = small.path / "memory.lance"
    shutil.copytree(door.memory, memory)
    monkeypatch.setenv("RECOLLECT_MEMORY__MIN_FREE", "0")
    small.leave(16_384)

    code, out, err = run("compact", memory=memory)

    assert "Traceback" not in err
    assert (code, len(out.splitlines())) == (0, 1)
    assert err.startswith("recollect: could not compact ")
    assert all(line.startswith("recollect: ") for line in err.splitlines())
    small.empty()
    assert run("compact", memory=memory)[::2] == (0, "")


@pytest.mark.slow  # the demo is watched twice: some 10 s
def test_a_watch_ended_by_a_full_disk_can_be_repeated(run, demo_video, short_video, disk, monkeypatch):
    small = disk(80)
    memory = small.path / "memory.lance"
    monkeypatch.setenv("RECOLLECT_MEMORY__MIN_FREE", "0")
    run("watch", str(short_video), "--no-ocr", "--stream", "short", memory=memory)
    small.leave(600_000)

    full = run("watch", str(demo_video), "--no-ocr", "--stream", "demo", memory=memory)
    small.empty()
    with Recollect(memory) as opened:
        before = opened.timeline("short"), [status.stream.state for status in opened.status()]
    again = run("watch", str(demo_video), "--no-ocr", memory=memory)

    assert (full[0], full[1]) == (2, "")
    assert "no room to write" in full[2]
    assert "Traceback" not in full[2]
    assert (again[0], again[2]) == (0, "")
    with Recollect(memory) as opened:
        assert opened.timeline("short") == before[0] != []
        status, _ = opened.status()
    assert before[1][1] == "done"
    assert (status.stream.state, status.counts.captured, status.gaps) == ("done", 1750, ())
    assert status.counts.balanced
    assert status.coverage.watched_s == pytest.approx(70, abs=0.1)
