"""OCR (optical character recognition): reads the text in a picture with RapidOCR.

    for line in read_text(picture):
        line.text, line.confidence, line.box     # "EXIT", 0.98, (12, 40, 96, 71)

The models come inside the ``rapidocr`` wheel and are loaded at the first use. Nothing is downloaded.
A line of text is first detected, at a cost that grows with the number of pixels, and then recognised, at
a cost that grows with the length of the line. ``OcrReader`` therefore detects at a given scale,
recognises at full resolution, and remembers the lines that it has read: a line that looks the same is
not recognised again.

The model reads Latin, Greek, Chinese and Japanese script. Upside-down, mirrored and strongly curved
text is not read.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.text import collapse_whitespace
from ..sources.frame import Picture

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels. Right and bottom are outside."""

Quad = NDArray[np.float32]
"""Four corners in pixels: top left, top right, bottom right, bottom left of the text."""

DETECT_SIDE = 960
"""The longer side, in pixels, at which the text of a whole screen is still detected."""

MAX_LINES = 200
"""The most lines that are recognised in one picture, the largest first. A full screen of small text has fewer."""

_LEAST_CONFIDENCE = 0.3
_SIDE_STEP = 32  # the detector's network takes sides that are multiples of this
_LONGEST_SIDE = 4096
_LOOK_HEIGHT = 24  # rows of the thumbnail by which a line is recognised again
_LOOK_STEP = 8  # its width is a multiple of this, so that boxes of nearly equal width can be compared
_SAME_LOOK = 40  # grey levels (of 0-255, contrast stretched) that noise may change
_LETTER = 0.2  # the width of a thin letter, as a fraction of the line's height
_WORD_GAP = 0.25  # the widest gap between words, as a fraction of the line's height
_NOWHERE = (0, 0, 0, 0)

