"""The right reply to each prompt: what follows from what it shows, and from nothing else.

    judged(asked, {"M1": ShownContent(12.5, (seen,))})
    # JudgeReply(cites=["M1"], answer="In the kitchen, the woman in …", sufficiency="all", …)

A moment settles a question, suggests an answer, touches on it, or does neither; ``JudgeReply`` and ``LookReply`` grade
accordingly. That something is not told of is never taken for a sign that it did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from ...agent.prompt_building import LOOKS, JudgeReply, LookReply, PlanReply
from ...common.clock_times import clock
from ...perception.describing.describer import DescriptionReply, MomentDescriptionReply
from ...worlds.house import PEOPLE, ROOMS, Act, HouseQuestion, Person, PictureFacts, Room, Thing
from ...worlds.house.house_questions import answers, forms_of

_MOST = 8
"""Entries in a list, as the prompts have it."""
_WORTH_TELLING = ("puts", "takes", "opens", "closes", "gives", "shows")


@dataclass(frozen=True)
class ShownContent:
    """A moment that is judged from."""

    start_s: float
    told: tuple[PictureFacts, ...]
    """What was said of it, oldest first."""

    @cached_property
    def acts(self) -> list[Act]:
        """What it tells, the newest first."""
        return list(dict.fromkeys(act for seen in reversed(self.told) for act in seen.acts))

    @cached_property
    def names(self) -> set[str]:
        """Who and what is in it, and the places and whatever else belongs to its room."""
        room = room_of(self.told[-1])
        told = {name for seen in self.told for name in (*seen.actors, *seen.objects)}
        return {*told, *room.places, room.opens}


def described(seen: PictureFacts) -> MomentDescriptionReply:
    """What pictures show."""
    return MomentDescriptionReply(
        caption=seen.caption,
        actors=list(seen.actors),
        actions=list(seen.actions),
        objects=list(seen.objects),
        place=seen.place,
        visible_text=list(seen.visible_text),
    )


def told(parts: Sequence[PictureFacts]) -> DescriptionReply:
    """What happens in several moments: deeds and signs; where there are none, who comes and goes."""
    acts = list(dict.fromkeys(act for seen in parts for act in seen.acts))
    worth = [act for act in acts if act.kind in _WORTH_TELLING][:_MOST]
    worth = worth or [act for act in acts if act.kind in {"comes", "leaves", "carries"}][:_MOST]
    sentences: list[str] = []
    for number, act in enumerate(worth):
        if number and worth[number - 1].room == act.room:
            sentences[-1] += f"; {act.clause}"
        else:
            sentences.append(f"In {act.room}, {act.clause}")
    rooms = dict.fromkeys(str(act.room) for act in worth) or {parts[0].place: None}
    people = dict.fromkeys(str(act.who) for act in worth if act.who is not None)
    return DescriptionReply(
        caption=". ".join(sentences or [f"In {parts[0].place}, nothing happens"]) + ".",
        actors=list(people)[:_MOST],
        actions=[act.deed for act in worth if act.who is not None],
        objects=list(dict.fromkeys(str(act.what) for act in worth if act.what is not None))[:_MOST],
        place=" and ".join(rooms),
    )


def planned(
    asked: HouseQuestion,
    from_s: float | None,
    to_s: float | None,
    order: Literal["any", "first", "last", "every"],
) -> PlanReply:
    """What to search for: what is asked, and each of whom and what it speaks."""
    return PlanReply(queries=[asked.known, *known_names(asked)][:4], from_s=from_s, to_s=to_s, order=order)


def judged(asked: HouseQuestion, shown: Mapping[str, ShownContent]) -> JudgeReply:
    """How far moments settle a question: they show it, suggest an answer, touch on it, or do not."""
    direct = [(name, act) for name, each in shown.items() for act in each.acts if shows(act, asked)]
    if direct:
        return _settled(asked, direct, "all", shown)
    suggested = [
        (name, act)
        for name, each in shown.items()
        if (act := next(filter(None, (suggests(seen, asked) for seen in reversed(each.told))), None))
    ]
    if suggested:
        return _settled(asked, suggested[:1], "half", shown)
    known = known_names(asked)
    touched = {name: sum(one in each.names for one in map(_bare, known)) for name, each in shown.items()}
    near = sorted((name for name, count in touched.items() if count), key=lambda name: -touched[name])
    return JudgeReply(
        cites=near[:1],
        answer="",
        choice=None,
        sufficiency="little" if near else "none",
        missing=asked.known,
        look_at=near[:LOOKS],
        queries=_elsewhere(asked),
    )


def looked(asked: HouseQuestion, seen: PictureFacts) -> LookReply:
    """How far pictures settle a question."""
    found = next((act for act in seen.acts if shows(act, asked)), None)
    grade: Literal["all", "half", "none"] = "all"
    if found is None:
        found = suggests(seen, asked)
        grade = "half" if found else "none"
    return LookReply(
        seen=seen.caption,
        visible_text=list(seen.visible_text),
        answer=replace(asked, act=found).answer if found else "",
        choice=_letter(asked, found) if found else None,
        sufficiency=grade,
    )


def shows(act: Act, asked: HouseQuestion) -> bool:
    """Whether an act is what is asked about, and has the part that is asked for."""
    part = asked.form.part
    return answers(act, asked.act, part) and (part == "when" or bool(gold_of(act, part)))


def suggests(seen: PictureFacts, asked: HouseQuestion) -> Act | None:
    """What is asked, completed by what makes an answer likely without showing it; None where nothing does.

    Whoever carries a thing where it is put down will have put it there; of two who are there, of whom one carries
    what was given, the other will have got it or given it.
    """
    act, part, room = asked.act, asked.form.part, room_of(seen)
    carries = [each for each in seen.acts if each.kind == "carries"]
    lies = [each for each in seen.acts if each.kind == "is"]
    found: Iterable[Person | Thing | str | None] = ()
    match act.kind, part:
        case (("puts" | "takes"), "who") if act.where in room.places:
            found = (each.who for each in carries if each.what == act.what)
        case (("puts" | "takes"), "what") if act.where in room.places and str(act.who) in seen.actors:
            there = [each.what for each in lies if each.where == act.where]
            found = there or [each.what for each in carries if each.who == act.who]
        case (("puts" | "takes"), "where") if str(act.who) in seen.actors:
            found = (each.where for each in lies if each.what == act.what)
        case "gives", ("who" | "to"):
            known = act.to if part == "who" else act.who
            with_it = [each.who for each in carries if each.what == act.what]
            others = [_person(name) for name in seen.actors if name != str(known)]
            if str(known) in seen.actors and with_it:
                found = [who for who in with_it if who != known] or (others if len(others) == 1 else ())
        case "gives", "what" if str(act.to) in seen.actors and str(act.who) in seen.actors:
            found = (each.what for each in carries if each.who in {act.who, act.to})
    value = next(iter(found), None)
    changed: dict[str, Any] = {part: value}
    return None if value is None else replace(act, room=room, **changed)


def known_names(asked: HouseQuestion) -> list[str]:
    """Whom, what and where a question speaks of, each as a search for it."""
    act, part = asked.act, asked.form.part
    if act.kind == "shows":
        return [f"the sign in {act.room}"] if part == "where" else [f"the sign says {act.where}"]
    named = {"who": act.who, "what": act.what, "to": act.to}
    found = [str(value) for name, value in named.items() if value is not None and name != part]
    if act.where and part != "where" and act.kind not in {"comes", "leaves"}:
        found.append(f"the {act.where}")
    return found


def room_of(seen: PictureFacts) -> Room:
    """Where it is."""
    return next(room for room in ROOMS if str(room) == seen.place)


def _bare(name: str) -> str:
    """A place without its article, as rooms have it; who and what stays as it is."""
    bare = name.removeprefix("the ")
    return bare if any(bare in (*room.places, room.opens) for room in ROOMS) else name


def _elsewhere(asked: HouseQuestion) -> list[str]:
    """What else to search for: who carries the thing and where it lies, or whoever it was in that room."""
    act, part = asked.act, asked.form.part
    who = str(act.who) if act.who is not None and part != "who" else ""
    if act.what is not None and part != "what":
        return [f"{who} carries {act.what}".strip(), f"{act.what} is on"]
    rooms = [room for room in ROOMS if part != "where" and act.where in (*room.places, room.opens)]
    return [f"In {room}, {who}".rstrip(", ") for room in rooms]


def _settled(
    asked: HouseQuestion,
    found: Sequence[tuple[str, Act]],
    grade: Literal["all", "half"],
    shown: Mapping[str, ShownContent],
) -> JudgeReply:
    name, act = found[0]
    answer = replace(asked, act=act).answer
    if asked.form.part == "when":
        answer = f"At {clock(shown[name].start_s)}: {answer}"
    return JudgeReply(
        cites=list(dict.fromkeys(name for name, _ in found))[:2],
        answer=answer,
        choice=_letter(asked, act),
        sufficiency=grade,
        missing="" if grade == "all" else asked.known,
        look_at=[] if grade == "all" else [name],
        queries=[] if grade == "all" else _elsewhere(asked),
    )


def _letter(asked: HouseQuestion, act: Act) -> str | None:
    """The option that an act speaks for."""
    gold = gold_of(act, asked.form.part)
    return chr(ord("A") + asked.options.index(gold)) if gold in asked.options else None


def gold_of(act: Act, part: str) -> str:
    """The part of an act that a question asks for, as it is said."""
    return next((form.gold for form in forms_of(act) if form.part == part), "")


def _person(name: str) -> Person:
    return next(person for person in PEOPLE if str(person) == name)
