"""Watches one stream: drives the stages from source to store.

    worker = StreamWorker(store, stream, source, observers)
    report = worker.run()

Reading, waiting and writing happen here and nowhere else; the stages (shot detector, moment cutter,
observers, key frame chooser, ladder) take input and return results. Whatever is committed survives a
kill, and a later run goes on exactly there: moments are the same as if it had never been broken.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ...memory.errors import MemoryStoreError
from ...memory.ladder.builder import Ladder
from ...memory.store import MemoryStore
from ...memory.values import (
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Span,
    Stream,
    StreamState,
    make_id,
    moment_id,
)
from ..describing.rule_captions import compose_caption
from ..errors import SourceError
from ..observers.observer import Observer
from ..sources.frame import Frame
from ..sources.source import Outage, Source
from .frame_accounting import FrameAccounts
from .key_frames import KeyFrameChooser
from .moment_cutter import MAX_S, MomentCutter
from .shot_detection import ShotBoundary, ShotDetector

WRITTEN_BY = "observers/1"
WARM_UP_S = 10.0
"""How much before the point of resuming is shown to the stages again, so that they know the scene."""
_SAME_S = 1e-6
"""Times nearer than this are the same: a frame's time may have been rounded on its way."""
FLUSH_S = 1.5
FLUSH_MOMENTS = 64
"""A batch is committed when either is reached: row by row would bury the store in versions."""
TIDY_MOMENTS = 256
"""A run that wrote fewer leaves it to the store's own upkeep: so few rows are scanned for nothing."""
SETTLED_S = 0.5
"""A live source may take this long to send its first frame before that is a gap."""
LIVE_MAX_S = 5.0
"""The longest moment of a live stream: what was seen must be there to ask about seconds later."""


