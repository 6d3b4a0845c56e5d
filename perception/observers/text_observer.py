"""Text observer: reads the text in the picture (OCR), with the times at which each line was visible.

    observer = TextObserver()
    observer.push(frame)                    # every sampled frame, in order
    observer.findings(Span(4.0, 9.0))       # visible_text/line and action/typed

Reading a whole picture costs about as much as one second of all other observers. The observer
therefore reads only regions that changed and look like writing (``text_regions``), recognises only
lines that it has not read before (``ocr.OcrReader``), and keeps the other lines at no cost
(``text_tracking``).

After a look that read many lines, the next one waits, so that a screen full of text that scrolls costs about
a second of one core for each second of video. Text that is visible for less than half a second (on such a
screen for less than eight), or that never rests while much of the picture moves, may be missed.
``look_closely`` reads a few given pictures at full resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from ...common.box_geometry import area, as_fractions, enclosing_box, intersect
from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .ocr import OcrLine, OcrReader, PixelBox, detection_scale, in_reading_order
from .text_regions import TILE, Grey, Grid, TextRegions, text_like
from .text_tracking import TextReading, TextTracker

INSPECTED_BY = "inspect-ocr/1"

_MOVING_SIDE = 480  # the longer side for moving regions, where small text is blurred anyway
_SMALL_SIDE, _ENLARGE = 640, 2.0  # a smaller picture is enlarged for its small print
_LINE_PX = 22  # a line of this height is detected reliably
_CLOSE_SIDE = 1600
_MOST_RECTANGLES = 6
_MOST_PATIENCE = 4  # how many looks are skipped while moving regions show no text
_LEAST, _MOVING_LEAST = 0.6, 0.8  # confidence; text that motion blurs is often misread
_LINES_PER_S = 20.0  # recognising this many lines takes about a second on one core
_LONGEST_REST_S = 8.0  # the longest wait after a look that read many lines
_EARLY_S = 0.05  # frames are not exactly a quarter of a second apart
_LARGE = 0.04  # fraction of the picture that is more than a line being typed
_WASTE = 1.3  # two rectangles are merged if the result is at most this much larger


@dataclass(slots=True)
class TextCounts:
    """The work done so far."""

    frames: int = 0
    """Sampled frames taken."""
    full_pictures: int = 0
    """Frames whose whole picture was used."""
    looks: int = 0
    """Frames in which text was detected. The reader counts the lines that were read in them."""


class TextObserver:
    """Reads the text in the picture of one stream."""

    written_by = "ocr/1"
    finding_kinds = builtin_kinds("line", "typed")

    def __init__(self, *, looks_per_s: float = 2.0, threads: int = 1) -> None:
        if looks_per_s <= 0:
            raise ValueError(f"looks_per_s must be greater than 0, not {looks_per_s}")
        self._apart_s = 1.0 / looks_per_s
        self._regions = TextRegions()
        self._lines = TextTracker(self.written_by)
        self._time_s = self._looked_s = -math.inf
        self._step_s = 0.0
        self._rest_s = 0.0
        self._fruitless = 0
        self._small_shape = (1, 1)
        self.reader = OcrReader(threads=threads)
        """The reader, with its own counts."""
        self.counts = TextCounts()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame, and read it where text may have changed."""
        if frame.small is None:
            return
        small = np.asarray(cv2.cvtColor(frame.small, cv2.COLOR_BGR2GRAY), np.uint8)
        self.counts.frames += 1
        self._step_s = min(1.0, max(0.0, frame.time_s - self._time_s))
        self._time_s = frame.time_s
        self._small_shape = small.shape[0], small.shape[1]
        self._regions.push(small, frame.time_s)
        if frame.time_s - self._looked_s < max(self._apart_s, self._rest_s) - _EARLY_S:
            return
        due = self._regions.due(frame.time_s, self._tiles(line.box for line in self._lines.visible))
        if self._step_s < self._apart_s:
            # A region that changed just now may go on changing in the next frame.
            due &= self._regions.first_change_s < frame.time_s
        if due.any() and frame.time_s - self._looked_s >= self._patience_s(due) - _EARLY_S:
            self._looked_s = frame.time_s
            self._look(frame.picture(), small, due)

    def cut(self, time_s: float) -> None:
        """End all lines with the shot."""
        self._lines.end_all(time_s)
        self._regions.forget()
        self._fruitless = 0

    def findings(self, span: Span) -> list[Finding]:
        """The lines in ``span``, in reading order, and the text typed in it."""
        return self._lines.findings(span)

    def _patience_s(self, due: Grid) -> float:
        """The time to wait after the last look: longer where much moves, or where moving regions show no text."""
        # Still tiles beside motion wait too: a scrolling line has left them only now.
        near = cv2.dilate(self._regions.restless.astype(np.uint8), np.ones((5, 5), np.uint8))
        has_caption = self._fruitless > 0 and bool((due & self._regions.arisen).any())
        if has_caption or near[due].mean() <= 0.5:
            return self._apart_s
        least = 2 if self._regions.restless.mean() > _LARGE else 1
        return self._apart_s * max(least, min(1 + self._fruitless, _MOST_PATIENCE))

    def _look(self, picture: Picture, small: Grey, due: Grid) -> None:
        """Read the tiles that are ``due``, and the lines on them."""
        self.counts.full_pictures += 1
        lines_before = self.reader.lines_read
        size = picture.shape[1], picture.shape[0]
        written = text_like(picture, small, self._regions.shape)
        visible = [
            (line, _in_pixels(line.box, size), self._tiles([line.box])) for line in self._lines.visible
        ]
        touched = [box for _, box, tiles in visible if (tiles & due).any() and (tiles & written).any()]
        rectangles = _merged([*self._patches(due & written, size), *touched], [box for _, box, _ in visible])
        readings = [reading for rectangle in rectangles for reading in self._read(picture, rectangle, due)]
        looked_at = [
            (line, self._gone_s(tiles & due))
            for line, box, tiles in visible
            if (tiles & due).any() or any(intersect(box, rectangle) for rectangle in rectangles)
        ]
        new_boxes = self._lines.update(readings, looked_at, self._time_s)
        self._fruitless = 0 if new_boxes else self._fruitless + 1
        self.counts.looks += bool(rectangles)
        self._regions.looked(due, self._time_s, self._tiles(new_boxes))
        self._rest_s = min(_LONGEST_REST_S, (self.reader.lines_read - lines_before) / _LINES_PER_S)

    def _patches(self, tiles: Grid, size: tuple[int, int]) -> list[PixelBox]:
        """The rectangles that contain ``tiles``. Tiles of a row with one tile between them share a rectangle."""
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
        looked_at = due & self._tiles([as_fractions(rectangle, size)])
        moving = bool(looked_at.any()) and float(self._regions.restless[looked_at].mean()) > 0.5
        scale = self._scale(picture, rectangle, moving=moving and self._regions.frames > 1)
        readings = []
        for line in self.reader.read(picture, scale=scale, within=rectangle):
            if worth_keeping(line, least=_MOVING_LEAST if moving else _LEAST):
                box = as_fractions(line.box, size)
                readings.append(TextReading(line.text, line.confidence, box, self._since_s(box)))
        return readings

    def _scale(self, picture: Picture, rectangle: PixelBox, *, moving: bool) -> float:
        """The zoom for detecting text in ``rectangle``. A smaller one costs less."""
        if moving:
            return detection_scale(picture.shape, longest_side=_MOVING_SIDE)
        if max(picture.shape[:2]) < _SMALL_SIDE:
            return detection_scale(picture.shape, longest_side=_SMALL_SIDE, enlarge=_ENLARGE)
        scale = detection_scale(picture.shape)
        size = picture.shape[1], picture.shape[0]
        tracked = [
            line.box for line in self._lines.visible if intersect(_in_pixels(line.box, size), rectangle)
        ]
        if tracked:
            # New text beside tracked lines is about as large as they are.
            least_px = min(box[3] - box[1] for box in tracked) * size[1]
            scale = min(scale, max(scale / 2, _LINE_PX / least_px))
        return scale

    def _since_s(self, box: Box) -> float:
        """The time since which the picture has looked as it does now at ``box``."""
        tiles = self._tiles([box])
        changed = tiles & self._regions.pending
        if changed.any():
            # The median: a cursor that blinks on one tile does not make the whole line younger.
            times_s = np.sort(self._regions.last_change_s[changed])
            return float(times_s[(len(times_s) - 1) // 2])
        return float(self._regions.last_change_s[tiles].max()) if tiles.any() else self._time_s

    def _gone_s(self, changed: Grid) -> float | None:
        """The time since which a line may be gone whose tiles ``changed``; None if none of them did."""
        if not changed.any():
            return None
        regions = self._regions
        first_change_s = regions.first_change_s[changed]
        # In constant motion the first change follows every look at once, so it says nothing.
        is_moving = np.mean(first_change_s - regions.looked_s[changed] < self._apart_s + _EARLY_S) > 0.5
        if is_moving and regions.restless[changed].mean() > 0.5:
            return self._time_s
        return float(first_change_s.max())

    def _tiles(self, boxes: Iterable[Box]) -> Grid:
        """The tiles under the given boxes."""
        tiles_down, tiles_across = self._small_shape[0] / TILE, self._small_shape[1] / TILE
        tiles = np.zeros(self._regions.shape, bool)
        for left, top, right, bottom in boxes:
            rows = slice(int(top * tiles_down), math.ceil(bottom * tiles_down))
            tiles[rows, int(left * tiles_across) : math.ceil(right * tiles_across)] = True
        return tiles


def look_closely(pictures: Sequence[tuple[float, Picture]], span: Span) -> list[Finding]:
    """Read a few whole pictures, each with its time in seconds, at full resolution.

    A line lasts from the first picture that shows it to the first one that does not, or to the end of
    ``span``. Findings are written by ``INSPECTED_BY``.
    """
    reader = OcrReader()
    lines = TextTracker(INSPECTED_BY)
    for time_s, picture in sorted(pictures, key=lambda timed: timed[0]):
        size = picture.shape[1], picture.shape[0]
        readings = [
            TextReading(line.text, line.confidence, as_fractions(line.box, size), time_s)
            for line in _read_closely(reader, picture)
        ]
        lines.update(readings, [(line, time_s) for line in lines.visible], time_s)
    return lines.findings(span)


def _read_closely(reader: OcrReader, picture: Picture) -> list[OcrLine]:
    """The lines read at a large scale, and those read only at a small one, where blurred letters are sharper."""
    close = detection_scale(picture.shape, longest_side=_CLOSE_SIDE, enlarge=_ENLARGE)
    far = detection_scale(picture.shape, longest_side=_MOVING_SIDE)
    lines: list[OcrLine] = []
    for scale in (close, far):
        readings = [line for line in reader.read(picture, scale=scale) if worth_keeping(line)]
        lines += [line for line in readings if not any(intersect(line.box, kept.box) for kept in lines)]
    return in_reading_order(lines)


def worth_keeping(line: OcrLine, *, least: float = _LEAST) -> bool:
    """Whether a line is text, and not texture that was read as text.

    ``least`` is the confidence that a longer line needs. Shorter lines need more, and a single character
    is never enough.
    """
    characters = sum(character.isalnum() for character in line.text)
    needed = {0: 2.0, 1: 2.0, 2: 0.9, 3: 0.75}.get(characters, 0.0)
    return line.confidence >= max(needed, least)


def _merged(patches: Sequence[PixelBox], lines: Sequence[PixelBox]) -> list[PixelBox]:
    """Few rectangles that contain all ``patches`` and cut through none of the tracked ``lines``."""
    rectangles = list(patches)
    while True:
        rectangles = [_grown(rectangle, lines) for rectangle in rectangles]
        merges = []
        for first, second in combinations(rectangles, 2):
            hull = enclosing_box([first, second])
            separate_area = area(first) + area(second)
            is_worthwhile = intersect(first, second) or area(hull) <= _WASTE * separate_area
            if len(rectangles) > _MOST_RECTANGLES or is_worthwhile:
                merges.append((area(hull) - separate_area, hull, first, second))
        if not merges:
            return rectangles
        _, hull, first, second = min(merges)
        rectangles.remove(first)
        rectangles.remove(second)
        rectangles.append(hull)


def _grown(rectangle: PixelBox, lines: Sequence[PixelBox]) -> PixelBox:
    for line in lines:
        if intersect(rectangle, line):
            rectangle = enclosing_box([rectangle, line])
    return rectangle


def _in_pixels(box: Box, size: tuple[int, int]) -> PixelBox:
    """The pixels of ``box``, with the margin that the detector needs around a line."""
    margin = round(0.25 * (box[3] - box[1]) * size[1]) + 2
    return (
        max(0, int(box[0] * size[0]) - margin),
        max(0, int(box[1] * size[1]) - margin),
        min(size[0], math.ceil(box[2] * size[0]) + margin),
        min(size[1], math.ceil(box[3] * size[1]) + margin),
    )
