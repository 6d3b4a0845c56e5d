"""A check examines a whole memory. A repair keeps every intact row and accounts for all others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recollect.cli.main import main
from recollect.memory import MemoryStore, reindex
from recollect.memory.errors import EncoderMismatch, MemoryDamaged, NotAMemory
from recollect.memory.keeping.memory_check import check_memory
from recollect.memory.query.coverage import MEMORY_DAMAGED
from recollect.memory.repair import repair_memory
from recollect.memory.storage import schema
from recollect.memory.values import Span
from recollect.testing.damage_harness import DamageHarness, Trial
from recollect.testing.simulated_months import LifeEncoder, fill

HOURS = 1.0


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of two cameras with pictures, vectors and an outage."""
    folder = tmp_path_factory.mktemp("lived") / "memory.lance"
    with MemoryStore.open(folder, write=True, encoder=LifeEncoder()) as store:
        fill(store, ["door", "yard"], HOURS, picture_bytes=500, outages_a_day=48.0)
        store.compact()
    return folder


@pytest.fixture
def copied(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "memory.lance"))


def data_files(folder: Path, table: str) -> list[Path]:
    return sorted(folder.glob(f"{table}*.lance/data/*.lance"))


def accounted_s(folder: Path, stream: str) -> float:
    """The seconds of a stream that are moments, gaps, or tombstones of moments."""
    with MemoryStore.open(folder) as store, store.snapshot() as snapshot:
        coverage = snapshot.coverage(stream)
        return coverage.watched_s + sum(gap.span.duration_s for gap in coverage.gaps)


def test_an_intact_memory_is_whole(lived: Path) -> None:
    report = check_memory(lived)

    assert report.damages == ()
    assert report.is_whole
    assert report.rows > 1000
    assert report.rows_without_digest == 0


def test_a_check_of_no_memory_raises(tmp_path: Path) -> None:
    with pytest.raises(NotAMemory):
        check_memory(tmp_path / "absent")


@pytest.mark.parametrize(
    "table",
    [
        table if table == "observations" else pytest.param(table, marks=pytest.mark.slow)
        for table in schema.TABLES
    ],
)
def test_a_lost_table_is_told_and_made_again(copied: Path, table: str) -> None:
    before_s = accounted_s(copied, "door")
    shutil.rmtree(copied / f"{table}.lance")

    damages = check_memory(copied).damages
    report = repair_memory(copied, LifeEncoder())

    assert any(damage.part == f"table of {table}" for damage in damages)
    assert report.is_whole, report.remaining
    assert check_memory(copied).is_whole
    if table != "observations":
        assert accounted_s(copied, "door") == pytest.approx(before_s, abs=1.0)
    with MemoryStore.open(copied, encoder=LifeEncoder()) as store:
        assert bool(store.streams()) == bool(store.snapshot().overviews())


@pytest.mark.slow
def test_a_damaged_old_version_does_not_hinder_erasure(lived: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(lived, tmp_path / "memory.lance"))
    with MemoryStore.open(copied, write=True, encoder=LifeEncoder()) as store:
        fill(store, ["gate"], 0.1, picture_bytes=500)
    oldest = max((copied / "observations.lance" / "_versions").glob("*.manifest"))
    os.truncate(oldest, 10)

    damages = check_memory(copied).damages
    report = repair_memory(copied, LifeEncoder())

    assert "old versions of observations" in [damage.part for damage in damages]
    assert report.is_whole, report.remaining
    with MemoryStore.open(copied, write=True, encoder=LifeEncoder()) as store:
        assert store.erase("gate", Span(0.0, 10.0)).memories["moment"] > 0


@pytest.mark.slow
def test_lost_pictures_are_recorded_and_counted(copied: Path) -> None:
    for path in data_files(copied, "frames"):
        path.unlink()

    report = repair_memory(copied, LifeEncoder())

    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        stones = [stone for stone in snapshot.tombstones("door") if stone.cause == "damaged"]
        counts = snapshot.counts("door")
    assert report.is_whole
    assert any("pictures of door" in text for text in report.lost)
    assert stones
    assert counts.balanced
    assert counts.stored == 0


