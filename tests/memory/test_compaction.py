"""Small files are merged where they stand, and a filter of time keeps what it should at any bound."""

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
def test_runs_stand_side_by_side_hold_everything_once_and_fit(sizes):
    runs = runs_that_fit(sizes, max_bytes=60, max_rows=30)

    assert [at for run in runs for at in run] == list(range(len(sizes)))
    for run in runs:
        if len(run) > 1:
            assert sum(sizes[at][0] for at in run) <= 60
            assert sum(sizes[at][1] for at in run) <= 30


@given(SIZES)
def test_no_two_runs_side_by_side_would_fit_into_one(sizes):
    runs = [run for run in runs_that_fit(sizes, max_bytes=60, max_rows=30) if run]

    for first, second in itertools.pairwise(runs):
        head = [*first, second.start]
        assert sum(sizes[at][0] for at in head) > 60 or sum(sizes[at][1] for at in head) > 30


@given(st.lists(st.integers(1, 100_000), max_size=60))
def test_parts_of_an_index_stay_few_and_each_has_four_times_what_comes_after_it(added: list[int]) -> None:
    parts: list[int] = []
    for rows in added:
        parts.append(rows)
        if many := parts_to_merge(parts):
            parts[-many:] = [sum(parts[-many:])]

        assert all(part >= 4 * sum(parts[at + 1 :]) for at, part in enumerate(parts))
    assert sum(parts) == sum(added)


@given(SIZES)
def test_what_is_worth_merging_stands_side_by_side_and_at_least_doubles(sizes: list[tuple[int, int]]) -> None:
    for run in runs_worth_merging(sizes, max_bytes=300, full_rows=100):
        rows = [sizes[at][1] for at in run]
        with_next = sizes[run.start : run.stop + 1]
        assert (
            len(rows) >= 16
            or sum(size for size, _ in with_next) > 300
            or sum(size for _, size in with_next) > 200
        )
        assert 2 * max(rows) <= sum(rows)
        assert sum(sizes[at][0] for at in run) <= 300


def test_of_what_is_appended_alike_few_files_stay_and_each_row_is_written_a_few_times() -> None:
    sizes: list[tuple[int, int]] = []
    written, most, most_large = 0, 0, 0
    for _ in range(4096):
        sizes.append((128, 128))
        for run in runs_worth_merging(sizes, max_bytes=1 << 40, full_rows=65536)[-1:]:
            rows = sum(sizes[at][1] for at in run)
            sizes[run.start : run.stop] = [(rows, rows)]
            written += rows
        most = max(most, len(sizes))
        most_large = max(most_large, sum(4096 <= rows < 65536 for _, rows in sizes))

    assert most <= 4096 * 128 // 65536 + 15 + 7 + 3
    assert most_large <= 4, "a search asks each for what it finds, and most of it lies in these"
    assert written <= 3 * 4096 * 128


