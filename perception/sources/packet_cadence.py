"""Packet cadence: how long a live source may be silent before it counts as stalled.

    cadence = PacketCadence(stall_s=5.0, in_segments=False)
    cadence.note(arrival_s=time.monotonic(), media_s=12.4)
    cadence.patience_s           # 5.0, or more for a source that sends in bursts

An HLS server sends a segment of 2 to 10 seconds at once and is then silent until the next one. A camera may send a
picture every ten seconds. It reads no clock.
"""

from __future__ import annotations

from collections import deque

LONGEST_PATIENCE_S = 60.0
"""No silence is longer than this before a source counts as stalled, unless ``stall_s`` is longer."""

_FACTOR = 3.0
"""How many times its usual pause, or the length of its segments, a source may be silent."""
_SAME_BURST_S = 0.5
"""Packets that come closer than this belong to one burst."""
_BURSTS = 8
"""How many of the newest bursts count."""


class PacketCadence:
    """How long a source may be silent, from the packets that it has sent."""

    def __init__(self, stall_s: float, *, in_segments: bool) -> None:
        """``in_segments``: whether the source sends media in pieces, as HLS does."""
        self._stall_s, self._in_segments = stall_s, in_segments
        self._pauses_s: deque[float] = deque(maxlen=_BURSTS)
        self._burst_lengths_s: deque[float] = deque([0.0], maxlen=_BURSTS)
        self._arrival_s: float | None = None
        self._media_from_s: float | None = None

    def note(self, arrival_s: float, media_s: float | None) -> None:
        """Note a packet: when it came, and its own time if it has one."""
        pause_s = 0.0 if self._arrival_s is None else max(0.0, arrival_s - self._arrival_s)
        self._arrival_s = arrival_s
        if pause_s > _SAME_BURST_S:
            self._pauses_s.append(pause_s)
            self._burst_lengths_s.append(0.0)
            self._media_from_s = None
        if media_s is None:
            return
        if self._media_from_s is None:
            self._media_from_s = media_s
        self._burst_lengths_s[-1] = max(self._burst_lengths_s[-1], media_s - self._media_from_s)

    @property
    def patience_s(self) -> float:
        """How long the source may be silent now, in seconds."""
        usual_s = max(self._pauses_s, default=0.0)
        if self._in_segments:
            usual_s = max(usual_s, *self._burst_lengths_s)
        return max(self._stall_s, min(_FACTOR * usual_s, LONGEST_PATIENCE_S))
