"""The values of a memory: spans, findings, observations, moments, gaps, tombstones, pins, streams.

>>> sign = Finding("visible_text", "line", "EXIT", Span(4.0, 6.0), written_by="text/1")
>>> seen = Observation("A green sign.", (sign,), written_by="observers/1", written_at_s=1000.0)
>>> moment = Moment(id="m1", stream="kitchen", epoch=0, span=Span(4.0, 9.0), observations=(seen,))
>>> moment.caption
'A green sign.'
>>> [finding.text for finding in moment.of("visible_text")]
['EXIT']

Values are frozen and know nothing of video, models or the store that keeps them.
Times are seconds of presentation time of a stream, as a player shows them. Wall-clock times are
Unix seconds in UTC, and their names or docstrings say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Literal, NamedTuple, get_args

from ..common.finding_kinds import FindingField
from .watch_rate import WatchRate

Rung = Literal["moment", "event", "hour", "day"]
"""A rung of the memory's ladder. ``RUNGS`` lists them, finest first."""

RUNGS: tuple[Rung, ...] = get_args(Rung)
HOUR_S = 3600.0
MAX_REDUCTIONS = 64
"""Parts of different watch rates that one memory tells apart. More are joined, each under its lowest rate."""

_JOINED_S = 0.001

Field = FindingField

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture's width and height."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of stream time, ``[start_s, end_s)``.

    Seconds of presentation time of the stream, never wall-clock time or frame numbers.
    Raises ``ValueError`` if it ends before it starts.
    """

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"a span cannot end ({self.end_s}) before it starts ({self.start_s})")

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.end_s - self.start_s

    @property
    def middle_s(self) -> float:
        """The time halfway through."""
        return (self.start_s + self.end_s) / 2

    def overlaps(self, span: Span) -> bool:
        """Whether the two spans share any time."""
        return self.start_s < span.end_s and span.start_s < self.end_s

    def contains(self, time_s: float) -> bool:
        """Whether ``time_s`` lies in the span."""
        return self.start_s <= time_s < self.end_s

    def clipped_to(self, span: Span) -> Span | None:
        """The part inside ``span``, or None if the spans share no time."""
        start_s, end_s = max(self.start_s, span.start_s), min(self.end_s, span.end_s)
        return Span(start_s, end_s) if start_s < end_s else None

    def hull(self, span: Span) -> Span:
        """The shortest span that contains both."""
        return Span(min(self.start_s, span.start_s), max(self.end_s, span.end_s))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that one observer saw, and when.

    ``text`` is for people ("a tall grey shape enters from the left"), ``kind`` is for programs
    ("enters"). For ``visible_text`` and ``speech``, ``text`` is verbatim.
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
    """What one writer reported about a moment: the observers, a model, or a second look."""

    caption: str
    """What is visible, in one or two plain present-tense sentences."""
    findings: tuple[Finding, ...]
    written_by: str
    """The writer and its revision, such as ``observers/1``, ``inspect/1``, or a model and its prompt."""
    written_at_s: float
    """Unix seconds of writing. Questions "as of" a time compare with it."""


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """What became of the frames of a span. Every captured frame is counted once.

    ``captured`` is always ``stored + sampled_out + merged + sum(dropped.values())``.
    """

    captured: int = 0
    """Frames the source delivered."""
    stored: int = 0
    """Frames kept as key frames."""
    sampled_out: int = 0
    """Frames between two sampling times, which no observer examined."""
    merged: int = 0
    """Frames that observers examined. The memory keeps the observations and not the picture."""
    dropped: Mapping[str, int] = dataclass_field(default_factory=dict, hash=False)
    """Lost frames by cause: ``damaged``, ``overload``, …"""

    def __add__(self, addend: FrameCounts) -> FrameCounts:
        causes = {*self.dropped, *addend.dropped}
        return FrameCounts(
            captured=self.captured + addend.captured,
            stored=self.stored + addend.stored,
            sampled_out=self.sampled_out + addend.sampled_out,
            merged=self.merged + addend.merged,
            dropped={
                cause: self.dropped.get(cause, 0) + addend.dropped.get(cause, 0) for cause in sorted(causes)
            },
        )

    @property
    def balanced(self) -> bool:
        """Whether every captured frame is accounted for."""
        return self.captured == self.stored + self.sampled_out + self.merged + sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class ReducedSpan:
    """A stretch that was watched at a reduced rate."""

    span: Span
    rate: WatchRate


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A picture that the memory keeps of a moment."""

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
    """A few grey levels, one byte each, in the same order for every picture. The distance between two signatures
    measures how different the pictures look. Empty if unknown."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One remembered span of a stream: a moment, or a summary on a rung above."""

    id: str
    stream: str
    epoch: int
    """Number of the unbroken run of the stream's clock, from 0."""
    span: Span
    observations: tuple[Observation, ...]
    """Oldest first, one for each writer and look."""
    rung: Rung = "moment"
    shot: int = 0
    """Number of the shot in its epoch, from 0."""
    child_ids: tuple[str, ...] = ()
    """Ids of the memories of the rung below that it summarises. Empty for a moment."""
    frame_ids: tuple[str, ...] = ()
    wall_start_s: float | None = None
    """Unix seconds at ``span.start_s``. None if the source has no wall clock."""
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)
    sameness: float = 0.0
    """Similarity to the previous memory of its rung, 0 to 1. Similar memories are evicted sooner."""
    reduced: tuple[ReducedSpan, ...] = ()
    """The parts that were watched at a lower rate than the stream's own. Of a moment, all of it or nothing."""

    @property
    def caption(self) -> str:
        """The newest caption."""
        return self.observations[-1].caption if self.observations else ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all writers, oldest writer first."""
        return tuple(finding for observation in self.observations for finding in observation.findings)

    def of(self, name: Field) -> list[Finding]:
        """The findings of one field, in time order."""
        return sorted((f for f in self.findings if f.field == name), key=lambda f: f.span)


@dataclass(frozen=True, slots=True)
class Outline:
    """The span and frame counts of a memory without its observations, for reading many at once."""

    id: str
    rung: Rung
    epoch: int
    span: Span
    written_at_s: float
    """Unix seconds."""
    counts: FrameCounts
    described: bool
    """Whether a later writer added an observation to the first one."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A span that was not watched, with its cause."""

    id: str
    stream: str
    epoch: int
    """The epoch that ended where the gap begins."""
    span: Span
    cause: str
    """``stalled``, ``dropped``, ``refused``, ``damaged``, ``restart``, …"""
    detail: str = ""
    attempts: int = 0
    """How often the source was reopened without success."""
    wall_start_s: float | None = None
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)


