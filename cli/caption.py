"""``recollect caption``: describe the backlog with the video LMM."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..common.terminal import print_json, print_line
from ..perception.watch_events import Described, WatchEvent
from ..perception.watch_log import event_text
from ..serialization import to_plain
from .arguments import add_lmm_flags, open_memory
from .printing import waiting_hint
from .progress import stopping

if TYPE_CHECKING:
    from ..client import Recollect
    from ..perception.describing.captioner import CaptionReport

DESCRIPTION = (
    "Describe with a video LMM what was watched and waits for it. Exit code: 0, or 1 if descriptions failed or "
    "still wait."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    parser.add_argument(
        "--all",
        action="store_true",
        help="also what was watched without a model, described by another model, or failed before",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_lmm_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        report = _caption_with_progress(memory, arguments)
    if arguments.json:
        print_json(to_plain(report))
    else:
        failed = f" {report.given_up} failed (see: recollect status)." if report.given_up else ""
        waiting = f" {waiting_hint(report.waiting)}" if report.waiting else ""
        print_line(f"{report.described} described.{failed}{waiting}")
    return 1 if report.waiting or report.given_up else 0


def _caption_with_progress(memory: Recollect, arguments: argparse.Namespace) -> CaptionReport:
    from . import rich_output as rich  # noqa: PLC0415

    console = rich.stderr_console()

    with stopping(memory), rich.spinner(console, "describing…") as line:
        if arguments.quiet or not console.is_terminal:
            line.stop()

        def show(event: WatchEvent) -> None:
            if isinstance(event, Described):
                line.update(rich.safe(f"{event.described} described, {event.waiting} to go"))
            elif not arguments.quiet:
                rich.print_above(console, event_text(event))

        return memory.caption(arguments.stream, everything=arguments.all, on_event=show)
