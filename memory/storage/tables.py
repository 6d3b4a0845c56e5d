"""The tables of a memory in LanceDB: opening them, asking them, adding to them.

    tables = Tables.open(Path("kitchen"), encoder=None, create=True)
    append(tables.observations, rows)
    select(latest(tables.observations), where=f"stream = {quoted('kitchen')}", columns=["id"])

Writing goes through a table's handle, which is always at its newest version; reading through a *view*, which
stays at the one it was opened at. All that depends on how LanceDB works is here and in ``tidying``; what the
rows mean is in ``schema``.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

# Both warn on standard error of what is usual here (an index over an empty table, vectors much alike).
os.environ.setdefault("LANCE_LOG", "error")
os.environ.setdefault("LANCEDB_LOG", "error")
# Of an index's statistics, the number of partitions is wanted and not where they lie.
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
from ..errors import CannotWrite, DiskFull, NotAMemory
from ..values import Extent, make_id
from . import schema
from .file_sizes import size_in_blocks

Rows = list[dict[str, Any]]
Table = Any
"""A LanceDB table, for writing; the library's own type is abstract about most of what is used here."""
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
"""By the kind of table."""

MIN_FREE_BYTES = 64 << 20
"""Left free on the disk by default."""
_FEW_ROWS = 5000
"""To compare so many vectors one by one is quicker than to search an index until enough of them are found."""
_BATCH_ROWS = 32_768
_MOST_TRIES = 100
_READ_BYTES = 64 << 10
"""What lies so near is read at once: a search picks dozens of rows out of a large file."""
_ROWS_A_PROBE, _LEAST_PROBES, _MOST_PROBES = 4096, 16, 80
"""One partition of a vector index is searched for so many rows; ``tidying`` makes one of about a thousand."""
_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES = 192 << 20, 32 << 20
"""What the indexes and the file footers that are kept in RAM may take, for reading."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a memory, or views of them.

    Those of vectors are there where it is opened with the encoder that made it.
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
        """Handles that see every commit at once; with ``create``, missing tables and indexes are made."""
        opened = {}
        for name, columns in schema.TABLES.items():
            table = open_table(folder, name, columns, create=create)
            if table is None:
                raise NotAMemory(folder, "nothing has been watched there yet")
            opened[name] = table
        for name, columns in vector_layout(encoder).items():
            # Without them there are only words to search: so it is while a memory is being made.
            table = open_table(folder, name, columns, create=create)
            if table is not None:
                opened[table_kind(name)] = table
        return cls(**opened)

    def by_kind(self) -> dict[str, Table]:
        """Every table that is there, by its kind."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in found.items() if table is not None}

    def all(self) -> tuple[Table, ...]:
        """Every table that is there."""
        return tuple(self.by_kind().values())

    def views(self, folder: Path, versions: Mapping[str, int]) -> Tables:
        """All of it at these versions, by name; what they do not name, as it is now."""
        return Tables(
            **{
                table_kind(table.name): open_view(folder, table.name, versions.get(table.name))
                for table in self.all()
            }
        )


def connect(folder: Path) -> Any:
    """The database in the folder; its handles see what others append, as those of the default never do."""
    return lancedb.connect(folder, read_consistency_interval=timedelta(0), session=_writing_session())


def open_view(folder: Path, name: str, version: int | None = None) -> View:
    """The table of that name at a version; at its newest where that is None."""
    return lance.dataset(
        folder / f"{name}.lance", version=version, session=_session(), block_size=_READ_BYTES
    )


def latest_view(table: Table) -> View:
    """What a handle sees now."""
    return table.to_lance(session=_working_session())


@cache
def _writing_session() -> lancedb.Session:
    """Shared by every handle. Writers look things up through views, so this needs little."""
    return lancedb.Session(index_cache_size_bytes=8 << 20, metadata_cache_size_bytes=8 << 20)


@cache
def _working_session() -> Any:
    """Shared by views of what is just being written and tidied: what they read is soon written anew."""
    return _lance_session(16 << 20, 16 << 20)


@cache
def _session() -> Any:
    """Shared by every other view, so that a new snapshot finds the indexes warm; bounds what they keep in RAM."""
    return _lance_session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES)


