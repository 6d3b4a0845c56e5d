"""Compaction: merges fragments of a table, adds new rows to its indexes, and deletes old versions.

    with commits.commit() as change:
        change.touch(table)
        merged = merge_new_fragments(table)
    merge_and_index(table, merged)
    reclaim(table, dead_share=0.25, max_bytes=1 << 30)        # removes deleted rows from the files
    delete_versions(view, keep={41}, older_than_s=time.time())

A table grows like a log-structured merge tree. The rows that were appended since the last call become one
fragment and one small part of every index. Small fragments are merged into larger ones, and small index parts too.
Each row is therefore rewritten a few times in its life, and a search reads few fragments and parts, however many
rows the table has. Nothing here changes which rows the table has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from itertools import accumulate, pairwise
from typing import Any

from lancedb.index import IvfRq

from ..storage.commits import Commits
from ..storage.tables import INDEXES, Table, View, indexed_columns, latest_view, make_indexes, table_kind

APPEND_ONLY = {"observations", "frames", "text_vectors", "frame_vectors"}
"""Kinds of tables in which only maintenance changes rows. They are compacted while others append."""
VECTOR_INDEX_ROWS = 4096
"""Below this number of rows, a scan of all vectors is exact and as fast as an index."""
_PARTITION_ROWS = 1024
"""Approximate rows of a partition of the vector index. A search reads the same number of partitions at any size. Each
part of the index stores the centroids of all partitions, so more partitions would cost too much."""
_BITS = 3
"""Bits per dimension of a vector in the index. With 1 bit, a search must compare many more full vectors."""
_OUTGROWN = 4
"""A vector index is rebuilt when the table has this many times the rows that it was built for."""
_PART_RATIO = 4
"""A part of an index has at least this many times the rows of all later parts. Otherwise they are merged."""
_FULL_ROWS, _FULL_ROWS_OF_KIND = 65536, {"frames": 512}
"""Rows of a full fragment, which is merged no more. A frame has ten times the bytes of an observation."""
_TIERS = ((512, 16), (4096, 8), (_FULL_ROWS, 4))
"""Size tiers: a fragment below this number of rows is merged when at least this many of its tier are neighbours. It
takes more small fragments than large ones, because large ones cost most to rewrite and hold most search results."""


def publish_version(commits: Commits, table: Table) -> None:
    """Make the newest version of a table the one that readers see."""
    with commits.commit() as change:
        change.touch(table)


def scratch_bytes(table: Table, max_bytes: int) -> int:
    """Most bytes that ``merge_and_index`` or ``reclaim`` write before old files can be deleted."""
    data_bytes = sum(_size_bytes(fragment) for fragment in latest_view(table).get_fragments())
    return 3 * index_bytes(table) + min(data_bytes, 2 * max_bytes)


def index_bytes(table: Table) -> int:
    """The size of all indexes of a table, in bytes."""
    return sum(index.total_size_bytes or 0 for index in latest_view(table).describe_indices())


def _size_bytes(fragment: Any) -> int:
    return sum(file.file_size_bytes or 0 for file in fragment.metadata.files)


def compact_files(table: Table) -> None:
    """Merge the files of a small table without indexes. Call it inside a commit."""
    latest_view(table).optimize.compact_files(target_rows_per_fragment=_FULL_ROWS)


def merge_new_fragments(table: Table, *, max_bytes: int = 1 << 62) -> View:
    """Merge the fragments that no index covers yet into one, as far as they fit ``max_bytes``.

    Returns the view that ``merge_and_index`` needs. Call it inside a commit, so that no other commit appends rows.
    """
    dataset = latest_view(table)
    covered = _covered_fragments(dataset)
    new = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id not in covered]
    fitting = sum(total_bytes <= max_bytes for total_bytes in accumulate(map(_size_bytes, new)))
    if fitting > 1:
        _merge(dataset, [fragment.fragment_id for fragment in new[:fitting]], 1 << 30)
    return latest_view(table)


def merge_and_index(table: Table, merged: View, *, thorough: bool = False, max_bytes: int = 1 << 62) -> bool:
    """Add new rows to the indexes and merge one run of small fragments, of at most ``max_bytes``.

    Rows that were appended after ``merged`` was read wait for the next call. ``thorough`` leaves one part of
    each index. Returns whether more fragments can be merged.
    """
    full_rows = _full_rows(table)
    run = _run_to_merge(merged, full_rows, max_bytes=max_bytes, thorough=thorough)
    _update_indexes(merged, run, thorough=thorough)
    if run:
        _merge(latest_view(table), run, full_rows)
    # The text index exists from the start, because text search needs it. The other indexes only replace
    # scans, which are fast enough in a table that was never compacted.
    make_indexes(table)
    if "vector" in table.schema.names:
        _index_vectors(table)
    view = latest_view(table)
    is_merged = not run <= {fragment.fragment_id for fragment in view.get_fragments()}
    return is_merged and bool(_run_to_merge(view, full_rows, max_bytes=max_bytes, thorough=thorough))


def _full_rows(table: Table) -> int:
    return _FULL_ROWS_OF_KIND.get(table_kind(table.name), _FULL_ROWS)


def _index_vectors(table: Table) -> None:
    """Build the vector index of a large table. Rebuild it when the table has outgrown it."""
    rows, built_for = table.count_rows(), VECTOR_INDEX_ROWS // _OUTGROWN
    dataset = latest_view(table)
    for index in dataset.describe_indices():
        if index.field_names == ["vector"]:
            bits = index.details["compression"].get("num_bits")
            built_for = _partitions(dataset, index.name) * _PARTITION_ROWS if bits == _BITS else 0
    if rows >= _OUTGROWN * built_for:
        _build_vector_index(table)


def _build_vector_index(table: Table) -> None:
    partitions = max(1, table.count_rows() // _PARTITION_ROWS)
    config = IvfRq(num_partitions=partitions, num_bits=_BITS, sample_rate=64)
    table.create_index("vector", config=config, replace=True)


def _partitions(dataset: Any, index: str) -> int:
    statistics = dataset.stats.index_stats(index)["indices"]
    return max(int(part["num_partitions"]) for part in statistics)


def rebuild_indexes(table: Table) -> None:
    """Rebuild every index from the present rows. The old ones may contain words of deleted rows."""
    columns = indexed_columns(latest_view(table))
    for column, config in INDEXES.get(table_kind(table.name), {}).items():
        if column in columns:
            table.create_index(column, config=config, replace=True)
    if "vector" in columns:
        _build_vector_index(table)


def _run_to_merge(view: View, full_rows: int, *, max_bytes: int, thorough: bool) -> set[int]:
    """The ids of the longest run of fragments that should be merged. ``thorough`` counts all that fit into one."""
    fragments = view.get_fragments()
    sizes = [(_size_bytes(fragment), fragment.metadata.num_rows) for fragment in fragments]
    if thorough:
        runs = runs_that_fit(sizes, max_bytes=max_bytes, max_rows=full_rows)
    else:
        runs = runs_worth_merging(sizes, max_bytes=max_bytes, full_rows=full_rows)
    run = max(runs, key=len, default=range(0))
    return {fragments[index].fragment_id for index in run} if len(run) > 1 else set()


def _update_indexes(dataset: Any, run: Set[int], *, thorough: bool) -> None:
    """Add new rows to every index, and merge its last parts if they are small or cover the run.

    LanceDB merges fragments only if one part of each index covers them all. All indexes are updated from the
    same version, so they cover the same fragments even if rows are appended at the same time.
    """
    rows = {fragment.fragment_id: fragment.metadata.num_rows for fragment in dataset.get_fragments()}
    names_by_count: dict[int, list[str]] = {}
    for index in dataset.describe_indices():
        parts = [set(part.fragment_ids) for part in index.segments]
        new = rows.keys() - set().union(*parts)
        count = _last_parts_to_merge(parts, new, rows, run, thorough=thorough)
        if new or count > 1:
            names_by_count.setdefault(max(0, count - bool(new)), []).append(index.name)
    for count, names in names_by_count.items():
        dataset.checkout_version(dataset.version).optimize.optimize_indices(
            num_indices_to_merge=count, index_names=names
        )


def _last_parts_to_merge(
    parts: Sequence[set[int]], new: Set[int], rows: dict[int, int], run: Set[int], *, thorough: bool
) -> int:
    """How many of an index's last parts become one. The new fragments count as its last part."""
    all_parts = [*parts, new] if new else list(parts)
    sizes = [sum(rows.get(fragment_id, 0) for fragment_id in part) for part in all_parts]
    count = len(sizes) if thorough else parts_to_merge(sizes)
    touched = [index for index, part in enumerate(all_parts) if part & run]
    if len(touched) > 1:
        count = max(count, len(sizes) - touched[0])
    return count


