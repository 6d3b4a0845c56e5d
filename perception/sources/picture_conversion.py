"""Picture conversion: decoded frames become upright pictures with square pixels, and thumbnails.

converter = PictureConverter(first_frame, stream.sample_aspect_ratio)
converter.thumb(frame)          # luma thumbnail, made for every frame
converter.small(frame)          # colour picture for the observers
converter.whole(frame, 1920)    # the whole picture, at most 1920 pixels long
converter = converter.fitting(next_frame, sample_aspect)   # another one if rotation or aspect ratio changed
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from .frame import SMALL_SIDE, THUMB_SHAPE, Picture, Thumb


@dataclass(frozen=True, slots=True)
class UprightTransform:
    """Turns stored pixels into an upright picture: transpose, then mirror."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_frame(cls, frame: av.VideoFrame) -> UprightTransform:
        """The transform that the display matrix of ``frame`` describes. Without a matrix, it changes nothing."""
        # PyAV's stubs declare a mapping by name, but the lookup is by kind.
        data = frame.side_data.get(SideData.DISPLAYMATRIX)  # type: ignore[call-overload]
        if data is None:
            return cls()
        # The matrix maps stored (x, y) to shown (a·x + c·y, b·x + d·y). In practice it describes quarter
        # turns and mirrors only, so the nearest of those is used.
        a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
        if abs(b) > abs(a):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Transform an array of rows and columns. The result is contiguous."""
        if not (self.transpose or self.flip_x or self.flip_y):
            return np.ascontiguousarray(pixels)
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.flip_x:
            pixels = pixels[:, ::-1]
        if self.flip_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


_LEAST_SIDE = 16
"""The shorter side of a picture is not scaled below this. A strip becomes wider than it is, and can be examined."""


class PictureConverter:
    """Makes upright pictures with square pixels from one stream's decoded frames.

    Use one converter as long as it fits the frames: its scaler is expensive to set up.
    """

    def __init__(self, first: av.VideoFrame, sample_aspect: Fraction | None) -> None:
        self.upright = UprightTransform.from_frame(first)
        self._rotation = first.rotation
        self._aspect = float(sample_aspect) if sample_aspect else 1.0
        self._small = VideoReformatter()
        self._full = VideoReformatter()

    def fitting(self, frame: av.VideoFrame, sample_aspect: Fraction | None) -> PictureConverter:
        """Return this converter, or a new one for a frame with another rotation or other pixels."""
        aspect = float(sample_aspect) if sample_aspect else 1.0
        # A frame whose side data was read stays in memory until the next garbage collection, and ``rotation``
        # is not among them.
        if aspect == self._aspect and frame.rotation == self._rotation:
            return self
        return PictureConverter(frame, sample_aspect)

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of the whole picture."""
        width, height = max(1, round(frame.width * self._aspect)), frame.height
        return (height, width) if self.upright.transpose else (width, height)

    def thumb(self, frame: av.VideoFrame) -> Thumb:
        """The luma thumbnail. Cheap enough for every frame."""
        return thumb_of(frame, self.upright)

    def small(self, frame: av.VideoFrame) -> Picture:
        """The picture with its longer side at ``SMALL_SIDE``."""
        return self._scaled(self._small, frame, SMALL_SIDE / max(self.size(frame)))

    def whole(self, frame: av.VideoFrame, longest_px: int) -> Picture:
        """The whole picture, scaled down if its longer side is above ``longest_px``."""
        return self._scaled(self._full, frame, min(1.0, longest_px / max(self.size(frame))))

    def _scaled(self, scaler: VideoReformatter, frame: av.VideoFrame, scale: float) -> Picture:
        width, height = (max(min(side, _LEAST_SIDE), round(side * scale)) for side in self.size(frame))
        if self.upright.transpose:
            width, height = height, width
        # AREA averages the pixels that it merges, so that text and fine patterns do not flicker.
        out = scaler.reformat(frame, width, height, "bgr24", interpolation=Interpolation.AREA, threads=1)
        return self.upright.apply(np.asarray(out.to_ndarray(), np.uint8))


_LUMA_FIRST = re.compile(r"(?:yuv[aj]?4\d\dp|nv1[26]|nv2[14]|gray)(9|10|12|14|16)?(?:le)?")
"""Pixel formats whose first plane is luma, in one byte or in two little-endian bytes."""

_TO_FULL_RANGE = np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
"""Studio luma (16 is black, 235 white) to 0–255."""

_FULL_RANGE = 2
"""FFmpeg's number for luma that already uses 0–255."""


@dataclass(frozen=True, slots=True)
class _Luma:
    """The layout of luma in the first plane of a pixel format."""

    bits: int
    kind: np.dtype[Any]
    full_range: bool
    """Whether it always uses 0–255, independent of the frame's colour range."""


@cache
def _luma(pixel_format: str) -> _Luma | None:
    """The layout of luma. None where the first plane is not luma."""
    match = _LUMA_FIRST.fullmatch(pixel_format)
    if match is None:
        return None
    bits = int(match[1] or 8)
    return _Luma(bits, np.dtype(np.uint8 if bits == 8 else "<u2"), pixel_format.startswith(("yuvj", "gray")))


def thumb_of(frame: av.VideoFrame, upright: UprightTransform | None = None) -> Thumb:
    """Make the thumbnail of a decoded frame from its luma plane, without colour conversion.

    Black is 0 and white is 255 for any range of the source. Without ``upright``, the transform is read
    from the frame.
    """
    upright = upright or UprightTransform.from_frame(frame)
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
        # Averaging a 1080p plane takes 2 ms. Averaging 16 spread samples of each cell takes 0.1 ms.
        luma = cv2.resize(luma, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    thumb: Any = cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA)
    if layout.bits > 8:
        thumb = np.right_shift(thumb, layout.bits - 8, dtype=np.uint16).astype(np.uint8)
    if not (layout.full_range or frame.color_range == _FULL_RANGE):
        thumb = cv2.LUT(thumb, _TO_FULL_RANGE)
    return upright.apply(thumb)
