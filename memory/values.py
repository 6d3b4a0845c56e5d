"""The words of the memory, as values.

    moment = Moment(id="…", stream="kitchen", epoch=0, span=Span(4.0, 9.0), observations=(seen,))
    moment.text_of("visible_text")   # ["EXIT", …]

Values are frozen and know nothing of video, models or the store that keeps them.
Times are seconds of presentation time of a stream (what a player shows); wall-clock
times are Unix seconds, UTC, and say so in their name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal, NamedTuple, get_args

from ..common.finding_kinds import FindingField

Rung = Literal["moment", "event", "hour", "day"]
"""A step of the memory's ladder, finest first."""

RUNGS: tuple[Rung, ...] = get_args(Rung)
HOUR_S = 3600.0

Field = FindingField

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture's width and height."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of stream time, ``[start_s, end_s)``.

    Seconds of presentation time of the stream; never wall-clock time, never frame numbers.
    """

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"a span cannot end ({self.end_s}) before it starts ({self.start_s})")

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s

    @property
    def middle_s(self) -> float:
        """The time halfway through."""
        return (self.start_s + self.end_s) / 2

    def overlaps(self, other: Span) -> bool:
        """Whether any time belongs to both."""
        return self.start_s < other.end_s and other.start_s < self.end_s

    def contains(self, time_s: float) -> bool:
        """Whether ``time_s`` belongs to it."""
        return self.start_s <= time_s < self.end_s

    def clipped_to(self, other: Span) -> Span | None:
        """The part inside ``other``, or None where there is none."""
        start_s, end_s = max(self.start_s, other.start_s), min(self.end_s, other.end_s)
        return Span(start_s, end_s) if start_s < end_s else None

    def hull(self, other: Span) -> Span:
        """The shortest span that holds both."""
        return Span(min(self.start_s, other.start_s), max(self.end_s, other.end_s))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing one observer saw, and when.

    ``text`` reads as words ("a tall grey shape enters from the left"); ``kind`` is the
    same for a program ("enters"). For ``visible_text`` and ``speech``, ``text`` is verbatim.
    """

    field: Field
    kind: str
    text: str
    span: Span
    written_by: str
    """Observer and revision, such as ``motion/1``."""
    confidence: float = 1.0
    """How sure the observer is, 0 to 1."""
    box: Box | None = None
    detail: Mapping[str, str | float] = dataclass_field(default_factory=dict, hash=False)
    """Facts for a program, such as ``{"from": "left", "colour": "grey", "track": 3}``."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one writer (observers, a model, a second look) saw in a moment."""

    caption: str
    """What is visible, in one or two plain present-tense sentences."""
    findings: tuple[Finding, ...]
    written_by: str
    """Who composed it, with revision: ``observers/1``, ``inspect/1``, later a model and prompt."""
    written_at_s: float
    """Unix seconds when it was written; what "as of" compares with."""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What became of the frames of a span: nothing is lost in silence.

    ``captured`` is always ``stored + sampled_out + merged + sum(dropped.values())``.
    """

    captured: int = 0
    """Frames the source delivered."""
    stored: int = 0
    """Kept as key frames."""
    sampled_out: int = 0
    """Between two sampling times, so not looked at by the observers."""
    merged: int = 0
    """Looked at, and remembered only by what was observed in them."""
    dropped: Mapping[str, int] = dataclass_field(default_factory=dict, hash=False)
    """Lost, by cause: ``damaged``, ``overload``, …"""

    def __add__(self, other: FrameCounts) -> FrameCounts:
        causes = {*self.dropped, *other.dropped}
        return FrameCounts(
            captured=self.captured + other.captured,
            stored=self.stored + other.stored,
            sampled_out=self.sampled_out + other.sampled_out,
            merged=self.merged + other.merged,
            dropped={
                cause: self.dropped.get(cause, 0) + other.dropped.get(cause, 0) for cause in sorted(causes)
            },
        )

    @property
    def balanced(self) -> bool:
        """Whether every captured frame is accounted for."""
        return self.captured == self.stored + self.sampled_out + self.merged + sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A picture kept from a moment."""

    id: str
    stream: str
    time_s: float
    pts: int
    """Presentation timestamp, in ``time_base`` units of its epoch's own clock."""
    time_base: str
    """Seconds per pts unit as a fraction, such as ``1/15360``."""
    width: int
    height: int
    jpeg: bytes
    signature: bytes = b""
    """A few grey levels, one a byte, in the same order for every picture: how far two pictures' signatures are
    apart tells how different they look. Empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One remembered stretch of a stream: the base memory, or a rung above it."""

    id: str
    stream: str
    epoch: int
    """Which unbroken run of the stream's clock it belongs to, from 0."""
    span: Span
    observations: tuple[Observation, ...]
    """Oldest first. Several writers may have described the same moment."""
    rung: Rung = "moment"
    shot: int = 0
    """Which shot of its epoch, from 0."""
    child_ids: tuple[str, ...] = ()
    """The moments (or lower rungs) it was made of; empty for a moment."""
    frame_ids: tuple[str, ...] = ()
    wall_start_s: float | None = None
    """Unix seconds at ``span.start_s``; None where the source has no wall clock."""
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)
    sameness: float = 0.0
    """How much it is like the memory before it on its rung, 0 to 1: what is much alike is forgotten sooner."""

    @property
    def caption(self) -> str:
        """The newest caption."""
        return self.observations[-1].caption if self.observations else ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything every writer found, oldest writer first."""
        return tuple(finding for observation in self.observations for finding in observation.findings)

    def of(self, name: Field) -> list[Finding]:
        """The findings of one field, in time order."""
        return sorted((f for f in self.findings if f.field == name), key=lambda f: f.span)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a memory lies and what it accounts for, without what it says: for many at a time."""

    id: str
    rung: Rung
    epoch: int
    span: Span
    written_at_s: float
    """Unix seconds."""
    counts: FrameCounts
    described: bool
    """Whether more was said of it than when it was first written."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of which nothing was seen, with its cause."""

    id: str
    stream: str
    epoch: int
    """The epoch that ended where the gap begins."""
    span: Span
    cause: str
    """``stalled``, ``dropped``, ``refused``, ``damaged``, ``restart``, …"""
    detail: str = ""
    attempts: int = 0
    """How often it was tried to reopen the source."""
    wall_start_s: float | None = None
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)


