"""The oracle: answers a question from the event log, cut at the time of the question, with the evidence.

    result = answer(spec, log.until(600.0))
    result.value, result.evidence     # "the man in the red coat", (Span(41.0, 42.4),)

The answer is None if the question has no single answer at that time. Events after the time of the question count
for alerts only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ...memory.values import Span
from ..house import Person, Room, Thing
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
from .question_wording import clause, slot_text

AnswerValue = str | float | tuple[str, ...] | tuple[tuple[float, float], ...] | tuple[float, ...]
MOST_SPANS = 3
"""The oracle gives no times of an act that happened more often."""


@dataclass(frozen=True, slots=True)
class OracleAnswer:
    """The answer, and the spans that prove it."""

    value: AnswerValue
    evidence: tuple[Span, ...] = ()
    events: tuple[LoggedEvent, ...] = ()
    """The acts of a chain, in order."""


def answer(spec: Spec, log: EventLog) -> OracleAnswer | None:
    """Answer a question at the time at which the log is cut. None if it has no single answer."""
    match spec:
        case ChainSpec():
            return _chain(spec, log)
        case StateSpec():
            return _state(spec, log)
        case HappenedSpec(pattern):
            return _happened(pattern, log)
        case AgainSpec():
            return _again(spec, log)
        case CountSpec():
            return _count(spec, log)
        case OrderSpec(patterns):
            return _order(patterns, log)
        case StaySpec(person, room):
            return _stay(person, room, log)
        case LongestSpec():
            return _longest(spec, log)
        case WhenSpec(pattern):
            return _when(pattern, log)
        case UsualSpec():
            return _usual(spec, log)
        case CompanySpec():
            return _company(spec, log)
        case AlertsSpec():
            return _alerts(spec, log)
        case ListingSpec():
            return _listing(spec, log)


def _happened(pattern: Pattern, log: EventLog) -> OracleAnswer:
    events = log.acts(pattern)
    return OracleAnswer("yes", (events[-1].span,)) if events else OracleAnswer("no")


def _count(spec: CountSpec, log: EventLog) -> OracleAnswer:
    slot = spec.distinct
    events = log.acts(spec.pattern, since_s=log.until_s - spec.lasts_s)
    if slot is not None:
        events = list({getattr(event.act, slot): event for event in events}.values())
    return OracleAnswer(float(len(events)), _spans(events))


def _when(pattern: Pattern, log: EventLog) -> OracleAnswer | None:
    events = log.acts(pattern)
    if not 1 <= len(events) <= MOST_SPANS or log.until_s < events[-1].span.end_s + 1e-6:
        return None
    return OracleAnswer(tuple((e.span.start_s, e.span.end_s) for e in events), _spans(events))


def _company(spec: CompanySpec, log: EventLog) -> OracleAnswer | None:
    meetings = log.company(spec.person)
    if len(meetings) < abs(spec.position):
        return None
    companion, span = meetings[spec.position - 1 if spec.position > 0 else spec.position]
    return OracleAnswer(str(companion), (span,))


def _alerts(spec: AlertsSpec, log: EventLog) -> OracleAnswer:
    ahead = log.until(log.until_s + spec.lasts_s).acts(spec.pattern, since_s=log.until_s)
    due = ahead[spec.every - 1 :: spec.every] if spec.every else ahead[:1]
    return OracleAnswer(tuple(event.at_s for event in due), _spans(due))


def _chain(spec: ChainSpec, log: EventLog) -> OracleAnswer | None:
    events: list[LoggedEvent] = []
    for number, link in enumerate(spec.links):
        before = events[-1] if events else None
        pattern = link.pattern
        if link.bind is not None and before is not None:
            pattern = with_slots(pattern, {link.bind: getattr(before.act, spec.links[number - 1].part)})
        candidates = log.acts(pattern)
        if before is not None and link.when:
            candidates = [event for event in candidates if _is_at(event, before, link.when)]
        event = _nth(candidates, link.position)
        if event is None:
            missing = not candidates and len(spec.links) == 1 and link.position == 0
            return OracleAnswer(NOT_SEEN) if missing else None
        events.append(event)
    return OracleAnswer(slot_text(events[-1].act, spec.links[-1].part), _spans(events), tuple(events))


def _is_at(event: LoggedEvent, anchor: LoggedEvent, when: str) -> bool:
    """Whether an event is after, before or during another one."""
    match when:
        case "after":
            return event.at_s > anchor.at_s
        case "before":
            return event.at_s < anchor.at_s
        case _:
            return event.act.room == anchor.act.room and event.span.start_s <= anchor.at_s < event.span.end_s


def _nth(events: list[LoggedEvent], position: int) -> LoggedEvent | None:
    """The event at a position counted as ``ChainLink.position`` counts."""
    if position == 0:
        return events[0] if len(events) == 1 else None
    return events[position - 1 if position > 0 else position] if len(events) >= abs(position) else None


def _state(spec: StateSpec, log: EventLog) -> OracleAnswer | None:
    subject = spec.subject
    if isinstance(subject, Thing):
        return _whereabouts(subject, spec.back, log)
    if spec.back:
        runs = log.history(subject, empty=False)
        return _shown(runs[-1 - spec.back].sightings[-1]) if len(runs) > spec.back else None
    sightings = log.sightings(subject)
    if spec.at_s is not None:
        sightings = [sighting for sighting in sightings if sighting.span.start_s <= spec.at_s]
    return _shown(sightings[-1]) if sightings else None


def _shown(sighting: Sighting) -> OracleAnswer:
    if sighting.subject.kind == "opener":
        return OracleAnswer("yes" if sighting.shown else "no", (sighting.span,))
    return OracleAnswer(str(sighting.shown or NOTHING), (sighting.span,))


def _whereabouts(thing: Thing, back: int, log: EventLog) -> OracleAnswer | None:
    histories = [log.history(place) for place in PLACES]
    runs = [run for history in histories for run in history if run.shown == thing]
    current = [history[-1] for history in histories if history and history[-1].shown == thing]
    if len(current) > 1 or not runs:
        return None
    if back:
        moves = _moves(runs)
        if len(moves) <= back:
            return None
        return OracleAnswer(_place_text(moves[-1 - back]), (moves[-1 - back].last,))
    if current:
        return OracleAnswer(_place_text(current[0]), (current[0].last,))
    removals = log.acts(Pattern("takes", what=thing))
    return OracleAnswer(CARRIED_OFF, (removals[-1].span,)) if removals else None


def _moves(runs: list[StateRun]) -> list[StateRun]:
    """The states of a thing on a place, in order, without those on the same place as the one before."""
    ordered = sorted(runs, key=lambda run: run.sightings[0].span.start_s)
    return [
        run
        for number, run in enumerate(ordered)
        if not number or _place_text(run) != _place_text(ordered[number - 1])
    ]


def _place_text(run: StateRun) -> str:
    return f"on the {run.sightings[0].subject.name}"


def _again(spec: AgainSpec, log: EventLog) -> OracleAnswer | None:
    event = _nth(log.acts(spec.first.pattern), spec.first.position)
    if event is None or event.act.who is None:
        return None
    since_s = max(0.0, event.at_s - spec.lasts_s)
    earlier = log.acts(with_slots(spec.pattern, {"who": event.act.who}), since_s=since_s)
    earlier = [act for act in earlier if act.at_s < event.at_s]
    return OracleAnswer("yes", _spans([earlier[-1], event])) if earlier else OracleAnswer("no", (event.span,))


def _order(patterns: tuple[Pattern, ...], log: EventLog) -> OracleAnswer | None:
    events = [_nth(log.acts(pattern), 0) for pattern in patterns]
    timed = [(event.at_s, pattern, event) for event, pattern in zip(events, patterns, strict=True) if event]
    if len({at_s for at_s, *_ in timed}) < len(patterns):
        return None
    timed.sort(key=lambda entry: entry[0])
    return OracleAnswer(
        tuple(clause(pattern) for _, pattern, _ in timed), _spans([event for _, _, event in timed])
    )


def _last_stay(person: Person, room: Room, log: EventLog) -> Visit | None:
    """The last complete visit of a person to a room."""
    stays = [visit for visit in log.visits(person) if visit.room == room and visit.over]
    return stays[-1] if stays else None


def _stay(person: Person, room: Room, log: EventLog) -> OracleAnswer | None:
    visit = _last_stay(person, room, log)
    length = _stay_text(visit.span.duration_s) if visit is not None else None
    return OracleAnswer(length, (visit.span,)) if visit is not None and length is not None else None


def _stay_text(seconds: float) -> str | None:
    """The length of a stay in words. None if it is between two of the lengths used."""
    nearest = min(STAYS_S, key=lambda stay_s: abs(stay_s - seconds))
    return f"about {nearest:g} seconds" if abs(seconds / nearest - 1) <= NEAR else None


def _longest(spec: LongestSpec, log: EventLog) -> OracleAnswer | None:
    stays: list[Visit] = []
    for person in spec.people:
        visit = _last_stay(person, spec.room, log)
        if visit is None:
            return None
        stays.append(visit)
    stays.sort(key=lambda visit: -visit.span.duration_s)
    if stays[0].span.duration_s < LONGER * stays[1].span.duration_s:
        return None
    return OracleAnswer(str(stays[0].person), tuple(sorted(visit.span for visit in stays)))


def _usual(spec: UsualSpec, log: EventLog) -> OracleAnswer | None:
    events = log.acts(spec.pattern)
    ranked = Counter(slot_text(event.act, spec.part) for event in events).most_common(2)
    if not ranked or ranked[0][1] - (ranked[1][1] if len(ranked) > 1 else 0) < MARGIN:
        return None
    mode = ranked[0][0]
    return OracleAnswer(mode, _spans([event for event in events if slot_text(event.act, spec.part) == mode]))


def _listing(spec: ListingSpec, log: EventLog) -> OracleAnswer:
    events = [
        event
        for kind in DEEDS
        for event in log.acts(Pattern(kind, room=spec.room), since_s=spec.from_s)
        if event.at_s <= spec.to_s
    ]
    events.sort(key=lambda event: event.at_s)
    return OracleAnswer(tuple(dict.fromkeys(event.act.clause for event in events)), _spans(events))


def _spans(events: list[LoggedEvent]) -> tuple[Span, ...]:
    return tuple(event.span for event in events)
