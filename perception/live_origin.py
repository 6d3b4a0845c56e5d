"""Live origin: where in elapsed time a live stream begins, so that a later run goes on with the same stream time.

origin = find_live_origin(stream, store.resume(stream.name), read_clocks())
read_clocks().elapsed_s - origin.elapsed_s      # the present stream time
"""

from __future__ import annotations

from ..memory.stream_catalog import ResumePoint
from ..memory.values import Stream
from .sources.host_clock import Clocks, read_clocks
from .sources.live_clock import LiveOrigin


def find_live_origin(stream: Stream, point: ResumePoint | None, clocks: Clocks = read_clocks) -> LiveOrigin:
    """The origin of a live stream. ``point`` is where its memory ends.

    Since the machine was started, elapsed time tells how long ago the memory ended. Otherwise the wall clock
    does. It may have been set back, but stream time never goes back.
    """
    reading = clocks()
    seen_until_s = 0.0 if point is None else point.end_s
    origin_wall_s = (
        stream.origin_wall_s if point is None or point.origin_wall_s is None else point.origin_wall_s
    )
    now_s = reading.wall_s - (reading.wall_s if origin_wall_s is None else origin_wall_s)
    return LiveOrigin(
        elapsed_s=reading.elapsed_s - max(now_s, seen_until_s),
        first_epoch=0 if point is None else point.epoch + 1,
        seen_until_s=seen_until_s,
        clocks=clocks,
    )
