"""Answers the same questions a second time, from the pictures' contents alone: for checking the oracle.

    Replay(house, 600.0).answer(spec)      # the same as the oracle's, or one of them is wrong

It steps through what the camera sees, room by room, works out from one view to the next what somebody did, and reads
its notes from the top. It shares no code with the log and the oracle: what it knows of the script is how long an act
is said to last. It is slow, and meant for minutes of a house.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..house import House, Person, Room, RoomScene, Thing
from ..house.drawing import RoomView
from .event_log import Pattern, Subject
from .oracle import Answered
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
"""Nothing is so quick that two changes of the same thing lie within this."""
_WALK_S, _HAND_S, _SIGN_S = 1.2, 0.7, 1.0
_Seen = dict[str, Hashable]
"""What can be told apart in a view, by name."""


@dataclass
class _Note:
    """Somebody did something."""

    at_s: float
    from_s: float
    to_s: float
    known_s: float
    slots: dict[str, str]
    """``kind``, ``room`` and what else there is, in words."""

    @property
    def told(self) -> str:
        """The part of a listing."""
        s = self.slots
        rest = {
            "puts": f"{s.get('what')} on the {s.get('where')}",
            "takes": f"{s.get('what')} from the {s.get('where')}",
            "gives": f"{s.get('what')} to {s.get('to')}",
        }.get(s["kind"], f"the {s.get('where')}")
        return f"{s['who']} {s['kind']} {rest}"

    def part(self, slot: str) -> str:
        """A slot as an answer says it."""
        before = {"puts": "on the ", "takes": "from the ", "shows": ""}.get(self.slots["kind"], "the ")
        return before + self.slots[slot] if slot == "where" else self.slots[slot]


class Replay:
    """What a patient watcher knows at ``until_s``."""

    def __init__(self, house: House, until_s: float) -> None:
        self._house, self._until_s = house, until_s
        self._notes: list[_Note] = []
        self._stays: list[tuple[str, str, float, float, bool]] = []
        """Who, where, from, to, and whether they left."""
        self._shown: dict[str, list[tuple[float, Hashable]]] = {}
        """By subject, how it looked and since when that was on camera."""
        for start_s, scene in house.scenes:
            if start_s < until_s:
                self._watch(start_s, scene)
        self._notes.sort(key=lambda note: (note.known_s, note.at_s))
        self._notes = [note for note in self._notes if note.known_s <= until_s]

    def answer(self, spec: Spec) -> Answered | None:
        """The answer; None where there is none."""
        match spec:
            case ChainSpec(links):
                return self._follow(links)
            case StateSpec():
                return self._state(spec)
            case HappenedSpec(pattern):
                return "yes" if self._such(pattern) else "no"
            case AgainSpec(first, pattern, lasts_s):
                notes = self._such(first.pattern)
                if len(notes) < abs(first.which):
                    return None
                one = notes[first.which - (first.which > 0)]
                for note in self._such(pattern):
                    if (
                        note.slots["who"] == one.slots["who"]
                        and max(0, one.at_s - lasts_s) <= note.at_s < one.at_s
                    ):
                        return "yes"
                return "no"
            case CountSpec(pattern, lasts_s, distinct):
                notes = [note for note in self._such(pattern) if note.at_s >= self._until_s - lasts_s]
                return float(len({note.slots[distinct] for note in notes}) if distinct else len(notes))
            case OrderSpec(patterns):
                return self._in_order(patterns)
            case StaySpec(person, room):
                return self._stay(person, room)
            case LongestSpec():
                return self._longest(spec)
            case WhenSpec(pattern):
                notes = self._such(pattern)
                over = notes and notes[-1].to_s < self._until_s
                return tuple((note.from_s, note.to_s) for note in notes) if over and len(notes) < 4 else None
            case UsualSpec(pattern, part):
                tally = Counter(note.part(part) for note in self._such(pattern))
                best = max(tally.values(), default=0)
                ahead = [one for one, number in tally.items() if number > best - 2]
                return ahead[0] if len(ahead) == 1 and best >= 2 else None
            case CompanySpec(person, which):
                return self._company(str(person), which)
            case AlertsSpec(pattern, lasts_s, every):
                later = Replay(self._house, self._until_s + lasts_s)
                times_s = [note.at_s for note in later._such(pattern) if note.at_s >= self._until_s]
                if not every:
                    return tuple(times_s[:1])
                return tuple(at_s for number, at_s in enumerate(times_s, start=1) if number % every == 0)
            case ListingSpec(room, from_s, to_s):
                told: list[str] = []
                for note in sorted(self._notes, key=lambda note: note.at_s):
                    deed = note.slots["kind"] in {"puts", "takes", "gives", "opens", "closes"}
                    if deed and note.slots["room"] == str(room) and from_s <= note.at_s <= to_s:
                        told += [note.told] if note.told not in told else []
                return tuple(told)

    # Watching.

    def _watch(self, start_s: float, scene: RoomScene) -> None:
        """Go through a scene, as far as the clock allows."""
        room = str(scene.room)
        last_s = min(scene.duration_s - 1e-6, self._until_s - start_s)
        times_s = [number * _STEP_S for number in range(int(last_s / _STEP_S) + 1)]
        times_s += [last_s] if last_s > times_s[-1] else []
        look: Callable[[float], _Seen] = lambda time_s: _seen(scene.view(time_s))  # noqa: E731
        signs: list[tuple[float, Hashable]] = []
        came: dict[str, float] = {}
        before_s, before = 0.0, look(0.0)
        for name, value in before.items():
            if name.startswith("sign"):
                signs.append((0.0, value))
            elif name.startswith(("on", "open")):
                self._shown.setdefault(name, []).append((start_s, value))
        for time_s in times_s[1:]:
            now = look(time_s)
            for name in sorted({*before, *now}):
                if before.get(name) != now.get(name):
                    at_s = _when(look, name, before_s, time_s)
                    if name.startswith("sign"):
                        signs.append((at_s, now[name]))
                        continue
                    if name.startswith(("on", "open")):
                        self._shown[name].append((start_s + at_s, now[name]))
                    self._note(name, start_s, at_s, scene, came)
            before_s, before = time_s, now
        self._stays += [
            (who, room, start_s + from_s, start_s + last_s, False)
            for who, from_s in came.items()
            if from_s + _WALK_S <= last_s
        ]
        self._read(room, start_s, signs, last_s, cut=last_s < scene.duration_s - 1e-3)

    def _note(self, name: str, start_s: float, at_s: float, scene: RoomScene, came: dict[str, float]) -> None:
        """Work out what somebody did when something changed."""
        before, after = scene.view(at_s - 1e-4), scene.view(at_s + 1e-4)
        slots, who, time_s = {"room": str(scene.room)}, name.partition(" ")[2], start_s + at_s
        if name.startswith("there"):
            if who not in _people(before):
                came[who] = at_s
                slots |= {"kind": "comes", "who": who}
                self._notes.append(_Note(time_s, time_s, time_s + _WALK_S, time_s + _WALK_S, slots))
            elif who not in _people(after):
                from_s = came.pop(who)
                self._stays.append((who, str(scene.room), start_s + from_s, time_s, True))
                slots |= {"kind": "leaves", "who": who}
                self._notes.append(_Note(time_s, time_s - _WALK_S, time_s, time_s, slots))
            return
        span_s = (time_s - _HAND_S, time_s + _HAND_S)
        if name.startswith("holds"):
            had, has = _people(before).get(who), _people(after).get(who)
            takers = [
                one
                for one, thing in _people(after).items()
                if thing == had and _people(before).get(one) != had
            ]
            if had is None or has is not None or not takers:
                return
            slots |= {"kind": "gives", "who": who, "what": str(had), "to": takers[0]}
        elif name.startswith("on"):
            place = scene.room.places.index(name.rsplit(" ", 1)[1])
            was, now = before.on[place], after.on[place]
            hands = _people(before) if now else _people(after)
            (doer,) = (one for one, thing in hands.items() if thing == (now or was))
            slots |= {"kind": "puts" if now else "takes", "who": doer, "what": str(now or was)}
            slots["where"] = scene.room.places[place]
        else:
            nearest = min(after.figures, key=lambda figure: abs(figure.x - scene.room.opener_x))
            slots |= {"kind": "opens" if after.open else "closes", "who": str(nearest.person)}
            slots["where"] = scene.room.opens
        self._notes.append(_Note(time_s, *span_s, span_s[1], slots))

    def _read(
        self, room: str, start_s: float, signs: list[tuple[float, Hashable]], last_s: float, *, cut: bool
    ) -> None:
        """Read what a sign said in a scene."""
        for number, (from_s, code) in enumerate(signs):
            to_s = signs[number + 1][0] if number + 1 < len(signs) else last_s
            if to_s - from_s < _SIGN_S - 1e-5:
                continue
            self._shown.setdefault(f"sign {room}", []).append((start_s + from_s, code))
            if code:
                slots = {"kind": "shows", "room": room, "where": str(code)}
                at_s = start_s + from_s
                self._notes.append(_Note(at_s, at_s, start_s + to_s, at_s + _SIGN_S, slots))

    # Answering.

    def _such(self, pattern: Pattern) -> list[_Note]:
        """The notes of such acts."""
        wanted = {"kind": pattern.kind} | {slot: str(filler) for slot, filler in pattern.slots.items()}
        return [note for note in self._notes if wanted.items() <= note.slots.items()]

    def _follow(self, links: tuple[ChainLink, ...]) -> str | None:
        at: _Note | None = None
        gave = ""
        for link in links:
            left = []
            for note in self._such(link.pattern):
                if at is not None and link.bind and note.slots.get(link.bind) != gave:
                    continue
                if at is not None and (
                    (link.when == "after" and note.at_s <= at.at_s)
                    or (link.when == "before" and note.at_s >= at.at_s)
                    or (link.when == "during" and not note.from_s <= at.at_s < note.to_s)
                ):
                    continue
                left.append(note)
            if link.which == 0:
                if not left and len(links) == 1:
                    return NOT_SEEN
                if len(left) != 1:
                    return None
            if len(left) < abs(link.which):
                return None
            at = {0: left[:1], 1: left[:1], 2: left[1:2], 3: left[2:3], -1: left[-1:], -2: left[-2:-1]}[
                link.which
            ][0]
            gave = at.slots[link.part]
        return at.part(links[-1].part) if at else None

    def _state(self, spec: StateSpec) -> str | None:
        subject = spec.subject
        if isinstance(subject, Thing):
            return self._lies(subject, spec.back)
        shown = self._of(subject)
        if spec.at_s is not None:
            shown = [one for one in shown if one[0] <= spec.at_s]
        if spec.back:
            told: list[Hashable] = []
            for _, value in shown:
                if value and (not told or told[-1] != value):
                    told.append(value)
            return str(told[-1 - spec.back]) if len(told) > spec.back else None
        if not shown:
            return None
        value = shown[-1][1]
        if subject.kind == "opener":
            return "yes" if value else "no"
        return str(value) if value else NOTHING

    def _of(self, subject: Subject) -> list[tuple[float, Hashable]]:
        if subject.kind == "place":
            return self._shown.get(f"on {subject.room} {subject.name}", [])
        return self._shown.get(
            f"sign {subject.room}" if subject.kind == "sign" else f"open {subject.room}", []
        )

    def _lies(self, thing: Thing, back: int) -> str | None:
        told: list[tuple[float, str]] = []
        here: list[str] = []
        for name, shown in self._shown.items():
            if not name.startswith("on "):
                continue
            place = f"on the {name.rsplit(' ', 1)[1]}"
            told += [(from_s, place) for from_s, value in shown if value == thing]
            here += [place] if shown[-1][1] == thing else []
        if len(here) > 1 or not told:
            return None
        if not back:
            taken = any(
                note.slots["kind"] == "takes" and note.slots["what"] == str(thing) for note in self._notes
            )
            return here[0] if here else CARRIED_OFF if taken else None
        ways: list[str] = []
        for _, place in sorted(told):
            ways += [place] if not ways or ways[-1] != place else []
        return ways[-1 - back] if len(ways) > back else None

    def _in_order(self, patterns: tuple[Pattern, ...]) -> tuple[str, ...] | None:
        found: list[tuple[float, str]] = []
        for pattern in patterns:
            notes = self._such(pattern)
            if len(notes) != 1:
                return None
            if any(notes[0].at_s == at_s for at_s, _ in found):
                return None
            found.append((notes[0].at_s, clause(pattern)))
        return tuple(words for _, words in sorted(found))

    def _last_stay(self, person: Person, room: Room) -> float | None:
        lengths = [
            to_s - from_s
            for who, where, from_s, to_s, over in self._stays
            if over and (who, where) == (str(person), str(room))
        ]
        return lengths[-1] if lengths else None

    def _stay(self, person: Person, room: Room) -> str | None:
        lasted_s = self._last_stay(person, room)
        if lasted_s is None:
            return None
        near = [told_s for told_s in (5, 7.5, 11, 16, 24) if 0.9 * told_s <= lasted_s <= 1.1 * told_s]
        return f"about {near[0]:g} seconds" if near else None

    def _longest(self, spec: LongestSpec) -> str | None:
        lasted_s = {str(person): self._last_stay(person, spec.room) for person in spec.people}
        known = {who: length_s for who, length_s in lasted_s.items() if length_s is not None}
        if len(known) < len(spec.people):
            return None
        first = max(known, key=lambda who: known[who])
        rest = max(length_s for who, length_s in known.items() if who != first)
        return first if known[first] >= 1.25 * rest else None

    def _company(self, who: str, which: int) -> str | None:
        met = sorted(
            (max(mine[2], other[2]), other[0])
            for mine in self._stays
            for other in self._stays
            if mine[0] == who != other[0] and mine[2] < other[3] and other[2] < mine[3]
        )
        if len(met) < abs(which):
            return None
        return met[0][1] if which > 0 else met[-1][1]


def _seen(view: RoomView) -> _Seen:
    room = view.room
    seen: _Seen = {f"on {room} {name}": thing for name, thing in zip(room.places, view.on, strict=True)}
    seen |= {f"open {room}": view.open, f"sign {room}": view.sign}
    for figure in view.figures:
        seen |= {f"there {figure.person}": True, f"holds {figure.person}": figure.holds}
    return seen


def _people(view: RoomView) -> dict[str, Thing | None]:
    return {str(figure.person): figure.holds for figure in view.figures}


def _when(look: Callable[[float], _Seen], name: str, from_s: float, to_s: float) -> float:
    """When something changed, to a microsecond."""
    was = look(from_s).get(name)
    while to_s - from_s > 1e-7:
        middle_s = (from_s + to_s) / 2
        if look(middle_s).get(name) == was:
            from_s = middle_s
        else:
            to_s = middle_s
    return to_s
