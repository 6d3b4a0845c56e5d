"""Guarded observer: runs an observer of another package so that its faults cannot stop watching.

    guarded = GuardedObserver("bell", BellObserver, source.info, on_failure=failures.append)

At the first exception, or the first finding that cannot be stored, the observer is disabled for the rest of the
watch: it is logged, reported to ``on_failure``, and finds nothing from then on.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...common.finding_kinds import FindingKind
from ...memory.values import Finding, Span
from ..sources.frame import Frame
from ..sources.source import SourceInfo
from .feeds import ObserverFeed, feed_for
from .observer import AnyObserver, ObserverFactory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObserverFailure:
    """An observer of another package that is not used, or no longer."""

    observer: str
    """The name of its entry point or class."""
    reason: str


OnObserverFailure = Callable[[ObserverFailure], None]


class GuardedObserver:
    """An ``Observer`` for the stages, made of any observer of another package."""

    def __init__(
        self, name: str, factory: ObserverFactory, source: SourceInfo, on_failure: OnObserverFailure
    ) -> None:
        self._name = name
        self._on_failure = on_failure
        self.finding_kinds: tuple[FindingKind, ...] = tuple(factory.finding_kinds)
        self.written_by = name
        self._fields = {kind.name: kind.field for kind in self.finding_kinds}
        self._made: tuple[AnyObserver, ObserverFeed] | None = None
        try:
            observer = factory(source)
            feed = feed_for(observer, source)
            if feed is None:
                logger.info("observer %s is not used: %s has no sound", name, source.source)
            else:
                self._made = observer, feed
            self.written_by = str(observer.written_by)
        except Exception as error:  # another package's code may raise anything
            self._disable("cannot be made", error)

    def push(self, frame: Frame) -> None:
        """Give the observer its input up to this frame."""
        if self._made is not None:
            try:
                self._made[1].push(frame)
            except Exception as error:  # see above
                self._disable(f"failed at {frame.time_s:.1f} s", error)

    def cut(self, time_s: float) -> None:
        """Notify the observer of the end of a shot."""
        if self._made is not None:
            observer, feed = self._made
            try:
                feed.flush(time_s)
                observer.cut(time_s)
                feed.restart()
            except Exception as error:  # see above
                self._disable(f"failed at a cut at {time_s:.1f} s", error)

    def findings(self, span: Span) -> list[Finding]:
        """The observer's findings, checked and clipped to the span. A disabled observer has none."""
        if self._made is None:
            return []
        observer, feed = self._made
        try:
            feed.flush(span.end_s)
            return [self._checked(finding, span) for finding in observer.findings(span)]
        except Exception as error:  # see above
            self._disable(f"failed to report on {span.start_s:.1f} to {span.end_s:.1f} s", error)
            return []

    def close(self) -> None:
        """Release what its feed holds."""
        if self._made is not None:
            self._made[1].close()

    def _checked(self, finding: Finding, span: Span) -> Finding:
        """The finding, clipped to the span. Raises ``ValueError`` if it cannot be stored."""
        if not isinstance(finding, Finding):
            raise ValueError(f"it reported {finding!r}, which is no Finding")
        if self._fields.get(finding.kind) != finding.field:
            raise ValueError(
                f"it reported a finding of kind {finding.kind!r} and field {finding.field!r}, "
                "which it does not declare in finding_kinds"
            )
        inside = finding.span.clipped_to(span)
        if inside is None and not span.contains(finding.span.start_s):
            raise ValueError(
                f"it reported a finding from {finding.span.start_s:.2f} to {finding.span.end_s:.2f} s, "
                "outside the moment that was requested"
            )
        texts = (finding.text, finding.written_by, *finding.detail)
        if not all(isinstance(text, str) for text in texts) or not finding.text.strip():
            raise ValueError("it reported a finding whose text, written_by or detail names are not texts")
        numbers = [value for value in finding.detail.values() if not isinstance(value, str)]
        numbers += [finding.confidence, *(finding.box or ())]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise ValueError(
                "it reported a finding with a detail, confidence or box that is no finite number"
            )
        return finding if inside is None else replace(finding, span=inside)

    def _disable(self, what: str, error: Exception) -> None:
        if self._made is not None:
            self._made[1].close()
            self._made = None
        reason = f"{what}: {type(error).__name__}: {error}"
        logger.warning("observer %s is disabled: it %s", self._name, reason, exc_info=error)
        self._on_failure(ObserverFailure(self._name, reason))
