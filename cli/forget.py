"""``recollect forget``: erase a span of a stream, or a whole stream, for good."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..common.clock_times import format_interval
from ..common.errors import RecollectError
from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import add_span, open_memory
from .printing import format_size, plural

if TYPE_CHECKING:
    from ..memory.keeping.erasure import ErasureReceipt

DESCRIPTION = "Erase a span of a stream from every file, or with --all the whole stream. Prints a receipt."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("stream", help="the stream's name")
    add_span(parser)
    parser.add_argument("--all", action="store_true", help="the whole stream and its record")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    has_span = arguments.from_s is not None or arguments.to_s is not None
    if has_span == arguments.all:
        raise RecollectError(
            "say what to erase: a span with --from and --to, or the whole stream with --all."
        )
    is_announced = False

    def on_wait(readers: int) -> None:
        nonlocal is_announced
        if not is_announced:
            print_line(f"waiting for {plural(readers, 'question')} to finish", file=sys.stderr)
            is_announced = True

    with open_memory(arguments) as memory:
        receipt = memory.forget(arguments.stream, arguments.from_s, arguments.to_s, on_wait=on_wait)
    if arguments.json:
        print_json(to_plain(receipt))
    else:
        _print_receipt(receipt)
    return 0


def _print_receipt(receipt: ErasureReceipt) -> None:
    if receipt.asked is None:
        print_line(f"erased: all of {receipt.stream}")
    elif receipt.erased:
        spans = ", ".join(format_interval(span.start_s, span.end_s) for span in receipt.erased)
        print_line(f"erased: {spans} of {receipt.stream}, in whole moments")
    else:
        print_line(f"nothing of that span was stored of {receipt.stream}")
    memories = ", ".join(plural(count, rung) for rung, count in receipt.memories.items() if count)
    rebuilt = f" ({receipt.made_anew} rebuilt from what remains)" if receipt.made_anew else ""
    print_line(f"  memories: {memories or 'none'}{rebuilt}")
    print_line(
        f"  pictures: {receipt.pictures}; backlog: {receipt.waiting}; pins: {receipt.pins};"
        f" uses: {receipt.uses}; traces of questions: {receipt.traces}"
    )
    print_line(
        f"  {format_size(receipt.freed_bytes)} freed in {receipt.seconds:.1f} s; rows, indexes, old versions and"
        f" traces were rewritten, and none of {plural(receipt.files_scanned, 'file')} holds the erased data"
    )
