"""Answers what is asked from the log cut at the time of the question, with no more evidence than it takes.

    found = answer(spec, log.until(600.0))
    found.value, found.evidence     # "the man in the red coat", (Span(41.0, 42.4),)

None means that it cannot be asked then: what it rests on was not seen, or there are several answers. What follows
the time of the question counts for what is to be told later and for nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ...memory.values import Span
from ..house import Room, Thing
from .event_log import PLACES, EventLog, LoggedEvent, Pattern, Sighting, StateRun, Visit, with_slots
from .question_specs import (
    CARRIED_OFF,
    DEEDS,
    LONGER,
    MARGIN,
    NEAR,
    NOT_SEEN,
    NOTHING,
    STAYS_S,
    AgainSpec,
    AlertsSpec,
    ChainSpec,
    CompanySpec,
    CountSpec,
    HappenedSpec,
    ListingSpec,
    LongestSpec,
    OrderSpec,
    Spec,
    StateSpec,
    StaySpec,
    UsualSpec,
    WhenSpec,
)
from .question_wording import clause, said

Answered = str | float | tuple[str, ...] | tuple[tuple[float, float], ...] | tuple[float, ...]
MOST_SPANS = 3
"""What happened more often has no time to be asked for."""


@dataclass(frozen=True, slots=True)
class OracleAnswer:
    """The answer, and the stretches that prove it."""

    value: Answered
    evidence: tuple[Span, ...] = ()
    events: tuple[LoggedEvent, ...] = ()
    """The acts that a chain goes over."""


def answer(spec: Spec, log: EventLog) -> OracleAnswer | None:
    """The answer, at the time at which the log is cut."""
    match spec:
        case ChainSpec():
            return _chain(spec, log)
        case StateSpec():
            return _state(spec, log)
        case HappenedSpec(pattern):
            events = log.acts(pattern)
            return OracleAnswer("yes", (events[-1].span,)) if events else OracleAnswer("no")
        case AgainSpec():
            return _again(spec, log)
        case CountSpec(pattern, lasts_s, distinct):
            counted = log.acts(pattern, since_s=log.until_s - lasts_s)
            if distinct is not None:
                counted = list({getattr(event.act, distinct): event for event in counted}.values())
            return OracleAnswer(float(len(counted)), _spans(counted))
        case OrderSpec(patterns):
            return _order(patterns, log)
        case StaySpec(person, room):
            stays = [visit for visit in log.visits(person) if visit.room == room and visit.over]
            length = _told(stays[-1].span.duration_s) if stays else None
            return OracleAnswer(length, (stays[-1].span,)) if length is not None else None
        case LongestSpec():
            return _longest(spec, log)
        case WhenSpec(pattern):
            events = log.acts(pattern)
            if not 1 <= len(events) <= MOST_SPANS or log.until_s < events[-1].span.end_s + 1e-6:
                return None
            return OracleAnswer(tuple((e.span.start_s, e.span.end_s) for e in events), _spans(events))
        case UsualSpec():
            return _usual(spec, log)
        case CompanySpec(person, which):
            company = log.company(person)
            if len(company) < abs(which):
                return None
            other, span = company[which - 1 if which > 0 else which]
            return OracleAnswer(str(other), (span,))
        case AlertsSpec(pattern, lasts_s, every):
            ahead = log.until(log.until_s + lasts_s).acts(pattern, since_s=log.until_s)
            told = ahead[every - 1 :: every] if every else ahead[:1]
            return OracleAnswer(tuple(event.at_s for event in told), _spans(told))
        case ListingSpec(room, from_s, to_s):
            return _listing(room, from_s, to_s, log)


def _chain(spec: ChainSpec, log: EventLog) -> OracleAnswer | None:
    events: list[LoggedEvent] = []
    for number, link in enumerate(spec.links):
        before = events[-1] if events else None
        pattern = link.pattern
        if link.bind is not None and before is not None:
            pattern = with_slots(pattern, {link.bind: getattr(before.act, spec.links[number - 1].part)})
        found = log.acts(pattern)
        if before is not None and link.when:
            found = [event for event in found if _lies(event, before, link.when)]
        event = _nth(found, link.which)
        if event is None:
            missing = not found and len(spec.links) == 1 and link.which == 0
            return OracleAnswer(NOT_SEEN) if missing else None
        events.append(event)
    return OracleAnswer(said(events[-1].act, spec.links[-1].part), _spans(events), tuple(events))


def _lies(event: LoggedEvent, to: LoggedEvent, when: str) -> bool:
    match when:
        case "after":
            return event.at_s > to.at_s
        case "before":
            return event.at_s < to.at_s
        case _:
            return event.act.room == to.act.room and event.span.start_s <= to.at_s < event.span.end_s


def _nth(events: list[LoggedEvent], which: int) -> LoggedEvent | None:
    if which == 0:
        return events[0] if len(events) == 1 else None
    return events[which - 1 if which > 0 else which] if len(events) >= abs(which) else None


def _state(spec: StateSpec, log: EventLog) -> OracleAnswer | None:
    subject = spec.subject
    if isinstance(subject, Thing):
        return _whereabouts(subject, spec.back, log)
    if spec.back:
        runs = log.history(subject, empty=False)
        return _shown(runs[-1 - spec.back].sightings[-1]) if len(runs) > spec.back else None
    sightings = log.sightings(subject)
    if spec.at_s is not None:
        sightings = [one for one in sightings if one.span.start_s <= spec.at_s]
    return _shown(sightings[-1]) if sightings else None


def _shown(sighting: Sighting) -> OracleAnswer:
    if sighting.subject.kind == "opener":
        return OracleAnswer("yes" if sighting.shown else "no", (sighting.span,))
    return OracleAnswer(str(sighting.shown or NOTHING), (sighting.span,))


def _whereabouts(thing: Thing, back: int, log: EventLog) -> OracleAnswer | None:
    seen: list[StateRun] = []
    lying: list[StateRun] = []
    for place in PLACES:
        runs = log.history(place)
        seen += [run for run in runs if run.shown == thing]
        lying += [run for run in runs[-1:] if run.shown == thing]
    seen.sort(key=lambda run: run.sightings[0].span.start_s)
    if len(lying) > 1 or not seen:
        return None
    if back:
        places = [run for number, run in enumerate(seen) if not number or _at(run) != _at(seen[number - 1])]
        return OracleAnswer(_at(places[-1 - back]), (places[-1 - back].last,)) if len(places) > back else None
    if lying:
        return OracleAnswer(_at(lying[0]), (lying[0].last,))
    gone = log.acts(Pattern("takes", what=thing))
    return OracleAnswer(CARRIED_OFF, (gone[-1].span,)) if gone else None


def _at(run: StateRun) -> str:
    return f"on the {run.sightings[0].subject.name}"


def _again(spec: AgainSpec, log: EventLog) -> OracleAnswer | None:
    event = _nth(log.acts(spec.first.pattern), spec.first.which)
    if event is None or event.act.who is None:
        return None
    since_s = max(0.0, event.at_s - spec.lasts_s)
    before = log.acts(with_slots(spec.pattern, {"who": event.act.who}), since_s=since_s)
    before = [one for one in before if one.at_s < event.at_s]
    return OracleAnswer("yes", _spans([before[-1], event])) if before else OracleAnswer("no", (event.span,))


def _order(patterns: tuple[Pattern, ...], log: EventLog) -> OracleAnswer | None:
    events = [_nth(log.acts(pattern), 0) for pattern in patterns]
    found = [(event.at_s, pattern, event) for event, pattern in zip(events, patterns, strict=True) if event]
    if len({at_s for at_s, *_ in found}) < len(patterns):
        return None
    found.sort(key=lambda one: one[0])
    return OracleAnswer(
        tuple(item(pattern) for _, pattern, _ in found), _spans([event for _, _, event in found])
    )


def item(pattern: Pattern) -> str:
    """An act to be put in order, as the question and the answer list it."""
    return clause(pattern)


def _told(seconds: float) -> str | None:
    """The length of a stay as it is told; None where it lies between two."""
    nearest = min(STAYS_S, key=lambda stay_s: abs(stay_s - seconds))
    return f"about {nearest:g} seconds" if abs(seconds / nearest - 1) <= NEAR else None


def _longest(spec: LongestSpec, log: EventLog) -> OracleAnswer | None:
    stays: list[Visit] = []
    for person in spec.people:
        mine = [visit for visit in log.visits(person) if visit.room == spec.room and visit.over]
        if not mine:
            return None
        stays.append(mine[-1])
    stays.sort(key=lambda visit: -visit.span.duration_s)
    if stays[0].span.duration_s < LONGER * stays[1].span.duration_s:
        return None
    return OracleAnswer(str(stays[0].person), tuple(sorted(visit.span for visit in stays)))


def _usual(spec: UsualSpec, log: EventLog) -> OracleAnswer | None:
    events = log.acts(spec.pattern)
    ranked = Counter(said(event.act, spec.part) for event in events).most_common(2)
    if not ranked or ranked[0][1] - (ranked[1][1] if len(ranked) > 1 else 0) < MARGIN:
        return None
    mode = ranked[0][0]
    return OracleAnswer(mode, _spans([event for event in events if said(event.act, spec.part) == mode]))


def _listing(room: Room, from_s: float, to_s: float, log: EventLog) -> OracleAnswer:
    events = [
        event
        for kind in DEEDS
        for event in log.acts(Pattern(kind, room=room), since_s=from_s)
        if event.at_s <= to_s
    ]
    events.sort(key=lambda event: event.at_s)
    return OracleAnswer(tuple(dict.fromkeys(event.act.clause for event in events)), _spans(events))


def _spans(events: list[LoggedEvent]) -> tuple[Span, ...]:
    return tuple(event.span for event in events)
