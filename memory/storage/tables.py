"""The tables of a memory in LanceDB: opening, filtering, reading and writing them.

    tables = Tables.open(Path("kitchen"), encoder=None, create=True)
    append(tables.observations, rows)
    select(latest_view(tables.observations), where=equals("stream", "kitchen"), columns=["id"])

Writes go through a table's handle, which is always at the newest version. Reads go through a *view*, which stays
at the version at which it was opened. This module and ``keeping.compaction`` contain everything that depends on
how LanceDB works. ``schema`` defines what the rows mean.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

# Both libraries warn on standard error about normal events (an index over an empty table, similar vectors).
os.environ.setdefault("LANCE_LOG", "error")
os.environ.setdefault("LANCEDB_LOG", "error")
# Only the number of partitions of an index is read, so its statistics need no centroids.
os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")

import lance
import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lance.dataset import ColumnOrdering
from lance.query import MatchQuery
from lancedb.index import FTS, Bitmap, BTree, LabelList

from ..encoder import Encoder, ImageEncoder
from ..errors import NotAMemory
from ..values import Extent, make_id
from . import schema
from .damage import is_damage, reporting_damage
from .digests import with_digest
from .file_sizes import size_in_blocks

log = logging.getLogger(__name__)

Rows = list[dict[str, Any]]
Table = Any
"""A LanceDB table, for writing. The library's own type declares too few of the methods used here."""
View = Any
"""A table at one version, for reading."""

INDEXES: dict[str, dict[str, Any]] = {
    "observations": {
        "text": FTS(with_position=False, stem=True, remove_stop_words=False, ascii_folding=True),
        "start_s": BTree(),
        "start_hour": Bitmap(),
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
        "start_hour": Bitmap(),
        "end_s": BTree(),
        "rung": Bitmap(),
        "stream": Bitmap(),
        "written_by": Bitmap(),
        "kinds": LabelList(),
    },
    "frame_vectors": {"start_s": BTree(), "start_hour": Bitmap(), "end_s": BTree(), "stream": Bitmap()},
}
"""The indexes of each column, by the kind of table."""

_EXACT_SEARCH_ROWS = 5000
"""Up to this many vectors, an exact comparison is quicker than a search of the index."""
_BATCH_ROWS = 32_768
_IDS_PER_FILTER = 500
_MAX_TRIES = 100
_READ_BYTES = 64 << 10
"""Rows closer together than this are read in one request. A search picks dozens of rows out of a large file."""
_ROWS_PER_PROBE, _MIN_PROBES, _MAX_PROBES = 4096, 16, 80
"""A vector search probes one partition per this many rows. ``compaction`` makes partitions of about 1,000 rows."""
_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES = 192 << 20, 32 << 20
"""RAM limits of the caches of indexes and of file footers, for reading."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a memory, or views of them.

    The vector tables are None unless the memory is opened with the encoder that made them.
    """

    observations: Table
    frames: Table
    gaps: Table
    tombstones: Table
    streams: Table
    backlog: Table
    pins: Table
    uses: Table
    text_vectors: Table | None = None
    frame_vectors: Table | None = None

    @classmethod
    def open(cls, folder: Path, *, encoder: Encoder | None, create: bool = False) -> Tables:
        """Open handles that see every commit at once.

        With ``create``, missing tables and indexes are made. Otherwise raises ``NotAMemory`` if a table is missing.
        """
        opened = {}
        for name, columns in schema.TABLES.items():
            table = open_table(folder, name, columns, create=create)
            if table is None:
                raise NotAMemory(folder, "nothing has been watched there yet")
            opened[name] = table
        for name, columns in vector_layout(encoder).items():
            # Vector tables may be missing while a memory is being created. Search then uses words only.
            table = open_table(folder, name, columns, create=create)
            if table is not None:
                opened[table_kind(name)] = table
        return cls(**opened)

    def by_kind(self) -> dict[str, Table]:
        """Every existing table by its kind, such as ``text_vectors``."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in tables.items() if table is not None}

    def all(self) -> tuple[Table, ...]:
        """Every existing table."""
        return tuple(self.by_kind().values())

    def views(self, folder: Path, versions: Mapping[str, int]) -> Tables:
        """Views of the tables at these versions, by table name. A table without a version is read as it is now."""
        return Tables(
            **{
                table_kind(table.name): open_view(folder, table.name, versions.get(table.name))
                for table in self.all()
            }
        )


def connect(folder: Path) -> Any:
    """The database in the folder. Its handles see what other processes append, unlike LanceDB's default."""
    return lancedb.connect(folder, read_consistency_interval=timedelta(0), session=_writing_session())


