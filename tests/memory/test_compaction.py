"""Compaction merges neighbouring small files and index parts, and time filters stay exact at any bound."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import MemoryStore, Moment, Span
from recollect.memory.keeping.compaction import (
    count_new,
    merge_and_index,
    merge_new_fragments,
    parts_to_merge,
    runs_that_fit,
    runs_worth_merging,
)
from recollect.memory.keeping.maintenance_lock import maintenance_lock
from recollect.memory.query.filters import overlap_filter
from recollect.memory.storage.rows import start_hour
from recollect.memory.storage.tables import count_versions, latest_view, live_bytes, select
from recollect.memory.values import Extent

Make = Callable[..., Moment]
SIZES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=40)


@given(SIZES)
def test_runs_are_adjacent_complete_and_fit(sizes):
    runs = runs_that_fit(sizes, max_bytes=60, max_rows=30)

    assert [index for run in runs for index in run] == list(range(len(sizes)))
    for run in runs:
        if len(run) > 1:
            assert sum(sizes[index][0] for index in run) <= 60
            assert sum(sizes[index][1] for index in run) <= 30


@given(SIZES)
def test_no_two_adjacent_runs_would_fit_into_one(sizes):
    runs = [run for run in runs_that_fit(sizes, max_bytes=60, max_rows=30) if run]

    for first, second in itertools.pairwise(runs):
        head = [*first, second.start]
        assert sum(sizes[index][0] for index in head) > 60 or sum(sizes[index][1] for index in head) > 30


@given(st.lists(st.integers(1, 100_000), max_size=60))
def test_index_parts_stay_few_and_shrink_fourfold(added: list[int]) -> None:
    parts: list[int] = []
    for rows in added:
        parts.append(rows)
        if count := parts_to_merge(parts):
            parts[-count:] = [sum(parts[-count:])]

        assert all(part >= 4 * sum(parts[index + 1 :]) for index, part in enumerate(parts))
    assert sum(parts) == sum(added)


@given(SIZES)
def test_runs_worth_merging_at_least_double_their_largest(sizes: list[tuple[int, int]]) -> None:
    for run in runs_worth_merging(sizes, max_bytes=300, full_rows=100):
        rows = [sizes[index][1] for index in run]
        with_next = sizes[run.start : run.stop + 1]
        assert (
            len(rows) >= 16
            or sum(size for size, _ in with_next) > 300
            or sum(size for _, size in with_next) > 200
        )
        assert 2 * max(rows) <= sum(rows)
        assert sum(sizes[index][0] for index in run) <= 300


def test_steady_appends_leave_few_files_and_few_rewrites() -> None:
    sizes: list[tuple[int, int]] = []
    written, max_files, max_large_files = 0, 0, 0
    for _ in range(4096):
        sizes.append((128, 128))
        for run in runs_worth_merging(sizes, max_bytes=1 << 40, full_rows=65536)[-1:]:
            rows = sum(sizes[index][1] for index in run)
            sizes[run.start : run.stop] = [(rows, rows)]
            written += rows
        max_files = max(max_files, len(sizes))
        max_large_files = max(max_large_files, sum(4096 <= rows < 65536 for _, rows in sizes))

    assert max_files <= 4096 * 128 // 65536 + 15 + 7 + 3
    assert max_large_files <= 4, "a search reads each of them, and most of its hits are in them"
    assert written <= 3 * 4096 * 128


def test_files_left_small_by_eviction_are_merged(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        for number in range(90):
            store.append([moment(number * 8 + part, f"coat{number} {part}") for part in range(8)])
        table = store._tables.observations
        # Only the indexes change.
        merge_and_index(table, latest_view(table), thorough=True, max_bytes=1)
        before, fragments_before = (
            select(latest_view(table), order_by=["start_s"]),
            len(latest_view(table).get_fragments()),
        )
        for _ in range(40):
            merge_and_index(table, merge_new_fragments(table))
        after, fragments_after = (
            select(latest_view(table), order_by=["start_s"]),
            len(latest_view(table).get_fragments()),
        )
        matches = latest_view(table).to_table(
            full_text_query="coat41", filter="start_s < 10000.0", prefilter=True, columns=["text"]
        )

    assert fragments_before == 90
    assert fragments_after <= 2 * 16  # the newest fragments wait for more
    assert after == before
    assert sorted(matches["text"].to_pylist()) == [f"coat41 {part}" for part in range(8)]


def test_thorough_compaction_leaves_one_part_of_each_index(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        for number in range(20):
            store.append([moment(number * 8 + part) for part in range(8)])
        table = store._tables.observations
        while merge_and_index(table, merge_new_fragments(table), thorough=True):
            pass
        view = latest_view(table)

        assert len(view.get_fragments()) == 1
        assert {len(index.segments) for index in view.describe_indices()} == {1}


def test_all_indexes_cover_the_same_files_during_appends(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        table = store._tables.observations
        for round_ in range(3):
            for part in range(6):
                store.append([moment(round_ * 6 + part)])
            merged = merge_new_fragments(table)
            store.append([moment(1000 + round_, "a late coat")])
            merge_and_index(table, merged)
        view = latest_view(table)
        covered = {
            frozenset(key for part in index.segments for key in part.fragment_ids)
            for index in view.describe_indices()
        }
        hits = store.snapshot().search("late coat", limit=3)

    assert len(covered) == 1
    uncovered = [part for part in view.get_fragments() if part.fragment_id not in next(iter(covered))]
    assert len(uncovered) == 1
    assert [hit.moment.id for hit in hits] == [moment(1000 + round_).id for round_ in range(3)]


@pytest.mark.slow
def test_closing_a_memory_leaves_it_compacted(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store:
        for number in range(100):
            store.append([moment(number * 8 + part) for part in range(8)])
    with MemoryStore.open(tmp_path / "m.lance") as reader:
        commits, rows = count_new(reader._tables.observations)

    assert commits < 4
    assert rows < 256


SPANS = [
    Span(start_s, start_s + length_s)
    for start_s in np.arange(-5000.0, 40_000.0, 700.0).tolist()
    for length_s in (0.0, 600.0, 4500.0)
]
TIMES = st.floats(-9000.0, 50_000.0) | st.sampled_from(
    [-5000.0, 0.0, 600.0, 3600.0, 7200.0, 36_000.0, 1e300, -1e300]
)


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> lance.LanceDataset:
    rows = pa.table(
        {
            "start_s": [span.start_s for span in SPANS],
            "end_s": [span.end_s for span in SPANS],
            "start_hour": pa.array([start_hour(span.start_s) for span in SPANS], pa.int32()),
        }
    )
    written = lance.write_dataset(rows, tmp_path_factory.mktemp("spans") / "spans.lance")
    for column, kind in (("start_s", "BTREE"), ("end_s", "BTREE"), ("start_hour", "BITMAP")):
        written.create_scalar_index(column, kind)
    return written


@given(TIMES | st.sampled_from([-math.inf, math.inf]), TIMES | st.just(math.inf), st.booleans())
def test_an_overlap_filter_keeps_exactly_the_overlapping_rows(
    spans: lance.LanceDataset, first_s: float, second_s: float, has_extents: bool
) -> None:
    span = Span(min(first_s, second_s), max(first_s, second_s))
    extent = reduce(Extent.joined, (Extent(own.end_s, own.start_s, own.duration_s) for own in SPANS))

    kept = spans.to_table(
        filter=overlap_filter(span, {"moment": extent} if has_extents else None)
    ).to_pylist()

    assert sorted((row["start_s"], row["end_s"]) for row in kept) == sorted(
        (own.start_s, own.end_s) for own in SPANS if own.start_s < span.end_s and own.end_s > span.start_s
    )


@pytest.mark.slow
def test_table_sizes_are_read_while_versions_are_deleted(tmp_path: Path) -> None:
    row, uri, finished = pa.table({"number": [1]}), tmp_path / "some.lance", threading.Event()
    view = lance.write_dataset(row, uri)

    def write() -> None:
        try:
            for _ in range(40):
                for _ in range(5):
                    lance.write_dataset(row, uri, mode="append")
                newest = lance.dataset(uri)
                newest.cleanup_old_versions(versions=list(range(newest.version - 4, newest.version)))
        finally:
            finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not finished.is_set():
        assert live_bytes(view)["data file"] > 0
        assert count_versions(uri) > 0
    writer.join()
