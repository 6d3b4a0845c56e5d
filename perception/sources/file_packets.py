"""File packets: reads the packets of a file to its end, past damage, and follows its other tracks on the way.

    packets = FilePackets(container, stream, size_bytes)
    for packet in packets:               # the picture's, with None for each read that failed
        ...
    packets.others_end_s                 # where the sound read so far, or another picture, ends

Packets of tracks that appear later in the file are passed over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from .file_clock import FileClock
from .video_choice import moving_pictures

_LEAST_READ_ERRORS = 10
"""So many failed reads in a row are tried again in any file."""

_BYTES_PER_READ_ERROR = 4096
"""In a large file, more of them: each skips a part of a damaged stretch."""

_UNREAD_BYTES = 1 << 14
"""A larger step from one packet to the next leaves out more than headers."""


class FilePackets:
    """The packets of one picture stream. Iterate over it once."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        size_bytes: int | None,
        *,
        from_start: bool,
        may_jump: bool,
    ) -> None:
        self._container, self._stream = container, stream
        self._most_errors = _LEAST_READ_ERRORS + (size_bytes or 0) // _BYTES_PER_READ_ERROR
        self._start_s = start_s(container)
        others = {
            track.index: track
            for track in (*container.streams.audio, *moving_pictures(container))
            if track.index != stream.index
        }
        self._others = {index: FileClock[float](from_start=from_start, may_jump=may_jump) for index in others}
        self._units_s = {index: float(track.time_base or 0) for index, track in others.items()}
        """The unit of each track's timestamps, in seconds."""
        self._unread: list[tuple[int, int]] = []
        self.read_until = 0
        """The offset in the file up to which packets were read."""
        self.others_end_s = 0.0
        self.ends_in_later_track = False
        """Whether packets of a track that appeared later came after the last."""

    def __iter__(self) -> Iterator[Packet[VideoStream] | None]:
        packets, failures = self._container.demux(), 0
        while failures < self._most_errors:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except IndexError:  # PyAV's answer to a packet of a track that appeared after the file was opened
                packets = self._container.demux()
                failures += 1
                self.ends_in_later_track = True
                continue
            except av.FFmpegError:
                packets = self._container.demux()
                failures += 1
                yield None
                continue
            failures = 0
            self._note_place(packet.pos, packet.size)
            # The last packets, which flush the decoders, have no number of their own.
            index = packet.stream.index
            if index == self._stream.index:
                self.ends_in_later_track = self.ends_in_later_track and not packet.size
                yield packet  # type: ignore[misc]
            elif index in self._others:
                self._note_other(packet)
        for clock in self._others.values():
            self._extend_others(clock.finish())

    def has_unread(self, start: int, end: int) -> bool:
        """Whether bytes between two offsets were passed over, more than headers need."""
        index = bisect_right(self._unread, (start, start)) - 1
        return any(
            skipped_from < end and skipped_to > start
            for skipped_from, skipped_to in self._unread[max(0, index) :]
        )

    def _note_place(self, offset: int | None, size: int) -> None:
        if offset is None or not size:
            return
        # In a transport stream, a packet takes more bytes than its size.
        if offset - self.read_until > _UNREAD_BYTES + size and self.read_until:
            self._unread.append((self.read_until, offset))
        self.read_until = max(self.read_until, offset + size)

    def _note_other(self, packet: Packet) -> None:  # type: ignore[type-arg]
        if packet.pts is None or not packet.size:
            return
        index = packet.stream_index
        unit_s = self._units_s[index]
        timestamp_s = packet.pts * unit_s - self._start_s
        self._extend_others(self._others[index].push(timestamp_s, (packet.duration or 0) * unit_s))

    def _extend_others(self, settled: list[tuple[float, float]]) -> None:
        for time_s, length_s in settled:
            self.others_end_s = max(self.others_end_s, time_s + length_s)


def start_s(container: InputContainer) -> float:
    """The timestamp at stream time 0."""
    return (container.start_time or 0) / av.time_base
