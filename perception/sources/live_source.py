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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...common.backoff import Backoff
from ..errors import SourceUnreachable
from .frame import Frame
from .frame_sampling import FrameSampler
from .host_clock import read_clocks
from .live_clock import ConnectionTrouble, LiveClock, LiveOrigin
from .reader_messages import ReaderTask, ReceivedFrame
from .reader_process import ReaderProcess
from .source import Event, Outage, SourceInfo
from .urls import identity, redact, redact_text

OnState = Callable[[str, str], None]

_START_S = 30.0
"""How long the child's interpreter may take to start on a busy machine."""

_FINISH_S = 0.7
"""After ``finish``, how long a child may take to send its next frame."""

_RECONNECT_BACKOFF = Backoff(first_s=1.0, longest_s=60.0)
_UNAUTHORISED_BACKOFF = Backoff(first_s=10.0, longest_s=600.0)

_SILENCES = {
    "start": "the reader process did not start within {:.0f} s",
    "connection": "it did not show a picture within {:.0f} s",
    "frames": "no frame came for {:.1f} s",
}

_TICK_S = 0.1
"""How often a waiting iterator checks whether it was stopped."""


@dataclass(frozen=True, slots=True)
class LiveTimeouts:
    """How long a connection may take or be silent, and the pauses between attempts to reconnect."""

    open_s: float = 10.0
    """For a connection to open and show its first picture, in seconds."""
    stall_s: float = 5.0
    """Without a frame, before a connection counts as stalled. Well above twice the key-frame interval."""
    backoff: Backoff = _RECONNECT_BACKOFF
    """The pauses before attempts to reconnect."""
    unauthorised_backoff: Backoff = _UNAUTHORISED_BACKOFF
    """The pauses after wrong credentials. They are longer, so that no account gets locked."""
    stable_s: float = 30.0
    """After this long with frames, the back-off starts again from its first pause."""

    def backoff_after(self, cause: str) -> Backoff:
        """The back-off after a failure with this cause."""
        return self.unauthorised_backoff if cause == "unauthorised" else self.backoff


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
        self._on_state = on_state or (lambda state, detail: None)
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
                    yield from self._placed(self._clock.place(received, self._read_clocks(), self._trouble))
                    last_frame_s = time.monotonic()
                child.kill()
                yield from self._placed(self._clock.finish(self._read_clocks()))
                yield from self._clock.losses(child.lost)
                if self._stopped or child.cause == "complete":
                    break
                if live_since_s is not None and last_frame_s - live_since_s >= self._timeouts.stable_s:
                    failures = 0
                failures += 1
                self._back_off(child, failures, last_frame_s)
        except SourceUnreachable:
            yield from self._last_outage()
            raise
        finally:
            self.close()
            self._on_state("stopped", f"{self._shown_url} is no longer watched")
        yield from self._last_outage()

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
        """Yield the frames of ``child`` until it ends, is silent for too long, or the source is stopped.

        None means that nothing came for a moment.
        """
        waiting_for, timeout_s = "start", _START_S
        deadline_s, is_finishing = time.monotonic() + timeout_s, False
        while True:
            if self._stopped and not is_finishing:
                is_finishing = True
                child.finish()
                deadline_s = time.monotonic() + _FINISH_S
            received = child.receive(_TICK_S)
            if isinstance(received, ReceivedFrame):
                yield received
                # Counted from when the consumer wants the next frame: a slow consumer is not a stalled source.
                waiting_for, timeout_s = "frames", self._timeouts.stall_s
            elif received == "started":
                waiting_for, timeout_s = "connection", self._timeouts.open_s + 1.0
            elif received == "ended":
                return
            elif time.monotonic() >= deadline_s:
                child.cause = "stalled" if waiting_for == "frames" else "timeout"
                child.detail = _SILENCES[waiting_for].format(timeout_s)
                return
            else:
                yield None
            if received is not None and not is_finishing:
                deadline_s = time.monotonic() + timeout_s

    def _back_off(self, child: ReaderProcess, failures: int, last_frame_s: float) -> None:
        """Record the failure, and pause before the next attempt.

        Raises:
            SourceUnreachable: No frame came for longer than ``max_outage_s``.
        """
        # The messages of decoders and servers may repeat the URL or parts of it.
        detail = redact_text(child.detail, [self._task.url])
        self._trouble = ConnectionTrouble.after(self._trouble, child.cause, detail)
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
        self._on_state("backing_off", f"{detail}; trying again in {remaining_s:.1f} s")
        while not self._stopped and (remaining_s := until_s - time.monotonic()) > 0:
            time.sleep(min(_TICK_S, remaining_s))
