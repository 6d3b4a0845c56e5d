"""AVI index: tells which frame a packet of an AVI file is, by its place in the file.

An AVI file has no timestamps: the nth packet of the picture is the nth frame. If bytes were damaged or cut out, a
reader that counts packets takes all later frames for earlier ones. The index at the end of the file, which lists
every packet with its place and size, gives their true numbers.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right

from av.packet import Packet
from av.video.stream import VideoStream

from .file_bytes import FileLocation

_HEADER = 8
"""Bytes of a chunk's header, between the place in the index and the place of a packet."""

_TAIL_BYTES = 1 << 26
"""At most so many bytes at the end of the file are searched for the index."""


class AviIndex:
    """Numbers the packets of one picture stream."""

    def __init__(self, entries: list[tuple[int, int, int]], removed_bytes: int = 0) -> None:
        """``entries`` are numbers, places and sizes. ``removed_bytes`` are missing from the file."""
        self._numbers = {place: (number, size) for number, place, size in entries}
        self._filled = sorted(number for number, _, size in entries if size)
        self._removed_bytes = removed_bytes
        self._next = 0

    @classmethod
    def of(cls, stream: VideoStream, path: FileLocation | None) -> AviIndex:
        """The index of a stream, read by FFmpeg, or from the file where FFmpeg rejects it."""
        entries = [(entry.timestamp, entry.pos, entry.size) for entry in stream.index_entries]
        if len(entries) > 1 or path is None:
            return cls(entries)
        return cls(*_read_index(path, stream.index))

    @property
    def end(self) -> int:
        """The number after that of the last frame listed."""
        return self._filled[-1] + 1 if self._filled else 0

    def number(self, packet: Packet[VideoStream]) -> int:
        """The number of the packet's frame. Where the index does not list it, it follows the one before."""
        number = self._next
        if packet.pos is not None:
            for place in (packet.pos - _HEADER, packet.pos - _HEADER + self._removed_bytes):
                listed, size = self._numbers.get(place, (-1, 0))
                if listed >= number and size == packet.size:
                    number = listed
                    break
        self._next = number + 1
        return number

    def has_lost(self, before: int, after: int) -> bool:
        """Whether frames between two numbers are listed with content. An empty one repeats the picture before it."""
        return bisect_left(self._filled, after) > bisect_right(self._filled, before)


def _read_index(path: FileLocation, stream_index: int) -> tuple[list[tuple[int, int, int]], int]:
    """The entries of a stream in the file's own index, and the number of bytes that are missing before it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(min(size, 1 << 20))
        movi = head.find(b"movi")
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    start = tail.rfind(b"idx1")
    if movi < 4 or start < 0:
        return [], 0
    index_place = size - len(tail) + start
    expected_place = movi + int.from_bytes(head[movi - 4 : movi], "little")
    count = min(int.from_bytes(tail[start + 4 : start + 8], "little"), len(tail) - start - 8) // 16
    listed = list(struct.iter_unpack("<4sIII", tail[start + 8 : start + 8 + 16 * count]))
    # Places count from the word "movi" or, in some files, from the start of the file.
    base = movi if listed and listed[0][2] < movi else 0
    wanted = (b"%02ddc" % stream_index, b"%02ddb" % stream_index)
    chunks = [(base + place, length) for kind, _, place, length in listed if kind in wanted]
    return [(number, *chunk) for number, chunk in enumerate(chunks)], max(0, expected_place - index_place)
