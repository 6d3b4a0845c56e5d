"""``recollect pin`` keeps a stretch of a stream from ever being forgotten for want of room."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..agent.errors import BadQuestion
from ..common.clock_times import between
from ..common.errors import RecollectError
from ..common.terminal import print_json, print_line
from .arguments import add_span, open_memory
from .printing import size

if TYPE_CHECKING:
    from ..memory.values import Pin

DESCRIPTION = "Never forget a stretch of a stream for want of room; without a stream, list what is pinned."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("stream", nargs="?", help="the stream's name")
    add_span(parser)
    parser.add_argument("--note", default="", metavar="TEXT", help="what it is kept for")
    parser.add_argument("--remove", metavar="ID", help="take this pin away instead")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if arguments.remove and arguments.stream:
        raise BadQuestion(
            "--remove takes a pin away by its id, and a stream is what is to be pinned: give one"
        )
    about = arguments.from_s is not None or arguments.to_s is not None or arguments.note
    if about and not arguments.stream:
        raise BadQuestion(
            "--from, --to and --note say what is to be pinned, and of which stream was not said: give its name"
        )
    with open_memory(arguments) as memory:
        if arguments.remove:
            if not memory.unpin(arguments.remove):
                raise RecollectError(f"there is no pin {arguments.remove!r}. `recollect pin` lists them.")
        elif arguments.stream:
            memory.pin(arguments.stream, arguments.from_s, arguments.to_s, note=arguments.note)
        pins, account = memory.pins(), memory.usage()
    if arguments.json:
        print_json(
            {
                "pins": [_pin_dict(pin) for pin in pins],
                "pinned_bytes": account.pinned_bytes,
                "quota_bytes": account.pin_quota_bytes,
            }
        )
        return 0
    for pin in pins:
        print_line(
            f"{pin.id}  {pin.stream}  {between(pin.span.start_s, pin.span.end_s)}  {pin.note}".rstrip()
        )
    print_line(f"{len(pins)} pinned, {size(account.pinned_bytes)} of {size(account.pin_quota_bytes)}")
    return 0


def _pin_dict(pin: Pin) -> dict[str, object]:
    return {
        "id": pin.id,
        "stream": pin.stream,
        "start_s": round(pin.span.start_s, 3),
        "end_s": round(pin.span.end_s, 3),
        "note": pin.note,
        "pinned_at_s": pin.pinned_at_s,
    }
