"""Target replies: the right reply to each prompt, derived from what the prompt shows and from nothing else.

    judge_reply(question, {"M1": ShownContent(12.5, (facts,))})
    # JudgeReply(cites=["M1"], answer="In the kitchen, the woman in …", sufficiency="all", …)

A moment settles a question, suggests an answer, is related to it, or none of these. ``JudgeReply`` and ``LookReply``
are graded accordingly. An act that no moment mentions may still have happened, so its absence is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from ...agent.prompt_building import LOOKS, JudgeReply, LookReply, PlanReply
from ...common.clock_times import format_time
from ...perception.describing.describer import DescriptionReply, MomentDescriptionReply
from ...worlds.house import PEOPLE, ROOMS, Act, HouseQuestion, Person, PictureFacts, Room, Thing
from ...worlds.house.house_questions import answers, forms_of

_MOST = 8
"""Entries in a list, as the prompts have it."""


_DEEDS = ("puts", "takes", "opens", "closes", "gives", "shows")
"""The kinds of act that a summary mentions first."""


@dataclass(frozen=True)
class ShownContent:
    """A moment in a judge prompt."""

    start_s: float
    facts: tuple[PictureFacts, ...]
    """Its descriptions, oldest first."""

    @cached_property
    def acts(self) -> list[Act]:
        """The acts in its descriptions, the newest first."""
        return list(dict.fromkeys(act for facts in reversed(self.facts) for act in facts.acts))

    @cached_property
    def names(self) -> set[str]:
        """The people and things in it, and the places and the opener of its room."""
        room = room_of(self.facts[-1])
        names = {name for facts in self.facts for name in (*facts.actors, *facts.objects)}
        return {*names, *room.places, room.opens}


def caption_reply(facts: PictureFacts) -> MomentDescriptionReply:
    """The description of a moment's pictures."""
    return MomentDescriptionReply(
        caption=facts.caption,
        actors=list(facts.actors),
        actions=list(facts.actions),
        objects=list(facts.objects),
        place=facts.place,
        visible_text=list(facts.visible_text),
    )


def summary_reply(parts: Sequence[PictureFacts]) -> DescriptionReply:
    """The summary of several moments: deeds and codes, or arrivals and departures if there are none."""
    acts = list(dict.fromkeys(act for facts in parts for act in facts.acts))
    chosen = [act for act in acts if act.kind in _DEEDS][:_MOST]
    chosen = chosen or [act for act in acts if act.kind in {"comes", "leaves", "carries"}][:_MOST]
    rooms = dict.fromkeys(str(act.room) for act in chosen) or {parts[0].place: None}
    return DescriptionReply(
        caption=". ".join(_sentences(chosen) or [f"In {parts[0].place}, nothing happens"]) + ".",
        actors=_different(act.who for act in chosen)[:_MOST],
        actions=[act.deed for act in chosen if act.who is not None],
        objects=_different(act.what for act in chosen)[:_MOST],
        place=" and ".join(rooms),
    )


def _sentences(acts: Sequence[Act]) -> list[str]:
    """One sentence for each run of acts in one room, without its full stop."""
    return [
        f"In {room}, {'; '.join(act.clause for act in run)}"
        for room, run in groupby(acts, lambda act: act.room)
    ]


def _different(names: Iterable[Person | Thing | None]) -> list[str]:
    """The names without repetitions and without None."""
    return list(dict.fromkeys(str(name) for name in names if name is not None))


def plan_reply(
    question: HouseQuestion,
    from_s: float | None,
    to_s: float | None,
    order: Literal["any", "first", "last", "every"],
) -> PlanReply:
    """The search plan: a query for everything the question states, and one for each name in it."""
    queries = [question.known, *known_names(question)][:4]
    return PlanReply(queries=queries, from_s=from_s, to_s=to_s, order=order)


def judge_reply(question: HouseQuestion, shown: Mapping[str, ShownContent]) -> JudgeReply:
    """The judgement of some moments: they settle the question, suggest an answer, are related, or none of these."""
    direct = [(name, act) for name, content in shown.items() for act in content.acts if shows(act, question)]
    if direct:
        return _settled(question, direct, "all", shown)
    suggested = [
        (name, act) for name, content in shown.items() if (act := _suggested(content, question)) is not None
    ]
    if suggested:
        return _settled(question, suggested[:1], "half", shown)
    names = list(map(_without_article, known_names(question)))
    matches = {name: sum(known in content.names for known in names) for name, content in shown.items()}
    related = sorted((name for name, count in matches.items() if count), key=lambda name: -matches[name])
    return JudgeReply(
        cites=related[:1],
        answer="",
        choice=None,
        sufficiency="little" if related else "none",
        missing=question.known,
        look_at=related[:LOOKS],
        queries=_further_queries(question),
    )


def look_reply(question: HouseQuestion, facts: PictureFacts) -> LookReply:
    """The reply to a second look at pictures: they settle the question, suggest an answer, or neither."""
    act = next((act for act in facts.acts if shows(act, question)), None)
    grade: Literal["all", "half", "none"] = "all"
    if act is None:
        act = suggested_act(facts, question)
        grade = "half" if act else "none"
    return LookReply(
        seen=facts.caption,
        visible_text=list(facts.visible_text),
        answer=replace(question, act=act).answer if act else "",
        choice=_letter(question, act) if act else None,
        sufficiency=grade,
    )


def shows(act: Act, question: HouseQuestion) -> bool:
    """Whether an act is the one asked about, and has the part that is asked for."""
    part = question.form.part
    return answers(act, question.act, part) and (part == "when" or bool(gold_of(act, part)))


