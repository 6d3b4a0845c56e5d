"""Memory check: reads a whole memory and says what is damaged, in plain words.

    report = check_memory(Path("kitchen"))
    report.is_whole
    for damage in report.damages:
        print(damage.part, damage.what)

It compares every file with its recorded digest, every row with its own, and the tables with each other: pictures of
moments, children of summaries, vectors of texts, and the time that each stream accounts for. It writes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import MemoryDamaged
from ..query.coverage import lost_gap
from ..query.snapshot import Snapshot
from ..storage import schema
from ..storage.commits import HEAD_NAME, CommitHead, Commits
from ..storage.damage import reporting_damage
from ..storage.digests import unsealed_json
from ..storage.leases import ReadLease
from ..storage.manifest import MANIFEST_NAME, Manifest, read_manifest
from ..storage.migrations import migrate
from ..storage.schema import Row
from ..storage.tables import (
    INDEXES,
    Tables,
    View,
    batches,
    indexed_columns,
    open_view,
    select,
    table_exists,
    table_kind,
    vector_space,
)
from ..values import Gap, Moment, Span
from .file_digests import FILE_NAME, FileDigests
from .ladder_repair import lost_parents, missing_children
from .salvage import bad_rows

TRACES_NAME = "questions.sqlite"
_BATCH_ROWS = 256
"""Rows in RAM at a time. A row of a picture takes tens of kilobytes."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class FoundDamage:
    """One thing that is damaged in a memory."""

    part: str
    """What is damaged, such as ``table of frames``, ``index of observations`` or ``memory.json``."""
    what: str
    """What is wrong with it, in plain words."""
    stream: str | None = None
    span: Span | None = None
    """The stream and the span that it concerns, where that is known."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found, and what a repair did about it."""

    path: str
    damages: tuple[FoundDamage, ...]
    """What was damaged before a repair."""
    rows: int
    """Rows that were read."""
    rows_without_digest: int
    """Rows of before schema 4. Changes in them are found only where they cannot be read any more."""
    repaired: tuple[str, ...] = ()
    """What was rebuilt."""
    lost: tuple[str, ...] = ()
    """What could not be rebuilt."""
    remaining: tuple[FoundDamage, ...] = ()
    """What is still damaged after a repair."""
    was_repaired: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged, or nothing is any more."""
        return not (self.remaining if self.was_repaired else self.damages)


def check_memory(folder: Path) -> CheckReport:
    """Read the whole memory in ``folder`` and report what is damaged. An older memory is brought to this schema first.

    Raises ``NotAMemory``, ``NewerMemory``, ``OlderMemory``, ``MemoryInUse`` or ``DiskFull``.
    """
    # If that fails, the check says what is damaged.
    with suppress(MemoryDamaged), reporting_damage(folder):
        migrate(folder)
    with ReadLease.take(folder) as lease:
        check = MemoryCheck(folder)
        lease.hold(check.head.versions)
        damages = tuple(check.damages())
        return CheckReport(str(folder), damages, check.rows, check.rows_without_digest)


class MemoryCheck:
    """One check of one memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests = FileDigests(folder)
        self.manifest: Manifest | None = None
        self._small_files = list(self._small_file_damages())
        self.head: CommitHead = Commits(folder).head()
        self.rows = 0
        self.rows_without_digest = 0
        self.damaged_data: set[str] = set()
        """The names of the tables whose rows are damaged."""
        self.damaged_versions: set[str] = set()
        """The names of the tables of which it is not known which rows are deleted."""
        self.damaged_indexes: set[str] = set()
        """The names of the tables with damage in files that can be made again from the rows."""
        self.damaged_files: dict[str, set[str]] = {}
        """The damaged data files, by the name of their table."""

    def damages(self) -> Iterator[FoundDamage]:
        """What is damaged, in the order of the parts."""
        yield from self._small_files
        views: dict[str, View] = {}
        for name in self.table_names():
            view = yield from self._table_damages(name)
            if view is not None:
                views[table_kind(name)] = view
        if views.keys() >= schema.TABLES.keys() and not self.damaged_data & schema.TABLES.keys():
            yield from self._reference_damages(Tables(**views))
        yield from self._trace_damages()

    def table_names(self) -> list[str]:
        """The tables that the memory must have."""
        names = list(schema.TABLES)
        if self.manifest is not None and (space := vector_space(self.manifest.encoder, self.manifest.dim)):
            names.append(f"text_vectors-{space}")
            picture_vectors = f"frame_vectors-{space}"
            if picture_vectors in self.head.versions or table_exists(self._folder, picture_vectors):
                names.append(picture_vectors)
        return names

    def _small_file_damages(self) -> Iterator[FoundDamage]:
        try:
            self.manifest = read_manifest(self._folder)
        except MemoryDamaged as error:
            yield FoundDamage(MANIFEST_NAME, f"it cannot be read: {error.why}")
        head = self._folder / HEAD_NAME
        try:
            unsealed_json(head.read_text(encoding="utf-8"))
        except FileNotFoundError:
            yield FoundDamage(HEAD_NAME, "it is missing, so every table is read at its newest version")
        except (ValueError, AttributeError, TypeError) as error:
            yield FoundDamage(
                HEAD_NAME, f"it cannot be read ({error}), so every table is read at its newest version"
            )
        if not self._digests.is_readable:
            yield FoundDamage(FILE_NAME, "it cannot be read, so files are not compared with their digests")

    def _table_damages(self, name: str) -> Generator[FoundDamage, None, View | None]:
        """The damages of one table. Returns a view of it, or None if it cannot be opened."""
        words = table_kind(name).replace("_", " ")
        if not table_exists(self._folder, name):
            self.damaged_data.add(name)
            yield FoundDamage(f"table of {words}", "it is missing")
            return None
        try:
            view = open_view(self._folder, name, self.head.versions.get(name))
            wrong = self._digests.damaged(view)
        except MemoryDamaged as error:
            self.damaged_data.add(name)
            self.damaged_versions.add(name)
            yield FoundDamage(f"table of {words}", f"it cannot be opened: {error.why}")
            return None
        for path, what in wrong.items():
            part = "index" if path.startswith("_indices/") else "table"
            if path.startswith(("_indices/", "_transactions/")):
                self.damaged_indexes.add(name)
            else:
                self.damaged_data.add(name)
                self.damaged_files.setdefault(name, set()).add(path)
            if path.startswith(("_versions/", "_deletions/")):
                self.damaged_versions.add(name)
            yield FoundDamage(f"{part} of {words}", f"{name}.lance/{path}: {what}")
        yield from self._version_damages(name, view, words)
        yield from self._index_damages(name, view, words)
        yield from self._row_damages(name, view, words)
        return view

    def _version_damages(self, name: str, view: View, words: str) -> Iterator[FoundDamage]:
        """Old versions that cannot be read. They hold nothing that is needed, but cannot be erased."""
        try:
            with reporting_damage(self._folder):
                view.versions()
        except MemoryDamaged as error:
            self.damaged_data.add(name)
            yield FoundDamage(f"old versions of {words}", f"they cannot be read: {error.why}")

    def _index_damages(self, name: str, view: View, words: str) -> Iterator[FoundDamage]:
        try:
            with reporting_damage(self._folder):
                if "text" in INDEXES.get(table_kind(name), {}) and "text" not in indexed_columns(view):
                    raise MemoryDamaged(self._folder, f"index of {words}", "the index of words is missing")
                for index in view.describe_indices():
                    view.prewarm_index(index.name)
        except MemoryDamaged as error:
            self.damaged_indexes.add(name)
            yield FoundDamage(f"index of {words}", f"it cannot be read: {error.why}")

    def _row_damages(self, name: str, view: View, words: str) -> Iterator[FoundDamage]:
        kind = table_kind(name)
        bad: list[Row] = []
        try:
            missing = set(schema.TABLES.get(kind, view.schema).names) - set(view.schema.names)
            if missing:
                raise MemoryDamaged(
                    self._folder, f"table of {words}", f"its column {min(missing)} is missing"
                )
            for batch in batches(view, view.schema.names, batch_rows=_BATCH_ROWS):
                self.rows += len(batch)
                if "digest" in batch.column_names:
                    self.rows_without_digest += batch["digest"].null_count
                bad += bad_rows(kind, batch)
        except MemoryDamaged as error:
            self.damaged_data.add(name)
            yield FoundDamage(f"table of {words}", f"some of its rows cannot be read: {error.why}")
        if bad:
            self.damaged_data.add(name)
            streams = sorted({str(row.get("stream") or row.get("name")) for row in bad})
            of_streams = ", ".join(streams[:_MOST_NAMED])
            yield FoundDamage(
                f"table of {words}", f"{len(bad)} rows are not what was written, of {of_streams}"
            )

    def _reference_damages(self, views: Tables) -> Iterator[FoundDamage]:
        """What tables say of each other and is not there."""
        snapshot = Snapshot(
            views, extents=None, folder=self._folder, encoder=None, as_of_s=None, lease=ReadLease(None)
        )
        try:
            yield from reference_damages(snapshot, views)
        except MemoryDamaged as error:
            yield FoundDamage(error.part, f"it cannot be read: {error.why}")

    def _trace_damages(self) -> Iterator[FoundDamage]:
        path = self._folder / TRACES_NAME
        if path.exists():
            try:
                with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            except sqlite3.Error as error:
                state = str(error)
            if state != "ok":
                yield FoundDamage(TRACES_NAME, f"the traces of questions cannot be read: {state}")


