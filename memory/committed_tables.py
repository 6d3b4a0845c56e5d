"""Committed tables: what finished commits left of a memory's tables, for reading.

committed = CommittedTables(folder, tables, commits)
committed.view(tables.streams)        # the table at the version that the commit head names
head, views = committed.at_head()     # all tables at one commit head
"""

from __future__ import annotations

import threading
from pathlib import Path

from .storage.commits import CommitHead, Commits
from .storage.tables import Table, Tables, View, latest_view, one_of, select


class CommittedTables:
    """Views of the last finished state. May be used from several threads."""

    def __init__(self, folder: Path, opened: Tables, commits: Commits) -> None:
        self._folder, self._tables, self._commits = folder, opened, commits
        self._opening = threading.Lock()
        self._newest: tuple[CommitHead, Tables] | None = None

    def at_head(self) -> tuple[CommitHead, Tables]:
        """The commit head and views of all tables at it. Opened once for each head."""
        with self._opening:
            head = self._commits.head()
            if self._newest is None or self._newest[0] != head:
                self._newest = (head, self._tables.views(self._folder, head.versions))
            return self._newest

    def view(self, table: Table) -> View:
        """A table without what an unfinished commit left: on a full disk, it may not have been undone yet."""
        newest = latest_view(table)
        version = self._commits.head().versions.get(table.name, newest.version)
        return newest if newest.version == version else newest.checkout_version(version)

    def rows_of(self, moment_ids: set[str]) -> dict[str, str]:
        """The ids of the stored observations of these memories, each with its memory's id."""
        if not moment_ids:
            return {}
        where = one_of("moment_id", moment_ids)
        rows = select(self.view(self._tables.observations), where=where, columns=["id", "moment_id"])
        return {row["id"]: row["moment_id"] for row in rows}
