"""Script of the drawn house: people come, carry, put down, take, open, close, hand over and leave.

    house = furnish(seed=7, lasts_s=600.0)
    house.view(61.5)        # the room on camera at that time
    house.happenings        # all acts, in order of time

One camera is on at a time, in one room. The other rooms keep their state.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from ...memory.values import Span
from ...perception.sources.frame import Picture
from ..demo_video import DemoTimeline, PlacedScene
from ..scenes import WIDTH, Truth
from .drawing import Figure, RoomView, draw
from .vocabulary_words import DIGITS, LETTERS, PEOPLE, ROOMS, THINGS, Act, Person, Room, Thing

_T = TypeVar("_T")

_OUTSIDE = 64
"""Pixels beyond the edge of the picture at which a person and what they carry are out of sight."""
_READ_S = 1.0
"""How long a code must be shown to count as an act."""
_HANDLES_S = 0.7
"""How long an arm takes to reach out, and to come back."""
_SIDES = ("left", "right")
_SAME_S = 0.001


class _Steps(Generic[_T]):
    """A value that changes at certain times."""

    def __init__(self, first: _T) -> None:
        self._times_s: list[float] = []
        self._values = [first]

    def set(self, time_s: float, value: _T) -> None:
        self._times_s.append(time_s)
        self._values.append(value)

    def at(self, time_s: float) -> _T:
        return self._values[bisect_right(self._times_s, time_s)]

    @property
    def last(self) -> _T:
        return self._values[-1]

    @property
    def all(self) -> list[tuple[float, _T]]:
        """Each value with the time from which it holds."""
        return list(zip([0.0, *self._times_s], self._values, strict=True))

    def with_each(self, change: Callable[[_T], _T]) -> _Steps[_T]:
        """The same times with other values."""
        changed = _Steps(change(self._values[0]))
        for time_s, value in self.all[1:]:
            changed.set(time_s, change(value))
        return changed


@dataclass(frozen=True, slots=True)
class Placement:
    """The states of a room during a scene: each value with the time from which it holds, in seconds of the scene."""

    on: tuple[list[tuple[float, Thing | None]], list[tuple[float, Thing | None]]]
    """The things on its two places."""
    open: list[tuple[float, bool]]
    sign: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Happening:
    """One act on camera, and its span."""

    span: Span
    act: Act


@dataclass
class _Visit:
    person: Person
    track: list[tuple[float, float]]
    """Times, and the horizontal position of the figure's middle at each, in pixels."""
    facing: _Steps[int]
    holds: _Steps[Thing | None]
    handles_s: list[float] = field(default_factory=list)

    def figure(self, time_s: float) -> Figure | None:
        if not self.track[0][0] <= time_s < self.track[-1][0]:
            return None
        times_s, places = zip(*self.track, strict=True)
        x = float(np.interp(time_s, times_s, places))
        ahead = float(np.interp(time_s + 0.05, times_s, places))
        near_s = min((abs(time_s - handled_s) for handled_s in self.handles_s), default=_HANDLES_S)
        reach = max(0.0, 1 - near_s / _HANDLES_S)
        walks = abs(ahead - x) > 1
        return Figure(self.person, x, self.facing.at(time_s), walks, self.holds.at(time_s), reach)


