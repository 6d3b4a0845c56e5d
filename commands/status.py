"""``recollect status`` prints what is in the memory, and what waits."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..times import clock
from .parsing import open_memory
from .printing import print_json, shortened

if TYPE_CHECKING:
    from ..sdk import StreamStatus

DESCRIPTION = "Print what is in the memory, and how completely it was watched."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    with open_memory(arguments) as memory:
        statuses = memory.status()
        size_bytes = sum(file.stat().st_size for file in memory.path.rglob("*") if file.is_file())
    if arguments.json:
        print_json(
            {
                "memory": str(arguments.memory),
                "bytes": size_bytes,
                "streams": [status.to_dict() for status in statuses],
            }
        )
        return 0
    print(
        f"{arguments.memory}: {len(statuses)} stream{'' if len(statuses) == 1 else 's'}, {size_bytes / 1e6:.1f} MB"
    )
    for status in statuses:
        counts, span = status.counts, status.coverage.span
        of = f" of {clock(status.stream.duration_s)}" if status.stream.duration_s else ""
        print(
            f"  {status.stream.name} ({status.stream.kind}, {status.stream.state}): "
            f"{clock(span.start_s)}–{clock(span.end_s)}{of}, watched {status.coverage.watched_s:.1f} s"
        )
        dropped = ", ".join(f"{count} {cause}" for cause, count in counts.dropped.items()) or "0"
        print(
            f"    frames: {counts.captured} captured = {counts.stored} stored + {counts.sampled_out} sampled out "
            f"+ {counts.merged} merged + {dropped} dropped"
        )
        if text := _backlog(status):
            print(f"    {text}")
        for gap in status.gaps[-10:]:
            print(
                f"    gap {clock(gap.span.start_s)}–{clock(gap.span.end_s)}: {gap.cause} {gap.detail}".rstrip()
            )
    return 0


def _backlog(status: StreamStatus) -> str:
    """What of a stream waits for the video LMM, for people; empty where nothing does."""
    backlog, parts = status.backlog, []
    if status.oldest_waiting_s is not None:
        parts.append(f"{backlog.waiting} waiting, the oldest for {clock(status.oldest_waiting_s)}")
    if backlog.given_up:
        parts.append(f"{backlog.given_up} given up")
    if backlog.last_error:
        parts.append(f"last error: {shortened(backlog.last_error, 200)}")
    return f"to be described: {'; '.join(parts)}" if parts else ""
