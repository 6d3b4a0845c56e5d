"""Salvage: reads every row of a table that can still be read, whatever is damaged around it.

    for row in distinct_rows("frames", salvaged_rows(folder, "frames", version=41)):
        ...

Intact fragments are read whole. A fragment that cannot be read is read in ever smaller parts, down to single rows. If
the table has no readable version any more, its data files are read one by one. Rows that fail their digest are left
out. A row of an observation is rebuilt from its record where a column differs from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from lance.file import LanceFileReader

from ..storage import schema
from ..storage.damage import is_damage
from ..storage.digests import is_intact
from ..storage.rows import moments_from, observation_rows, parse_record
from ..storage.schema import Row
from ..storage.tables import View, open_view, table_kind
from ..values import RUNGS, Tombstone

KEYLESS = ("uses",)
KEYS = {"gaps": "revision_id", "streams": "name", "backlog": "moment_id"}
"""The column that identifies a row, for tables without an ``id``. Uses have none."""
_PART_ROWS = 256
_RECORD = ["record", "digest"]

ReadPart = Callable[[int, int], pa.Table]
"""Reads some rows from a position on."""


def salvaged_rows(
    folder: Path, name: str, version: int | None, *, from_files: bool = False, skipped: Set[str] = frozenset()
) -> Iterator[Row]:
    """The intact rows of a table at a version, or at its newest. A row may come twice, its newest state first.

    ``from_files`` reads all data files, also those of older versions, which hold deleted rows too. ``skipped`` are
    the paths of data files that are left out.
    """
    kind = table_kind(name)
    data = folder / f"{name}.lance" / "data"
    view = None if from_files else readable_view(folder, name, version)
    sources = _data_files(data) if view is None else view.get_fragments()
    for source in sources:
        if not skipped.isdisjoint(_paths(source)):
            continue
        for table in _parts_of(source, kind, data):
            rows = table.to_pylist()
            # Of a row that was replaced, the new state comes later in a file.
            for row in reversed(rows) if view is None else rows:
                if is_good(kind, row):
                    # Where other columns cannot be read, only the record of an observation was.
                    yield row if "id" in row or kind != "observations" else rebuilt_observation(row)


def _paths(source: Any) -> set[str]:
    if isinstance(source, Path):
        return {f"data/{source.name}"}
    return {f"data/{file.path}" for file in source.data_files()}


def distinct_rows(kind: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The first of the rows of each key."""
    key = KEYS.get(kind, "id")
    seen: set[Any] = set()
    for row in rows:
        if row.get(key) not in seen or kind in KEYLESS:
            seen.add(row.get(key))
            yield row


def restored_columns(kind: str, row: Row, columns: pa.Schema) -> Row:
    """The row with every column. Those of an observation are made again if they differ from its record."""
    if kind == "observations" and (not row.keys() >= set(columns.names) or differs_from_record(row)):
        row = rebuilt_observation(row)
    return {name: row.get(name) for name in columns.names}


class Forgotten:
    """Tells rows that were evicted or erased, and that data files may still hold."""

    def __init__(self, tombstones: Iterable[Tombstone]) -> None:
        self._stones: dict[str, list[Tombstone]] = {}
        for stone in tombstones:
            if stone.cause in ("asked", "budget"):
                self._stones.setdefault(stone.stream, []).append(stone)

    def has(self, kind: str, row: Row) -> bool:
        """Whether a row of a kind of table was forgotten."""
        for stone in self._stones.get(str(row.get("stream")), ()):
            if kind == "frames":
                if stone.cause == "asked" and stone.span.contains(row["time_s"]):
                    return True
            elif kind in ("observations", "text_vectors", "frame_vectors"):
                fields = parse_record(row["record"]) if "record" in row else row
                is_inside = stone.span.start_s <= fields["start_s"] and fields["end_s"] <= stone.span.end_s
                rung = fields.get("rung", "moment")
                if is_inside and stone.lost != "frame" and RUNGS.index(rung) <= RUNGS.index(stone.lost):
                    return True
        return False