def _lance_session(index_bytes: int, metadata_bytes: int) -> Any:
    return lance.Session(  # type: ignore[attr-defined]  # it is, in all but name
        index_cache_size_bytes=index_bytes, metadata_cache_size_bytes=metadata_bytes
    )


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
            if table_exists(folder, found.stem):
                database.drop_table(found.stem)
            shutil.rmtree(found, ignore_errors=True)


def open_table(folder: Path, name: str, columns: pa.Schema, *, create: bool) -> Table | None:
    """A handle that sees every commit at once; with ``create`` the table is made where there is none."""
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
    """Make the table's indexes of a kind, as far as they are missing."""
    wanted = {
        column: config
        for column, config in INDEXES.get(table_kind(table.name), {}).items()
        if isinstance(config, kind)
    }
    if wanted:
        there = indexed_columns(latest_view(table))
        for column, config in wanted.items():
            if column not in there:
                table.create_index(column, config=config)


def indexed_columns(view: View) -> set[str]:
    """The columns that have an index."""
    return {column for index in view.describe_indices() for column in index.field_names}


def table_exists(folder: Path, name: str) -> bool:
    """Whether the folder holds that table."""
    # A folder without a first version is a table that is being made, or was when its writer died.
    return count_versions(folder / f"{name}.lance") > 0


def count_versions(table_folder: Path) -> int:
    """How many versions of a table there are. ``View.versions`` reads each, and fails where one goes meanwhile."""
    return sum(1 for _ in (table_folder / "_versions").glob("*.manifest"))


def table_kind(name: str) -> str:
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
    view: View,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> Rows:
    """The rows that ``where`` keeps, ``columns`` of them."""
    rows: Rows = select_arrow(
        view, where=where, columns=columns, order_by=order_by, descending=descending, limit=limit
    ).to_pylist()
    return rows


