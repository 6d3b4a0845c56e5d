"""Makes events of moments, hours of events and days of hours, by rule.

    ladder = Ladder("kitchen")
    for moment in moments:                       # closed, in order
        store.append([moment, *ladder.push(moment)])
    store.append(ladder.finish())

What a rung says is added up by ``tally``. A parent follows from its children alone, so after a crash
``Ladder.restore`` goes on as if nothing had happened and makes the same parents with the same ids.
No parent reaches across an epoch, a gap or a hole in time.

Where events end is decided in ``boundaries``. The event that reaches into another hour of stream time
closes the hour made of the events before it, and the day likewise. Of the pictures of its children a
parent shows a few, chosen in ``pictures`` by what is known of how they look. Its ``sameness`` is its
likeness to the parent of its rung before it, whatever lies between: after an outage a yard is the same yard.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from ..query.snapshot import Snapshot
from ..values import HOUR_S, RUNGS, Gap, KeyFrame, Moment, Rung, Span, moment_id
from .event_boundaries import event_ends
from .representative_frames import choose
from .similarity import likeness
from .summaries import summarise

if TYPE_CHECKING:
    from ..store import MemoryStore

DAY_S = 86_400.0
_HOLE_S = 1.0
"""Moments further apart than this, in seconds, were not watched in one go."""
_REACH_S: dict[Rung, float] = {"moment": HOUR_S, "event": 4 * HOUR_S, "hour": 3 * DAY_S}
"""How far back from the last moment a child can lie whose parent is still open, with room to spare."""
_ABOVE: dict[Rung, Rung] = {"moment": "event", "event": "hour", "hour": "day"}
_ALL = 1_000_000

Used = Callable[[Span], float]
"""How much a stretch of the stream served somebody: 0 where it never did, 1 where it was cited once, just now."""


def _never_used(_: Span) -> float:
    return 0.0


class Ladder:
    """Builds the upper rungs of one stream. Feed it in order; it writes nothing and keeps no clock."""

    def __init__(self, stream: str, used: Used = _never_used) -> None:
        """``used`` is asked when a parent is made: what served is shown by it rather than what did not."""
        self.stream = stream
        self._used = used
        self._moments: list[Moment] = []
        self._events: list[Moment] = []
        self._hours: list[Moment] = []
        self._last: Moment | None = None
        self._owed: list[Moment] = []
        self._newest: dict[Rung, Moment] = {}
        """The last parent of each rung."""
        self._signatures: dict[str, bytes] = {}
        """Of the pictures of all that waits for its parent."""

    @classmethod
    def restore(cls, memory: MemoryStore | Snapshot, stream: str, used: Used = _never_used) -> Ladder:
        """The ladder as it stood after the last moment in the memory.

        Children without a parent are fed to it again, and broken where a gap is recorded. Parents that
        a crash kept from being stored come with what the next call returns.
        """
        snapshot = memory if isinstance(memory, Snapshot) else memory.snapshot()
        ladder = cls(stream, used)
        gaps = snapshot.gaps(stream)
        for rung in RUNGS[1:]:
            for parent in snapshot.timeline(stream, rung=rung, limit=1, newest_first=True):
                ladder._newest[rung] = parent
        children = _without_parent(snapshot, stream)
        signatures = snapshot.signatures(frame_id for child in children for frame_id in child.frame_ids)
        made: list[Moment] = []
        for child in children:
            last = ladder._last
            if last is not None and (_apart(last, child) or _gap_between(gaps, last, child)):
                made += ladder._close_all()
            ladder._signatures.update({key: signatures[key] for key in child.frame_ids if key in signatures})
            made += ladder._take(child)
        if ladder._last is not None and any(gap.span.start_s >= ladder._last.span.end_s for gap in gaps):
            made += ladder._close_all()
        stored = snapshot.get(parent.id for parent in made)
        ladder._owed = [parent for parent in made if parent.id not in stored]
        return ladder

    def push(self, moment: Moment, frames: Iterable[KeyFrame] = ()) -> list[Moment]:
        """Take the next moment, with its pictures; return the parents it closes, lowest rung first, usually none."""
        closed = self._take_owed()
        if self._last is not None and _apart(self._last, moment):
            closed += self._close_all()
        self._signatures.update({frame.id: frame.signature for frame in frames if frame.signature})
        return closed + self._take(moment)

    def break_(self) -> list[Moment]:
        """A gap begins: return the parents of all that stands, lowest rung first.

        An hour or a day of a single child would say the same again, so it is not made here.
        """
        return self._take_owed() + self._close_all()

    def finish(self) -> list[Moment]:
        """The stream ended: return the parents of all that stands, lowest rung first."""
        return self.break_()

    def _take_owed(self) -> list[Moment]:
        owed, self._owed = self._owed, []
        return owed

    def _take(self, child: Moment) -> list[Moment]:
        """Put a moment, or a parent that is already stored, where it waits for its own parent."""
        closed: list[Moment] = []
        if child.rung == "moment":
            closed = self._take_moment(child)
        elif child.rung == "event":
            closed = self._climb(child)
        else:
            self._hours.append(child)
        self._last = child
        return closed

    def _take_moment(self, moment: Moment) -> list[Moment]:
        closed: list[Moment] = []
        coming = deque([moment])
        while coming:
            moment = coming.popleft()
            ends = event_ends(self._moments, moment)
            if ends is None:
                self._moments.append(moment)
                continue
            # What the event leaves is taken anew, as it will be by a ladder that is restored after this event.
            coming.extendleft(reversed([*self._moments[ends:], moment]))
            closed += self._close_event(self._moments[:ends])
        if closed:
            self._drop_signatures()
        return closed

    def _close_event(self, moments: Sequence[Moment]) -> list[Moment]:
        event = self._parent("event", moments)
        self._moments = []
        return [event, *self._climb(event)]

    def _climb(self, event: Moment) -> list[Moment]:
        """Put an event with the others; first close the hour and the day it no longer belongs to."""
        closed = []
        if self._events and _which(event, HOUR_S) != _which(self._events[-1], HOUR_S):
            closed.append(self._close_hour())
        if self._hours and _which(event, DAY_S) != _which(self._hours[-1], DAY_S):
            closed.append(self._close_day())
        self._events.append(event)
        return closed

    def _close_hour(self) -> Moment:
        hour = self._parent("hour", self._events)
        self._events = []
        self._hours.append(hour)
        return hour

    def _close_day(self) -> Moment:
        day = self._parent("day", self._hours)
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
        """Keep only those of pictures that a parent can still choose."""
        waiting = chain(self._moments, self._events, self._hours)
        ids = {frame_id for child in waiting for frame_id in child.frame_ids}
        self._signatures = {key: found for key, found in self._signatures.items() if key in ids}

    def _parent(self, rung: Rung, children: Sequence[Moment]) -> Moment:
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
            frame_ids=tuple(self._shown(children, span)),
            wall_start_s=first.wall_start_s,
        )
        before = self._newest.get(rung)
        self._newest[rung] = parent
        return parent if before is None else replace(parent, sameness=likeness(before, parent))

    def _shown(self, children: Sequence[Moment], span: Span) -> list[str]:
        """The pictures that a parent shows of those of its children."""
        frame_ids = [frame_id for child in children for frame_id in child.frame_ids]
        if self._used(span) <= 0:
            return choose(frame_ids, self._signatures)
        weights = [weight for child in children for weight in [self._used(child.span)] * len(child.frame_ids)]
        return choose(frame_ids, self._signatures, weights)


def parents_made_anew(
    stream: str, rung: Rung, children: Sequence[Moment], signatures: Mapping[str, bytes]
) -> list[Moment]:
    """Parents of ``rung`` for children that had one together, of which some are gone: one for each run of them."""
    ladder = Ladder(stream)
    ladder._signatures = dict(signatures)
    runs: list[list[Moment]] = []
    for child in children:
        if runs and not _apart(runs[-1][-1], child):
            runs[-1].append(child)
        else:
            runs.append([child])
    return [ladder._parent(rung, run) for run in runs]


def _without_parent(snapshot: Snapshot, stream: str) -> list[Moment]:
    """The last hours, events and moments that no stored parent holds, in time order."""
    # The newest of any rung: the moments that it was made of may be forgotten.
    newest = [
        last for rung in RUNGS for last in snapshot.timeline(stream, rung=rung, limit=1, newest_first=True)
    ]
    children: list[Moment] = []
    for rung, above in _ABOVE.items() if newest else ():
        start_s = max(last.span.end_s for last in newest) - _REACH_S[rung]
        for parent in snapshot.timeline(stream, rung=above, limit=1, newest_first=True):
            start_s = max(start_s, parent.span.end_s)
        found = snapshot.timeline(stream, Span(start_s, math.inf), rung=rung, limit=_ALL)
        children += [child for child in found if child.span.start_s >= start_s]
    return sorted(children, key=lambda child: child.span)


def _apart(earlier: Moment, later: Moment) -> bool:
    return later.epoch != earlier.epoch or later.span.start_s - earlier.span.end_s > _HOLE_S


def _gap_between(gaps: Sequence[Gap], earlier: Moment, later: Moment) -> bool:
    return any(
        earlier.span.end_s <= gap.span.start_s and gap.span.end_s <= later.span.start_s for gap in gaps
    )


def _which(parent: Moment, unit_s: float) -> int:
    """Which hour or day its end lies in; one that reaches into the next belongs to the next."""
    return math.ceil(parent.span.end_s / unit_s)
