"""``recollect timeline``: print what is stored, in time order."""

from __future__ import annotations

import argparse

from ..common.clock_times import format_time
from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import add_scope, limit, open_memory
from .printing import moment_line

DESCRIPTION = "Print moments, or memories of a higher rung, in time order."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_scope(parser)
    parser.add_argument(
        "--rung",
        choices=("moment", "event", "hour", "day"),
        default="moment",
        help="which rung of the memory (default: moment)",
    )
    parser.add_argument(
        "--limit", type=limit, default=1000, metavar="N", help="most memories (default: 1000)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        moments = memory.timeline(
            arguments.stream,
            rung=arguments.rung,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
        if arguments.stream is not None:
            gaps = {arguments.stream: memory.gaps(arguments.stream)}
        else:
            gaps = {status.stream.name: list(status.gaps) for status in memory.status()}
    if arguments.json:
        every_gap = [gap for own in gaps.values() for gap in own]
        print_json({"moments": to_plain(moments), "gaps": to_plain(every_gap)})
        return 0
    if not moments and not any(gaps.values()):
        print_line("Nothing is stored for this.")
    for name, own in gaps.items():
        lines = [(moment.span.start_s, moment_line(moment)) for moment in moments if moment.stream == name]
        for gap in own:
            times = f"{format_time(gap.span.start_s)}–{format_time(gap.span.end_s)}"
            lines.append((gap.span.start_s, f"{times}  {name}  — not seen: {gap.cause} —"))
        for _, line in sorted(lines):
            print_line(line)
    return 0
