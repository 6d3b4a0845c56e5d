"""``recollect pin``: protect a span of a stream from eviction."""

from __future__ import annotations

import argparse

from ..agent.errors import BadQuestion
from ..common.clock_times import format_interval
from ..common.errors import RecollectError
from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import add_span, open_memory
from .printing import format_size

DESCRIPTION = "Protect a span of a stream from eviction. Without a stream, list the pins."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("stream", nargs="?", help="the stream's name")
    add_span(parser)
    parser.add_argument("--note", default="", metavar="TEXT", help="why it is pinned")
    parser.add_argument("--remove", metavar="ID", help="remove this pin instead")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.remove and arguments.stream:
        raise BadQuestion(
            "--remove takes the id of a pin, and a stream name adds a pin. Give only one of them"
        )
    has_details = arguments.from_s is not None or arguments.to_s is not None or arguments.note
    if has_details and not arguments.stream:
        raise BadQuestion("--from, --to and --note need the name of the stream to pin")
    with open_memory(arguments) as memory:
        if arguments.remove:
            if not memory.unpin(arguments.remove):
                raise RecollectError(f"there is no pin {arguments.remove!r}. `recollect pin` lists the pins.")
        elif arguments.stream:
            memory.pin(arguments.stream, arguments.from_s, arguments.to_s, note=arguments.note)
        pins, usage = memory.pins(), memory.usage()
    if arguments.json:
        print_json(
            {
                "pins": to_plain(pins),
                "pinned_bytes": usage.pinned_bytes,
                "quota_bytes": usage.pin_quota_bytes,
            }
        )
        return 0
    for pin in pins:
        times = format_interval(pin.span.start_s, pin.span.end_s)
        print_line(f"{pin.id}  {pin.stream}  {times}  {pin.note}".rstrip())
    quota = f"{format_size(usage.pinned_bytes)} of {format_size(usage.pin_quota_bytes)}"
    print_line(f"{len(pins)} pinned, {quota}")
    return 0
