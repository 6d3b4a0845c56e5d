"""Damaged files of a memory: told in Recollect's own words, and never served as if they were intact."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect import Recollect
from recollect.memory import Gap, KeyFrame, MemoryStore, Moment, Span, Stream
from recollect.memory.errors import MemoryDamaged
from recollect.memory.query.coverage import MEMORY_DAMAGED
from recollect.memory.storage import schema
from recollect.memory.storage.damage import is_damage, reporting_damage
from recollect.memory.storage.digests import is_intact, sealed_json, unsealed_json, with_digest
from recollect.memory.storage.rows import stream_row

Make = Callable[..., Moment]
PICTURE = bytes(range(256)) * 4
KITCHEN = Stream("kitchen", "file", "kitchen.mp4", "content", "done", 4.0)


@pytest.fixture
def filled(folder: Path, moment: Make) -> Path:
    """Six moments of five seconds, each with a picture, and a gap of five seconds after the third."""
    with MemoryStore.open(folder, write=True) as store:
        store.put_stream(KITCHEN)
        for number in (0, 1, 2, 4, 5, 6):
            frame = KeyFrame(
                f"f{number}", "kitchen", number * 5.0, number, "1/5", 4, 3, PICTURE + bytes([number])
            )
            store.append([moment(number, f"car {number}", frame_ids=(frame.id,))], [frame])
        store.put_gap(Gap("g", "kitchen", 0, Span(15.0, 20.0), "stalled"))
    return folder


def flip(folder: Path, needle: bytes) -> None:
    """Flip one bit in the middle of some bytes, in every file that holds them: an old version may hold them too."""
    flipped = 0
    for path in folder.rglob("*"):
        if path.is_file() and needle in (content := path.read_bytes()):
            place = content.index(needle) + len(needle) // 2
            path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            flipped += 1
    assert flipped, "no file holds these bytes"


def test_a_flipped_bit_in_a_picture_is_never_shown(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    flip(filled, PICTURE + b"\x01")

    with MemoryStore.open(filled) as store, caplog.at_level(logging.WARNING):
        shown = store.snapshot().frames(["f0", "f1", "f2"])

    assert [frame.id for frame in shown] == ["f0", "f2"]
    assert "a row of frames is damaged and is left out" in caplog.text


def test_a_flipped_bit_in_a_text_is_left_out_and_a_gap(filled: Path) -> None:
    flip(filled, b'"caption":"car 4"')

    with MemoryStore.open(filled) as store, store.snapshot() as snapshot:
        captions = [moment.caption for moment in snapshot.timeline("kitchen")]
        gaps = snapshot.coverage("kitchen").gaps

    assert captions == ["car 0", "car 1", "car 2", "car 5", "car 6"]
    assert [(gap.span, gap.cause) for gap in gaps] == [
        (Span(15.0, 20.0), "stalled"),
        (Span(20.0, 25.0), MEMORY_DAMAGED),
    ]


@pytest.mark.parametrize("name", list(schema.TABLES))
@pytest.mark.parametrize("write", [False, True])
def test_a_lost_table_never_reads_as_not_watched(filled: Path, name: str, write: bool) -> None:
    shutil.rmtree(filled / f"{name}.lance")

    with pytest.raises(MemoryDamaged, match=f"its table of {name} cannot be read"):
        MemoryStore.open(filled, write=write)
    assert not (filled / f"{name}.lance").exists()


@pytest.mark.parametrize("folder_name", ["data", "_versions"])
def test_a_lost_file_of_a_table_is_told(filled: Path, folder_name: str) -> None:
    for path in (filled / "observations.lance" / folder_name).iterdir():
        path.write_bytes(b"")

    with (
        pytest.raises(MemoryDamaged, match="observations") as raised,
        MemoryStore.open(filled) as store,
        store.snapshot() as snapshot,
    ):
        snapshot.timeline("kitchen")
    assert "recollect check --memory" in str(raised.value)
    assert ".cargo" not in str(raised.value)


def test_a_damaged_index_of_a_filter_is_read_around(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    with MemoryStore.open(filled, write=True) as store:
        store.maintain()
    for path in (filled / "observations.lance/_indices").rglob("*page*"):
        path.unlink()

    with MemoryStore.open(filled) as store, store.snapshot() as snapshot, caplog.at_level(logging.WARNING):
        moments = snapshot.timeline("kitchen", Span(0.0, 12.0))

    assert [moment.caption for moment in moments] == ["car 0", "car 1", "car 2"]


@pytest.mark.parametrize("name", ["memory.json", "head.json"])
def test_a_flipped_digit_of_a_small_file_is_told(
    filled: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = (filled / name).read_text()
    (filled / name).write_text(text.replace("budget_bytes", "budget_bytez").replace("number", "numbes"))

    if name == "memory.json":
        with pytest.raises(MemoryDamaged, match=r"memory\.json cannot be read"):
            MemoryStore.open(filled)
    else:
        with MemoryStore.open(filled) as store, caplog.at_level(logging.WARNING):
            assert len(store.snapshot().timeline("kitchen")) == 6
        assert "cannot read" in caplog.text


def test_rows_without_a_digest_are_taken_as_they_are() -> None:
    row = {"name": "kitchen", "kind": "file", "digest": None}

    assert is_intact(row, schema.STREAMS)


@given(st.floats(allow_nan=False), st.text(), st.one_of(st.none(), st.text()))
def test_any_change_of_a_row_breaks_its_digest(start_s: float, cause: str, detail: str | None) -> None:
    row: dict[str, Any] = dict.fromkeys(schema.GAPS.names)
    row |= {"start_s": start_s, "cause": cause, "detail": detail}
    sealed = with_digest(row, schema.GAPS)

    assert is_intact(sealed, schema.GAPS)
    assert not is_intact({**sealed, "cause": cause + "x"}, schema.GAPS)
    assert not is_intact({**sealed, "cause": detail, "detail": cause}, schema.GAPS) or cause == detail


def test_a_sealed_object_reads_back_and_a_changed_one_fails() -> None:
    text = sealed_json({"number": 41, "versions": {"frames": 3}})

    assert unsealed_json(text) == {"number": 41, "versions": {"frames": 3}}
    with pytest.raises(ValueError, match="does not match its digest"):
        unsealed_json(text.replace("41", "40"))


def test_errors_of_our_own_and_of_the_disk_pass_unchanged(tmp_path: Path) -> None:
    for error in (KeyError("lance"), FileNotFoundError(2, "lance"), ValueError("a span cannot end")):
        with pytest.raises(type(error)), reporting_damage(tmp_path):
            raise error
    assert not is_damage(OSError("LanceError(IO): No space left on device (os error 28)"))
    assert not is_damage(RuntimeError("lance error: Commit conflict for version 4"))


@pytest.mark.slow
def test_the_status_of_a_thousand_streams_takes_seconds(folder: Path, moment: Make) -> None:
    names = [f"camera {number}" for number in range(1000)]
    with MemoryStore.open(folder, write=True) as store:
        rows = [stream_row(replace(KITCHEN, name=name, content_id=name)) for name in names]
        with store._commits.commit() as change:
            change.upsert(store._tables.streams, "name", rows)
        store.append([moment(number, stream=name) for name in names for number in range(3)])

    with Recollect(folder) as memory:
        started_s = time.monotonic()
        statuses = memory.status()
        duration_s = time.monotonic() - started_s

    assert [status.coverage.watched_s for status in statuses] == [15.0] * 1000
    assert duration_s < 4.0, "a query for each stream takes about nine seconds"


def test_the_overview_of_streams_is_that_of_each(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True) as store:
        for name in ("a", "b", "c"):
            store.put_stream(replace(KITCHEN, name=name, content_id=name))
        for name, numbers in (("a", (0, 1, 4)), ("b", (2,))):
            store.append([moment(number, stream=name) for number in numbers])
        store.put_gap(Gap("g", "c", 0, Span(0.0, 7.0), "stalled"))

        with store.snapshot() as snapshot:
            overviews = snapshot.overviews()

            assert list(overviews) == ["a", "b", "c"]
            for name, overview in overviews.items():
                assert overview.coverage == snapshot.coverage(name)
                assert overview.counts == snapshot.counts(name)
                assert overview.tombstones == tuple(snapshot.tombstones(name))
            assert [gap.span for gap in overviews["a"].coverage.gaps] == [Span(10.0, 20.0)]
