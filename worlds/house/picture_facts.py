"""Picture facts: what some pictures of one room show, worded as captions of the drawn house.

    facts = facts_in([house.view(61.0), house.view(63.5)])
    facts.caption    # "In the kitchen, the woman in the red coat comes in from the left; the fridge is open."

Facts follow from the pictures alone and not from the script. A person who is in the second picture and not in the
first came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from ..scenes import WIDTH
from .drawing import Figure, RoomView
from .vocabulary_words import Act, Person, Thing

_NEAR_EDGE = 220
"""Distance to an edge, in pixels. A person first seen within it, and turned away from the edge, came from that side."""
_WALKED = 60
_MOST = 8
"""The most entries of a list, as in the prompts."""


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What some pictures show, by the fields of a caption."""

    caption: str
    actors: tuple[str, ...]
    actions: tuple[str, ...]
    objects: tuple[str, ...]
    place: str
    visible_text: tuple[str, ...]
    acts: tuple[Act, ...]
    """The acts in the caption that can be asked about, in its order."""


def facts_in(views: Sequence[RoomView], before: RoomView | None = None) -> PictureFacts:
    """Describe pictures of one room, in order of time.

    Args:
        views: What the pictures show.
        before: How the room was last seen before them, as far as a caption of that describes it: the people, what
            they carried, and the position of things.

    """
    views = [_without_slivers(view) for view in views]
    seen_views = [*([_without_slivers(before)] if before else []), *views]
    room = views[-1].room
    people = _people(seen_views)
    acts = {person: _acts(person, seen_views, views) for person in people}
    deeds = {person: [act.deed for act in acts[person]] or [_pose(person, views)] for person in people}
    visible_acts = list(chain.from_iterable(acts.values()))
    lying, codes = _lying(views[-1], visible_acts), _codes(views)
    shown = [Act("shows", room, where=code) for code in codes]
    clauses = [f"{person} {' and '.join(deeds[person])}" for person in people] or ["nobody is there"]
    clauses += (
        [act.clause for act in lying] + _open_clause(views[-1], visible_acts) + [act.clause for act in shown]
    )
    return PictureFacts(
        caption=f"In {room}, {'; '.join(clauses)}.",
        actors=tuple(map(str, people))[:_MOST],
        actions=tuple(chain.from_iterable(deeds.values()))[:_MOST],
        objects=_things(views)[:_MOST],
        place=str(room),
        visible_text=codes,
        acts=(*visible_acts, *lying, *shown),
    )


def _without_slivers(view: RoomView) -> RoomView:
    """The view without people of whom less than half is in the picture."""
    return replace(view, figures=tuple(figure for figure in view.figures if 0 <= figure.x <= WIDTH))


def _people(views: Sequence[RoomView]) -> list[Person]:
    """The people in the pictures, in order of appearance."""
    return list(dict.fromkeys(figure.person for view in views for figure in view.figures))


def _codes(views: Sequence[RoomView]) -> tuple[str, ...]:
    """The codes of the sign, in order."""
    return tuple(dict.fromkeys(view.sign for view in views if view.sign))


def _open_clause(view: RoomView, visible_acts: Sequence[Act]) -> list[str]:
    """The clause that the opener is open, unless one of the acts opened it."""
    if view.open and not any(act.kind == "opens" for act in visible_acts):
        return [f"the {view.room.opens} is open"]
    return []


def _things(views: Sequence[RoomView]) -> tuple[str, ...]:
    """The names of the things that are held or lie in the pictures, in order."""
    things = [
        thing for view in views for thing in (*(figure.holds for figure in view.figures), *view.on) if thing
    ]
    return tuple(dict.fromkeys(map(str, things)))


def _lying(view: RoomView, visible_acts: Sequence[Act]) -> list[Act]:
    """The things that lie in the room and were not put down in one of the acts."""
    put = {act.what for act in visible_acts if act.kind == "puts"}
    return [
        Act("is", view.room, what=thing, where=place)
        for thing, place in zip(view.on, view.room.places, strict=True)
        if thing is not None and thing not in put
    ]