@dataclass
class RoomScene:
    """What one camera sees while it is on. It is a ``Scene`` of ``worlds.scenes``."""

    room: Room
    look: int
    duration_s: float
    happenings: Sequence[Happening]
    """In seconds since the scene began."""
    _visits: Sequence[_Visit]
    _on: tuple[_Steps[Thing | None], _Steps[Thing | None]]
    _open: _Steps[bool]
    _sign: _Steps[str]

    def view(self, time_s: float) -> RoomView:
        """The room ``time_s`` seconds after the scene began."""
        figures = (visit.figure(time_s) for visit in self._visits)
        return RoomView(
            self.room,
            tuple(figure for figure in figures if figure is not None),
            (self._on[0].at(time_s), self._on[1].at(time_s)),
            self._open.at(time_s),
            self._sign.at(time_s),
            step_s=time_s,
            look=self.look,
        )

    def draw(self, time_s: float) -> Picture:
        """The picture ``time_s`` seconds after the scene began."""
        return draw(self.view(time_s))

    @property
    def kept(self) -> Placement:
        """The states of the room, and their times."""
        return Placement((self._on[0].all, self._on[1].all), self._open.all, self._sign.all)

    def with_person(self, coming: Happening, person: Person) -> RoomScene:
        """The same scene with another person on the visit that begins with ``coming``."""
        old_person = coming.act.who
        visit = next(
            visit
            for visit in self._visits
            if visit.person == old_person and abs(visit.track[0][0] - coming.span.start_s) < _SAME_S
        )
        stay = Span(visit.track[0][0], visit.track[-1][0])

        def changed(happening: Happening) -> Happening:
            act = happening.act
            if (
                not stay.start_s - _SAME_S
                <= happening.span.start_s
                <= happening.span.end_s
                <= stay.end_s + _SAME_S
            ):
                return happening
            new_who, new_to = (
                person if member == old_person and member is not None else member
                for member in (act.who, act.to)
            )
            return replace(happening, act=replace(act, who=new_who, to=new_to))

        visits = [
            replace(candidate, person=person) if candidate is visit else candidate
            for candidate in self._visits
        ]
        return replace(self, _visits=visits, happenings=[changed(act) for act in self.happenings])

    def with_gift(self, giving: Happening, thing: Thing) -> RoomScene:
        """The same scene with another thing given in ``giving``."""

        def held(visit: _Visit) -> _Visit:
            present = visit.track[0][0] < giving.span.middle_s < visit.track[-1][0]
            hands = visit.holds.with_each(
                lambda held_thing: thing if held_thing == giving.act.what else held_thing
            )
            return replace(visit, holds=hands) if present else visit

        changed_gift = replace(giving, act=replace(giving.act, what=thing))
        happenings = [changed_gift if happening == giving else happening for happening in self.happenings]
        return replace(self, _visits=[held(visit) for visit in self._visits], happenings=happenings)

    def with_code(self, old_code: str, code: str) -> RoomScene:
        """The same scene with the code ``code`` in place of ``old_code``."""
        happenings = [
            replace(happening, act=replace(happening.act, where=code))
            if happening.act.where == old_code
            else happening
            for happening in self.happenings
        ]
        sign = self._sign.with_each(lambda shown: code if shown == old_code else shown)
        return replace(self, _sign=sign, happenings=happenings)

    def truths(self) -> list[Truth]:
        """The acts as captions with their spans."""
        return [
            Truth(happening.span, happening.act.kind, happening.act.clause) for happening in self.happenings
        ]


@dataclass
class _State:
    """The state of a room between two scenes."""

    on: list[Thing | None] = field(default_factory=lambda: [None, None])
    open: bool = False
    sign: str = ""


