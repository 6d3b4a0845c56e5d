"""What the picture as a whole looks like: how bright, which colours, a flash, out of focus.

    observer = AppearanceObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(4.0, 9.0))     # [attribute/brightness "dim", attribute/colour "mostly grey", …]

One brightness and one colour are said of every moment, from every other sampled frame. Bright
and dark are those of the picture, not of the world: a well exposed night is bright.
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
"""Up to which mean luma, as a share of white, a picture is called what."""

_LOOK_S = 0.4  # between two looks at colour and focus: every other frame at the usual rate
_EVERY_PIXEL = 4  # colours are counted on every fourth pixel each way
_MAIN_SHARE, _SOME_SHARE, _TOLD_SHARE = 0.25, 0.04, 0.02
_PLAIN = ("black", "grey", "white")
_FLASH = 35.0  # luma by which a flash is brighter than what is before and after it
_FLASH_S = 1.2
_CONTRAST = 20.0  # luma std below which a picture is too plain to be called blurred
_SHARP = 0.08  # fine detail as a share of contrast; measured 0.18 and up in focus, 0.07 blurred
_BLUR_S = 1.0
_KEPT = 2400


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen in one sampled frame."""

    time_s: float
    shot: int
    luma: float
    """Mean, 0 to 255."""
    colours: dict[str, float] | None
    """Shares; None in the frames between two looks at colour and focus."""
    blurred: bool = False


class AppearanceObserver:
    """Says of every moment how bright it is and which colours it has, and what is odd about it."""

    written_by = "look/1"
    finding_kinds = builtin_kinds("colour", "brightness", "blurred", "flash")

    def __init__(self) -> None:
        self._shot = 0
        self._looked_s = -math.inf
        self._looks: deque[_Look] = deque(maxlen=_KEPT)

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is None:
            return
        luma = cv2.mean(frame.thumb)[0]
        if 0 <= frame.time_s - self._looked_s < _LOOK_S:
            self._looks.append(_Look(frame.time_s, self._shot, luma, None))
            return
        self._looked_s = frame.time_s
        colours = colour_shares(frame.small[::_EVERY_PIXEL, ::_EVERY_PIXEL])
        self._looks.append(_Look(frame.time_s, self._shot, luma, colours, is_blurred(frame.small)))

    def cut(self, time_s: float) -> None:
        """Another shot: look at its first frame, and compare no brightness across the cut."""
        self._shot += 1
        self._looked_s = -math.inf

    def findings(self, span: Span) -> list[Finding]:
        """How ``span`` looks."""
        while self._looks and self._looks[0].time_s < span.start_s - 2 * _FLASH_S:
            self._looks.popleft()
        inside = [look for look in self._looks if span.contains(look.time_s)]
        if not inside:
            return []
        found = [self._brightness(inside, span)]
        colours = [look.colours for look in inside if look.colours is not None]
        if colours:
            found.append(self._colour(colours, span))
        found += self._blurs(inside, span)
        found += self._flashes(span)
        return sorted(found, key=lambda finding: finding.span)

    def _brightness(self, looks: Sequence[_Look], span: Span) -> Finding:
        share = sum(look.luma for look in looks) / len(looks) / 255
        text = next(name for below, name in BRIGHTNESS if share < below)
        return self._finding("brightness", text, span, {"value": round(share, 3)})

    def _colour(self, looks: Sequence[dict[str, float]], span: Span) -> Finding:
        shares: dict[str, float] = {}
        for look in looks:
            for colour, share in look.items():
                shares[colour] = shares.get(colour, 0.0) + share / len(looks)
        told = {
            colour: round(share, 3)
            for colour, share in sorted(shares.items(), key=lambda item: -item[1])
            if share >= _TOLD_SHARE
        }
        return self._finding("colour", colour_words(shares), span, told)

    def _blurs(self, looks: Sequence[_Look], span: Span) -> list[Finding]:
        found = []
        judged = [look for look in looks if look.colours is not None]
        for blurred, run in groupby(judged, key=lambda look: look.blurred):
            if blurred:
                run_looks = list(run)
                when = Span(run_looks[0].time_s, min(span.end_s, run_looks[-1].time_s + _LOOK_S))
                if when.duration_s >= min(_BLUR_S, span.duration_s):
                    found.append(self._finding("blurred", "the picture is blurred", when, {}, 0.7))
        return found

    def _flashes(self, span: Span) -> list[Finding]:
        found = []
        looks = list(self._looks)
        at = 1
        while at < len(looks):
            before = looks[at - 1]
            end = at
            while end < len(looks) and looks[end].luma >= before.luma + _FLASH:
                end += 1
            if end == at or end == len(looks) or looks[end].shot != before.shot:
                at = max(at + 1, end)
                continue
            after = looks[end]
            when = Span(looks[at].time_s, after.time_s)
            peak = max(look.luma for look in looks[at:end])
            if when.duration_s <= _FLASH_S and peak >= after.luma + _FLASH and span.contains(when.start_s):
                detail = {"value": round((peak - before.luma) / 255, 3)}
                clipped = when.clipped_to(span) or when
                found.append(self._finding("flash", "a sudden flash of light", clipped, detail, 0.7))
            at = end
        return found

    def _finding(
        self, kind: str, text: str, span: Span, detail: Mapping[str, float], confidence: float = 1.0
    ) -> Finding:
        return Finding("attribute", kind, text, span, self.written_by, confidence, detail=dict(detail))


def colour_words(shares: Mapping[str, float]) -> str:
    """Colours in words: ``mostly grey and brown, with some red``."""
    ranked = sorted(shares, key=lambda colour: -shares[colour])
    main = [colour for colour in ranked if shares[colour] >= _MAIN_SHARE][:2] or ranked[:1]
    # Something red in a grey street says more than that the street is also a little white.
    rest = [colour for colour in ranked if colour not in main and shares[colour] >= _SOME_SHARE]
    some = sorted(rest, key=lambda colour: colour in _PLAIN)[:2]
    words = f"mostly {' and '.join(main)}"
    return f"{words}, with some {' and '.join(some)}" if some else words


def is_blurred(picture: Picture) -> bool:
    """Whether a picture with contrast lacks all fine detail. Says no when in doubt."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    contrast = cv2.meanStdDev(gray)[1][0, 0]
    if contrast < _CONTRAST:
        return False
    detail = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))[1][0, 0]
    return bool(detail < _SHARP * contrast)
