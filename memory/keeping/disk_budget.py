"""Disk budget accounting: tracks the size of a memory's folder against the bytes that it may take.

    budget = DiskBudget(Path("kitchen"), budget_bytes=20_000_000_000)
    if budget.fits(300_000):                 # before each write
        with budget.writing(300_000):
            write()
    budget.used_bytes                        # never less than the size of the folder

Everything in the folder counts: tables, indexes, old versions, checkpoints of questions, and files that a crash
left. The folder is measured now and then. Between two measurements, the bytes that this process writes are added,
so the figure is never too low. Writes of other processes (second looks, traces) are small and bounded. The next
measurement includes them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BadBudget
from ..storage.file_sizes import BLOCK_BYTES, size_on_disk

MIN_BUDGET_BYTES = 64_000_000
"""A smaller budget does not hold the indexes and the room to rewrite them."""
_RESERVED_SHARE, _MIN_RESERVED_BYTES = 0.05, 5_000_000
"""The least share of the budget that is reserved for maintenance. Files are rewritten before the old ones are
deleted, and a commit that deletes rows first has to list them."""
_MAX_RESERVED_SHARE = 0.2
"""The largest share. Maintenance that needs more is skipped, because it must not cause evictions."""
HIGH, LOW = 0.95, 0.85
"""High and low watermark: eviction begins above the first share of the open bytes, and stops at the second."""
_FILE_FRACTION = 20
"""Compaction makes no file larger than this fraction of the budget."""


class DiskBudget:
    """The disk budget of one memory. May be used from several threads."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._measured_bytes: int | None = None
        self._written_at_measurement = 0
        self._written = 0
        self._in_progress = 0
        self._reserved_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Upper bound of the size of the folder, in bytes."""
        with self._lock:
            if self._measured_bytes is not None:
                written_since = self._written_bytes() - self._written_at_measurement
                return self._measured_bytes + written_since + self._in_progress
        return self.measure()

    @property
    def open_bytes(self) -> int:
        """The part of the budget that memories may take. The rest is reserved for maintenance."""
        least_bytes = max(int(_RESERVED_SHARE * self.budget_bytes), _MIN_RESERVED_BYTES)
        reserved = max(least_bytes, min(self._reserved_bytes, int(_MAX_RESERVED_SHARE * self.budget_bytes)))
        return self.budget_bytes - reserved

    @property
    def needs_eviction(self) -> bool:
        """Whether the folder is above the high watermark, by its upper bound."""
        return self.used_bytes > HIGH * self.open_bytes

    @property
    def aim_bytes(self) -> int:
        """The low watermark: the size of the folder at which eviction stops."""
        return int(LOW * self.open_bytes)

    @property
    def max_file_bytes(self) -> int:
        """Compaction makes no larger file."""
        return self.budget_bytes // _FILE_FRACTION

    def reserve(self, size_bytes: int) -> None:
        """Reserve bytes for maintenance from now on, if they are more than the least share."""
        self._reserved_bytes = size_bytes

    def fits(self, size_bytes: int) -> bool:
        """Whether memories of this size can be written within the budget."""
        if self.used_bytes + size_bytes <= self.open_bytes:
            return True
        # Written files may be deleted by now, so only a measurement can refuse.
        return self.measure() + size_bytes <= self.open_bytes

    @contextmanager
    def writing(self, size_bytes: int) -> Iterator[None]:
        """Count about ``size_bytes`` as written by the block."""
        with self._lock:
            self._in_progress += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._in_progress -= size_bytes
                self._written += size_bytes

    def measure(self) -> int:
        """Measure the folder. Returns the new upper bound of its size, in bytes."""
        with self._lock:
            # Files that are written during the walk may or may not be measured, so they are added.
            written_before = self._written_bytes()
        measured_bytes = size_on_disk(self._folder)
        with self._lock:
            self._measured_bytes, self._written_at_measurement = measured_bytes, written_before
            return measured_bytes + self._written_bytes() - written_before + self._in_progress

    def _written_bytes(self) -> int:
        """The bytes that this process wrote since it started, by the system's count if there is one."""
        system_count = system_written_bytes()
        return self._written if system_count is None else system_count


def check_budget(budget_bytes: int | None) -> None:
    """Raise ``BadBudget`` if the budget of a memory or a stream is too small to work with."""
    if budget_bytes is not None and budget_bytes < MIN_BUDGET_BYTES:
        raise BadBudget(
            f"{budget_bytes:,} bytes", f"less than {MIN_BUDGET_BYTES:,} bytes do not hold its indexes"
        )


def system_written_bytes() -> int | None:
    """Upper bound of the bytes that this process wrote to any file since it started. None if the system keeps no count.

    Each write call may have filled the last block of a file only in part, so a whole block is added for each.
    """
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            counts = dict(line.split(": ") for line in file)
        return int(counts["wchar"]) + BLOCK_BYTES * int(counts["syscw"])
    except (OSError, KeyError, ValueError):
        return None
