"""The message format between a live source's reader process and its parent.

    write_message(stdout, {"kind": "started"})
    message, blob = read_message(stdout)        # ({"kind": "started"}, b"")
    ReceivedFrame.from_message(message, blob)   # for a message of the kind "frame"

A message is JSON followed by raw bytes, and never a pickle. A decoder that a hostile stream took over must
not be able to run code in the parent.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import IO, Any, TypeVar

import numpy as np

from ...memory.watch_rate import WatchRate
from .frame import THUMB_SHAPE, Picture, Thumb

_N = TypeVar("_N", int, float)
_HEADER = struct.Struct(">II")
_MAX_BYTES = 1 << 26
_INT64 = 1 << 63
_LONGEST_PATIENCE_S = 3600.0
"""More than any source is given before it counts as stalled."""


@dataclass(frozen=True, slots=True)
class ReaderTask:
    """What a reader process reads."""

    url: str = field(repr=False)
    """With its credentials. It stays in RAM and is never shown."""
    fps: float
    """Sampled frames per second."""
    open_s: float
    """How long the connection may take to open."""
    stall_s: float
    """How long the source may be silent at least before it counts as stalled."""
    was_live: bool = False
    """Whether the source was live earlier. A recording in its place is then no live stream."""

    def to_line(self) -> bytes:
        """The task and the import path, as the line of JSON that the child reads first."""
        return json.dumps({**asdict(self), "path": sys.path}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A frame as the child sent it."""

    pts: int | None
    """Its timestamp. None if the source gives none, or makes them up."""
    time_base: Fraction
    arrival_s: float
    """``time.monotonic()`` when its packet arrived. The processes of a machine share this clock."""
    size: tuple[int, int]
    rate: WatchRate | None
    """The reduced rate at which the source was watched when it was decoded. None at the full rate."""
    lost: Mapping[str, int]
    """Frames lost since the previous one, by cause."""
    thumb: Thumb
    small: Picture | None
    whole: Picture | None

    @classmethod
    def from_message(cls, message: Mapping[str, Any], blob: bytes) -> ReceivedFrame:
        """Read a message of the kind "frame".

        Raises:
            KeyError, TypeError, ValueError: The message is invalid.
        """
        pictures, offset = [], 0
        for shape in (THUMB_SHAPE, *((*message[name], 3) for name in ("small", "whole") if name in message)):
            size = math.prod(_checked(int(side), 1, _MAX_BYTES) for side in shape)
            pictures.append(np.frombuffer(blob, np.uint8, size, offset).reshape(shape))
            offset += size
        width, height = (_checked(int(side), 1, 1 << 20) for side in message["size"])
        # A frame without its own timestamp has no time base either.
        parts = message["time_base"]
        time_base = None if parts is None else Fraction(*(_checked(int(part), 1, 1 << 31) for part in parts))
        return cls(
            pts=None if time_base is None else _checked(int(message["pts"]), -_INT64, _INT64),
            time_base=time_base or Fraction(1),
            arrival_s=_checked(float(message["arrival_s"]), 0.0, _INT64),
            size=(width, height),
            rate=None if message["rate"] is None else _checked_rate(message["rate"]),
            lost=checked_losses(message["lost"]),
            thumb=pictures[0],
            small=pictures[1] if len(pictures) > 1 else None,
            whole=pictures[2] if len(pictures) > 2 else None,
        )


@dataclass(frozen=True, slots=True)
class ReceivedPackets:
    """What has arrived from the source so far, whether or not it can be decoded."""

    video: int
    key: int
    """Those that begin with a key frame."""
    other: int
    """Packets of sound and of other streams."""
    patience_s: float
    """How long the source may be silent before it counts as stalled."""

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> ReceivedPackets:
        """Read a message of the kind "packets".

        Raises:
            KeyError, TypeError, ValueError: The message is invalid.
        """
        video, key, other = (int(message.get(name, 0)) for name in ("video", "key", "other"))
        return cls(video, key, other, _checked(float(message["patience_s"]), 0.0, _LONGEST_PATIENCE_S))


def checked_losses(lost: Mapping[str, Any]) -> dict[str, int]:
    """The numbers of lost frames by cause, from a message. Raises ``ValueError``."""
    return {str(cause): _checked(int(count), 0, _INT64) for cause, count in lost.items()}


def _checked_rate(rate: Mapping[str, Any]) -> WatchRate:
    return WatchRate(
        fps=_checked(float(rate["fps"]), 0.0, 1000.0),
        reads_text=bool(rate["reads_text"]),
        key_frames_only=bool(rate["key_frames_only"]),
    )


def _checked(value: _N, least: float, most: float) -> _N:
    """The value, which a decoder that was taken over may have made up. Raises ``ValueError``."""
    if not least <= value <= most:
        raise ValueError(f"{value} is not from {least} to {most}")
    return value


def write_message(out: IO[bytes], message: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> None:
    """Write one message: a header, JSON, raw bytes."""
    text = json.dumps(message).encode()
    out.write(_HEADER.pack(len(text), sum(map(len, blobs))))
    for part in (text, *blobs):
        out.write(part)
    out.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one message. None at the end of ``stream``, also where that is in the middle of a message.

    Raises:
        ValueError: The message is invalid.
    """
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    text_size, blob_size = _HEADER.unpack(header)
    if max(text_size, blob_size) > _MAX_BYTES:
        raise ValueError("a message is too large")
    text, blob = stream.read(text_size), stream.read(blob_size)
    if len(text) < text_size or len(blob) < blob_size:
        return None
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("a message is nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("a message is no object")
    return message, blob


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
