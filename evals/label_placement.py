"""Label placement for charts: keeps labels near their points, and apart from each other.

    >>> spread([0.25, 0.25], gap=0.5)
    [0.0, 0.5]
    >>> frame = PixelBox(0, 0, 100, 100)
    >>> beside = [LabelPosition(1, 0, 6.0), LabelPosition(-1, 0, 6.0)]
    >>> boxes = {position: position.box((90, 50), (30, 10), 1.0) for position in beside}
    >>> best_position(boxes, [], frame) == beside[1]      # on the right it would leave the frame
    True

Geometry only: this module draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PixelBox:
    """An axis-parallel rectangle of a chart, in pixels. ``y`` grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, margin: float) -> PixelBox:
        """The square around a point."""
        return cls(x - margin, y - margin, x + margin, y + margin)

    @property
    def area(self) -> float:
        """The area in square pixels."""
        return (self.right - self.left) * (self.top - self.bottom)

    def shared_area(self, other: PixelBox) -> float:
        """The area of the intersection, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True, slots=True)
class LabelPosition:
    """Where a label lies relative to the point that it names."""

    across: int
    """1: to the right, -1: to the left, 0: centred."""
    up: int
    """1: above, -1: below, 0: centred."""
    distance_points: float
    """The distance from the point, in points of 1/72 inch."""

    def box(self, point: tuple[float, float], size: tuple[float, float], pixels_per_point: float) -> PixelBox:
        """The box of a label of this size, in pixels."""
        (x, y), (width, height) = point, size
        left = x + self.across * self.distance_points * pixels_per_point + (self.across - 1) / 2 * width
        bottom = y + self.up * self.distance_points * pixels_per_point + (self.up - 1) / 2 * height
        return PixelBox(left, bottom, left + width, bottom + height)


_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
POSITIONS = [
    LabelPosition(across, up, distance)
    for distance in (6.0, 12.0, 20.0, 28.0, 38.0, 50.0)
    for across, up in _SIDES
]
"""All positions that are tried, the preferred ones first."""


def best_position(
    boxes: Mapping[LabelPosition, PixelBox], obstacles: Sequence[PixelBox], frame: PixelBox
) -> LabelPosition:
    """The position whose box covers the least of the obstacles and of the area outside the frame.

    Of equally good positions the first one wins.
    """
    return min(boxes, key=lambda position: _covered_area(boxes[position], obstacles, frame))


def _covered_area(box: PixelBox, obstacles: Sequence[PixelBox], frame: PixelBox) -> float:
    outside = box.area - box.shared_area(frame)
    return sum(box.shared_area(obstacle) for obstacle in obstacles) + outside


def spread(targets: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1, at least ``gap`` apart and as close as possible to the targets, which are in rising order.

    If the gap does not fit, it is reduced to the largest one that does.
    """
    gap = min(gap, 1.0 / max(1, len(targets) - 1))
    # Less their gaps, the heights only have to be in rising order. Runs that fall are replaced by their mean (isotonic
    # regression by pooling adjacent violators).
    runs: list[tuple[float, int]] = []
    for index, target in enumerate(targets):
        mean, count = target - index * gap, 1
        while runs and runs[-1][0] > mean:
            previous_mean, previous_count = runs.pop()
            total = previous_mean * previous_count + mean * count
            count += previous_count
            mean = total / count
        runs.append((mean, count))
    highest = 1.0 - gap * (len(targets) - 1)
    heights = [min(max(mean, 0.0), highest) for mean, count in runs for _ in range(count)]
    return [height + index * gap for index, height in enumerate(heights)]
