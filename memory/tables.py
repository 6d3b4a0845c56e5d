"""The tables of a memory in LanceDB: opening them, asking them, keeping them quick.

    tables = Tables.open(Path("kitchen"), encoder=None, create=True)
    select(tables.observations, where=f"stream = {quoted('kitchen')}", columns=["id"])
    for table in tables.all():
        tidy(table)

All that depends on how LanceDB works is here; what the rows mean is in ``schema``.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

# Lance warns on standard error of what is usual here (an index over an empty table).
os.environ.setdefault("LANCE_LOG", "error")

import lance  # noqa: F401 - Table.to_lance stands on it; missing, it is missed here and not at the first tidy
import lancedb
import pyarrow as pa
from lancedb.index import FTS, Bitmap, BTree, IvfRq, LabelList
from lancedb.query import ColumnOrdering, MatchQuery

from ..errors import DiskFull, NotAMemory
from . import schema
from .encoder import Encoder, ImageEncoder
from .values import make_id

Rows = list[dict[str, Any]]
Table = Any
"""A LanceDB table; the library's own type is abstract about most of what is used here."""

_INDEXES: dict[str, dict[str, Any]] = {
    "observations": {
        "text": FTS(with_position=False, stem=True, remove_stop_words=False, ascii_folding=True),
        "start_s": BTree(),
        "end_s": BTree(),
        "moment_id": BTree(),
        "rung": Bitmap(),
        "stream": Bitmap(),
        "written_by": Bitmap(),
        "kinds": LabelList(),
    },
    "frames": {"id": BTree()},
    "text_vectors": {
        "start_s": BTree(),
        "end_s": BTree(),
        "rung": Bitmap(),
        "stream": Bitmap(),
        "written_by": Bitmap(),
        "kinds": LabelList(),
    },
    "frame_vectors": {"start_s": BTree(), "end_s": BTree(), "stream": Bitmap()},
}
"""By the kind of table."""

_FRAGMENT_ROWS = {"observations": 8192, "frames": 512}
"""Up to which size fragments are merged. A picture is ten times a memory, so its bound is lower."""
_MOST_DELTAS = 16
"""How many parts an index may have before they are merged into one."""
MIN_FREE_BYTES = 64 << 20
"""Left free on the disk by default."""
VECTOR_INDEX_ROWS = 20_000
"""Below this a scan of all vectors is exact and as quick."""


_CACHES = lancedb.Session(index_cache_size_bytes=256 << 20, metadata_cache_size_bytes=128 << 20)
"""Shared by every handle, so that a new snapshot finds the indexes warm; bounds what they keep in RAM."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a memory; those of vectors where it is opened with the encoder that made it."""

    observations: Table
    frames: Table
    gaps: Table
    streams: Table
    text_vectors: Table | None = None
    frame_vectors: Table | None = None

    @classmethod
    def open(cls, folder: Path, *, encoder: Encoder | None, create: bool = False) -> Tables:
        """Handles that see every commit at once; with ``create``, missing tables and indexes are made."""
        layout = {
            "observations": schema.OBSERVATIONS,
            "frames": schema.FRAMES,
            "gaps": schema.GAPS,
            "streams": schema.STREAMS,
        }
        tables = {}
        for name, columns in layout.items():
            table = open_table(folder, name, columns, create=create)
            if table is None:
                raise NotAMemory(folder, "nothing has been watched there yet")
            tables[name] = table
        for name, columns in vector_layout(encoder).items():
            # Without them there are only words to search: so it is while a memory is being made.
            table = open_table(folder, name, columns, create=create)
            if table is not None:
                tables[_kind(name)] = table
        return cls(**tables)

    def all(self) -> tuple[Table, ...]:
        """Every table, in the order of reading that never shows what points at nothing.

        Pictures and vectors are written before the moments that they belong to, so they come last.
        """
        vectors = [table for table in (self.text_vectors, self.frame_vectors) if table is not None]
        return (self.observations, self.gaps, self.streams, self.frames, *vectors)

    def pinned(self, folder: Path) -> Tables:
        """The same tables on private handles, each held at the version it has now."""
        database = lancedb.connect(folder, session=_CACHES)
        pinned = {}
        for mine in self.all():
            table = database.open_table(mine.name)
            table.checkout(table.version)
            pinned[_kind(mine.name)] = table
        return Tables(**pinned)


