"""What happened in a house as far as a camera saw it, cut at any time: the one source of truth.

    log = Log.of(house).until(600.0)
    log.acts(Pattern("puts", what=CUP))                # every time the cup was put down, in order
    log.history(Subject("place", "table", KITCHEN))    # what lay on the table, one run after another
    log.visits(ANNA)                                   # when she was where

One camera is on at a time and nothing happens where it is not, so a room that is off camera keeps what it last
showed. An act is known when its span is over, a sign once it could be read.
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
"""A sign is known once it hung so long."""
Slot = Literal["who", "what", "where", "to", "room"]
"""A part of an act."""
Filler = Person | Thing | Room | str
"""What stands in a slot."""
Shown = Thing | str | bool | None
"""How a subject is: what lies on a place, what a sign says (empty while it is dark), whether something is open."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Acts that have this in common; what is None or empty may be anything."""

    kind: str
    who: Person | None = None
    what: Thing | None = None
    where: str = ""
    to: Person | None = None
    room: Room | None = None

    @property
    def slots(self) -> dict[Slot, Filler]:
        """What is given."""
        all_slots: dict[Slot, Filler | None] = {
            "who": self.who,
            "what": self.what,
            "where": self.where or None,
            "to": self.to,
            "room": self.room,
        }
        return {slot: filler for slot, filler in all_slots.items() if filler is not None}

    def fits(self, act: Act) -> bool:
        """Whether an act is one of them."""
        return (
            act.kind == self.kind
            and (self.who is None or act.who == self.who)
            and (self.what is None or act.what == self.what)
            and (not self.where or act.where == self.where)
            and (self.to is None or act.to == self.to)
            and (self.room is None or act.room == self.room)
        )


def pattern_of(act: Act, *slots: Slot) -> Pattern:
    """What acts have in common that share these parts with one."""
    return with_slots(Pattern(act.kind), {slot: getattr(act, slot) for slot in slots})


def with_slots(pattern: Pattern, slots: dict[Slot, Filler]) -> Pattern:
    """The pattern with more of it given, or other."""
    return replace(pattern, **slots)  # type: ignore[arg-type]  # each slot is filled from the same slot of an act


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An act, when it could be seen and when it was so."""

    act: Act
    span: Span
    at_s: float
    """The moment of it: the hand at the thing, the first step in, the last step out, the sign's first second."""
    known_s: float
    """From when it can be known."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What has a state that can be seen."""

    kind: Literal["place", "sign", "opener"]
    name: str
    """``table``, ``fridge``; of a sign, its room."""
    room: Room


@dataclass(frozen=True, slots=True)
class Sighting:
    """A stretch for which a subject was on camera and stayed as it was."""

    subject: Subject
    shown: Shown
    span: Span


