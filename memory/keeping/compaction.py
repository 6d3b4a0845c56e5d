"""Keeps a table quick and small: merges fragments, takes new rows into the indexes, deletes old versions.

    with commits.commit() as change:
        change.touch(table)
        gathered = gather(table)
    tidy(table, gathered)
    reclaim(table)                            # what was deleted is taken out of the files
    delete_versions(view, keep={41}, older_than_s=time.time())

A table grows like a log-structured merge tree. What was appended since the last call becomes one fragment, and
one small part of every index; small fragments become one, and small parts, so that each row is written anew a few
times in its life and a search asks few of them, however many rows there are. Nothing here changes what is
remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from itertools import accumulate, pairwise
from typing import Any

from lancedb.index import IvfRq

from ..storage.tables import INDEXES, Table, View, indexed_columns, latest_view, make_indexes, table_kind

APPENDED_TO = {"observations", "frames", "text_vectors", "frame_vectors"}
"""Kinds of tables of which rows are changed by nobody but upkeep: they need not stand still for it."""
VECTOR_INDEX_ROWS = 4096
"""Below this a scan of all vectors is exact and as quick."""
_PARTITION_ROWS = 1024
"""Of a partition of the index, about: as many are searched however many there are. Each part of the index has the
centres of all of them, so there are no more than that."""
_BITS = 3
"""For each dimension of a vector in the index. With one, many more have to be compared by their whole vectors."""
_OUTGROWN = 4
"""An index of vectors is made anew when there are so many times the rows that it was made for."""
_PART_RATIO = 4
"""A part of an index has so many times the rows of all parts after it, or they become one."""
_FULL_ROWS, _FRAGMENT_ROWS = 65536, {"frames": 512}
"""Rows of a fragment that is full. A picture is ten times a memory, so its bound is lower."""
_TIERS = ((512, 16), (4096, 8), (_FULL_ROWS, 4))
"""Of how many rows a fragment is small, and so many of them at least are merged into one. To write all that is large
anew costs most, and so does a search that asks many of them for what it found: most of what it finds lies in them."""


def scratch_bytes(table: Table, most_bytes: int) -> int:
    """What ``tidy`` writes before anything old can go, at most; or ``reclaim``, beside the files themselves."""
    small = sum(_size(fragment) for fragment in latest_view(table).get_fragments())
    return 3 * index_bytes(table) + min(small, 2 * most_bytes)


def index_bytes(table: Table) -> int:
    """What the indexes of a table take."""
    return sum(index.total_size_bytes or 0 for index in latest_view(table).describe_indices())


def _size(fragment: Any) -> int:
    return sum(file.file_size_bytes or 0 for file in fragment.metadata.files)


def compact(table: Table) -> None:
    """Merge the files of a table of few rows and no indexes; inside a commit."""
    latest_view(table).optimize.compact_files(target_rows_per_fragment=_FULL_ROWS)


def gather(table: Table, *, most_bytes: int = 1 << 62) -> View:
    """Make one fragment of those that no index covers yet, or of the first of them that fit; what is to be tidied.

    Inside a commit: what was appended meanwhile would stay a fragment of its own.
    """
    dataset = latest_view(table)
    covered = _covered(dataset)
    new = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id not in covered]
    fitting = sum(total <= most_bytes for total in accumulate(map(_size, new)))
    if fitting > 1:
        _compact(dataset, [fragment.fragment_id for fragment in new[:fitting]], 1 << 30)
    return latest_view(table)


def tidy(table: Table, gathered: View, *, thorough: bool = False, most_bytes: int = 1 << 62) -> bool:
    """Take new rows into the indexes and merge small fragments; ``thorough`` leaves one part of each index.

    What was appended since they were ``gathered`` waits. No more than ``most_bytes`` of fragments become one. It
    does a little at a time: where it returns True, there is more to be merged.
    """
    full_rows = _full_rows(table)
    run = _run_to_merge(gathered, full_rows, most_bytes=most_bytes, thorough=thorough)
    _update_indexes(gathered, run, thorough=thorough)
    if run:
        _compact(latest_view(table), run, full_rows)
    # Words can only be searched with their index, which is there from the start. The others save
    # scanning, of which a table too small to be tidied needs none.
    make_indexes(table)
    if "vector" in table.schema.names:
        _index_vectors(table)
    left = latest_view(table)
    is_merged = not run <= {fragment.fragment_id for fragment in left.get_fragments()}
    return is_merged and bool(_run_to_merge(left, full_rows, most_bytes=most_bytes, thorough=thorough))


def _full_rows(table: Table) -> int:
    """A fragment of so many rows is not merged any more."""
    return _FRAGMENT_ROWS.get(table_kind(table.name), _FULL_ROWS)


def _index_vectors(table: Table) -> None:
    """Make the index of vectors, where there are many; make it anew, where there are many more than it was made for."""
    rows, made_for = table.count_rows(), VECTOR_INDEX_ROWS // _OUTGROWN
    dataset = latest_view(table)
    for index in dataset.describe_indices():
        if index.field_names == ["vector"]:
            bits = index.details["compression"].get("num_bits")
            made_for = _partitions(dataset, index.name) * _PARTITION_ROWS if bits == _BITS else 0
    if rows >= _OUTGROWN * made_for:
        _make_vector_index(table)


def _make_vector_index(table: Table) -> None:
    partitions = max(1, table.count_rows() // _PARTITION_ROWS)
    config = IvfRq(num_partitions=partitions, num_bits=_BITS, sample_rate=64)
    table.create_index("vector", config=config, replace=True)


def _partitions(dataset: Any, index: str) -> int:
    statistics = dataset.stats.index_stats(index)["indices"]
    return max(int(part["num_partitions"]) for part in statistics)


def make_indexes_anew(table: Table) -> None:
    """Make every index of a table of its rows alone: an old one may hold words of rows that are gone."""
    there = indexed_columns(latest_view(table))
    for column, config in INDEXES.get(table_kind(table.name), {}).items():
        if column in there:
            table.create_index(column, config=config, replace=True)
    if "vector" in there:
        _make_vector_index(table)


def _run_to_merge(view: View, full_rows: int, *, most_bytes: int, thorough: bool) -> set[int]:
    """The longest run of fragments that are worth merging; ``thorough``, of those that are small. None for none."""
    fragments = view.get_fragments()
    sizes = [(_size(one), one.metadata.num_rows) for one in fragments]
    if thorough:
        runs = runs_of_small(sizes, most_bytes=most_bytes, most_rows=full_rows)
    else:
        runs = worth_merging(sizes, most_bytes=most_bytes, full_rows=full_rows)
    run = max(runs, key=len, default=range(0))
    return {fragments[at].fragment_id for at in run} if len(run) > 1 else set()


def _update_indexes(dataset: Any, run: Set[int], *, thorough: bool) -> None:
    """Take what is new into every index, with the last parts where they are small; one part is to cover the run.

    All of them of the same version, so that they cover the same fragments whatever is appended meanwhile:
    fragments become one only where one part of each index covers them all.
    """
    rows = {fragment.fragment_id: fragment.metadata.num_rows for fragment in dataset.get_fragments()}
    alike: dict[int, list[str]] = {}
    for index in dataset.describe_indices():
        parts = [set(part.fragment_ids) for part in index.segments]
        new = rows.keys() - set().union(*parts)
        sizes = [sum(rows.get(key, 0) for key in part) for part in (*parts, *([new] if new else []))]
        many = len(sizes) if thorough else to_merge(sizes)
        touched = [at for at, part in enumerate((*parts, new)) if part & run]
        if len(touched) > 1:
            many = max(many, len(sizes) - touched[0])
        if new or many > 1:
            alike.setdefault(max(0, many - bool(new)), []).append(index.name)
    for many, names in alike.items():
        dataset.checkout_version(dataset.version).optimize.optimize_indices(
            num_indices_to_merge=many, index_names=names
        )


def worth_merging(sizes: Sequence[tuple[int, int]], *, most_bytes: int, full_rows: int) -> list[range]:
    """Where fragments stand side by side of which enough are about as large as the largest, or all that fit.

    Those of a few rows are looked at first, then larger ones with them, up to those that are full. Of their bytes and
    rows; none of them has more than half of the rows that are merged.
    """
    tiers = [_tier(rows) for _, rows in sizes]
    for tier in sorted(set(tiers)):
        worth = []
        for within in _stretches(
            [own <= tier and rows < full_rows for own, (_, rows) in zip(tiers, sizes, strict=True)]
        ):
            for run in runs_of_small(
                sizes[within.start : within.stop], most_bytes=most_bytes, most_rows=2 * full_rows
            ):
                found = range(within.start + run.start, within.start + run.stop)
                rows = [sizes[at][1] for at in found]
                no_more_fit = found.stop < within.stop
                many = no_more_fit or tiers[found.start : found.stop].count(tier) >= _TIERS[tier][1]
                if many and 2 * max(rows, default=0) <= sum(rows) > 0:
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


def to_merge(sizes: Sequence[int]) -> int:
    """How many of the last parts are to become one, so that each has ``_PART_RATIO`` times the rows of all after it.

    0 for none. A search asks each part, so there are few; what an index says of a row is a tenth of the row, so it
    may be written anew more often.
    """
    many = total = 0
    for back, size in enumerate(reversed(sizes)):
        if size < _PART_RATIO * total:
            many = back + 1
        total += size
    return many


def _tier(rows: int) -> int:
    return min(sum(rows >= bound for bound, _ in _TIERS), len(_TIERS) - 1)


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
    dataset = latest_view(table)
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
        others = [one.fragment_id for one in dataset.get_fragments() if one.fragment_id not in chosen]
        dataset.optimize.compact_files(
            target_rows_per_fragment=_full_rows(table),
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
    dataset = latest_view(table)
    fragments = dataset.get_fragments()
    if table_kind(table.name) in APPENDED_TO:
        covered = _covered(dataset)
        new = [fragment for fragment in fragments if fragment.fragment_id not in covered]
    else:
        new = fragments[1:]
    return len(new), sum(fragment.metadata.num_rows for fragment in new)
