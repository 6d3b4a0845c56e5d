"""Pictures as a source: each is shown for the same time. Decodes them, in the decoder process.

    source = PictureSource("frames/", picture_paths(Path("frames/")), fps=4, image_fps=1)
    for event in source.frames(): ...

A picture that cannot be decoded is a loss of its time. ``IsolatedPictureSource`` is the side of the parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from ..errors import NotAVideo
from .file_coverage import OUTAGE_S
from .frame import Frame, Picture
from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .source import Dropped, Event, Outage, SourceInfo

_MAX_PIXELS = 100_000_000
"""Larger pictures are not decoded."""
_PICTURE_SIDE = 1920
"""The longest side of a whole picture, in pixels."""


class PictureSource:
    """Reads pictures in the order of their paths, each shown for ``1 / image_fps`` seconds.

    Raises ``NotAVideo`` if the first picture cannot be decoded.
    """

    def __init__(
        self,
        source: str,
        paths: Sequence[Path],
        fps: float,
        *,
        image_fps: float,
        info: SourceInfo | None = None,
    ) -> None:
        """``info`` are the facts that an earlier source of the pictures found."""
        self._paths, self._fps = paths, fps
        self._interval = 1 / Fraction(image_fps).limit_denominator(100_000)
        if info is not None:
            self.info_without_id = info
            return
        first = _decode(paths[0])
        if first is None:
            raise NotAVideo(str(paths[0]), "the picture cannot be decoded")
        self.info_without_id = SourceInfo(
            kind="file",
            source=source,
            content_id="",
            duration_s=float(len(paths) * self._interval),
            width=first.width,
            height=first.height,
            average_fps=image_fps,
        )

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every picture at or after ``from_s``, and between them the losses."""
        sampler = FrameSampler(self._fps)
        lost_from: int | None = None
        for number, path in enumerate(self._paths):
            time_s = float(number * self._interval)
            # Whether a picture is sampled depends on the one before.
            is_sampled = sampler.takes(time_s)
            if time_s < from_s - float(self._interval) / 2:
                continue
            frame = _decode(path)
            if frame is None:
                lost_from = number if lost_from is None else lost_from
                continue
            if lost_from is not None:
                yield from self._losses(lost_from, number)
                lost_from = None
            yield self._frame(frame, number, is_sampled=is_sampled)
        if lost_from is not None:
            yield from self._losses(lost_from, len(self._paths))

    def _frame(self, frame: av.VideoFrame, number: int, *, is_sampled: bool) -> Frame:
        converter = PictureConverter(frame, None)
        return Frame(
            time_s=float(number * self._interval),
            pts=number,
            time_base=self._interval,
            thumb=converter.thumb(frame),
            duration_s=float(self._interval),
            small=converter.small(frame) if is_sampled else None,
            read_picture=partial(converter.whole, frame, _PICTURE_SIDE) if is_sampled else None,
            size=converter.size(frame),
        )

    def _losses(self, first: int, end: int) -> Iterator[Dropped | Outage]:
        """Pictures that could not be decoded, from ``first`` on and before ``end``."""
        start_s, end_s = float(first * self._interval), float(end * self._interval)
        yield Dropped(end - first, "damaged", start_s)
        if end_s - start_s >= OUTAGE_S:
            yield Outage(start_s, end_s, epoch=0, cause="damaged", detail="the pictures could not be decoded")


def _decode(path: Path) -> av.VideoFrame | None:
    """The upright picture in a file. None if it cannot be decoded."""
    try:
        with Image.open(path) as header:
            if header.width * header.height > _MAX_PIXELS:
                return None
        decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, SyntaxError, MemoryError, cv2.error, Image.DecompressionBombError):
        return None
    if decoded is None:
        return None
    picture: Picture = np.ascontiguousarray(decoded, np.uint8)
    return av.VideoFrame.from_ndarray(picture, format="bgr24")
