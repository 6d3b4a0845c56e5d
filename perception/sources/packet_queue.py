"""Packet queue: encoded packets of a live source, between the thread that receives and the one that decodes.

    waiting = PacketQueue(max_bytes=64 << 20)
    waiting.put(packet, arrival_s=time.monotonic())     # the receiving thread
    while (arrived := waiting.get()) is not None:       # the decoding thread
        arrived.packet, arrived.arrival_s, arrived.dropped

Encoded packets are small, so a burst waits here as long as the decoder needs. ``drop_waiting`` sheds what waits, up
to the newest key frame, from which a decoder can go on.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import av
from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class ArrivedPacket:
    """A packet and when it came."""

    packet: av.Packet[VideoStream]
    arrival_s: float
    """Monotonic seconds, comparable between the processes of a machine."""
    dropped: int
    """Packets dropped just before it. The decoder cannot go on from what it knows."""


class PacketQueue:
    """Packets in the order of their arrival. One thread puts, another gets."""

    def __init__(self, max_bytes: int, *, waits: bool = False) -> None:
        """Where the queue is full, a source that ``waits`` is made to wait. Of any other, what waits is dropped."""
        self._max_bytes = max_bytes
        self._waits = waits
        self._packets: deque[tuple[av.Packet[VideoStream], float]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, packet: av.Packet[VideoStream], arrival_s: float) -> None:
        """Add a packet."""
        with self._changed:
            if self._waits:
                self._changed.wait_for(lambda: self._bytes <= self._max_bytes or self._is_closed)
            self._packets.append((packet, arrival_s))
            self._bytes += packet.size
            while self._bytes > self._max_bytes and not self._waits:
                self._drop_waiting()
            self._changed.notify_all()

    def get(self) -> ArrivedPacket | None:
        """The oldest packet, as soon as there is one. None after the last packet of a closed queue."""
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._is_closed)
            if not self._packets:
                return None
            packet, arrival_s = self._packets.popleft()
            self._bytes -= packet.size
            arrived = ArrivedPacket(packet, arrival_s, self._dropped)
            self._dropped = 0
            self._changed.notify_all()
            return arrived

    def drop_waiting(self) -> None:
        """Drop the packets before the newest key frame that waits, or all. The next one tells how many."""
        with self._changed:
            self._drop_waiting()

    def take_dropped(self) -> int:
        """The number of packets dropped after the last one that was got."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is put."""
        return self._is_closed

    def close(self) -> None:
        """Nothing more is put. What waits can still be got."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _drop_waiting(self) -> None:
        keys = [index for index, (packet, _) in enumerate(self._packets) if packet.is_keyframe and index]
        for _ in range(keys[-1] if keys else len(self._packets)):
            packet, _arrival_s = self._packets.popleft()
            self._bytes -= packet.size
            self._dropped += packet.size > 0  # the empty packet at the end of a stream is no picture