def open_view(folder: Path, name: str, version: int | None = None) -> View:
    """A view of the table of that name at a version, or at the newest if ``version`` is None."""
    with reporting_damage(folder, f"table of {_words(name)}"):
        view = lance.dataset(
            folder / f"{name}.lance", version=version, session=_session(), block_size=_READ_BYTES
        )
        # A damaged list of columns is noticed only when it is used, and then by a panic.
        _ = view.schema
        return view


def latest_view(table: Table) -> View:
    """A view of the newest version that a handle sees."""
    with reporting_damage(partial(_folder_of, table), f"table of {_words(table.name)}"):
        return table.to_lance(session=_working_session())


@cache
def _writing_session() -> lancedb.Session:
    """The session of every handle. Writers look up rows through views, so small caches suffice."""
    return lancedb.Session(index_cache_size_bytes=8 << 20, metadata_cache_size_bytes=8 << 20)


@cache
def _working_session() -> Any:
    """The session of views of data that is being written or compacted, which is soon rewritten."""
    return _lance_session(16 << 20, 16 << 20)


@cache
def _session() -> Any:
    """The session of all other views. A new snapshot finds the indexes in its cache, which bounds their RAM."""
    return _lance_session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES)


def _lance_session(index_bytes: int, metadata_bytes: int) -> Any:
    return lance.Session(  # type: ignore[attr-defined]  # exists, but is not declared
        index_cache_size_bytes=index_bytes, metadata_cache_size_bytes=metadata_bytes
    )


def vector_layout(encoder: Encoder | None) -> dict[str, pa.Schema]:
    """The vector tables of a memory with this encoder, by name.

    The names differ between encoders, so that the tables of the next encoder can be filled beside those in use.
    """
    if encoder is None:
        return {}
    space = vector_space(encoder.name, encoder.dim)
    layout = {f"text_vectors-{space}": schema.text_vectors_schema(encoder.dim)}
    if isinstance(encoder, ImageEncoder):
        layout[f"frame_vectors-{space}"] = schema.frame_vectors_schema(encoder.dim)
    return layout


def vector_space(name: str | None, dim: int | None) -> str | None:
    """The suffix of the names of an encoder's tables. None without an encoder."""
    return None if name is None or dim is None else make_id(name, dim)


def drop_vectors(folder: Path, *, keep: Collection[str | None]) -> None:
    """Delete the vector tables of every space but those in ``keep``."""
    database = connect(folder)
    for table_folder in folder.glob("*_vectors-*.lance"):
        if table_folder.stem.partition("-")[2] not in keep:
            # A table without a version was interrupted while it was created, and LanceDB does not list it.
            if table_exists(folder, table_folder.stem):
                database.drop_table(table_folder.stem)
            shutil.rmtree(table_folder, ignore_errors=True)


def open_table(folder: Path, name: str, columns: pa.Schema, *, create: bool) -> Table | None:
    """A handle that sees every commit at once, or None if the table does not exist.

    With ``create``, a missing table is made.
    """
    with reporting_damage(folder, f"table of {_words(name)}"):
        database = connect(folder)
        if not table_exists(folder, name):
            if not create:
                return None
            database.create_table(name, schema=columns)
        table = database.open_table(name)
        if create:
            make_indexes(table, FTS)
        return table


def make_indexes(table: Table, kind: type = object) -> None:
    """Make the missing indexes of a table, or only those of the index type ``kind``."""
    configs = {
        column: config
        for column, config in INDEXES.get(table_kind(table.name), {}).items()
        if isinstance(config, kind)
    }
    if configs:
        existing = indexed_columns(latest_view(table))
        for column, config in configs.items():
            if column not in existing:
                table.create_index(column, config=config)


def indexed_columns(view: View) -> set[str]:
    """The columns that have an index."""
    return {column for index in view.describe_indices() for column in index.field_names}


def table_exists(folder: Path, name: str) -> bool:
    """Whether the folder holds a table of that name."""
    # A folder without a version is a table that is being created, or whose writer died while creating it.
    return count_versions(folder / f"{name}.lance") > 0


def count_versions(table_folder: Path) -> int:
    """The number of versions of a table.

    ``View.versions`` reads every version, and fails if one is deleted at the same time.
    """
    return sum(1 for _ in (table_folder / "_versions").glob("*.manifest"))


def table_kind(name: str) -> str:
    """The kind of the table of that name: ``text_vectors`` for ``text_vectors-1f3a…``."""
    return name.partition("-")[0]


def quoted(text: str) -> str:
    """``text`` as a string literal of a filter, with quotes escaped."""
    return "'" + text.replace("'", "''") + "'"


