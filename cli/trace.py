"""``recollect trace``: print the stored steps of an earlier question."""

from __future__ import annotations

import argparse

from ..common.errors import RecollectError
from ..common.terminal import json_text, print_block, print_json, print_line
from ..serialization import Json, to_plain
from .arguments import open_memory

DESCRIPTION = "Print the stored steps of an earlier question. Its id is in the answer."
_LONGEST_VALUE = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("trace_id", metavar="ID", help="the answer's trace id")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        steps = memory.trace(arguments.trace_id)
    if not steps:
        raise RecollectError(
            f"no question with the trace id {arguments.trace_id!r} is stored in {arguments.memory}. "
            "Old traces are deleted first when a memory is full; `recollect ask` prints the id of each answer."
        )
    if arguments.json:
        print_json({"trace_id": arguments.trace_id, "steps": to_plain(steps)})
        return 0
    printed: dict[str, Json] = {}
    for step in steps:
        print_line(f"next: {', '.join(step['next']) or 'end'}")
        for name, item in step["state"].items():
            value = to_plain(item)
            if printed.get(name) != value:
                text = json_text(value)
                print_block(
                    f"  {name}: {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + ' …'}"
                )
                printed[name] = value
    return 0
