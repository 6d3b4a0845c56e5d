"""QR and bar codes that can be read in the picture.

    observer = BarcodeObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(4.0, 9.0))     # [visible_text/qr "https://example.org/kitchen"]

The decoders are dear, so they are shown only the densest patches of the picture, every two
seconds at most, and only when the picture has changed there. A code must fill about a seventh of the
picture's width, and be in focus. What a code says is data: it is quoted, and never followed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .sampling_gate import SamplingGate

_EVERY_S = 2.0
_PATCH = 25  # pixels of the small picture: half of the smallest code that can be read
_DENSE = 50.0  # mean step of luma from pixel to pixel that a patch of a code has; text has 30 to 50
_AROUND = 32.0  # ... and that what belongs to the same code has
_SMALLEST = (36, 20)  # pixels of the small picture that the busy part of a code is wide and high
_PATCHES = 2
_SAME = 8.0  # mean difference of two patches of which a decoder makes the same
_SAME_PLACE = 0.01  # of the picture's sides, that a patch may wander and its codes be where they were
_MARGIN = 14  # pixels around a patch, for the quiet zone a decoder wants to see
_LONGEST = 400  # pixels of the longer side of what a decoder is shown
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
    """A patch that was shown to the decoders, and what they made of it."""

    patch: Box
    look: Picture
    codes: tuple[_Code, ...]


class BarcodeObserver:
    """Reads QR and bar codes."""

    written_by = "codes/1"
    finding_kinds = builtin_kinds("qr", "barcode")

    def __init__(self) -> None:
        self._glances = SamplingGate[_Code](_EVERY_S)
        self._tried: deque[_Tried] = deque(maxlen=2 * _PATCHES)
        self._qr = cv2.QRCodeDetectorAruco()
        self._bars = cv2.barcode.BarcodeDetector()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is not None and self._glances.wanted(frame):
            codes = [self._codes(frame, frame.small, patch) for patch in dense_patches(frame.small)]
            self._glances.note(frame, tuple(code for of_patch in codes for code in of_patch))

    def cut(self, time_s: float) -> None:
        """A shot ended: its codes are gone."""
        self._glances.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        """The codes read in ``span``, verbatim; one finding for a code that stays."""
        seen: dict[tuple[str, str], tuple[float, float, Box]] = {}
        for glance in self._glances.within(span):
            for code in glance.things:
                start_s, _, box = seen.get((code.kind, code.text), (glance.start_s, 0.0, code.box))
                seen[code.kind, code.text] = (start_s, glance.end_s, box)
        return [
            Finding("visible_text", kind, text, Span(start_s, end_s), self.written_by, box=box)
            for (kind, text), (start_s, end_s, box) in seen.items()
        ]

    def _codes(self, frame: Frame, small: Picture, patch: Box) -> tuple[_Code, ...]:
        """The codes in a patch; those read in it before where it still looks as it did."""
        look = _miniature(small, patch)
        for tried in self._tried:
            moved = max(abs(a - b) for a, b in zip(tried.patch, patch, strict=True))
            if (not tried.codes or moved <= _SAME_PLACE) and (
                cv2.norm(look, tried.look, cv2.NORM_L1) < _SAME * look.size
            ):
                return tried.codes
        codes = self._read(frame.picture(), patch)
        self._tried.append(_Tried(patch, look, codes))
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
        """What can be read in a small grey picture, with the corners of each code."""
        found: list[_Read] = []
        try:
            read, texts, corners, _ = self._qr.detectAndDecodeMulti(gray)
        except (cv2.error, UnicodeDecodeError):
            # OpenCV gives up like this on a code whose bytes are no text, or that is torn.
            read = False
        if read:
            found += [("qr", text, at) for text, at in zip(texts, corners, strict=True) if text]
        return found + self._decode_bars(gray)

    def _decode_bars(self, gray: _Gray) -> list[_Read]:
        """The bar codes: read at two sizes, for the decoder stumbles over wide bars and over sharp ones."""
        readings: dict[str, list[NDArray[np.float32]]] = {}
        for longest, blur in _BAR_SIZES:
            scale = min(1.0, longest / max(gray.shape))
            picture = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if blur:
                picture = cv2.GaussianBlur(picture, (0, 0), blur)
            try:
                read, texts, _, corners = self._bars.detectAndDecodeWithType(picture)
            except (cv2.error, UnicodeDecodeError):
                continue
            if read:
                for text, at in zip(texts, corners, strict=True):
                    readings.setdefault(text, []).append(at / scale)
        return [
            ("barcode", text, places[0])
            for text, places in readings.items()
            # Short codes are also read into bars too fine to see, so they must be read twice.
            if text and (len(text) >= _SURE_DIGITS or len(places) == len(_BAR_SIZES))
        ]


def dense_patches(picture: Picture) -> list[Box]:
    """Where a picture is as busy as a code, most of all first; usually nowhere."""
    height, width = picture.shape[:2]
    if min(height, width) <= _PATCH:
        return []
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    here = gray[1:, 1:]
    steps = cv2.add(cv2.absdiff(here, gray[1:, :-1]), cv2.absdiff(here, gray[:-1, 1:]))
    density = cv2.blur(steps, (_PATCH, _PATCH), borderType=cv2.BORDER_REPLICATE)
    if density.max() < _DENSE:
        return []
    around = (density >= _AROUND).astype(np.uint8)
    labels, places, sizes, _ = cv2.connectedComponentsWithStats(around, ltype=cv2.CV_16U)
    patches: list[tuple[float, Box]] = []
    for label in range(1, labels):
        x, y, w, h = (int(size) for size in sizes[label][:4])
        if w < _SMALLEST[0] or h < _SMALLEST[1]:
            continue
        peak = float(density[places == label].max())
        if peak >= _DENSE:
            left, top = max(0, x - _MARGIN) / width, max(0, y - _MARGIN) / height
            right, bottom = min(width, x + w + _MARGIN) / width, min(height, y + h + _MARGIN) / height
            patches.append((peak, (left, top, right, bottom)))
    return [box for _, box in sorted(patches, reverse=True)[:_PATCHES]]


def _miniature(picture: Picture, box: Box) -> Picture:
    height, width = picture.shape[:2]
    part = picture[int(box[1] * height) : round(box[3] * height), int(box[0] * width) : round(box[2] * width)]
    return np.asarray(cv2.resize(part, (24, 24), interpolation=cv2.INTER_AREA), np.uint8)
