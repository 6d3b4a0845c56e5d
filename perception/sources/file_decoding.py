"""File decoding: decodes the packets of a file's picture, and gives each picture the timestamp it is shown at.

    decoder = FileDecoder(container, stream, avi_index=None)
    for decoded in decoder.pictures(packets):      # pictures, and losses where decoding failed
        ...

Timestamps are the file's own, counted from its start. ``FileClock`` makes stream times of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from .avi_index import AviIndex
from .file_packets import start_s

_REORDER = 16
"""The most frames that a decoder holds back to reorder them (the limit of H.264 and HEVC)."""

_REMEMBERED = 64
"""The places of so many packets are remembered until their pictures come."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture, its timestamp and what its packet says."""

    picture: av.VideoFrame
    timestamp_s: float | None
    declared_s: float
    """How long the packet says that it is shown. 0 if it does not say."""
    offset: int | None
    """Where its packet lies in the file, in bytes. For AVI, the number of its frame."""


@dataclass(frozen=True, slots=True)
class FailedDecode:
    """A loss near a timestamp."""

    timestamp_s: float | None
    count: int
    """Number of lost frames. 0 where data was skipped and the number is unknown."""


class FileDecoder:
    """Decodes one picture stream. It looks at packets and pictures one after the other."""

    def __init__(self, container: InputContainer, stream: VideoStream, avi_index: AviIndex | None) -> None:
        assert stream.time_base is not None
        self._numerator, self._denominator = stream.time_base.numerator, stream.time_base.denominator
        self._start_s = start_s(container)
        self._avi_index = avi_index
        # AVI and raw streams carry no presentation times. There the nth frame out of the decoder is shown
        # at the time of the nth packet that entered it, in any order of storage.
        self._uses_packet_times = avi_index is not None
        self._packet_times: deque[int | None] = deque(maxlen=_REORDER + 1)
        self._has_begun = False
        self._offsets: dict[int, int] = {}

    def pictures(
        self, packets: Iterable[Packet[VideoStream] | None]
    ) -> Iterator[DecodedPicture | FailedDecode]:
        """Decode all packets. None stands for a read that failed."""
        for packet in packets:
            if packet is None:
                yield FailedDecode(None, 0)
                continue
            timestamp = self._note_packet(packet)
            if packet.is_corrupt and timestamp is not None:
                yield FailedDecode(self._seconds(timestamp), 0)
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                if self._uses_packet_times and self._packet_times:
                    self._packet_times.pop()
                yield FailedDecode(None if timestamp is None else self._seconds(timestamp), 1)
                continue
            for picture in pictures:
                yield self._decoded(picture)

    def _note_packet(self, packet: Packet[VideoStream]) -> int | None:
        """Note a packet that is about to be decoded, and return its timestamp."""
        if not self._has_begun:
            self._has_begun = True
            self._uses_packet_times = self._uses_packet_times or packet.pts is None
        timestamp = packet.pts
        if self._uses_packet_times and packet.size:
            timestamp = packet.dts if self._avi_index is None else self._avi_index.number(packet)
            self._packet_times.append(timestamp)
        if timestamp is not None and packet.pos is not None:
            self._offsets[timestamp] = timestamp if self._avi_index is not None else packet.pos
            if len(self._offsets) > _REMEMBERED:
                del self._offsets[next(iter(self._offsets))]
        return timestamp

    def _decoded(self, picture: av.VideoFrame) -> DecodedPicture | FailedDecode:
        timestamp = picture.pts
        if self._uses_packet_times:
            timestamp = self._packet_times.popleft() if self._packet_times else None
        timestamp_s = None if timestamp is None else self._seconds(timestamp)
        if picture.is_corrupt:
            return FailedDecode(timestamp_s, 1)
        declared_s = max(0, picture.duration or 0) * self._numerator / self._denominator
        offset = None if timestamp is None else self._offsets.get(timestamp)
        return DecodedPicture(picture, timestamp_s, declared_s, offset)

    def _seconds(self, timestamp: int) -> float:
        return timestamp * self._numerator / self._denominator - self._start_s
