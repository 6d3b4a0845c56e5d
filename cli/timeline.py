"""``recollect timeline`` prints what is remembered, in time order."""

from __future__ import annotations

import argparse

from ..common.clock_times import clock
from ..common.terminal import print_json, print_line
from .arguments import add_scope, limit, open_memory
from .printing import moment_dict, moment_line

DESCRIPTION = "Print what is remembered, in time order."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    add_scope(parser)
    parser.add_argument(
        "--rung",
        choices=("moment", "event", "hour", "day"),
        default="moment",
        help="how coarse (default: moment)",
    )
    parser.add_argument(
        "--limit", type=limit, default=1000, metavar="N", help="at most so many (default: 1000)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    with open_memory(arguments) as memory:
        moments = memory.timeline(
            arguments.stream,
            rung=arguments.rung,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
        names = (
            [arguments.stream]
            if arguments.stream
            else sorted({status.stream.name for status in memory.status()})
        )
        gaps = {name: memory.gaps(name) for name in names}
    if arguments.json:
        print_json(
            {
                "moments": [moment_dict(moment) for moment in moments],
                "gaps": [
                    {
                        "stream": name,
                        "start_s": round(gap.span.start_s, 3),
                        "end_s": round(gap.span.end_s, 3),
                        "cause": gap.cause,
                    }
                    for name, found in gaps.items()
                    for gap in found
                ],
            }
        )
        return 0
    for name in names:
        lines = [(moment.span.start_s, moment_line(moment)) for moment in moments if moment.stream == name]
        lines += [
            (
                gap.span.start_s,
                f"{clock(gap.span.start_s)}–{clock(gap.span.end_s)}  {name}  — not seen: {gap.cause} —",
            )
            for gap in gaps[name]
        ]
        for _, line in sorted(lines):
            print_line(line)
    return 0
