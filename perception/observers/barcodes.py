"""Barcode observer: QR codes and bar codes that can be read in the picture.

    observer = BarcodeObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(4.0, 9.0))     # [visible_text/qr "https://example.org/kitchen"]

The decoders are expensive. They run on the patches with the most fine detail, at most every two
seconds, and only where the picture has changed. A code must fill about a seventh of the picture's
width and be in focus. The text of a code is data. It is quoted, and no link in it is followed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.box_geometry import largest_edge_shift
from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .sampling_gate import SamplingGate

_EVERY_S = 2.0
_PATCH = 25  # pixels of the small picture: half of the smallest code that can be read
_DENSE = 50.0  # mean step of luma between neighbouring pixels in a code; text has 30 to 50
_AROUND = 32.0  # the same for the rest of a code around its densest patch
_SMALLEST = (36, 20)  # least width and height of the dense part of a code, in pixels of the small picture
_PATCHES = 2
_SAME = 8.0  # mean difference of two patches that a decoder reads alike
_SAME_PLACE = 0.01  # a patch that moves by less, in picture sides, has its codes in the same place
_MARGIN = 14  # pixels around a patch, for the quiet zone that a decoder needs
_LONGEST = 400  # the longer side of a decoder's input, in pixels
_LONGEST_TEXT = 2000
_BAR_SIZES = ((320, 0.8), (240, 0.0))  # longer side in pixels, and sigma of a blur
_SURE_DIGITS = 12

_Gray = NDArray[np.uint8]
_Read = tuple[Literal["qr", "barcode"], str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Code:
    """One code that was read."""

    kind: Literal["qr", "barcode"]
    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class _Tried:
    """A patch that was decoded, and the codes in it."""

    patch: Box
    miniature: Picture
    codes: tuple[_Code, ...]


class BarcodeObserver:
    """Reads QR and bar codes."""

    written_by = "codes/1"
    finding_kinds = builtin_kinds("qr", "barcode")

    def __init__(self) -> None:
        self._gate = SamplingGate[_Code](_EVERY_S)
        self._tried: deque[_Tried] = deque(maxlen=2 * _PATCHES)
        self._qr = cv2.QRCodeDetectorAruco()
        self._bars = cv2.barcode.BarcodeDetector()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is not None and self._gate.wanted(frame):
            codes = [self._codes(frame, frame.small, patch) for patch in dense_patches(frame.small)]
            self._gate.note(frame, tuple(code for of_patch in codes for code in of_patch))

    def cut(self, time_s: float) -> None:
        """End the codes of the shot."""
        self._gate.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        """The codes read in ``span``, verbatim, with one finding for a code that stays."""
        by_text: dict[tuple[str, str], tuple[float, float, Box]] = {}
        for sample in self._gate.within(span):
            for code in sample.detections:
                start_s, _, box = by_text.get((code.kind, code.text), (sample.start_s, 0.0, code.box))
                by_text[code.kind, code.text] = (start_s, sample.end_s, box)
        return [
            Finding("visible_text", kind, text, Span(start_s, end_s), self.written_by, box=box)
            for (kind, text), (start_s, end_s, box) in by_text.items()
        ]

    def _codes(self, frame: Frame, small: Picture, patch: Box) -> tuple[_Code, ...]:
        """The codes in a patch; where it looks as it did before, those that were read then."""
        miniature = _miniature(small, patch)
        for tried in self._tried:
            same_place = not tried.codes or largest_edge_shift(tried.patch, patch) <= _SAME_PLACE
            if same_place and cv2.norm(miniature, tried.miniature, cv2.NORM_L1) < _SAME * miniature.size:
                return tried.codes
        codes = self._read(frame.picture(), patch)
        self._tried.append(_Tried(patch, miniature, codes))
        return codes

    def _read(self, picture: Picture, patch: Box) -> tuple[_Code, ...]:
        """The codes in a patch of the whole picture."""
        height, width = picture.shape[:2]
        left, top = int(patch[0] * width), int(patch[1] * height)
        part = picture[top : round(patch[3] * height), left : round(patch[2] * width)]
        gray = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), np.uint8)
        scale = min(1.0, _LONGEST / max(gray.shape))
        if scale < 1:
            gray = np.asarray(
                cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
            )
        codes: list[_Code] = []
        for kind, text, corners in self._decode(gray):
            points = corners.reshape(-1, 2) / scale + (left, top)
            (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
            box = (float(x0 / width), float(y0 / height), float(x1 / width), float(y1 / height))
            clipped = (max(0.0, box[0]), max(0.0, box[1]), min(1.0, box[2]), min(1.0, box[3]))
            codes.append(_Code(kind, text[:_LONGEST_TEXT], clipped))
        return tuple(codes)

    def _decode(self, gray: _Gray) -> list[_Read]:
        """The codes in a small grey picture, with the corners of each."""
        codes: list[_Read] = []
        try:
            is_read, texts, corners, _ = self._qr.detectAndDecodeMulti(gray)
        except (cv2.error, UnicodeDecodeError):
            # OpenCV raises these for a damaged code, and for one whose bytes are not text.
            is_read = False
        if is_read:
            codes += [("qr", text, quad) for text, quad in zip(texts, corners, strict=True) if text]
        return codes + self._decode_bars(gray)

    def _decode_bars(self, gray: _Gray) -> list[_Read]:
        """The bar codes, read at two sizes: the decoder fails on wide bars and on sharp ones."""
        readings: dict[str, list[NDArray[np.float32]]] = {}
        for longest, blur in _BAR_SIZES:
            scale = min(1.0, longest / max(gray.shape))
            picture = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if blur:
                picture = cv2.GaussianBlur(picture, (0, 0), blur)
            try:
                is_read, texts, _, corners = self._bars.detectAndDecodeWithType(picture)
            except (cv2.error, UnicodeDecodeError):
                continue
            if is_read:
                for text, quad in zip(texts, corners, strict=True):
                    readings.setdefault(text, []).append(quad / scale)
        return [
            ("barcode", text, quads[0])
            for text, quads in readings.items()
            # Bars that are too fine to resolve are misread as short codes, so these must be read twice.
            if text and (len(text) >= _SURE_DIGITS or len(quads) == len(_BAR_SIZES))
        ]


def dense_patches(picture: Picture) -> list[Box]:
    """The patches with as much fine detail as a code, densest first. Usually there are none."""
    height, width = picture.shape[:2]
    if min(height, width) <= _PATCH:
        return []
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    inner = gray[1:, 1:]
    steps = cv2.add(cv2.absdiff(inner, gray[1:, :-1]), cv2.absdiff(inner, gray[:-1, 1:]))
    density = cv2.blur(steps, (_PATCH, _PATCH), borderType=cv2.BORDER_REPLICATE)
    if density.max() < _DENSE:
        return []
    around = (density >= _AROUND).astype(np.uint8)
    label_count, labels, sizes, _ = cv2.connectedComponentsWithStats(around, ltype=cv2.CV_16U)
    patches: list[tuple[float, Box]] = []
    for label in range(1, label_count):
        x, y, w, h = (int(size) for size in sizes[label][:4])
        if w < _SMALLEST[0] or h < _SMALLEST[1]:
            continue
        peak = float(density[labels == label].max())
        if peak >= _DENSE:
            left, top = max(0, x - _MARGIN) / width, max(0, y - _MARGIN) / height
            right, bottom = min(width, x + w + _MARGIN) / width, min(height, y + h + _MARGIN) / height
            patches.append((peak, (left, top, right, bottom)))
    return [box for _, box in sorted(patches, reverse=True)[:_PATCHES]]


def _miniature(picture: Picture, box: Box) -> Picture:
    height, width = picture.shape[:2]
    part = picture[int(box[1] * height) : round(box[3] * height), int(box[0] * width) : round(box[2] * width)]
    return np.asarray(cv2.resize(part, (24, 24), interpolation=cv2.INTER_AREA), np.uint8)