ForgottenLevel = Literal["frame", "moment", "event", "hour", "day"]
"""The level of detail that was evicted or erased: only pictures (``frame``), or the memories of a rung and all below."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A span whose detail was evicted or erased, with the time and the cause.

    If a memory above summarises the evicted ones, the tombstone has its id and span.
    """

    id: str
    stream: str
    epoch: int
    span: Span
    lost: ForgottenLevel
    cause: str
    """``budget`` after an eviction, ``asked`` after an erasure on request."""
    forgotten_at_s: float
    """Unix seconds."""
    written_from_s: float
    """Unix seconds of the earliest forgotten memory. As of an earlier time, the tombstone does not exist."""
    memories: int = 0
    """The number of memories that were forgotten."""
    counts: FrameCounts = dataclass_field(default_factory=FrameCounts)
    """The frame counts of the forgotten memories. If only pictures were forgotten, the change of the counts:
    ``stored`` is negative and ``merged`` grows by as many."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A span of a stream that is never evicted."""

    id: str
    stream: str
    span: Span
    note: str = ""
    pinned_at_s: float = 0.0
    """Unix seconds."""


UseKind = Literal["cited", "looked", "asked", "alerted"]


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a span of a stream: cited in an answer, inspected, asked about, or part of an alert."""

    stream: str
    span: Span
    how: UseKind
    at_s: float
    """Unix seconds."""


StreamState = Literal["watching", "stopped", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One source under the name that the user gave it."""

    name: str
    kind: Literal["file", "live"]
    source: str
    """The path or address of the source, without credentials."""
    content_id: str
    """Derived from a file's bytes, which is its identity, or from the stored part of a live source's address."""
    state: StreamState
    fps: float
    """Frames per second that the observers examine."""
    duration_s: float | None = None
    """The duration that the file declares. None for a live source."""
    origin_wall_s: float | None = None
    """Unix seconds at stream time 0, for a live source."""
    error: str = ""
    """The reason if ``state`` is ``failed``."""
    boot_id: str | None = None
    """The run of the machine in which a live source was watched last."""
    boot_origin_s: float | None = None
    """Seconds since that run of the machine began, at stream time 0. Nobody can set this clock."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a span was watched, and its gaps."""

    stream: str
    span: Span
    watched_s: float
    """Watched seconds, including those whose memories are forgotten by now."""
    gaps: tuple[Gap, ...]
    forgotten: tuple[Tombstone, ...] = ()
    """Tombstones of memories. Tombstones of pictures are left out."""
    reduced: tuple[ReducedSpan, ...] = ()
    """The parts that were watched at a lower rate than the stream's own, because the machine was overloaded."""

    @property
    def fraction(self) -> float:
        """The share of the span that was watched, 0 to 1."""
        return min(1.0, self.watched_s / self.span.duration_s) if self.span.duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A memory in the backlog, waiting for a description."""

    moment_id: str
    stream: str
    rung: Rung
    span: Span
    change: float
    """How eventful it is, 0 to 1. Of the memories queued together, the most eventful is described first."""
    queued_at_s: float
    """Unix seconds."""
    attempts: int = 0
    """The number of failed attempts to describe it."""
    error: str = ""
    """The reason of the last failure."""


@dataclass(frozen=True, slots=True)
class BacklogCounts:
    """The state of the backlog: waiting memories and those that failed too often."""

    waiting: int = 0
    oldest_queued_at_s: float | None = None
    """Unix seconds at which the oldest waiting memory was queued. None if the backlog is empty."""
    given_up: int = 0
    """The number of memories that failed too often and are no longer tried."""
    last_error: str = ""
    """The error of the most recent failure, whether that memory is tried again or not."""


def make_id(*parts: str | int | float) -> str:
    """A stable id of 20 hex digits, derived from ``parts``."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=10).hexdigest()


