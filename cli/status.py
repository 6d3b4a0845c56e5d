"""``recollect status``: print the streams of a memory, its disk usage and its backlog."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from ..common.clock_times import format_time
from ..common.terminal import print_json, print_line
from ..common.text import shortened
from ..serialization import to_plain
from .arguments import open_memory
from .printing import LEVEL_NOUNS, format_size, plural

if TYPE_CHECKING:
    from ..memory.keeping.disk_usage import DiskUsage
    from ..memory.values import Rung
    from ..stream_activity import StreamActivity
    from ..stream_status import StreamStatus

DESCRIPTION = "Print the streams of a memory, how completely they were watched, and the disk usage."
_MOST_GAPS = 10
_SILENT_S = 10.0
"""A watching process tells how it goes about once a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        statuses, usage = memory.status(), memory.usage()
    if arguments.json:
        print_json(
            {
                "memory": str(arguments.memory),
                "bytes": usage.used_bytes,
                "account": to_plain(usage),
                "streams": to_plain(statuses),
            }
        )
        return 0
    _print_usage(arguments.memory, len(statuses), usage)
    for status in statuses:
        _print_stream(status, usage)
    return 0


def _print_usage(memory: str, streams: int, usage: DiskUsage) -> None:
    print_line(
        f"{memory}: {plural(streams, 'stream')}, {format_size(usage.used_bytes)}"
        f" of {format_size(usage.budget_bytes)}; {format_size(usage.free_bytes)} free on the disk"
    )
    print_line(f"  text: {_by_rung(usage.words)}")
    print_line(f"  pictures: {_by_rung(usage.pictures)}")
    readers = f", {usage.readers} reading" if usage.readers else ""
    print_line(
        f"  indexes: {format_size(usage.indexes)}; old versions: {format_size(usage.old_versions)}{readers};"
        f" traces of questions: {format_size(usage.checkpoints)}; rest: {format_size(usage.rest)}"
    )
    if usage.pinned_bytes:
        print_line(f"  pinned: {format_size(usage.pinned_bytes)} of {format_size(usage.pin_quota_bytes)}")


def _by_rung(sizes: Mapping[Rung, int]) -> str:
    return ", ".join(f"{LEVEL_NOUNS[rung]} {format_size(size_bytes)}" for rung, size_bytes in sizes.items())


def _print_stream(status: StreamStatus, usage: DiskUsage) -> None:
    name, counts, span = status.stream.name, status.counts, status.coverage.span
    duration = f" of {format_time(status.stream.duration_s)}" if status.stream.duration_s else ""
    budget_bytes = usage.stream_budgets.get(name)
    budget = "" if budget_bytes is None else f" of {format_size(budget_bytes)}"
    print_line(
        f"  {name} ({status.stream.kind}, {status.state}): "
        f"{format_time(span.start_s)}–{format_time(span.end_s)}{duration}, watched {status.coverage.watched_s:.1f} s,"
        f" {format_size(usage.streams.get(name, 0))}{budget}"
    )
    if status.activity is not None:
        print_line(f"    {_activity(status.activity)}")
    dropped = ", ".join(f"{count} {cause}" for cause, count in counts.dropped.items()) or "0"
    print_line(
        f"    frames: {counts.captured} captured = {counts.stored} stored + {counts.sampled_out} sampled out "
        f"+ {counts.merged} merged + {dropped} dropped"
    )
    if status.forgotten_s:
        levels = sorted(status.forgotten_s.items())
        text = ", ".join(f"{LEVEL_NOUNS[level]} of {format_time(seconds)}" for level, seconds in levels)
        print_line(f"    no longer stored: {text}")
    if text := _backlog(status):
        print_line(f"    {text}")
    for reduced in status.coverage.reduced[-_MOST_GAPS:]:
        times = f"{format_time(reduced.span.start_s)}–{format_time(reduced.span.end_s)}"
        print_line(f"    overloaded {times}: {reduced.rate}")
    for gap in status.gaps[-_MOST_GAPS:]:
        times = f"{format_time(gap.span.start_s)}–{format_time(gap.span.end_s)}"
        print_line(f"    gap {times}: {gap.cause} {gap.detail}".rstrip())


def _activity(activity: StreamActivity) -> str:
    """What is being done with a stream, in a line."""
    since = "" if activity.since_s is None else f" since {_clock_time(activity.since_s)}"
    if activity.state == "interrupted":
        when = f" at {_clock_time(activity.since_s)}" if activity.since_s else ""
        return f"watching was interrupted{when}: {activity.detail}"
    parts = [f"now: {activity.state.replace('_', ' ')}{since}"]
    if activity.cause:
        failures = plural(activity.attempts, "failed attempt")
        parts.append(f"{activity.cause}: {activity.detail} ({failures})")
    elif activity.state not in ("live", "watching", "describing") and activity.detail:
        parts.append(activity.detail)
    if activity.last_frame_age_s is not None:
        parts.append(f"last frame {activity.last_frame_age_s:.1f} s ago")
    if activity.state == "live":
        parts.append(f"{activity.frames_per_s:.1f} frames a second, lag {activity.lag_s:.1f} s")
    if activity.reconnects:
        parts.append(plural(activity.reconnects, "reconnect"))
    if (silent_s := time.time() - activity.told_s) > _SILENT_S:
        parts.append(f"the watching process has said nothing for {silent_s:.0f} s")
    return ", ".join(parts)


def _clock_time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")


def _backlog(status: StreamStatus) -> str:
    """The backlog of a stream in a line; empty if nothing waits or failed."""
    backlog, parts = status.backlog, []
    if status.oldest_waiting_s is not None:
        parts.append(f"{backlog.waiting} waiting, the oldest for {format_time(status.oldest_waiting_s)}")
    if backlog.given_up:
        parts.append(f"{backlog.given_up} failed")
    if backlog.last_error:
        parts.append(f"last error: {shortened(backlog.last_error, 200)}")
    return f"descriptions: {'; '.join(parts)}" if parts else ""
