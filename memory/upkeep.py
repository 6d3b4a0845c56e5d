"""Keeps a memory quick and small while it is written and read, in a thread of the writer.

    upkeep = Upkeep(folder, tables, commits, min_free_bytes=…, keep_versions_s=60.0)
    upkeep.note({"observations": 8})      # so many rows were added: what is due is done, beside whoever goes on
    upkeep.run(thorough=True)             # now, and all of it
    upkeep.close()

Tables that are only appended to are merged and indexed beside whoever appends; the small ones, which are also
changed, in a commit of their own. Then the versions go that nobody reads any more. It changes nothing that is
remembered, so it may be killed at any time, and a failure is logged and tried again later.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import leases
from .head import Commits
from .tables import Table, Tables, is_there, kind_of, room_to_write, view
from .tidying import delete_versions, tidy, waiting

log = logging.getLogger(__name__)

UPKEEP_LOCK_NAME = "upkeep.lock"
APPENDED_TO = {"observations", "frames", "text_vectors", "frame_vectors"}
"""Kinds of tables of which rows are changed by nobody but upkeep: they need not stand still for it."""
_SEARCHED = {"observations", "text_vectors", "frame_vectors"}
_MOST_ROWS = 1024
_MOST_COMMITS = 64
_MOST_COMMITS_SEARCHED = 16
"""A table is tidied after so many rows or commits: what is not in its indexes is scanned, which costs a search
little for each row, and more for each commit."""
_TOO_FAR_BEHIND = 16
"""A writer that is so many times further than that waits until upkeep has caught up."""
_VERSIONS_EVERY_S = 5.0


class Upkeep:
    """Does what is to be done now and then. May be used from several threads and processes."""

    def __init__(
        self, folder: Path, opened: Tables, commits: Commits, *, min_free_bytes: int, keep_versions_s: float
    ) -> None:
        self._folder = folder
        self._tables = {table.name: table for table in opened.all()}
        self._commits = commits
        self._min_free_bytes = min_free_bytes
        self._keep_versions_s = keep_versions_s
        self._rows: Counter[str] = Counter()
        self._added: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._versions_at = 0.0

    def take_stock(self) -> None:
        """Note what an earlier writer left to be done."""
        for name, table in self._tables.items():
            if kind_of(name) in APPENDED_TO:
                self._added[name], self._rows[name] = waiting(table)

    def note(self, rows: Mapping[str, int]) -> None:
        """Rows were added to these tables in one commit. Waits only where upkeep is left far behind."""
        with self._changed:
            for name, count in rows.items():
                self._rows[name] += count
                self._added[name] += 1
            if self._closing or not any(map(self._is_due, self._tables)):
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="upkeep", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or not any(map(self._is_overdue, self._tables)))

    def run(self, *, thorough: bool) -> None:
        """Tidy every table now, and delete the versions that nobody reads."""
        self._round(self._tables, thorough=thorough)
        self.delete_versions()

    def close(self) -> None:
        """Let the thread finish what it is at, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or any(map(self._is_due, self._tables)))
                if self._closing:
                    return
                due = [name for name in self._tables if self._is_due(name)]
            self._round(due, thorough=False)
            if time.monotonic() - self._versions_at >= _VERSIONS_EVERY_S:
                self.delete_versions()
                self._versions_at = time.monotonic()

    def _is_due(self, name: str, times: int = 1) -> bool:
        commits = _MOST_COMMITS_SEARCHED if kind_of(name) in _SEARCHED else _MOST_COMMITS
        return self._rows[name] >= times * _MOST_ROWS or self._added[name] >= times * commits

    def _is_overdue(self, name: str) -> bool:
        return self._is_due(name, _TOO_FAR_BEHIND)

    def _round(self, names: Collection[str], *, thorough: bool) -> None:
        for name in names:
            with self._changed:
                # Noted before it is done: what comes meanwhile is not taken for done.
                self._rows[name] = self._added[name] = 0
                self._changed.notify_all()
            with alone(self._folder):
                self._tidy(self._tables[name], thorough=thorough)

    def _tidy(self, table: Table, *, thorough: bool) -> None:
        try:
            with room_to_write(self._folder, self._min_free_bytes):
                if kind_of(table.name) not in APPENDED_TO:
                    with self._commits.commit() as change:
                        change.touch(table)
                        tidy(table, thorough=thorough)
                else:
                    tidy(table, thorough=thorough)
                    with self._commits.commit() as change:
                        change.touch(table)
        except Exception:
            # It only makes questions slower: nothing that was or will be appended depends on it.
            log.warning("could not tidy %s in %s", table.name, self._folder, exc_info=True)

    def delete_versions(self, *, now: bool = False) -> None:
        """Delete the versions that no reader holds; with ``now``, also those just replaced."""
        held = leases.held(self._folder)
        if any(lease.versions is None for lease in held):
            return  # somebody is just beginning to read; the next time will do
        older_than_s = time.time() - (0.0 if now else self._keep_versions_s)
        for name, version in self._commits.head().versions.items():
            if not is_there(self._folder, name):
                continue
            keep = {lease.versions[name] for lease in held if lease.versions and name in lease.versions}
            try:
                delete_versions(view(self._folder, name, version), keep=keep, older_than_s=older_than_s)
            except Exception:
                log.warning("could not delete old versions of %s in %s", name, self._folder, exc_info=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other threads and processes from upkeep of the same memory. Not to be nested."""
    with (folder / UPKEEP_LOCK_NAME).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
