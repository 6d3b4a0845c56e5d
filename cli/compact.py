"""``recollect compact`` brings a memory within its budget, and tidies it."""

from __future__ import annotations

import argparse

from ..common.terminal import print_line
from .arguments import add_budget, open_memory
from .printing import size

DESCRIPTION = "Forget what is over the budget, merge files, delete old versions. Watching does it by itself."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    add_budget(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    with open_memory(arguments) as memory:
        before_bytes = memory.usage().used_bytes
        after = memory.compact()
    print_line(f"{arguments.memory}: {size(before_bytes)} before, {size(after.used_bytes)} now")
    return 0
