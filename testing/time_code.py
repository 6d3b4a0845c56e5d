"""Time code: a picture that says when it was drawn, readable from a frame's thumbnail.

    picture = draw_time_code(73.25)
    read_time_code(frame.thumb)         # 73.25

The time is written in binary, in 24 grey blocks. Their contrast is low, so that no two pictures look like a cut.
"""

from __future__ import annotations

import numpy as np

from ..perception.sources.frame import THUMB_SHAPE, Picture, Thumb

_ROWS, _COLUMNS = 3, 8
_BITS = _ROWS * _COLUMNS
_PER_SECOND = 100
_DARK, _LIGHT = 96, 160
_SCALE = 2
"""The picture is this many times larger than a thumbnail."""


def draw_time_code(time_s: float) -> Picture:
    """Draw a time, to a hundredth of a second. The longest is about 46 hours."""
    ticks = round(time_s * _PER_SECOND) % (1 << _BITS)
    bits = np.array([ticks >> bit & 1 for bit in range(_BITS)], np.uint8).reshape(_ROWS, _COLUMNS)
    height, width = (side * _SCALE for side in THUMB_SHAPE)
    luma = np.kron(bits, np.ones((height // _ROWS, width // _COLUMNS), np.uint8))
    grey = (_DARK + luma * (_LIGHT - _DARK)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read_time_code(thumb: Thumb) -> float:
    """Read the time from the thumbnail of a picture that ``draw_time_code`` drew."""
    height, width = (side // count for side, count in zip(THUMB_SHAPE, (_ROWS, _COLUMNS), strict=True))
    centres = thumb[height // 2 :: height, width // 2 :: width] > (_DARK + _LIGHT) // 2
    return sum(1 << bit for bit, is_set in enumerate(centres.reshape(-1)) if is_set) / _PER_SECOND
