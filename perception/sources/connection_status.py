"""Connection status: how a live source is connected now, for status displays.

    monitor = ConnectionMonitor()
    monitor.enter("connecting", "connecting to rtsp://camera/1")
    monitor.note_frame(arrival_s)
    monitor.status()          # ConnectionStatus(state="live", frames_per_s=25.0, …)

It may be read from any thread.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

ConnectionState = Literal["connecting", "live", "stalled", "backing_off", "stopped"]

_RATE_OVER_S = 10.0
"""The rate is that of the frames of the last seconds."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How a live source is connected at one moment."""

    state: ConnectionState
    since_s: float
    """When this state began, in Unix seconds. Attempts that fail in the same way belong to one outage."""
    detail: str = ""
    """The state in a sentence, with the reason if the source does not connect."""
    cause: str = ""
    """Why no frames come: ``unauthorised``, ``not found``, ``refused``, ``stalled``, … Empty while they come."""
    attempts: int = 0
    """Attempts to connect that failed since the last frame."""
    reconnects: int = 0
    """How often frames came again after an outage."""
    last_frame_s: float | None = None
    """When the last frame arrived, in Unix seconds. None before the first."""
    frames_per_s: float = 0.0
    """Frames that arrived in a second, over the last ten."""
    lag_s: float = 0.0
    """How long the last frame had waited before it was looked at."""


class ConnectionMonitor:
    """Keeps the status of one live source."""

    def __init__(self) -> None:
        self._status = ConnectionStatus("connecting", time.time())
        self._seconds: deque[tuple[int, int]] = deque()
        self._began_s = time.monotonic()

    def status(self) -> ConnectionStatus:
        """The status now."""
        return replace(self._status, frames_per_s=self._rate(time.monotonic()))

    def enter(self, state: ConnectionState, detail: str) -> None:
        """The connection is in this state now. An outage counts from its first failure."""
        before = self._status
        continues = state == before.state or (state != "live" and before.state != "live")
        live = state == "live"
        self._status = replace(
            before,
            state=state,
            detail=detail,
            since_s=before.since_s if continues else time.time(),
            cause="" if live else before.cause,
            attempts=0 if live else before.attempts,
            reconnects=before.reconnects + (live and before.last_frame_s is not None),
        )

    def fail(self, cause: str) -> None:
        """An attempt failed, or a connection ended."""
        before = self._status
        since_s = time.time() if before.state == "live" else before.since_s
        state: ConnectionState = "stalled" if before.state == "live" else before.state
        self._status = replace(
            before, state=state, since_s=since_s, cause=cause, attempts=before.attempts + 1
        )

    def note_frame(self, arrival_s: float) -> None:
        """A frame that arrived at this monotonic time is looked at now."""
        now_s = time.monotonic()
        lag_s = max(0.0, now_s - arrival_s)
        self._status = replace(self._status, last_frame_s=time.time() - lag_s, lag_s=lag_s)
        second = int(arrival_s)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        while self._seconds[0][0] < second - _RATE_OVER_S:
            self._seconds.popleft()

    def _rate(self, now_s: float) -> float:
        counted = [
            count for second, count in tuple(self._seconds) if now_s - _RATE_OVER_S <= second < int(now_s)
        ]
        return sum(counted) / max(1.0, min(_RATE_OVER_S, now_s - self._began_s))
