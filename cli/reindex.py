"""``recollect reindex``: make the vectors of a memory again with the configured encoder."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import open_memory

if TYPE_CHECKING:
    from ..memory.keeping.reindexing import ReindexReport

DESCRIPTION = "Make the vectors of a memory again with the model in the settings, or drop them without one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
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
    if arguments.json:
        print_json(to_plain(report))
    else:
        print_line(f"{arguments.memory}: {_summary(report)}")
    return 0


def _summary(report: ReindexReport) -> str:
    if report.encoder is None:
        return "no model is configured (vision.model), so its vectors were dropped; search uses text."
    return (
        f"search uses {report.encoder} now; {report.texts} texts and {report.pictures} pictures"
        f" encoded in {report.seconds:.1f} s."
    )