class _Director:
    """Writes one scene after another. Each continues from the last state of its room."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._rooms = {room: _State() for room in ROOMS}
        for state in self._rooms.values():
            for place in (0, 1):
                if rng.random() < 0.5:
                    state.on[place] = self._somewhere_else()
            state.open = rng.random() < 0.25
            state.sign = _code(rng) if rng.random() < 0.5 else ""

    def scene(self, room: Room, least_s: float) -> RoomScene:
        """Write a scene of at least ``least_s``."""
        rng, state = self._rng, self._rooms[room]
        writer = _Writer(rng, room, state)
        writer.waits(rng.uniform(0.6, 3.0))
        while writer.now_s < least_s:
            if rng.random() < 0.22:
                writer.hands_over(self._somewhere_else())
            else:
                writer.visit(self._somewhere_else())
            writer.waits(rng.uniform(0.8, 5.0))
        scene = writer.finish()
        on = [steps.last for steps in writer.on]
        self._rooms[room] = _State(on, writer.open.last, writer.sign.last)
        return scene

    def _somewhere_else(self) -> Thing:
        """A thing that is in none of the rooms."""
        placed = {thing for state in self._rooms.values() for thing in state.on}
        return self._rng.choice([thing for thing in THINGS if thing not in placed])


class _Writer:
    """Writes one scene."""

    def __init__(self, rng: random.Random, room: Room, state: _State) -> None:
        self._rng, self._room = rng, room
        self.now_s = 0.0
        self.on = (_Steps(state.on[0]), _Steps(state.on[1]))
        self.open, self.sign = _Steps(state.open), _Steps(state.sign)
        self._visits: list[_Visit] = []
        self._found: list[Happening] = []
        if state.sign:
            self._shown_since_s = 0.0
        self._next_sign_s = rng.uniform(2.0, 16.0)

    def waits(self, seconds: float) -> None:
        """Let time pass. The sign may change."""
        self.now_s += seconds
        if self.now_s >= self._next_sign_s:
            self._next_sign_s = self.now_s + self._rng.uniform(8.0, 24.0)
            self._sign_ends()
            self.sign.set(self.now_s, _code(self._rng) if self._rng.random() < 0.75 else "")
            self._shown_since_s = self.now_s

    def visit(self, thing: Thing) -> None:
        """A person comes, perhaps with ``thing``, does up to two things and leaves."""
        rng = self._rng
        visit = self._comes(rng.choice(PEOPLE), rng.choice(_SIDES), thing if rng.random() < 0.55 else None)
        for _ in range(rng.choice((1, 1, 2))):
            self._does_something(visit)
        if rng.random() < 0.3:
            self.waits(rng.uniform(0.5, 2.5))
        self._leaves(visit, rng.choice(_SIDES))

    def hands_over(self, thing: Thing) -> None:
        """Two people meet in the middle, one gives ``thing`` to the other, and both leave."""
        rng = self._rng
        giver_person, taker_person = rng.sample(PEOPLE, 2)
        side = rng.choice((-1, 1))
        giver = self._comes(giver_person, "left" if side > 0 else "right", thing)
        self._walks(giver, 300 - side * 66)
        taker = self._comes(taker_person, "right" if side > 0 else "left", None)
        self._walks(taker, 300 + side * 66)
        self.now_s += _HANDLES_S + 0.3
        for visit in (giver, taker):
            visit.facing.set(self.now_s - _HANDLES_S, side if visit is giver else -side)
            visit.handles_s.append(self.now_s)
        giver.holds.set(self.now_s, None)
        taker.holds.set(self.now_s, thing)
        self._add("gives", giver_person, thing, to=taker_person)
        self.now_s += _HANDLES_S + rng.uniform(0.3, 1.5)
        self._leaves(giver, "left" if side > 0 else "right")
        self._leaves(taker, "right" if side > 0 else "left")

    def finish(self) -> RoomScene:
        """End the scene and return it."""
        self._sign_ends()
        happenings = sorted(self._found, key=lambda happening: happening.span)
        return RoomScene(
            self._room,
            self._rng.randrange(64),
            self.now_s,
            happenings,
            self._visits,
            self.on,
            self.open,
            self.sign,
        )

    def _does_something(self, visit: _Visit) -> None:
        rng, held_thing = self._rng, visit.holds.last
        places = [place for place in (0, 1) if (self.on[place].last is None) == (held_thing is not None)]
        if not places or rng.random() < 0.3:
            self._opens_or_closes(visit)
            return
        place = rng.choice(places)
        self._walks(visit, self._room.stand_x[place])
        visit.facing.set(self.now_s, -1 if place == 0 else 1)
        self.now_s += _HANDLES_S + rng.uniform(0.1, 0.8)
        visit.handles_s.append(self.now_s)
        thing = held_thing or self.on[place].last
        assert thing is not None
        visit.holds.set(self.now_s, None if held_thing else thing)
        self.on[place].set(self.now_s, thing if held_thing else None)
        self._add("puts" if held_thing else "takes", visit.person, thing, self._room.places[place])
        self.now_s += _HANDLES_S + rng.uniform(0.1, 0.6)

    def _opens_or_closes(self, visit: _Visit) -> None:
        self._walks(visit, self._room.opener_x)
        visit.facing.set(self.now_s, 1 if self._room.opens_x > self._room.opener_x else -1)
        self.now_s += _HANDLES_S + 0.2
        visit.handles_s.append(self.now_s)
        was_open = self.open.last
        self.open.set(self.now_s, not was_open)
        self._add("closes" if was_open else "opens", visit.person, None, self._room.opens)
        self.now_s += _HANDLES_S + self._rng.uniform(0.1, 0.8)

    def _comes(self, person: Person, side: str, thing: Thing | None) -> _Visit:
        start, facing = (-_OUTSIDE, 1) if side == "left" else (WIDTH + _OUTSIDE, -1)
        visit = _Visit(person, [(self.now_s, start)], _Steps(facing), _Steps(thing))
        self._visits.append(visit)
        self._add("comes", person, None, side, lasts_s=1.2)
        # Every visitor walks at least into sight.
        self._walks(visit, start + facing * (_OUTSIDE + self._rng.uniform(70, 120)))
        return visit

    def _leaves(self, visit: _Visit, side: str) -> None:
        self._walks(visit, -_OUTSIDE if side == "left" else WIDTH + _OUTSIDE)
        visit.facing.set(self.now_s, visit.facing.last)
        self._add("leaves", visit.person, None, side, lasts_s=-1.2)

    def _walks(self, visit: _Visit, to_x: float) -> None:
        x = visit.track[-1][1]
        visit.track.append((self.now_s, x))
        visit.facing.set(self.now_s, 1 if to_x > x else -1)
        self.now_s += max(0.05, abs(to_x - x) / self._rng.uniform(120, 190))
        visit.track.append((self.now_s, to_x))

    def _sign_ends(self) -> None:
        # A code that is shown too briefly cannot be read, so it is no act.
        if self.sign.last and self.now_s - self._shown_since_s >= _READ_S:
            shown = Act("shows", self._room, where=self.sign.last)
            self._found.append(Happening(Span(self._shown_since_s, self.now_s), shown))

    def _add(
        self,
        kind: str,
        person: Person,
        thing: Thing | None,
        where: str = "",
        to: Person | None = None,
        lasts_s: float = 0.0,
    ) -> None:
        """Note an act: around now, or from now on, or until now, by the sign of ``lasts_s``."""
        before, after = (_HANDLES_S, _HANDLES_S) if not lasts_s else (max(0.0, -lasts_s), max(0.0, lasts_s))
        span = Span(max(0.0, self.now_s - before), self.now_s + after)
        self._found.append(Happening(span, Act(kind, self._room, person, thing, where, to)))


@dataclass
class House:
    """A drawn house: scenes of several rooms, one after another."""

    timeline: DemoTimeline
    seed: int

    @property
    def duration_s(self) -> float:
        """The length of the video, in seconds."""
        return self.timeline.duration_s

    @cached_property
    def scenes(self) -> list[tuple[float, RoomScene]]:
        """Each scene with the time at which it begins, in seconds."""
        return [(start_s, scene) for start_s, scene in _scenes(self.timeline.scenes)]

    @cached_property
    def happenings(self) -> list[Happening]:
        """All acts, in order of time, in seconds since the first picture."""
        return [
            replace(happening, span=Span(happening.span.start_s + start_s, happening.span.end_s + start_s))
            for start_s, scene in self.scenes
            for happening in scene.happenings
        ]

    def view(self, time_s: float) -> RoomView:
        """The room on camera at a time, in seconds since the first picture."""
        start_s, scene = self.scenes[max(0, bisect_right([start for start, _ in self.scenes], time_s) - 1)]
        return scene.view(time_s - start_s)


def _scenes(placed: Sequence[PlacedScene]) -> Iterator[tuple[float, RoomScene]]:
    for item in placed:
        assert isinstance(item.scene, RoomScene)
        yield item.start_s, item.scene


def furnish(seed: int | str, lasts_s: float, *, scene_s: tuple[float, float] = (12.0, 40.0)) -> House:
    """Make a house and its script.

    Args:
        seed: The same seed gives the same house. A longer house begins like a shorter one.
        lasts_s: The least length, in seconds.
        scene_s: The range of the length of a scene, in seconds.

    """
    rng = random.Random(f"house {seed}")
    director, timeline, room = _Director(rng), DemoTimeline(), rng.choice(ROOMS)
    while timeline.duration_s < lasts_s:
        timeline.add(director.scene(room, rng.uniform(*scene_s)))
        room = rng.choice([next_room for next_room in ROOMS if next_room != room])
    return House(timeline, rng.randrange(2**31))


def _code(rng: random.Random) -> str:
    return rng.choice(LETTERS) + rng.choice(DIGITS) + rng.choice(LETTERS)
