"""A live source: a camera or a stream behind a URL, watched for as long as it runs.

    source = LiveSource("rtsp://camera/1", fps=4, on_state=lambda state, detail: print(state, detail))
    for event in source.frames():        # does not end by itself
        ...
    source.stop()                        # from another thread or a signal handler

A child process reads and decodes (see ``reader``); this side keeps the clocks, notices when
nothing comes any more, kills what hangs, and tries again with growing pauses. Whatever time was
lost comes out as an ``Outage`` and what follows carries a new epoch.

Stream time is counted from the wall clock: an epoch begins when its first frame arrived, and
inside it the source's own timestamps count, which are steadier than a network.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import SourceUnreachable
from .frame_sampling import FrameSampler
from .live_clock import ConnectionTrouble, LiveClock
from .reader_messages import ReaderTask, ReceivedFrame
from .reader_process import ReaderProcess
from .source import Event, Outage, SourceInfo
from .urls import identity, redact, redact_text

OnState = Callable[[str, str], None]

_START_S = 30.0
"""How long the child's interpreter may take to start on a busy machine."""

_LEAVE_S = 0.7
"""How long a child that was asked to leave may take to send the next of what it has."""

_SILENCES = {
    "start": "the reader process did not start within {:.0f} s",
    "connection": "it did not show a picture within {:.0f} s",
    "frames": "no frame came for {:.1f} s",
}

_TICK_S = 0.1
"""How often a waiting iterator looks whether it was stopped."""


@dataclass(frozen=True, slots=True)
class LiveTimeouts:
    """How long what may take, in seconds."""

    open_s: float = 10.0
    """For a connection to be made and show what it sends."""
    stall_s: float = 5.0
    """Without a frame, before a connection counts as stalled. Well above twice the key-frame distance."""
    first_wait_s: float = 1.0
    """The longest pause before the first retry; it doubles with each."""
    longest_wait_s: float = 60.0
    """The longest pause there is."""
    unauthorised_wait_s: float = 600.0
    """The longest pause after wrong credentials, so that no account gets locked."""
    stable_s: float = 30.0
    """After this long with frames, pauses start small again."""

    def wait_s(self, failures: int, cause: str) -> float:
        """Draw the pause after so many failures in a row: anything from none to the longest of this step.

        The spread keeps cameras that went away together from coming back all at once.
        """
        first, longest = self.first_wait_s, self.longest_wait_s
        if cause == "unauthorised":
            first, longest = 10 * first, self.unauthorised_wait_s
        return random.uniform(0.0, min(longest, first * 2 ** min(failures - 1, 30)))