_Look = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text in a picture."""

    text: str
    confidence: float
    """The mean over its characters, 0 to 1."""
    box: PixelBox


class OcrReader:
    """Reads pictures, and remembers the lines read lately. Not for use by two threads at once."""

    def __init__(self, *, threads: int = 1, remembered: int = 256) -> None:
        self._threads = threads
        self._remembered = remembered
        self._remembered_lines: OrderedDict[int, tuple[PixelBox, _Look, OcrLine]] = OrderedDict()
        self._next_key = 0
        self.detections = 0
        """The number of detections."""
        self.detected_px = 0
        """The number of pixels in all detections, after scaling."""
        self.lines_read = 0
        """The number of lines that were recognised."""
        self.lines_reused = 0
        """The number of lines that looked like one read before."""

    def read(self, picture: Picture, *, scale: float = 1.0, within: PixelBox | None = None) -> list[OcrLine]:
        """The lines in ``picture``, or in its part ``within``, in reading order.

        ``scale`` is the zoom of the detection. Boxes are in pixels of ``picture``.
        Raises ``FileNotFoundError`` if the installed ``rapidocr`` has no models.
        """
        left, top, right, bottom = within or (0, 0, picture.shape[1], picture.shape[0])
        lines = []
        for quad in self._find(picture[top:bottom, left:right], scale):
            line = self._line_at(picture, quad + np.array([left, top], np.float32))
            if line is not None and line.confidence >= _LEAST_CONFIDENCE:
                lines.append(line)
        return in_reading_order(lines)

    def _find(self, picture: Picture, scale: float) -> list[Quad]:
        """The corners of each line of text, in pixels of ``picture``."""
        height, width = picture.shape[:2]
        if not height or not width:
            return []
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        scaled: cv2.typing.MatLike = picture
        if shape != (width, height):
            scaled = cv2.resize(
                picture, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            )
        # Padded to the network's step here. RapidOCR would stretch the picture to it.
        right, below = -shape[0] % _SIDE_STEP, -shape[1] % _SIDE_STEP
        scaled = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_REPLICATE)
        self.detections += 1
        self.detected_px += scaled.shape[0] * scaled.shape[1]
        with _ENGINE_LOCK:
            detected = _engine(self._threads)(scaled, use_det=True, use_cls=False, use_rec=False)
        if detected.boxes is None:
            return []
        back = np.array([width / shape[0], height / shape[1]], np.float32)
        edge = np.array([width, height], np.float32)
        quads = [np.clip(np.asarray(box, np.float32) * back, 0, edge) for box in detected.boxes]
        if len(quads) > MAX_LINES:
            # A picture of noise or of tiny print gives thousands, which would take minutes.
            quads = sorted(quads, key=lambda quad: float(np.ptp(quad[:, 0]) * np.ptp(quad[:, 1])))[
                -MAX_LINES:
            ]
        return _joined(quads)

    def _line_at(self, picture: Picture, quad: Quad) -> OcrLine | None:
        """The line inside ``quad``, taken from memory where it looks like a line read before."""
        crop = _straightened(picture, quad)
        if crop is None:
            return None
        box, look = _hull(quad, picture.shape), _look_of(crop)
        for key, (old_box, old_look, old_line) in self._remembered_lines.items():
            # Detected corners vary by some pixels, so a line in its old place is compared at the old box.
            same_place = _is_about_same(box, old_box)
            if (same_place and _is_alike(_look_of(_crop(picture, old_box)), old_look)) or _is_alike(
                look, old_look
            ):
                self._remembered_lines.move_to_end(key)
                self.lines_reused += 1
                return OcrLine(old_line.text, old_line.confidence, old_box if same_place else box)
        text, confidence = self._recognise(crop)
        line = OcrLine(text, confidence, box)
        # The box of a slanted line contains mostly background, so its place is not compared.
        is_straight = crop.shape[:2] == (box[3] - box[1], box[2] - box[0])
        self._remembered_lines[self._next_key] = box if is_straight else _NOWHERE, look, line
        self._next_key += 1
        while len(self._remembered_lines) > self._remembered:
            self._remembered_lines.popitem(last=False)
        return line

    def _recognise(self, crop: Picture) -> tuple[str, float]:
        self.lines_read += 1
        with _ENGINE_LOCK:
            recognised = _engine(self._threads)(crop, use_det=False, use_cls=False, use_rec=True)
        if not recognised.txts:
            return "", 0.0
        return collapse_whitespace(recognised.txts[0]), float(recognised.scores[0])


def read_text(
    picture: Picture, *, longest_side: int = DETECT_SIDE, enlarge: float = 1.0, threads: int = 1
) -> list[OcrLine]:
    """The lines of text in one picture, in reading order.

    The picture is scaled for the detection: its longer side to at most ``longest_side`` pixels, and a
    smaller picture by at most the factor ``enlarge``. Raises ``FileNotFoundError`` if the installed
    ``rapidocr`` has no models.
    """
    return OcrReader(threads=threads, remembered=0).read(
        picture, scale=detection_scale(picture.shape, longest_side=longest_side, enlarge=enlarge)
    )


def detection_scale(shape: Sequence[int], *, longest_side: int = DETECT_SIDE, enlarge: float = 1.0) -> float:
    """The zoom that brings a picture of this shape to ``longest_side``, at most ``enlarge``."""
    return min(enlarge, longest_side / max(1, shape[0], shape[1]))


def in_reading_order(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Top to bottom, and left to right in a row."""
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        middle = (line.box[1] + line.box[3]) / 2
        if rows and middle < rows[-1][0].box[3] and rows[-1][0].box[1] < middle:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box[0])]


_ENGINE_LOCK = threading.Lock()  # each call configures the engine before it runs it


@lru_cache(maxsize=4)
def _engine(threads: int) -> Any:
    """RapidOCR, created once per process. Importing it takes seconds."""
    # ONNX Runtime sends telemetry by default. The variable turns all of it off, if it is set before the first import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415
    import rapidocr  # noqa: PLC0415

    # For Windows, and for a program that has loaded ONNX Runtime before.
    onnxruntime.disable_telemetry_events()
    models = Path(rapidocr.__file__).parent / "models"
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": 0.0,
            "Global.use_vertical_padding": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # Given by path, because RapidOCR downloads a model that it does not find.
            "Det.model_path": _model(models, "det"),
            "Rec.model_path": _model(models, "rec"),
            "Det.limit_type": "max",
            "Det.limit_side_len": _LONGEST_SIDE,
            # One line at a time, without padding to 320 pixels, which would cost time.
            "Rec.rec_batch_num": 1,
            "Rec.rec_img_shape": [3, 48, 64],
        }
    )


