"""Box geometry: area, overlap, distance and enclosing box of rectangles ``(left, top, right, bottom)``.

    intersection_over_union((0, 0, 2, 2), (1, 0, 3, 2))      # 0.333…
    enclosing_box([(0, 0, 2, 2), (1, 0, 3, 2)])              # (0, 0, 3, 2)

Right and bottom are outside. All boxes of a call have the same unit: pixels, or fractions of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

Number = TypeVar("Number", int, float)
"""Pixels are integers, fractions are floating-point numbers."""

Rectangle = tuple[Number, Number, Number, Number]


def area(box: Rectangle[Number]) -> Number:
    """The area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def center(box: Rectangle[Number]) -> tuple[float, float]:
    """The point halfway, across and down."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def overlap_along(first: Rectangle[Number], second: Rectangle[Number], axis: int) -> Number:
    """The length that two boxes share across (axis 0) or down (axis 1); negative where they are apart."""
    return min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis])


def intersect(first: Rectangle[Number], second: Rectangle[Number]) -> bool:
    """Whether two boxes share any area."""
    return overlap_along(first, second, 0) > 0 and overlap_along(first, second, 1) > 0


def common_area(first: Rectangle[Number], second: Rectangle[Number]) -> Number:
    """The area that two boxes share."""
    width, height = overlap_along(first, second, 0), overlap_along(first, second, 1)
    return width * height if width > 0 and height > 0 else width * 0


def intersection_over_union(first: Rectangle[Number], second: Rectangle[Number]) -> float:
    """The common area as a fraction of the area that either box covers."""
    common = common_area(first, second)
    return common / (area(first) + area(second) - common) if common else 0.0


def overlap_of_smaller(first: Rectangle[Number], second: Rectangle[Number]) -> float:
    """The common area as a fraction of the smaller box."""
    common = common_area(first, second)
    return common / min(area(first), area(second)) if common else 0.0


def distance(first: Rectangle[Number], second: Rectangle[Number]) -> float:
    """The distance between two boxes; 0 where they touch."""
    across = max(0, first[0] - second[2], second[0] - first[2])
    down = max(0, first[1] - second[3], second[1] - first[3])
    return math.hypot(across, down)


def enclosing_box(boxes: Iterable[Rectangle[Number]]) -> Rectangle[Number]:
    """The smallest box that contains all of ``boxes``; there is at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def largest_edge_shift(first: Rectangle[Number], second: Rectangle[Number]) -> Number:
    """How far apart the edges of two boxes are, for the edge where that is most."""
    return max(abs(edge - other_edge) for edge, other_edge in zip(first, second, strict=True))


def is_inside(inner: Rectangle[Number], outer: Rectangle[Number], slack: Number) -> bool:
    """Whether ``inner`` reaches beyond no edge of ``outer`` by more than ``slack``."""
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def as_fractions(box: Rectangle[Number], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box in pixels as fractions of the picture's width and height."""
    width, height = size
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height
