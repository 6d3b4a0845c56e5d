"""``recollect search``: find moments by words."""

from __future__ import annotations

import argparse

from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import add_scope, limit, open_memory
from .printing import moment_line

DESCRIPTION = "Find moments by words, best first."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("query", metavar="WORDS")
    add_scope(parser)
    parser.add_argument("--limit", type=limit, default=10, metavar="N", help="most hits (default: 10)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        hits = memory.search(
            arguments.query,
            stream=arguments.stream,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
    if arguments.json:
        print_json({"hits": to_plain(hits)})
        return 0
    if not hits:
        print_line("Nothing found.")
    for hit in hits:
        print_line(moment_line(hit.moment))
    return 0
