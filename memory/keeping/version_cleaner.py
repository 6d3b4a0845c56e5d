"""Version cleaner: deletes old table versions that no read lease names.

    cleaner = VersionCleaner(folder, tables, commits, keep_versions_s=60.0)
    with maintenance_lock(folder):
        cleaner.delete_old_versions()
    cleaner.delete_unreferenced_files()       # those that a crash left behind

LanceDB never changes a file. Every commit makes a new version of a table, and the files of an old version stay
on the disk until that version is deleted.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from ..storage import leases
from ..storage.commits import Commits
from ..storage.tables import Table, Tables, latest_view, open_view, table_exists
from .compaction import delete_versions
from .maintenance_lock import maintenance_lock

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""The writer revokes a read lease that is older than this when it needs the disk space."""
_ERASURE_LEASE_S = 600.0
"""An erasure revokes a read lease that is older than this."""
_ANY_AGE = timedelta(days=3650)
"""LanceDB takes files without a version for unfinished ones, unless they are older than this or unverified
files are deleted too."""

_UNFINISHED = re.compile(r"\.tmp\w{6}|.+\.(?:lance|manifest|txn|idx|arrow)#\d+")
"""Names that LanceDB gives to files while it writes them. A killed writer leaves them, and LanceDB never deletes them."""


class VersionCleaner:
    """Deletes unused versions and files. Its methods do not take the maintenance lock unless they say so."""

    def __init__(self, folder: Path, opened: Tables, commits: Commits, *, keep_versions_s: float) -> None:
        """``keep_versions_s``: how long a replaced version stays for readers that cannot take a lease."""
        self._folder = folder
        self._tables = opened
        self._commits = commits
        self._keep_versions_s = keep_versions_s

    def delete_old_versions(self, *, now: bool = False) -> None:
        """Delete the versions that no read lease names. The caller holds the maintenance lock.

        Recently replaced versions stay for ``keep_versions_s`` unless ``now`` is set. While a reader is about
        to name its versions, nothing is deleted. A failure is logged.
        """
        read_leases = leases.held_leases(self._folder)
        if any(lease.versions is None for lease in read_leases):
            return
        older_than_s = time.time() - (0.0 if now else self._keep_versions_s)
        for name, version in self._commits.head().versions.items():
            if not table_exists(self._folder, name):
                continue
            keep = {
                lease.versions[name] for lease in read_leases if lease.versions and name in lease.versions
            }
            try:
                delete_versions(open_view(self._folder, name, version), keep=keep, older_than_s=older_than_s)
            except Exception:
                log.warning("could not delete old versions of %s in %s", name, self._folder, exc_info=True)

    def delete_unreferenced_files(self) -> bool:
        """Delete files that belong to no version, such as those of a crashed writer. Takes the maintenance lock.

        Returns whether it succeeded. A failure is logged.
        """
        try:
            with maintenance_lock(self._folder), self._commits.paused(self._tables):
                for table in self._tables.all():
                    latest_view(table).cleanup_old_versions(older_than=_ANY_AGE, delete_unverified=True)
                    self._delete_unfinished(table)
        except Exception:
            log.warning("could not delete unreferenced files in %s", self._folder, exc_info=True)
            return False
        return True

    def delete_all_but_newest(self) -> bool:
        """Delete every file that the newest versions do not need. The caller holds the maintenance lock.

        Returns False, and deletes nothing, if a reader needs other versions. Commits may have been made since
        readers were waited for.
        """
        with self._commits.paused(self._tables):
            if self._leases_behind():
                return False
            for table in self._tables.all():
                latest_view(table).cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)
                self._delete_unfinished(table)
        return True

    def _delete_unfinished(self, table: Table) -> None:
        """Delete the files that a killed writer left half written. Nothing may be writing to the table."""
        for path in (self._folder / f"{table.name}.lance").rglob("*"):
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def wait_for_readers(self, on_wait: Callable[[int], None] | None) -> None:
        """Wait until all read leases name the newest versions.

        ``on_wait`` is called repeatedly with the number of readers that are waited for. A lease that is older
        than ten minutes is revoked.
        """
        while True:
            behind = self._leases_behind()
            if not behind:
                return
            if on_wait is not None:
                on_wait(len(behind))
            if time.time() - behind[0].since_s > _ERASURE_LEASE_S:
                behind[0].revoke()
            time.sleep(0.05)

    def _leases_behind(self) -> list[leases.HeldLease]:
        """The leases on anything but the newest versions, the oldest first."""
        newest = self._commits.head().versions
        return [lease for lease in leases.held_leases(self._folder) if lease.versions != newest]

    def has_readers(self) -> bool:
        """Whether any reader holds a lease."""
        return bool(leases.held_leases(self._folder))

    def revoke_oldest_lease(self) -> bool:
        """Revoke the oldest read lease, or wait a moment while it is younger than ``LEASE_S``.

        Returns False if no reader holds a lease.
        """
        read_leases = leases.held_leases(self._folder)
        if not read_leases:
            return False
        if time.time() - read_leases[0].since_s > LEASE_S:
            read_leases[0].revoke()
        else:
            time.sleep(0.1)
        return True
