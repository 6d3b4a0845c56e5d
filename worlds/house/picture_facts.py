"""What some pictures of one room show, in the house's own words.

    seen = tell([house.view(61.0), house.view(63.5)])
    seen.caption    # "In the kitchen, the woman in the red coat comes in from the left; the fridge is open."

Only what the pictures themselves give away is told: who is there in the second and not in the first
came in, whatever the script knows besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..scenes import WIDTH
from .drawing import Figure, RoomView
from .vocabulary_words import Act, Person, Thing

_NEAR_EDGE = 220
"""Who is first seen nearer to an edge than this, and turned away from it, came from there."""
_WALKED = 60
_MOST = 8
"""Entries in a list, as the prompts have it."""


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What is told of some pictures, by the fields of a caption."""

    caption: str
    actors: tuple[str, ...]
    actions: tuple[str, ...]
    objects: tuple[str, ...]
    place: str
    visible_text: tuple[str, ...]
    acts: tuple[Act, ...]
    """What the caption says that can be asked about, in its order."""


def tell(views: Sequence[RoomView], before: RoomView | None = None) -> PictureFacts:
    """What is seen in pictures of one room, in order of time.

    Args:
        views: What the pictures show.
        before: How the room was last seen before them, as far as a caption of that tells: who was there, what
            they carried, and what was where.

    """
    views = [_without_slivers(view) for view in views]
    known = [*([_without_slivers(before)] if before else []), *views]
    last, room = views[-1], views[-1].room
    people = list(dict.fromkeys(figure.person for view in known for figure in view.figures))
    acts = {person: _acts(person, known, views) for person in people}
    deeds = {person: [act.deed for act in acts[person]] or [_pose(person, views)] for person in people}
    done = [act for person in people for act in acts[person]]
    put = {act.what for act in done if act.kind == "puts"}
    codes = list(dict.fromkeys(view.sign for view in views if view.sign))
    lying = [
        Act("is", room, what=thing, where=place)
        for thing, place in zip(last.on, room.places, strict=True)
        if thing is not None and thing not in put
    ]
    shown = [Act("shows", room, where=code) for code in codes]
    told = [f"{person} {' and '.join(deeds[person])}" for person in people] or ["nobody is there"]
    told += [act.clause for act in lying]
    if last.open and not any(act.kind == "opens" for act in done):
        told.append(f"the {room.opens} is open")
    told += [act.clause for act in shown]
    things = dict.fromkeys(thing for view in views for thing in _things(view))
    return PictureFacts(
        caption=f"In {room}, {'; '.join(told)}.",
        actors=tuple(map(str, people))[:_MOST],
        actions=tuple(deed for person in people for deed in deeds[person])[:_MOST],
        objects=tuple(map(str, things))[:_MOST],
        place=str(room),
        visible_text=tuple(codes),
        acts=(*done, *lying, *shown),
    )


def _without_slivers(view: RoomView) -> RoomView:
    """Without those of whom less than half is in the picture."""
    return replace(view, figures=tuple(figure for figure in view.figures if 0 <= figure.x <= WIDTH))


def _things(view: RoomView) -> list[Thing]:
    held = [figure.holds for figure in view.figures]
    return [thing for thing in (*held, *view.on) if thing is not None]


def _acts(person: Person, known: Sequence[RoomView], views: Sequence[RoomView]) -> list[Act]:
    """What somebody does, in order; nothing where they only are there."""
    room = views[0].room
    there = [_figure(person, view) for view in known]
    seen = [(number, figure) for number, figure in enumerate(there) if figure is not None]
    (first_at, first), (last_at, last) = seen[0], seen[-1]
    in_pictures = last_at >= len(known) - len(views)
    found: list[Act] = []
    if first_at > 0:
        found.append(Act("comes", room, person, where=_side(first, first.facing)))
    for before, after in pairwise(known):
        found += _changes(person, before, after)
    # Who was given something has it, and need not be said to carry it.
    handled = {act.what for act in found} | _given(known)
    carried = [figure.holds for _, figure in seen if figure.holds not in {None, *handled}]
    if carried and in_pictures:
        found.append(Act("carries", room, person, carried[0]))
    if last_at < len(known) - 1:
        found.append(Act("leaves", room, person, where=_side(last, -last.facing) if in_pictures else ""))
    return found


def _pose(person: Person, views: Sequence[RoomView]) -> str:
    """Where somebody is who does nothing else."""
    seen = [figure for figure in (_figure(person, view) for view in views) if figure is not None]
    way = seen[-1].x - seen[0].x
    if abs(way) > _WALKED:
        return f"walks to the {'right' if way > 0 else 'left'}"
    x = seen[-1].x
    return "is on the left" if x < 220 else "is in the middle" if x < 420 else "is on the right"


def _changes(person: Person, before: RoomView, after: RoomView) -> list[Act]:
    """What somebody did between two pictures, as they give it away."""
    room, found = before.room, []
    for was, now, name, x in zip(before.on, after.on, room.places, room.stand_x, strict=True):
        if was == now:
            continue
        if was is not None and _doer(was, after, before, x) == person:
            found.append(Act("takes", room, person, was, name))
        if now is not None and _doer(now, before, after, x) == person:
            found.append(Act("puts", room, person, now, name))
    if before.open != after.open and _nearest(room.opener_x, before, after) == person:
        found.append(Act("opens" if after.open else "closes", room, person, where=room.opens))
    had, has = _figure(person, before), _figure(person, after)
    if had is not None and had.holds is not None and (has is None or has.holds != had.holds):
        taker = next((figure.person for figure in after.figures if figure.holds == had.holds), None)
        if taker is not None:
            found.append(Act("gives", room, person, had.holds, to=taker))
    return found


def _given(views: Sequence[RoomView]) -> set[Thing]:
    """Things that went from hand to hand."""
    return {
        had.holds
        for before, after in pairwise(views)
        for had in before.figures
        for has in after.figures
        if had.holds is not None and had.holds == has.holds and had.person != has.person
    }


def _doer(thing: Thing, holding: RoomView, other: RoomView, x: float) -> Person | None:
    """Who handled a thing: who holds it in one of the pictures, else who is nearest to its place."""
    holder = next((figure.person for figure in holding.figures if figure.holds == thing), None)
    return holder or _nearest(x, holding, other)


def _nearest(x: float, *views: RoomView) -> Person | None:
    figures = [figure for view in views for figure in view.figures]
    return min(figures, key=lambda figure: abs(figure.x - x)).person if figures else None


def _figure(person: Person, view: RoomView) -> Figure | None:
    return next((figure for figure in view.figures if figure.person == person), None)


def _side(figure: Figure, inward: int) -> str:
    """The side somebody came from or went to, where the picture gives it away."""
    if figure.x < _NEAR_EDGE and inward > 0:
        return "left"
    return "right" if figure.x > WIDTH - _NEAR_EDGE and inward < 0 else ""