def equals(column: str, value: str) -> str:
    """A filter that keeps the rows whose ``column`` is ``value``."""
    return f"{column} = {quoted(value)}"


def one_of(column: str, values: Iterable[str]) -> str:
    """A filter that keeps the rows whose ``column`` is one of ``values``. Without values it keeps no row."""
    literals = ", ".join(quoted(value) for value in sorted(set(values)))
    return f"{column} IN ({literals})" if literals else "false"


def id_batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in batches of a size that a filter with ``one_of`` handles quickly."""
    for start in range(0, len(ids), _IDS_PER_FILTER):
        yield ids[start : start + _IDS_PER_FILTER]


def all_of(*conditions: str | None) -> str | None:
    """A filter that keeps the rows that pass every condition that is not None. None if all are None."""
    terms = [f"({condition})" for condition in conditions if condition]
    return " AND ".join(terms) if terms else None


def any_of(conditions: Iterable[str | None]) -> str:
    """A filter that keeps the rows that pass at least one condition. None as a condition keeps every row."""
    return " OR ".join(f"({condition or 'true'})" for condition in conditions) or "false"


def select(
    view: View,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: Sequence[str] = (),
    descending: bool = False,
    limit: int | None = None,
) -> Rows:
    """The rows that pass the filter ``where``, as dictionaries of ``columns`` (all by default)."""
    rows: Rows = select_arrow(
        view, where=where, columns=columns, order_by=order_by, descending=descending, limit=limit
    ).to_pylist()
    return rows


def select_arrow(
    view: View,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: Sequence[str] = (),
    descending: bool = False,
    limit: int | None = None,
) -> pa.Table:
    """Like ``select``, as an Arrow table. It is quicker for many rows of few columns."""
    order = [ColumnOrdering(column, ascending=not descending) for column in order_by]
    return _read(
        view,
        columns=None if columns is None else list(columns),
        filter=where,
        order_by=order or None,
        limit=limit,
    )


def _read(view: View, **options: Any) -> pa.Table:
    """The rows of a scan. If an index of a filter's columns is damaged, every row is compared instead."""
    with _reporting_damage_of(view):
        try:
            table: pa.Table = view.to_table(**options)
        except BaseException as error:
            if options["filter"] is None or not is_damage(error):
                raise
            table = view.to_table(**options, use_scalar_index=False)
            _warn_of_index(Path(view.uri).stem)
    return table


def count_rows(view: View, where: str | None) -> int:
    """The number of rows that pass the filter."""
    with _reporting_damage_of(view):
        try:
            return int(view.count_rows(where))
        except BaseException as error:
            if where is None or not is_damage(error):
                raise
            count = view.scanner(
                filter=where, columns=[], with_row_id=True, use_scalar_index=False
            ).count_rows()
            _warn_of_index(Path(view.uri).stem)
            return int(count)


@cache
def _warn_of_index(table: str) -> None:
    log.warning(
        "an index of %s is damaged, so searches read every row until `recollect check --repair` rebuilds it",
        table,
    )


def _reporting_damage_of(view: View) -> AbstractContextManager[None]:
    """Report what cannot be read of a view as damage of its table."""
    return reporting_damage(partial(_folder_of, view), f"table of {_words(Path(view.uri).stem)}")


def _folder_of(table: Table | View) -> Path:
    """The memory's folder of a handle or a view."""
    return Path(table.uri).parent


def _words(name: str) -> str:
    return table_kind(name).replace("_", " ")


def batches(
    view: View,
    columns: Sequence[str],
    where: str | None = None,
    *,
    with_row_id: bool = False,
    batch_rows: int = _BATCH_ROWS,
) -> Iterator[pa.Table]:
    """The rows that pass ``where`` in batches, for aggregates over a whole table."""
    scanner = view.scanner(
        columns=list(columns),
        filter=where,
        batch_size=batch_rows,
        batch_readahead=2,
        with_row_id=with_row_id,
    )
    with _reporting_damage_of(view):
        for batch in scanner.to_batches():
            if len(batch):
                yield pa.Table.from_batches([batch])


