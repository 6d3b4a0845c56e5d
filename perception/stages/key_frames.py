"""Key frames: chooses the pictures that are stored of a moment, and encodes them as JPEG.

The first picture of a moment is stored. Of those that differ from the one before, some are stored that show
the moment from its beginning to its end: one picture of a quiet moment, ``MAX_FRAMES`` of an eventful one.
The first and last pictures show what was changed in a moment, and those between show who changed it.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from ...memory.values import KeyFrame, Span, make_id
from ..sources.frame import Frame, Picture, Thumb

MAX_FRAMES = 4
"""Video LMMs process the frames of a clip in pairs, so a fourth frame costs as much as a third."""
MAX_SIDE = 1280
"""The longest side of a stored picture, in pixels. Text must stay readable."""
JPEG_QUALITY = 80
STEP_LEVELS = 25
NEW_CELLS = 0.005
"""A picture is new if this share of thumbnail cells differs by ``STEP_LEVELS`` from the one before. That is a dozen
cells, about the size of a bag on the other side of a room."""
SIGNATURE_CELLS = (8, 6)
"""Columns and rows of a signature: enough to locate an object in the picture, and too few for grain to matter."""
SPACING_S = 0.5
"""Of pictures closer in time than this, only one is a candidate."""


def encode_jpeg(picture: Picture, max_side: int = MAX_SIDE) -> tuple[bytes, int, int]:
    """The picture as a JPEG whose longest side is at most ``max_side`` pixels, with its width and height."""
    height, width = picture.shape[:2]
    scale = max_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Averaging areas costs as much as the JPEG. Above half the size, linear interpolation skips no pixel.
        interpolation = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        picture = cv2.resize(picture, size, interpolation=interpolation)  # type: ignore[assignment]
        height, width = picture.shape[:2]
    encoded, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"a picture of {width}×{height} could not be encoded")
    return data.tobytes(), width, height


def signature_of(thumb: Thumb) -> bytes:
    """The mean grey level of each cell of the picture, row by row from the top left."""
    return cv2.resize(thumb, SIGNATURE_CELLS, interpolation=cv2.INTER_AREA).tobytes()


class KeyFrameChooser:
    """Collects candidate pictures while a moment is open, and chooses from them when it is final."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._candidates: deque[tuple[KeyFrame, Thumb]] = deque()

    def push(self, frame: Frame, moment_start_s: float) -> None:
        """Take one sampled frame of the moment that began at ``moment_start_s``."""
        if self._candidates and self._candidates[-1][0].time_s >= moment_start_s:
            newest, thumb = self._candidates[-1]
            if frame.time_s - newest.time_s < SPACING_S or not _differs(frame.thumb, thumb):
                return
        jpeg, width, height = encode_jpeg(frame.picture())
        self._candidates.append(
            (
                KeyFrame(
                    id=make_id(self._stream, frame.epoch, "frame", frame.pts, str(frame.time_base)),
                    stream=self._stream,
                    time_s=frame.time_s,
                    pts=frame.pts,
                    time_base=str(frame.time_base),
                    width=width,
                    height=height,
                    jpeg=jpeg,
                    signature=signature_of(frame.thumb),
                ),
                frame.thumb,
            )
        )

    def clear(self) -> None:
        """Drop the candidates since the last moment that was final."""
        self._candidates.clear()

    def take(self, span: Span) -> list[KeyFrame]:
        """The pictures of a moment that is now final, in time order. Earlier candidates are dropped."""
        inside = [frame for frame, _ in self._candidates if span.contains(frame.time_s)]
        while self._candidates and self._candidates[0][0].time_s < span.end_s:
            self._candidates.popleft()
        if len(inside) <= MAX_FRAMES:
            return inside
        return [inside[round(index * (len(inside) - 1) / (MAX_FRAMES - 1))] for index in range(MAX_FRAMES)]


def _differs(thumb: Thumb, previous: Thumb) -> bool:
    changed = np.count_nonzero(cv2.absdiff(thumb, previous) > STEP_LEVELS)
    return bool(changed > NEW_CELLS * thumb.size)
