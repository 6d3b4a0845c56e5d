"""The protocol of an observer: sampled frames or sound in, findings out.

An observer is shown a stream in order, and is notified when a shot ends. When a moment is written, it reports
its findings in that span:

    observer.push(frame)                   # for each sampled frame, in order
    observer.cut(9.0)                      # the next frame belongs to another shot or epoch
    observer.findings(Span(4.0, 9.0))      # once per moment, in order, never overlapping

A moment is requested up to ``HOLD_S`` seconds of stream time after it ended (or when the shot ended), so an observer
may use a little of the stream after it. It keeps the findings of later moments and drops earlier ones.

Observers of other packages (``ObserverFactory``) may also ask for fewer pictures, for pictures in batches or for
sound: they set ``needs``. docs/extending.md shows how to write one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ...common.finding_kinds import FindingKind
from ...memory.values import Finding, Span

if TYPE_CHECKING:
    # Asking a question imports the packages that declare finding kinds, and they import this module.
    # It therefore loads nothing heavy.
    import numpy as np
    from numpy.typing import NDArray

    from ..sources.frame import Frame
    from ..sources.source import SourceInfo

HOLD_S = 2.0
"""How long after its end a moment may be held back, in seconds of stream time."""


@dataclass(frozen=True, slots=True)
class PictureNeeds:
    """Pictures for an observer.

    Raises:
        ValueError: A number is not positive.
    """

    fps: float | None = None
    """At most this many pictures a second; None for all that the stream is sampled with. The first picture of a
    shot is always among them."""
    batch_size: int = 1
    """With more than 1, ``push_batch`` receives so many frames at a time, or fewer where a shot or moment ends."""
    full_size: bool = False
    """In batches: whether ``Frame.picture()`` is kept for each. ``Frame.small`` always is."""

    def __post_init__(self) -> None:
        if (self.fps is not None and not self.fps > 0) or self.batch_size < 1:
            raise ValueError(
                f"an observer cannot be given {self.fps} pictures a second in batches of {self.batch_size}"
            )


@dataclass(frozen=True, slots=True)
class AudioNeeds:
    """Sound for an observer: of files only, from their first sound track, mixed to one channel."""

    rate_hz: int = 16_000

    def __post_init__(self) -> None:
        if not 1000 <= self.rate_hz <= 192_000:
            raise ValueError(f"sound cannot be resampled to {self.rate_hz} Hz; use 1000 to 192000")


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of sound without a break."""

    start_s: float
    """Stream time of its first sample."""
    rate_hz: int
    samples: NDArray[np.float32]
    """One channel, from -1 to 1."""

    @property
    def end_s(self) -> float:
        """Stream time of its end."""
        return self.start_s + len(self.samples) / self.rate_hz


class FindingReporter(Protocol):
    """The part that all observers have in common."""

    written_by: str
    """Its name and revision, such as ``motion/1``; changed whenever its findings change."""
    finding_kinds: tuple[FindingKind, ...]
    """The kinds of finding that it reports, and no others."""

    def cut(self, time_s: float) -> None:
        """A shot ended at ``time_s``, before the next frame: stop following its objects.

        A dissolve is known only after it is over, so a frame or two shown before may be later than ``time_s``.
        """

    def findings(self, span: Span) -> list[Finding]:
        """The findings in ``span``, in time order. Called once per moment, in order."""


@runtime_checkable
class Observer(FindingReporter, Protocol):
    """Is shown pictures one by one."""

    def push(self, frame: Frame) -> None:
        """Take one sampled frame; times never go back within an epoch."""


@runtime_checkable
class LateObserver(Observer, Protocol):
    """Examines pictures beside watching, and may not have come so far when a moment is written."""

    def has_read(self, span: Span) -> bool:
        """Whether the text in ``span`` was read in time. Asked before ``findings``."""


@runtime_checkable
class BatchObserver(FindingReporter, Protocol):
    """Is shown pictures in batches: ``needs.batch_size`` is more than 1."""

    needs: PictureNeeds

    def push_batch(self, frames: Sequence[Frame]) -> None:
        """Take some sampled frames of one shot, in order; never an empty batch."""


@runtime_checkable
class AudioObserver(FindingReporter, Protocol):
    """Is given sound: ``needs`` are ``AudioNeeds``."""

    needs: AudioNeeds

    def push_audio(self, chunk: AudioChunk) -> None:
        """Take the next piece of sound; times never go back within an epoch."""


AnyObserver = Observer | BatchObserver | AudioObserver


class ObserverFactory(Protocol):
    """Makes an observer for each stream: most simply, the observer's class.

    It is what an entry point of the group ``recollect.observers`` names, and what ``WatchOptions.observers`` holds.
    """

    finding_kinds: tuple[FindingKind, ...]
    """Read without making an observer, so that questions can be asked about these kinds in any process."""

    def __call__(self, source: SourceInfo) -> AnyObserver:
        """A new observer for a stream."""