def match_text(view: View, text: str, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose ``text`` column has any of the words of ``text``, best first, with ``_score``."""
    with reporting_damage(partial(_folder_of, view), "index of words"):
        rows: Rows = view.to_table(
            # A MatchQuery takes plain words. It has no operators that the text could contain.
            full_text_query=MatchQuery(text, "text"),
            columns=[*columns, "_score"],
            filter=where,
            prefilter=True,
            limit=limit,
        ).to_pylist()
    return rows


def match_vector(view: View, vector: Any, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose vector is nearest to ``vector``, nearest first.

    Each row has the exact squared distance as ``_distance``.
    """

    def nearest(**options: Any) -> Rows:
        # Distances of an index are approximate. The exact ones are computed from the vectors, which are read anyway.
        table = view.to_table(
            nearest={"column": "vector", "q": vector, "k": limit, **options},
            columns=[*columns, "vector", "_distance"],
            filter=where,
            prefilter=True,
        )
        offsets = (
            table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), len(vector)) - vector
        )
        distances = np.einsum("ij,ij->i", offsets, offsets)
        rows: Rows = table.select(columns).to_pylist()
        order = np.argsort(distances, kind="stable")
        return [{**rows[index], "_distance": float(distances[index])} for index in order]

    with reporting_damage(partial(_folder_of, view), "index of vectors"):
        probes = min(_MAX_PROBES, max(_MIN_PROBES, view.count_rows() // _ROWS_PER_PROBE))
        rows = nearest(minimum_nprobes=probes, maximum_nprobes=probes)
        if len(rows) == limit or len(rows) == (passing := view.count_rows(where)):
            return rows
        # Other rows that pass the filter lie in partitions not probed yet. If they are few, compare all of them.
        return nearest(use_index=False) if passing <= _EXACT_SEARCH_ROWS else nearest(minimum_nprobes=probes)


def measure_extents(opened: Tables) -> dict[str, Extent]:
    """The extent of the memories of each rung. A rung without memories is left out."""
    spans = select_arrow(latest_view(opened.observations), columns=["rung", "start_s", "end_s"])
    spans = spans.append_column("length_s", pc.subtract(spans["end_s"], spans["start_s"]))
    bounds = spans.group_by("rung").aggregate([("end_s", "min"), ("start_s", "max"), ("length_s", "max")])
    return {
        row["rung"]: Extent(row["end_s_min"], row["start_s_max"], row["length_s_max"])
        for row in bounds.to_pylist()
    }


def live_bytes(view: View) -> dict[str, int]:
    """The bytes that the files of a view take on disk, by their kind, such as ``data file``.

    Files of later versions count too. All other files in the table's folder are old, or left by a crash.
    """
    sizes: Counter[str] = Counter()
    folder = Path(view.uri)
    for path, kind in {(file["path"], file["type"]) for file in _files_since(view)}:
        with suppress(FileNotFoundError):
            sizes[kind] += size_in_blocks((folder / path).stat().st_size)
    return dict(sizes)


def tracked_paths(view: View) -> set[str]:
    """The paths of the files of the view's version and of later ones, relative to the table's folder."""
    with _reporting_damage_of(view):
        return {file["path"] for file in _files_since(view)}


def _files_since(view: View) -> Rows:
    """The files of the view's version and of later versions."""
    for tries_left in reversed(range(_MAX_TRIES)):
        try:
            files = view.tracked_files(min_version=view.version).read_all().select(["path", "type"])
            break
        except pa.ArrowInvalid as error:
            # A later version may be deleted between listing and reading it.
            if "/_versions/" not in str(error) or not tries_left:
                raise
    rows: Rows = files.to_pylist()
    return rows


def upsert(table: Table, on: str, rows: Rows) -> None:
    """Add rows. A row replaces the one with the same key ``on``."""
    merge = table.merge_insert(on).when_matched_update_all().when_not_matched_insert_all()
    merge.execute(_arrow(table, rows))


def delete_rows(table: Table, row_ids: Sequence[int]) -> None:
    """Delete rows by their row ids, read from a view of the same version. Ten times quicker than by another filter."""
    if len(row_ids):
        table.delete(f"_rowid IN ({', '.join(map(str, row_ids))})")


def row_ids_with(view: View, column: str, values: Set[str]) -> list[int]:
    """The row ids of the rows whose ``column`` is one of ``values``, for any number of values."""
    value_set = pa.array(sorted(values), pa.string())
    ids: list[int] = []
    for batch in batches(view, [column], with_row_id=True) if values else ():
        ids += batch.filter(pc.is_in(batch[column], value_set))["_rowid"].to_pylist()
    return ids


def row_ids(view: View, where: str | None) -> list[int]:
    """The row ids of the rows that pass ``where``."""
    ids: list[int] = []
    for batch in batches(view, [], where, with_row_id=True):
        ids += batch["_rowid"].to_pylist()
    return ids


def append(table: Table, rows: Rows) -> None:
    """Add rows as one commit."""
    table.add(_arrow(table, rows))


def _arrow(table: Table, rows: Rows) -> pa.Table:
    """The rows with their digests, as an Arrow table."""
    columns = table.schema
    return pa.Table.from_pylist([with_digest(row, columns) for row in rows], schema=columns)
