"""Blobs: the connected regions of foreground in one frame.

    for blob in find_blobs(view, background, time_s):
        blob.box, blob.moved              # where it is, and which fraction of it moves

Earlier frames count only through the times that ``BackgroundModel`` keeps for each pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.box_geometry import enclosing_box
from .background_subtraction import BackgroundModel, BackgroundView

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels. Right and bottom are outside."""

_SMALLEST = 0.0018  # a smaller fraction of the picture is noise
_MOST_BLOBS = 16


@dataclass(slots=True)
class Blob:
    """A connected region of foreground in one frame."""

    box: PixelBox
    area: int
    """Pixels of foreground in it."""
    mask: NDArray[np.bool_]
    """Which pixels of ``box`` belong to it."""
    moved: float
    """The fraction of it that moved since the previous frame, 0 to 1."""
    stirred: float
    """The same for those pixels only that were foreground before."""
    still_since_s: float
    """The time at which nearly all of it last moved, or became foreground."""


def find_blobs(view: BackgroundView, background: BackgroundModel, time_s: float) -> list[Blob]:
    """The connected regions of foreground that are large enough, largest first."""
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
        left, top, width, height = (int(number) for number in stats[index + 1, :4])
        rows, columns = slice(top, top + height), slice(left, left + width)
        mask = labels[rows, columns] == index + 1
        moving = view.moving[rows, columns].view(np.bool_) & mask
        moved = np.count_nonzero(moving) / area
        still_since_s, stirred = time_s, 0.0
        if moved < 0.05:
            step = 2 if area > 400 else 1
            part = np.s_[top : top + height : step, left : left + width : step]
            sampled_mask = mask[::step, ::step]
            still_since_s = max(
                _quantile(background.moved_at[part][sampled_mask], 0.95),
                # The rim of an object flickers with the light, so a smaller fraction is required.
                _quantile(background.changed_at[part][sampled_mask], 0.7),
            )
        else:
            old_pixels = (background.changed_at[rows, columns] < time_s) & mask
            # Where nearly all of it is new, this cannot be estimated yet.
            if (count := np.count_nonzero(old_pixels)) > 0.15 * area:
                stirred = np.count_nonzero(moving & old_pixels) / count
        box = (left, top, left + width, top + height)
        blobs.append(Blob(box, area, mask, moved, stirred, still_since_s))
    return blobs


def merged(blobs: Sequence[Blob]) -> Blob:
    """Several blobs of one object as one blob."""
    if len(blobs) == 1:
        return blobs[0]
    box = enclosing_box(blob.box for blob in blobs)
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


def _quantile(times: NDArray[np.float64], fraction: float) -> float:
    """The time that is not exceeded by ``fraction`` of ``times``."""
    position = int(fraction * (times.size - 1))
    return float(np.partition(times, position)[position])
