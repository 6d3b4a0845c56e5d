"""``recollect compact``: bring a memory within its disk budget and compact its files."""

from __future__ import annotations

import argparse

from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import add_disk_budget, open_memory
from .printing import format_size

DESCRIPTION = (
    "Evict what is over the disk budget, merge files, delete old versions. A memory that is watched into does this "
    "by itself."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_disk_budget(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        before_bytes = memory.usage().used_bytes
        usage = memory.compact()
    if arguments.json:
        print_json({"before_bytes": before_bytes, "usage": to_plain(usage)})
    else:
        print_line(
            f"{arguments.memory}: {format_size(before_bytes)} before, {format_size(usage.used_bytes)} now"
        )
    return 0
