"""``recollect search`` finds moments by words."""

from __future__ import annotations

import argparse

from ..common.terminal import print_json, print_line
from .arguments import add_scope, limit, open_memory
from .printing import moment_dict, moment_line

DESCRIPTION = "Find moments by words."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("words")
    add_scope(parser)
    parser.add_argument("--limit", type=limit, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    with open_memory(arguments) as memory:
        hits = memory.search(
            arguments.words,
            stream=arguments.stream,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
    if arguments.json:
        print_json({"hits": [{"score": round(hit.score, 4), **moment_dict(hit.moment)} for hit in hits]})
        return 0
    if not hits:
        print_line("Nothing found.")
    for hit in hits:
        print_line(moment_line(hit.moment))
    return 0
