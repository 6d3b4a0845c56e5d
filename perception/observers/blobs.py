"""The connected pieces of foreground in one frame, and the little geometry of their boxes.

    for blob in find_blobs(view, background, time_s):
        blob.box, blob.moved              # where it is, and which part of it moves

It knows nothing of what came before, save for what ``BackgroundModel`` keeps of each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .background_subtraction import BackgroundModel, BackgroundView

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are just outside."""

_SMALLEST = 0.0018  # part of the picture below which a blob is noise
_MOST_BLOBS = 16


@dataclass(slots=True)
class Blob:
    """A connected piece of foreground in one frame."""

    box: PixelBox
    area: int
    """Pixels of foreground in it."""
    mask: NDArray[np.bool_]
    """Which pixels of ``box`` belong to it."""
    moved: float
    """Which part of it moved since the frame before, 0 to 1."""
    stirred: float
    """The same, of the pixels only that were foreground before."""
    still_since_s: float
    """When nearly all of it last moved, or became foreground."""


def find_blobs(view: BackgroundView, background: BackgroundModel, time_s: float) -> list[Blob]:
    """The connected pieces of foreground that are large enough, largest first."""
    if not cv2.countNonZero(view.foreground):
        return []
    # Labels of 16 bits: OpenCV takes three times as long over its default of 32.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(view.foreground, ltype=cv2.CV_16U)
    smallest = _SMALLEST * view.foreground.size
    areas = stats[1:, cv2.CC_STAT_AREA]
    blobs = []
    for index in np.argsort(-areas)[:_MOST_BLOBS]:
        area = int(areas[index])
        if area < smallest:
            break
        left, top, width, height = (int(n) for n in stats[index + 1, :4])
        rows, columns = slice(top, top + height), slice(left, left + width)
        mask = labels[rows, columns] == index + 1
        moving = view.moving[rows, columns].view(np.bool_) & mask
        moved = np.count_nonzero(moving) / area
        still_since_s, stirred = time_s, 0.0
        if moved < 0.05:
            step = 2 if area > 400 else 1
            part = np.s_[top : top + height : step, left : left + width : step]
            some = mask[::step, ::step]
            still_since_s = max(
                _nearly_all(background.moved_at[part][some], 0.95),
                # The rim of a thing comes and goes with the light, so less of it must have been there.
                _nearly_all(background.changed_at[part][some], 0.7),
            )
        else:
            known = (background.changed_at[rows, columns] < time_s) & mask
            # Of a thing mostly new nothing can be said yet.
            if (number := np.count_nonzero(known)) > 0.15 * area:
                stirred = np.count_nonzero(moving & known) / number
        box = (left, top, left + width, top + height)
        blobs.append(Blob(box, area, mask, moved, stirred, still_since_s))
    return blobs


def merged(blobs: Sequence[Blob]) -> Blob:
    """Several blobs of one thing as one."""
    if len(blobs) == 1:
        return blobs[0]
    box = _hull(blobs)
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.bool_)
    for blob in blobs:
        left, top, right, bottom = blob.box
        mask[top - box[1] : bottom - box[1], left - box[0] : right - box[0]] |= blob.mask
    area = sum(blob.area for blob in blobs)
    return Blob(
        box=box,
        area=area,
        mask=mask,
        moved=sum(blob.moved * blob.area for blob in blobs) / area,
        stirred=sum(blob.stirred * blob.area for blob in blobs) / area,
        still_since_s=max(blob.still_since_s for blob in blobs),
    )


def middle(box: PixelBox) -> tuple[float, float]:
    """The point halfway, across and down."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _hull(blobs: Sequence[Blob]) -> PixelBox:
    lefts, tops, rights, bottoms = zip(*(blob.box for blob in blobs), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def gap(one: PixelBox, other: PixelBox) -> float:
    """How far two boxes are apart, in pixels; 0 where they touch."""
    aside = max(0, one[0] - other[2], other[0] - one[2])
    above = max(0, one[1] - other[3], other[1] - one[3])
    return math.hypot(aside, above)


def _common(one: PixelBox, other: PixelBox) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0


def _extent(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(one: PixelBox, other: PixelBox) -> float:
    """Common area as a part of the smaller box."""
    return _common(one, other) / max(min(_extent(one), _extent(other)), 1)


def shared(one: PixelBox, other: PixelBox) -> float:
    """Common area as a part of both boxes together."""
    common = _common(one, other)
    return common / max(_extent(one) + _extent(other) - common, 1)


def _nearly_all(times: NDArray[np.float64], part: float) -> float:
    """The time by which ``part`` of them had come."""
    place = int(part * (times.size - 1))
    return float(np.partition(times, place)[place])
