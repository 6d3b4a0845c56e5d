"""Watch events: what happens while sources are watched, as typed values, and the report at the end.

    def show(event: WatchEvent) -> None:
        match event:
            case Connected(stream=stream): print(stream, "is live")
            case Progress(stream=stream, time_s=time_s): print(stream, time_s)
            case Finished(report=report): print(report.state)

    memory.watch("kitchen.mp4", on_event=show)

Each event names its stream, but for those of describing, which concern the whole memory. An event handler
runs on the thread that does the work: it must return soon, and must not wait for that work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..memory.values import FrameCounts
from ..memory.watch_rate import WatchRate

WatchState = Literal["watching", "done", "stopped", "failed", "erased"]
"""What became of one run of watching. ``erased``: its whole stream was erased while it was watched."""


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What one run of watching did."""

    stream: str
    state: WatchState
    already_done: bool
    """The file had been watched to its end before, so nothing was done."""
    resumed_at_s: float | None
    """Stream time at which it was resumed. None for a stream that is new."""
    until_s: float
    """Stream time up to which the stream is remembered."""
    moments: int
    """Moments written in this run."""
    gaps: int
    """Gaps recorded in this run."""
    counts: FrameCounts
    """Frames of this run."""
    seconds: float
    """Wall-clock time of this run."""
    detail: str = ""
    """The trouble with the source, if any."""
    waiting: int = 0
    """Memories that still wait for a description, where a video LMM is used."""
    disabled_observers: tuple[str, ...] = ()
    """Observers of other packages that failed, each with the reason. What they saw before is kept."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """A live source is being connected to."""

    stream: str
    detail: str


@dataclass(frozen=True, slots=True)
class Connected:
    """Frames arrive from a live source."""

    stream: str
    detail: str


@dataclass(frozen=True, slots=True)
class Stalled:
    """A live source is connected but sends no frames."""

    stream: str
    detail: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A live source is away. ``detail`` says why and when the next attempt is made."""

    stream: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far watching a stream has come. Sent after each commit, every second or two."""

    stream: str
    time_s: float
    """Stream time reached."""
    duration_s: float | None
    """How long the file is. None for a live stream."""
    speed: float
    """Seconds of video per second of wall clock."""
    moments: int
    """Moments written so far in this run."""
    gaps: int
    """Gaps recorded so far in this run."""
    waiting: int = 0
    """Memories that wait for a description, where a video LMM is used."""


@dataclass(frozen=True, slots=True)
class RateChanged:
    """A live stream is watched at another rate, because the machine is overloaded or no longer is."""

    stream: str
    time_s: float
    """Stream time from which on it holds."""
    rate: WatchRate
    is_full: bool
    """Whether this is the stream's own rate again."""


@dataclass(frozen=True, slots=True)
class ObserverDisabled:
    """An observer of another package failed. The stream is watched on without it."""

    stream: str
    observer: str
    """The name of its entry point or class."""
    reason: str


@dataclass(frozen=True, slots=True)
class DescriptionsWaiting:
    """Descriptions wait, because the video LMM cannot be used at present."""

    reason: str


@dataclass(frozen=True, slots=True)
class DescriptionsResumed:
    """The video LMM answers again."""


@dataclass(frozen=True, slots=True)
class DescriptionsFailed:
    """Describing ended with an error. The backlog keeps the rest."""

    error: str


@dataclass(frozen=True, slots=True)
class Described:
    """Descriptions were written to the memory."""

    described: int
    """Moments, events, hours and days described so far in this run."""
    given_up: int
    """Those given up in this run, after several failed attempts."""
    waiting: int
    """Those that still wait."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A stream is no longer watched. The last event of its watch."""

    stream: str
    report: WatchReport


@dataclass(frozen=True, slots=True)
class Failed:
    """Watching a stream ended with an error. The last event of its watch."""

    stream: str
    error: BaseException


ConnectionEvent = Connecting | Connected | Stalled | Disconnected
WatchEvent = (
    ConnectionEvent
    | Progress
    | RateChanged
    | ObserverDisabled
    | DescriptionsWaiting
    | DescriptionsResumed
    | DescriptionsFailed
    | Described
    | Finished
    | Failed
)
OnEvent = Callable[[WatchEvent], None]

_CONNECTION_EVENTS: dict[str, type[ConnectionEvent]] = {
    "connecting": Connecting,
    "live": Connected,
    "stalled": Stalled,
    "backing_off": Disconnected,
}


def connection_event(stream: str, state: str, detail: str) -> ConnectionEvent | None:
    """The event for a state that a live source reports. None for the end of the source."""
    event = _CONNECTION_EVENTS.get(state)
    return None if event is None else event(stream, detail)
