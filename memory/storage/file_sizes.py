"""Disk usage of files and folders in whole blocks, and the default disk budget.

size_on_disk(Path("kitchen"))     # the folder with everything in it
block_aligned(5000)               # 8192
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

BLOCK_BYTES = 4096
"""The size of a disk block. A file occupies whole blocks."""
DEFAULT_BUDGET_BYTES = 20_000_000_000
"""The disk budget of a new memory, unless its user sets another."""
UNBOUNDED_BYTES = sys.maxsize
"""A disk budget without a limit."""


def size_on_disk(path: Path, *, leave_out: Collection[Path] = ()) -> int:
    """Disk usage of a folder and everything below it, in bytes (whole blocks).

    A folder in ``leave_out`` counts without its contents. A file in ``leave_out`` does not count.
    Files that are deleted during the walk are skipped.
    """
    excluded = set(map(os.fspath, leave_out))
    total_bytes, folders = 0, [os.fspath(path)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            if entry.path not in excluded:
                                folders.append(entry.path)
                            total_bytes += BLOCK_BYTES
                        elif entry.path not in excluded:
                            total_bytes += block_aligned(entry.stat(follow_symlinks=False).st_size)
                    except FileNotFoundError:
                        continue
        except FileNotFoundError:
            continue
    return total_bytes


def block_aligned(size_bytes: int) -> int:
    """The size of a file rounded up to whole blocks, in bytes."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
