"""Keeps a memory quick, small and within its budget while it is written and read, in a thread of the writer.

    upkeep = Maintenance(folder, tables, commits, ledger, min_free_bytes=…, keep_versions_s=60.0)
    upkeep.note({"observations": 8})      # so many rows were added: what is due is done, beside whoever goes on
    upkeep.run(thorough=True)             # now, and all of it
    upkeep.make_room(1_000_000)           # forgets, where that is what it takes
    upkeep.close()

Tables that are only appended to are merged and indexed beside whoever appends; the small ones, which are also
changed, in a commit of their own. Then the versions go that nobody reads any more; and where the budget is nearly
used up, what is least worth keeping. It may be killed at any time. A failure is logged and tried again later.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from ..errors import BudgetFull
from ..storage import leases
from ..storage.commits import Commits, Transaction
from ..storage.file_sizes import size_on_disk
from ..storage.tables import (
    Table,
    Tables,
    latest_view,
    live_bytes,
    open_view,
    require_free_space,
    select,
    table_exists,
    table_kind,
)
from .compaction import (
    APPENDED_TO,
    compact,
    delete_versions,
    gather,
    index_bytes,
    make_indexes_anew,
    reclaim,
    scratch_bytes,
    tidy,
    waiting,
)
from .disk_budget import HIGH, LOW, DiskBudget
from .eviction import forget
from .eviction_policy import EvictionCandidates, EvictionUnit

log = logging.getLogger(__name__)

UPKEEP_LOCK_NAME = "upkeep.lock"
_PATIENCE_S = 600.0
"""So long a reader is waited for by who erases."""
LEASE_S = 60.0
"""A reader that has read for longer loses what it reads, where the writer needs the room."""
_MOST_ROWS, _MOST_COMMITS = 256, 4
_MOST_ROWS_FRAMES, _MOST_COMMITS_FRAMES = 1024, 64
"""A table is tidied after so many rows or commits: what is not in its indexes is scanned, which costs a search
little for each row, and more for each commit. Pictures are not searched."""
_TOO_FAR_BEHIND = 32
"""A writer that is so many times further than that waits until upkeep has caught up."""
_VERSIONS_EVERY_S = 5.0
_EVER = timedelta(days=3650)
_BUDGET_AGAIN_S = 1.0
_MOST_USES = 20_000
_DEAD_SHARE = 0.25
"""Files are written anew without their deleted rows where these are at least such a share."""
_MOST_SHARE = 20
"""No part of the budget larger than this is made one file."""
_SLACK_SHARE = 50
_STREAM_CHECKS = 20
"""A stream's budget is looked at after every such part of it that was written."""


