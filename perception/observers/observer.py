"""The seam every observer stands behind.

An observer is shown the sampled frames of a stream in order, and is told when a shot ends.
When a moment is to be written it is asked what it found there:

    observer.push(frame)                   # for each sampled frame, in order
    observer.cut(9.0)                      # the next frame belongs to another shot or epoch
    observer.findings(Span(4.0, 9.0))      # once per moment, in order, never overlapping

A moment is asked for up to ``HOLD_S`` seconds of stream time after it ended (or when the shot
ended), so an observer may need a little of what came after to make up its mind. It keeps what
belongs to later moments and forgets what lies before the span it was asked for.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ...memory.values import Finding, Span
from ..sources.frame import Frame

HOLD_S = 2.0
"""How long after its end a moment may be held back, in seconds of stream time."""


@runtime_checkable
class Observer(Protocol):
    """Sees one kind of thing in sampled frames."""

    written_by: str
    """Its name and revision, such as ``motion/1``; changed whenever what it writes changes."""

    def push(self, frame: Frame) -> None:
        """Take one sampled frame; times never go back within an epoch."""

    def cut(self, time_s: float) -> None:
        """A shot ended at ``time_s``, before the next frame: forget what was being followed.

        A dissolve is known only after it is over, so a frame or two shown before may be later than
        ``time_s``.
        """

    def findings(self, span: Span) -> list[Finding]:
        """What was seen in ``span``, in time order; asked once per moment, in order."""
