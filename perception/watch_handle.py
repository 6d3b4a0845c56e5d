"""Watch handle: one source that is being watched in its own thread.

    door = memory.start("rtsp://camera/1", stream="door")
    door.status().state          # "connected"
    door.stop()
    report = door.wait()         # raises what ended the watch, if it failed

``stop`` may be called from any thread and from a signal handler.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .sources.connection_status import ConnectionStatus
from .watch_events import (
    Connected,
    Connecting,
    Disconnected,
    Failed,
    Finished,
    ObserverDisabled,
    OnEvent,
    Progress,
    Stalled,
    WatchEvent,
    WatchReport,
)
from .watch_log import WatchLog

log = logging.getLogger(__name__)

WatchPhase = Literal[
    "starting",
    "connecting",
    "connected",
    "stalled",
    "disconnected",
    "watching",
    "describing",
    "ended",
    "failed",
]
"""Of a file: ``starting``, ``watching``, ``describing`` (its backlog), ``ended`` or ``failed``."""

_PHASES: dict[type[object], WatchPhase] = {
    Connecting: "connecting",
    Connected: "connected",
    Stalled: "stalled",
    Disconnected: "disconnected",
}
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """The status of a watch at one moment."""

    stream: str
    state: WatchPhase
    time_s: float
    """Stream time reached at the last commit."""
    moments: int
    """Moments written so far in this run."""
    gaps: int
    """Gaps recorded so far in this run."""
    waiting: int
    """Memories that wait for a description, where a video LMM is used."""
    disabled_observers: tuple[str, ...]
    """Observers of other packages that failed, each with the reason."""
    last_error: str
    """The last problem with the source, or the error that ended the watch. Empty without either."""
    connection: ConnectionStatus | None = None
    """How a live source is connected. None for a file, and before it was opened."""


class Watch:
    """One source that is being watched. Made by ``Recollect.start``."""

    def __init__(
        self, stream: str, on_event: OnEvent | None = None, *, kind: Literal["file", "live"] = "file"
    ) -> None:
        self.stream = stream
        """The stream's name in the memory."""
        self.kind = kind
        """Whether it is a file, which ends, or a live source."""
        self._on_event = on_event
        self._thread: threading.Thread | None = None
        self._stoppers: list[Callable[[], None]] = []
        # Not a threading.Event: setting one from a signal handler may deadlock.
        self._stop_requested = False
        self._phase: WatchPhase = "starting"
        self._progress: Progress | None = None
        self._last_error = ""
        self._connection: Callable[[], ConnectionStatus] | None = None
        self._disabled_observers: tuple[str, ...] = ()
        self._ending: Finished | Failed | None = None
        self._subscribers: list[queue.SimpleQueue[WatchEvent]] = []
        self._publishing = threading.Lock()
        self._log = WatchLog(stream)

    # -- for users ------------------------------------------------------------------------------------

    def status(self) -> WatchStatus:
        """The current status. Returns at once."""
        progress = self._progress
        return WatchStatus(
            stream=self.stream,
            state=self._phase,
            time_s=0.0 if progress is None else progress.time_s,
            moments=0 if progress is None else progress.moments,
            gaps=0 if progress is None else progress.gaps,
            waiting=0 if progress is None else progress.waiting,
            disabled_observers=self._disabled_observers,
            last_error=self._last_error,
            connection=None if self._connection is None else self._connection(),
        )

    def stop(self) -> None:
        """Ask the watch to end, and keep everything so far. Returns at once. Callable from a signal handler."""
        self._stop_requested = True
        for stop in tuple(self._stoppers):
            stop()

    def wait(self, timeout_s: float | None = None) -> WatchReport:
        """Wait until the watch ends, and return its report.

        Raises:
            TimeoutError: The watch has not ended within ``timeout_s`` seconds. It continues.
            RecollectError: The error that ended the watch.
        """
        self.join(timeout_s)
        if isinstance(self._ending, Failed):
            raise self._ending.error
        assert self._ending is not None
        return self._ending.report

    def events(self) -> Iterator[WatchEvent]:
        """Yield its events from this call to the last event (``Finished`` or ``Failed``)."""
        events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        with self._publishing:
            ending = self._ending
            self._subscribers.append(events)
        if ending is not None:
            yield ending
            return
        while True:
            event = events.get()
            yield event
            if isinstance(event, Finished | Failed):
                return

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the watch ends, also if it fails. Raises ``TimeoutError``."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        if self._thread is threading.current_thread():
            raise RuntimeError(f"the event handler of {self.stream} cannot wait for its own watch to end")
        while self._thread is not None and self._thread.is_alive():
            pause_s = _POLL_S if until_s is None else min(_POLL_S, until_s - time.monotonic())
            if pause_s <= 0:
                raise TimeoutError(f"{self.stream} is still being watched after {timeout_s:g} s")
            # Short waits, so that a signal handler can run between them on every platform.
            self._thread.join(pause_s)

    # -- for the session ------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def stop_requested(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stop_requested

    def run(self, work: Callable[[], WatchReport], release: Callable[[], None]) -> None:
        """Call ``work`` in a thread. The last event is sent after ``release``."""
        self._thread = threading.Thread(
            target=self._main, args=(work, release), name=f"watch {self.stream}", daemon=True
        )
        self._thread.start()

    def stop_with(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when the watch is stopped, or at once if it is stopped already."""
        self._stoppers.append(stop)
        if self._stop_requested:
            stop()

    def connected_by(self, connection: Callable[[], ConnectionStatus]) -> None:
        """Give the function that tells how the live source is connected."""
        self._connection = connection

    def set_phase(self, phase: WatchPhase) -> None:
        """Set the current phase."""
        self._phase = phase

    def publish(self, event: WatchEvent) -> None:
        """Record an event, and send it to the subscribers and the event handler."""
        if isinstance(event, Progress):
            self._progress = event
            if self._phase == "starting":
                self._phase = "watching"
        self._phase = _PHASES.get(type(event), self._phase)
        if isinstance(event, ObserverDisabled):
            self._disabled_observers += (f"{event.observer} {event.reason}",)
        if isinstance(event, Stalled | Disconnected):
            self._last_error = event.detail
        if isinstance(event, Failed):
            self._last_error = str(event.error)
        with self._publishing:
            if isinstance(event, Finished | Failed):
                self._ending = event
            subscribers = tuple(self._subscribers)
        for events in subscribers:
            events.put(event)
        if hasattr(event, "stream"):  # the others are logged once for all watches
            self._log.note(event)
        if self._on_event is not None:
            self._on_event(event)

    def publish_waiting(self, waiting: int, report: WatchReport) -> None:
        """Publish progress again with another number of memories that wait for a description."""
        last = self._progress or Progress(
            report.stream, report.until_s, report.until_s, speed=0.0, moments=0, gaps=0
        )
        if self._progress is None or last.waiting != waiting:
            self.publish(replace(last, waiting=waiting))

    def _main(self, work: Callable[[], WatchReport], release: Callable[[], None]) -> None:
        event: Finished | Failed
        try:
            event = Finished(self.stream, work())
        except BaseException as error:
            event = Failed(self.stream, error)
        self._phase = "failed" if isinstance(event, Failed) else "ended"
        try:
            release()
        except Exception as error:
            if not isinstance(event, Failed):
                event = Failed(self.stream, error)
        try:
            self.publish(event)
        except Exception:
            # The watch has ended, so the handler's error has nothing to end any more.
            log.warning("an event handler of %s failed on its last event", self.stream, exc_info=True)
