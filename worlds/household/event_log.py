"""Event log: all acts and states of a house that a camera saw, cut at any time. It is the ground truth.

    log = EventLog.of(house).until(600.0)
    log.acts(Pattern("puts", what=CUP))                # every time the cup was put down, in order
    log.history(Subject("place", "table", KITCHEN))    # what lay on the table, one run after another
    log.visits(ANNA)                                   # the rooms she was in, and when

One camera is on at a time, and acts happen only in its room. A room that is off camera keeps its last state. An act is
known when its span is over. A sign is known once it could be read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from ...memory.values import Span
from ..house import ROOMS, Act, Happening, House, Person, Room, RoomScene, Thing

_S = TypeVar("_S")

READ_S = 1.0
"""A code that is shown for this long can be read."""
Slot = Literal["who", "what", "where", "to", "room"]
"""A part of an act."""
Filler = Person | Thing | Room | str
"""The value of a slot."""
Shown = Thing | str | bool | None
"""The state of a subject: the thing on a place, the code of a sign (empty while it is dark), or whether it is open."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of acts. A slot that is None or empty fits everything."""

    kind: str
    who: Person | None = None
    what: Thing | None = None
    where: str = ""
    to: Person | None = None
    room: Room | None = None

    @property
    def slots(self) -> dict[Slot, Filler]:
        """The slots that are set."""
        all_slots: dict[Slot, Filler | None] = {
            "who": self.who,
            "what": self.what,
            "where": self.where or None,
            "to": self.to,
            "room": self.room,
        }
        return {slot: filler for slot, filler in all_slots.items() if filler is not None}

    def fits(self, act: Act) -> bool:
        """Whether an act fits the pattern."""
        return (
            act.kind == self.kind
            and (self.who is None or act.who == self.who)
            and (self.what is None or act.what == self.what)
            and (not self.where or act.where == self.where)
            and (self.to is None or act.to == self.to)
            and (self.room is None or act.room == self.room)
        )


def pattern_of(act: Act, *slots: Slot) -> Pattern:
    """The pattern of all acts that have these slots in common with ``act``."""
    return with_slots(Pattern(act.kind), {slot: getattr(act, slot) for slot in slots})


def with_slots(pattern: Pattern, slots: dict[Slot, Filler]) -> Pattern:
    """The pattern with these slots set or replaced."""
    return replace(pattern, **slots)  # type: ignore[arg-type]  # each slot is filled from the same slot of an act


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An act, its span, its point in time, and when it is known."""

    act: Act
    span: Span
    at_s: float
    """The hand at the thing, the first step in, the last step out, or the first second of a code."""
    known_s: float
    """The earliest time at which it can be known."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A place, a sign or an opener: something with a visible state."""

    kind: Literal["place", "sign", "opener"]
    name: str
    """Such as ``table`` or ``fridge``. For a sign, its room."""
    room: Room


@dataclass(frozen=True, slots=True)
class Sighting:
    """A stretch in which a subject was on camera and did not change."""

    subject: Subject
    shown: Shown
    span: Span


@dataclass(frozen=True, slots=True)
class StateRun:
    """The state of a subject from one change to the next, with each sighting of it."""

    shown: Shown
    sightings: tuple[Sighting, ...]

    @property
    def last(self) -> Span:
        """The last time it was seen in this state."""
        return self.sightings[-1].span


@dataclass(frozen=True, slots=True)
class Visit:
    """A person in a room, from the first step in to the last step out."""

    person: Person
    room: Room
    span: Span
    over: bool = True
    """False while the person is in the room."""


SUBJECTS = tuple(
    subject
    for room in ROOMS
    for subject in (
        *(Subject("place", name, room) for name in room.places),
        Subject("sign", room.name, room),
        Subject("opener", room.opens, room),
    )
)
PLACES = tuple(subject for subject in SUBJECTS if subject.kind == "place")
SIGNS = tuple(subject for subject in SUBJECTS if subject.kind == "sign")
OPENERS = tuple(subject for subject in SUBJECTS if subject.kind == "opener")


