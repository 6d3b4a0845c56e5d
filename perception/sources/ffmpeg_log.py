"""FFmpeg's log, read for the reason of a failure that its error code does not tell.

    log = FfmpegLog()
    log.read_all(process.stderr)       # on a thread; keeps the newest lines only
    log.reason()                       # "its host name cannot be resolved", or ""

Only known phrases are recognised, and reported in words of ours: the log quotes addresses with their secrets.
"""

from __future__ import annotations

import re
from collections import deque
from typing import IO

_LINES = 50
_LINE_BYTES = 400

_REASONS = (
    (rb"Protocol '\w+' not on whitelist", "it names an address of a kind that is not opened"),
    (rb"Failed to resolve hostname", "its host name cannot be resolved"),
    (rb"(?:Unable to open|Unable to read) key file", "the key of its encrypted segments cannot be read"),
    (rb"^\[tls @", "the TLS connection failed"),
    (rb"Error when loading first segment", "its playlist is there, but its segments cannot be read"),
    (rb"Cannot read RTMP handshake", "it does not speak RTMP"),
    (rb"Device or resource busy", "the device is in use"),
)  # fmt: skip
_PATTERNS = tuple((re.compile(pattern), reason) for pattern, reason in _REASONS)
_STATUS = re.compile(rb"Server returned (\d{3}|4XX|5XX)")


class FfmpegLog:
    """The newest lines of the log of one reader process."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_LINES)

    def read_all(self, stream: IO[bytes]) -> None:
        """Read to the end of ``stream``, however much comes."""
        while line := stream.readline(_LINE_BYTES):
            self._lines.append(line.rstrip())

    def reason(self) -> str:
        """The reason that the log gives, in words. Empty if it gives none that is known."""
        lines = tuple(self._lines)
        for pattern, reason in _PATTERNS:
            for line in lines:
                if pattern.search(line):
                    status = _STATUS.search(line)
                    return f"{reason} (status {status[1].decode()})" if status else reason
        return ""
