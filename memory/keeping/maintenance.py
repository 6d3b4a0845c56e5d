"""Background maintenance: keeps a memory fast and within its disk budget, in a thread of the writer.

    maintenance = Maintenance(folder, tables, commits, budget, min_free_bytes=64 << 20, keep_versions_s=60.0)
    maintenance.note({"observations": 8}, {"door": 90_000})     # after each commit
    maintenance.run(thorough=True)                              # everything, now
    maintenance.make_room(1_000_000)                            # evicts if necessary
    maintenance.close()

The work is done by ``CompactionRunner``, ``EvictionRunner`` and ``VersionCleaner``. ``MaintenanceSchedule``
decides when work is due. The process can be killed at any time. A failure is logged, and the work is tried again later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import BudgetFull
from ..storage.commits import Commits
from ..storage.tables import Tables
from .compaction_runner import CompactionRunner
from .disk_budget import DiskBudget
from .eviction_runner import EvictionRunner
from .file_digests import FileDigests
from .maintenance_lock import maintenance_lock
from .maintenance_schedule import MaintenanceSchedule
from .stage_hooks import Stage, StageHook, no_hook
from .version_cleaner import VersionCleaner

_CLEAN_EVERY_S = 5.0
_SLACK_FRACTION = 50
"""Eviction for a write frees this fraction of the budget more, because measured sizes include small extras."""


class Maintenance:
    """Does the maintenance of one memory. May be used from several threads and processes."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        budget: DiskBudget,
        *,
        stream_budgets: Mapping[str, int] | None = None,
        min_free_bytes: int,
        keep_versions_s: float,
    ) -> None:
        self.on_stage: StageHook = no_hook
        """Called when a stage begins."""
        self.cleaner = VersionCleaner(folder, opened, commits, keep_versions_s=keep_versions_s)
        self._schedule = MaintenanceSchedule(opened, stream_budgets or {})
        self.evictions = EvictionRunner(
            folder, opened, commits, budget, self.cleaner, self._schedule, self._stage
        )
        self._compactions = CompactionRunner(
            folder,
            opened,
            commits,
            budget,
            self.cleaner,
            self.evictions,
            min_free_bytes=min_free_bytes,
            stage=self._stage,
        )
        self._folder = folder
        self._budget = budget
        self._tables = {table.name: table for table in opened.all()}
        self._thread: threading.Thread | None = None
        self._closing = False
        self._has_unreferenced_files = True
        """An earlier process may have crashed."""
        self._cleaned_at_s = 0.0
        """On the monotonic clock."""
        self._recorded_versions: dict[str, int] = {}
        """The versions of the tables when the digests of their files were last recorded."""

    # -- from any thread ------------------------------------------------------------------------------

    def set_stream_budgets(self, stream_budgets: Mapping[str, int]) -> None:
        """Replace the budgets of streams, in bytes by name."""
        self._schedule.set_stream_budgets(stream_budgets)

    def note(self, rows: Mapping[str, int], stream_bytes: Mapping[str, int]) -> None:
        """A commit was made: its rows by table and its bytes by stream.

        Starts the thread if something is due. Waits only while the thread is far behind.
        """
        with self._schedule.changed:
            self._schedule.note(rows, stream_bytes)
            if self._closing or not self._is_due():
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="maintenance", daemon=True)
                self._thread.start()
            self._schedule.changed.notify_all()
            self._schedule.changed.wait_for(lambda: self._closing or not self._schedule.is_overdue())

    def run(self, *, thorough: bool, now: bool = False) -> None:
        """Compact every table, evict what exceeds the budget, and delete old versions.

        ``thorough`` leaves one part of each index. ``now`` also deletes versions that were just replaced,
        and may use what is otherwise left free on the disk, because it frees space in the end.
        """
        self._compact(self._tables, thorough=thorough, min_free_bytes=0 if now else None)
        self.evictions.keep_budgets()
        with maintenance_lock(self._folder):
            self.cleaner.delete_old_versions(now=now)
        self._delete_unreferenced_files()
        self.record_files()

    def make_room(self, size_bytes: int) -> None:
        """Delete old versions and evict, until ``size_bytes`` more fit the budget.

        Raises ``BudgetFull`` if pins or other memories that cannot be evicted take the room.
        """
        budget_bytes = self._budget.budget_bytes
        while True:
            # A reader that ends during this attempt leaves files that the next attempt can free.
            had_readers = self.cleaner.has_readers()
            with maintenance_lock(self._folder):
                self.cleaner.delete_old_versions(now=True)
                if not self._budget.fits(size_bytes):
                    needed_bytes = size_bytes + budget_bytes // _SLACK_FRACTION
                    self.evictions.evict_to(
                        min(self._budget.aim_bytes, self._budget.open_bytes - needed_bytes)
                    )
            if self._budget.fits(size_bytes):
                return
            if not self.cleaner.revoke_oldest_lease() and not had_readers:
                raise BudgetFull(self._folder, budget_bytes, self._budget.measure())

    def purge_deleted(self, on_wait: Callable[[int], None] | None) -> None:
        """Remove every trace of deleted rows from the files. The caller holds the maintenance lock.

        Waits for readers of older versions. ``on_wait`` is called repeatedly with their number.
        """
        self._compactions.rewrite_all()
        is_clean = False
        while not is_clean:
            self.cleaner.wait_for_readers(on_wait)
            is_clean = self.cleaner.delete_all_but_newest()

    def record_files(self) -> None:
        """Record the digests of new files, by which ``check`` finds damage."""
        with maintenance_lock(self._folder):
            versions = {name: int(table.version) for name, table in self._tables.items()}
            if versions != self._recorded_versions:
                FileDigests(self._folder).record(self._tables.values())
                self._recorded_versions = versions

    def close(self) -> None:
        """Let the thread finish the due work, and stop it."""
        with self._schedule.changed:
            self._closing = True
            self._schedule.changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    # -- in the maintenance thread, mostly --------------------------------------------------------------

    def _main(self) -> None:
        while True:
            with self._schedule.changed:
                self._schedule.changed.wait_for(lambda: self._closing or self._is_due())
                due = self._schedule.due_tables()
                if self._closing and not due:
                    return
            self._compact(due, thorough=False)
            self.evictions.keep_budgets()
            if self._has_unreferenced_files:
                self._delete_unreferenced_files()
            if time.monotonic() - self._cleaned_at_s >= _CLEAN_EVERY_S:
                with maintenance_lock(self._folder):
                    self.cleaner.delete_old_versions()
                self._cleaned_at_s = time.monotonic()
                self.record_files()

    def _is_due(self) -> bool:
        return bool(self._schedule.due_tables()) or self.evictions.is_due()

    def _compact(self, names: Iterable[str], *, thorough: bool, min_free_bytes: int | None = None) -> None:
        for name in names:
            self._schedule.start(name)
            with maintenance_lock(self._folder):
                if not self._compactions.compact(
                    self._tables[name], thorough=thorough, min_free_bytes=min_free_bytes
                ):
                    self._has_unreferenced_files = True

    def _delete_unreferenced_files(self) -> None:
        if self.cleaner.delete_unreferenced_files():
            self._has_unreferenced_files = False

    def _stage(self, name: Stage) -> AbstractContextManager[None]:
        return self.on_stage(name)
