"""A sheet of pictures: many pictures as numbered cells of one, for servers that take one picture in a request.

jpeg = picture_sheet([first_jpeg, second_jpeg])     # cell 1 and cell 2, row by row
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ..sources.frame import Picture

_LONGEST_SIDE = 1536
"""Of the sheet, in pixels. Most models reduce what is larger."""
_LONGEST_CELL = 640
_GAP = 4
"""Pixels between two cells."""
_JPEG_QUALITY = 85


def picture_sheet(jpegs: Sequence[bytes]) -> bytes:
    """One JPEG with all pictures in order, row by row, each with its number from 1 in its upper left corner.

    Raises:
        ValueError: A picture cannot be decoded.

    """
    pictures = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs]
    decoded = [np.asarray(picture, np.uint8) for picture in pictures if picture is not None]
    if len(decoded) < len(jpegs):
        raise ValueError("a JPEG of the request cannot be decoded")
    columns = math.ceil(math.sqrt(len(decoded)))
    rows = math.ceil(len(decoded) / columns)
    side = min(_LONGEST_CELL, _LONGEST_SIDE // columns - _GAP)
    small = [_reduced(picture, side) for picture in decoded]
    height = max(picture.shape[0] for picture in small) + _GAP
    width = max(picture.shape[1] for picture in small) + _GAP
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, picture in enumerate(small):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        _draw_number(sheet, index + 1, left, top)
    return cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _reduced(picture: Picture, side: int) -> Picture:
    """The picture with no side longer than ``side``."""
    scale = min(1.0, side / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _draw_number(sheet: Picture, number: int, left: int, top: int) -> None:
    """Write a number in white on black."""
    scale, font = 0.5, cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(str(number), font, scale, 1)
    cv2.rectangle(sheet, (left, top), (left + width + 6, top + height + 8), (0, 0, 0), cv2.FILLED)
    cv2.putText(
        sheet, str(number), (left + 3, top + height + 4), font, scale, (255, 255, 255), 1, cv2.LINE_AA
    )