@dataclass(frozen=True, slots=True)
class WatchProgress:
    """How far watching has come."""

    stream: str
    time_s: float
    """Stream time reached."""
    duration_s: float | None
    speed: float
    """Seconds of video per second of wall clock."""
    moments: int
    """Moments written so far in this run."""
    gaps: int
    waiting: int = 0
    """Memories that wait for a description, where a video LMM gives some."""


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What one run of watching did."""

    stream: str
    state: StreamState
    already_done: bool
    """The file had been watched to its end before; nothing was done."""
    resumed_at_s: float | None
    """Where it went on, if it had been watched in part before."""
    until_s: float
    """Stream time up to which the stream is remembered."""
    moments: int
    gaps: int
    counts: FrameCounts
    """Of this run."""
    seconds: float
    """Wall-clock time of this run."""
    detail: str = ""
    """What was wrong with the source, where something was."""
    waiting: int = 0
    """Memories that still wait for a description, where a video LMM gives some."""


class StreamWorker:
    """Takes a source to its end, or until ``stop()``; run it once."""

    def __init__(
        self,
        store: MemoryStore,
        stream: Stream,
        source: Source,
        observers: Sequence[Observer],
        *,
        remember: Callable[[Sequence[Moment], Sequence[KeyFrame]], None] | None = None,
        on_progress: Callable[[WatchProgress], None] | None = None,
        written_at: Callable[[float], float] | None = None,
    ) -> None:
        """Nothing is watched yet.

        ``remember`` appends to the store, where more than that is to be done with what is appended. ``written_at``
        says when, in Unix seconds, what was made of the frames up to a stream time counts as written; None: now.
        """
        self._store = store
        self._remember = remember or store.append
        self._stream = stream
        self._source = source
        self._observers = observers
        self._on_progress = on_progress
        self._written_at = written_at
        # Not a threading.Event: setting one from a signal handler may deadlock.
        self._stopped = False
        self._first = True
        self._live = stream.kind == "live"
        self._shots = ShotDetector()
        self._cutter = MomentCutter(LIVE_MAX_S if self._live else MAX_S)
        self._chooser = KeyFrameChooser(stream.name)
        self._ladder = Ladder(stream.name, self._used)
        self._epoch = 0
        self._shot = 0
        self._held: Frame | None = None
        self._latest_s = 0.0
        self._interval_s = 0.04
        self._from_s = 0.0
        self._end_s = 0.0
        self._accounts = FrameAccounts()
        self._changes: deque[ShotBoundary] = deque()
        self._moments: list[Moment] = []
        self._frames: list[KeyFrame] = []
        self._flushed_at = time.monotonic()
        self._written = 0
        self._gaps = 0

    def stop(self) -> None:
        """End the run soon, keeping everything so far. Callable from a signal handler or another thread."""
        self._stopped = True
        self._source.stop()

    def run(self) -> WatchReport:
        """Watch until the source ends or ``stop()`` is called.

        Raises:
            SourceError: The source cannot be read (any more).
            MemoryStoreError: The memory cannot be written; all that was committed is safe.
        """
        started = time.monotonic()
        resumed_at_s = self._resume()
        self._put_state("watching")
        try:
            for event in self._source.frames(max(0.0, self._from_s - WARM_UP_S) if not self._live else 0.0):
                if isinstance(event, Frame):
                    self._take(event)
                elif isinstance(event, Outage):
                    self._break(event)
                elif event.time_s >= self._from_s - _SAME_S:
                    # Those lost earlier were counted by the run that saw them.
                    self._accounts.lost(event)
                self._flush_if_due(started)
                if self._stopped and not self._live:
                    break
            self._end()
        except BaseException as error:
            # What is already final must not be lost to whatever went wrong after it; and the first
            # error is the one to tell, also where the memory is what failed.
            with suppress(MemoryStoreError):
                self._commit()
                if isinstance(error, SourceError):
                    self._put_state("failed", str(error))
                else:
                    self._put_state("stopped")
            raise
        stopped = self._stopped
        if not stopped and not self._live:
            self._moments += self._ladder.flush()
        self._commit()
        state: StreamState = "stopped" if stopped or self._live else "done"
        self._put_state(state)
        if self._written >= TIDY_MOMENTS:
            self._store.maintain()
        self._report_progress(started)
        return WatchReport(
            stream=self._stream.name,
            state=state,
            already_done=False,
            resumed_at_s=resumed_at_s,
            until_s=self._end_s,
            moments=self._written,
            gaps=self._gaps,
            counts=self._accounts.total,
            seconds=time.monotonic() - started,
        )

    def _used(self, span: Span) -> float:
        return self._store.used(self._stream.name, span)

    def _resume(self) -> float | None:
        """Take up where the last run's commits end."""
        point = self._store.resume(self._stream.name)
        if point is None:
            return None
        self._epoch, self._shot = point.epoch, point.shot
        self._from_s = self._end_s = point.end_s
        self._ladder = Ladder.restore(self._store.snapshot(), self._stream.name, self._used)
        if not self._live:
            self._cutter.begin(point.end_s)
        elif (now_s := self._live_now_s()) - self._end_s > SETTLED_S:
            away = Outage(
                start_s=self._end_s,
                end_s=now_s,
                epoch=self._epoch,
                cause="not watched",
                detail="no process was watching, or it was killed before it could write",
                wall_start_s=self._wall_s(self._end_s),
            )
            self._put_gap(away)
        return point.end_s

    def _take(self, frame: Frame) -> None:
        """Look at a frame; the one before it is passed on, now that it is known whether a cut lies there."""
        if self._held is not None and frame.epoch != self._held.epoch:
            self._close_epoch(self._held.time_s + self._interval_s)
        if self._live and self._held is None:
            self._start_epoch(frame)
        change = self._shots.push(frame)
        held, self._held = self._held, frame
        self._latest_s = frame.time_s
        if held is not None:
            self._interval_s = min(1.0, max(0.001, frame.time_s - held.time_s))
            self._pass_on(held, change)

    def _pass_on(self, frame: Frame, change: ShotBoundary | None) -> None:
        warm = frame.time_s < self._from_s - _SAME_S
        if change is not None:
            self._cut_observers(change.end_s)
            if not warm:
                self._change_shot(change)
        if not warm:
            self._accounts.took(frame.time_s, sampled=frame.sampled)
        if not frame.sampled:
            return
        for observer in self._observers:
            observer.push(frame)
        if not warm:
            self._finish(self._cutter.push(frame.time_s, frame.thumb))
            since_s = self._cutter.current_from_s
            self._chooser.push(frame, frame.time_s if since_s is None else since_s)

    def _cut_observers(self, time_s: float) -> None:
        for observer in self._observers:
            observer.cut(time_s)

    def _change_shot(self, change: ShotBoundary) -> None:
        """A new shot began at ``change.end_s``, which for a dissolve is about half a second ago."""
        open_from_s = self._cutter.open_from_s
        if open_from_s is not None and change.end_s < open_from_s - _SAME_S:
            return  # told so late (at a frame a second) that a final moment spans it, or by an earlier run
        self._changes.append(change)
        self._finish(self._cutter.cut(change.end_s))
        self._cutter.begin(change.end_s)
        # Pictures of the new shot were chosen as if they belonged to the old one. A run that is
        # resumed where the shot begins would choose others, so both choose from here on.
        self._chooser.clear()
        self._shot += 1

    def _start_epoch(self, frame: Frame) -> None:
        """Take up a live epoch with its first frame."""
        if self._first and frame.time_s - self._end_s > SETTLED_S:
            self._put_gap(self._nothing_yet(frame.time_s))
        if frame.epoch != self._epoch:
            self._moments += self._ladder.flush()
            self._epoch, self._shot = frame.epoch, 0
        self._first = False
        self._cutter.begin(frame.time_s)

    def note_outage(self, outage: Outage | None) -> None:
        """Write down an outage that still goes on, so that whoever asks meanwhile is told of it.

        None stands for a live source that has sent nothing yet in this run.
        """
        if outage is None:
            now_s = self._live_now_s()
            if not self._first or now_s - self._end_s <= SETTLED_S:
                return
            outage = self._nothing_yet(now_s)
        self._close_epoch(outage.start_s)
        self._commit()
        self._store.put_gap(self._gap(outage, FrameCounts()))

    def _nothing_yet(self, until_s: float) -> Outage:
        return Outage(
            start_s=self._end_s,
            end_s=until_s,
            epoch=self._epoch,
            cause="connecting",
            detail="the source had sent nothing yet",
            wall_start_s=self._wall_s(self._end_s),
        )

    def _live_now_s(self) -> float:
        """The stream time it is."""
        return time.time() - (self._stream.origin_wall_s or 0.0)

    def _wall_s(self, time_s: float) -> float | None:
        origin_s = self._stream.origin_wall_s
        return None if origin_s is None else origin_s + time_s

    def _close_epoch(self, end_s: float) -> None:
        """Everything open ends here: an outage, a jump of the clock, or the end."""
        if self._held is not None:
            held, self._held = self._held, None
            self._pass_on(held, None)
            end_s = max(end_s, held.time_s + min(self._interval_s, 0.001))
        self._finish(self._cutter.cut(end_s))
        self._cut_observers(end_s)
        self._shots.reset()
        self._moments += self._ladder.flush()

    def _break(self, outage: Outage) -> None:
        if self._live:
            self._close_epoch(outage.start_s)
            self._put_gap(outage)
            # The source numbers the frames after it anew.
            self._epoch, self._shot = outage.epoch + 1, 0
            return
        if outage.end_s <= self._from_s + _SAME_S:
            # Remembered by an earlier run: the stages are only shown it.
            self._held = None
            self._shots.reset()
            self._cut_observers(outage.start_s)
            if outage.end_s >= self._from_s - _SAME_S:
                self._shot += 1
            return
        self._close_epoch(outage.start_s)
        self._put_gap(outage)
        self._cutter.begin(outage.end_s)
        self._shot += 1

    def _end(self) -> None:
        """The source ended or was stopped."""
        if self._stopped and not self._live:
            # The frame at hand is left to the next run, which begins with it.
            if self._held is not None:
                self._finish(self._cutter.cut(self._held.time_s))
            return
        if self._held is not None:
            self._close_epoch(self._held.time_s + self._interval_s)
        lost = self._accounts.settle(math.inf)
        if lost.captured:
            # Frames after the last moment: there is nothing to count them in but a gap.
            end_s = self._end_s + lost.captured * self._interval_s
            self._put_gap(
                Outage(self._end_s, end_s, self._epoch, "damaged", "frames that could not be decoded"), lost
            )

    def _finish(self, spans: Sequence[Span]) -> None:
        """Compose the moments that are now final."""
        now_s = time.time() if self._written_at is None else self._written_at(self._latest_s)
        for span in spans:
            frames = self._chooser.take(span)
            findings = self._shot_findings(span)
            for observer in self._observers:
                findings += observer.findings(span)
            findings.sort(key=lambda finding: finding.span.start_s)
            counts = self._accounts.settle(span.end_s, stored=len(frames))
            moment = Moment(
                id=moment_id(self._stream.name, self._epoch, "moment", span.start_s),
                stream=self._stream.name,
                epoch=self._epoch,
                span=span,
                observations=(Observation(compose_caption(findings), tuple(findings), WRITTEN_BY, now_s),),
                shot=self._shot,
                frame_ids=tuple(frame.id for frame in frames),
                wall_start_s=self._wall_s(span.start_s),
                counts=counts,
            )
            self._moments.append(moment)
            self._moments += self._ladder.push(moment, frames)
            self._frames += frames
            self._end_s = span.end_s
            self._written += 1

    def _shot_findings(self, span: Span) -> list[Finding]:
        """The cuts, dissolves and fades by which a shot began in the span."""
        inside = []
        while self._changes and self._changes[0].end_s < span.end_s:
            change = self._changes.popleft()
            text = {"cut": "a cut to another shot", "dissolve": "one picture dissolves into another"}
            inside.append(
                Finding(
                    field="action",
                    kind=change.kind,
                    text=text.get(change.kind, "the picture fades"),
                    span=Span(change.start_s, change.end_s),
                    written_by=ShotDetector.written_by,
                )
            )
        return inside

    def _put_gap(self, outage: Outage, counts: FrameCounts | None = None) -> None:
        self._commit()
        self._store.put_gap(self._gap(outage, counts or self._accounts.settle(outage.end_s)))
        self._end_s = max(self._end_s, outage.end_s)
        self._gaps += 1

    def _gap(self, outage: Outage, counts: FrameCounts) -> Gap:
        return Gap(
            id=make_id(self._stream.name, outage.epoch, "gap", round(outage.start_s * 1000)),
            stream=self._stream.name,
            epoch=outage.epoch,
            span=Span(outage.start_s, outage.end_s),
            cause=outage.cause,
            detail=outage.detail,
            attempts=outage.attempts,
            wall_start_s=outage.wall_start_s,
            counts=counts,
        )

    def _flush_if_due(self, started: float) -> None:
        now = time.monotonic()
        if now - self._flushed_at < FLUSH_S and len(self._moments) < FLUSH_MOMENTS:
            return
        self._commit()
        self._report_progress(started)

    def _commit(self) -> None:
        """Write the batch. The moments go last: they are what makes the pictures count."""
        moments, frames = self._moments, self._frames
        self._moments, self._frames = [], []
        if moments:
            self._remember(moments, frames)
        self._flushed_at = time.monotonic()

    def _put_state(self, state: StreamState, error: str = "") -> None:
        self._stream = replace(self._stream, state=state, error=error)
        self._store.put_stream(self._stream)

    def _report_progress(self, started: float) -> None:
        if self._on_progress is None:
            return
        reached_s = self._held.time_s if self._held is not None else self._end_s
        elapsed = max(1e-6, time.monotonic() - started)
        self._on_progress(
            WatchProgress(
                stream=self._stream.name,
                time_s=reached_s,
                duration_s=self._stream.duration_s,
                speed=max(0.0, reached_s - self._from_s) / elapsed,
                moments=self._written,
                gaps=self._gaps,
            )
        )
