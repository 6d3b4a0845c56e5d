"""Keeps a memory quick and small while it is written and read.

    upkeep = Upkeep(folder, tables, commits)
    upkeep.run(thorough=True)

Tables that are only appended to are merged and indexed beside whoever appends; the small ones, which are also
changed, in a commit of their own. Then the versions go that nobody reads any more. It changes nothing that is
remembered, so it may be killed at any time, and a failure is logged and tried again later.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import leases
from .head import Commits
from .tables import Table, Tables, is_there, kind_of, room_to_write, view
from .tidying import delete_versions, tidy

log = logging.getLogger(__name__)

UPKEEP_LOCK_NAME = "upkeep.lock"
_APPENDED_TO = {"observations", "frames", "text_vectors", "frame_vectors"}
"""Kinds of tables of which rows are changed by nobody but upkeep: they need not stand still for it."""


class Upkeep:
    """Does what is to be done now and then. May be used from several threads and processes."""

    def __init__(
        self, folder: Path, opened: Tables, commits: Commits, *, min_free_bytes: int, keep_versions_s: float
    ) -> None:
        self._folder = folder
        self._tables = opened
        self._commits = commits
        self._min_free_bytes = min_free_bytes
        self._keep_versions_s = keep_versions_s

    def run(self, *, thorough: bool) -> None:
        """Merge fragments and parts of indexes, and delete versions that nobody reads."""
        with alone(self._folder):
            for table in self._tables.all():
                self._try(table, thorough=thorough)
            self.delete_versions()

    def _try(self, table: Table, *, thorough: bool) -> None:
        try:
            with room_to_write(self._folder, self._min_free_bytes):
                if kind_of(table.name) not in _APPENDED_TO:
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
