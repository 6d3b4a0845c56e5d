"""Live source: reads a camera or a live stream behind a URL, and reconnects after an outage.

    source = LiveSource("rtsp://camera/1", fps=4, on_state=lambda state, detail: print(state, detail))
    for event in source.frames():        # does not end by itself
        ...
    source.stop()                        # from another thread or a signal handler

A child process reads and decodes (``reader_child``). This side keeps the clocks, detects a stall, kills a
child that hangs, and reconnects with back-off. Lost time is reported as an ``Outage``, and the frames after
it carry a new epoch.

Stream time is elapsed time. ``LiveClock`` holds the source's timestamps against the arrivals of its frames.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import SourceUnreachable
from .connection_progress import ConnectionProgress, LiveTimeouts
from .connection_status import ConnectionMonitor, ConnectionState, ConnectionStatus
from .frame import Frame
from .frame_sampling import FrameSampler
from .host_clock import read_clocks
from .live_clock import ConnectionTrouble, LiveClock, LiveOrigin
from .packet_cadence import LONGEST_PATIENCE_S
from .reader_messages import ReaderTask, ReceivedFrame
from .reader_process import ReaderProcess
from .source import Event, Outage, SourceInfo
from .urls import identity, redact, redact_text

OnState = Callable[[str, str], None]

_FINISH_S = 0.7
"""After ``finish``, how long a child may take to send its next frame."""

_TICK_S = 0.1
"""How often a waiting iterator checks whether it was stopped."""
_WAITING_EVERY_S = 5.0
"""How often ``on_state`` is told that an open connection shows no picture yet."""


class LiveSource:
    """Watches a URL, and reconnects until it is stopped or ``max_outage_s`` has passed without a frame.

    ``on_state`` is called with a state (``connecting``, ``live``, ``stalled``, ``backing_off``,
    ``stopped``) and a sentence, on the thread that iterates. During an outage it is called at every
    attempt, and ``current_outage`` gives the outage so far.
    """

    def __init__(
        self,
        url: str,
        fps: float,
        *,
        origin: LiveOrigin | None = None,
        max_outage_s: float | None = None,
        on_state: OnState | None = None,
        timeouts: LiveTimeouts | None = None,
    ) -> None:
        FrameSampler(fps)  # refuses an invalid rate before anything is opened
        self._timeouts = timeouts or LiveTimeouts()
        self._task = ReaderTask(url, fps, self._timeouts.open_s, self._timeouts.stall_s)
        self._shown_url = redact(url)
        # A URL from the environment may hold bytes that are not UTF-8.
        address = identity(url).encode(errors="surrogateescape")
        self._address_hash = hashlib.blake2b(address, digest_size=20).hexdigest()
        self._max_outage_s = max_outage_s
        self._tell = on_state or (lambda state, detail: None)
        self._monitor = ConnectionMonitor()
        self._read_clocks = read_clocks if origin is None else origin.clocks
        self._clock = LiveClock(origin)
        self._trouble: ConnectionTrouble | None = None
        self._child: ReaderProcess | None = None
        # Not a threading.Event: its set() may deadlock in a signal handler that interrupts wait().
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """Current facts about the source. Size and start are set once a frame has come."""
        width, height = self._clock.size
        return SourceInfo(
            kind="live",
            source=self._shown_url,
            content_id="address:" + self._address_hash,
            width=width,
            height=height,
            started_wall_s=self._clock.origin_wall_s,
        )

    @property
    def current_outage(self) -> Outage | None:
        """The outage so far. None while frames come, and before the first frame."""
        if self._trouble is None or not self._clock.has_begun:
            return None
        return self._clock.outage(self._read_clocks(), self._trouble)

    @property
    def connection(self) -> ConnectionStatus:
        """How the source is connected now. May be read from any thread."""
        return self._monitor.status()

    def stop(self) -> None:
        """End the iterator within a second, after the frames already read."""
        self._stopped = True

    def close(self) -> None:
        """Stop, and end the child process without waiting for the frames it has read."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield frames as they come. A live source has no past, so ``from_s`` changes nothing.

        Raises:
            SourceUnreachable: No frame came for longer than ``max_outage_s``.
        """
        failures, last_frame_s = 0, time.monotonic()
        try:
            while not self._stopped:
                self._on_state("connecting", f"connecting to {self._shown_url}")
                child = self._child = ReaderProcess(self._task)
                live_since_s: float | None = None
                self._clock.open_epoch()
                for received in self._received_frames(child):
                    if received is None:
                        yield from self._placed(self._clock.tick(self._read_clocks()))
                        continue
                    if live_since_s is None:
                        live_since_s = time.monotonic()
                        self._on_state("live", f"frames come from {self._shown_url}")
                    self._monitor.note_frame(received.arrival_s)
                    yield from self._placed(
                        self._clock.place(
                            received, self._read_clocks(), self._trouble, is_recording=child.is_recording
                        )
                    )
                    last_frame_s = time.monotonic()
                child.kill()
                yield from self._placed(self._clock.finish(self._read_clocks()))
                yield from self._clock.losses(child.lost)
                if child.cause == "unsupported":
                    raise SourceUnreachable(self._shown_url, child.detail, 1)
                if self._stopped or child.cause == "complete":
                    break
                was_stable = (
                    live_since_s is not None and last_frame_s - live_since_s >= self._timeouts.stable_s
                )
                failures = 1 if was_stable else failures + 1
                self._learn(child, had_frames=live_since_s is not None, was_stable=was_stable)
                self._back_off(child, failures, last_frame_s)
        except SourceUnreachable:
            yield from self._last_outage()
            raise
        finally:
            self.close()
            self._on_state("stopped", f"{self._shown_url} is no longer watched")
        yield from self._last_outage()

    def _on_state(self, state: ConnectionState, detail: str) -> None:
        self._monitor.enter(state, detail)
        self._tell(state, detail)

    def _placed(self, events: Iterator[Event]) -> Iterator[Event]:
        """Pass events on. An outage lasts until a frame has its place."""
        for event in events:
            if isinstance(event, Frame):
                self._trouble = None
            yield event

    def _last_outage(self) -> Iterator[Outage]:
        """The outage in which watching ends, if it ends in one."""
        outage, self._trouble = self.current_outage, None
        if outage is not None:
            yield outage

    def _received_frames(self, child: ReaderProcess) -> Iterator[ReceivedFrame | None]:
        """Yield the frames of ``child`` until it ends, waits in vain, or the source is stopped.

        None means that nothing came for a moment.
        """
        progress = ConnectionProgress(self._timeouts, self._task.stall_s, time.monotonic())
        finish_by_s, say_from_s = math.inf, 0.0
        while True:
            if self._stopped and finish_by_s == math.inf:
                child.finish()
                finish_by_s = time.monotonic() + _FINISH_S
            received = child.receive(_TICK_S)
            if received == "ended":
                return
            if isinstance(received, ReceivedFrame):
                yield received
            now_s = time.monotonic()
            if received is not None:
                # Counted from when the consumer wants the next frame: a slow consumer is not a stalled source.
                progress.note(received, now_s)
            elif now_s >= finish_by_s:
                return
            elif (failure := progress.failure(now_s)) is not None:
                child.fail(*failure)
                return
            else:
                yield None
            if now_s >= say_from_s and (waiting := progress.waiting(now_s)):
                say_from_s = now_s + _WAITING_EVERY_S
                self._on_state("connecting", waiting)

    def _learn(self, child: ReaderProcess, *, had_frames: bool, was_stable: bool) -> None:
        """Prepare the task of the next connection with what this one has shown."""
        stall_s = self._task.stall_s
        if was_stable:
            stall_s = self._timeouts.stall_s
        elif child.cause == "stalled":
            # A source that sends once in a while shows its pace only to a connection that waits longer.
            stall_s = max(stall_s, min(2 * stall_s, LONGEST_PATIENCE_S))
        was_live = self._task.was_live or (had_frames and not child.is_recording)
        self._task = replace(self._task, stall_s=stall_s, was_live=was_live)

    def _back_off(self, child: ReaderProcess, failures: int, last_frame_s: float) -> None:
        """Record the failure, and pause before the next attempt.

        Raises:
            SourceUnreachable: No frame came for longer than ``max_outage_s``.
        """
        # The messages of decoders and servers may repeat the URL or parts of it.
        detail = redact_text(child.detail, [self._task.url])
        self._trouble = ConnectionTrouble.after(self._trouble, child.cause, detail)
        self._monitor.fail(child.cause)
        if child.cause in ("stalled", "timeout"):
            self._on_state("stalled", detail)
        self._pause(self._timeouts.backoff_after(child.cause).pause_s(failures), last_frame_s)
        if self._max_outage_s is not None and time.monotonic() - last_frame_s >= self._max_outage_s:
            why = f"{child.cause} ({detail})"
            raise SourceUnreachable(self._shown_url, why, self._trouble.attempts)

    def _pause(self, pause_s: float, last_frame_s: float) -> None:
        """Pause before the next attempt, unless stopped, and never beyond ``max_outage_s``."""
        until_s = time.monotonic() + pause_s
        if self._max_outage_s is not None:
            until_s = min(until_s, last_frame_s + self._max_outage_s)
        detail = self._trouble.detail if self._trouble is not None else ""
        remaining_s = max(0.0, until_s - time.monotonic())
        if remaining_s > 0:
            self._on_state("backing_off", f"{detail}; trying again in {remaining_s:.1f} s")
        while not self._stopped and (remaining_s := until_s - time.monotonic()) > 0:
            time.sleep(min(_TICK_S, remaining_s))
