"""Maintenance schedule: counts new rows and decides which tables and budgets are due.

    schedule = MaintenanceSchedule(tables, stream_budgets={"door": 2_000_000_000})
    schedule.note({"observations": 8}, {"door": 90_000})
    schedule.due_tables()               # [] until enough rows or commits have come together

Rows that are not in a table's indexes are scanned by every search: each row costs a little, and each commit
more. The frames table is not searched, so it can wait longer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from ..storage.tables import Table, Tables, table_kind
from .compaction import count_new

_MAX_ROWS, _MAX_COMMITS = 256, 4
_MAX_ROWS_FRAMES, _MAX_COMMITS_FRAMES = 1024, 64
"""A table is due for compaction after this many rows or commits."""
_OVERDUE_FACTOR = 32
"""A table is overdue after this many times as much. The writer then waits."""
_CHECKS_PER_STREAM_BUDGET = 20
"""A stream's budget is checked each time this fraction of it was written."""


class MaintenanceSchedule:
    """Thread-safe. ``changed`` is notified whenever something may have become due or done."""

    def __init__(self, opened: Tables, stream_budgets: Mapping[str, int]) -> None:
        self.changed = threading.Condition()
        self._tables: dict[str, Table] = {table.name: table for table in opened.all()}
        self._rows: Counter[str] = Counter()
        self._commits: Counter[str] = Counter()
        self._counted: set[str] = set()
        self._stream_budgets = dict(stream_budgets)
        # The first check of every stream is due with its first note.
        self._stream_bytes: Counter[str] = Counter(self._stream_budgets)

    def set_stream_budgets(self, stream_budgets: Mapping[str, int]) -> None:
        """Replace the budgets of streams, in bytes by name. Each is checked after the next note."""
        with self.changed:
            self._stream_budgets = dict(stream_budgets)
            self._stream_bytes.update(stream_budgets)

    def note(self, rows: Mapping[str, int], stream_bytes: Mapping[str, int]) -> None:
        """Count one commit: its rows by table and its bytes by stream."""
        with self.changed:
            for name, count in rows.items():
                if name in self._counted:
                    self._rows[name] += count
                    self._commits[name] += 1
                else:
                    # An earlier process may have left work behind.
                    self._commits[name], self._rows[name] = count_new(self._tables[name])
                    self._counted.add(name)
            self._stream_bytes.update(stream_bytes)

    def note_commit(self, name: str) -> None:
        """Count a commit of maintenance itself to the table of that name."""
        with self.changed:
            self._commits[name] += 1

    def start(self, name: str) -> None:
        """The compaction of a table begins. Later notes count for the next one."""
        with self.changed:
            self._rows[name] = self._commits[name] = 0
            self.changed.notify_all()

    def due_tables(self) -> list[str]:
        """The names of the tables that are due for compaction."""
        with self.changed:
            return [name for name in self._tables if self._is_due(name)]

    def is_overdue(self) -> bool:
        """Whether compaction of any table is so far behind that the writer should wait."""
        with self.changed:
            return any(self._is_due(name, _OVERDUE_FACTOR) for name in self._tables)

    def due_streams(self) -> dict[str, int]:
        """The budgets that are due for a check, in bytes by stream."""
        with self.changed:
            return {
                name: budget_bytes
                for name, budget_bytes in self._stream_budgets.items()
                if self._stream_bytes[name] * _CHECKS_PER_STREAM_BUDGET > budget_bytes
            }

    def start_stream(self, name: str) -> None:
        """The check of a stream's budget begins."""
        with self.changed:
            self._stream_bytes[name] = 0

    def _is_due(self, name: str, factor: int = 1) -> bool:
        rows, commits = _MAX_ROWS, _MAX_COMMITS
        if table_kind(name) == "frames":
            rows, commits = _MAX_ROWS_FRAMES, _MAX_COMMITS_FRAMES
        return self._rows[name] >= factor * rows or self._commits[name] >= factor * commits
