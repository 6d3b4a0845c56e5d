"""Migrations: a memory of every earlier schema opens without loss."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from recollect.memory import FrameCounts, Gap, HashingEncoder, MemoryStore, Pending, Span
from recollect.memory.errors import MemoryInUse, OlderMemory, UnrepairableSchema
from recollect.memory.keeping.memory_check import check_memory
from recollect.memory.repair import repair_memory
from recollect.memory.storage.schema import SCHEMA_VERSION
from recollect.memory.storage.writer_lock import WriterLock

RELEASED = sorted((Path(__file__).parent / "released").glob("*.tar.xz"))
"""A memory of each earlier schema, with the same ten simulated minutes."""


@pytest.fixture(params=RELEASED, ids=lambda path: path.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / request.param.name.partition(".")[0]


def test_there_is_a_released_memory_of_every_earlier_schema() -> None:
    assert [path.name for path in RELEASED] == [f"schema-{n}.tar.xz" for n in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("write", [False, True])
def test_an_older_memory_opens_with_all_its_data(old: Path, write: bool) -> None:
    with MemoryStore.open(old, write=write, encoder=HashingEncoder()) as store:
        snapshot = store.snapshot()
        moments = snapshot.timeline("shop", limit=1000)
        pictures = snapshot.frames(key for moment in moments for key in moment.frame_ids)
        hits = snapshot.search("red kettle", limit=1)
        waiting = store.backlog(limit=10)
        gaps = snapshot.gaps("shop")

    assert len(moments) == len(pictures) == 120
    assert [picture.jpeg[:5] for picture in pictures] == [b"jpeg "] * 120
    assert snapshot.counts("shop") == FrameCounts(120 * 125, 120, 120 * 115, 120 * 9)
    assert hits[0].moment == moments[0]
    assert [observation.caption for observation in moments[0].observations][-1] == "a second look"
    assert {item.moment_id for item in waiting} == {moments[n].id for n in (0, 40, 80)}
    assert waiting[0] == Pending(
        waiting[0].moment_id, "shop", "moment", waiting[0].span, 0.5, queued_at_s=1000.0
    )
    assert gaps == [Gap("gap-0", "shop", 0, Span(600.0, 605.0), "stalled", "nothing came", 2)]


def test_an_older_memory_is_checked_without_false_damage(old: Path) -> None:
    report = check_memory(old)

    assert report.damages == ()
    assert report.rows_without_digest > 0


def zero_largest_file(table: Path) -> None:
    damaged = max((table / "data").glob("*.lance"), key=lambda path: path.stat().st_size)
    damaged.write_bytes(bytes(damaged.stat().st_size))


def test_a_repair_after_a_failed_migration_is_refused(old: Path) -> None:
    if old.name == "schema-3":
        pytest.skip("its migration reads no row")
    zero_largest_file(old / "observations.lance")
    pictures = {path: path.read_bytes() for path in (old / "frames.lance" / "data").glob("*.lance")}

    assert any("observations" in damage.part for damage in check_memory(old).damages)
    with pytest.raises(UnrepairableSchema, match="copy"):
        repair_memory(old, HashingEncoder())

    assert all(path.read_bytes() == content for path, content in pictures.items())


def test_an_older_memory_that_can_be_migrated_is_repaired(old: Path) -> None:
    zero_largest_file(old / "gaps.lance")

    report = repair_memory(old, HashingEncoder())

    assert report.is_whole
    assert any("gaps" in damage.part for damage in report.damages)
    with MemoryStore.open(old) as store:
        assert len(store.snapshot().timeline("shop", limit=1000)) == 120


def test_migrated_rows_have_their_sizes(old: Path) -> None:
    with MemoryStore.open(old, write=True, encoder=HashingEncoder()) as store:
        tables = store._tables
        rows = tables.observations.search().select(["rung", "bytes", "frame_bytes"]).to_list()
        sizes = tables.frames.search().select(["jpeg", "bytes", "signature"]).to_list()

    assert all(row["bytes"] > 250 for row in rows)
    assert {row["frame_bytes"] > 0 for row in rows if row["rung"] == "moment"} == {True, False}
    assert sum(row["frame_bytes"] for row in rows) >= sum(row["bytes"] for row in sizes)
    assert all(row["bytes"] == len(row["jpeg"]) and row["signature"] == b"" for row in sizes)


def test_each_migration_is_applied_once_and_recorded(old: Path) -> None:
    MemoryStore.open(old).close()
    once = json.loads((old / "memory.json").read_text())
    versions = sorted(path.name for path in old.glob("*.lance/_versions/*"))

    MemoryStore.open(old).close()
    with MemoryStore.open(old) as reader:
        assert len(reader.snapshot().timeline("shop", limit=1000)) == 120

    assert once["schema"] == SCHEMA_VERSION
    assert once["migrations"]
    assert json.loads((old / "memory.json").read_text()) == once
    assert sorted(path.name for path in old.glob("*.lance/_versions/*")) == versions


def test_a_migration_can_be_applied_again_after_a_crash(old: Path) -> None:
    old_manifest = (old / "memory.json").read_text()
    MemoryStore.open(old).close()
    # As after a crash before any step was recorded.
    (old / "memory.json").write_text(old_manifest)

    with MemoryStore.open(old) as reader:
        assert len(reader.snapshot().timeline("shop", limit=1000)) == 120


def test_an_older_memory_with_a_writer_is_not_migrated(old: Path) -> None:
    with (
        WriterLock(old, "watch, of an older version"),
        pytest.raises(MemoryInUse, match="of an older version"),
    ):
        MemoryStore.open(old)

    assert json.loads((old / "memory.json").read_text())["schema"] < SCHEMA_VERSION


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_older_memory_names_the_command_to_run(old: Path) -> None:
    for path in (old, *old.rglob("*")):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        with pytest.raises(OlderMemory, match="as its owner"):
            MemoryStore.open(old)
    finally:
        for path in (old, *old.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
