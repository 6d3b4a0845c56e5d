"""Looking only now and then: for what is too dear to be looked for in every sampled frame.

    glances = Glances[str](every_s=2.0)
    if glances.wanted(frame):                     # long enough ago, and the picture changed
        glances.note(frame, read_codes(frame))
    for glance in glances.within(Span(4.0, 9.0)):
        glance.start_s, glance.end_s, glance.things

What was seen at a glance is taken to stay until the next one, as the picture is only looked at
again when it has changed, and need only be looked at ``where`` it has. It knows nothing of what is
looked for.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2

from ...memory.values import Box, Span
from ..sources.frame import Frame, Thumb

_Thing = TypeVar("_Thing")

_SOON_S = 1.0  # a new shot need not wait for its turn, unless shots are shorter than this
_CHANGED = 6  # mean difference of luma in a cell of the thumbnail: something came, went or moved
_KEPT = 1200
_COLUMNS, _ROWS = 8, 6
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(slots=True)
class GatedSample(Generic[_Thing]):
    """What was seen at one look, and for how long it counts."""

    start_s: float
    end_s: float
    """The time of the next look; infinite while there was none."""
    things: tuple[_Thing, ...]


class SamplingGate(Generic[_Thing]):
    """Decides when to look, and keeps what was seen."""

    def __init__(self, every_s: float) -> None:
        self.where: Box = _WHOLE
        """Where the frame last asked about differs from the one last looked at, and a little around it."""
        self._every_s = every_s
        self._looked_s = -math.inf
        self._picture: Thumb | None = None
        self._glances: deque[GatedSample[_Thing]] = deque(maxlen=_KEPT)

    def wanted(self, frame: Frame) -> bool:
        """Whether to look at ``frame``; to be asked of each sampled frame."""
        passed_s = frame.time_s - self._looked_s
        if 0 <= passed_s < (_SOON_S if self._picture is None else self._every_s):
            return False
        if self._picture is None:
            self.where = _WHOLE
            return True
        difference = cv2.absdiff(self._picture, frame.thumb)
        cells = cv2.resize(difference, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
        rows, columns = (cells >= _CHANGED).nonzero()
        if not rows.size:
            return False
        self.where = (
            max(0.0, (int(columns.min()) - 1) / _COLUMNS),
            max(0.0, (int(rows.min()) - 1) / _ROWS),
            min(1.0, (int(columns.max()) + 2) / _COLUMNS),
            min(1.0, (int(rows.max()) + 2) / _ROWS),
        )
        return True

    @property
    def last(self) -> tuple[_Thing, ...]:
        """What the last look saw; nothing where it was of another shot."""
        return self._glances[-1].things if self._glances and self._picture is not None else ()

    def note(self, frame: Frame, things: tuple[_Thing, ...]) -> None:
        """Keep what was seen in ``frame``; to be told after each look, also where nothing was seen."""
        self._end(frame.time_s)
        self._looked_s, self._picture = frame.time_s, frame.thumb
        self._glances.append(GatedSample(frame.time_s, math.inf, things))

    def cut(self, time_s: float) -> None:
        """A shot ended at ``time_s``: what was seen in it is gone, and the next is looked at soon."""
        self._end(time_s)
        self._picture = None

    def within(self, span: Span) -> list[GatedSample[_Thing]]:
        """The glances that count in ``span``, clipped to it; what lies before is forgotten."""
        while self._glances and self._glances[0].end_s <= span.start_s:
            self._glances.popleft()
        return [
            GatedSample(max(glance.start_s, span.start_s), min(glance.end_s, span.end_s), glance.things)
            for glance in self._glances
            if glance.start_s < span.end_s and glance.end_s > span.start_s
        ]

    def _end(self, time_s: float) -> None:
        if self._glances and self._glances[-1].end_s == math.inf:
            self._glances[-1].end_s = max(time_s, self._glances[-1].start_s)
