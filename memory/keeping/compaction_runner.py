"""Compaction runner: compacts the tables of a memory and updates their indexes, within the disk budget.

    runner = CompactionRunner(folder, tables, commits, budget, cleaner, evictions, min_free_bytes=64 << 20)
    with maintenance_lock(folder):
        runner.compact(tables.observations, thorough=False)

Tables that are only appended to are compacted while others append. The other tables are small, and are
compacted inside a commit of their own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..storage.commits import Commits, Transaction
from ..storage.disk_space import require_free_space
from ..storage.tables import Table, Tables, latest_view, select, table_kind
from .compaction import (
    APPEND_ONLY,
    compact_files,
    merge_and_index,
    merge_new_fragments,
    publish_version,
    rebuild_indexes,
    reclaim,
    scratch_bytes,
)
from .disk_budget import DiskBudget
from .eviction_runner import EvictionRunner
from .stage_hooks import StageHook, no_hook
from .version_cleaner import VersionCleaner

log = logging.getLogger(__name__)

_MAX_USES = 20_000
"""Above this many rows, the older half of the uses is deleted. Old uses weigh little."""


class CompactionRunner:
    """Compacts one memory. Its callers hold the maintenance lock."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        budget: DiskBudget,
        cleaner: VersionCleaner,
        evictions: EvictionRunner,
        *,
        min_free_bytes: int,
        stage: StageHook = no_hook,
    ) -> None:
        self._folder = folder
        self._tables = opened
        self._commits = commits
        self._budget = budget
        self._cleaner = cleaner
        self._evictions = evictions
        self._min_free_bytes = min_free_bytes
        self._stage = stage

    def compact(self, table: Table, *, thorough: bool, min_free_bytes: int | None = None) -> bool:
        """Compact a table and update its indexes. ``thorough`` leaves one part of each index.

        ``min_free_bytes`` replaces what is otherwise left free on the disk.

        Returns whether it succeeded. A failure is logged. It makes searches slower, and loses nothing.
        """
        try:
            free_bytes = self._min_free_bytes if min_free_bytes is None else min_free_bytes
            with require_free_space(self._folder, free_bytes):
                if table_kind(table.name) in APPEND_ONLY:
                    self._compact_append_only(table, thorough=thorough)
                else:
                    self._compact_small(table)
        except Exception:
            log.warning("could not compact %s in %s", table.name, self._folder, exc_info=True)
            return False
        return True

    def rewrite_all(self) -> None:
        """Rewrite every file and every index that holds deleted rows.

        It does so even if the disk budget has no room for the new files.
        """
        max_bytes = self._budget.max_file_bytes
        for table in self._tables.all():
            if table_kind(table.name) in APPEND_ONLY:
                self._make_room(scratch_bytes(table, max_bytes))
                while reclaim(table, dead_share=0.0, max_bytes=max_bytes):
                    self._publish(table)
                with self._stage("index"):
                    rebuild_indexes(table)
                self._publish(table)
            else:
                with self._commits.commit() as change:
                    change.touch(table)
                    compact_files(table)

    def _compact_append_only(self, table: Table, *, thorough: bool) -> None:
        max_bytes = self._budget.max_file_bytes
        while self._make_room(scratch_bytes(table, max_bytes)):
            with self._commits.commit() as change:
                change.touch(table)
                merged = merge_new_fragments(table, max_bytes=max_bytes)
            with self._stage("index"):
                is_unfinished = merge_and_index(table, merged, thorough=thorough, max_bytes=max_bytes)
            publish_version(self._commits, table)
            if not is_unfinished:
                break

    def _compact_small(self, table: Table) -> None:
        with self._commits.commit() as change:
            change.touch(table)
            if table.name == "uses":
                self._trim_uses(change, table)
            compact_files(table)

    def _trim_uses(self, change: Transaction, table: Table) -> None:
        if table.count_rows() > _MAX_USES:
            newest = select(
                latest_view(table), columns=["at_s"], order_by=["at_s"], descending=True, limit=_MAX_USES // 2
            )
            change.delete(table, f"at_s < {newest[-1]['at_s']!r}")

    def _make_room(self, size_bytes: int) -> bool:
        """Whether new files of this size fit the budget. Deletes old versions and evicts if necessary."""
        budget_bytes = self._budget.budget_bytes
        self._budget.reserve(size_bytes)
        if self._budget.used_bytes + size_bytes > budget_bytes:
            self._cleaner.delete_old_versions(now=True)
        if self._budget.measure() + size_bytes > budget_bytes and self._budget.needs_eviction:
            self._evictions.evict_to(self._budget.aim_bytes)
        return self._budget.used_bytes + size_bytes <= budget_bytes

    def _publish(self, table: Table) -> None:
        publish_version(self._commits, table)
        self._cleaner.delete_old_versions(now=True)
