"""Sampling gate: when to run a detector that is too expensive for every sampled frame.

    gate = SamplingGate[str](every_s=2.0)
    if gate.wanted(frame):                        # long enough ago, and the picture has changed
        gate.note(frame, read_codes(frame))
    for sample in gate.within(Span(4.0, 9.0)):
        sample.start_s, sample.end_s, sample.detections

Detections count until the next run, because the detector runs again as soon as the picture has
changed. It only has to search ``changed_region``. The gate does not know what is detected.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2

from ...memory.values import Box, Span
from ..sources.frame import Frame, Thumb

_Detection = TypeVar("_Detection")

_NEW_SHOT_AFTER_S = 1.0  # a new shot is sampled after this time, which may be less than the interval
_CHANGED = 6  # mean difference of luma in a cell of the thumbnail that counts as a change
_KEPT = 1200
_COLUMNS, _ROWS = 8, 6
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(slots=True)
class GatedSample(Generic[_Detection]):
    """The detections in one frame, and for how long they count."""

    start_s: float
    end_s: float
    """The time of the next sample; infinite for the newest."""
    detections: tuple[_Detection, ...]


class SamplingGate(Generic[_Detection]):
    """Decides when the detector runs, and keeps its detections."""

    def __init__(self, every_s: float) -> None:
        self.changed_region: Box = _WHOLE
        """Where the frame last given to ``wanted`` differs from the last sample, with a margin."""
        self._every_s = every_s
        self._sampled_s = -math.inf
        self._picture: Thumb | None = None
        self._samples: deque[GatedSample[_Detection]] = deque(maxlen=_KEPT)

    def wanted(self, frame: Frame) -> bool:
        """Whether to run the detector on ``frame``. Call it for each sampled frame."""
        passed_s = frame.time_s - self._sampled_s
        if 0 <= passed_s < (_NEW_SHOT_AFTER_S if self._picture is None else self._every_s):
            return False
        if self._picture is None:
            self.changed_region = _WHOLE
            return True
        difference = cv2.absdiff(self._picture, frame.thumb)
        cells = cv2.resize(difference, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
        rows, columns = (cells >= _CHANGED).nonzero()
        if not rows.size:
            return False
        self.changed_region = (
            max(0.0, (int(columns.min()) - 1) / _COLUMNS),
            max(0.0, (int(rows.min()) - 1) / _ROWS),
            min(1.0, (int(columns.max()) + 2) / _COLUMNS),
            min(1.0, (int(rows.max()) + 2) / _ROWS),
        )
        return True

    @property
    def last(self) -> tuple[_Detection, ...]:
        """The detections of the last sample; none after a cut."""
        return self._samples[-1].detections if self._samples and self._picture is not None else ()

    def note(self, frame: Frame, detections: tuple[_Detection, ...]) -> None:
        """Keep the detections in ``frame``. Call it after each run, also without detections."""
        self._end(frame.time_s)
        self._sampled_s, self._picture = frame.time_s, frame.thumb
        self._samples.append(GatedSample(frame.time_s, math.inf, detections))

    def cut(self, time_s: float) -> None:
        """End all detections at ``time_s``, where a shot ended. The next shot is sampled soon."""
        self._end(time_s)
        self._picture = None

    def within(self, span: Span) -> list[GatedSample[_Detection]]:
        """The samples that count in ``span``, clipped to it. Earlier ones are dropped."""
        while self._samples and self._samples[0].end_s <= span.start_s:
            self._samples.popleft()
        return [
            GatedSample(max(sample.start_s, span.start_s), min(sample.end_s, span.end_s), sample.detections)
            for sample in self._samples
            if sample.start_s < span.end_s and sample.end_s > span.start_s
        ]

    def _end(self, time_s: float) -> None:
        if self._samples and self._samples[-1].end_s == math.inf:
            self._samples[-1].end_s = max(time_s, self._samples[-1].start_s)