def runs_worth_merging(sizes: Sequence[tuple[int, int]], *, max_bytes: int, full_rows: int) -> list[range]:
    """Runs of neighbouring fragments that should be merged, as ranges of indexes.

    ``sizes`` are bytes and rows of each fragment. The smallest tier with such runs wins. In a run, enough
    fragments belong to the run's tier, or the run is as long as fits. No fragment has more than half of its rows.
    """
    tiers = [_tier(rows) for _, rows in sizes]
    for tier in sorted(set(tiers)):
        eligible = [
            own_tier <= tier and rows < full_rows for own_tier, (_, rows) in zip(tiers, sizes, strict=True)
        ]
        runs = [
            run
            for stretch in _true_stretches(eligible)
            for run in _fitting_runs(sizes, stretch, max_bytes=max_bytes, max_rows=2 * full_rows)
            if _is_worth_merging(sizes, tiers, run, tier, is_cut_off=run.stop < stretch.stop)
        ]
        if runs:
            return runs
    return []


def _fitting_runs(
    sizes: Sequence[tuple[int, int]], stretch: range, *, max_bytes: int, max_rows: int
) -> list[range]:
    """The runs of one stretch of fragments that fit into one fragment each."""
    runs = runs_that_fit(sizes[stretch.start : stretch.stop], max_bytes=max_bytes, max_rows=max_rows)
    return [range(stretch.start + run.start, stretch.start + run.stop) for run in runs]


