"""The ladder: builds events from moments, hours from events and days from hours, by rule.

    ladder = Ladder("kitchen")
    for moment in moments:                       # in stream order
        store.append([moment, *ladder.push(moment)])
    store.append(ladder.flush())

A parent depends on its children alone. After a crash, ``Ladder.restore`` therefore continues where the
writer stopped and builds the same parents with the same ids. No parent crosses an epoch, a recorded gap
or a hole in time.

``event_boundaries`` decides where events end. An event that ends in another hour of stream time closes
the hour of the events before it. Days close in the same way. ``summaries`` writes what a parent says, and
``representative_frames`` chooses the pictures that it shows. The ``sameness`` of a parent is its
similarity to the previous parent of its rung, even when an outage lies between the two.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..query.snapshot import Snapshot
from ..values import HOUR_S, RUNGS, Gap, KeyFrame, Moment, Rung, Span, merged_reductions, moment_id
from .event_boundaries import event_ends
from .representative_frames import choose_frames
from .similarity import similarity
from .summaries import summarise

DAY_S = 86_400.0
_HOLE_S = 1.0
"""A distance in time, in seconds, above which two neighbouring memories get different parents."""
_REACH_S: dict[Rung, float] = {"moment": HOUR_S, "event": 4 * HOUR_S, "hour": 3 * DAY_S}
"""How far before the end of a stream ``restore`` looks for children without a parent, in seconds."""
_ABOVE: dict[Rung, Rung] = {"moment": "event", "event": "hour", "hour": "day"}
_NO_LIMIT = 1_000_000

UseWeight = Callable[[Span], float]
"""How much a span of the stream was used, from 0 (never). A citation of just now counts 1."""


def _never_used(_: Span) -> float:
    return 0.0


class Ladder:
    """Builds the upper rungs of one stream. Feed it in stream order. It writes nothing and keeps no clock."""

    def __init__(
        self,
        stream: str,
        use_weight: UseWeight = _never_used,
        *,
        signatures: Mapping[str, bytes] | None = None,
    ) -> None:
        """Start an empty ladder.

        ``use_weight`` is called for each new parent, which then prefers the pictures of used spans.
        ``signatures`` are those of pictures that are already stored, by frame id.
        """
        self.stream = stream
        self._use_weight = use_weight
        self._moments: list[Moment] = []
        self._events: list[Moment] = []
        self._hours: list[Moment] = []
        self._last: Moment | None = None
        self._unstored: list[Moment] = []
        """Parents that a crash kept from being stored. The next call returns them."""
        self._newest: dict[Rung, Moment] = {}
        """The last parent of each rung."""
        self._signatures: dict[str, bytes] = dict(signatures or {})
        """Signatures of the pictures of all children that wait for their parent."""

    @classmethod
    def restore(cls, snapshot: Snapshot, stream: str, use_weight: UseWeight = _never_used) -> Ladder:
        """The ladder in its state after the last moment of the snapshot.

        Children without a parent are replayed. The next call returns the parents that a crash kept
        from being stored.
        """
        ladder = cls(stream, use_weight)
        ladder.replay(snapshot)
        return ladder

    def replay(self, snapshot: Snapshot) -> None:
        """Take the stored children without a parent, as ``restore`` does. For a ladder that took nothing yet."""
        gaps = snapshot.gaps(self.stream)
        for rung in RUNGS[1:]:
            for parent in snapshot.timeline(self.stream, rung=rung, limit=1, newest_first=True):
                self._newest[rung] = parent
        children = _without_parent(snapshot, self.stream)
        signatures = snapshot.signatures(frame_id for child in children for frame_id in child.frame_ids)
        closed = [parent for child in children for parent in self._replay_child(child, gaps, signatures)]
        if self._last is not None and any(gap.span.start_s >= self._last.span.end_s for gap in gaps):
            closed += self._close_all()
        stored = snapshot.get(parent.id for parent in closed)
        self._unstored = [parent for parent in closed if parent.id not in stored]

    def _replay_child(
        self, child: Moment, gaps: Sequence[Gap], signatures: Mapping[str, bytes]
    ) -> list[Moment]:
        closed: list[Moment] = []
        last = self._last
        if last is not None and (_is_apart(last, child) or _gap_between(gaps, last, child)):
            closed = self._close_all()
        self._signatures.update({key: signatures[key] for key in child.frame_ids if key in signatures})
        return closed + self._take(child)

    def push(self, moment: Moment, frames: Iterable[KeyFrame] = ()) -> list[Moment]:
        """Take the next moment and its pictures.

        Returns the parents that it closes, lowest rung first. Usually there are none.
        """
        closed = self._take_unstored()
        if self._last is not None and _is_apart(self._last, moment):
            closed += self._close_all()
        self._signatures.update({frame.id: frame.signature for frame in frames if frame.signature})
        return closed + self._take(moment)

    def flush(self) -> list[Moment]:
        """Close all open parents and return them, lowest rung first.

        Call it when a gap begins and when the stream ends. An hour or a day of a single child is not
        built, because it would repeat that child.
        """
        return self._take_unstored() + self._close_all()

    def make_parent(self, rung: Rung, children: Sequence[Moment]) -> Moment:
        """A parent of these children, which are in stream order. Later parents are compared with it."""
        first = children[0]
        span = Span(first.span.start_s, children[-1].span.end_s)
        parent = Moment(
            id=moment_id(self.stream, first.epoch, rung, span.start_s),
            stream=self.stream,
            epoch=first.epoch,
            span=span,
            observations=(summarise(children, span),),
            rung=rung,
            shot=first.shot,
            child_ids=tuple(child.id for child in children),
            frame_ids=tuple(self._representative_frames(children, span)),
            wall_start_s=first.wall_start_s,
            reduced=merged_reductions(reduced for child in children for reduced in child.reduced),
        )
        previous = self._newest.get(rung)
        self._newest[rung] = parent
        return parent if previous is None else replace(parent, sameness=similarity(previous, parent))

    def _take_unstored(self) -> list[Moment]:
        unstored, self._unstored = self._unstored, []
        return unstored

    def _take(self, child: Moment) -> list[Moment]:
        """Add a moment, or a parent that is already stored, to the children that wait for a parent."""
        closed: list[Moment] = []
        if child.rung == "moment":
            closed = self._take_moment(child)
        elif child.rung == "event":
            closed = self._add_event(child)
        else:
            self._hours.append(child)
        self._last = child
        return closed

    def _take_moment(self, moment: Moment) -> list[Moment]:
        closed: list[Moment] = []
        queued = deque([moment])
        while queued:
            moment = queued.popleft()
            kept = event_ends(self._moments, moment)
            if kept is None:
                self._moments.append(moment)
                continue
            # The moments that the event leaves out are taken again. A ladder that is restored after
            # this event does the same.
            queued.extendleft(reversed([*self._moments[kept:], moment]))
            closed += self._close_event(self._moments[:kept])
        if closed:
            self._drop_signatures()
        return closed

    def _close_event(self, moments: Sequence[Moment]) -> list[Moment]:
        event = self.make_parent("event", moments)
        self._moments = []
        return [event, *self._add_event(event)]

    def _add_event(self, event: Moment) -> list[Moment]:
        """Add an event to the open hour. First close the hour and the day that it does not belong to."""
        closed = []
        if self._events and _unit_number(event, HOUR_S) != _unit_number(self._events[-1], HOUR_S):
            closed.append(self._close_hour())
        if self._hours and _unit_number(event, DAY_S) != _unit_number(self._hours[-1], DAY_S):
            closed.append(self._close_day())
        self._events.append(event)
        return closed

    def _close_hour(self) -> Moment:
        hour = self.make_parent("hour", self._events)
        self._events = []
        self._hours.append(hour)
        return hour

    def _close_day(self) -> Moment:
        day = self.make_parent("day", self._hours)
        self._hours = []
        return day

    def _close_all(self) -> list[Moment]:
        closed = self._close_event(self._moments) if self._moments else []
        if len(self._events) > 1 or (self._events and self._hours):
            closed.append(self._close_hour())
        if len(self._hours) > 1:
            closed.append(self._close_day())
        self._events, self._hours, self._last = [], [], None
        self._signatures = {}
        return closed

    def _drop_signatures(self) -> None:
        """Keep only the signatures of pictures that a parent can still choose."""
        waiting = chain(self._moments, self._events, self._hours)
        ids = {frame_id for child in waiting for frame_id in child.frame_ids}
        self._signatures = {key: signature for key, signature in self._signatures.items() if key in ids}

    def _representative_frames(self, children: Sequence[Moment], span: Span) -> list[str]:
        """The pictures of the children that their parent shows."""
        frame_ids = [frame_id for child in children for frame_id in child.frame_ids]
        if self._use_weight(span) <= 0:
            return choose_frames(frame_ids, self._signatures)
        weights = [
            weight for child in children for weight in [self._use_weight(child.span)] * len(child.frame_ids)
        ]
        return choose_frames(frame_ids, self._signatures, weights)


def rebuild_parents(
    stream: str, rung: Rung, children: Sequence[Moment], signatures: Mapping[str, bytes]
) -> list[Moment]:
    """New parents of ``rung`` for the children that remain after their siblings were erased.

    Each run of children without a hole between them gets one parent. ``signatures`` are those of the
    children's pictures, by frame id.
    """
    ladder = Ladder(stream, signatures=signatures)
    runs: list[list[Moment]] = []
    for child in children:
        if runs and not _is_apart(runs[-1][-1], child):
            runs[-1].append(child)
        else:
            runs.append([child])
    return [ladder.make_parent(rung, run) for run in runs]


def _without_parent(snapshot: Snapshot, stream: str) -> list[Moment]:
    """The last hours, events and moments that have no stored parent, in stream order."""
    # Every rung counts, because the moments under the newest event may have been evicted.
    newest = [
        last for rung in RUNGS for last in snapshot.timeline(stream, rung=rung, limit=1, newest_first=True)
    ]
    children: list[Moment] = []
    for rung, above in _ABOVE.items() if newest else ():
        start_s = max(last.span.end_s for last in newest) - _REACH_S[rung]
        for parent in snapshot.timeline(stream, rung=above, limit=1, newest_first=True):
            start_s = max(start_s, parent.span.end_s)
        candidates = snapshot.timeline(stream, Span(start_s, math.inf), rung=rung, limit=_NO_LIMIT)
        children += [child for child in candidates if child.span.start_s >= start_s]
    return sorted(children, key=lambda child: child.span)


def _is_apart(earlier: Moment, later: Moment) -> bool:
    return later.epoch != earlier.epoch or later.span.start_s - earlier.span.end_s > _HOLE_S


def _gap_between(gaps: Sequence[Gap], earlier: Moment, later: Moment) -> bool:
    return any(
        earlier.span.end_s <= gap.span.start_s and gap.span.end_s <= later.span.start_s for gap in gaps
    )


def _unit_number(parent: Moment, unit_s: float) -> int:
    """The number of the hour or day in which the parent ends. A parent that crosses into it belongs to it."""
    return math.ceil(parent.span.end_s / unit_s)
