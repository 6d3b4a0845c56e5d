"""Budgeted writes: transactions that stay within the disk budget and leave some of the disk free.

    writes = BudgetedWrites(folder, budget, commits, maintenance, min_free_bytes=64 << 20, is_writer=True)
    with writes.transaction({"kitchen": 120_000}) as change:
        change.append(tables.observations, rows)

The writer makes room by eviction where the budget is full. Other processes write little, and are refused then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import BudgetFull
from .keeping.disk_budget import DiskBudget
from .keeping.maintenance import Maintenance
from .storage.commits import Commits, Transaction
from .storage.disk_space import require_free_space

_COMMIT_BYTES, _OVERHEAD = 256 << 10, 1.2
"""What a commit takes at most: the file lists of its tables, and this factor times the size of its rows."""


class BudgetedWrites:
    """Writes to one memory. May be used from several threads."""

    def __init__(
        self,
        folder: Path,
        budget: DiskBudget,
        commits: Commits,
        maintenance: Maintenance,
        *,
        min_free_bytes: int,
        is_writer: bool,
    ) -> None:
        self._folder, self.budget, self._commits, self._maintenance = folder, budget, commits, maintenance
        self._is_writer = is_writer
        self.min_free_bytes = min_free_bytes
        """Left free on the disk."""

    @contextmanager
    def transaction(
        self, stream_bytes: Mapping[str, int] | None = None, vector_bytes: int = 0
    ) -> Iterator[Transaction]:
        """Change the memory, completely or not at all.

        ``stream_bytes`` is about how much is written of each stream, and ``vector_bytes`` of vectors.
        Raises ``BudgetFull``, ``DiskFull``, ``CannotWrite`` or, in a process that is not the writer,
        ``WriterStalled``.
        """
        stream_bytes = stream_bytes or {}
        size_bytes = _COMMIT_BYTES + int(_OVERHEAD * (sum(stream_bytes.values()) + vector_bytes))
        if not self.budget.fits(size_bytes):
            if not self._is_writer:
                raise BudgetFull(self._folder, self.budget.budget_bytes, self.budget.used_bytes)
            with require_free_space(self._folder, 0):
                self._maintenance.make_room(size_bytes)
        with (
            require_free_space(self._folder, self.min_free_bytes),
            self.budget.writing(size_bytes),
            self._commits.commit() as change,
        ):
            yield change
        if self._is_writer:
            self._maintenance.note(change.rows, stream_bytes)
