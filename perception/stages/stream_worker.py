"""Stream worker: watches one stream, and drives the stages from its source to the store.

    worker = StreamWorker(store, stream, source, observers)
    report = worker.run()

Reading and waiting happen in this loop. The stages (shot detector, moment cutter, observers, key frame chooser,
ladder) take input and return results. What is committed survives a kill, and a later run resumes exactly there:
the moments are the same as those of an unbroken run.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from ...memory.errors import MemoryStoreError
from ...memory.store import MemoryStore
from ...memory.values import Span, Stream
from ...memory.watch_rate import WatchRate
from ..errors import NotAVideo, SourceError
from ..live_origin import find_live_origin
from ..observers.observer import Observer
from ..sources.frame import Frame
from ..sources.live_clock import LiveOrigin
from ..sources.source import Event, Outage, Source
from ..watch_events import OnEvent, Progress, RateChanged, WatchReport, WatchState
from .live_holes import HoleFinder
from .moment_composer import MomentComposer
from .moment_cutter import MAX_S, MomentCutter
from .moment_writer import Append, MomentWriter
from .shot_detection import ShotBoundary, ShotDetector

WARM_UP_S = 10.0
"""How much before the point of resuming is shown to the stages again, so that they know the scene."""
_SAME_S = 1e-6
"""Times nearer than this are the same: a frame's time may have been rounded on its way."""
SETTLED_S = 0.5
"""A live source may take this long to send its first frame before that is a gap."""
_UNSEEN_S = 0.1
"""A stretch without a frame before watching stopped is a gap if it is longer."""
LIVE_MAX_S = 5.0
"""The longest moment of a live stream: observations must be searchable seconds later."""


