"""Where frames come from: the seam between a video, whatever it is, and those who watch it.

    with closing(open_source("kitchen.mp4", fps=4)) as source:
        for event in source.frames():
            match event:
                case Frame(): ...      # every decoded frame, in order of time
                case Outage(): ...     # a stretch the source could not deliver
                case Dropped(): ...    # frames lost one by one, and why

A source knows containers, codecs and connections. It knows nothing of shots, observers or
memory, and it keeps nothing: what was asked for is made, yielded and forgotten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, Protocol

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ..errors import UnsupportedSource
from .frame import SMALL_SIDE, THUMB_SHAPE, Frame, Picture, Thumb
from .urls import redact

LIVE_SCHEMES = ("rtsp", "rtsps", "http", "https")
"""What a URL may start with; everything else with ``://`` in it is refused."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of stream time the source could not deliver."""

    start_s: float
    end_s: float
    epoch: int
    """The epoch that ended (live), or that goes on (a damaged stretch of a file)."""
    cause: str
    """``stalled``, ``dropped``, ``refused``, ``damaged``, ``clock jump``, …"""
    detail: str = ""
    attempts: int = 0
    """How often it was tried to reopen the source."""
    wall_start_s: float | None = None
    """Unix seconds at ``start_s``; None where the source has no wall clock."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames that were there and are lost. Those of an outage are told of just before it."""

    count: int
    cause: Literal["damaged", "overload"]
    time_s: float
    """Stream time near which they were lost."""


Event = Frame | Outage | Dropped
"""What a source yields."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its frames are read."""

    kind: Literal["file", "live"]
    source: str
    """Where it is read from, without credentials."""
    content_id: str
    """A file's identity, made from its bytes; a live source's, from its address."""
    duration_s: float | None = None
    """How long the file says it is; None where it does not say, and for a live source."""
    width: int = 0
    """Of the upright picture in square pixels; 0 while a live source has sent none."""
    height: int = 0
    average_fps: float = 0.0
    """Frames a second the source says it has; 0 where it does not say. Never used for times."""
    has_audio: bool = False
    subtitle_tracks: int = 0
    started_wall_s: float | None = None
    """Unix seconds at stream time 0, for a live source that has begun."""


class Source(Protocol):
    """Something that can be watched."""

    @property
    def info(self) -> SourceInfo:
        """What is known of it by now."""

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame from ``from_s`` (stream seconds) on, with what was lost between them."""

    def stop(self) -> None:
        """End the iterator soon, after what it holds; from another thread or a signal handler too."""

    def close(self) -> None:
        """Let go of files, connections and processes. May be called twice."""


def open_source(
    source: str,
    *,
    fps: float,
    origin_wall_s: float | None = None,
    first_epoch: int = 0,
    max_outage_s: float | None = None,
    on_state: Callable[[str, str], None] | None = None,
) -> Source:
    """Open a file, or a live source where ``source`` is a URL.

    Args:
        source: A path, or a URL of one of ``LIVE_SCHEMES``.
        fps: Sampled frames a second, for the observers.
        origin_wall_s: Live only: Unix seconds at stream time 0, for a stream begun earlier.
        first_epoch: Live only: the epoch of the first frame.
        max_outage_s: Live only: give up when the source is away for longer; None never does.
        on_state: Live only: called with a state and a sentence whenever the connection changes.

    Raises:
        SourceNotFound: there is no such file.
        NotAVideo: the file holds no video.
        UnsupportedSource: a URL with a scheme that is not allowed.

    """
    if "://" not in source:
        from .file_source import FileSource  # noqa: PLC0415 - the two kinds of source import this module

        return FileSource(source, fps)
    scheme = source.partition("://")[0].lower()
    if scheme not in LIVE_SCHEMES:
        # What stands before "://" is no scheme in "user:password@host/?next=http://h/".
        scheme = scheme if scheme.replace("+", "").replace("-", "").replace(".", "").isalnum() else ""
        raise UnsupportedSource(redact(source), scheme, LIVE_SCHEMES)
    from .live_source import LiveSource  # noqa: PLC0415

    return LiveSource(
        source,
        fps,
        origin_wall_s=origin_wall_s,
        first_epoch=first_epoch,
        max_outage_s=max_outage_s,
        on_state=on_state,
    )


class FrameSampler:
    """Says which frames the observers are shown: the first of each ``1 / fps`` seconds.

    It looks at nothing but presentation times, so it is right for a variable frame rate and
    chooses the same frames when a stream is read again from the middle.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self._fps = fps
        self._last: int | None = None

    def takes(self, time_s: float) -> bool:
        """Whether the frame at ``time_s`` is sampled. Ask once for every frame, in order."""
        # A hair is added because 0.75 * 4 may come out as 2.9999999.
        slot = math.floor(time_s * self._fps + 1e-6)
        taken = self._last is None or slot > self._last
        self._last = slot
        return taken