def connect(folder: Path) -> Any:
    """The database in the folder; its handles see what others append, as those of the default never do."""
    return lancedb.connect(folder, read_consistency_interval=timedelta(0), session=_CACHES)


def vector_layout(encoder: Encoder | None) -> dict[str, pa.Schema]:
    """The vector tables that a memory has with this encoder, by name.

    Each encoder has its own names, so that those of the next one can be filled beside those in use.
    """
    if encoder is None:
        return {}
    space = vector_space(encoder.name, encoder.dim)
    layout = {f"text_vectors-{space}": schema.text_vectors_schema(encoder.dim)}
    if isinstance(encoder, ImageEncoder):
        layout[f"frame_vectors-{space}"] = schema.frame_vectors_schema(encoder.dim)
    return layout


def vector_space(name: str | None, dim: int | None) -> str | None:
    """What the names of an encoder's tables end in; None without an encoder."""
    return None if name is None or dim is None else make_id(name, dim)


def drop_vectors(folder: Path, *, keep: Collection[str | None]) -> None:
    """Delete the vector tables of every space but those in ``keep``."""
    database = connect(folder)
    for found in folder.glob("*_vectors-*.lance"):
        if found.stem.partition("-")[2] not in keep:
            # Without a first version it is no table to LanceDB: its making was interrupted.
            if _there(folder, found.stem):
                database.drop_table(found.stem)
            shutil.rmtree(found, ignore_errors=True)


def open_table(folder: Path, name: str, columns: pa.Schema, *, create: bool) -> Table | None:
    """A handle that sees every commit at once; with ``create`` the table is made where there is none."""
    database = connect(folder)
    if not _there(folder, name):
        if not create:
            return None
        database.create_table(name, schema=columns)
    table = database.open_table(name)
    if create:
        _make_indexes(table, FTS)
    return table


def _make_indexes(table: Table, kind: type = object) -> None:
    """Make the table's indexes of a kind, as far as they are missing."""
    wanted = {
        column: config
        for column, config in _INDEXES.get(_kind(table.name), {}).items()
        if isinstance(config, kind)
    }
    if wanted:
        indexed = {column for index in table.list_indices() for column in index.columns}
        for column, config in wanted.items():
            if column not in indexed:
                table.create_index(column, config=config)


def _there(folder: Path, name: str) -> bool:
    # A folder without a first version is a table that is being made, or was when its writer died.
    return any((folder / f"{name}.lance" / "_versions").glob("*.manifest"))


def _kind(name: str) -> str:
    """What kind of table has that name: ``text_vectors`` of ``text_vectors-1f3a…``."""
    return name.partition("-")[0]


def quoted(text: str) -> str:
    """``text`` as a string literal of a filter, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Iterable[str]) -> str:
    """A filter that keeps the rows whose ``column`` is one of ``values``; none of them keeps nothing."""
    listed = ", ".join(quoted(value) for value in sorted(set(values)))
    return f"{column} IN ({listed})" if listed else "false"


def all_of(*conditions: str | None) -> str | None:
    """The filters that are not None, joined by AND; None where all are."""
    given = [f"({condition})" for condition in conditions if condition]
    return " AND ".join(given) if given else None


def select(
    table: Table,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> Rows:
    """The rows that ``where`` keeps, ``columns`` of them."""
    rows: Rows = select_arrow(
        table, where=where, columns=columns, order_by=order_by, descending=descending, limit=limit
    ).to_pylist()
    return rows


def select_arrow(
    table: Table,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> pa.Table:
    """The same as an Arrow table: for many rows of which little is wanted."""
    query = table.search()
    if where:
        query = query.where(where)
    if columns is not None:
        query = query.select(list(columns))
    if order_by is not None:
        query = query.order_by([ColumnOrdering(column_name=order_by, ascending=not descending)])
    if limit is not None:
        query = query.limit(limit)
    return query.to_arrow()


def match_text(table: Table, text: str, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose ``text`` holds any of the words of ``text``, best first, with ``_score``."""
    # A MatchQuery is words only: nothing in it is an operator. Its defaults are unknown to mypy.
    words = MatchQuery(text, "text")  # type: ignore[call-arg]
    query = table.search(words).select([*columns, "_score"]).limit(limit)
    rows: Rows = (query.where(where, prefilter=True) if where else query).to_list()
    return rows


