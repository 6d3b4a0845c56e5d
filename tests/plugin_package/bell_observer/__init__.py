"""A package outside Recollect that adds an observer: a bell rings while the picture holds much yellow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recollect.observers import Finding, FindingKind, PictureNeeds, QuestionCue, Span

if TYPE_CHECKING:
    from recollect.observers import Frame, SourceInfo

BELL_RINGS = FindingKind(
    "bell_rings",
    "action",
    nouns=("ring of the bell", "rings of the bell"),
    asked_by=(QuestionCue(r"\b(door)?bells?( rings?| rang| ringing)?\b|\brings?\b"),),
    search_text="the bell rings",
    reliability=0.9,
    importance=0.6,
    summary_rank=5,
    caption_rank=5,
)


class BellObserver:
    """Reports when the bell rings."""

    written_by = "bell/1"
    finding_kinds = (BELL_RINGS,)
    needs = PictureNeeds(fps=2, batch_size=4)

    def __init__(self, source: SourceInfo) -> None:
        self._times: list[float] = []

    def push_batch(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            blue, green, red = frame.small.reshape(-1, 3).mean(axis=0)
            if red > 150 and green > 150 and blue < 100:
                self._times.append(frame.time_s)

    def cut(self, time_s: float) -> None:
        """Nothing is followed across pictures."""

    def findings(self, span: Span) -> list[Finding]:
        inside = [time_s for time_s in self._times if span.contains(time_s)]
        self._times = [time_s for time_s in self._times if time_s >= span.end_s]
        if not inside:
            return []
        rings = Span(inside[0], inside[-1] + 0.5)
        return [Finding("action", "bell_rings", "the bell rings", rings, self.written_by)]