class LiveSource:
    """Watches a URL and never gives up, unless ``max_outage_s`` says when to.

    ``on_state`` is called with a state (``connecting``, ``live``, ``stalled``, ``backing_off``,
    ``stopped``) and a sentence, on the thread that iterates. While the source is away it is called
    at every attempt, and ``current_outage`` tells how long that has been so.
    """

    def __init__(
        self,
        url: str,
        fps: float,
        *,
        origin_wall_s: float | None = None,
        first_epoch: int = 0,
        max_outage_s: float | None = None,
        on_state: OnState | None = None,
        patience: LiveTimeouts | None = None,
    ) -> None:
        FrameSampler(fps)  # refuses a senseless rate before anything is opened
        self._patience = patience or LiveTimeouts()
        self._task = ReaderTask(url, fps, self._patience.open_s, self._patience.stall_s)
        self._shown_url = redact(url)
        # A URL from the environment may hold bytes that are no UTF-8.
        address = identity(url).encode(errors="surrogateescape")
        self._address_hash = hashlib.blake2b(address, digest_size=20).hexdigest()
        self._max_outage_s = max_outage_s
        self._on_state = on_state or (lambda state, detail: None)
        self._timeline = LiveClock(origin_wall_s, first_epoch)
        self._trouble: ConnectionTrouble | None = None
        self._child: ReaderProcess | None = None
        # Not a threading.Event: its set() may deadlock in a signal handler that interrupts wait().
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """What is known by now; size and start are there once a frame has come."""
        width, height = self._timeline.size
        return SourceInfo(
            kind="live",
            source=self._shown_url,
            content_id="address:" + self._address_hash,
            width=width,
            height=height,
            started_wall_s=self._timeline.origin_wall_s,
        )

    @property
    def current_outage(self) -> Outage | None:
        """The outage the source is in, up to now; None while frames come, and before the first frame."""
        if self._trouble is None or not self._timeline.begun:
            return None
        return self._timeline.outage(time.time(), self._trouble)

    def stop(self) -> None:
        """End the iterator within a second, after the frames that were read by now."""
        self._stopped = True

    def close(self) -> None:
        """Stop, and end the child process without waiting for what it read."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield frames as they come. There is nothing before now, so ``from_s`` changes nothing.

        Raises:
            SourceUnreachable: the source was away for longer than ``max_outage_s``.
        """
        failures, away_since = 0, time.monotonic()
        try:
            while not self._stopped:
                self._on_state("connecting", f"connecting to {self._shown_url}")
                child = self._child = ReaderProcess(self._task)
                live_since: float | None = None
                self._timeline.open_epoch()
                for arrived in self._arrivals(child):
                    if live_since is None:
                        live_since = time.monotonic()
                        self._on_state("live", f"frames come from {self._shown_url}")
                    yield from self._timeline.place(arrived, self._trouble)
                    self._trouble = None
                    away_since = time.monotonic()
                child.kill()
                # The messages of decoders and servers may repeat the URL or parts of it.
                detail = redact_text(child.detail, [self._task.url])
                yield from self._timeline.losses(child.lost)
                if self._stopped or child.cause == "complete":
                    break
                if live_since is not None and away_since - live_since >= self._patience.stable_s:
                    failures = 0
                failures += 1
                self._trouble = ConnectionTrouble.after(self._trouble, child.cause, detail)
                if child.cause in ("stalled", "timeout"):
                    self._on_state("stalled", detail)
                self._wait(self._patience.wait_s(failures, child.cause), away_since)
                if self._max_outage_s is not None and time.monotonic() - away_since >= self._max_outage_s:
                    why = f"{child.cause} ({detail})"
                    raise SourceUnreachable(self._shown_url, why, self._trouble.attempts)
        except SourceUnreachable:
            yield from self._open_outage()
            raise
        finally:
            self.close()
            self._on_state("stopped", f"{self._shown_url} is no longer watched")
        yield from self._open_outage()

    def _open_outage(self) -> Iterator[Outage]:
        """The outage that nobody will see the end of."""
        outage, self._trouble = self.current_outage, None
        if outage is not None:
            yield outage

    def _arrivals(self, child: ReaderProcess) -> Iterator[ReceivedFrame]:
        """Yield what ``child`` sends until it ends, is silent for too long, or we are stopped."""
        waiting_for, patience_s = "start", _START_S
        deadline, leaving = time.monotonic() + patience_s, False
        while True:
            if self._stopped and not leaving:
                leaving = True
                child.ask_to_leave()
                deadline = time.monotonic() + _LEAVE_S
            arrived = child.receive(_TICK_S)
            if isinstance(arrived, ReceivedFrame):
                yield arrived
                # Counted from when we were ready for more: a slow consumer is not a stalled source.
                waiting_for, patience_s = "frames", self._patience.stall_s
            elif arrived == "started":
                waiting_for, patience_s = "connection", self._patience.open_s + 1.0
            elif arrived == "ended":
                return
            elif time.monotonic() >= deadline:
                child.cause = "stalled" if waiting_for == "frames" else "timeout"
                child.detail = _SILENCES[waiting_for].format(patience_s)
                return
            if arrived is not None and not leaving:
                deadline = time.monotonic() + patience_s

    def _wait(self, wait_s: float, away_since: float) -> None:
        """Pause before the next attempt, unless stopped; never beyond ``max_outage_s``."""
        until = time.monotonic() + wait_s
        if self._max_outage_s is not None:
            until = min(until, away_since + self._max_outage_s)
        detail = self._trouble.detail if self._trouble is not None else ""
        self._on_state("backing_off", f"{detail}; trying again in {max(0.0, until - time.monotonic()):.1f} s")
        while not self._stopped and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(_TICK_S, left_s))
