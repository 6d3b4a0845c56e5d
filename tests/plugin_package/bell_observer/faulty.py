"""An observer that fails after some pictures, and one that reports an undeclared kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recollect.observers import Finding, Span

from . import BELL_RINGS

if TYPE_CHECKING:
    from recollect.observers import Frame, SourceInfo


class FailingObserver:
    """Raises at the tenth picture."""

    written_by = "failing/1"
    finding_kinds = (BELL_RINGS,)

    def __init__(self, source: SourceInfo) -> None:
        self._pictures = 0

    def push(self, frame: Frame) -> None:
        self._pictures += 1
        if self._pictures == 10:
            raise RuntimeError("the bell is broken")

    def cut(self, time_s: float) -> None:
        """Nothing is followed."""

    def findings(self, span: Span) -> list[Finding]:
        return []


class UndeclaredObserver(FailingObserver):
    """Reports a kind that it does not declare."""

    written_by = "undeclared/1"

    def push(self, frame: Frame) -> None:
        """Sees nothing."""

    def findings(self, span: Span) -> list[Finding]:
        return [Finding("action", "horn_sounds", "a horn sounds", span, self.written_by)]