def suggested_act(facts: PictureFacts, question: HouseQuestion) -> Act | None:
    """The act asked about, completed with a likely value of the part asked for; None where none is likely.

    A person who carries a thing near its place probably put it there. Of two people in a room, one of whom carries
    the gift, the other probably gave or received it.
    """
    act, part, room = question.act, question.form.part, room_of(facts)
    values: Iterable[Person | Thing | str | None] = ()
    if act.kind in {"puts", "takes"}:
        values = _handling_suggestions(act, part, facts, room)
    elif act.kind == "gives":
        values = _gift_suggestions(act, part, facts)
    value = next(iter(values), None)
    changed: dict[str, Any] = {part: value}
    return None if value is None else replace(act, room=room, **changed)


def _suggested(content: ShownContent, question: HouseQuestion) -> Act | None:
    """The act that the newest description with a suggestion suggests."""
    acts = (suggested_act(facts, question) for facts in reversed(content.facts))
    return next((act for act in acts if act is not None), None)


def _handling_suggestions(
    act: Act, part: str, facts: PictureFacts, room: Room
) -> Iterable[Person | Thing | str | None]:
    """Likely values of a part of an act in which somebody puts down or takes a thing."""
    in_room, in_picture = act.where in room.places, str(act.who) in facts.actors
    lying = [shown for shown in facts.acts if shown.kind == "is"]
    match part:
        case "who" if in_room:
            return _carriers(facts, act.what)
        case "what" if in_room and in_picture:
            on_place = [shown.what for shown in lying if shown.where == act.where]
            return on_place or _carried(facts, act.who)
        case "where" if in_picture:
            return [shown.where for shown in lying if shown.what == act.what]
        case _:
            return ()


def _gift_suggestions(act: Act, part: str, facts: PictureFacts) -> Iterable[Person | Thing | str | None]:
    """Likely values of a part of an act in which somebody gives a thing."""
    if part == "what":
        both = str(act.to) in facts.actors and str(act.who) in facts.actors
        return _carried(facts, act.who, act.to) if both else ()
    known = act.to if part == "who" else act.who
    carriers = _carriers(facts, act.what)
    if part not in {"who", "to"} or str(known) not in facts.actors or not carriers:
        return ()
    companions = [_person(name) for name in facts.actors if name != str(known)]
    return [person for person in carriers if person != known] or (companions if len(companions) == 1 else ())


def _carriers(facts: PictureFacts, thing: Thing | None) -> list[Person | None]:
    """The people who carry a thing."""
    return [act.who for act in facts.acts if act.kind == "carries" and act.what == thing]


def _carried(facts: PictureFacts, *people: Person | None) -> list[Thing | None]:
    """The things that these people carry."""
    return [act.what for act in facts.acts if act.kind == "carries" and act.who in people]


def known_names(question: HouseQuestion) -> list[str]:
    """The people, things and places that a question names, each as a search query."""
    act, part = question.act, question.form.part
    if act.kind == "shows":
        return [f"the sign in {act.room}"] if part == "where" else [f"the sign says {act.where}"]
    values = {"who": act.who, "what": act.what, "to": act.to}
    names = [str(value) for name, value in values.items() if value is not None and name != part]
    if act.where and part != "where" and act.kind not in {"comes", "leaves"}:
        names.append(f"the {act.where}")
    return names


def room_of(facts: PictureFacts) -> Room:
    """The room of the pictures."""
    return next(room for room in ROOMS if str(room) == facts.place)


def _without_article(name: str) -> str:
    """A place or opener without its article, as rooms name it; people and things unchanged."""
    bare = name.removeprefix("the ")
    return bare if any(bare in (*room.places, room.opens) for room in ROOMS) else name


def _further_queries(question: HouseQuestion) -> list[str]:
    """Further searches: for the carrier and the place of the thing, or for the people in that room."""
    act, part = question.act, question.form.part
    person = str(act.who) if act.who is not None and part != "who" else ""
    if act.what is not None and part != "what":
        return [f"{person} carries {act.what}".strip(), f"{act.what} is on"]
    rooms = [room for room in ROOMS if part != "where" and act.where in (*room.places, room.opens)]
    return [f"In {room}, {person}".rstrip(", ") for room in rooms]


def _settled(
    question: HouseQuestion,
    acts: Sequence[tuple[str, Act]],
    grade: Literal["all", "half"],
    shown: Mapping[str, ShownContent],
) -> JudgeReply:
    """The judgement that acts of some moments answer the question, for sure or probably."""
    name, act = acts[0]
    answer = replace(question, act=act).answer
    if question.form.part == "when":
        answer = f"At {format_time(shown[name].start_s)}: {answer}"
    return JudgeReply(
        cites=list(dict.fromkeys(name for name, _ in acts))[:2],
        answer=answer,
        choice=_letter(question, act),
        sufficiency=grade,
        missing="" if grade == "all" else question.known,
        look_at=[] if grade == "all" else [name],
        queries=[] if grade == "all" else _further_queries(question),
    )


def _letter(question: HouseQuestion, act: Act) -> str | None:
    """The letter of the option that an act supports."""
    gold = gold_of(act, question.form.part)
    return chr(ord("A") + question.options.index(gold)) if gold in question.options else None


def gold_of(act: Act, part: str) -> str:
    """The part of an act that a question asks for, as the answer words it."""
    return next((form.gold for form in forms_of(act) if form.part == part), "")


def _person(name: str) -> Person:
    return next(person for person in PEOPLE if str(person) == name)
