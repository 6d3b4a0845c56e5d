"""Connection progress: what a connection to a live source has shown so far, and whether it waits in vain.

    progress = ConnectionProgress(timeouts, now_s=time.monotonic())
    progress.note(received, now_s)          # each message of the reader process
    progress.waiting(now_s)                 # "it sends, and no key frame has come yet (8 s)", or ""
    progress.failure(now_s)                 # ("stalled", "nothing came for 5.0 s"), or None

Packets count as life, also those that show no picture yet: a camera that is joined between two key frames, or
sends its sound first, is not stalled. It reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...common.backoff import Backoff
from .reader_messages import ReceivedFrame, ReceivedPackets

_BACKOFF = Backoff(first_s=1.0, longest_s=60.0)
_UNAUTHORISED_BACKOFF = Backoff(first_s=10.0, longest_s=600.0)

_START_S = 30.0
"""How long the child's interpreter may take to start on a busy machine."""
_TELL_AFTER_S = 1.0
"""Waiting for a first picture for longer than this is worth a word."""


@dataclass(frozen=True, slots=True)
class LiveTimeouts:
    """How long a connection may take or be silent, and the pauses between attempts to reconnect."""

    open_s: float = 10.0
    """For a connection to open and send something, in seconds."""
    stall_s: float = 5.0
    """Without anything from the source, before a connection counts as stalled. A source that is seen to send in
    bursts, such as HLS, is given longer."""
    picture_s: float = 120.0
    """Without a picture from a source that sends. Above the longest distance between two key frames."""
    backoff: Backoff = _BACKOFF
    """The pauses before attempts to reconnect."""
    unauthorised_backoff: Backoff = _UNAUTHORISED_BACKOFF
    """The pauses after wrong credentials. They are longer, so that no account gets locked."""
    stable_s: float = 30.0
    """After this long with frames, the back-off starts again from its first pause."""

    def backoff_after(self, cause: str) -> Backoff:
        """The back-off after a failure with this cause."""
        return self.unauthorised_backoff if cause == "unauthorised" else self.backoff


class ConnectionProgress:
    """What one connection has shown so far. All times are monotonic seconds."""

    def __init__(self, timeouts: LiveTimeouts, stall_s: float, now_s: float) -> None:
        """``stall_s``: how long the source may be silent, at least."""
        self._timeouts, self._patience_s = timeouts, stall_s
        self._stage: Literal["start", "connection", "packets", "frames"] = "start"
        self._life_s = self._picture_s = self._open_s = now_s
        self._packets: ReceivedPackets | None = None

    @property
    def has_picture(self) -> bool:
        """Whether a frame has come."""
        return self._stage == "frames"

    def note(self, received: ReceivedFrame | ReceivedPackets | Literal["started"], now_s: float) -> None:
        """Note a message of the reader process. A frame is noted when the consumer wants the next one."""
        self._life_s = now_s
        if received == "started":
            self._stage = "connection"
        elif isinstance(received, ReceivedPackets):
            self._packets = received
            self._patience_s = max(self._patience_s, received.patience_s)
            if self._stage != "frames":
                if self._stage != "packets":
                    self._open_s = self._picture_s = now_s
                self._stage = "packets"
        else:
            self._stage = "frames"
            self._picture_s = now_s

    def waiting(self, now_s: float) -> str:
        """What an open connection waits for, in words. Empty while pictures come, or soon after it was opened."""
        if self._stage != "packets" or self._packets is None or now_s - self._open_s < _TELL_AFTER_S:
            return ""
        if not self._packets.video:
            missing = "it sends sound, and no picture"
        elif not self._packets.key:
            missing = "it sends, and no key frame"
        else:
            missing = "it sends, and no picture that can be decoded"
        return f"{missing} has come yet ({now_s - self._open_s:.0f} s)"

    def failure(self, now_s: float) -> tuple[str, str] | None:
        """The cause and the detail if the connection waits in vain, else None."""
        silent_s = now_s - self._life_s
        if self._stage == "start" and silent_s >= _START_S:
            return "timeout", f"the reader process did not start within {_START_S:.0f} s"
        if self._stage == "connection" and silent_s >= self._timeouts.open_s + 1.0:
            return "timeout", f"it did not send anything within {self._timeouts.open_s + 1.0:.0f} s"
        if self._stage in ("packets", "frames"):
            if silent_s >= self._patience_s:
                return "stalled", f"nothing came for {self._patience_s:.1f} s"
            if now_s - self._picture_s >= max(self._timeouts.picture_s, self._patience_s):
                waiting = self.waiting(now_s) or "it sends, and nothing that can be decoded"
                return "no picture", waiting
        return None