@dataclass(frozen=True, slots=True)
class UprightTransform:
    """How stored pixels become a picture that stands upright: transpose, then mirror."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> UprightTransform:
        """Read it from the display matrix that came with ``frame``, if any."""
        # PyAV's stubs call it a mapping by name; it is looked up by kind.
        data = frame.side_data.get(SideData.DISPLAYMATRIX)  # type: ignore[call-overload]
        if data is None:
            return cls()
        # The matrix maps stored (x, y) to shown (a·x + c·y, b·x + d·y); only quarter turns
        # and mirrors are meant by it in practice, so the nearest of those is taken.
        a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
        if abs(b) > abs(a):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an array of rows and columns; it is contiguous afterwards."""
        if not (self.transpose or self.flip_x or self.flip_y):
            return np.ascontiguousarray(pixels)
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.flip_x:
            pixels = pixels[:, ::-1]
        if self.flip_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


class PictureConverter:
    """Makes pictures of one stream's decoded frames: upright, with square pixels.

    Holds the scaler, which is dear to set up, so keep one for all frames of a stream.
    """

    def __init__(self, first: av.VideoFrame, sample_aspect: Fraction | None) -> None:
        self.upright = UprightTransform.of(first)
        self._aspect = float(sample_aspect) if sample_aspect else 1.0
        self._small = VideoReformatter()
        self._whole = VideoReformatter()

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of the whole picture."""
        width, height = max(1, round(frame.width * self._aspect)), frame.height
        return (height, width) if self.upright.transpose else (width, height)

    def thumb(self, frame: av.VideoFrame) -> Thumb:
        """The luma thumbnail; cheap enough for every frame."""
        return thumb_of(frame, self.upright)

    def small(self, frame: av.VideoFrame) -> Picture:
        """The picture with its longer side at ``SMALL_SIDE``."""
        return self._scaled(self._small, frame, SMALL_SIDE / max(self.size(frame)))

    def whole(self, frame: av.VideoFrame, longest: int) -> Picture:
        """The whole picture, made smaller where its longer side is above ``longest``."""
        return self._scaled(self._whole, frame, min(1.0, longest / max(self.size(frame))))

    def _scaled(self, scaler: VideoReformatter, frame: av.VideoFrame, scale: float) -> Picture:
        width, height = (max(1, round(side * scale)) for side in self.size(frame))
        if self.upright.transpose:
            width, height = height, width
        # AREA averages what it leaves out: text and fine patterns do not flicker.
        out = scaler.reformat(frame, width, height, "bgr24", interpolation=Interpolation.AREA, threads=1)
        return self.upright.apply(np.asarray(out.to_ndarray(), np.uint8))


_LUMA_FIRST = re.compile(r"(?:yuv[aj]?4\d\dp|nv1[26]|nv2[14]|gray)(9|10|12|14|16)?(?:le)?")
"""Pixel formats whose first plane is luma, in one byte or in two with the low one first."""

_TO_FULL_RANGE = np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
"""Studio luma (16 is black, 235 white) to 0–255."""

_FULL_RANGE = 2
"""FFmpeg's number for luma that already uses 0–255."""


@dataclass(frozen=True, slots=True)
class _Luma:
    """How a pixel format keeps luma, in its first plane."""

    bits: int
    kind: np.dtype[Any]
    full_range: bool
    """Whether it uses 0–255 whatever the frame says."""


@cache
def _luma(pixel_format: str) -> _Luma | None:
    """None where luma is not the first plane."""
    found = _LUMA_FIRST.fullmatch(pixel_format)
    if found is None:
        return None
    bits = int(found[1] or 8)
    return _Luma(bits, np.dtype(np.uint8 if bits == 8 else "<u2"), pixel_format.startswith(("yuvj", "gray")))


def thumb_of(frame: av.VideoFrame, upright: UprightTransform | None = None) -> Thumb:
    """Make the thumbnail of a decoded frame straight from its luma, without converting it.

    Black is 0 and white 255, whatever range the source uses. ``upright`` is read from the
    frame where it is not given.
    """
    upright = upright or UprightTransform.of(frame)
    rows, columns = THUMB_SHAPE[::-1] if upright.transpose else THUMB_SHAPE
    width, height, plane = frame.width, frame.height, frame.planes[0]
    layout, line_size = _luma(frame.format.name), plane.line_size
    if layout is None or line_size <= 0:
        gray = VideoReformatter().reformat(
            frame, columns, rows, "gray", interpolation=Interpolation.AREA, threads=1
        )
        return upright.apply(np.asarray(gray.to_ndarray(), np.uint8))
    luma: NDArray[Any] = np.frombuffer(plane, layout.kind)  # type: ignore[call-overload]
    luma = luma.reshape(-1, line_size // layout.kind.itemsize)[:height, :width]
    if width > 2 * columns and height > 2 * rows:
        # A plain average of a 1080p plane takes 2 ms; of 16 spread samples a cell, 0.1 ms.
        luma = cv2.resize(luma, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    thumb: Any = cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA)
    if layout.bits > 8:
        thumb = np.right_shift(thumb, layout.bits - 8, dtype=np.uint16).astype(np.uint8)
    if not (layout.full_range or frame.color_range == _FULL_RANGE):
        thumb = cv2.LUT(thumb, _TO_FULL_RANGE)
    return upright.apply(thumb)
