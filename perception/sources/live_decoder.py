"""Decodes the packets of a live source, whole or its key frames only, and knows when each frame's packet arrived.

    decoder = LiveDecoder(stream.codec_context, lost)
    for frame, arrival_s in decoder.frames(arrived, rate): ...
    decoder.skip()          # the packet at hand is not decoded: go on with the next key frame

Packets that are not decoded are counted in ``lost``. It decides nothing: the rate comes from the ``overload_ladder``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ...memory.watch_rate import WatchRate
from .frame_sampling import SparseSampler
from .packet_queue import ArrivedPacket


class LiveDecoder:
    """The decoder of one connection."""

    def __init__(self, context: VideoCodecContext, lost: Counter[str]) -> None:
        self._context = context
        # Frames come later than their packets and in another order. Each carries what its packet carried.
        context.copy_opaque = True
        self._lost = lost
        self._waits_for_key = False
        self._has_decoded = False
        self._sampler = SparseSampler()

    def skip(self) -> None:
        """Leave a packet out. Decoding goes on with the next key frame."""
        self._lost["overload"] += 1
        self._waits_for_key = True

    def frames(self, arrived: ArrivedPacket, rate: WatchRate) -> Iterator[tuple[av.VideoFrame, float]]:
        """The frames that the decoder has ready after this packet, each with the arrival of its own packet."""
        packet = arrived.packet
        if arrived.dropped:
            self._lost["overload"] += arrived.dropped
            self._waits_for_key = True
        if not packet.size:
            yield from self._decode(None, arrived.arrival_s)
        elif (self._waits_for_key or rate.key_frames_only) and not packet.is_keyframe:
            self.skip()
        elif rate.key_frames_only and not self._sampler.takes(_time_s(arrived), rate.fps):
            self.skip()  # every frame of some codecs is a key frame
        else:
            if self._waits_for_key:
                self._context.flush_buffers()
            # A decoder may hold a frame back until others come. Alone, a key frame must not wait for the next one.
            self._waits_for_key = rate.key_frames_only
            packet.opaque = arrived.arrival_s
            yield from self._decode(packet, arrived.arrival_s)
            if rate.key_frames_only:
                yield from self._decode(None, arrived.arrival_s)

    def _decode(
        self, packet: av.Packet[VideoStream] | None, arrival_s: float
    ) -> Iterator[tuple[av.VideoFrame, float]]:
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            # A source that is joined between two key frames is not damaged.
            if packet is not None and self._has_decoded:
                self._lost["damaged"] += 1
            return
        for frame in frames:
            self._has_decoded = True
            yield frame, frame.opaque if isinstance(frame.opaque, float) else arrival_s


def _time_s(arrived: ArrivedPacket) -> float:
    """The time of a packet by the source's clock, or by its arrival where the source has none."""
    packet = arrived.packet
    if packet.pts is None or packet.time_base is None:
        return arrived.arrival_s
    return float(packet.pts * packet.time_base)