def match_vector(table: Table, vector: Any, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose vector is nearest to ``vector``, best first, with ``_distance``."""
    # The defaults of a quantised index lose a third of the neighbours; these find them all.
    query = (
        table.search(vector, vector_column_name="vector")
        .select([*columns, "_distance"])
        .minimum_nprobes(20)
        .maximum_nprobes(0)
        .refine_factor(10)
        .limit(limit)
    )
    rows: Rows = (query.where(where, prefilter=True) if where else query).to_list()
    return rows


def upsert(table: Table, on: str, rows: Rows, *, replace: bool = False) -> None:
    """Add the rows whose key is new; with ``replace``, overwrite the others."""
    merge = table.merge_insert(on).when_not_matched_insert_all()
    if replace:
        merge = merge.when_matched_update_all()
    merge.execute(pa.Table.from_pylist(rows, schema=table.schema))


def append(table: Table, rows: Rows) -> None:
    """Add rows as one commit."""
    table.add(pa.Table.from_pylist(rows, schema=table.schema))


def tidy(table: Table, *, needed_since_s: float, thorough: bool = False) -> None:
    """Merge small fragments, take new rows into the indexes, delete versions from before ``needed_since_s``.

    Log-structured: each call adds one small part to every index, and only when there are many, or
    the call is ``thorough``, are they merged, so what is written stays a small multiple of what was
    appended. A call that merges nothing costs tens of milliseconds.
    """
    # Words can only be searched with their index, which is there from the start. The others save
    # scanning, of which a table too small to be tidied needs none.
    _make_indexes(table)
    dataset = table.to_lance()
    rows_per_fragment = _FRAGMENT_ROWS.get(_kind(table.name), 8192)
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
    _delete_versions(dataset, needed_since_s)
    table.checkout_latest()
    indexed = {column for index in table.list_indices() for column in index.columns}
    scanned = "vector" in table.schema.names and "vector" not in indexed
    if scanned and table.count_rows() >= VECTOR_INDEX_ROWS:
        table.create_index("vector", config=IvfRq())


def _delete_versions(dataset: Any, needed_since_s: float) -> None:
    """Delete the versions that nobody could read any more who began to at ``needed_since_s`` (Unix seconds)."""
    past = [
        found["version"] for found in dataset.versions() if found["timestamp"].timestamp() < needed_since_s
    ]
    # The last of them was the current one then, and may be in use.
    if gone := sorted(past)[:-1]:
        dataset.cleanup_old_versions(versions=gone)


def waiting(table: Table) -> tuple[int, int]:
    """How many small fragments and how many unindexed rows slow the table's questions down."""
    rows = max((index.num_unindexed_rows or 0 for index in table.list_indices()), default=0)
    return int(table.stats()["fragment_stats"]["num_small_fragments"]), rows


@contextmanager
def room_to_write(folder: Path, min_free_bytes: int) -> Iterator[None]:
    """Refuse to write into the last ``min_free_bytes`` of the disk, and say plainly when it is full.

    Raises ``DiskFull``.
    """
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        raise DiskFull(folder, f"{free:,} bytes are free, and {min_free_bytes:,} are kept free")
    try:
        yield
    except (OSError, RuntimeError) as error:
        # Lance passes the system's error on as text.
        said = str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left" in said or "os error 28" in said or "Disk quota" in said:
            raise DiskFull(folder, "the disk is full") from error
        raise
