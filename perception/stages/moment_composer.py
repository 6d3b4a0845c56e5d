"""Moment composer: composes the moment of a final span from findings, key frames and frame counts.

    composer = MomentComposer(stream, observers)
    composer.count(frame)
    composer.observe(frame)                        # sampled frames only
    composer.choose(frame, moment_from_s=12.0)
    moment, frames = composer.compose(Span(12.0, 17.0), epoch=0, shot=3)

It does not decide where moments end, and stores nothing.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...common.kind_registry import kind_of
from ...memory.values import (
    Finding,
    FrameCounts,
    KeyFrame,
    Moment,
    Observation,
    ReducedSpan,
    Span,
    Stream,
    moment_id,
)
from ...memory.watch_rate import WatchRate
from ..describing.rule_captions import compose_caption
from ..observers.observer import LateObserver, Observer
from ..sources.frame import Frame
from ..sources.source import Dropped
from .frame_accounting import FrameAccounts
from .key_frames import KeyFrameChooser
from .shot_detection import ShotBoundary, ShotDetector

WRITTEN_BY = "observers/1"


class MomentComposer:
    """Collects findings, key frames and counts of one stream until their moment is final."""

    def __init__(
        self,
        stream: Stream,
        observers: Sequence[Observer],
        written_at: Callable[[float], float] | None = None,
    ) -> None:
        """``WatchOptions`` documents ``written_at``."""
        self._stream = stream
        self._observers = observers
        self._late = [observer for observer in observers if isinstance(observer, LateObserver)]
        self._written_at = written_at
        self._chooser = KeyFrameChooser(stream.name)
        self._accounts = FrameAccounts()
        self._shot_changes: deque[ShotBoundary] = deque()
        self._rate: WatchRate | None = None

    @property
    def total(self) -> FrameCounts:
        """The counts of all frames that belong to a moment or a gap."""
        return self._accounts.total

    def count(self, frame: Frame) -> None:
        """Count a frame that was decoded."""
        self._accounts.note_frame(frame.time_s, sampled=frame.sampled)

    def count_dropped(self, dropped: Dropped) -> None:
        """Count frames that were lost."""
        self._accounts.note_dropped(dropped)

    def observe(self, frame: Frame) -> None:
        """Show a sampled frame to the observers."""
        for observer in self._observers:
            if frame.rate is None or frame.rate.reads_text or not _reads_text(observer):
                observer.push(frame)

    def change_rate(self, rate: WatchRate | None, time_s: float) -> None:
        """The moments from ``time_s`` on are watched at a reduced rate. None means the full rate."""
        self._rate = rate
        if rate is not None and not rate.reads_text:
            # What is written there from now on is not known.
            for observer in self._observers:
                if _reads_text(observer):
                    observer.cut(time_s)

    def choose(self, frame: Frame, moment_from_s: float) -> None:
        """Consider a sampled frame as a key frame of the moment that begins at ``moment_from_s``."""
        self._chooser.push(frame, moment_from_s)

    def cut(self, time_s: float) -> None:
        """Tell the observers that another shot begins at ``time_s``."""
        for observer in self._observers:
            observer.cut(time_s)

    def begin_shot(self, boundary: ShotBoundary) -> None:
        """Report a shot boundary in the moment where the new shot begins."""
        self._shot_changes.append(boundary)

    def clear_key_frames(self) -> None:
        """Drop the key frames chosen so far of the open moment."""
        self._chooser.clear()

    def settle(self, end_s: float = math.inf) -> FrameCounts:
        """The counts of the frames before ``end_s`` that belong to no moment or gap yet."""
        return self._accounts.settle(end_s)

    def compose(
        self, span: Span, *, epoch: int, shot: int, latest_s: float, origin_wall_s: float | None = None
    ) -> tuple[Moment, list[KeyFrame]]:
        """The moment of a final span, and its key frames.

        ``latest_s`` is the time of the newest frame. ``origin_wall_s`` is the Unix time at stream time 0, by
        the wall clock as it was set in this epoch.
        """
        now_s = time.time() if self._written_at is None else self._written_at(latest_s)
        frames = self._chooser.take(span)
        rate = self._rate_of(span)  # first: what is read while findings are collected may be missing there
        findings = self._shot_findings(span)
        for observer in self._observers:
            findings += observer.findings(span)
        if rate is not None and not rate.shows_movement:
            findings = [finding for finding in findings if not _says_nothing_moves(finding)]
        findings.sort(key=lambda finding: finding.span.start_s)
        moment = Moment(
            id=moment_id(self._stream.name, epoch, "moment", span.start_s),
            stream=self._stream.name,
            epoch=epoch,
            span=span,
            observations=(Observation(compose_caption(findings, rate), tuple(findings), WRITTEN_BY, now_s),),
            shot=shot,
            frame_ids=tuple(frame.id for frame in frames),
            wall_start_s=None if origin_wall_s is None else origin_wall_s + span.start_s,
            counts=self._accounts.settle(span.end_s, stored=len(frames)),
            reduced=() if rate is None else (ReducedSpan(span, rate),),
        )
        return moment, frames

    def _rate_of(self, span: Span) -> WatchRate | None:
        """The reduced rate of a moment that is being composed. Text that was not read in time counts as not read."""
        if all(observer.has_read(span) for observer in self._late):
            return self._rate
        return replace(self._rate or WatchRate(self._stream.fps), reads_text=False)

    def _shot_findings(self, span: Span) -> list[Finding]:
        """The cuts, dissolves and fades by which a shot began in the span."""
        findings = []
        while self._shot_changes and self._shot_changes[0].end_s < span.end_s:
            change = self._shot_changes.popleft()
            findings.append(
                Finding(
                    field="action",
                    kind=change.kind,
                    text=change.text,
                    span=Span(change.start_s, change.end_s),
                    written_by=ShotDetector.written_by,
                )
            )
        return findings


def _reads_text(observer: Observer) -> bool:
    return any(kind.field == "visible_text" for kind in observer.finding_kinds)


def _says_nothing_moves(finding: Finding) -> bool:
    """Whether a finding claims that nothing happened, which only one who watched closely can know."""
    return kind_of(finding.kind, finding.field).caption_style == "if_quiet"