def select_arrow(
    view: View,
    *,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    order_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> pa.Table:
    """The same as an Arrow table: for many rows of which little is wanted."""
    order = None if order_by is None else [ColumnOrdering(order_by, ascending=not descending)]
    found: pa.Table = view.to_table(
        columns=None if columns is None else list(columns), filter=where, order_by=order, limit=limit
    )
    return found


def batches(
    view: View, columns: Sequence[str], where: str | None = None, *, with_row_id: bool = False
) -> Iterator[pa.Table]:
    """The rows that ``where`` keeps, some thousands at a time: for what is read whole and kept as sums."""
    scanner = view.scanner(
        columns=list(columns),
        filter=where,
        batch_size=_BATCH_ROWS,
        batch_readahead=2,
        with_row_id=with_row_id,
    )
    for batch in scanner.to_batches():
        if len(batch):
            yield pa.Table.from_batches([batch])


def match_text(view: View, text: str, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose ``text`` holds any of the words of ``text``, best first, with ``_score``."""
    rows: Rows = view.to_table(
        # A MatchQuery is words only: nothing in it is an operator.
        full_text_query=MatchQuery(text, "text"),
        columns=[*columns, "_score"],
        filter=where,
        prefilter=True,
        limit=limit,
    ).to_pylist()
    return rows


def match_vector(view: View, vector: Any, *, where: str | None, columns: Sequence[str], limit: int) -> Rows:
    """The rows whose vector is nearest to ``vector``, best first, with ``_distance``, the square of how far it is."""

    def nearest(**how: Any) -> Rows:
        # An index tells about how far a row is. The whole vectors, which tell exactly, come with what is read anyway.
        found = view.to_table(
            nearest={"column": "vector", "q": vector, "k": limit, **how},
            columns=[*columns, "vector", "_distance"],
            filter=where,
            prefilter=True,
        )
        away = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(found), len(vector)) - vector
        distances = np.einsum("ij,ij->i", away, away)
        rows: Rows = found.select(columns).to_pylist()
        return [
            {**rows[at], "_distance": float(distances[at])} for at in np.argsort(distances, kind="stable")
        ]

    probes = min(_MOST_PROBES, max(_LEAST_PROBES, view.count_rows() // _ROWS_A_PROBE))
    rows = nearest(minimum_nprobes=probes, maximum_nprobes=probes)
    if len(rows) == limit or len(rows) == (passing := view.count_rows(where)):
        return rows
    # What passes the filter lies elsewhere: where that is little, it is compared one by one.
    return nearest(use_index=False) if passing <= _FEW_ROWS else nearest(minimum_nprobes=probes)


def measure_extents(opened: Tables) -> dict[str, Extent]:
    """Where the memories of each rung lie; a rung without any is not named."""
    spans = select_arrow(latest_view(opened.observations), columns=["rung", "start_s", "end_s"])
    spans = spans.append_column("length_s", pc.subtract(spans["end_s"], spans["start_s"]))
    found = spans.group_by("rung").aggregate([("end_s", "min"), ("start_s", "max"), ("length_s", "max")])
    return {
        row["rung"]: Extent(row["end_s_min"], row["start_s_max"], row["length_s_max"])
        for row in found.to_pylist()
    }


def live_bytes(view: View) -> dict[str, int]:
    """What the files of a view take on the disk, by their kind, such as ``data file``.

    Those of later versions count too. What else lies in the table's folder is old, or was left by a crash.
    """
    sizes: Counter[str] = Counter()
    folder = Path(view.uri)
    for path, kind in {(file["path"], file["type"]) for file in _files_since(view)}:
        with suppress(FileNotFoundError):
            sizes[kind] += size_in_blocks((folder / path).stat().st_size)
    return dict(sizes)


def _files_since(view: View) -> Rows:
    """The files of the view's version, and of those after it."""
    for tries_left in reversed(range(_MOST_TRIES)):
        try:
            found = view.tracked_files(min_version=view.version).read_all().select(["path", "type"])
            break
        except pa.ArrowInvalid as error:
            # A later version may be deleted after it was listed, and before it is read.
            if "/_versions/" not in str(error) or not tries_left:
                raise
    files: Rows = found.to_pylist()
    return files


def upsert(table: Table, on: str, rows: Rows) -> None:
    """Add rows, in the place of those with the same key where there are any."""
    merge = table.merge_insert(on).when_matched_update_all().when_not_matched_insert_all()
    merge.execute(pa.Table.from_pylist(rows, schema=table.schema))


def delete_rows(table: Table, row_ids: Sequence[int]) -> None:
    """Delete rows by their ids, which a view of the same version told. Costs a tenth of naming them otherwise."""
    if len(row_ids):
        table.delete(f"_rowid IN ({', '.join(map(str, row_ids))})")


def row_ids_with(view: View, column: str, values: Set[str]) -> list[int]:
    """The ids of the rows whose ``column`` is one of ``values``, however many these are."""
    wanted = pa.array(sorted(values), pa.string())
    found: list[int] = []
    for batch in batches(view, [column], with_row_id=True) if values else ():
        found += batch.filter(pc.is_in(batch[column], wanted))["_rowid"].to_pylist()
    return found


def row_ids(view: View, where: str | None) -> list[int]:
    """The ids of the rows that ``where`` keeps."""
    found: list[int] = []
    for batch in batches(view, [], where, with_row_id=True):
        found += batch["_rowid"].to_pylist()
    return found


def append(table: Table, rows: Rows) -> None:
    """Add rows as one commit."""
    table.add(pa.Table.from_pylist(rows, schema=table.schema))


@contextmanager
def require_free_space(folder: Path, min_free_bytes: int) -> Iterator[None]:
    """Refuse to write into the last ``min_free_bytes`` of the disk, and say plainly when it is full.

    Raises ``DiskFull``, or ``CannotWrite`` where nobody but its owner may write there.
    """
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        raise DiskFull(folder, f"{free:,} bytes are free, and {min_free_bytes:,} are kept free")
    try:
        yield
    except (OSError, RuntimeError) as error:
        # Lance passes the system's error on as text.
        said, number = str(error), getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or any(
            words in said for words in ("No space left", "os error 28", "Disk quota", "os error 122")
        ):
            raise DiskFull(folder, "the disk is full") from error
        if number in (errno.EACCES, errno.EROFS, errno.EPERM) or any(
            words in said for words in ("Permission denied", "Read-only file system")
        ):
            raise CannotWrite(folder) from error
        raise
