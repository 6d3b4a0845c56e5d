"""What a memory takes on the disk, against what it may take.

    ledger = DiskBudget(Path("kitchen"), budget_bytes=20_000_000_000)
    if ledger.fits(300_000):                 # before each write
        with ledger.writing(300_000):
            ...
    ledger.used_bytes                        # never less than what a search of the folder finds

Everything in the folder counts: tables, indexes, old versions, the steps of questions, files that a crash left.
The folder is measured now and then; in between, what the process writes is added to it, so that the figure is
never too low for what it wrote itself. What other processes write (a second look, a trace) is small, bounded,
and seen at the next measurement.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BadBudget
from ..storage.file_sizes import BLOCK_BYTES, size_on_disk

MIN_BUDGET_BYTES = 64_000_000
"""Less does not hold the indexes, and the room to write them anew."""
_RESERVE, _LEAST_RESERVE_BYTES = 0.05, 5_000_000
"""The share of the budget that is left to upkeep at least: files are written anew before the old ones go, and
what is to be deleted has to be listed first."""
_MOST_RESERVE = 0.2
"""And at most: what needs more room than that is not done, rather than that anything is forgotten for it."""
HIGH, LOW = 0.95, 0.85
"""Shares of what is left: beyond the first, memories are forgotten, until the second is reached."""


class DiskBudget:
    """Keeps account of one memory's folder. May be used from several threads."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._measured: int | None = None
        self._written_then = 0
        self._written = 0
        self._under_way = 0
        self._reserve_bytes = 0

    @property
    def used_bytes(self) -> int:
        """What the folder takes, at most."""
        with self._lock:
            if self._measured is not None:
                return self._measured + self._written_bytes() - self._written_then + self._under_way
        return self.measure()

    @property
    def open_bytes(self) -> int:
        """How much of the budget is for what is remembered: the rest is reserved for upkeep."""
        least = max(int(_RESERVE * self.budget_bytes), _LEAST_RESERVE_BYTES)
        reserved = max(least, min(self._reserve_bytes, int(_MOST_RESERVE * self.budget_bytes)))
        return self.budget_bytes - reserved

    @property
    def too_full(self) -> bool:
        """Whether it is time to forget, or at least to measure."""
        return self.used_bytes > HIGH * self.open_bytes

    @property
    def aim_bytes(self) -> int:
        """How much the folder is to take after forgetting."""
        return int(LOW * self.open_bytes)

    def reserve(self, size_bytes: int) -> None:
        """Leave so much to upkeep from now on, if it is more than what is always left to it."""
        self._reserve_bytes = size_bytes

    def fits(self, size_bytes: int) -> bool:
        """Whether so much can be remembered within the budget."""
        if self.used_bytes + size_bytes <= self.open_bytes:
            return True
        # What was written may be gone again: only a measurement says no.
        return self.measure() + size_bytes <= self.open_bytes

    @contextmanager
    def writing(self, size_bytes: int) -> Iterator[None]:
        """About so much is written inside the block."""
        with self._lock:
            self._under_way += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= size_bytes
                self._written += size_bytes

    def measure(self) -> int:
        """Search the folder; what it takes."""
        with self._lock:
            # What is written while the folder is searched may be found or not: it is counted beside it.
            written_then = self._written_bytes()
        found = size_on_disk(self._folder)
        with self._lock:
            self._measured, self._written_then = found, written_then
            return found + self._written_bytes() - written_then + self._under_way

    def _written_bytes(self) -> int:
        """What this process wrote since it began: by the system's count, where it keeps one."""
        handed = _handed_to_the_system()
        return self._written if handed is None else handed


def check_budget(budget_bytes: int | None) -> None:
    """See that a memory or a stream can be kept within so much.

    Raises ``BadBudget``.
    """
    if budget_bytes is not None and budget_bytes < MIN_BUDGET_BYTES:
        raise BadBudget(
            f"{budget_bytes:,} bytes", f"less than {MIN_BUDGET_BYTES:,} bytes do not hold its indexes"
        )


def _handed_to_the_system() -> int | None:
    """What this process has written since it began, wherever to, at most; None where the system does not tell.

    Each write may be one of a file of its own, of which the last block is not full.
    """
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            told = dict(line.split(": ") for line in file)
        return int(told["wchar"]) + BLOCK_BYTES * int(told["syscw"])
    except (OSError, KeyError, ValueError):
        return None