@dataclass
class _Index:
    """All events, sightings and visits of a house, indexed."""

    events: list[LoggedEvent]
    """In the order in which they become known."""
    sightings: dict[Subject, list[Sighting]]
    visits: list[Visit]
    ends_s: float
    known_s: list[float] = field(init=False)
    numbers: dict[tuple[str, str, Filler], list[int]] = field(init=False)
    visits_of: dict[Person, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.known_s = [event.known_s for event in self.events]
        self.numbers, self.visits_of = {}, {}
        for number, event in enumerate(self.events):
            act = event.act
            self.numbers.setdefault((act.kind, "", ""), []).append(number)
            for slot in ("who", "what", "where", "to", "room"):
                filler = getattr(act, slot)
                if filler:
                    self.numbers.setdefault((act.kind, slot, filler), []).append(number)
        for number, visit in enumerate(self.visits):
            self.visits_of.setdefault(visit.person, []).append(number)

    def numbers_of(self, pattern: Pattern) -> list[int]:
        """The numbers of events that may fit a pattern: the shortest list of the index."""
        keys: list[tuple[str, str, Filler]] = [(pattern.kind, "", "")]
        keys += [(pattern.kind, slot, filler) for slot, filler in pattern.slots.items()]
        return min((self.numbers.get(key, []) for key in keys), key=len)


@dataclass(frozen=True)
class EventLog:
    """What is known at one time. All cuts of a log share one index, so a cut is cheap."""

    _index: _Index
    until_s: float
    _removed: frozenset[int] = frozenset()

    @classmethod
    def of(cls, house: House) -> EventLog:
        """The log of everything that happens in a house."""
        events: list[LoggedEvent] = []
        sightings: dict[Subject, list[Sighting]] = {subject: [] for subject in SUBJECTS}
        for start_s, scene in house.scenes:
            events += _events(start_s, scene)
            for sighting in _sightings(start_s, scene):
                sightings[sighting.subject].append(sighting)
        events.sort(key=lambda event: (event.known_s, event.at_s))
        visits = sorted(_visits(events), key=lambda visit: visit.span)
        return cls(_Index(events, sightings, visits, house.duration_s), house.duration_s)

    @property
    def ends_s(self) -> float:
        """When the house's video ends, in seconds."""
        return self._index.ends_s

    def until(self, time_s: float) -> EventLog:
        """The same log cut at another time."""
        return replace(self, until_s=time_s)

    def without(self, event: LoggedEvent) -> EventLog:
        """The log without one act. Its consequences stay."""
        simultaneous = range(
            bisect_left(self._index.known_s, event.known_s), bisect_right(self._index.known_s, event.known_s)
        )
        removed = {number for number in simultaneous if self._index.events[number].act == event.act}
        return replace(self, _removed=self._removed | removed)

    def acts(self, pattern: Pattern, *, since_s: float = 0.0) -> list[LoggedEvent]:
        """The acts that fit and happened at or after ``since_s``, in order."""
        index, numbers = self._index, self._index.numbers_of(pattern)
        first = bisect_left(numbers, bisect_left(index.known_s, since_s))
        last = bisect_left(numbers, bisect_right(index.known_s, self.until_s))
        fitting = (
            index.events[number]
            for number in numbers[first:last]
            if number not in self._removed and pattern.fits(index.events[number].act)
        )
        return [self._clipped(event) for event in fitting if event.at_s >= since_s]

    def between(self, from_s: float, to_s: float) -> Sequence[LoggedEvent]:
        """The acts that became known between two times."""
        known_s, to_s = self._index.known_s, min(to_s, self.until_s)
        events = self._index.events[bisect_left(known_s, from_s) : bisect_right(known_s, to_s)]
        return [self._clipped(event) for event in events]

    def sightings(self, subject: Subject) -> list[Sighting]:
        """The sightings of a subject, in order."""
        sightings = self._index.sightings[subject]
        late_s = READ_S if subject.kind == "sign" else 0.0
        last = bisect_right(sightings, self.until_s - late_s, key=lambda sighting: sighting.span.start_s)
        return [
            *sightings[: max(0, last - 1)],
            *(replace(sighting, span=self._cut(sighting.span)) for sighting in sightings[:last][-1:]),
        ]

    def history(self, subject: Subject, *, empty: bool = True) -> list[StateRun]:
        """The states of a subject, from one change to the next. Without ``empty``, empty states are left out."""
        runs: list[list[Sighting]] = []
        for sighting in self.sightings(subject):
            if not empty and not sighting.shown:
                continue
            if not runs or runs[-1][0].shown != sighting.shown:
                runs.append([])
            runs[-1].append(sighting)
        return [StateRun(run[0].shown, tuple(run)) for run in runs]

    def visits(self, person: Person) -> list[Visit]:
        """The visits of a person, in order. The last may not be over."""
        numbers = self._index.visits_of.get(person, [])
        return [visit for visit in map(self._visit, numbers) if visit is not None]

    def company(self, person: Person) -> list[tuple[Person, Span]]:
        """The people who were in a room together with a person, and when, in order."""
        index, meetings = self._index, []
        for number in index.visits_of.get(person, []):
            visit = self._visit(number)
            for neighbour in (number - 1, number + 1):
                guest = self._visit(neighbour) if 0 <= neighbour < len(index.visits) else None
                if visit and guest and guest.room == visit.room and guest.span.overlaps(visit.span):
                    start_s = max(visit.span.start_s, guest.span.start_s)
                    meetings.append((guest.person, Span(start_s, min(visit.span.end_s, guest.span.end_s))))
        return sorted(meetings, key=lambda meeting: meeting[1])

    def _visit(self, number: int) -> Visit | None:
        visit = self._index.visits[number]
        if visit.span.start_s + _IN_S > self.until_s:
            return None
        over = visit.over and visit.span.end_s <= self.until_s
        return replace(visit, span=self._cut(visit.span), over=over)

    def _clipped(self, event: LoggedEvent) -> LoggedEvent:
        return event if event.span.end_s <= self.until_s else replace(event, span=self._cut(event.span))

    def _cut(self, span: Span) -> Span:
        return span if span.end_s <= self.until_s else Span(span.start_s, self.until_s)


_IN_S = 1.2
"""How long after the first step in it is known that a person came."""


def _events(start_s: float, scene: RoomScene) -> Iterator[LoggedEvent]:
    for happening in scene.happenings:
        if happening.act.kind != "shows":
            yield _event(start_s, happening)
    for span, code in _readable(scene):
        if code:
            act = Act("shows", scene.room, where=code)
            at_s = start_s + span.start_s
            yield LoggedEvent(act, Span(at_s, start_s + span.end_s), at_s, at_s + READ_S)


def _event(start_s: float, happening: Happening) -> LoggedEvent:
    span = Span(happening.span.start_s + start_s, happening.span.end_s + start_s)
    points_s = {"comes": span.start_s, "leaves": span.end_s}
    return LoggedEvent(happening.act, span, points_s.get(happening.act.kind, span.middle_s), span.end_s)


def _sightings(start_s: float, scene: RoomScene) -> Iterator[Sighting]:
    room, kept = scene.room, scene.kept
    for name, things in zip(room.places, kept.on, strict=True):
        for span, thing in _runs(things, scene.duration_s):
            yield Sighting(Subject("place", name, room), thing, _later(span, start_s))
    for span, is_open in _runs(kept.open, scene.duration_s):
        yield Sighting(Subject("opener", room.opens, room), is_open, _later(span, start_s))
    for span, code in _readable(scene):
        yield Sighting(Subject("sign", room.name, room), code, _later(span, start_s))


def _readable(scene: RoomScene) -> Iterator[tuple[Span, str]]:
    """The codes of the sign that are shown long enough to be read. Empty while it is dark."""
    for span, code in _runs(scene.kept.sign, scene.duration_s):
        if span.duration_s >= READ_S:
            yield span, code


def _runs(steps: Sequence[tuple[float, _S]], end_s: float) -> list[tuple[Span, _S]]:
    """Each value with the span in which it held."""
    changes = [step for number, step in enumerate(steps) if not number or step[1] != steps[number - 1][1]]
    ends_s = [*(time_s for time_s, _ in changes[1:]), end_s]
    return [
        (Span(from_s, to_s), shown)
        for (from_s, shown), to_s in zip(changes, ends_s, strict=True)
        if to_s > from_s
    ]


def _later(span: Span, by_s: float) -> Span:
    return Span(span.start_s + by_s, span.end_s + by_s)


def _visits(events: Iterable[LoggedEvent]) -> Iterator[Visit]:
    """Pair the arrivals of people with their departures."""
    arrivals: dict[Person, LoggedEvent] = {}
    for event in events:
        person = event.act.who
        if person is not None and event.act.kind == "comes":
            arrivals[person] = event
        elif person is not None and event.act.kind == "leaves":
            yield Visit(person, event.act.room, Span(arrivals.pop(person).at_s, event.at_s))
