"""How much room files and folders take on a disk, in whole blocks.

>>> size_in_blocks(1)
4096
>>> size_in_blocks(4097)
8192
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

BLOCK_BYTES = 4096
"""A file takes whole blocks of this size."""


def size_in_blocks(size_bytes: int) -> int:
    """The bytes that a file of ``size_bytes`` takes on disk: its size rounded up to whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def size_on_disk(path: Path, *, leave_out: Collection[Path] = ()) -> int:
    """The bytes that a folder and everything below it take on disk, in whole blocks.

    A folder in ``leave_out`` counts one block for itself and nothing for its content. A file in it counts nothing.
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
                            total_bytes += size_in_blocks(entry.stat(follow_symlinks=False).st_size)
                    except FileNotFoundError:
                        continue  # deleted during the walk
        except FileNotFoundError:
            continue
    return total_bytes
