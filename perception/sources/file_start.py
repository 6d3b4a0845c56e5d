"""File start: finds where to begin reading a file, so that all frames from a time on are as if read from the start.

start = find_start(path, from_s=60.0)
with open_video(path) as (container, stream):
    if start.seek_to is not None:
        container.seek(start.seek_to, stream=stream)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .container import open_video
from .file_bytes import FileLocation
from .file_clock import CLOCK_JUMP_S
from .file_packets import FilePackets, start_s

_INDEXED = ("mov,mp4", "matroska")
"""Containers with an index of key frames. Their seeks can be used after a check."""


@dataclass(frozen=True, slots=True)
class FileStart:
    """Where to begin reading."""

    seek_to: int | None = None
    """The timestamp to seek to. None to read from the start."""
    skipped_packets: int = 0
    """Packets of the picture that are read and not decoded."""

    @property
    def is_file_start(self) -> bool:
        """Whether the first picture decoded is the first of the file."""
        return self.seek_to is None and not self.skipped_packets


def find_start(path: FileLocation, from_s: float, *, can_seek: bool = True) -> FileStart:
    """Find the position from which all frames from ``from_s`` on are as if read from the start.

    It is a key frame shown before ``from_s``, never at it, because sampling a frame depends on the frame
    before. Unless the reader ``can_seek``, there are only packets to skip. Where a frame's time depends on all frames before it, it is the start of the file.
    """
    if from_s <= 0:
        return FileStart()
    with open_video(path) as (container, stream):
        if container.format.name.startswith(_INDEXED) and can_seek:
            return _by_index(container, stream, from_s) or FileStart()
        if container.format.name == "avi":
            return FileStart()
        return FileStart(skipped_packets=_packets_before(container, stream, path.stat().st_size, from_s))


def _by_index(container: InputContainer, stream: VideoStream, from_s: float) -> FileStart | None:
    assert stream.time_base is not None
    zero_s = start_s(container)
    if container.duration and from_s > container.duration / av.time_base:
        return None  # A second recording may follow the first, with times of its own.
    # Indexes are in decoding order, so a seek may find a key frame that is shown too late.
    for margin_s in (0.5, 5.0):
        target = math.floor((from_s - margin_s + zero_s) / stream.time_base)
        try:
            container.seek(target, stream=stream)
            first = next(container.demux(stream), None)
        except (av.FFmpegError, IndexError):
            continue
        if first is None or not first.is_keyframe or first.pts is None:
            continue
        if 0 < float(first.pts * stream.time_base) - zero_s < from_s:
            return FileStart(seek_to=target)
    return None


def _packets_before(container: InputContainer, stream: VideoStream, size_bytes: int, from_s: float) -> int:
    """The number of packets before the last key frame shown before ``from_s``.

    Reads the packets without decoding them. If some times are missing, do not rise or jump, a frame's time
    depends on all frames before it, and the result is 0.
    """
    assert stream.time_base is not None
    before, last_s, zero_s = 0, 0.0, start_s(container)
    packets = FilePackets(container, stream, size_bytes, from_start=True, may_jump=True)
    for count, packet in enumerate(packets):
        if packet is not None and not packet.size:
            break
        if packet is None or packet.pts is None or packet.dts is None or packet.is_corrupt:
            return 0
        dts_s = float(packet.dts * stream.time_base) - zero_s
        if not (dts_s > last_s or count == 0) or not -1.0 < dts_s - last_s <= CLOCK_JUMP_S:
            return 0
        last_s = dts_s
        if packet.is_keyframe and float(packet.pts * stream.time_base) - zero_s < from_s:
            before = count
        if dts_s >= from_s:
            break
    return before
