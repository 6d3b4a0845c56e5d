"""Packet reports: tells the parent of a reader process which packets arrive, also those that show no picture yet.

    for packet in reported_packets(source, stall_s=5.0, report=outbox.send):
        ...                                       # packets of the video only

The parent then knows a source that waits for a key frame, or sends sound first, from one that is silent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from .live_opening import LiveInput, VideoPacket
from .packet_cadence import PacketCadence

_EVERY_S = 0.5
"""The time between two reports, while packets arrive."""
_GREW = 1.1
"""By how much the source is given longer before that is reported at once."""


def reported_packets(source: LiveInput, stall_s: float, report: Callable[..., None]) -> Iterator[VideoPacket]:
    """Yield the video packets of ``source``. ``report`` is called on this thread with the fields of a message."""
    cadence = PacketCadence(stall_s, in_segments=source.in_segments)
    counts, reported_s, reported_patience_s = Counter[str](), 0.0, stall_s
    for packet in source.packets():
        now_s = time.monotonic()
        if packet is None:
            counts["other"] += 1
        elif packet.size:
            cadence.note(now_s, _time_s(packet))
            counts["video"] += 1
            counts["key"] += packet.is_keyframe
        patience_s = cadence.patience_s
        # The silence after a burst must not be judged by what was known when the burst began.
        if now_s - reported_s >= _EVERY_S or patience_s > _GREW * reported_patience_s:
            reported_s, reported_patience_s = now_s, patience_s
            report(kind="packets", patience_s=patience_s, **counts)
        if packet is not None:
            yield packet


def _time_s(packet: VideoPacket) -> float | None:
    if packet.dts is None or packet.time_base is None:
        return None
    return float(packet.dts * packet.time_base)