def _acts(person: Person, seen_views: Sequence[RoomView], views: Sequence[RoomView]) -> list[Act]:
    """The acts of a person, in order. Standing or walking in the room is not an act."""
    room = views[0].room
    figures = [_figure(person, view) for view in seen_views]
    present = [(number, figure) for number, figure in enumerate(figures) if figure is not None]
    (first_number, first), (last_number, last) = present[0], present[-1]
    in_pictures = last_number >= len(seen_views) - len(views)
    acts: list[Act] = []
    if first_number > 0:
        acts.append(Act("comes", room, person, where=_side(first, first.facing)))
    for before, after in pairwise(seen_views):
        acts += _changes(person, before, after)
    # The receiver of a gift has it. The caption need not add that they carry it.
    handled = {act.what for act in acts} | _gifts(seen_views)
    carried = [figure.holds for _, figure in present if figure.holds not in {None, *handled}]
    if carried and in_pictures:
        acts.append(Act("carries", room, person, carried[0]))
    if last_number < len(seen_views) - 1:
        acts.append(Act("leaves", room, person, where=_side(last, -last.facing) if in_pictures else ""))
    return acts


def _pose(person: Person, views: Sequence[RoomView]) -> str:
    """How a person walks, or where they stand."""
    figures = [figure for figure in (_figure(person, view) for view in views) if figure is not None]
    distance_px = figures[-1].x - figures[0].x
    if abs(distance_px) > _WALKED:
        return f"walks to the {'right' if distance_px > 0 else 'left'}"
    x = figures[-1].x
    return "is on the left" if x < 220 else "is in the middle" if x < 420 else "is on the right"


def _changes(person: Person, before: RoomView, after: RoomView) -> list[Act]:
    """The acts of a person between two pictures, as far as the pictures show them."""
    acts = _placed_or_taken(person, before, after)
    room = before.room
    if before.open != after.open and _nearest(room.opener_x, before, after) == person:
        acts.append(Act("opens" if after.open else "closes", room, person, where=room.opens))
    gift = _gift(person, before, after)
    return acts if gift is None else [*acts, gift]


def _placed_or_taken(person: Person, before: RoomView, after: RoomView) -> list[Act]:
    """The things that a person put down or took between two pictures."""
    room, acts = before.room, list[Act]()
    for old, new, place, x in zip(before.on, after.on, room.places, room.stand_x, strict=True):
        if old == new:
            continue
        if old is not None and _handler(old, after, before, x) == person:
            acts.append(Act("takes", room, person, old, place))
        if new is not None and _handler(new, before, after, x) == person:
            acts.append(Act("puts", room, person, new, place))
    return acts


def _gift(person: Person, before: RoomView, after: RoomView) -> Act | None:
    """The things that a person gave to another one between two pictures."""
    old, new = _figure(person, before), _figure(person, after)
    if old is None or old.holds is None or (new is not None and new.holds == old.holds):
        return None
    taker = next((figure.person for figure in after.figures if figure.holds == old.holds), None)
    return None if taker is None else Act("gives", before.room, person, old.holds, to=taker)


def _gifts(views: Sequence[RoomView]) -> set[Thing]:
    """Things that went from hand to hand."""
    return {
        giver.holds
        for before, after in pairwise(views)
        for giver in before.figures
        for taker in after.figures
        if giver.holds is not None and giver.holds == taker.holds and giver.person != taker.person
    }


def _handler(thing: Thing, holding: RoomView, other_view: RoomView, x: float) -> Person | None:
    """The person who handled a thing: its holder in ``holding``, or the person nearest to its place."""
    holder = next((figure.person for figure in holding.figures if figure.holds == thing), None)
    return holder or _nearest(x, holding, other_view)


def _nearest(x: float, *views: RoomView) -> Person | None:
    figures = [figure for view in views for figure in view.figures]
    return min(figures, key=lambda figure: abs(figure.x - x)).person if figures else None


def _figure(person: Person, view: RoomView) -> Figure | None:
    return next((figure for figure in view.figures if figure.person == person), None)


def _side(figure: Figure, inward: int) -> str:
    """The side from which a person came or to which they went. Empty if the picture does not show it."""
    if figure.x < _NEAR_EDGE and inward > 0:
        return "left"
    return "right" if figure.x > WIDTH - _NEAR_EDGE and inward < 0 else ""
