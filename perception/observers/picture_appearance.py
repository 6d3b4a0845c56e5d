"""Appearance observer: brightness, colours, flashes and blur of the whole picture.

    observer = AppearanceObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(4.0, 9.0))     # [attribute/brightness "dim", attribute/colour "mostly grey", …]

Each moment has one finding for brightness and one for colours, from every other sampled frame.
Brightness is that of the picture, not of the world: a well exposed night is bright.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Finding, Span
from ..sources.frame import Frame, Picture
from .colours import colour_shares

BRIGHTNESS = ((0.10, "very dark"), (0.28, "dark"), (0.45, "dim"), (0.70, "bright"), (1.01, "very bright"))
"""The names of brightness, each with the mean luma, as a fraction of white, that it is used below."""

_SAMPLE_S = 0.4  # between two samples of colour and focus: every other frame at the usual rate
_PIXEL_STEP = 4  # colours are counted on every fourth pixel across and down
_MAIN_SHARE, _SOME_SHARE, _REPORTED_SHARE = 0.25, 0.04, 0.02
_PLAIN = ("black", "grey", "white")
_FLASH = 35.0  # luma by which a flash is brighter than the frames before and after it
_FLASH_S = 1.2
_CONTRAST = 20.0  # standard deviation of luma below which blur cannot be judged
_SHARP = 0.08  # fine detail as a fraction of contrast; measured 0.18 and more in focus, 0.07 blurred
_BLUR_S = 1.0
_KEPT = 2400


@dataclass(frozen=True, slots=True)
class _Sample:
    """The appearance of one sampled frame."""

    time_s: float
    shot: int
    luma: float
    """Mean, 0 to 255."""
    colours: dict[str, float] | None
    """Fractions; None in the frames between two samples of colour and focus."""
    blurred: bool = False


class AppearanceObserver:
    """Reports brightness and colours of every moment, and flashes and blur."""

    written_by = "look/1"
    finding_kinds = builtin_kinds("colour", "brightness", "blurred", "flash")

    def __init__(self) -> None:
        self._shot = 0
        self._sampled_s = -math.inf
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is None:
            return
        luma = cv2.mean(frame.thumb)[0]
        if 0 <= frame.time_s - self._sampled_s < _SAMPLE_S:
            self._samples.append(_Sample(frame.time_s, self._shot, luma, None))
            return
        self._sampled_s = frame.time_s
        colours = colour_shares(frame.small[::_PIXEL_STEP, ::_PIXEL_STEP])
        self._samples.append(_Sample(frame.time_s, self._shot, luma, colours, is_blurred(frame.small)))

    def cut(self, time_s: float) -> None:
        """Begin another shot. Its first frame is sampled, and brightness is not compared across the cut."""
        self._shot += 1
        self._sampled_s = -math.inf

    def findings(self, span: Span) -> list[Finding]:
        """The appearance of ``span``."""
        while self._samples and self._samples[0].time_s < span.start_s - 2 * _FLASH_S:
            self._samples.popleft()
        inside = [sample for sample in self._samples if span.contains(sample.time_s)]
        if not inside:
            return []
        findings = [self._brightness(inside, span)]
        colours = [sample.colours for sample in inside if sample.colours is not None]
        if colours:
            findings.append(self._colour(colours, span))
        findings += self._blurs(inside, span)
        findings += self._flashes(span)
        return sorted(findings, key=lambda finding: finding.span)

    def _brightness(self, samples: Sequence[_Sample], span: Span) -> Finding:
        share = sum(sample.luma for sample in samples) / len(samples) / 255
        text = next(name for below, name in BRIGHTNESS if share < below)
        return self._finding("brightness", text, span, {"value": round(share, 3)})

    def _colour(self, samples: Sequence[dict[str, float]], span: Span) -> Finding:
        shares: dict[str, float] = {}
        for sample in samples:
            for colour, share in sample.items():
                shares[colour] = shares.get(colour, 0.0) + share / len(samples)
        reported = {
            colour: round(share, 3)
            for colour, share in sorted(shares.items(), key=lambda item: -item[1])
            if share >= _REPORTED_SHARE
        }
        return self._finding("colour", colour_words(shares), span, reported)

    def _blurs(self, samples: Sequence[_Sample], span: Span) -> list[Finding]:
        findings = []
        judged = [sample for sample in samples if sample.colours is not None]
        for is_blurred_run, group in groupby(judged, key=lambda sample: sample.blurred):
            if is_blurred_run:
                run = list(group)
                blurred_span = Span(run[0].time_s, min(span.end_s, run[-1].time_s + _SAMPLE_S))
                if blurred_span.duration_s >= min(_BLUR_S, span.duration_s):
                    findings.append(self._finding("blurred", "the picture is blurred", blurred_span, {}, 0.7))
        return findings

    def _flashes(self, span: Span) -> list[Finding]:
        findings = []
        samples = list(self._samples)
        start = 1
        while start < len(samples):
            before = samples[start - 1]
            end = start
            while end < len(samples) and samples[end].luma >= before.luma + _FLASH:
                end += 1
            if end == start or end == len(samples) or samples[end].shot != before.shot:
                start = max(start + 1, end)
                continue
            after = samples[end]
            flash_span = Span(samples[start].time_s, after.time_s)
            peak = max(sample.luma for sample in samples[start:end])
            is_short = flash_span.duration_s <= _FLASH_S and peak >= after.luma + _FLASH
            if is_short and span.contains(flash_span.start_s):
                detail = {"value": round((peak - before.luma) / 255, 3)}
                clipped = flash_span.clipped_to(span) or flash_span
                findings.append(self._finding("flash", "a sudden flash of light", clipped, detail, 0.7))
            start = end
        return findings

    def _finding(
        self, kind: str, text: str, span: Span, detail: Mapping[str, float], confidence: float = 1.0
    ) -> Finding:
        return Finding("attribute", kind, text, span, self.written_by, confidence, detail=dict(detail))


def colour_words(shares: Mapping[str, float]) -> str:
    """Colours in words: ``mostly grey and brown, with some red``."""
    ranked = sorted(shares, key=lambda colour: -shares[colour])
    main = [colour for colour in ranked if shares[colour] >= _MAIN_SHARE][:2] or ranked[:1]
    # A red object in a grey street is more informative than a little white in it.
    rest = [colour for colour in ranked if colour not in main and shares[colour] >= _SOME_SHARE]
    some = sorted(rest, key=lambda colour: colour in _PLAIN)[:2]
    phrase = f"mostly {' and '.join(main)}"
    return f"{phrase}, with some {' and '.join(some)}" if some else phrase


def is_blurred(picture: Picture) -> bool:
    """Whether a picture with contrast lacks fine detail. False where that is uncertain."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    contrast = cv2.meanStdDev(gray)[1][0, 0]
    if contrast < _CONTRAST:
        return False
    detail = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))[1][0, 0]
    return bool(detail < _SHARP * contrast)