def test_files_that_forgetting_left_small_are_merged_and_nothing_else_changes(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        for number in range(90):
            store.append([moment(number * 8 + at, f"coat{number} {at}") for at in range(8)])
        table = store._tables.observations
        # Every file stays as it is, but for the indexes.
        merge_and_index(table, latest_view(table), thorough=True, max_bytes=1)
        before, many = select(latest_view(table), order_by="start_s"), len(latest_view(table).get_fragments())
        for _ in range(40):
            merge_and_index(table, merge_new_fragments(table))
        after, few = select(latest_view(table), order_by="start_s"), len(latest_view(table).get_fragments())
        found = latest_view(table).to_table(
            full_text_query="coat41", filter="start_s < 10000.0", prefilter=True, columns=["text"]
        )

    assert many == 90
    assert few <= 2 * 16  # what is newest is left to be filled
    assert after == before
    assert sorted(found["text"].to_pylist()) == [f"coat41 {at}" for at in range(8)]


def test_thorough_tidying_leaves_as_few_files_as_fit_and_one_part_of_each_index(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        for number in range(20):
            store.append([moment(number * 8 + at) for at in range(8)])
        table = store._tables.observations
        while merge_and_index(table, merge_new_fragments(table), thorough=True):
            pass
        view = latest_view(table)

        assert len(view.get_fragments()) == 1
        assert {len(index.segments) for index in view.describe_indices()} == {1}


def test_every_index_covers_the_same_files_whatever_is_appended_meanwhile(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, maintenance_lock(store.path):
        table = store._tables.observations
        for round_ in range(3):
            for at in range(6):
                store.append([moment(round_ * 6 + at)])
            gathered = merge_new_fragments(table)
            store.append([moment(1000 + round_, "a late coat")])
            merge_and_index(table, gathered)
        view = latest_view(table)
        covered = {
            frozenset(key for part in index.segments for key in part.fragment_ids)
            for index in view.describe_indices()
        }
        found = store.snapshot().search("late coat", limit=3)

    assert len(covered) == 1
    assert len([one for one in view.get_fragments() if one.fragment_id not in next(iter(covered))]) == 1
    assert [hit.moment.id for hit in found] == [moment(1000 + round_).id for round_ in range(3)]


@pytest.mark.slow
def test_closed_a_memory_is_left_quick_to_search(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store:
        for number in range(100):
            store.append([moment(number * 8 + at) for at in range(8)])
    with MemoryStore.open(tmp_path / "m.lance") as reader:
        commits, rows = count_new(reader._tables.observations)

    assert commits < 4
    assert rows < 256


SPANS = [
    Span(start_s, start_s + length_s)
    for start_s in np.arange(-5000.0, 40_000.0, 700.0).tolist()
    for length_s in (0.0, 600.0, 4500.0)
]
AT = st.floats(-9000.0, 50_000.0) | st.sampled_from(
    [-5000.0, 0.0, 600.0, 3600.0, 7200.0, 36_000.0, 1e300, -1e300]
)


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> lance.LanceDataset:
    rows = pa.table(
        {
            "start_s": [one.start_s for one in SPANS],
            "end_s": [one.end_s for one in SPANS],
            "start_hour": pa.array([start_hour(one.start_s) for one in SPANS], pa.int32()),
        }
    )
    written = lance.write_dataset(rows, tmp_path_factory.mktemp("spans") / "spans.lance")
    for column, kind in (("start_s", "BTREE"), ("end_s", "BTREE"), ("start_hour", "BITMAP")):
        written.create_scalar_index(column, kind)
    return written


@given(AT | st.sampled_from([-math.inf, math.inf]), AT | st.just(math.inf), st.booleans())
def test_a_filter_keeps_what_shares_time_with_a_span_and_nothing_else(
    spans: lance.LanceDataset, one: float, other: float, known: bool
) -> None:
    span = Span(min(one, other), max(one, other))
    whole = reduce(Extent.joined, (Extent(own.end_s, own.start_s, own.duration_s) for own in SPANS))

    kept = spans.to_table(filter=overlap_filter(span, {"moment": whole} if known else None)).to_pylist()

    assert sorted((row["start_s"], row["end_s"]) for row in kept) == sorted(
        (own.start_s, own.end_s) for own in SPANS if own.start_s < span.end_s and own.end_s > span.start_s
    )


def test_what_a_table_takes_is_told_while_its_versions_are_deleted(tmp_path: Path) -> None:
    row, uri, done = pa.table({"at": [1]}), tmp_path / "some.lance", threading.Event()
    view = lance.write_dataset(row, uri)

    def write() -> None:
        try:
            for _ in range(40):
                for _ in range(5):
                    lance.write_dataset(row, uri, mode="append")
                newest = lance.dataset(uri)
                newest.cleanup_old_versions(versions=list(range(newest.version - 4, newest.version)))
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert live_bytes(view)["data file"] > 0
        assert count_versions(uri) > 0
    writer.join()