class Maintenance:
    """Does what is to be done now and then. May be used from several threads and processes."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        commits: Commits,
        ledger: DiskBudget,
        *,
        stream_budgets: Mapping[str, int] | None = None,
        min_free_bytes: int,
        keep_versions_s: float,
        forgets: bool = True,
    ) -> None:
        """Who only reads, and now and then notes something down, tidies what that leaves, and never ``forgets``."""
        self._folder = folder
        self._forgets = forgets
        self._opened = opened
        self._tables = {table.name: table for table in opened.all()}
        self._commits = commits
        self._ledger = ledger
        self._stream_budgets = dict(stream_budgets or {})
        self._min_free_bytes = min_free_bytes
        self._keep_versions_s = keep_versions_s
        self._rows: Counter[str] = Counter()
        self._added: Counter[str] = Counter()
        self._known: set[str] = set()
        # A stream's budget is looked at with the first thing that is noted.
        self._stream_bytes: Counter[str] = Counter(self._stream_budgets)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        # Others may have died here before.
        self._something_is_left_over = forgets
        self._versions_at = 0.0
        self._budget_at = 0.0

    # -- from any thread ------------------------------------------------------------------------------

    def set_stream_budgets(self, stream_budgets: Mapping[str, int]) -> None:
        """From now on, these streams may take so much of the budget, in bytes by name."""
        with self._changed:
            self._stream_budgets = dict(stream_budgets)
            # Looked at with the next thing that is noted.
            self._stream_bytes.update(stream_budgets)

    def note(self, rows: Mapping[str, int], stream_bytes: Mapping[str, int]) -> None:
        """So much was added in one commit, by table and by stream. Waits only where upkeep is left far behind."""
        with self._changed:
            for name, count in rows.items():
                if name in self._known:
                    self._rows[name] += count
                    self._added[name] += 1
                else:
                    # Others may have left something to be done, before this process began.
                    self._added[name], self._rows[name] = waiting(self._tables[name])
                    self._known.add(name)
            self._stream_bytes.update(stream_bytes)
            if self._closing or not self._something_is_due():
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="upkeep", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or not any(map(self._is_overdue, self._tables)))

    def run(self, *, thorough: bool, now: bool = False) -> None:
        """Tidy every table now, forget what is over the budget, and delete the versions that nobody reads.

        With ``now``, also those just replaced.
        """
        self._round(self._tables, thorough=thorough)
        self._keep_budgets()
        with maintenance_lock(self._folder):
            self.delete_versions(now=now)
        if self._forgets:
            self._delete_left_over()

    def make_room(self, size_bytes: int) -> None:
        """Forget what is least worth keeping, until so much can be written within the budget.

        Raises ``BudgetFull`` where what may not be forgotten is in the way.
        """
        budget_bytes = self._ledger.budget_bytes
        while True:
            # Who lets go of it meanwhile leaves something to be freed by the next attempt.
            was_read = bool(leases.held_leases(self._folder))
            with maintenance_lock(self._folder):
                self.delete_versions(now=True)
                if not self._ledger.fits(size_bytes):
                    # What is measured is a little more than what is remembered.
                    needed_bytes = size_bytes + budget_bytes // _SLACK_SHARE
                    self._forget_down_to(min(self._ledger.aim_bytes, self._ledger.open_bytes - needed_bytes))
            if self._ledger.fits(size_bytes):
                return
            if not self._revoke_a_lease() and not was_read:
                raise BudgetFull(self._folder, budget_bytes, self._ledger.measure())

    def close(self) -> None:
        """Let the thread finish what is due, and end: what is left behind is quick to search."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def delete_versions(self, *, now: bool = False) -> None:
        """Delete the versions that no reader holds; with ``now``, also those just replaced.

        For who is ``alone`` with the memory.
        """
        held = leases.held_leases(self._folder)
        if any(lease.versions is None for lease in held):
            return  # somebody is just beginning to read; the next time will do
        older_than_s = time.time() - (0.0 if now else self._keep_versions_s)
        for name, version in self._commits.head().versions.items():
            if not table_exists(self._folder, name):
                continue
            keep = {lease.versions[name] for lease in held if lease.versions and name in lease.versions}
            try:
                delete_versions(open_view(self._folder, name, version), keep=keep, older_than_s=older_than_s)
            except Exception:
                log.warning("could not delete old versions of %s in %s", name, self._folder, exc_info=True)

    def _delete_left_over(self) -> None:
        """Delete the files that no version names: of who died in the middle of it, or of what failed."""
        try:
            with maintenance_lock(self._folder), self._commits.paused(self._opened):
                for table in self._tables.values():
                    latest_view(table).cleanup_old_versions(older_than=_EVER, delete_unverified=True)
            self._something_is_left_over = False
        except Exception:
            log.warning("could not delete what was left over in %s", self._folder, exc_info=True)

    # -- for who erases, and keeps everybody else from upkeep meanwhile --------------------------------

    def rewrite_all(self) -> None:
        """Write every file and every index anew that holds something deleted."""
        most_bytes = self._ledger.budget_bytes // _MOST_SHARE
        for table in self._tables.values():
            if table_kind(table.name) in APPENDED_TO:
                # What has to go goes, whether there is room for it or not; it is made where it can be.
                self._has_room_for(scratch_bytes(table, most_bytes))
                while reclaim(table, dead_share=0.0, most_bytes=most_bytes):
                    self._publish(table)
                    self.delete_versions(now=True)
                make_indexes_anew(table)
                self._publish(table)
                self.delete_versions(now=True)
            else:
                with self._commits.commit() as change:
                    change.touch(table)
                    compact(table)

    def wait_for_readers(self, on_wait: Callable[[int], None] | None) -> None:
        """Wait until nobody reads anything but the newest state; who takes very long loses what he reads."""
        while True:
            newest = self._commits.head().versions
            behind = [lease for lease in leases.held_leases(self._folder) if lease.versions != newest]
            if not behind:
                return
            if on_wait is not None:
                on_wait(len(behind))
            if time.time() - behind[0].since_s > _PATIENCE_S:
                behind[0].revoke()
            time.sleep(0.05)

    def delete_all_but_the_newest(self) -> None:
        """Delete every file that the newest state does not need. Nobody may change anything meanwhile."""
        for table in self._tables.values():
            latest_view(table).cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)

    # -- in its own thread, mostly --------------------------------------------------------------------

    def _main(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._something_is_due())
                due = [name for name in self._tables if self._is_due(name)]
                if self._closing and not due:
                    return
            self._round(due, thorough=False)
            self._keep_budgets()
            if self._something_is_left_over:
                self._delete_left_over()
            if time.monotonic() - self._versions_at >= _VERSIONS_EVERY_S:
                with maintenance_lock(self._folder):
                    self.delete_versions()
                self._versions_at = time.monotonic()

    def _something_is_due(self) -> bool:
        if any(map(self._is_due, self._tables)):
            return True
        if not self._forgets or time.monotonic() < self._budget_at:
            return False
        return self._ledger.too_full or bool(self._streams_to_check())

    def _is_due(self, name: str, times: int = 1) -> bool:
        rows, commits = _MOST_ROWS, _MOST_COMMITS
        if table_kind(name) == "frames":
            rows, commits = _MOST_ROWS_FRAMES, _MOST_COMMITS_FRAMES
        return self._rows[name] >= times * rows or self._added[name] >= times * commits

    def _is_overdue(self, name: str) -> bool:
        return self._is_due(name, _TOO_FAR_BEHIND)

    def _streams_to_check(self) -> list[str]:
        return [
            name
            for name, budget_bytes in self._stream_budgets.items()
            if self._stream_bytes[name] * _STREAM_CHECKS > budget_bytes
        ]

    def _round(self, names: Collection[str], *, thorough: bool) -> None:
        for name in names:
            with self._changed:
                # Noted before it is done: what comes meanwhile is not taken for done.
                self._rows[name] = self._added[name] = 0
                self._changed.notify_all()
            with maintenance_lock(self._folder):
                self._tidy(self._tables[name], thorough=thorough)

    def _tidy(self, table: Table, *, thorough: bool) -> None:
        try:
            with require_free_space(self._folder, self._min_free_bytes):
                if table_kind(table.name) not in APPENDED_TO:
                    with self._commits.commit() as change:
                        change.touch(table)
                        if table.name == "uses":
                            self._trim_uses(change, table)
                        compact(table)
                    return
                most_bytes = self._ledger.budget_bytes // _MOST_SHARE
                while self._has_room_for(scratch_bytes(table, most_bytes)):
                    with self._commits.commit() as change:
                        change.touch(table)
                        gathered = gather(table, most_bytes=most_bytes)
                    is_more = tidy(table, gathered, thorough=thorough, most_bytes=most_bytes)
                    self._publish(table)
                    if not is_more:
                        break
        except Exception:
            # It only makes questions slower: nothing that was or will be appended depends on it.
            log.warning("could not tidy %s in %s", table.name, self._folder, exc_info=True)
            self._something_is_left_over = self._forgets

    def _trim_uses(self, change: Transaction, table: Table) -> None:
        """Keep the newest uses: what was used long ago counts little."""
        if table.count_rows() > _MOST_USES:
            newest = select(
                latest_view(table), columns=["at_s"], order_by="at_s", descending=True, limit=_MOST_USES // 2
            )
            change.delete(table, f"at_s < {newest[-1]['at_s']!r}")

    def _has_room_for(self, scratch_bytes: int) -> bool:
        """Whether upkeep can write so much; where it can, nobody else takes the room meanwhile."""
        budget_bytes = self._ledger.budget_bytes
        self._ledger.reserve(scratch_bytes)
        if self._ledger.used_bytes + scratch_bytes > budget_bytes:
            self.delete_versions(now=True)
        if self._ledger.measure() + scratch_bytes > budget_bytes and self._ledger.too_full:
            self._forget_down_to(self._ledger.aim_bytes)
        return self._ledger.used_bytes + scratch_bytes <= budget_bytes

    def _publish(self, table: Table) -> None:
        with self._commits.commit() as change:
            change.touch(table)

    # -- forgetting -----------------------------------------------------------------------------------

    def _keep_budgets(self) -> None:
        if not self._forgets:
            return
        try:
            with maintenance_lock(self._folder):
                if self._is_too_full():
                    self._forget_down_to(self._ledger.aim_bytes)
                for name in self._streams_to_check():
                    self._stream_bytes[name] = 0
                    self._forget_of_stream(name)
            if self._ledger.too_full:
                # Readers hold what could go: not tried again at once.
                self._budget_at = time.monotonic() + _BUDGET_AGAIN_S
        except Exception:
            log.warning("could not forget anything in %s", self._folder, exc_info=True)

    def _is_too_full(self) -> bool:
        """Whether it is time to forget, though all goes that nobody reads any more."""
        if self._ledger.too_full:
            self.delete_versions(now=True)
            self._ledger.measure()
        return self._ledger.too_full

    def _forget_down_to(self, aim_bytes: int) -> None:
        """Forget until what is remembered takes no more than ``aim_bytes``, or nothing more helps.

        What readers still hold of what was there before is not remembered: it goes when they are done.
        """
        while (live_bytes := self._live_bytes()) > aim_bytes:
            shelf = self._shelf()
            units = shelf.lowest_value((live_bytes - aim_bytes) * shelf.payload_bytes / live_bytes)
            if units:
                self._forget(units)
            self._reclaim(_DEAD_SHARE if units else 0.0)
            if not units and self._live_bytes() >= live_bytes:
                break
        self.delete_versions(now=True)

    def _forget_of_stream(self, name: str) -> None:
        """Forget of one stream until it takes no more than its budget, as far as that can be told apart."""
        budget_bytes = self._stream_budgets[name]
        while True:
            shelf = self._shelf()
            disk_bytes = self._live_bytes() / max(1.0, shelf.payload_bytes)
            used_bytes = disk_bytes * shelf.streams_bytes.get(name, 0.0)
            if used_bytes <= HIGH * budget_bytes:
                return
            units = shelf.lowest_value((used_bytes - LOW * budget_bytes) / disk_bytes, [name])
            if not units:
                return
            self._forget(units)
            self._reclaim(_DEAD_SHARE)

    def _forget(self, units: Sequence[EvictionUnit]) -> None:
        forget(self._views(), self._opened, self._commits, units)
        with self._changed:
            self._added["tombstones"] += 1

    def _reclaim(self, dead_share: float) -> None:
        """Take what was deleted out of the files of which it is at least such a share."""
        self.delete_versions(now=True)
        most_bytes = self._ledger.budget_bytes // _MOST_SHARE
        for name, table in self._tables.items():
            if table_kind(name) not in APPENDED_TO:
                continue
            scratch_bytes = 2 * index_bytes(table) + most_bytes
            self._ledger.reserve(scratch_bytes)
            while not self._is_held_up(scratch_bytes):
                if not reclaim(table, dead_share=dead_share, most_bytes=most_bytes):
                    break
                self._publish(table)
                self.delete_versions(now=True)

    def _is_held_up(self, scratch_bytes: int) -> bool:
        """Whether files cannot be written anew within the budget, as readers still hold what they would replace."""
        fits = self._ledger.measure() + scratch_bytes <= self._ledger.budget_bytes
        return not fits and bool(leases.held_leases(self._folder))

    def _live_bytes(self) -> int:
        """What the folder would take if nobody read anything but the newest state."""
        views = self._views().all()
        of_tables = sum(size_on_disk(Path(one.uri)) for one in views)
        return self._ledger.measure() - of_tables + sum(sum(live_bytes(one).values()) for one in views)

    def _shelf(self) -> EvictionCandidates:
        # What goes is named by where it lies. Who died over tidying left it elsewhere than the head says.
        with self._commits.paused(self._opened):
            views = self._views()
        rows = max(1, views.observations.count_rows())
        vectors = (
            vectors.count_rows() * (4 * vectors.schema.field("vector").type.list_size + 100)
            for vectors in (views.text_vectors, views.frame_vectors)
            if vectors is not None
        )
        return EvictionCandidates.of(views, vector_bytes=sum(vectors) / rows)

    def _views(self) -> Tables:
        return self._opened.views(self._folder, self._commits.head().versions)

    def _revoke_a_lease(self) -> bool:
        """Have the reader that reads for longest give way, or wait for it; False where there is none."""
        held = leases.held_leases(self._folder)
        if not held:
            return False
        if time.time() - held[0].since_s > LEASE_S:
            held[0].revoke()
        else:
            time.sleep(0.1)
        return True


@contextmanager
def maintenance_lock(folder: Path) -> Iterator[None]:
    """Keep other threads and processes from upkeep of the same memory. Not to be nested."""
    with (folder / UPKEEP_LOCK_NAME).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