def _model(folder: Path, task: str) -> str:
    models = sorted(folder.glob(f"*_{task}_*.onnx"))
    if not models:
        raise FileNotFoundError(
            f"the installed rapidocr has no {task} model in {folder}. "
            "Install rapidocr 3.10 or newer from its wheel."
        )
    return str(models[-1])


def _joined(quads: Sequence[Quad]) -> list[Quad]:
    """``quads``, where level ones that are as close together as words are joined."""
    joined: list[Quad] = []
    for quad in sorted(quads, key=lambda quad: float(quad[:, 0].min())):
        for index, before in enumerate(joined):
            if _follows(before, quad):
                left, top = np.minimum(before.min(axis=0), quad.min(axis=0))
                right, bottom = np.maximum(before.max(axis=0), quad.max(axis=0))
                joined[index] = np.array(
                    [[left, top], [right, top], [right, bottom], [left, bottom]], np.float32
                )
                break
        else:
            joined.append(quad)
    return joined


def _follows(before: Quad, quad: Quad) -> bool:
    heights = np.array([np.ptp(before[:, 1]), np.ptp(quad[:, 1])])
    tilt = max(abs(float(corners[0, 1] - corners[1, 1])) for corners in (before, quad))
    middles = abs(float(before[:, 1].mean() - quad[:, 1].mean()))
    gap = float(quad[:, 0].min() - before[:, 0].max())
    height = float(heights.min())
    level = tilt <= 0.1 * height and middles <= 0.2 * height and float(heights.max()) <= 1.5 * height
    return level and -0.5 * height <= gap <= _WORD_GAP * height


def _straightened(picture: Picture, quad: Quad) -> Picture | None:
    """The text inside ``quad`` as an upright strip; None if it is too small."""
    width = round(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2])))
    height = round(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2])))
    if width < 3 or height < 3:
        return None
    left, top, right, bottom = _hull(quad, picture.shape)
    if right - left <= width + 2 and bottom - top <= height + 2:
        strip: cv2.typing.MatLike = picture[top:bottom, left:right]
    else:
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        turn = cv2.getPerspectiveTransform(quad, corners)
        strip = cv2.warpPerspective(
            picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    if height >= 1.5 * width:
        strip = np.rot90(strip)
    return np.ascontiguousarray(strip, dtype=np.uint8)


def _hull(quad: Quad, shape: Sequence[int]) -> PixelBox:
    low, high = np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))
    return (
        max(0, int(low[0])),
        max(0, int(low[1])),
        min(shape[1], int(high[0])),
        min(shape[0], int(high[1])),
    )


def _crop(picture: Picture, box: PixelBox) -> Picture:
    return picture[box[1] : box[3], box[0] : box[2]]


def _is_about_same(first: PixelBox, second: PixelBox) -> bool:
    """Whether the edges of two boxes differ by less than the width of a letter."""
    limits = (_LETTER if edge in (0, 2) else 2 * _LETTER for edge in range(4))
    height = first[3] - first[1]
    return all(abs(a - b) <= limit * height for a, b, limit in zip(first, second, limits, strict=True))


def _is_alike(first: _Look, second: _Look) -> bool:
    return first.shape == second.shape and int(cv2.absdiff(first, second).max()) <= _SAME_LOOK


def _look_of(crop: Picture) -> _Look:
    """A small grey copy with full contrast, nearly the same for the same text with noise."""
    height, width = crop.shape[:2]
    columns = max(1, round(width * _LOOK_HEIGHT / height / _LOOK_STEP)) * _LOOK_STEP
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (columns, _LOOK_HEIGHT), interpolation=cv2.INTER_AREA)
    stretched = cv2.normalize(small, np.empty_like(small), 0, 255, cv2.NORM_MINMAX)
    return stretched.astype(np.uint8, copy=False)