def reference_damages(snapshot: Snapshot, views: Tables) -> Iterator[FoundDamage]:
    """What is missing of what the tables refer to: streams, pictures, summaries, their parts, vectors, whole spans."""
    for name in unnamed_streams(views):
        yield FoundDamage("table of streams", "the row of a stream is missing", name)
    for moment, pictures in lost_pictures(snapshot, views):
        yield FoundDamage("table of frames", f"{pictures} pictures are missing", moment.stream, moment.span)
    for name, overview in snapshot.overviews().items():
        for parent in missing_children(snapshot, name):
            yield FoundDamage(
                "table of observations", f"parts of this {parent.rung} are missing", name, parent.span
            )
        for parent in lost_parents(snapshot, name):
            yield FoundDamage(
                "table of observations", f"the summary of this {parent.rung} is missing", name, parent.span
            )
        for gap in overview.lost:
            yield FoundDamage("table of observations", "everything of this time is missing", name, gap.span)
    for gap in lost_ends(snapshot, views):
        yield FoundDamage("table of observations", "everything of this time is missing", gap.stream, gap.span)
    for kind, ids in orphans(views).items():
        if ids:
            yield FoundDamage(
                f"table of {kind.replace('_', ' ')}", f"{len(ids)} rows have lost their moments"
            )
    yield from missing_vectors(views)


