"""Commits: transactions over several tables, and the commit head that names the version of each.

    commits = Commits(folder)
    with commits.commit() as change:
        change.append(tables.frames, pictures)
        change.append(tables.observations, rows)
    # Readers see the rows from here on. After a crash or an error before, they never see any of them.

LanceDB commits each table separately. ``head.json`` names one version of each table and is replaced atomically.
Readers open the tables at these versions. Newer versions belong to a commit that did not finish. After a crash,
the next commit first restores the tables to the head. A lock serialises the commits of all threads and processes.
The kernel releases it when its holder ends, even if it is killed.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ..errors import MemoryDamaged, WriterStalled
from ..values import Extent
from . import schema, tables
from .damage import reporting_damage
from .digests import sealed_json, unsealed_json
from .file_lock import try_lock, wait_for_lock
from .tables import Rows, Table, Tables

log = logging.getLogger(__name__)

HEAD_NAME = "head.json"
COMMIT_LOCK_NAME = "commit.lock"
_LOCK_POLL_S = 0.002
_STALLED_S = 30.0
"""Seconds after a timed-out wait for the commit lock in which further commits do not wait."""
_UNFINISHED = "unfinished"
"""The content of the lock file during a commit. If it is found later, the holder died in the middle of a commit."""


@dataclass(frozen=True, slots=True)
class CommitHead:
    """A committed state of a memory."""

    number: int
    """The number of commits so far."""
    versions: dict[str, int]
    """The version of each table, by name. A table without a version is new and is read at its newest."""
    extents: dict[str, Extent] | None = None
    """The extent of the memories of each rung. None if unknown."""


class Transaction:
    """The changes of one commit. Made by ``Commits.commit``."""

    def __init__(self) -> None:
        self.touched: dict[str, Table] = {}
        self.rows: Counter[str] = Counter()
        """The number of added rows by table name. A deletion counts as one row."""
        self.extents: dict[str, Extent] = {}
        """The extent of the added memories, by rung."""

    def append(self, table: Table, rows: Rows) -> None:
        """Add rows."""
        if rows:
            self.touch(table)
            tables.append(table, rows)
            self.rows[table.name] += len(rows)

    def upsert(self, table: Table, on: str, rows: Rows) -> None:
        """Add rows. A row replaces the one with the same key ``on``."""
        if rows:
            self.touch(table)
            tables.upsert(table, on, rows)
            self.rows[table.name] += len(rows)

    def delete(self, table: Table, where: str) -> None:
        """Delete the rows that pass ``where``. If no row passes, the table gets no new version."""
        if table.count_rows(where):
            self.touch(table)
            table.delete(where)
            self.rows[table.name] += 1

    def delete_rows(self, table: Table, row_ids: Sequence[int]) -> int:
        """Delete rows by their row ids, and return their number.

        Compaction must not run between reading the ids and this call, because it changes them.
        """
        if row_ids:
            self.touch(table)
            tables.delete_rows(table, row_ids)
            self.rows[table.name] += 1
        return len(row_ids)

    def touch(self, table: Table) -> None:
        """Include the table's newest version in the commit, for a change that was made directly on the table."""
        self.touched[table.name] = table


