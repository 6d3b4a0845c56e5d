"""ASF bytes: reads the data packets of an ASF or WMV file, to know whether parts of its pictures are missing.

    AsfBytes(path).is_intact(start, end)      # False: a payload between these two offsets does not follow the last

FFmpeg skips damaged packets and payloads without a word. All data packets of a file have one size. Each holds payloads,
which are fragments of numbered objects: an object is a picture, or a piece of sound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .file_bytes import FileLocation

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ERROR_CORRECTION = b"\x82\0\0"
"""Nearly every writer begins each data packet with it."""
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_MAX_HEADER = 1 << 16
_SIZES = (0, 1, 2, 4)
"""Bytes of a number, by the two bits that tell its size."""


class _Payload(NamedTuple):
    """A fragment of an object."""

    stream: int
    number: int
    """Of the object. It counts up, and begins again when its bytes are full."""
    numbers: int
    """How many different numbers there are."""
    offset: int
    """Of the fragment in the object."""
    end: int
    size: int
    """Of the whole object."""

    def follows(self, before: _Payload) -> bool:
        """Whether nothing is missing between the last payload of the stream and this one."""
        if self.offset:
            return self.number == before.number and self.offset == before.end
        return before.end == before.size and self.number == (before.number + 1) % self.numbers


class AsfBytes:
    """ASF and WMV: a header, and data packets of one size."""

    def __init__(self, path: FileLocation) -> None:
        self._path = path
        with path.open("rb") as file:
            header = file.read(_MAX_HEADER)
            # The packets follow the header of the data object.
            self._data_start = header.find(_DATA) + 50
            file.seek(min(self._data_start, path.stat().st_size))
            self._is_usual = file.read(3) == _ERROR_CORRECTION
        position = header.find(_FILE_PROPERTIES)
        self._properties = header[position : position + 104] if position >= 0 else b""

    def is_intact(self, start: int, end: int) -> bool:
        """See ``ContainerBytes``."""
        packet_size = int.from_bytes(self._properties[96:100], "little")
        if packet_size < 16 or not self._is_usual or start < self._data_start:
            return True  # unusual, so that nothing is known
        first = self._data_start + (start - self._data_start) // packet_size * packet_size
        last: dict[int, _Payload] = {}
        with self._path.open("rb") as file:
            for offset in range(first, end + 1, packet_size):
                file.seek(offset)
                try:
                    payloads = list(_payloads(file.read(packet_size)))
                except (ValueError, IndexError):
                    return False
                for payload in payloads:
                    before = last.get(payload.stream)
                    if before is not None and not payload.follows(before):
                        return False
                    last[payload.stream] = payload
        return True

    def declared_duration_s(self) -> float | None:
        """See ``ContainerBytes``. The header counts the time that players buffer ahead."""
        if len(self._properties) < 88:
            return None
        play, _, preroll_ms = struct.unpack("<QQQ", self._properties[64:88])
        duration_s: float = play / 1e7 - preroll_ms / 1e3
        return duration_s if 0 < duration_s < 1e9 else None


class _Numbers:
    """Reads little-endian numbers of varying size, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self.position = data, 0

    def next(self, size: int) -> int:
        """Raises ``ValueError`` beyond the end."""
        value = self._data[self.position : self.position + size]
        if len(value) < size:
            raise ValueError("the packet ends too early")
        self.position += size
        return int.from_bytes(value, "little")


def _payloads(packet: bytes) -> Iterator[_Payload]:
    """The payloads of a data packet.

    Raises:
        ValueError: The packet is damaged.
    """
    if not packet.startswith(_ERROR_CORRECTION):
        raise ValueError("there is no packet here")
    numbers = _Numbers(packet)
    numbers.next(len(_ERROR_CORRECTION))
    flags, properties = numbers.next(1), numbers.next(1)
    numbers.next(_SIZES[flags >> 5 & 3])
    numbers.next(_SIZES[flags >> 1 & 3])
    end = len(packet) - numbers.next(_SIZES[flags >> 3 & 3])
    numbers.next(6)  # when it is sent, and for how long
    count, length_size = 1, 0
    if flags & 1:
        several = numbers.next(1)
        count, length_size = several & 0x3F, _SIZES[several >> 6]
    number_size = _SIZES[properties >> 4 & 3]
    for _ in range(count):
        stream = numbers.next(1) & 0x7F
        number, offset = numbers.next(number_size), numbers.next(_SIZES[properties >> 2 & 3])
        about_size = numbers.next(_SIZES[properties & 3])
        if about_size < 8:
            return  # several objects in one payload, which are too small for fragments
        size = numbers.next(4)
        numbers.next(about_size - 4)
        length = numbers.next(length_size) if length_size else end - numbers.position
        numbers.position += length
        if length < 0 or numbers.position > end:
            raise ValueError("a payload ends outside its packet")
        yield _Payload(stream, number, 256**number_size, offset, offset + length, size)
