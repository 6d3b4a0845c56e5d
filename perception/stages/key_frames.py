"""Chooses the pictures that are kept of a moment, and makes JPEGs of them.

The first picture of a moment is kept, and of those that differ from the one before so many that they
tell the moment from its beginning to its end: a quiet moment keeps one picture, an eventful one
``MAX_FRAMES``. What was changed in a moment can be told from its first and its last picture; who
changed it, from those between.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from ...memory.values import KeyFrame, Span, make_id
from ..sources.frame import Frame, Picture, Thumb

MAX_FRAMES = 4
"""Video LMMs look at the frames of a clip in pairs, so that a fourth costs what a third does."""
MAX_SIDE = 1280
"""The longer side of a kept picture, in pixels; text must stay readable."""
JPEG_QUALITY = 80
STEP_LEVELS = 25
NEW_CELLS = 0.005
"""A picture is new when this share of thumbnail cells differs by ``STEP_LEVELS`` from the one before: a dozen
cells, about what a bag takes that somebody puts down on the other side of a room."""
SIGNATURE_CELLS = (8, 6)
"""Columns and rows of a signature: enough to tell where in the picture something is, and too few for grain."""
SPACING_S = 0.5
"""Pictures nearer in time than this are not both candidates."""


def encode_jpeg(picture: Picture, max_side: int = MAX_SIDE) -> tuple[bytes, int, int]:
    """A JPEG of the picture, its longer side at most ``max_side`` pixels, with its width and height."""
    height, width = picture.shape[:2]
    scale = max_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Averaging areas costs as much as the JPEG; above half the size nothing is left out without it.
        way = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        picture = cv2.resize(picture, size, interpolation=way)  # type: ignore[assignment]
        height, width = picture.shape[:2]
    encoded, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"a picture of {width}×{height} could not be encoded")
    return data.tobytes(), width, height


def signature_of(thumb: Thumb) -> bytes:
    """The grey levels of the picture's cells, row by row from the top left; a cell's is the mean of its area."""
    return cv2.resize(thumb, SIGNATURE_CELLS, interpolation=cv2.INTER_AREA).tobytes()


class KeyFrameChooser:
    """Keeps candidate pictures while a moment is open; gives them out when it is final."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._kept: deque[tuple[KeyFrame, Thumb]] = deque()

    def push(self, frame: Frame, moment_from_s: float) -> None:
        """Take one sampled frame of the moment that began at ``moment_from_s``."""
        if self._kept and self._kept[-1][0].time_s >= moment_from_s:
            last, thumb = self._kept[-1]
            if frame.time_s - last.time_s < SPACING_S or not _differs(frame.thumb, thumb):
                return
        jpeg, width, height = encode_jpeg(frame.picture())
        self._kept.append(
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
        """Forget what was chosen since the last moment that was final."""
        self._kept.clear()

    def take(self, span: Span) -> list[KeyFrame]:
        """The pictures of a moment that is now final, in time order; earlier ones are forgotten."""
        inside = [kept for kept, _ in self._kept if span.contains(kept.time_s)]
        while self._kept and self._kept[0][0].time_s < span.end_s:
            self._kept.popleft()
        if len(inside) <= MAX_FRAMES:
            return inside
        return [inside[round(index * (len(inside) - 1) / (MAX_FRAMES - 1))] for index in range(MAX_FRAMES)]


def _differs(thumb: Thumb, other: Thumb) -> bool:
    changed = np.count_nonzero(cv2.absdiff(thumb, other) > STEP_LEVELS)
    return bool(changed > NEW_CELLS * thumb.size)
