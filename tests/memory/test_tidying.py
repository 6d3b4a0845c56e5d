"""Small files are merged where they stand, and a filter of time keeps what it should at any bound."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import MemoryStore, Moment, Span
from recollect.memory.search import Sought, find, overlapping
from recollect.memory.tables import latest, select
from recollect.memory.tidying import gather, runs_of_small, tidy, to_merge, waiting, worth_merging
from recollect.memory.upkeep import alone
from recollect.memory.values import Extent

Make = Callable[..., Moment]
SIZES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=40)


@given(SIZES)
def test_runs_stand_side_by_side_hold_everything_once_and_fit(sizes):
    runs = runs_of_small(sizes, most_bytes=60, most_rows=30)

    assert [at for run in runs for at in run] == list(range(len(sizes)))
    for run in runs:
        if len(run) > 1:
            assert sum(sizes[at][0] for at in run) <= 60
            assert sum(sizes[at][1] for at in run) <= 30


@given(SIZES)
def test_no_two_runs_side_by_side_would_fit_into_one(sizes):
    runs = [run for run in runs_of_small(sizes, most_bytes=60, most_rows=30) if run]

    for first, second in itertools.pairwise(runs):
        head = [*first, second.start]
        assert sum(sizes[at][0] for at in head) > 60 or sum(sizes[at][1] for at in head) > 30


@given(st.lists(st.integers(1, 100_000), max_size=60))
def test_parts_of_an_index_stay_few_and_each_has_four_times_what_comes_after_it(added: list[int]) -> None:
    parts: list[int] = []
    for rows in added:
        parts.append(rows)
        if many := to_merge(parts):
            parts[-many:] = [sum(parts[-many:])]

        assert all(part >= 4 * sum(parts[at + 1 :]) for at, part in enumerate(parts))
    assert sum(parts) == sum(added)


@given(SIZES)
def test_what_is_worth_merging_stands_side_by_side_and_at_least_doubles(sizes: list[tuple[int, int]]) -> None:
    for run in worth_merging(sizes, most_bytes=300, full_rows=100):
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
    written, most = 0, 0
    for _ in range(4096):
        sizes.append((128, 128))
        for run in worth_merging(sizes, most_bytes=1 << 40, full_rows=65536)[-1:]:
            rows = sum(sizes[at][1] for at in run)
            sizes[run.start : run.stop] = [(rows, rows)]
            written += rows
        most = max(most, len(sizes))

    assert most <= 4096 * 128 // 65536 + 3 * 15
    assert written <= 3 * 4096 * 128


def test_files_that_forgetting_left_small_are_merged_and_nothing_else_changes(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, alone(store.path):
        for number in range(90):
            store.append([moment(number * 8 + at, f"coat{number} {at}") for at in range(8)])
        table = store._tables.observations
        # Every file stays as it is, but for the indexes.
        tidy(table, latest(table), thorough=True, most_bytes=1)
        before, many = select(latest(table), order_by="start_s"), len(latest(table).get_fragments())
        for _ in range(40):
            tidy(table, gather(table))
        after, few = select(latest(table), order_by="start_s"), len(latest(table).get_fragments())
        found = latest(table).to_table(
            full_text_query="coat41", filter="start_s < 10000.0", prefilter=True, columns=["caption"]
        )

    assert many == 90
    assert few <= 2 * 16  # what is newest is left to be filled
    assert after == before
    assert sorted(found["caption"].to_pylist()) == [f"coat41 {at}" for at in range(8)]


def test_thorough_tidying_leaves_as_few_files_as_fit_and_one_part_of_each_index(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, alone(store.path):
        for number in range(20):
            store.append([moment(number * 8 + at) for at in range(8)])
        table = store._tables.observations
        while tidy(table, gather(table), thorough=True):
            pass
        view = latest(table)

        assert len(view.get_fragments()) == 1
        assert {len(index.segments) for index in view.describe_indices()} == {1}


def test_every_index_covers_the_same_files_whatever_is_appended_meanwhile(
    tmp_path: Path, moment: Make
) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store, alone(store.path):
        table = store._tables.observations
        for round_ in range(3):
            for at in range(6):
                store.append([moment(round_ * 6 + at)])
            gathered = gather(table)
            store.append([moment(1000 + round_, "a late coat")])
            tidy(table, gathered)
        view = latest(table)
        covered = {
            frozenset(key for part in index.segments for key in part.fragment_ids)
            for index in view.describe_indices()
        }
        found = store.snapshot().search("late coat", limit=3)

    assert len(covered) == 1
    assert len([one for one in view.get_fragments() if one.fragment_id not in next(iter(covered))]) == 1
    assert [hit.moment.id for hit in found] == [moment(1000 + round_).id for round_ in range(3)]


def test_closed_a_memory_is_left_quick_to_search(tmp_path: Path, moment: Make) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store:
        for number in range(100):
            store.append([moment(number * 8 + at) for at in range(8)])
    with MemoryStore.open(tmp_path / "m.lance") as reader:
        commits, rows = waiting(reader._tables.observations)

    assert commits < 4
    assert rows < 256


SPANS = [
    Span(start, start + length) for start in np.arange(3.0, 60.0, 4.0).tolist() for length in (0.0, 1.0, 7.5)
]
AT = st.floats(-10.0, 90.0) | st.sampled_from([3.0, 59.0, 66.5])


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> lance.LanceDataset:
    rows = pa.table({"start_s": [one.start_s for one in SPANS], "end_s": [one.end_s for one in SPANS]})
    return lance.write_dataset(rows, tmp_path_factory.mktemp("spans") / "spans.lance")


@given(AT | st.just(-math.inf), AT | st.just(math.inf), st.booleans())
def test_bounds_that_are_left_out_or_added_change_nothing_that_a_span_keeps(
    spans: lance.LanceDataset, one: float, other: float, known: bool
) -> None:
    span = Span(min(one, other), max(one, other))
    whole = reduce(Extent.joined, (Extent(own.end_s, own.start_s, own.duration_s) for own in SPANS))

    kept = spans.to_table(filter=overlapping(span, {"moment": whole} if known else None)).to_pylist()

    assert sorted((row["start_s"], row["end_s"]) for row in kept) == sorted(
        (own.start_s, own.end_s) for own in SPANS if own.start_s < span.end_s and own.end_s > span.start_s
    )


@pytest.mark.parametrize(
    "span", [Span(0.0, 900.0), Span(100.0, 850.0), Span(700.0, 1200.0), Span(400.0, 420.0)]
)
def test_a_wide_span_finds_what_a_filter_would(tmp_path: Path, moment: Make, span: Span) -> None:
    with MemoryStore.open(tmp_path / "m.lance", write=True) as store:
        store.append([moment(number, f"a coat {number % 7}") for number in range(240)])
        with store.snapshot() as snapshot:
            sought = Sought("coat 3", span=span, extents=snapshot._extents, limit=8)
            filtered = find(snapshot._tables, None, sought)
            looked_through = find(snapshot._tables, None, replace(sought, many_rows=100))
            found = snapshot.get(filtered)

    assert list(looked_through) == list(filtered)
    assert all(one.span.overlaps(span) for one in found.values())
    assert len(found) == min(8, sum(moment(n).span.overlaps(span) for n in range(240)))
