"""Box geometry, checked against counting the pixels of small boxes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recollect.common.box_geometry import (
    area,
    as_fractions,
    center,
    common_area,
    distance,
    enclosing_box,
    intersect,
    intersection_over_union,
    is_inside,
    largest_edge_shift,
    overlap_of_smaller,
)

edges = st.integers(0, 12)
boxes = st.tuples(edges, edges, edges, edges).map(
    lambda edge: (min(edge[0], edge[2]), min(edge[1], edge[3]), max(edge[0], edge[2]) + 1, max(edge[1], edge[3]) + 1)
)  # fmt: skip


def pixels(box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((14, 14), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(boxes, boxes)
def test_areas_and_overlaps_count_pixels(first, second):
    common = int((pixels(first) & pixels(second)).sum())
    union = int((pixels(first) | pixels(second)).sum())

    assert area(first) == pixels(first).sum()
    assert common_area(first, second) == common
    assert intersect(first, second) == (common > 0)
    assert intersection_over_union(first, second) == common / union
    assert overlap_of_smaller(first, second) == common / min(area(first), area(second))


@given(boxes, boxes)
def test_the_enclosing_box_contains_both_and_nothing_is_smaller(first, second):
    hull = enclosing_box([first, second])

    rows, columns = np.nonzero(pixels(first) | pixels(second))
    assert hull == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert is_inside(first, hull, 0)
    assert is_inside(second, hull, 0)


def test_boxes_that_touch_have_no_distance():
    assert distance((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert distance((0, 0, 2, 2), (5, 6, 7, 8)) == math.hypot(3, 4)


def test_edges_may_be_compared_with_slack():
    assert largest_edge_shift((0, 0, 4, 4), (1, 0, 4, 7)) == 3
    assert is_inside((0, 0, 4, 4), (1, 1, 5, 5), slack=1)
    assert not is_inside((0, 0, 4, 4), (2, 1, 5, 5), slack=1)


def test_fractions_are_of_width_and_height():
    assert as_fractions((16, 9, 32, 18), (64, 36)) == (0.25, 0.25, 0.5, 0.5)
    assert center((0.0, 0.5, 1.0, 1.0)) == (0.5, 0.75)
