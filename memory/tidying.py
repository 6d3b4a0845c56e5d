"""Keeps a table quick and small: merges fragments, takes new rows into the indexes, deletes old versions.

    tidy(table, change)                       # inside a commit where the table is more than appended to
    delete_versions(view, keep={41})

Log-structured: each call adds one small part to every index, and only when there are many, or the call is
``thorough``, are they merged, so what is written stays a small multiple of what was appended. A call that
merges nothing costs tens of milliseconds. Nothing here changes what is remembered.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Any

from lancedb.index import IvfRq

from .tables import Table, kind_of, latest, make_indexes

VECTOR_INDEX_ROWS = 20_000
"""Below this a scan of all vectors is exact and as quick."""
_FRAGMENT_ROWS = {"frames": 512}
"""Up to which size fragments are merged. A picture is ten times a memory, so its bound is lower."""
_MOST_FRAGMENT_ROWS = 8192
_MOST_DELTAS = 16
"""How many parts an index may have before they are merged into one."""


def tidy(table: Table, *, thorough: bool = False) -> None:
    """Merge small fragments and take new rows into the indexes."""
    # Words can only be searched with their index, which is there from the start. The others save
    # scanning, of which a table too small to be tidied needs none.
    make_indexes(table)
    dataset = latest(table)
    rows_per_fragment = _FRAGMENT_ROWS.get(kind_of(table.name), _MOST_FRAGMENT_ROWS)
    dataset.optimize.compact_files(target_rows_per_fragment=rows_per_fragment)
    indexes = table.list_indices()
    if indexes:
        parts = max(index.num_segments or 1 for index in indexes)
        unindexed = any(index.num_unindexed_rows for index in indexes)
        if parts + unindexed > (1 if thorough else _MOST_DELTAS):
            dataset.optimize.optimize_indices(num_indices_to_merge=parts)
            # Fragments are merged only where the same indexes cover them: now they do.
            dataset.optimize.compact_files(target_rows_per_fragment=rows_per_fragment)
        elif unindexed:
            dataset.optimize.optimize_indices(num_indices_to_merge=0)
    table.checkout_latest()
    indexed = {column for index in table.list_indices() for column in index.columns}
    scanned = "vector" in table.schema.names and "vector" not in indexed
    if scanned and table.count_rows() >= VECTOR_INDEX_ROWS:
        table.create_index("vector", config=IvfRq())


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
    """How many small fragments and how many unindexed rows slow the table's questions down."""
    rows = max((index.num_unindexed_rows or 0 for index in table.list_indices()), default=0)
    return int(table.stats()["fragment_stats"]["num_small_fragments"]), rows