ForgottenLevel = Literal["frame", "moment", "event", "hour", "day"]
"""What of a span was forgotten: its pictures alone, or the memories of that rung and all below it."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A span whose detail was forgotten, with when and why.

    Where a memory above stands for what is gone, the tombstone has that memory's id and span.
    """

    id: str
    stream: str
    epoch: int
    span: Span
    lost: ForgottenLevel
    cause: str
    """``budget``: there was no room for it; ``asked``: somebody had it forgotten."""
    forgotten_at_s: float
    """Unix seconds."""
    written_from_s: float
    """Unix seconds when the first of it had been written: as of an earlier time, there was nothing to forget."""
    memories: int = 0
    """How many memories are gone."""
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)
    """What became of the frames that the forgotten memories accounted for; where pictures alone are gone, what
    changed: ``stored`` is negative then, and ``merged`` has them."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A stretch of a stream that is never forgotten for want of room."""

    id: str
    stream: str
    span: Span
    note: str = ""
    pinned_at_s: float = 0.0
    """Unix seconds."""


UseKind = Literal["cited", "looked", "asked", "alerted"]


@dataclass(frozen=True, slots=True)
class Use:
    """A stretch of a stream served somebody: cited in an answer, looked at again, asked about, alerted of."""

    stream: str
    span: Span
    how: UseKind
    at_s: float
    """Unix seconds."""