def test_lost_moments_become_gaps_or_tombstones(copied: Path) -> None:
    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        whole = snapshot.coverage("door").span
    for path in data_files(copied, "observations"):
        content = path.read_bytes()
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes(8192) + content[middle + 8192 :])

    report = repair_memory(copied, LifeEncoder())

    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        coverage = snapshot.coverage("door")
        moments = snapshot.timeline("door", limit=10_000)
    assert report.is_whole, report.remaining
    assert report.lost
    assert 0 < len(moments) < HOURS * 720
    assert coverage.span == whole
    assert accounted_s(copied, "door") == pytest.approx(whole.duration_s, abs=1.0)


@pytest.mark.slow
def test_a_lost_summary_is_built_again(copied: Path) -> None:
    with MemoryStore.open(copied, write=True, encoder=LifeEncoder()) as store:
        with store.snapshot() as snapshot:
            events = snapshot.timeline("door", rung="event")
        table = store._tables.observations
        with store._commits.commit() as change:
            change.delete(table, f"moment_id = '{events[1].id}'")
            change.delete(store._tables.text_vectors, f"moment_id = '{events[1].id}'")

    damages = [damage.what for damage in check_memory(copied).damages]
    report = repair_memory(copied, LifeEncoder())

    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        again = snapshot.get([events[1].id])[events[1].id]
    assert "the summary of this event is missing" in damages
    assert report.is_whole
    assert (again.span, again.child_ids, again.caption) == (
        events[1].span,
        events[1].child_ids,
        events[1].caption,
    )


def test_a_damaged_index_of_words_is_made_again(copied: Path) -> None:
    for path in copied.glob("observations.lance/_indices/*/*"):
        path.write_bytes(b"")
    with MemoryStore.open(copied) as store, store.snapshot() as snapshot, pytest.raises(MemoryDamaged):
        snapshot.search("red shape", modes=("words",))

    report = repair_memory(copied, LifeEncoder())

    assert report.is_whole
    assert report.lost == ()
    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        assert snapshot.search("red shape", modes=("words",))


@pytest.mark.slow
def test_lost_vectors_are_made_again(copied: Path) -> None:
    for path in copied.glob("*_vectors-*.lance"):
        shutil.rmtree(path)

    report = repair_memory(copied, LifeEncoder())

    assert report.is_whole
    assert any("vectors of texts" in text for text in report.repaired)


def test_a_repair_needs_the_encoder_of_the_vectors(copied: Path) -> None:
    shutil.rmtree(copied / "gaps.lance")

    with pytest.raises(EncoderMismatch):
        repair_memory(copied, None)
    assert not (copied / "gaps.lance").exists()


def test_an_interrupted_repair_is_continued(copied: Path) -> None:
    (copied / "repair").mkdir()
    (copied / "gaps.lance").rename(copied / "repair" / "gaps.old")

    report = repair_memory(copied, LifeEncoder())

    assert report.is_whole
    assert not (copied / "repair").exists()
    with MemoryStore.open(copied) as store, store.snapshot() as snapshot:
        assert [gap.cause for name in ("door", "yard") for gap in snapshot.gaps(name)].count(
            MEMORY_DAMAGED
        ) == 0


def test_the_command_tells_repairs_and_exits_by_it(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reindex(copied, None)
    assert main(["check", "--memory", str(copied)]) == 0
    assert "whole" in capsys.readouterr().out

    shutil.rmtree(copied / "streams.lance")
    assert main(["check", "--memory", str(copied)]) == 1
    out = capsys.readouterr().out
    assert "table of streams: it is missing" in out
    assert "recollect check --repair" in out

    assert main(["check", "--repair", "--memory", str(copied)]) == 0
    out = capsys.readouterr().out
    assert "rebuilt: the row of the stream door" in out
    assert out.endswith("repaired.\n")


@pytest.mark.slow
def test_random_damage_is_told_never_served_and_repaired(lived: Path, tmp_path: Path) -> None:
    harness = DamageHarness(lived, LifeEncoder)

    trials: list[Trial] = [harness.try_flip(tmp_path / "copy", seed) for seed in range(1000, 1020)]
    trials += [harness.try_file(tmp_path / "copy", seed) for seed in range(1000, 1010)]

    assert [str(trial) for trial in trials if trial.faults] == []