def _is_worth_merging(
    sizes: Sequence[tuple[int, int]], tiers: Sequence[int], run: range, tier: int, *, is_cut_off: bool
) -> bool:
    rows = [sizes[index][1] for index in run]
    is_long_enough = is_cut_off or tiers[run.start : run.stop].count(tier) >= _TIERS[tier][1]
    return is_long_enough and 2 * max(rows, default=0) <= sum(rows) > 0


def _true_stretches(flags: Sequence[bool]) -> list[range]:
    """The longest possible ranges in which all flags are true."""
    changes = (index for index in range(1, len(flags)) if flags[index] != flags[index - 1])
    edges = [0, *changes, len(flags)]
    return [range(start, stop) for start, stop in pairwise(edges) if start < stop and flags[start]]


def runs_that_fit(sizes: Sequence[tuple[int, int]], *, max_bytes: int, max_rows: int) -> list[range]:
    """Neighbouring fragments grouped greedily, so that each group fits ``max_bytes`` and ``max_rows``.

    ``sizes`` are bytes and rows of each fragment. The result are ranges of indexes. One may be empty.
    """
    runs = [range(0)]
    total_bytes = total_rows = 0
    for index, (size_bytes, rows) in enumerate(sizes):
        if total_bytes + size_bytes > max_bytes or total_rows + rows > max_rows:
            runs.append(range(index, index))
            total_bytes = total_rows = 0
        runs[-1] = range(runs[-1].start, index + 1)
        total_bytes, total_rows = total_bytes + size_bytes, total_rows + rows
    return runs