@dataclass(frozen=True, slots=True)
class StateRun:
    """How a subject was from one change to the next, and each time it was seen so."""

    shown: Shown
    sightings: tuple[Sighting, ...]

    @property
    def last(self) -> Span:
        """When it was seen so last."""
        return self.sightings[-1].span


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody in a room, from the first step in to the last step out."""

    person: Person
    room: Room
    span: Span
    over: bool = True
    """False while they are there."""


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
class _Whole:
    """All of a life, found by what it is of."""

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
        """The shortest list that holds all that fit."""
        keys: list[tuple[str, str, Filler]] = [(pattern.kind, "", "")]
        keys += [(pattern.kind, slot, filler) for slot, filler in pattern.slots.items()]
        return min((self.numbers.get(key, []) for key in keys), key=len)


@dataclass(frozen=True)
class EventLog:
    """What is known at one time. Cutting it costs nothing; all cuts share one life."""

    _whole: _Whole
    until_s: float
    _gone: frozenset[int] = frozenset()

    @classmethod
    def of(cls, house: House) -> EventLog:
        """All that happens in a house."""
        events: list[LoggedEvent] = []
        sightings: dict[Subject, list[Sighting]] = {subject: [] for subject in SUBJECTS}
        for start_s, scene in house.scenes:
            events += _events(start_s, scene)
            for sighting in _sightings(start_s, scene):
                sightings[sighting.subject].append(sighting)
        events.sort(key=lambda event: (event.known_s, event.at_s))
        visits = sorted(_visits(events), key=lambda visit: visit.span)
        return cls(_Whole(events, sightings, visits, house.duration_s), house.duration_s)

    @property
    def ends_s(self) -> float:
        """When the life ends."""
        return self._whole.ends_s

    def until(self, time_s: float) -> EventLog:
        """The same log cut at another time."""
        return replace(self, until_s=time_s)

    def without(self, event: LoggedEvent) -> EventLog:
        """As if one act had never been seen; what came of it stays."""
        near = range(
            bisect_left(self._whole.known_s, event.known_s), bisect_right(self._whole.known_s, event.known_s)
        )
        gone = {number for number in near if self._whole.events[number].act == event.act}
        return replace(self, _gone=self._gone | gone)

    def acts(self, pattern: Pattern, *, since_s: float = 0.0) -> list[LoggedEvent]:
        """The acts that fit and whose moment is no earlier than ``since_s``, in order."""
        whole, numbers = self._whole, self._whole.numbers_of(pattern)
        first = bisect_left(numbers, bisect_left(whole.known_s, since_s))
        last = bisect_left(numbers, bisect_right(whole.known_s, self.until_s))
        fitting = (
            whole.events[number]
            for number in numbers[first:last]
            if number not in self._gone and pattern.fits(whole.events[number].act)
        )
        return [self._clipped(event) for event in fitting if event.at_s >= since_s]

    def between(self, from_s: float, to_s: float) -> Sequence[LoggedEvent]:
        """The acts that became known then."""
        known_s, to_s = self._whole.known_s, min(to_s, self.until_s)
        events = self._whole.events[bisect_left(known_s, from_s) : bisect_right(known_s, to_s)]
        return [self._clipped(event) for event in events]

    def sightings(self, subject: Subject) -> list[Sighting]:
        """Each time a subject was on camera, in order."""
        seen = self._whole.sightings[subject]
        late_s = READ_S if subject.kind == "sign" else 0.0
        last = bisect_right(seen, self.until_s - late_s, key=lambda sighting: sighting.span.start_s)
        return [
            *seen[: max(0, last - 1)],
            *(replace(one, span=self._cut(one.span)) for one in seen[:last][-1:]),
        ]

    def history(self, subject: Subject, *, empty: bool = True) -> list[StateRun]:
        """How a subject was, from one change to the next; without ``empty``, only what lay or stood there."""
        runs: list[list[Sighting]] = []
        for sighting in self.sightings(subject):
            if not empty and not sighting.shown:
                continue
            if not runs or runs[-1][0].shown != sighting.shown:
                runs.append([])
            runs[-1].append(sighting)
        return [StateRun(run[0].shown, tuple(run)) for run in runs]

    def visits(self, person: Person) -> list[Visit]:
        """The times somebody was seen, in order; the last may not be over."""
        numbers = self._whole.visits_of.get(person, [])
        return [visit for visit in map(self._visit, numbers) if visit is not None]

    def company(self, person: Person) -> list[tuple[Person, Span]]:
        """Who was in a room together with somebody, and when, in order."""
        whole, found = self._whole, []
        for number in whole.visits_of.get(person, []):
            mine = self._visit(number)
            for near in (number - 1, number + 1):
                other = self._visit(near) if 0 <= near < len(whole.visits) else None
                if mine and other and other.room == mine.room and other.span.overlaps(mine.span):
                    start_s = max(mine.span.start_s, other.span.start_s)
                    found.append((other.person, Span(start_s, min(mine.span.end_s, other.span.end_s))))
        return sorted(found, key=lambda one: one[1])

    def _visit(self, number: int) -> Visit | None:
        visit = self._whole.visits[number]
        if visit.span.start_s + _IN_S > self.until_s:
            return None
        over = visit.over and visit.span.end_s <= self.until_s
        return replace(visit, span=self._cut(visit.span), over=over)

    def _clipped(self, event: LoggedEvent) -> LoggedEvent:
        return event if event.span.end_s <= self.until_s else replace(event, span=self._cut(event.span))

    def _cut(self, span: Span) -> Span:
        return span if span.end_s <= self.until_s else Span(span.start_s, self.until_s)


_IN_S = 1.2
"""Who comes is known to be there so long after the first step."""


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
    moment = {"comes": span.start_s, "leaves": span.end_s}
    return LoggedEvent(happening.act, span, moment.get(happening.act.kind, span.middle_s), span.end_s)


def _sightings(start_s: float, scene: RoomScene) -> Iterator[Sighting]:
    room, kept = scene.room, scene.kept
    for name, lying in zip(room.places, kept.on, strict=True):
        for span, thing in _runs(lying, scene.duration_s):
            yield Sighting(Subject("place", name, room), thing, _later(span, start_s))
    for span, is_open in _runs(kept.open, scene.duration_s):
        yield Sighting(Subject("opener", room.opens, room), is_open, _later(span, start_s))
    for span, code in _readable(scene):
        yield Sighting(Subject("sign", room.name, room), code, _later(span, start_s))


def _readable(scene: RoomScene) -> Iterator[tuple[Span, str]]:
    """What the sign says, dark too, where that lasts long enough to be read."""
    for span, code in _runs(scene.kept.sign, scene.duration_s):
        if span.duration_s >= READ_S:
            yield span, code


def _runs(steps: Sequence[tuple[float, _S]], end_s: float) -> list[tuple[Span, _S]]:
    """Each value with the stretch for which it held."""
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
    """Who comes stays until they leave."""
    came: dict[Person, LoggedEvent] = {}
    for event in events:
        who = event.act.who
        if who is not None and event.act.kind == "comes":
            came[who] = event
        elif who is not None and event.act.kind == "leaves":
            yield Visit(who, event.act.room, Span(came.pop(who).at_s, event.at_s))