StreamState = Literal["watching", "stopped", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One source under the name the user knows it by."""

    name: str
    kind: Literal["file", "live"]
    source: str
    """Where it was read from, without credentials."""
    content_id: str
    """A file's identity, made from its bytes; a live source's, from its address."""
    state: StreamState
    fps: float
    """Frames a second that observers are shown."""
    duration_s: float | None = None
    """How long the file says it is; None for a live source."""
    origin_wall_s: float | None = None
    """Unix seconds at stream time 0, for a live source."""
    error: str = ""
    """Why it failed, where ``state`` is ``failed``."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a span was seen, and at which rate."""

    stream: str
    span: Span
    watched_s: float
    """Also where what was seen is forgotten by now."""
    gaps: tuple[Gap, ...]
    forgotten: tuple[Tombstone, ...] = ()
    """Where memories are gone, not pictures alone."""

    @property
    def fraction(self) -> float:
        """The part of the span that was watched, 0 to 1."""
        return min(1.0, self.watched_s / self.span.duration_s) if self.span.duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A memory that waits for somebody to describe it."""

    moment_id: str
    stream: str
    rung: Rung
    span: Span
    change: float
    """How much happened in it, 0 to 1: of those queued together, the most eventful goes first."""
    queued_at_s: float
    """Unix seconds."""
    attempts: int = 0
    """How often describing it has failed."""
    error: str = ""
    """Why, the last time."""


@dataclass(frozen=True, slots=True)
class BacklogCounts:
    """What waits to be described, and what was given up."""

    waiting: int = 0
    oldest_queued_at_s: float | None = None
    """Unix seconds: since when the longest has waited; None where nothing waits."""
    given_up: int = 0
    """How many failed too often and wait no longer."""
    last_error: str = ""
    """Of the last that failed, whether it waits still or was given up."""


def make_id(*parts: str | int | float) -> str:
    """The id of whatever ``parts`` identify: the same parts always give the same 20 hex digits."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=10).hexdigest()


def moment_id(stream: str, epoch: int, rung: Rung, start_s: float) -> str:
    """The id of the moment of ``rung`` that starts at ``start_s``; made twice, it is the same."""
    return make_id(stream, epoch, rung, round(start_s * 1000))


def total_counts(parts: Iterable[FrameCounts]) -> FrameCounts:
    """The sum of many frame counts."""
    return sum(parts, FrameCounts())


def merged_spans(spans: Iterable[Span]) -> list[Span]:
    """The same time in as few spans as can be, in order: those that touch or overlap become one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_s <= merged[-1].end_s:
            merged[-1] = merged[-1].hull(span)
        else:
            merged.append(span)
    return merged


def spans_without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of ``spans`` after ``taken``."""
    left = list(spans)
    for gone in taken:
        left = [
            part
            for span in left
            for part in (
                [Span(span.start_s, min(span.end_s, gone.start_s))] if span.start_s < gone.start_s else []
            )
            + ([Span(max(span.start_s, gone.end_s), span.end_s)] if gone.end_s < span.end_s else [])
        ]
    return left


class Extent(NamedTuple):
    """Where memories of one rung lie, all streams together; forgetting some leaves it as it is."""

    first_end_s: float
    last_start_s: float
    longest_s: float

    def joined(self, other: Extent) -> Extent:
        """Where those of both lie."""
        return Extent(
            min(self.first_end_s, other.first_end_s),
            max(self.last_start_s, other.last_start_s),
            max(self.longest_s, other.longest_s),
        )


def extents_of(moments: Iterable[Moment]) -> dict[str, Extent]:
    """Where these memories lie, by rung."""
    found: dict[str, Extent] = {}
    for moment in moments:
        own = Extent(moment.span.end_s, moment.span.start_s, moment.span.duration_s)
        found[moment.rung] = own.joined(found.get(moment.rung, own))
    return found