def parts_to_merge(sizes: Sequence[int]) -> int:
    """How many of an index's last parts to merge, so that each part has ``_PART_RATIO`` times the rows of all later ones.

    ``sizes`` are the rows of each part. 0 means none. A search reads every part, so there should be few. An index
    stores a tenth of the bytes of its rows, so it can be rewritten more often than they.
    """
    count = total_rows = 0
    for position, rows in enumerate(reversed(sizes)):
        if rows < _PART_RATIO * total_rows:
            count = position + 1
        total_rows += rows
    return count


def _tier(rows: int) -> int:
    return min(sum(rows >= bound for bound, _ in _TIERS), len(_TIERS) - 1)


def _covered_fragments(dataset: Any) -> set[int]:
    """The ids of the fragments that every index covers. Without an index, no fragment is covered."""
    covered = [
        {fragment_id for part in index.segments for fragment_id in part.fragment_ids}
        for index in dataset.describe_indices()
    ]
    return set.intersection(*covered) if covered else set()


def _merge(dataset: Any, fragment_ids: Collection[int], rows: int) -> None:
    """Merge these fragments into fragments of about ``rows``, as far as the same index parts cover them."""
    dataset.optimize.compact_files(
        target_rows_per_fragment=rows,
        materialize_deletions=False,
        excluded_fragment_ids=_fragments_without(dataset, fragment_ids),
    )


def _fragments_without(dataset: Any, fragment_ids: Collection[int]) -> list[int]:
    excluded = set(fragment_ids)
    return [
        fragment.fragment_id for fragment in dataset.get_fragments() if fragment.fragment_id not in excluded
    ]


def reclaim(table: Table, *, dead_share: float, max_bytes: int) -> int:
    """Rewrite files without their deleted rows, where these are at least ``dead_share`` of all rows.

    Rewrites at most ``max_bytes``, or one file. Returns the number of files. Call it again until it returns 0.
    """
    dataset = latest_view(table)
    chosen: list[int] = []
    size_bytes = 0
    for fragment in dataset.get_fragments():
        metadata = fragment.metadata
        dead_rows = metadata.physical_rows - metadata.num_rows
        if dead_rows and dead_rows >= dead_share * metadata.physical_rows:
            size_bytes += _size_bytes(fragment)
            if chosen and size_bytes > max_bytes:
                break
            chosen.append(fragment.fragment_id)
    if chosen:
        dataset.optimize.compact_files(
            target_rows_per_fragment=_full_rows(table),
            materialize_deletions_threshold=0.0,
            excluded_fragment_ids=_fragments_without(dataset, chosen),
        )
    return len(chosen)


def delete_versions(view: Any, *, keep: Collection[int], older_than_s: float) -> None:
    """Delete versions that were replaced before ``older_than_s`` (Unix seconds), except those in ``keep``.

    ``view`` is at the version that readers see. It and later versions are never deleted.
    """
    versions = [version for version in view.versions() if version["version"] <= view.version]
    expired = [
        version["version"]
        for version, successor in pairwise(versions)
        if version["version"] not in keep and successor["timestamp"].timestamp() < older_than_s
    ]
    if expired:
        view.cleanup_old_versions(versions=expired)


def count_new(table: Table) -> tuple[int, int]:
    """How many fragments, and how many rows in them, were added since the last compaction."""
    dataset = latest_view(table)
    fragments = dataset.get_fragments()
    if table_kind(table.name) in APPEND_ONLY:
        covered = _covered_fragments(dataset)
        new = [fragment for fragment in fragments if fragment.fragment_id not in covered]
    else:
        new = fragments[1:]
    return len(new), sum(fragment.metadata.num_rows for fragment in new)
