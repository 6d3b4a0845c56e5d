"""Live origin: where in elapsed time a live stream begins, so that a later run goes on with the same stream time.

origin = find_live_origin(stream, store.resume(stream.name), read_clocks())
read_clocks().elapsed_s - origin.elapsed_s      # the present stream time
"""

from __future__ import annotations

from dataclasses import replace

from ..memory.stream_catalog import ResumePoint
from ..memory.values import Stream
from .sources.host_clock import Clocks, boot_id, read_clocks
from .sources.live_clock import LiveOrigin


def find_live_origin(
    stream: Stream, point: ResumePoint | None, clocks: Clocks = read_clocks, boot: str | None = None
) -> LiveOrigin:
    """The origin of a live stream. ``point`` is where its memory ends, and ``boot`` names this run of the machine.

    In one run of the machine, elapsed time tells how long ago the memory ended. Otherwise the wall clock does. It
    may have been set back, but stream time never goes back.
    """
    reading = clocks()
    seen_until_s = 0.0 if point is None else point.end_s
    if stream.boot_origin_s is not None and stream.boot_id == (boot_id() if boot is None else boot):
        now_s = reading.elapsed_s - stream.boot_origin_s
    elif point is not None and point.origin_wall_s is not None:
        now_s = reading.wall_s - point.origin_wall_s
    else:
        now_s = 0.0 if stream.origin_wall_s is None else reading.wall_s - stream.origin_wall_s
    return LiveOrigin(
        elapsed_s=reading.elapsed_s - max(now_s, seen_until_s),
        first_epoch=0 if point is None else point.epoch + 1,
        seen_until_s=seen_until_s,
        clocks=clocks,
    )


def with_boot_clock(stream: Stream, origin: LiveOrigin) -> Stream:
    """The stream with the clock by which a later run goes on."""
    return replace(stream, boot_id=boot_id() or None, boot_origin_s=origin.elapsed_s)
