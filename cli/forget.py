"""``recollect forget`` has a stretch of a stream, or all of it, forgotten for good."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from typing import TYPE_CHECKING

from ..common.clock_times import between
from ..common.errors import RecollectError
from ..common.terminal import print_json, print_line
from .arguments import add_span, open_memory
from .printing import size

if TYPE_CHECKING:
    from ..memory.keeping.erasure import ErasureReceipt

DESCRIPTION = "Forget a stretch of a stream for good, or with --all the whole stream; prints a receipt."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("stream", help="the stream's name")
    add_span(parser)
    parser.add_argument("--all", action="store_true", help="all of it, and that it was ever there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    some = arguments.from_s is not None or arguments.to_s is not None
    if some == arguments.all:
        raise RecollectError(
            "say what is to be forgotten: a stretch with --from and --to, or with --all the whole stream."
        )
    told = False

    def on_wait(readers: int) -> None:
        nonlocal told
        if not told:
            print_line(
                f"waiting for {readers} question{'' if readers == 1 else 's'} to finish", file=sys.stderr
            )
            told = True

    with open_memory(arguments) as memory:
        receipt = memory.forget(arguments.stream, arguments.from_s, arguments.to_s, on_wait=on_wait)
    if arguments.json:
        print_json(_as_dict(receipt))
        return 0
    _print_receipt(receipt)
    return 0


def _print_receipt(receipt: ErasureReceipt) -> None:
    if receipt.asked is None:
        print_line(f"forgotten: all of {receipt.stream}")
    elif receipt.erased:
        spans = ", ".join(between(span.start_s, span.end_s) for span in receipt.erased)
        print_line(f"forgotten: {spans} of {receipt.stream}, in whole moments")
    else:
        print_line(f"nothing of that was remembered of {receipt.stream}")
    memories = ", ".join(
        f"{count} {rung}{'' if count == 1 else 's'}" for rung, count in receipt.memories.items() if count
    )
    anew = f" ({receipt.made_anew} made anew of what is left)" if receipt.made_anew else ""
    print_line(f"  memories: {memories or 'none'}{anew}")
    print_line(
        f"  pictures: {receipt.pictures}; waiting for a description: {receipt.waiting}; pins: {receipt.pins};"
        f" uses: {receipt.uses}; traces of questions: {receipt.traces}"
    )
    print_line(
        f"  {size(receipt.freed_bytes)} freed in {receipt.seconds:.1f} s; rows, indexes, old versions and traces"
        " were rewritten: no file of the memory holds it"
    )


def _as_dict(receipt: ErasureReceipt) -> dict[str, object]:
    plain = dataclasses.asdict(receipt)
    del plain["memory_ids"]
    if plain["asked"] is not None and math.isinf(plain["asked"]["end_s"]):
        plain["asked"]["end_s"] = None  # JSON knows no infinity
    return plain