class Commits:
    """The commits of one memory. Thread-safe."""

    def __init__(self, folder: Path, wait_s: float | None = None) -> None:
        """``wait_s`` is the longest wait for the commits of other processes. None waits without limit."""
        self._folder = folder
        self._wait_s = wait_s
        self._stalled_until_s = 0.0

    def head(self) -> CommitHead:
        """The last finished commit. It has no versions if there was none, or if the file is unreadable."""
        try:
            return _parse_head((self._folder / HEAD_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return CommitHead(0, {})
        except (ValueError, KeyError, TypeError, AttributeError):
            # After a power failure, the file may exist without its content, and a disk may change its bits. Each
            # single table is still intact.
            log.warning(
                "cannot read %s, so every table is opened at its newest version", self._folder / HEAD_NAME
            )
            return CommitHead(0, {})

    @contextmanager
    def commit(self) -> Iterator[Transaction]:
        """Change tables in one transaction.

        Readers see the changes when the block ends. If it raises, they never see any of them.
        """
        with self._locked() as lock:
            head = self.head()
            change = Transaction()
            _mark(lock, _UNFINISHED)
            try:
                with reporting_damage(self._folder):
                    yield change
                changed = {name: int(table.version) for name, table in change.touched.items()}
                if changed.items() - head.versions.items():
                    extents = _joined_extents(head.extents, change.extents)
                    self._write(CommitHead(head.number + 1, head.versions | changed, extents))
            except BaseException:
                # If this fails too, as on a full disk, the next commit restores the tables.
                self._restore(head)
                _mark(lock, "")
                raise
            _mark(lock, "")

    def publish(self, opened: Tables) -> None:
        """Name exactly these tables in the head, after tables were created or dropped."""
        with self._locked():
            head = self.head()
            versions = {
                table.name: head.versions.get(table.name, int(table.version)) for table in opened.all()
            }
            extents = tables.measure_extents(opened) if head.extents is None else head.extents
            if versions != head.versions or extents != head.extents:
                self._write(CommitHead(head.number + 1, versions, extents))

    @contextmanager
    def paused(self, opened: Tables) -> Iterator[None]:
        """Block all commits inside the block. The head then names the newest version of every table."""
        with self._locked():
            head = self.head()
            newest = {table.name: int(table.version) for table in opened.all()}
            self._write(CommitHead(head.number + 1, head.versions | newest, head.extents))
            yield

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """Hold the commit lock. First undo a commit whose process died."""
        with (self._folder / COMMIT_LOCK_NAME).open("a+", encoding="utf-8") as lock:
            self._lock(lock)
            lock.seek(0)
            if lock.read() == _UNFINISHED:
                self._restore(self.head())
                _mark(lock, "")
            yield lock

    def _lock(self, file: IO[str]) -> None:
        """Take the commit lock. Raises ``WriterStalled`` after ``wait_s``."""
        if self._wait_s is None:
            wait_for_lock(file)
            return
        started_s = time.monotonic()
        # An answer may write several times. After one timed-out wait, its other writes do not wait again.
        deadline_s = started_s if started_s < self._stalled_until_s else started_s + self._wait_s
        while True:
            if try_lock(file):
                self._stalled_until_s = 0.0
                return
            if time.monotonic() >= deadline_s:
                if deadline_s > started_s:
                    log.warning("%s was not written to: another process is inside a commit", self._folder)
                self._stalled_until_s = time.monotonic() + _STALLED_S
                raise WriterStalled(self._folder, self._wait_s)
            time.sleep(_LOCK_POLL_S)

    def lost_tables(self) -> list[str]:
        """The tables that existed and do not any more. A new memory gets its tables in the order of the schema."""
        existing = [name for name in schema.TABLES if tables.table_exists(self._folder, name)]
        names = list(schema.TABLES)
        created = {*self.head().versions, *names[: names.index(existing[-1]) if existing else 0]}
        return [name for name in names if name in created and name not in existing]

    def check_tables(self) -> None:
        """Raise ``MemoryDamaged`` if a table was lost. Nothing must read as if it had never been watched."""
        for name in self.lost_tables():
            raise MemoryDamaged(self._folder, f"table of {name}", f"{name}.lance has no version")

    def _restore(self, head: CommitHead) -> None:
        database = tables.connect(self._folder)
        for name, version in head.versions.items():
            if tables.table_exists(self._folder, name):
                table = database.open_table(name)
                if table.version != version:
                    # Restoring adds a version with the same rows. The head continues to name the old one.
                    table.restore(version)

    def _write(self, head: CommitHead) -> None:
        draft = self._folder / f"{HEAD_NAME}.{os.getpid()}.new"
        draft.write_text(sealed_json(asdict(head)), encoding="utf-8")
        draft.replace(self._folder / HEAD_NAME)


def _parse_head(text: str) -> CommitHead:
    fields = unsealed_json(text)
    extents = fields["extents"]
    return CommitHead(
        int(fields["number"]),
        {str(name): int(version) for name, version in fields["versions"].items()},
        extents and {str(rung): Extent(*map(float, bounds)) for rung, bounds in extents.items()},
    )


def _joined_extents(
    extents: dict[str, Extent] | None, added: Mapping[str, Extent]
) -> dict[str, Extent] | None:
    """The extents after memories were added. None if they were unknown before."""
    if extents is None:
        return None
    return extents | {rung: extent.joined(extents.get(rung, extent)) for rung, extent in added.items()}


def _mark(lock: IO[str], text: str) -> None:
    lock.truncate(0)
    lock.write(text)
    lock.flush()
