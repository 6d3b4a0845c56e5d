"""Keeps a table quick and small: merges fragments, takes new rows into the indexes, deletes old versions.

    tidy(table)                               # inside a commit where the table is more than appended to
    reclaim(table)                            # what was deleted is taken out of the files
    delete_versions(view, keep={41}, older_than_s=time.time())

A table grows like a log-structured merge tree. What was appended since the last call becomes one fragment, and
one small part of every index; small fragments become one, and small parts, so that each row is written anew a few
times in its life and a search asks few of them, however many rows there are. Nothing here changes what is
remembered.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from typing import Any

from lancedb.index import IvfRq

from .tables import INDEXES, Table, kind_of, latest, make_indexes

APPENDED_TO = {"observations", "frames", "text_vectors", "frame_vectors"}
"""Kinds of tables of which rows are changed by nobody but upkeep: they need not stand still for it."""
VECTOR_INDEX_ROWS = 4096
"""Below this a scan of all vectors is exact and as quick."""
_OUTGROWN = 4
"""An index of vectors is made anew when there are so many times the rows that it was made for."""
_RATIO = 8
"""So many small fragments at least are merged into one."""
_FULL_ROWS, _FRAGMENT_ROWS = 65536, {"frames": 512}
"""A fragment of so many rows is not merged any more. A picture is ten times a memory, so its bound is lower."""


def scratch_bytes(table: Table, most_bytes: int) -> int:
    """What ``tidy`` writes before anything old can go, at most; or ``reclaim``, beside the files themselves."""
    dataset = latest(table)
    small = sum(_size(fragment) for fragment in dataset.get_fragments())
    return 4 * index_bytes(table) + min(small, 3 * most_bytes)


def index_bytes(table: Table) -> int:
    """What the indexes of a table take."""
    return sum(index.total_size_bytes or 0 for index in latest(table).describe_indices())


def _size(fragment: Any) -> int:
    return sum(file.file_size_bytes or 0 for file in fragment.metadata.files)


def tidy(table: Table, *, thorough: bool = False, most_bytes: int = 1 << 62) -> bool:
    """Merge small fragments and take new rows into the indexes; ``thorough`` leaves one part of each.

    No more than ``most_bytes`` of fragments become one. It does a little at a time: being ``thorough``, it has to
    be called again where it returns True.
    """
    if kind_of(table.name) not in APPENDED_TO:
        latest(table).optimize.compact_files(target_rows_per_fragment=_FULL_ROWS)
        return False
    _merge_new_fragments(table, most_bytes)
    # Words can only be searched with their index, which is there from the start. The others save
    # scanning, of which a table too small to be tidied needs none.
    make_indexes(table)
    dataset = latest(table)
    if any(index.num_unindexed_rows for index in table.list_indices()):
        dataset.optimize.optimize_indices(num_indices_to_merge=0)
    _merge_parts_of_indexes(latest(table), thorough=thorough)
    full = _FRAGMENT_ROWS.get(kind_of(table.name), _FULL_ROWS)
    merged = _merge_a_run(latest(table), full, most_bytes=most_bytes, thorough=thorough)
    table.checkout_latest()
    if "vector" in table.schema.names:
        _index_vectors(table)
    return merged and thorough


def _index_vectors(table: Table) -> None:
    """Make the index of vectors, where there are many; make it anew, where there are many more than it was made for."""
    rows = table.count_rows()
    made_for = max(
        (
            _partitions(latest(table), index.name) ** 2
            for index in table.list_indices()
            if "vector" in index.columns
        ),
        default=VECTOR_INDEX_ROWS / _OUTGROWN,
    )
    if rows >= _OUTGROWN * made_for:
        _make_vector_index(table)


def _make_vector_index(table: Table) -> None:
    # A search looks at some of the partitions, so their number has to grow with the rows.
    partitions = max(1, math.isqrt(table.count_rows()))
    table.create_index("vector", config=IvfRq(num_partitions=partitions, sample_rate=64), replace=True)


def _partitions(dataset: Any, index: str) -> int:
    statistics = dataset.stats.index_stats(index)["indices"]
    return max(int(part["num_partitions"]) for part in statistics)


def make_indexes_anew(table: Table) -> None:
    """Make every index of a table of its rows alone: an old one may hold words of rows that are gone."""
    there = {column for index in table.list_indices() for column in index.columns}
    for column, config in INDEXES.get(kind_of(table.name), {}).items():
        if column in there:
            table.create_index(column, config=config, replace=True)
    if "vector" in there:
        _make_vector_index(table)


def _merge_new_fragments(table: Table, most_bytes: int) -> None:
    """Make one fragment of those that no index covers yet, or of the first of them that fit."""
    dataset = latest(table)
    covered = _covered(dataset)
    new = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id not in covered]
    fitting = sum(total <= most_bytes for total in accumulate(map(_size, new)))
    if fitting > 1:
        _compact(dataset, [fragment.fragment_id for fragment in new[:fitting]], 1 << 30)


def _merge_parts_of_indexes(dataset: Any, *, thorough: bool) -> None:
    rows = {fragment.fragment_id: fragment.metadata.num_rows for fragment in dataset.get_fragments()}
    for index in dataset.describe_indices():
        sizes = [sum(rows.get(key, 0) for key in part.fragment_ids) for part in index.segments]
        many = len(sizes) if thorough else to_merge(sizes)
        if many > 1:
            dataset.optimize.optimize_indices(num_indices_to_merge=many, index_names=[index.name])


def _merge_a_run(dataset: Any, full_rows: int, *, most_bytes: int, thorough: bool) -> bool:
    """Merge fragments that stand side by side and are small: the newest, and those that forgetting made so.

    ``_RATIO`` of them at least, none of which is most of them all, so that each row is written anew a few times
    only; ``thorough`` merges what there is. Tells whether it merged anything: in one call one run, the longest.
    """
    fragments = dataset.get_fragments()
    sizes = [(_size(one), one.metadata.num_rows) for one in fragments]
    if thorough:
        runs = runs_of_small(sizes, most_bytes=most_bytes, most_rows=full_rows)
    else:
        runs = worth_merging(sizes, most_bytes=most_bytes, full_rows=full_rows)
    run = max(runs, key=len, default=range(0))
    if len(run) > 1:
        _merge(dataset, fragments[run.start : run.stop], full_rows)
    return len(dataset.get_fragments()) < len(fragments)


def worth_merging(sizes: Sequence[tuple[int, int]], *, most_bytes: int, full_rows: int) -> list[range]:
    """Where fragments stand side by side of which ``_RATIO`` at least are about as large as the largest.

    Those of a few rows are looked at first, then larger ones with them, up to those that are full. Of their bytes and
    rows; none of them has more than half of the rows that are merged.
    """
    powers = [_magnitude(rows) for _, rows in sizes]
    for power in sorted(set(powers)):
        worth = []
        for within in _stretches(
            [own <= power and rows < full_rows for own, (_, rows) in zip(powers, sizes, strict=True)]
        ):
            for run in runs_of_small(
                sizes[within.start : within.stop], most_bytes=most_bytes, most_rows=2 * full_rows
            ):
                found = range(within.start + run.start, within.start + run.stop)
                rows = [sizes[at][1] for at in found]
                if powers[found.start : found.stop].count(power) >= _RATIO and 2 * max(rows) <= sum(rows):
                    worth.append(found)
        if worth:
            return worth
    return []


def _stretches(holds: Sequence[bool]) -> list[range]:
    """Where it holds, each as long as can be."""
    edges = [0, *(at for at in range(1, len(holds)) if holds[at] != holds[at - 1]), len(holds)]
    return [range(start, stop) for start, stop in pairwise(edges) if start < stop and holds[start]]


def runs_of_small(sizes: Sequence[tuple[int, int]], *, most_bytes: int, most_rows: int) -> list[range]:
    """Where fragments stand side by side that fit into one, of their bytes and rows."""
    runs = [range(0)]
    total_bytes = total_rows = 0
    for at, (size, rows) in enumerate(sizes):
        if total_bytes + size > most_bytes or total_rows + rows > most_rows:
            runs.append(range(at, at))
            total_bytes = total_rows = 0
        runs[-1] = range(runs[-1].start, at + 1)
        total_bytes, total_rows = total_bytes + size, total_rows + rows
    return runs


def _merge(dataset: Any, fragments: Sequence[Any], rows: int) -> None:
    """Make one of fragments that stand side by side, in the table and in each index."""
    chosen = {fragment.fragment_id for fragment in fragments}
    for index in dataset.describe_indices():
        # Fragments become one where the same part of an index covers all of them.
        over = [at for at, part in enumerate(index.segments) if chosen & set(part.fragment_ids)]
        if len(over) > 1:
            dataset.optimize.optimize_indices(
                num_indices_to_merge=len(index.segments) - over[0], index_names=[index.name]
            )
    dataset.checkout_latest()
    _compact(dataset, chosen, rows)


def to_merge(sizes: Sequence[int]) -> int:
    """How many of the last parts are to become one, so that each has twice the rows of all after it; 0 for none.

    A search asks each part, so there are few; and each row is written anew only as often as what it is in doubles.
    """
    many = total = 0
    for back, size in enumerate(reversed(sizes)):
        if size < 2 * total:
            many = back + 1
        total += size
    return many


def _magnitude(size: int) -> int:
    power = 0
    while size >= _RATIO:
        size //= _RATIO
        power += 1
    return power


def _covered(dataset: Any) -> set[int]:
    """The fragments that every index covers; where there is no index, none."""
    covers = [
        {key for part in index.segments for key in part.fragment_ids} for index in dataset.describe_indices()
    ]
    return set.intersection(*covers) if covers else set()


def _compact(dataset: Any, fragment_ids: Collection[int], rows: int) -> None:
    """Make fragments of about so many rows of these, as far as the same parts of indexes cover them."""
    chosen = set(fragment_ids)
    others = [one.fragment_id for one in dataset.get_fragments() if one.fragment_id not in chosen]
    dataset.optimize.compact_files(
        target_rows_per_fragment=rows, materialize_deletions=False, excluded_fragment_ids=others
    )


def reclaim(table: Table, *, dead_share: float, most_bytes: int) -> int:
    """Take what was deleted out of files of which at least ``dead_share`` of the rows are; how many files it was.

    Files of ``most_bytes`` at a time, or one: it has to be called again until it finds none.
    """
    dataset = latest(table)
    chosen: list[int] = []
    size_bytes = 0
    for fragment in dataset.get_fragments():
        facts = fragment.metadata
        dead = facts.physical_rows - facts.num_rows
        if dead and dead >= dead_share * facts.physical_rows:
            size_bytes += _size(fragment)
            if chosen and size_bytes > most_bytes:
                break
            chosen.append(fragment.fragment_id)
    if chosen:
        full = _FRAGMENT_ROWS.get(kind_of(table.name), _FULL_ROWS)
        others = [one.fragment_id for one in dataset.get_fragments() if one.fragment_id not in chosen]
        dataset.optimize.compact_files(
            target_rows_per_fragment=full,
            materialize_deletions_threshold=0.0,
            excluded_fragment_ids=others,
        )
    return len(chosen)


def delete_versions(view: Any, *, keep: Collection[int], older_than_s: float) -> None:
    """Delete the versions that were replaced before ``older_than_s`` (Unix seconds), but for those in ``keep``.

    ``view`` is at the newest version that may be read; later ones are left alone.
    """
    versions = [found for found in view.versions() if found["version"] <= view.version]
    gone = [
        past["version"]
        for past, next_ in pairwise(versions)
        if past["version"] not in keep and next_["timestamp"].timestamp() < older_than_s
    ]
    if gone:
        view.cleanup_old_versions(versions=gone)


def waiting(table: Table) -> tuple[int, int]:
    """How many fragments, and how many rows in them, were added since the table was last tidied."""
    dataset = latest(table)
    fragments = dataset.get_fragments()
    if kind_of(table.name) in APPENDED_TO:
        covered = _covered(dataset)
        new = [fragment for fragment in fragments if fragment.fragment_id not in covered]
    else:
        new = fragments[1:]
    return len(new), sum(fragment.metadata.num_rows for fragment in new)
