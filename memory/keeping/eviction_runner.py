"""Eviction runner: keeps a memory and its streams within their disk budgets.

    runner = EvictionRunner(folder, tables, commits, budget, cleaner, schedule)
    runner.keep_budgets()                   # evicts if the folder or a stream exceeds its budget
    runner.evict_to(aim_bytes)              # evicts until the folder takes no more

``eviction_policy`` chooses the units, ``eviction`` deletes them, and ``compaction.reclaim`` removes the deleted
rows from the files. Files that readers still hold do not count, because they go when the readers are done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from ..storage.commits import Commits
from ..storage.file_sizes import size_on_disk
from ..storage.tables import Tables, live_bytes, table_kind
from .compaction import APPEND_ONLY, index_bytes, publish_version, reclaim
from .disk_budget import HIGH, LOW, DiskBudget
from .eviction import evict
from .eviction_policy import EvictionCandidates, EvictionUnit
from .maintenance_lock import maintenance_lock
from .maintenance_schedule import MaintenanceSchedule
from .stage_hooks import StageHook, no_hook
from .version_cleaner import VersionCleaner

log = logging.getLogger(__name__)

_RETRY_S = 1.0
"""How long eviction pauses when readers hold the files that it could free."""
_DEAD_SHARE = 0.25
"""A file is rewritten without its deleted rows when they are at least this share of it."""


class EvictionRunner:
    """Evicts from one memory. Only ``keep_budgets`` takes the maintenance lock. Callers of the others hold it."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        budget: DiskBudget,
        cleaner: VersionCleaner,
        schedule: MaintenanceSchedule,
        stage: StageHook = no_hook,
    ) -> None:
        self._folder = folder
        self._tables = opened
        self._commits = commits
        self._budget = budget
        self._cleaner = cleaner
        self._schedule = schedule
        self._stage = stage
        self._retry_at_s = 0.0
        """On the monotonic clock."""

    def is_due(self) -> bool:
        """Whether a budget should be checked now."""
        if time.monotonic() < self._retry_at_s:
            return False
        return self._budget.needs_eviction or bool(self._schedule.due_streams())

    def keep_budgets(self) -> None:
        """Evict what exceeds the budgets of the memory and of its streams. A failure is logged."""
        try:
            with maintenance_lock(self._folder):
                if self._exceeds_budget():
                    self.evict_to(self._budget.aim_bytes)
                for name, budget_bytes in self._schedule.due_streams().items():
                    self._schedule.start_stream(name)
                    self._evict_stream(name, budget_bytes)
            if self._budget.needs_eviction:
                self._retry_at_s = time.monotonic() + _RETRY_S
        except Exception:
            log.warning("could not evict from %s", self._folder, exc_info=True)

    def _exceeds_budget(self) -> bool:
        """Whether the budget is exceeded even without unused versions."""
        if self._budget.needs_eviction:
            self._cleaner.delete_old_versions(now=True)
            self._budget.measure()
        return self._budget.needs_eviction

    def evict_to(self, aim_bytes: int) -> None:
        """Evict until the newest versions take at most ``aim_bytes``, or nothing more can be freed."""
        with self._stage("evict"):
            while (used_bytes := self._live_bytes()) > aim_bytes:
                candidates = self.candidates()
                excess_bytes = (used_bytes - aim_bytes) * candidates.payload_bytes / used_bytes
                units = candidates.lowest_value(excess_bytes)
                if units:
                    self.evict(units)
                self._reclaim(_DEAD_SHARE if units else 0.0)
                if not units and self._live_bytes() >= used_bytes:
                    break
            self._cleaner.delete_old_versions(now=True)

    def _evict_stream(self, name: str, budget_bytes: int) -> None:
        """Evict from one stream until its estimated share of the disk fits its budget."""
        while True:
            candidates = self.candidates()
            disk_ratio = self._live_bytes() / max(1.0, candidates.payload_bytes)
            used_bytes = disk_ratio * candidates.stream_bytes.get(name, 0.0)
            if used_bytes <= HIGH * budget_bytes:
                return
            units = candidates.lowest_value((used_bytes - LOW * budget_bytes) / disk_ratio, [name])
            if not units:
                return
            self.evict(units)
            self._reclaim(_DEAD_SHARE)

    def evict(self, units: Sequence[EvictionUnit]) -> None:
        """Evict these units, and leave tombstones."""
        evict(self.views(), self._tables, self._commits, units)
        self._schedule.note_commit("tombstones")

    def candidates(self) -> EvictionCandidates:
        """What can be evicted now."""
        # Rows are deleted by their position. A crash during compaction left positions that differ from
        # those of the commit head, until the head names the newest versions.
        with self._commits.paused(self._tables):
            views = self.views()
        rows = max(1, views.observations.count_rows())
        vector_bytes = sum(
            vectors.count_rows() * (4 * vectors.schema.field("vector").type.list_size + 100)
            for vectors in (views.text_vectors, views.frame_vectors)
            if vectors is not None
        )
        return EvictionCandidates.of(views, vector_bytes=vector_bytes / rows)

    def views(self) -> Tables:
        """Views of the last finished commit."""
        return self._tables.views(self._folder, self._commits.head().versions)

    def _reclaim(self, dead_share: float) -> None:
        """Rewrite the files in which deleted rows are at least this share."""
        self._cleaner.delete_old_versions(now=True)
        max_bytes = self._budget.max_file_bytes
        for table in self._tables.all():
            if table_kind(table.name) not in APPEND_ONLY:
                continue
            scratch_bytes = 2 * index_bytes(table) + max_bytes
            self._budget.reserve(scratch_bytes)
            while not self._is_blocked(scratch_bytes):
                if not reclaim(table, dead_share=dead_share, max_bytes=max_bytes):
                    break
                publish_version(self._commits, table)
                self._cleaner.delete_old_versions(now=True)

    def _is_blocked(self, scratch_bytes: int) -> bool:
        """Whether readers hold old files, and new files would exceed the budget in addition."""
        fits = self._budget.measure() + scratch_bytes <= self._budget.budget_bytes
        return not fits and self._cleaner.has_readers()

    def _live_bytes(self) -> int:
        """The size of the folder without old versions, in bytes."""
        views = self.views().all()
        table_bytes = sum(size_on_disk(Path(view.uri)) for view in views)
        return self._budget.measure() - table_bytes + sum(sum(live_bytes(view).values()) for view in views)