def readable_view(folder: Path, name: str, version: int | None) -> View | None:
    """A view of a version of a table, or else of its newest. None if neither can be opened."""
    for candidate in dict.fromkeys((version, None)):
        try:
            return open_view(folder, name, candidate)
        except Exception:
            continue
    return None


def bad_rows(kind: str, rows: pa.Table) -> list[Row]:
    """The rows of a kind of table that are not what was written, as far as can be told."""
    if kind not in schema.TABLES:
        vectors = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
        bad: list[Row] = rows.filter(pa.array(~np.isfinite(vectors).all(axis=1))).to_pylist()
        return bad
    return [
        row
        for row in rows.to_pylist()
        if not is_good(kind, row) or (kind == "observations" and differs_from_record(row))
    ]


def is_good(kind: str, row: Row) -> bool:
    """Whether a row of a kind of table is what was written, as far as can be told."""
    columns = schema.TABLES.get(kind)
    if columns is None:
        return bool(np.isfinite(row["vector"]).all())
    if "digest" not in columns.names:
        return True
    try:
        return is_intact(row, columns) and (kind != "observations" or bool(parse_record(row["record"])))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def rebuilt_observation(row: Row) -> Row:
    """The row of an observation with every column as its record says."""
    moment = moments_from([{**parse_record(row["record"]), "base": True}])[0]
    rebuilt = observation_rows(moment, row.get("frame_bytes") or 0)[0]
    record = parse_record(row["record"])
    kept = {"id": record["id"], "base": record["base"], "record": row["record"], "digest": row.get("digest")}
    rebuilt |= kept
    # The record has a sum that is meant for the base row alone, and the size was measured when it was written.
    return rebuilt if row.get("bytes") is None else {**rebuilt, "bytes": row["bytes"]}


def differs_from_record(row: Row) -> bool:
    """Whether a column by which an observation is found differs from what its record says."""
    record = parse_record(row["record"])
    names = (
        "id",
        "moment_id",
        "rung",
        "stream",
        "epoch",
        "start_s",
        "end_s",
        "written_by",
        "written_at_s",
        "base",
    )
    return (
        any(row[name] != record[name] for name in names)
        or list(row["frame_ids"] or []) != record["frame_ids"]
    )


def _data_files(data: Path) -> list[Path]:
    """The data files of a table, newest first."""
    return sorted(data.glob("*.lance"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _parts_of(source: Any, kind: str, data: Path) -> Iterator[pa.Table]:
    """The rows of a fragment or a data file that can be read, in parts."""
    columns_choices = [None, _RECORD] if kind == "observations" else [None]
    for columns in columns_choices:
        try:
            read, count = _reader(source, columns)
        except BaseException as error:
            _pass_on(error)
            continue
        parts = list(_readable_parts(read, 0, count))
        # Every other column of an observation can be rebuilt from its record.
        if sum(map(len, parts)) == count or columns is columns_choices[-1]:
            yield from parts
            return
    if not isinstance(source, Path):
        for file in source.data_files():
            yield from _parts_of(data / file.path, kind, data)


def _reader(source: Any, columns: list[str] | None) -> tuple[ReadPart, int]:
    """How to read a part of a fragment or a file, and its number of rows."""
    if isinstance(source, Path):
        reader = LanceFileReader(str(source), columns=columns)
        return lambda start, count: reader.read_range(start, count).to_table(), int(reader.num_rows())
    return (
        lambda start, count: source.to_table(columns=columns, offset=start, limit=count),
        int(source.count_rows()),
    )


def _readable_parts(read: ReadPart, start: int, count: int) -> Iterator[pa.Table]:
    """The rows from ``start`` on that can be read. Halves what cannot be read at once."""
    if count > _PART_ROWS:
        for offset in range(0, count, _PART_ROWS):
            yield from _readable_parts(read, start + offset, min(_PART_ROWS, count - offset))
        return
    try:
        table = read(start, count)
        table.validate(full=True)
        yield table
    except BaseException as error:
        _pass_on(error)
        if count > 1:
            yield from _readable_parts(read, start, count // 2)
            yield from _readable_parts(read, start + count // 2, count - count // 2)


def _pass_on(error: BaseException) -> None:
    """Raise an error again that does not mean damage."""
    if not is_damage(error):
        raise error