def lost_ends(snapshot: Snapshot, views: Tables) -> list[Gap]:
    """The time after the last memory or gap of each stream of which there are pictures or vectors."""
    reached_s = {name: overview.coverage.span.end_s for name, overview in snapshot.overviews().items()}
    ends_s: dict[str, float] = {}
    for view, column in ((views.frames, "time_s"), (views.text_vectors, "end_s")):
        for batch in batches(view, ["stream", column]) if view is not None else ():
            for row in batch.group_by("stream").aggregate([(column, "max")]).to_pylist():
                ends_s[row["stream"]] = max(ends_s.get(row["stream"], 0.0), row[f"{column}_max"])
    return [
        lost_gap(name, Span(reached_s.get(name, 0.0), end_s), snapshot.gaps(name))
        for name, end_s in sorted(ends_s.items())
        if end_s > reached_s.get(name, 0.0)
    ]


def orphans(views: Tables) -> dict[str, set[str]]:
    """The ids of the pictures and vectors whose moments are lost, by kind of table."""
    rows = select(views.observations, columns=["id", "moment_id", "frame_ids"])
    memories, shown = {row["moment_id"] for row in rows}, {key for row in rows for key in row["frame_ids"]}
    ids = {"frames": _ids(views.frames) - shown}
    if views.text_vectors is not None:
        ids["text_vectors"] = _ids(views.text_vectors) - {row["id"] for row in rows}
    if views.frame_vectors is not None:
        vectors = select(views.frame_vectors, columns=["id", "moment_id"])
        ids["frame_vectors"] = {row["id"] for row in vectors if row["moment_id"] not in memories}
    return ids


def lost_pictures(snapshot: Snapshot, views: Tables) -> list[tuple[Moment, int]]:
    """The moments that lost pictures without a tombstone, each with the number of pictures."""
    stored = {key for batch in batches(views.frames, ["id"]) for key in batch["id"].to_pylist()}
    rows = select(views.observations, where="base AND rung = 'moment'", columns=["moment_id", "frame_ids"])
    lost = {row["moment_id"]: count for row in rows if (count := len(set(row["frame_ids"]) - stored))}
    return [
        (moment, lost[moment.id])
        for moment in snapshot.get(lost).values()
        if not snapshot.tombstones(moment.stream, moment.span)
    ]


def unnamed_streams(views: Tables) -> list[str]:
    """The streams of which something is stored, and whose own row is missing."""
    named = {row["name"] for row in select(views.streams, columns=["name"])}
    stored: set[str] = set()
    for view in (views.observations, views.gaps, views.tombstones):
        for batch in batches(view, ["stream"]):
            stored |= set(batch["stream"].unique().to_pylist())
    return sorted(stored - named)


def missing_vectors(views: Tables) -> Iterator[FoundDamage]:
    """Vectors that an encoder must make again."""
    if views.text_vectors is None:
        return
    texts = _ids(views.observations) - _ids(views.text_vectors)
    if texts:
        yield FoundDamage("table of text vectors", f"the vectors of {len(texts)} texts are missing")
    if views.frame_vectors is not None:
        rows = select(views.observations, where="base AND rung = 'moment'", columns=["frame_ids"])
        shown = {key for row in rows for key in row["frame_ids"]}
        pictures = (shown & _ids(views.frames)) - _ids(views.frame_vectors)
        if pictures:
            yield FoundDamage(
                "table of frame vectors", f"the vectors of {len(pictures)} pictures are missing"
            )


def _ids(view: View) -> set[str]:
    return {key for batch in batches(view, ["id"]) for key in batch["id"].to_pylist()}
