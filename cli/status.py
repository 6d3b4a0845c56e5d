"""``recollect status`` prints what is in the memory, what it takes, and what waits."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..common.clock_times import clock
from ..common.terminal import print_json, print_line
from .arguments import open_memory
from .printing import shortened, size

if TYPE_CHECKING:
    from ..client import StreamStatus
    from ..memory.keeping.disk_usage import DiskUsage
    from ..memory.values import Rung

DESCRIPTION = "Print what is in the memory, what it takes on the disk, and how completely it was watched."
_LOST = {"frame": "pictures", "moment": "moments", "event": "events", "hour": "hours", "day": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    with open_memory(arguments) as memory:
        statuses, account = memory.status(), memory.usage()
    if arguments.json:
        print_json(
            {
                "memory": str(arguments.memory),
                "bytes": account.used_bytes,
                "account": dataclasses.asdict(account),
                "streams": [status.to_dict() for status in statuses],
            }
        )
        return 0
    _print_account(arguments.memory, len(statuses), account)
    for status in statuses:
        _print_stream(status, account)
    return 0


def _print_account(memory: str, streams: int, account: DiskUsage) -> None:
    print_line(
        f"{memory}: {streams} stream{'' if streams == 1 else 's'}, {size(account.used_bytes)}"
        f" of {size(account.budget_bytes)}; {size(account.free_bytes)} free on the disk"
    )
    print_line(f"  words: {_by_rung(account.words)}")
    print_line(f"  pictures: {_by_rung(account.pictures)}")
    readers = f", {account.readers} reading" if account.readers else ""
    print_line(
        f"  indexes: {size(account.indexes)}; old versions: {size(account.old_versions)}{readers};"
        f" steps of questions: {size(account.checkpoints)}; rest: {size(account.rest)}"
    )
    if account.pinned_bytes:
        print_line(f"  pinned: {size(account.pinned_bytes)} of {size(account.pin_quota_bytes)}")


def _by_rung(sizes: Mapping[Rung, int]) -> str:
    return ", ".join(f"{_LOST[rung]} {size(size_bytes)}" for rung, size_bytes in sizes.items())


def _print_stream(status: StreamStatus, account: DiskUsage) -> None:
    name, counts, span = status.stream.name, status.counts, status.coverage.span
    of = f" of {clock(status.stream.duration_s)}" if status.stream.duration_s else ""
    budget = f" of {size(account.stream_budgets[name])}" if name in account.stream_budgets else ""
    print_line(
        f"  {name} ({status.stream.kind}, {status.stream.state}): "
        f"{clock(span.start_s)}–{clock(span.end_s)}{of}, watched {status.coverage.watched_s:.1f} s,"
        f" {size(account.streams.get(name, 0))}{budget}"
    )
    dropped = ", ".join(f"{count} {cause}" for cause, count in counts.dropped.items()) or "0"
    print_line(
        f"    frames: {counts.captured} captured = {counts.stored} stored + {counts.sampled_out} sampled out "
        f"+ {counts.merged} merged + {dropped} dropped"
    )
    if forgotten := status.forgotten_s:
        told = ", ".join(f"{_LOST[lost]} of {clock(seconds)}" for lost, seconds in sorted(forgotten.items()))
        print_line(f"    forgotten: {told}")
    if text := _backlog(status):
        print_line(f"    {text}")
    for gap in status.gaps[-10:]:
        print_line(
            f"    gap {clock(gap.span.start_s)}–{clock(gap.span.end_s)}: {gap.cause} {gap.detail}".rstrip()
        )


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