class StreamWorker:
    """Takes a source to its end, or until ``stop()``. Run it once.

    One thread runs it. ``stop`` and ``held`` may be called from others.
    """

    def __init__(
        self,
        store: MemoryStore,
        stream: Stream,
        source: Source,
        observers: Sequence[Observer],
        *,
        append: Append | None = None,
        on_event: OnEvent | None = None,
        written_at: Callable[[float], float] | None = None,
        origin: LiveOrigin | None = None,
    ) -> None:
        """Nothing is watched yet.

        ``append`` replaces the method of the store. For ``written_at`` see
        ``WatchOptions``. ``origin`` is that of a live source. None means now, or where the memory ends.
        """
        self._store = store
        self._stream = stream
        self._source = source
        self._on_event = on_event
        self._live = stream.kind == "live"
        # Not a threading.Event: setting one from a signal handler may deadlock.
        self._stopped = False
        self._stopped_at_s: float | None = None
        self._processing = threading.RLock()
        self._running = False
        self._shots = ShotDetector()
        self._cutter = MomentCutter(LIVE_MAX_S if self._live else MAX_S)
        self._composer = MomentComposer(stream, observers, written_at)
        self._writer = MomentWriter(store, stream, append)
        self._holes = HoleFinder(stream.fps)
        is_own = origin is None
        if origin is None and self._live:
            origin = find_live_origin(stream, store.resume(stream.name))
        self._clock = _StreamClock(stream, origin, origin_is_sources=is_own)

    def stop(self) -> None:
        """End the run soon and keep everything so far. Callable from a signal handler or another thread."""
        if not self._stopped:
            self._stopped_at_s = self._clock.now_s()
        self._stopped = True
        self._source.stop()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside the block nothing of this stream is open or waits to be committed, and no frame is processed.

        Waits for the frame that is being processed, never for the source. Afterwards watching goes on with a new
        moment, and with a ladder made of what the memory then holds.
        """
        with self._processing:
            if self._running:
                self._close_open_moment()
                self._writer.commit()
            try:
                yield
            finally:
                if self._running:
                    self._writer.resume()

    def run(self) -> WatchReport:
        """Watch until the source ends or ``stop()`` is called.

        Raises:
            SourceError: The source cannot be read (any more).
            MemoryStoreError: The memory cannot be written. All that was committed is safe.
        """
        started = time.monotonic()
        with self._processing:
            resumed_at_s = self._resume()
            self._writer.put_state("watching")
            self._running = True
        try:
            from_s = 0.0 if self._live else max(0.0, self._clock.from_s - WARM_UP_S)
            for event in self._source.frames(from_s):
                with self._processing:
                    self._process(event)
                    if self._writer.is_due():
                        self._writer.commit()
                        self._report_progress(started)
                if self._stopped and not self._live:
                    break
            with self._processing:
                self._end()
            if resumed_at_s is None and not (self._live or self._stopped or self._clock.has_seen_frame):
                raise NotAVideo(self._stream.source, "none of its pictures can be decoded")
        except BaseException as error:
            self._fail(error)
            raise
        with self._processing:
            self._running = False
            if not self._stopped and not self._live:
                self._writer.flush_ladder()
            self._writer.commit()
            state: WatchState = "stopped" if self._stopped or self._live else "done"
            # What a file declares of its duration may be wrong.
            duration_s = self._clock.end_s if state == "done" else None
            self._writer.put_state("done" if state == "done" else "stopped", duration_s=duration_s)
        self._writer.maintain()
        self._report_progress(started)
        return WatchReport(
            stream=self._stream.name,
            state=state,
            already_done=False,
            resumed_at_s=resumed_at_s,
            until_s=self._clock.end_s,
            moments=self._writer.written,
            gaps=self._writer.gaps,
            counts=self._composer.total,
            seconds=time.monotonic() - started,
        )

    def note_outage(self, outage: Outage | None) -> None:
        """Record an outage that still goes on, so that questions see it at once.

        None means a live source that has sent nothing yet in this run.
        """
        with self._processing:
            if outage is None:
                if not self._clock.waits_for_first_frame:
                    return
                outage = self._clock.nothing_yet(self._clock.now_s())
            self._close_epoch(outage.start_s)
            self._writer.put_open_gap(outage)

    # -- inside, with the lock held --------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        # Final moments must not be lost to a later error. That error is raised, even if the memory fails too.
        with suppress(MemoryStoreError), self._processing:
            self._running = False
            self._writer.commit()
            if isinstance(error, SourceError):
                self._writer.put_state("failed", str(error))
            else:
                self._writer.put_state("stopped")

    def _resume(self) -> float | None:
        """Take up where the commits of the last run end."""
        clock = self._clock
        point = self._store.resume(self._stream.name)
        if point is None:
            return None
        clock.epoch, clock.shot = point.epoch, point.shot
        clock.from_s = clock.end_s = point.end_s
        self._writer.resume()
        if not self._live:
            self._cutter.begin(point.end_s)
        elif (now_s := clock.now_s()) - clock.end_s > SETTLED_S:
            detail = "no process was watching, or it was killed before it could write"
            self._put_gap(clock.outage(now_s, "not watched", detail))
        return point.end_s

    def _process(self, event: Event) -> None:
        if isinstance(event, Frame):
            if not self._live or self._stopped_at_s is None or event.time_s < self._stopped_at_s:
                self._take(event)
        elif isinstance(event, Outage):
            self._break(event)
        elif self._live:
            self._holes.note_dropped(event)
        elif event.time_s >= self._clock.from_s - _SAME_S:
            # Those lost earlier were counted by the run that saw them.
            self._composer.count_dropped(event)

    def _take(self, frame: Frame) -> None:
        """Look at a frame. The one before it is passed on, now that it is known whether a cut lies between."""
        clock = self._clock
        if clock.held is not None and frame.epoch != clock.held.epoch:
            self._close_epoch(clock.held_until_s)
            self._holes.restart()
        if self._live:
            if clock.held is None:
                self._start_epoch(frame)
            self._leave_out_hole(frame)
            if _is_key_frames_only(frame.rate) or _is_key_frames_only(clock.rate):
                self._shots.reset()  # what lies between two key frames is not a cut
        boundary = self._shots.push(frame)
        held = clock.advance(frame)
        if held is not None:
            self._pass_on(held, boundary)
        if frame.rate != clock.rate:
            self._change_rate(frame.rate, frame.time_s)

    def _pass_on(self, frame: Frame, boundary: ShotBoundary | None) -> None:
        warming_up = frame.time_s < self._clock.from_s - _SAME_S
        if boundary is not None:
            self._composer.cut(boundary.end_s)
            if not warming_up:
                self._change_shot(boundary)
        if not warming_up:
            self._composer.count(frame)
        if not frame.sampled:
            return
        self._composer.observe(frame)
        if not warming_up:
            self._finish(self._cutter.push(frame.time_s, frame.thumb))
            from_s = self._cutter.current_from_s
            self._composer.choose(frame, frame.time_s if from_s is None else from_s)

    def _change_shot(self, boundary: ShotBoundary) -> None:
        """A new shot began at ``boundary.end_s``, which for a dissolve is about half a second ago."""
        open_from_s = self._cutter.open_from_s
        if open_from_s is not None and boundary.end_s < open_from_s - _SAME_S:
            # Detected so late (at a frame a second) that a final moment spans it, or by an earlier run.
            return
        self._composer.begin_shot(boundary)
        self._finish(self._cutter.cut(boundary.end_s))
        self._cutter.begin(boundary.end_s)
        # Pictures of the new shot were chosen as if they belonged to the old one. A run that is
        # resumed where the shot begins would choose others, so both choose from here on.
        self._composer.clear_key_frames()
        self._clock.shot += 1

    def _leave_out_hole(self, frame: Frame) -> None:
        """Record the time before a live frame as a gap if it was not watched, with the frames lost in it."""
        clock = self._clock
        hole = self._holes.push(frame.time_s, sampled=frame.sampled, reduced=frame.rate is not None)
        if hole is None:
            self._count_dropped(None)
            return
        start_s = self._close_shot(hole.start_s)
        self._count_dropped(start_s)
        self._put_gap(clock.outage(hole.end_s, hole.cause, hole.detail))
        self._cutter.begin(hole.end_s)
        clock.shot += 1

    def _count_dropped(self, time_s: float | None) -> None:
        """Count the frames lost since the last frame at ``time_s``, or where they were lost."""
        for dropped in self._holes.take_dropped():
            self._composer.count_dropped(dropped if time_s is None else replace(dropped, time_s=time_s))

    def _change_rate(self, rate: WatchRate | None, time_s: float) -> None:
        """A live stream is watched at another rate from here on: moments of one rate each."""
        if self._cutter.current_from_s is not None:
            self._finish(self._cutter.cut(time_s))
            self._cutter.begin(time_s)
            self._composer.clear_key_frames()
        self._clock.rate = rate
        self._composer.change_rate(rate, time_s)
        if self._on_event is not None:
            full = WatchRate(self._stream.fps)
            self._on_event(RateChanged(self._stream.name, time_s, rate or full, is_full=rate is None))

    def _start_epoch(self, frame: Frame) -> None:
        """Take up a live epoch with its first frame."""
        clock = self._clock
        clock.note_wall_time(frame)
        if clock.first and frame.time_s - clock.end_s > SETTLED_S:
            self._put_gap(clock.nothing_yet(frame.time_s))
        if frame.epoch != clock.epoch:
            self._writer.flush_ladder()
            clock.epoch, clock.shot = frame.epoch, 0
        clock.first = False
        if self._cutter.current_from_s is None:
            # A frame covers the moment before it, unless that is a gap.
            since_s = frame.time_s - clock.end_s
            self._cutter.begin(clock.end_s if 0 < since_s <= SETTLED_S else frame.time_s)

    def _close_shot(self, end_s: float) -> float:
        """Everything open ends at ``end_s``, or just after the newest frame. Returns where."""
        clock = self._clock
        if clock.held is not None:
            held, clock.held = clock.held, None
            self._pass_on(held, None)
            end_s = max(end_s, held.time_s + min(clock.interval_s, 0.001))
        self._finish(self._cutter.cut(end_s))
        self._composer.cut(end_s)
        self._shots.reset()
        return end_s

    def _close_epoch(self, end_s: float) -> None:
        """Everything open ends here: an outage, a jump of the clock, or the end."""
        self._close_shot(end_s)
        self._writer.flush_ladder()

    def _close_open_moment(self) -> None:
        """Everything open ends with the newest frame, and the next moment begins there."""
        clock = self._clock
        was_open = self._cutter.current_from_s is not None
        end_s = self._close_shot(max(clock.end_s, clock.from_s))
        self._composer.clear_key_frames()
        if was_open:
            self._cutter.begin(max(end_s, clock.end_s))

    def _break(self, outage: Outage) -> None:
        clock = self._clock
        if self._live:
            start_s = self._close_shot(outage.start_s)
            self._writer.flush_ladder()
            self._count_dropped(max(start_s, outage.start_s))
            self._holes.restart()
            self._put_gap(outage)
            # The source numbers the frames that follow as another epoch.
            clock.epoch, clock.shot = outage.epoch + 1, 0
            return
        if outage.end_s <= clock.from_s + _SAME_S:
            # Remembered by an earlier run: the stages are only shown it.
            clock.held = None
            self._shots.reset()
            self._composer.cut(outage.start_s)
            if outage.end_s >= clock.from_s - _SAME_S:
                clock.shot += 1
            return
        self._close_epoch(outage.start_s)
        self._put_gap(outage)
        self._cutter.begin(outage.end_s)
        clock.shot += 1

    def _end(self) -> None:
        """The source ended or was stopped."""
        clock = self._clock
        if self._stopped and not self._live:
            # The frame at hand is left to the next run, which begins with it.
            if clock.held is not None:
                self._finish(self._cutter.cut(clock.held.time_s))
            return
        if clock.held is not None:
            until_s = clock.held_until_s
            if self._live and self._stopped_at_s is not None:
                until_s = min(until_s, self._stopped_at_s)
            self._close_epoch(until_s)
        self._count_dropped(None)
        lost = self._composer.settle(math.inf)
        if lost.captured:
            # Frames after the last moment: only a gap can count them.
            end_s = clock.end_s + lost.captured * clock.interval_s
            outage = Outage(clock.end_s, end_s, clock.epoch, "damaged", "frames that could not be decoded")
            self._writer.put_gap(outage, lost)
            clock.end_s = max(clock.end_s, end_s)
        if self._live:
            end_s = clock.now_s() if self._stopped_at_s is None else self._stopped_at_s
            if end_s - clock.end_s > _UNSEEN_S:
                self._put_gap(clock.outage(end_s, "stopped", "watching stopped before it had come"))

    def _finish(self, spans: Sequence[Span]) -> None:
        """Compose the moments that are now final."""
        clock = self._clock
        for span in spans:
            moment, frames = self._composer.compose(
                span,
                epoch=clock.epoch,
                shot=clock.shot,
                latest_s=clock.latest_s,
                origin_wall_s=clock.origin_wall_s,
            )
            self._writer.add(moment, frames)
            clock.end_s = span.end_s

    def _put_gap(self, outage: Outage) -> None:
        # The moments before it are committed first, and count the frames that belong to them.
        self._writer.commit()
        self._writer.put_gap(outage, self._composer.settle(outage.end_s))
        self._clock.end_s = max(self._clock.end_s, outage.end_s)

    def _report_progress(self, started: float) -> None:
        if self._on_event is None:
            return
        reached_s = self._clock.reached_s
        self._on_event(
            Progress(
                stream=self._stream.name,
                time_s=reached_s,
                duration_s=self._stream.duration_s,
                speed=max(0.0, reached_s - self._clock.from_s) / max(1e-6, time.monotonic() - started),
                moments=self._writer.written,
                gaps=self._writer.gaps,
            )
        )


def _is_key_frames_only(rate: WatchRate | None) -> bool:
    return rate is not None and rate.key_frames_only


class _StreamClock:
    """Where in the stream the worker is: times, epoch and shot."""

    def __init__(self, stream: Stream, origin: LiveOrigin | None, *, origin_is_sources: bool) -> None:
        """``origin_is_sources``: a source that the caller opened has chosen where its time begins."""
        self._origin, self._origin_is_sources = origin, origin_is_sources
        self.origin_wall_s = stream.origin_wall_s
        """Unix seconds at stream time 0, by the wall clock as it was set when the epoch began."""
        self.epoch = 0
        self.shot = 0
        self.has_seen_frame = False
        """Whether a frame came in this run."""
        self.held: Frame | None = None
        """The newest frame, which is passed on when the next has come."""
        self.latest_s = 0.0
        self.interval_s = 0.04
        """Between the two newest frames."""
        self.from_s = 0.0
        """Where this run begins. Earlier frames are only shown to the stages."""
        self.end_s = 0.0
        """End of the last moment or gap."""
        self.rate: WatchRate | None = None
        """The reduced rate at which a live stream is watched. None at the full rate."""
        self.first = True
        """Whether a live source has sent nothing yet in this run."""

    def note_wall_time(self, frame: Frame) -> None:
        """Take the wall time that the source gives the first frame of an epoch."""
        if frame.wall_s is None:
            return
        self.origin_wall_s = frame.wall_s - frame.time_s
        if self.first and self._origin_is_sources and self._origin is not None:
            reading = self._origin.clocks()
            self._origin = replace(
                self._origin, elapsed_s=reading.elapsed_s - (reading.wall_s - self.origin_wall_s)
            )

    @property
    def held_until_s(self) -> float:
        """The end of the newest frame: after the time that the source declares, or the usual distance of frames."""
        assert self.held is not None
        return self.held.time_s + (self.held.duration_s or self.interval_s)

    @property
    def reached_s(self) -> float:
        """Stream time reached."""
        return self.held.time_s if self.held is not None else self.end_s

    @property
    def waits_for_first_frame(self) -> bool:
        """Whether a live source has sent nothing yet, for long enough to be a gap."""
        return self.first and self.now_s() - self.end_s > SETTLED_S

    def advance(self, frame: Frame) -> Frame | None:
        """Take the newest frame. Returns the one before it."""
        held, self.held = self.held, frame
        self.has_seen_frame = True
        self.latest_s = frame.time_s
        if held is not None:
            self.interval_s = min(1.0, max(0.001, frame.time_s - held.time_s))
        return held

    def now_s(self) -> float:
        """The present time as stream time, for a live stream."""
        return 0.0 if self._origin is None else self._origin.now_s()

    def outage(self, end_s: float, cause: str, detail: str) -> Outage:
        """An outage from the end of the last moment or gap."""
        return Outage(
            start_s=self.end_s,
            end_s=end_s,
            epoch=self.epoch,
            cause=cause,
            detail=detail,
            wall_start_s=None if self._origin is None else self._origin.wall_s(self.end_s),
        )

    def nothing_yet(self, end_s: float) -> Outage:
        """The outage of a live source before its first frame."""
        return self.outage(end_s, "connecting", "the source had sent nothing yet")
