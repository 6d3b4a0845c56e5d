"""``recollect reindex`` makes the vectors anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..common.terminal import print_line
from .arguments import open_memory

if TYPE_CHECKING:
    from ..memory.keeping.reindexing import ReindexReport

DESCRIPTION = "Make the vectors of a memory anew with the model in the settings, or drop them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from . import rich_output as rich  # noqa: PLC0415

    bar = rich.progress_bar(
        rich.SafeColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(),
        quiet=arguments.quiet,
    )
    with open_memory(arguments) as memory, bar:
        task = bar.add_task("making vectors", total=None)
        report = memory.reindex(on_progress=lambda done, total: bar.update(task, completed=done, total=total))
    print_line(f"{arguments.memory}: {_reindexed(report)}")
    return 0


def _reindexed(report: ReindexReport) -> str:
    if report.encoder is None:
        return "no model is configured (vision.model), so it has no vectors now; it is searched by words."
    return (
        f"searched by {report.encoder} now; {report.texts} texts and {report.pictures} pictures"
        f" encoded in {report.seconds:.1f} s."
    )
