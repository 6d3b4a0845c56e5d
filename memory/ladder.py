"""Makes events of moments, hours of events and days of hours, by rule.

    ladder = Ladder("kitchen")
    for moment in moments:                       # closed, in order
        store.append([moment, *ladder.push(moment)])
    store.append(ladder.finish())

What a rung says is added up by ``tally``. A parent follows from its children alone, so after a crash
``Ladder.restore`` goes on as if nothing had happened and makes the same parents with the same ids.
No parent reaches across an epoch, a gap or a hole in time.

An event ends where the shot and what is seen change at once, when it has 4 moments or 30 s, and at
the latest after 5 minutes. The event that reaches into another hour of stream time closes the hour
made of the events before it, and the day likewise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .snapshot import Snapshot
from .tally import base_of, colour_shares, evenly, summarise
from .values import RUNGS, Gap, Moment, Rung, Span, moment_id

if TYPE_CHECKING:
    from .store import MemoryStore

HOUR_S = 3600.0
DAY_S = 86_400.0
MOST_EVENT_S = 300.0
_LEAST_EVENT_S = 30.0
_LEAST_EVENT_MOMENTS = 4
_HOLE_S = 1.0
"""Moments further apart than this, in seconds, were not watched in one go."""
_COLOUR_CHANGE = 0.25
"""Two pictures look different when this share of them has another colour."""
_MOST_FRAMES = 4
_CHANGES = frozenset({"cut", "dissolve", "fade"})
_REACH_S: dict[Rung, float] = {"moment": HOUR_S, "event": 4 * HOUR_S, "hour": 3 * DAY_S}
"""How far back from the last moment a child can lie whose parent is still open, with room to spare."""
_ABOVE: dict[Rung, Rung] = {"moment": "event", "event": "hour", "hour": "day"}
_ALL = 1_000_000


class Ladder:
    """Builds the upper rungs of one stream. Feed it in order; it writes nothing and keeps no clock."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._moments: list[Moment] = []
        self._events: list[Moment] = []
        self._hours: list[Moment] = []
        self._last: Moment | None = None
        self._owed: list[Moment] = []

    @classmethod
    def restore(cls, memory: MemoryStore | Snapshot, stream: str) -> Ladder:
        """The ladder as it stood after the last moment in the memory.

        Children without a parent are fed to it again, and broken where a gap is recorded. Parents that
        a crash kept from being stored come with what the next call returns.
        """
        snapshot = memory if isinstance(memory, Snapshot) else memory.snapshot()
        ladder = cls(stream)
        gaps = snapshot.gaps(stream)
        made: list[Moment] = []
        for child in _without_parent(snapshot, stream):
            last = ladder._last
            if last is not None and (_apart(last, child) or _gap_between(gaps, last, child)):
                made += ladder._close_all()
            made += ladder._take(child)
        if ladder._last is not None and any(gap.span.start_s >= ladder._last.span.end_s for gap in gaps):
            made += ladder._close_all()
        stored = snapshot.get(parent.id for parent in made)
        ladder._owed = [parent for parent in made if parent.id not in stored]
        return ladder

    def push(self, moment: Moment) -> list[Moment]:
        """Take the next moment; return the parents it closes, lowest rung first, usually none."""
        closed = self._take_owed()
        if self._last is not None and _apart(self._last, moment):
            closed += self._close_all()
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
            if self._moments and self._ends_event(child):
                closed = self._close_event()
            self._moments.append(child)
        elif child.rung == "event":
            closed = self._climb(child)
        else:
            self._hours.append(child)
        self._last = child
        return closed

    def _ends_event(self, moment: Moment) -> bool:
        """Whether the event must end before ``moment``."""
        first, last = self._moments[0], self._moments[-1]
        if moment.span.end_s - first.span.start_s > MOST_EVENT_S:
            return True
        long_enough = (
            len(self._moments) >= _LEAST_EVENT_MOMENTS
            or last.span.end_s - first.span.start_s >= _LEAST_EVENT_S
        )
        return long_enough and moment.shot != last.shot and _looks_different(last, moment)

    def _close_event(self) -> list[Moment]:
        event = self._parent("event", self._moments)
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
        closed = self._close_event() if self._moments else []
        if len(self._events) > 1 or (self._events and self._hours):
            closed.append(self._close_hour())
        if len(self._hours) > 1:
            closed.append(self._close_day())
        self._events, self._hours, self._last = [], [], None
        return closed

    def _parent(self, rung: Rung, children: Sequence[Moment]) -> Moment:
        first = children[0]
        span = Span(first.span.start_s, children[-1].span.end_s)
        frame_ids = [frame_id for child in children for frame_id in child.frame_ids]
        return Moment(
            id=moment_id(self.stream, first.epoch, rung, span.start_s),
            stream=self.stream,
            epoch=first.epoch,
            span=span,
            observations=(summarise(children, span),),
            rung=rung,
            shot=first.shot,
            child_ids=tuple(child.id for child in children),
            frame_ids=tuple(evenly(frame_ids, _MOST_FRAMES)),
            wall_start_s=first.wall_start_s,
        )


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


def _looks_different(earlier: Moment, later: Moment) -> bool:
    """Whether the colours changed; where they are not known, whether most of what was found did."""
    colours = [_colours(moment) for moment in (earlier, later)]
    if all(colours):
        names = {*colours[0], *colours[1]}
        moved = sum(abs(colours[0].get(name, 0.0) - colours[1].get(name, 0.0)) for name in names) / 2
        return moved >= _COLOUR_CHANGE
    kinds = [{f.kind for f in base_of(moment).findings} - _CHANGES for moment in (earlier, later)]
    return 2 * len(kinds[0] & kinds[1]) < len(kinds[0] | kinds[1])


def _colours(moment: Moment) -> dict[str, float]:
    for finding in base_of(moment).findings:
        if (finding.field, finding.kind) == ("attribute", "colour"):
            return colour_shares(finding)
    return {}
