"""Which version of each table is the memory, so that a change of many tables is one step.

    commits = Commits(folder)
    with commits.commit() as change:
        change.append(tables.frames, pictures)
        change.append(tables.observations, rows)
    # Only now does anybody see any of it; a crash or an error before it leaves none of it behind.

LanceDB commits table by table. ``head.json`` names one version of each, and is replaced in one step: readers
hold the tables at these versions, and what lies beyond them was never finished. The next commit after a crash
first takes the tables back to the head. Threads and processes change a memory one after the other, by a lock
that the kernel lets go of, however its holder dies.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ..errors import WriterStalled
from ..values import Extent
from . import tables
from .tables import Rows, Table, Tables

log = logging.getLogger(__name__)

HEAD_NAME = "head.json"
COMMIT_LOCK_NAME = "commit.lock"
_LOCK_POLL_S = 0.01
_STALLED_S = 30.0
"""How long after a failed wait for the commit lock the next ones do not wait."""
_UNFINISHED = "unfinished"
"""What the lock's file says while tables are changed; still saying it, its last holder died over that."""


@dataclass(frozen=True, slots=True)
class CommitHead:
    """One state of a memory."""

    number: int
    """How many commits there were."""
    versions: dict[str, int]
    """By the table's name. A table that is not named has just been made and is read as it is."""
    extents: dict[str, Extent] | None = None
    """Where the memories of each rung lie; None where that is not known."""


class Transaction:
    """What one commit does; made by ``Commits.commit``."""

    def __init__(self) -> None:
        self.touched: dict[str, Table] = {}
        self.rows: Counter[str] = Counter()
        """How many rows were added, by the table's name; a deletion counts as one."""
        self.extents: dict[str, Extent] = {}
        """Where the memories that are added lie, by rung."""

    def append(self, table: Table, rows: Rows) -> None:
        """Add rows."""
        if rows:
            self.touch(table)
            tables.append(table, rows)
            self.rows[table.name] += len(rows)

    def upsert(self, table: Table, on: str, rows: Rows) -> None:
        """Add rows, in the place of those with the same key where there are any."""
        if rows:
            self.touch(table)
            tables.upsert(table, on, rows)
            self.rows[table.name] += len(rows)

    def delete(self, table: Table, where: str) -> None:
        """Delete what ``where`` keeps; where that is nothing, no version is made."""
        if table.count_rows(where):
            self.touch(table)
            table.delete(where)
            self.rows[table.name] += 1

    def delete_rows(self, table: Table, row_ids: Sequence[int]) -> int:
        """Delete rows by their ids; how many. Nobody else may rewrite the table meanwhile."""
        if row_ids:
            self.touch(table)
            tables.delete_rows(table, row_ids)
            self.rows[table.name] += 1
        return len(row_ids)

    def touch(self, table: Table) -> None:
        """It is changed, or was outside a commit by what changes nothing that is remembered."""
        self.touched[table.name] = table


class Commits:
    """Changes a memory step by step. May be used from several threads."""

    def __init__(self, folder: Path, wait_s: float | None = None) -> None:
        """``wait_s`` is how long a commit may wait for those of other processes; None waits for ever."""
        self._folder = folder
        self._wait_s = wait_s
        self._stalled_until = 0.0

    def head(self) -> CommitHead:
        """The last state that was finished; without versions where none is written down."""
        try:
            said = json.loads((self._folder / HEAD_NAME).read_text(encoding="utf-8"))
            return CommitHead(
                int(said["number"]),
                {str(name): int(at) for name, at in said["versions"].items()},
                said["extents"]
                and {str(rung): Extent(*map(float, found)) for rung, found in said["extents"].items()},
            )
        except FileNotFoundError:
            return CommitHead(0, {})
        except (ValueError, KeyError, TypeError, AttributeError):
            # A disk that lost power may have kept the name and lost the words; each table by itself is whole.
            log.warning("%s cannot be read; every table is taken as it is", self._folder / HEAD_NAME)
            return CommitHead(0, {})

    @contextmanager
    def commit(self) -> Iterator[Transaction]:
        """Change tables; seen by others when the block ends, and not at all where it raises."""
        with self._alone() as lock:
            head = self.head()
            change = Transaction()
            _say(lock, _UNFINISHED)
            try:
                yield change
                changed = {name: int(table.version) for name, table in change.touched.items()}
                if changed.items() - head.versions.items():
                    extents = head.extents
                    if extents is not None:
                        extents = extents | {
                            rung: added.joined(extents.get(rung, added))
                            for rung, added in change.extents.items()
                        }
                    self._write(CommitHead(head.number + 1, head.versions | changed, extents))
            except BaseException:
                # Where this fails too, as on a full disk, the next commit does it.
                self._go_back(head)
                _say(lock, "")
                raise
            _say(lock, "")

    def publish(self, opened: Tables) -> None:
        """Name every one of these tables in the head, and none else: after tables were made or dropped."""
        with self._alone():
            head = self.head()
            named = {table.name: head.versions.get(table.name, int(table.version)) for table in opened.all()}
            extents = tables.measure_extents(opened) if head.extents is None else head.extents
            if named != head.versions or extents != head.extents:
                self._write(CommitHead(head.number + 1, named, extents))

    @contextmanager
    def paused(self, opened: Tables) -> Iterator[None]:
        """Nobody changes anything inside the block, and the head names the newest version of every table."""
        with self._alone():
            head = self.head()
            newest = {table.name: int(table.version) for table in opened.all()}
            self._write(CommitHead(head.number + 1, head.versions | newest, head.extents))
            yield

    @contextmanager
    def _alone(self) -> Iterator[IO[str]]:
        """Keep everybody else from changing anything; first undo what somebody died over."""
        with (self._folder / COMMIT_LOCK_NAME).open("a+", encoding="utf-8") as lock:
            self._lock(lock)
            lock.seek(0)
            if lock.read() == _UNFINISHED:
                self._go_back(self.head())
                _say(lock, "")
            yield lock

    def _lock(self, file: IO[str]) -> None:
        """Take the commit lock. Raises ``WriterStalled`` where that takes longer than it may."""
        if self._wait_s is None:
            fcntl.flock(file, fcntl.LOCK_EX)
            return
        begun = time.monotonic()
        # One long wait is enough to know that the other process is stalled: an answer may write several times.
        until = begun if begun < self._stalled_until else begun + self._wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._stalled_until = 0.0
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    self._stalled_until = time.monotonic() + _STALLED_S
                    raise WriterStalled(self._folder, self._wait_s) from None
                time.sleep(_LOCK_POLL_S)

    def _go_back(self, head: CommitHead) -> None:
        database = tables.connect(self._folder)
        for name, version in head.versions.items():
            if tables.table_exists(self._folder, name):
                table = database.open_table(name)
                if table.version != version:
                    table.restore(version)
                    # The same rows under a new number: the head goes on naming the old one.

    def _write(self, head: CommitHead) -> None:
        draft = self._folder / f"{HEAD_NAME}.{os.getpid()}.new"
        draft.write_text(json.dumps(asdict(head)), encoding="utf-8")
        draft.replace(self._folder / HEAD_NAME)


def _say(lock: IO[str], word: str) -> None:
    lock.truncate(0)
    lock.write(word)
    lock.flush()
