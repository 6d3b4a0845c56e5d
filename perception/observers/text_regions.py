"""Text regions: where in the picture text may have changed since it was last read.

    regions.push(grey, time_s)              # every sampled frame, small and grey
    due = regions.due(time_s, has_text)     # the tiles to read now
    regions.looked(due, time_s, new)        # they were read, and the tiles ``new`` showed new text

The picture is a grid of tiles. A tile is *pending* while it looks different from when it was last read, so
a pointer that passes over it costs nothing. Tiles that showed nothing new are read less and less often
(grass, crowds), while a new change is read soon. ``text_like`` finds the tiles that look like text.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..sources.frame import Picture

TILE = 16
"""Side of a tile, in pixels of the small picture."""

Grey = NDArray[np.uint8]
Grid = NDArray[np.bool_]
"""Rows × columns of tiles."""
Times = NDArray[np.float64]

_CHANGED = 14  # grey levels; a thin letter of a full-HD screen changes about 20 when shrunk to 320 pixels
_STRONGLY_CHANGED = 28
_PLAIN = 24  # grey levels between the darkest and the brightest pixel of a tile without writing
_LONGEST_WAIT_S = 4.0
_LONGEST_WAIT_AT_TEXT_S = 1.0
_MOST_FRUITLESS = 3

_STROKE_SIDE = 960
_STROKE_PX = 13
_FINE_EDGE, _COARSE_EDGE = 36, 30
_FINE_STROKES, _COARSE_STROKES = 0.03, 0.04
_BOLD_EDGE, _BOLD_STROKES = 45, 0.1  # captions that are drawn over a film


class TextRegions:
    """Follows the tiles of one stream's small pictures."""

    def __init__(self) -> None:
        self.frames = 0
        """The number of frames since the last ``forget``."""
        self._last: Grey = np.zeros((0, 0), np.uint8)
        self._read: Grey = self._last
        self._begin(self._last, 0.0)

    def _begin(self, grey: Grey, time_s: float) -> None:
        rows, columns = -(-grey.shape[0] // TILE), -(-grey.shape[1] // TILE)
        none: Grid = np.zeros((rows, columns), bool)
        self._read = grey.copy()
        self.shape = rows, columns
        self.pending: Grid = ~none
        """The tiles that look different from when they were last read."""
        self.restless: Grid = ~none
        """The tiles that changed since the previous frame."""
        self.arisen: Grid = none
        """The tiles that look like a caption in two frames, and did not when last read."""
        self.first_change_s: Times = np.full(self.shape, time_s)
        """The time since which each tile has been pending."""
        self.last_change_s: Times = np.full(self.shape, time_s)
        self.looked_s: Times = np.full(self.shape, -np.inf)
        self._bold: Grid = none
        self._bold_when_read: Grid = none.copy()
        self._read_in_motion: Grid = none.copy()
        self._fruitless: NDArray[np.int64] = np.zeros(self.shape, np.int64)

    def forget(self) -> None:
        """Another shot begins: every tile is new."""
        self.frames = 0

    def push(self, grey: Grey, time_s: float) -> None:
        """Compare the tiles of one sampled frame with the previous frame and with the last reading."""
        if self.frames == 0 or self._last.shape != grey.shape:
            self._begin(grey, time_s)
        else:
            self.restless = self._differs(grey, self._last)
            is_unread = np.isneginf(self.looked_s) | (self._read_in_motion & ~self.restless)
            pending = self._differs(grey, self._read) | is_unread
            newly = pending & ~self.pending
            self.first_change_s[newly] = time_s
            self.last_change_s[newly | self.restless] = time_s
            self.pending = pending
        self._last = grey
        self.frames += 1
        bold = _tile_means(_strokes(grey, _BOLD_EDGE), self.shape, TILE) > _BOLD_STROKES
        arisen = bold & self._bold & ~self._bold_when_read
        # A caption covers at least three tiles of a row.
        row = np.ones((1, 3), np.uint8)
        self.arisen = cv2.morphologyEx(arisen.astype(np.uint8), cv2.MORPH_OPEN, row).astype(bool)
        self._bold = bold

    def due(self, time_s: float, has_text: Grid) -> Grid:
        """The tiles to read now. Tiles where text was read before wait less."""
        wait_s = np.where(self._fruitless > 0, 0.5 * 2.0**self._fruitless, 0.0)
        wait_s[self.arisen] = 0.0
        wait_s = np.minimum(wait_s, np.where(has_text, _LONGEST_WAIT_AT_TEXT_S, _LONGEST_WAIT_S))
        blank = self.pending & ~has_text & self._plain()
        self._take_as_read(blank, time_s)
        return np.asarray(self.pending & (time_s >= self.looked_s + wait_s))

    def looked(self, tiles: Grid, time_s: float, new: Grid) -> None:
        """Note that ``tiles`` were read, and that those in ``new`` showed new text."""
        # Tiles that were read in motion are read once more when they rest.
        self._read_in_motion[tiles] = self.restless[tiles] & (self.frames > 1)
        self._take_as_read(tiles, time_s)
        self._fruitless[tiles & new] = 0
        unchanged = tiles & ~new
        self._fruitless[unchanged] = np.minimum(self._fruitless[unchanged] + 1, _MOST_FRUITLESS)

    def _take_as_read(self, tiles: Grid, time_s: float) -> None:
        pixels = _enlarged(tiles, self._last.shape)
        self._read[pixels] = self._last[pixels]
        self._bold_when_read[tiles] = self._bold[tiles]
        self.looked_s[tiles] = time_s
        self.pending &= ~tiles

    def _differs(self, first: Grey, second: Grey) -> Grid:
        difference = cv2.absdiff(first, second)
        slightly = _tile_sums((difference > _CHANGED).astype(np.float32)) >= 2
        strongly = _tile_sums((difference > _STRONGLY_CHANGED).astype(np.float32)) >= 1
        return slightly | strongly

    def _plain(self) -> Grid:
        around = np.ones((TILE, TILE), np.uint8)
        spread = cv2.subtract(cv2.dilate(self._last, around), cv2.erode(self._last, around))
        middle = TILE // 2
        rows, columns = self.shape
        row_centers = np.minimum(np.arange(rows) * TILE + middle, spread.shape[0] - 1)
        column_centers = np.minimum(np.arange(columns) * TILE + middle, spread.shape[1] - 1)
        return np.asarray(spread[np.ix_(row_centers, column_centers)] < _PLAIN)


def text_like(picture: Picture, small: Grey, shape: tuple[int, int]) -> Grid:
    """The tiles with strokes like those of writing: rising and falling edges close together.

    Small writing is found in the whole ``picture``, large or blurred writing in the ``small`` one.
    """
    scale = min(1.0, _STROKE_SIDE / max(picture.shape[:2]))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    zoom = grey.shape[1] / small.shape[1]
    fine = _tile_means(_strokes(np.asarray(grey, np.uint8), _FINE_EDGE), shape, TILE * zoom)
    coarse = _tile_means(_strokes(small, _COARSE_EDGE), shape, TILE)
    return (fine > _FINE_STROKES) | (coarse > _COARSE_STROKES)


def _strokes(grey: Grey, edge: int) -> NDArray[np.float32]:
    """1 where an edge has an edge of the opposite direction close to its left or right."""
    slope = cv2.filter2D(grey, cv2.CV_16S, np.array([[-1, 0, 1]], np.float32))
    rising, falling = (slope > edge).astype(np.uint8), (slope < -edge).astype(np.uint8)
    reach = np.ones((1, _STROKE_PX), np.uint8)
    near_both = cv2.bitwise_and(cv2.dilate(rising, reach), cv2.dilate(falling, reach))
    return np.asarray(cv2.bitwise_and(rising | falling, near_both), np.float32)


def _tile_sums(values: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = -(-values.shape[0] // TILE), -(-values.shape[1] // TILE)
    padded = np.zeros((rows * TILE, columns * TILE), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    return np.asarray(padded.reshape(rows, TILE, columns, TILE).sum(axis=(1, 3)), np.float32)


def _tile_means(values: NDArray[np.float32], shape: tuple[int, int], side: float) -> NDArray[np.float32]:
    """The mean over each tile of ``side`` pixels. A tile that the edge cuts off counts as whole."""
    sums = cv2.integral(values)
    rows = np.minimum(np.round(np.arange(shape[0] + 1) * side), values.shape[0]).astype(int)
    columns = np.minimum(np.round(np.arange(shape[1] + 1) * side), values.shape[1]).astype(int)
    corners = sums[np.ix_(rows, columns)]
    return np.asarray(np.diff(np.diff(corners, axis=0), axis=1) / side**2, np.float32)


def _enlarged(tiles: Grid, shape: tuple[int, ...]) -> Grid:
    """The pixels of some tiles."""
    return tiles.repeat(TILE, axis=0).repeat(TILE, axis=1)[: shape[0], : shape[1]]
