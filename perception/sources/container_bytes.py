"""Container bytes: reads the structure of a file, to know whether bytes are missing between two packets.

    structure = container_bytes(path, "matroska,webm")
    structure.is_intact(start, end)      # False: something between these two offsets is damaged
    structure.declared_duration_s()      # what the header says, or None

FFmpeg skips damaged bytes of these containers without a word. Here their elements, tags or pages are followed from
one packet to the next, without their content. Only the bytes between the two offsets are read.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from .asf_bytes import AsfBytes
from .file_bytes import FileLocation


class ContainerBytes(Protocol):
    """The bytes of one file."""

    def is_intact(self, start: int, end: int) -> bool:
        """Whether the elements from the packet at ``start`` to the one at ``end`` follow each other without a break."""

    def declared_duration_s(self) -> float | None:
        """The duration in the header. None if there is none."""


def container_bytes(path: FileLocation, format_name: str) -> ContainerBytes | None:
    """The structure of a file. None for containers whose structure is not followed."""
    kinds: dict[str, Callable[[FileLocation], ContainerBytes]] = {
        "matroska": MatroskaBytes,
        "flv": FlvBytes,
        "asf": AsfBytes,
        "ogg": OggBytes,
    }
    kind = kinds.get(format_name.partition(",")[0])
    return None if kind is None else kind(path)


class _Element(NamedTuple):
    """An EBML element."""

    id: int
    start: int
    data_start: int
    end: int | None
    """None where the size is unknown, as in live recordings."""


_CLUSTER = 0x1F43B675
_INFO = 0x1549A966
_DURATION = 0x4489
_TIMESTAMP_SCALE = 0x2AD7B1
_SEGMENT = 0x18538067
_OPENED = {_SEGMENT, _CLUSTER}
"""Segment and cluster: their children follow in the same walk."""
_UPPER = {_CLUSTER, _INFO, 0x1A45DFA3, 0x114D9B74, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469}
"""Elements that are no children of a cluster, and so end one of unknown size."""
_IN_CLUSTER = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0x5854}
_ANYWHERE = {0xEC, 0xBF}
_KNOWN = _OPENED | _UPPER | _IN_CLUSTER | _ANYWHERE
_BLOCK_HEADER = 32
"""A block begins at most so many bytes after the start of its group."""
_CHUNK = 1 << 16


class MatroskaBytes:
    """Matroska and WebM: a segment of clusters, which hold the packets as blocks."""

    def __init__(self, path: FileLocation) -> None:
        self._path, self._size = path, path.stat().st_size
        self._clusters: list[_Element] = []
        """Those found so far, in order."""

    def is_intact(self, start: int, end: int) -> bool:
        """See ``ContainerBytes``. ``start`` and ``end`` lie inside the blocks of the two packets."""
        with self._path.open("rb") as file:
            self._find_clusters(file, end)
            index = bisect_right(self._clusters, start, key=lambda cluster: cluster.start) - 1
            if index < 0:
                return False
            position, cluster_end, element = self._clusters[index].start, None, None
            while position < end:
                element = _read_element(file, position)
                if element is None:
                    return False
                if element.id == _CLUSTER:
                    cluster_end = element.end
                elif (
                    element.id in _IN_CLUSTER and cluster_end is not None and (element.end or 0) > cluster_end
                ):
                    return False
                if element.id in _OPENED:
                    position = element.data_start
                elif element.end is None:
                    return False
                else:
                    position = element.end
        # The last element is the block of the packet at ``end``, and not one whose size reaches across a cut.
        return element is not None and end - element.data_start <= _BLOCK_HEADER

    def declared_duration_s(self) -> float | None:
        """See ``ContainerBytes``."""
        with self._path.open("rb") as file:
            for element in self._walk(file, 0):
                if element.id == _CLUSTER:
                    return None
                if element.id == _INFO and element.end is not None:
                    return _info_duration_s(file, element.data_start, min(element.end, self._size))
        return None

    def _find_clusters(self, file: BinaryIO, until: int) -> None:
        """Find the clusters that begin before ``until``. A damaged stretch is skipped to the next cluster."""
        position = 0
        if self._clusters:
            position = _after(self._clusters[-1])
        while position < until:
            for element in self._walk(file, position):
                position = _after(element)
                if element.id == _CLUSTER:
                    self._clusters.append(element)
                if position >= until:
                    return
            position = _find(file, _CLUSTER.to_bytes(4, "big"), position + 1, until)

    def _walk(self, file: BinaryIO, position: int) -> Iterator[_Element]:
        """Elements from ``position`` on, as long as they are known. Clusters of known size are not opened."""
        while (element := _read_element(file, position)) is not None:
            yield element
            position = _after(element)


def _after(element: _Element) -> int:
    """Where the walk over segments and clusters goes on after an element."""
    return element.data_start if element.end is None or element.id == _SEGMENT else element.end


def _read_element(file: BinaryIO, position: int) -> _Element | None:
    """The element at ``position``. None if no known element begins there."""
    try:
        file.seek(position)
    except (OSError, OverflowError):  # the element before has an absurd size
        return None
    head = file.read(12)
    if not head or not head[0]:
        return None
    id_length = 9 - head[0].bit_length()
    kind = int.from_bytes(head[:id_length], "big")
    if kind not in _KNOWN or len(head) <= id_length or not head[id_length]:
        return None
    length = 9 - head[id_length].bit_length()
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(head[id_length : id_length + length], "big") & mask
    data_start = position + id_length + length
    return _Element(kind, position, data_start, None if size == mask else data_start + size)


def _info_duration_s(file: BinaryIO, start: int, end: int) -> float | None:
    file.seek(start)
    data = file.read(min(end - start, _CHUNK))
    scale, duration, position = 1_000_000, None, 0
    while position + 2 <= len(data):
        id_length = 9 - data[position].bit_length()
        kind = int.from_bytes(data[position : position + id_length], "big")
        position += id_length
        if position >= len(data) or not data[position]:
            break
        length = 9 - data[position].bit_length()
        size = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
        value = data[position + length : position + length + size]
        position += length + size
        if kind == _TIMESTAMP_SCALE:
            scale = int.from_bytes(value, "big")
        elif kind == _DURATION and len(value) in (4, 8):
            duration = struct.unpack(">f" if len(value) == 4 else ">d", value)[0]
    return None if duration is None or not 0 < duration < 1e15 else duration * scale / 1e9


def _find(file: BinaryIO, needle: bytes, position: int, until: int) -> int:
    """The offset at which ``needle`` begins, from ``position`` on. ``until`` if it is not found before."""
    tail = b""
    file.seek(position)
    while position < until and (chunk := file.read(_CHUNK)):
        index = (tail + chunk).find(needle)
        if index >= 0:
            return position - len(tail) + index
        position += len(chunk)
        tail = (tail + chunk)[-len(needle) + 1 :]
    return until


class FlvBytes:
    """Flash video: a chain of tags, each with its size."""

    def __init__(self, path: FileLocation) -> None:
        self._path = path

    def is_intact(self, start: int, end: int) -> bool:
        """See ``ContainerBytes``."""
        with self._path.open("rb") as file:
            while start < end:
                file.seek(start)
                head = file.read(11)
                # The kind is audio, video or script data, and the number of the stream is always 0.
                if len(head) < 11 or head[0] & 0x1F not in (8, 9, 18) or any(head[8:11]):
                    return False
                start += 15 + int.from_bytes(head[1:4], "big")
        return start == end

    def declared_duration_s(self) -> float | None:
        """See ``ContainerBytes``. It is a number in the script data at the beginning."""
        with self._path.open("rb") as file:
            head = file.read(_CHUNK)
        position = head.find(b"\0\x08duration\0")
        if position < 0 or len(head) < position + 19:
            return None
        duration_s: float = struct.unpack(">d", head[position + 11 : position + 19])[0]
        return duration_s if 0 < duration_s < 1e9 else None


class OggBytes:
    """Ogg: pages, which each of its streams numbers."""

    def __init__(self, path: FileLocation) -> None:
        self._path = path

    def is_intact(self, start: int, end: int) -> bool:
        """See ``ContainerBytes``."""
        numbers: dict[bytes, int] = {}
        with self._path.open("rb") as file:
            while start <= end:
                file.seek(start)
                head = file.read(27)
                if len(head) < 27 or head[:4] != b"OggS":
                    return False
                serial, number = head[14:18], int.from_bytes(head[18:22], "little")
                if numbers.get(serial, number - 1) != number - 1:
                    return False
                numbers[serial] = number
                length = 27 + head[26] + sum(file.read(head[26]))
                if start == end:
                    return True
                start += length
        return False

    def declared_duration_s(self) -> float | None:
        """See ``ContainerBytes``. Ogg has no such header."""
        return None
