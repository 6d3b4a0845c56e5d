"""Replay solver: answers the questions a second time, from the contents of the pictures alone, to check the oracle.

    Replay(house, 600.0).answer(spec)      # equals the oracle's answer, or one of them is wrong

It steps through what the camera shows, room by room, and infers from one view to the next what each person did. It
shares no code with the event log and the oracle. Of the script it knows only how long an act is defined to take. It
is slow, and meant for houses of some minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from ..house import House, Person, Room, RoomScene, Thing
from ..house.drawing import RoomView
from .event_log import Pattern, Subject
from .oracle import AnswerValue
from .question_specs import (
    CARRIED_OFF,
    NOT_SEEN,
    NOTHING,
    AgainSpec,
    AlertsSpec,
    ChainLink,
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
from .question_wording import clause

_STEP_S = 0.3
"""Time between two views. The same thing never changes twice within it."""
_WALK_S, _HAND_S, _SIGN_S = 1.2, 0.7, 1.0
_ViewState = dict[str, Hashable]
"""The distinguishable parts of a view, by name."""


@dataclass
class _Note:
    """An act that was inferred from the views."""

    at_s: float
    from_s: float
    to_s: float
    known_s: float
    slots: dict[str, str]
    """``kind``, ``room`` and the other parts of the act, as text."""

    @property
    def clause(self) -> str:
        """The act as a listing words it."""
        s = self.slots
        rest = {
            "puts": f"{s.get('what')} on the {s.get('where')}",
            "takes": f"{s.get('what')} from the {s.get('where')}",
            "gives": f"{s.get('what')} to {s.get('to')}",
        }.get(s["kind"], f"the {s.get('where')}")
        return f"{s['who']} {s['kind']} {rest}"

    def part(self, slot: str) -> str:
        """A slot as an answer words it."""
        prefix = {"puts": "on the ", "takes": "from the ", "shows": ""}.get(self.slots["kind"], "the ")
        return prefix + self.slots[slot] if slot == "where" else self.slots[slot]


@dataclass(frozen=True, slots=True)
class _Stay:
    """A person in a room."""

    person: str
    room: str
    from_s: float
    to_s: float
    over: bool
    """Whether the person left."""


@dataclass
class _SceneWatch:
    """One scene while it is watched. Times are seconds since the scene began, unless a name says otherwise."""

    scene: RoomScene
    start_s: float
    """When the scene begins in the video."""
    last_s: float
    """The last time that may be viewed."""
    signs: list[tuple[float, Hashable]] = field(default_factory=list)
    """The text of the sign, and since when it is shown."""
    arrivals_s: dict[str, float] = field(default_factory=dict)
    """When each person in the room came."""

    @property
    def room(self) -> str:
        return str(self.scene.room)

    @property
    def cut(self) -> bool:
        """Whether the watching ends before the scene does."""
        return self.last_s < self.scene.duration_s - 1e-3

    def times_s(self) -> list[float]:
        """The times of the views."""
        times_s = [number * _STEP_S for number in range(int(self.last_s / _STEP_S) + 1)]
        return [*times_s, self.last_s] if self.last_s > times_s[-1] else times_s

    def look(self, time_s: float) -> _ViewState:
        return _view_state(self.scene.view(time_s))


class Replay:
    """The acts and states that the pictures up to ``until_s`` show."""

    def __init__(self, house: House, until_s: float) -> None:
        self._house, self._until_s = house, until_s
        self._notes: list[_Note] = []
        self._stays: list[_Stay] = []
        self._shown: dict[str, list[tuple[float, Hashable]]] = {}
        """By subject, its looks, each with the time since when it was on camera."""
        for start_s, scene in house.scenes:
            if start_s < until_s:
                self._watch(_SceneWatch(scene, start_s, min(scene.duration_s - 1e-6, until_s - start_s)))
        self._notes.sort(key=lambda note: (note.known_s, note.at_s))
        self._notes = [note for note in self._notes if note.known_s <= until_s]

    def answer(self, spec: Spec) -> AnswerValue | None:
        """The answer. None if the question has no single answer."""
        match spec:
            case ChainSpec(links):
                return self._follow(links)
            case StateSpec():
                return self._state(spec)
            case HappenedSpec(pattern):
                return "yes" if self.notes(pattern) else "no"
            case AgainSpec():
                return self._again(spec)
            case CountSpec():
                return self._count(spec)
            case OrderSpec(patterns):
                return self._in_order(patterns)
            case StaySpec(person, room):
                return self._stay(person, room)
            case LongestSpec():
                return self._longest(spec)
            case WhenSpec(pattern):
                return self._when(pattern)
            case UsualSpec():
                return self._usual(spec)
            case CompanySpec(person, position):
                return self._company(str(person), position)
            case AlertsSpec():
                return self._alerts(spec)
            case ListingSpec():
                return self._listing(spec)

    def notes(self, pattern: Pattern) -> list[_Note]:
        """The acts that fit a pattern, in the order in which they became known."""
        slots = {"kind": pattern.kind} | {slot: str(filler) for slot, filler in pattern.slots.items()}
        return [note for note in self._notes if slots.items() <= note.slots.items()]

    # Watching.

    def _watch(self, watch: _SceneWatch) -> None:
        """Go through a scene up to the last time that may be viewed."""
        times_s = watch.times_s()
        before_s, before = 0.0, watch.look(0.0)
        for name, value in before.items():
            if name.startswith("sign"):
                watch.signs.append((0.0, value))
            elif name.startswith(("on", "open")):
                self._shown.setdefault(name, []).append((watch.start_s, value))
        for time_s in times_s[1:]:
            now = watch.look(time_s)
            for name in sorted({*before, *now}):
                if before.get(name) != now.get(name):
                    self._changed(
                        watch, name, now.get(name), _when_changed(watch.look, name, before_s, time_s)
                    )
            before_s, before = time_s, now
        self._stays += [
            _Stay(person, watch.room, watch.start_s + from_s, watch.start_s + watch.last_s, over=False)
            for person, from_s in watch.arrivals_s.items()
            if from_s + _WALK_S <= watch.last_s
        ]
        self._read_sign(watch)

    def _changed(self, watch: _SceneWatch, name: str, value: Hashable, at_s: float) -> None:
        """Note one change between two views."""
        if name.startswith("sign"):
            watch.signs.append((at_s, value))
            return
        if name.startswith(("on", "open")):
            self._shown[name].append((watch.start_s + at_s, value))
        if name.startswith("there"):
            self._came_or_left(watch, name.partition(" ")[2], at_s)
            return
        before, after = watch.scene.view(at_s - 1e-4), watch.scene.view(at_s + 1e-4)
        slots = _deed(name, before, after)
        if slots is not None:
            time_s = watch.start_s + at_s
            from_s, to_s = time_s - _HAND_S, time_s + _HAND_S
            self._notes.append(_Note(time_s, from_s, to_s, to_s, {"room": watch.room, **slots}))

    def _came_or_left(self, watch: _SceneWatch, person: str, at_s: float) -> None:
        """Note that a person came into the room or left it."""
        before, after = watch.scene.view(at_s - 1e-4), watch.scene.view(at_s + 1e-4)
        time_s = watch.start_s + at_s
        if person not in _holdings(before):
            watch.arrivals_s[person] = at_s
            slots = {"room": watch.room, "kind": "comes", "who": person}
            self._notes.append(_Note(time_s, time_s, time_s + _WALK_S, time_s + _WALK_S, slots))
        elif person not in _holdings(after):
            from_s = watch.start_s + watch.arrivals_s.pop(person)
            self._stays.append(_Stay(person, watch.room, from_s, time_s, over=True))
            slots = {"room": watch.room, "kind": "leaves", "who": person}
            self._notes.append(_Note(time_s, time_s - _WALK_S, time_s, time_s, slots))

    def _read_sign(self, watch: _SceneWatch) -> None:
        """Note the texts that the sign showed in a scene for long enough to be read."""
        ends_s = [*(from_s for from_s, _ in watch.signs[1:]), watch.last_s]
        for (from_s, code), to_s in zip(watch.signs, ends_s, strict=True):
            if to_s - from_s < _SIGN_S - 1e-5:
                continue
            at_s = watch.start_s + from_s
            self._shown.setdefault(f"sign {watch.room}", []).append((at_s, code))
            if code:
                slots = {"kind": "shows", "room": watch.room, "where": str(code)}
                self._notes.append(_Note(at_s, at_s, watch.start_s + to_s, at_s + _SIGN_S, slots))

    # Answering.

    def _again(self, spec: AgainSpec) -> str | None:
        notes = self.notes(spec.first.pattern)
        position = spec.first.position
        if len(notes) < abs(position):
            return None
        first = notes[position - (position > 0)]
        earliest_s = max(0, first.at_s - spec.lasts_s)
        same_person = (note for note in self.notes(spec.pattern) if note.slots["who"] == first.slots["who"])
        return "yes" if any(earliest_s <= note.at_s < first.at_s for note in same_person) else "no"

    def _count(self, spec: CountSpec) -> float:
        notes = [note for note in self.notes(spec.pattern) if note.at_s >= self._until_s - spec.lasts_s]
        if spec.distinct is None:
            return float(len(notes))
        return float(len({note.slots[spec.distinct] for note in notes}))

    def _when(self, pattern: Pattern) -> tuple[tuple[float, float], ...] | None:
        notes = self.notes(pattern)
        if not notes or len(notes) > 3 or notes[-1].to_s >= self._until_s:
            return None
        return tuple((note.from_s, note.to_s) for note in notes)

    def _usual(self, spec: UsualSpec) -> str | None:
        counts = Counter(note.part(spec.part) for note in self.notes(spec.pattern))
        best = max(counts.values(), default=0)
        ahead = [part for part, number in counts.items() if number > best - 2]
        return ahead[0] if len(ahead) == 1 and best >= 2 else None

    def _alerts(self, spec: AlertsSpec) -> tuple[float, ...]:
        later = Replay(self._house, self._until_s + spec.lasts_s)
        times_s = [note.at_s for note in later.notes(spec.pattern) if note.at_s >= self._until_s]
        if not spec.every:
            return tuple(times_s[:1])
        return tuple(at_s for number, at_s in enumerate(times_s, start=1) if number % spec.every == 0)

    def _listing(self, spec: ListingSpec) -> tuple[str, ...]:
        deeds = [
            note
            for note in sorted(self._notes, key=lambda note: note.at_s)
            if note.slots["kind"] in {"puts", "takes", "gives", "opens", "closes"}
            and note.slots["room"] == str(spec.room)
            and spec.from_s <= note.at_s <= spec.to_s
        ]
        return tuple(dict.fromkeys(note.clause for note in deeds))

    def _follow(self, links: tuple[ChainLink, ...]) -> str | None:
        anchor: _Note | None = None
        filler = ""
        for link in links:
            notes = self.notes(link.pattern)
            if anchor is not None:
                notes = [note for note in notes if _continues(note, link, anchor, filler)]
            if link.position == 0 and not notes and len(links) == 1:
                return NOT_SEEN
            if (link.position == 0 and len(notes) != 1) or len(notes) < abs(link.position):
                return None
            anchor = {
                0: notes[:1],
                1: notes[:1],
                2: notes[1:2],
                3: notes[2:3],
                -1: notes[-1:],
                -2: notes[-2:-1],
            }[link.position][0]
            filler = anchor.slots[link.part]
        return anchor.part(links[-1].part) if anchor else None

    def _state(self, spec: StateSpec) -> str | None:
        subject = spec.subject
        if isinstance(subject, Thing):
            return self._whereabouts(subject, spec.back)
        shown = self._looks(subject)
        if spec.at_s is not None:
            shown = [(from_s, value) for from_s, value in shown if from_s <= spec.at_s]
        if spec.back:
            values = _without_repeats([value for _, value in shown if value])
            return str(values[-1 - spec.back]) if len(values) > spec.back else None
        if not shown:
            return None
        value = shown[-1][1]
        if subject.kind == "opener":
            return "yes" if value else "no"
        return str(value) if value else NOTHING

    def _looks(self, subject: Subject) -> list[tuple[float, Hashable]]:
        """The looks of a subject, and since when it had each."""
        if subject.kind == "place":
            return self._shown.get(f"on {subject.room} {subject.name}", [])
        return self._shown.get(
            f"sign {subject.room}" if subject.kind == "sign" else f"open {subject.room}", []
        )

    def _whereabouts(self, thing: Thing, back: int) -> str | None:
        sightings: list[tuple[float, str]] = []
        current: list[str] = []
        for name, shown in self._shown.items():
            if not name.startswith("on "):
                continue
            place = f"on the {name.rsplit(' ', 1)[1]}"
            sightings += [(from_s, place) for from_s, value in shown if value == thing]
            current += [place] if shown[-1][1] == thing else []
        if len(current) > 1 or not sightings:
            return None
        if back:
            places = _without_repeats([place for _, place in sorted(sightings)])
            return str(places[-1 - back]) if len(places) > back else None
        if current:
            return current[0]
        slots = {"kind": "takes", "what": str(thing)}
        return CARRIED_OFF if any(slots.items() <= note.slots.items() for note in self._notes) else None

    def _in_order(self, patterns: tuple[Pattern, ...]) -> tuple[str, ...] | None:
        clauses: list[tuple[float, str]] = []
        for pattern in patterns:
            notes = self.notes(pattern)
            if len(notes) != 1:
                return None
            if any(notes[0].at_s == at_s for at_s, _ in clauses):
                return None
            clauses.append((notes[0].at_s, clause(pattern)))
        return tuple(text for _, text in sorted(clauses))

    def _last_stay_s(self, person: Person, room: Room) -> float | None:
        """The length of a person's last complete stay in a room."""
        lengths_s = [
            stay.to_s - stay.from_s
            for stay in self._stays
            if stay.over and (stay.person, stay.room) == (str(person), str(room))
        ]
        return lengths_s[-1] if lengths_s else None

    def _stay(self, person: Person, room: Room) -> str | None:
        stay_s = self._last_stay_s(person, room)
        if stay_s is None:
            return None
        close_lengths_s = [
            length_s for length_s in (5, 7.5, 11, 16, 24) if 0.9 * length_s <= stay_s <= 1.1 * length_s
        ]
        return f"about {close_lengths_s[0]:g} seconds" if close_lengths_s else None

    def _longest(self, spec: LongestSpec) -> str | None:
        stays_s = {str(person): self._last_stay_s(person, spec.room) for person in spec.people}
        complete = {person: stay_s for person, stay_s in stays_s.items() if stay_s is not None}
        if len(complete) < len(spec.people):
            return None
        longest = max(complete, key=lambda person: complete[person])
        second_s = max(stay_s for person, stay_s in complete.items() if person != longest)
        return longest if complete[longest] >= 1.25 * second_s else None

    def _company(self, person: str, position: int) -> str | None:
        meetings = sorted(
            (max(stay.from_s, guest.from_s), guest.person)
            for stay in self._stays
            for guest in self._stays
            if stay.person == person != guest.person
            if stay.from_s < guest.to_s and guest.from_s < stay.to_s
        )
        if len(meetings) < abs(position):
            return None
        return meetings[0][1] if position > 0 else meetings[-1][1]


