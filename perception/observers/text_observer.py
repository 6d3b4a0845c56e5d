"""Text in the picture, and since when and until when it was there.

    observer = TextObserver()
    observer.push(frame)                    # every sampled frame, in order
    observer.findings(Span(4.0, 9.0))       # visible_text/line and action/typed

Reading a whole picture costs about as much as a second of everything else, so the observer looks
only at the places that changed and look like writing (``text_places``), reads only lines it has
not read before (``ocr.Reader``), and keeps the others alive at no cost (``text_lines``).

It knows of no shapes but text, and of no text but what ``ocr`` reads. Text that is there for less
than half a second, or that never rests while much of the picture moves, may be missed;
``look_closely`` reads a few chosen pictures at full resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .ocr import OcrLine, OcrReader, PixelBox, detection_scale, in_reading_order
from .text_regions import TILE, Grey, Grid, TextRegions, text_like
from .text_tracking import TextReading, TextTracker

INSPECTED_BY = "inspect-ocr/1"

_MOVING_SIDE = 480  # for places in motion, where small text is blurred anyway
_SMALL_SIDE, _ENLARGE = 640, 2.0  # a smaller picture is enlarged, for its small print
_LINE_PX = 22  # a line of this height is surely found
_CLOSE_SIDE = 1600
_MOST_RECTANGLES = 6
_MOST_PATIENCE = 4  # looks that are left out while what moves shows no text
_LEAST, _MOVING_LEAST = 0.6, 0.8  # confidence; what is blurred by motion is often read as something else
_EARLY_S = 0.05  # frames do not come exactly a quarter of a second apart
_LARGE = 0.04  # of the picture: more than a line that is being typed
_WASTE = 1.3  # two rectangles become one if that is at most so much larger


@dataclass(slots=True)
class TextCounts:
    """What it took so far."""

    frames: int = 0
    """Sampled frames seen."""
    glances: int = 0
    """Frames whose whole picture was asked for."""
    looks: int = 0
    """Frames in which text was looked for; the reader counts what was read in them."""


class TextObserver:
    """Reads the text in the picture of one stream."""

    written_by = "ocr/1"
    finding_kinds = builtin_kinds("line", "typed")

    def __init__(self, *, looks_per_s: float = 2.0, threads: int = 1) -> None:
        if looks_per_s <= 0:
            raise ValueError(f"looks_per_s must be greater than 0, not {looks_per_s}")
        self._apart_s = 1.0 / looks_per_s
        self._places = TextRegions()
        self._lines = TextTracker(self.written_by)
        self._time_s = self._looked_s = -math.inf
        self._step_s = 0.0
        self._fruitless = 0
        self._small_shape = (1, 1)
        self.reader = OcrReader(threads=threads)
        """What reads for it."""
        self.counts = TextCounts()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame, and look at it where text may have changed."""
        if frame.small is None:
            return
        small = np.asarray(cv2.cvtColor(frame.small, cv2.COLOR_BGR2GRAY), np.uint8)
        self.counts.frames += 1
        self._step_s = min(1.0, max(0.0, frame.time_s - self._time_s))
        self._time_s = frame.time_s
        self._small_shape = small.shape[0], small.shape[1]
        self._places.push(small, frame.time_s)
        if frame.time_s - self._looked_s < self._apart_s - _EARLY_S:
            return
        due = self._places.due(frame.time_s, self._tiles(line.box for line in self._lines.there))
        if self._step_s < self._apart_s:
            # The next frame tells whether what changed just now goes on changing.
            due &= self._places.first_change_s < frame.time_s
        if due.any() and frame.time_s - self._looked_s >= self._patience_s(due) - _EARLY_S:
            self._looked_s = frame.time_s
            self._look(frame.picture(), small, due)

    def cut(self, time_s: float) -> None:
        """A shot ended: all lines are gone with it."""
        self._lines.end_all(time_s)
        self._places.forget()
        self._fruitless = 0

    def findings(self, span: Span) -> list[Finding]:
        """The lines that could be read in ``span``, in reading order, and what was typed in it."""
        return self._lines.findings(span)

    def _patience_s(self, due: Grid) -> float:
        """How long to wait after the last look: longer where much moves, or what moves shows no text."""
        # What rests beside motion waits with it: behind a scrolling line lies what it has left.
        near = cv2.dilate(self._places.restless.astype(np.uint8), np.ones((5, 5), np.uint8))
        caption = self._fruitless > 0 and bool((due & self._places.arisen).any())
        if caption or near[due].mean() <= 0.5:
            return self._apart_s
        least = 2 if self._places.restless.mean() > _LARGE else 1
        return self._apart_s * max(least, min(1 + self._fruitless, _MOST_PATIENCE))

    def _look(self, picture: Picture, small: Grey, due: Grid) -> None:
        """Read the tiles that are ``due``, and the lines that stand on them."""
        self.counts.glances += 1
        size = picture.shape[1], picture.shape[0]
        written = text_like(picture, small, self._places.shape)
        there = [(line, _in_pixels(line.box, size), self._tiles([line.box])) for line in self._lines.there]
        touched = [box for _, box, tiles in there if (tiles & due).any() and (tiles & written).any()]
        rectangles = _merged([*self._patches(due & written, size), *touched], [box for _, box, _ in there])
        readings = [reading for rectangle in rectangles for reading in self._read(picture, rectangle, due)]
        looked_at = [
            (line, self._gone_s(tiles & due))
            for line, box, tiles in there
            if (tiles & due).any() or any(_overlap(box, rectangle) for rectangle in rectangles)
        ]
        news = self._lines.update(readings, looked_at, self._time_s)
        self._fruitless = 0 if news else self._fruitless + 1
        self.counts.looks += bool(rectangles)
        self._places.looked(due, self._time_s, self._tiles(news))

    def _patches(self, tiles: Grid, size: tuple[int, int]) -> list[PixelBox]:
        """The rectangles of the picture that hold ``tiles``; those on one row a tile apart are one."""
        bridged = cv2.dilate(tiles.astype(np.uint8), np.ones((1, 3), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(bridged, ltype=cv2.CV_16U)
        zoom = size[0] / self._small_shape[1] * TILE
        margin = zoom / 2
        return [
            (
                max(0, int(column * zoom)),
                max(0, int(row * zoom - margin)),
                min(size[0], math.ceil((column + columns) * zoom)),
                min(size[1], math.ceil((row + rows) * zoom + margin)),
            )
            for column, row, columns, rows, _ in stats[1:count].tolist()
        ]

    def _read(self, picture: Picture, rectangle: PixelBox, due: Grid) -> list[TextReading]:
        """The lines in ``rectangle`` that are worth keeping."""
        size = picture.shape[1], picture.shape[0]
        looked_at = due & self._tiles([_as_fractions(rectangle, size)])
        moving = bool(looked_at.any()) and float(self._places.restless[looked_at].mean()) > 0.5
        scale = self._scale(picture, rectangle, moving=moving and self._places.frames > 1)
        readings = []
        for line in self.reader.read(picture, scale=scale, within=rectangle):
            if worth_keeping(line, least=_MOVING_LEAST if moving else _LEAST):
                box = _as_fractions(line.box, size)
                readings.append(TextReading(line.text, line.confidence, box, self._since_s(box)))
        return readings

    def _scale(self, picture: Picture, rectangle: PixelBox, *, moving: bool) -> float:
        """The zoom at which to look for text in ``rectangle``; the smaller, the cheaper."""
        if moving:
            return detection_scale(picture.shape, longest_side=_MOVING_SIDE)
        if max(picture.shape[:2]) < _SMALL_SIDE:
            return detection_scale(picture.shape, longest_side=_SMALL_SIDE, enlarge=_ENLARGE)
        scale = detection_scale(picture.shape)
        size = picture.shape[1], picture.shape[0]
        known = [line.box for line in self._lines.there if _overlap(_in_pixels(line.box, size), rectangle)]
        if known:
            # What joins known lines is about as large as they are.
            least_px = min(box[3] - box[1] for box in known) * size[1]
            scale = min(scale, max(scale / 2, _LINE_PX / least_px))
        return scale

    def _since_s(self, box: Box) -> float:
        """Since when the picture has looked as it does now at ``box``."""
        tiles = self._tiles([box])
        changed = tiles & self._places.pending
        if changed.any():
            # The middle one: a cursor that blinks on one tile does not make the whole line younger.
            times_s = np.sort(self._places.last_change_s[changed])
            return float(times_s[(len(times_s) - 1) // 2])
        return float(self._places.last_change_s[tiles].max()) if tiles.any() else self._time_s

    def _gone_s(self, changed: Grid) -> float | None:
        """Since when a line is gone, if it is, whose tiles ``changed``; None if none did."""
        if not changed.any():
            return None
        places = self._places
        first_change_s = places.first_change_s[changed]
        # Where all is in motion the first change says nothing, as it follows every look at once.
        moved_on = np.mean(first_change_s - places.looked_s[changed] < self._apart_s + _EARLY_S) > 0.5
        if moved_on and places.restless[changed].mean() > 0.5:
            return self._time_s
        return float(first_change_s.max())

    def _tiles(self, boxes: Iterable[Box]) -> Grid:
        """The tiles under the given boxes."""
        high, wide = self._small_shape[0] / TILE, self._small_shape[1] / TILE
        tiles = np.zeros(self._places.shape, bool)
        for left, top, right, bottom in boxes:
            rows = slice(int(top * high), math.ceil(bottom * high))
            tiles[rows, int(left * wide) : math.ceil(right * wide)] = True
        return tiles


def look_closely(pictures: Sequence[tuple[float, Picture]], span: Span) -> list[Finding]:
    """Read a few whole pictures, each with its time in seconds, at full resolution.

    The lines are joined over time: each lasts from the first picture that shows it to the first
    one that does not, or to the end of ``span``. Findings are written by ``INSPECTED_BY``.
    """
    reader = OcrReader()
    lines = TextTracker(INSPECTED_BY)
    for time_s, picture in sorted(pictures, key=lambda timed: timed[0]):
        size = picture.shape[1], picture.shape[0]
        readings = [
            TextReading(line.text, line.confidence, _as_fractions(line.box, size), time_s)
            for line in _read_closely(reader, picture)
        ]
        lines.update(readings, [(line, time_s) for line in lines.there], time_s)
    return lines.findings(span)


def _read_closely(reader: OcrReader, picture: Picture) -> list[OcrLine]:
    """What is read in large, and what is read only in small: blurred letters join when shrunk."""
    close = detection_scale(picture.shape, longest_side=_CLOSE_SIDE, enlarge=_ENLARGE)
    far = detection_scale(picture.shape, longest_side=_MOVING_SIDE)
    lines: list[OcrLine] = []
    for scale in (close, far):
        found = [line for line in reader.read(picture, scale=scale) if worth_keeping(line)]
        lines += [line for line in found if not any(_overlap(line.box, other.box) for other in lines)]
    return in_reading_order(lines)


def worth_keeping(line: OcrLine, *, least: float = _LEAST) -> bool:
    """Whether a line is text and not texture that was read as some.

    ``least`` is the confidence that a line of some length needs. The shorter it is, the surer
    it must be, and a single character is never enough.
    """
    characters = sum(character.isalnum() for character in line.text)
    needed = {0: 2.0, 1: 2.0, 2: 0.9, 3: 0.75}.get(characters, 0.0)
    return line.confidence >= max(needed, least)


def _merged(patches: Sequence[PixelBox], lines: Sequence[PixelBox]) -> list[PixelBox]:
    """Few rectangles that hold all ``patches`` and cut through none of the known ``lines``."""
    rectangles = list(patches)
    while True:
        rectangles = [_grown(rectangle, lines) for rectangle in rectangles]
        pairs = [
            (_area(_hull(one, other)) - _area(one) - _area(other), _hull(one, other), one, other)
            for one, other in combinations(rectangles, 2)
            if len(rectangles) > _MOST_RECTANGLES
            or _overlap(one, other)
            or _area(_hull(one, other)) <= _WASTE * (_area(one) + _area(other))
        ]
        if not pairs:
            return rectangles
        _, hull, one, other = min(pairs)
        rectangles.remove(one)
        rectangles.remove(other)
        rectangles.append(hull)


def _grown(rectangle: PixelBox, lines: Sequence[PixelBox]) -> PixelBox:
    for line in lines:
        if _overlap(rectangle, line):
            rectangle = _hull(rectangle, line)
    return rectangle


def _hull(one: PixelBox, other: PixelBox) -> PixelBox:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _area(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one: PixelBox, other: PixelBox) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _in_pixels(box: Box, size: tuple[int, int]) -> PixelBox:
    """The pixels of ``box``, with a margin that the detector needs to see where a line ends."""
    margin = round(0.25 * (box[3] - box[1]) * size[1]) + 2
    return (
        max(0, int(box[0] * size[0]) - margin),
        max(0, int(box[1] * size[1]) - margin),
        min(size[0], math.ceil(box[2] * size[0]) + margin),
        min(size[1], math.ceil(box[3] * size[1]) + margin),
    )


def _as_fractions(box: PixelBox, size: tuple[int, int]) -> Box:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]