def moment_id(stream: str, epoch: int, rung: Rung, start_s: float) -> str:
    """The stable id of the memory of ``rung`` that starts at ``start_s``."""
    return make_id(stream, epoch, rung, round(start_s * 1000))


def total_counts(parts: Iterable[FrameCounts]) -> FrameCounts:
    """The sum of many frame counts."""
    return sum(parts, FrameCounts())


def merged_spans(spans: Iterable[Span]) -> list[Span]:
    """The same time in the fewest spans, in order.

    >>> merged_spans([Span(5.0, 8.0), Span(0.0, 2.0), Span(2.0, 3.0)])
    [Span(start_s=0.0, end_s=3.0), Span(start_s=5.0, end_s=8.0)]
    """
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_s <= merged[-1].end_s:
            merged[-1] = merged[-1].hull(span)
        else:
            merged.append(span)
    return merged


def spans_without(spans: Iterable[Span], removed: Iterable[Span]) -> list[Span]:
    """The parts of ``spans`` that lie outside every span in ``removed``.

    >>> spans_without([Span(0.0, 10.0)], [Span(3.0, 4.0)])
    [Span(start_s=0.0, end_s=3.0), Span(start_s=4.0, end_s=10.0)]
    """
    remaining = list(spans)
    for hole in removed:
        remaining = [part for span in remaining for part in _outside(span, hole)]
    return remaining


def merged_reductions(
    reductions: Iterable[ReducedSpan], *, limit: int = MAX_REDUCTIONS
) -> tuple[ReducedSpan, ...]:
    """The same in the fewest parts, in time order. Above ``limit``, the nearest neighbours are joined."""
    merged: list[ReducedSpan] = []
    for reduced in sorted(reductions, key=lambda reduced: reduced.span):
        if merged and merged[-1].rate == reduced.rate and _distance_s(merged[-1], reduced) <= _JOINED_S:
            merged[-1] = replace(reduced, span=merged[-1].span.hull(reduced.span))
        else:
            merged.append(reduced)
    while len(merged) > limit:
        index = min(range(len(merged) - 1), key=lambda index: _distance_s(merged[index], merged[index + 1]))
        first, second = merged[index], merged.pop(index + 1)
        merged[index] = ReducedSpan(first.span.hull(second.span), first.rate.lowest(second.rate))
    return tuple(merged)


def clipped_reductions(reductions: Iterable[ReducedSpan], span: Span) -> list[ReducedSpan]:
    """The parts inside ``span``."""
    return [
        replace(reduced, span=inside)
        for reduced in reductions
        if (inside := reduced.span.clipped_to(span)) is not None
    ]


def _distance_s(first: ReducedSpan, second: ReducedSpan) -> float:
    return second.span.start_s - first.span.end_s


def _outside(span: Span, hole: Span) -> Iterator[Span]:
    if span.start_s < hole.start_s:
        yield Span(span.start_s, min(span.end_s, hole.start_s))
    if hole.end_s < span.end_s:
        yield Span(max(span.start_s, hole.end_s), span.end_s)


class Extent(NamedTuple):
    """Bounds of the memories of one rung over all streams. Forgetting memories leaves them unchanged."""

    first_end_s: float
    """The earliest end of a memory."""
    last_start_s: float
    """The latest start of a memory."""
    longest_s: float
    """The longest duration of a memory."""

    def joined(self, extent: Extent) -> Extent:
        """The bounds of both together."""
        return Extent(
            min(self.first_end_s, extent.first_end_s),
            max(self.last_start_s, extent.last_start_s),
            max(self.longest_s, extent.longest_s),
        )


def extents_of(moments: Iterable[Moment]) -> dict[str, Extent]:
    """The extent of these memories, by rung."""
    extents: dict[str, Extent] = {}
    for moment in moments:
        extent = Extent(moment.span.end_s, moment.span.start_s, moment.span.duration_s)
        extents[moment.rung] = extent.joined(extents.get(moment.rung, extent))
    return extents