def _continues(note: _Note, link: ChainLink, anchor: _Note, filler: str) -> bool:
    """Whether a note fits a link of a chain after ``anchor``, which gave ``filler``."""
    if link.bind and note.slots.get(link.bind) != filler:
        return False
    match link.when:
        case "after":
            return note.at_s > anchor.at_s
        case "before":
            return note.at_s < anchor.at_s
        case "during":
            return note.from_s <= anchor.at_s < note.to_s
        case _:
            return True


def _without_repeats(values: list[Hashable] | list[str]) -> list[Hashable]:
    """The values without those that equal the one before."""
    return [value for number, value in enumerate(values) if not number or value != values[number - 1]]


def _view_state(view: RoomView) -> _ViewState:
    room = view.room
    state: _ViewState = {f"on {room} {name}": thing for name, thing in zip(room.places, view.on, strict=True)}
    state |= {f"open {room}": view.open, f"sign {room}": view.sign}
    for figure in view.figures:
        state |= {f"there {figure.person}": True, f"holds {figure.person}": figure.holds}
    return state


def _holdings(view: RoomView) -> dict[str, Thing | None]:
    """The people in a view, and the thing that each holds."""
    return {str(figure.person): figure.holds for figure in view.figures}


def _deed(name: str, before: RoomView, after: RoomView) -> dict[str, str] | None:
    """The act that changed ``name`` of a view. None if the change shows no act."""
    room = after.room
    if name.startswith("holds"):
        return _gift(name.partition(" ")[2], before, after)
    if name.startswith("on"):
        place = room.places.index(name.rsplit(" ", 1)[1])
        old, new = before.on[place], after.on[place]
        hands = _holdings(before) if new else _holdings(after)
        (doer,) = (person for person, thing in hands.items() if thing == (new or old))
        kind = "puts" if new else "takes"
        return {"kind": kind, "who": doer, "what": str(new or old), "where": room.places[place]}
    nearest = min(after.figures, key=lambda figure: abs(figure.x - room.opener_x))
    return {"kind": "opens" if after.open else "closes", "who": str(nearest.person), "where": room.opens}


def _gift(giver: str, before: RoomView, after: RoomView) -> dict[str, str] | None:
    """The person who got the thing that ``giver`` no longer holds. None if no person did."""
    thing, still_holds = _holdings(before).get(giver), _holdings(after).get(giver)
    takers = [
        person
        for person, holds in _holdings(after).items()
        if holds == thing and _holdings(before).get(person) != thing
    ]
    if thing is None or still_holds is not None or not takers:
        return None
    return {"kind": "gives", "who": giver, "what": str(thing), "to": takers[0]}


def _when_changed(look: Callable[[float], _ViewState], name: str, from_s: float, to_s: float) -> float:
    """When something changed, to a microsecond."""
    old = look(from_s).get(name)
    while to_s - from_s > 1e-7:
        middle_s = (from_s + to_s) / 2
        if look(middle_s).get(name) == old:
            from_s = middle_s
        else:
            to_s = middle_s
    return to_s
