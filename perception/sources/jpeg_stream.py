"""Cuts the JPEG pictures out of a stream of bytes: multipart in any dialect, or one picture after another.

    splitter = JpegSplitter()
    for data in connection:
        for jpeg in splitter.push(data): ...     # complete pictures, as soon as their last byte has come

Cameras disagree about boundaries and lengths, and FFmpeg's reader of multipart refuses some of them. A JPEG says
itself where it ends, so the bytes between pictures are skipped, whatever they are.
"""

from __future__ import annotations

import re

MAX_PICTURE_BYTES = 32 << 20
"""A picture that grows beyond this is given up."""

_START = b"\xff\xd8\xff"
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_MAY_HOLD_TEXT = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Application data and comments."""
_HEADER_TEXT = re.compile(rb"content-(?:type|length)", re.IGNORECASE)
"""What stands between the pictures of a multipart stream, and never in the tables of a picture."""
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In the data of a scan, FF 00 is a byte, FF FF is filling, and FF D0 … FF D7 are restarts."""


class JpegSplitter:
    """Cuts complete JPEG pictures out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self.broken = 0
        """Pictures that were cut off or too large, and are lost."""
        self._buffer = bytearray()
        self._at = 0
        """How far the picture at the start of the buffer is known. 0 outside a picture."""
        self._in_scan = False

    def push(self, data: bytes) -> list[bytes]:
        """Take bytes, and return the pictures that they complete."""
        self._buffer += data
        pictures = []
        while self._at or self._find_start():
            end = self._find_end()
            if end is None:
                break
            if end:
                pictures.append(bytes(self._buffer[:end]))
                del self._buffer[:end]
            self._at, self._in_scan = 0, False
        if len(self._buffer) > MAX_PICTURE_BYTES:
            self._give_up(len(self._buffer))
        return pictures

    def _find_start(self) -> bool:
        """Skip to the next picture. False if none begins in the buffer."""
        start = self._buffer.find(_START)
        if start < 0:
            # Its first two bytes may have come already.
            del self._buffer[: max(0, len(self._buffer) - len(_START) + 1)]
            return False
        del self._buffer[:start]
        self._at = 2
        return True

    def _find_end(self) -> int | None:
        """The end of the picture at the start of the buffer. None: more bytes are needed. 0: it is broken."""
        while True:
            if self._in_scan:
                marker_at = _MARKER_IN_SCAN.search(self._buffer, self._at)
                if marker_at is None:
                    self._at = max(self._at, len(self._buffer) - 1)
                    return None
                self._at, self._in_scan = marker_at.start(), False
            if len(self._buffer) < self._at + 2:
                return None
            prefix, marker = self._buffer[self._at : self._at + 2]
            if prefix != 0xFF or marker in (0x00, _START_OF_IMAGE):
                # The length of its last part may have led into the next picture, so that is searched for from the start.
                self._give_up(len(_START))
                return 0
            if marker == _END_OF_IMAGE:
                return self._at + 2
            if marker == 0xFF:
                self._at += 1
            elif marker in _WITHOUT_LENGTH:
                self._at += 2
            elif not self._skip_part(marker):
                return None

    def _skip_part(self, marker: int) -> bool:
        """Move behind the part of the header that begins here. False: more bytes are needed."""
        length = int.from_bytes(self._buffer[self._at + 2 : self._at + 4], "big")
        end = self._at + 2 + length
        if len(self._buffer) < max(end, self._at + 4):
            return False
        if marker not in _MAY_HOLD_TEXT and _HEADER_TEXT.search(self._buffer, self._at, end):
            # It was cut off in this part, and the next picture began. No marker follows here, so it counts as broken.
            self._at += 1
            return True
        self._at, self._in_scan = end, marker == _START_OF_SCAN
        return True

    def _give_up(self, size: int) -> None:
        """Lose the picture at the start of the buffer, and ``size`` bytes of it."""
        self.broken += 1
        del self._buffer[:size]
        self._at, self._in_scan = 0, False
