"""Questions and answers in the house's own words.

    question(HappenedSpec(Pattern("puts", what=CUP)))    # "Has somebody put the green cup down?"
    said(act, "where")                               # "on the table"

Nothing here knows what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from ..house import Act, Thing
from .event_log import Pattern, Slot
from .question_specs import (
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

WHICH = {1: "first", 2: "second", 3: "third", -1: "last", -2: "last but one"}
_EVERY = {1: "every time", 2: "every second time", 3: "every third time"}


def said(act: Act, part: Slot) -> str:
    """A part of an act, as an answer says it."""
    if part != "where":
        return str(getattr(act, part))
    match act.kind:
        case "puts":
            return f"on the {act.where}"
        case "takes":
            return f"from the {act.where}"
        case "shows":
            return act.where
        case _:
            return f"the {act.where}"


def clause(
    pattern: Pattern, names: Mapping[Slot, str] | None = None, *, tense: Literal["past", "present"] = "past"
) -> str:
    """What happens, in words: ``somebody put the green cup down``.

    Args:
        pattern: What happens.
        names: Words for slots that another act fills.
        tense: Whether it did or does happen.

    """
    who, verbs, rest = _parts(pattern, names or {})
    return f"{who} {verbs[0] if tense == 'past' else verbs[2]}{rest}"


def question(spec: Spec) -> str:
    """The question."""
    match spec:
        case ChainSpec(links):
            return _chain(links)
        case StateSpec():
            return _state(spec)
        case HappenedSpec(pattern):
            who, verbs, rest = _parts(pattern, {})
            return f"Has {who} {verbs[1]}{rest}?"
        case AgainSpec(first, pattern, lasts_s):
            _, verbs, rest = _parts(pattern, {})
            return (
                f"Take the {WHICH[first.which]} time that {clause(first.pattern)}. "
                f"Had the same person {verbs[1]}{rest} in the {duration(lasts_s)} before?"
            )
        case CountSpec(pattern, lasts_s, None):
            return f"How many times did {_infinitive(pattern)} in the last {duration(lasts_s)}?"
        case CountSpec(pattern, lasts_s, "who"):
            _, verbs, rest = _parts(pattern, {})
            return f"How many different people {verbs[0]}{rest} in the last {duration(lasts_s)}?"
        case CountSpec(pattern, lasts_s, _):
            where = f"the sign in {pattern.room}" if pattern.room else "the signs of the house"
            return f"How many different codes did {where} show in the last {duration(lasts_s)}?"
        case OrderSpec(patterns):
            return f"In which order did this happen, the earliest first: {'; '.join(map(clause, patterns))}?"
        case StaySpec(person, room):
            return f"The last time that {person} was in {room}, how long was it from coming in to leaving?"
        case LongestSpec(_, room):
            return f"Think of when each of these people was in {room} last. Who stayed longest that time?"
        case WhenSpec(pattern):
            return f"When did {_infinitive(pattern)}?"
        case UsualSpec(pattern, _):
            return f"Which room did {pattern.who} come into most often?"
        case CompanySpec(person, which):
            return f"The {WHICH[which]} time that {person} was in a room together with somebody else, who was that?"
        case AlertsSpec(pattern, lasts_s, every):
            for_s = duration(lasts_s)
            if not every:
                return f"Within the next {for_s}, tell me as soon as this happens: {clause(pattern, tense='present')}."
            return f"For the next {for_s}, tell me {_EVERY[every]} that this happens: {clause(pattern, tense='present')}."
        case ListingSpec(room, from_s, to_s):
            return (
                f"Between {clock(from_s)} and {clock(to_s)}, what did people put down, take, give, open and close in {room}? "
                "One clause for each, such as: the man in the red coat takes the blue cup from the rack."
            )


def clock(time_s: float) -> str:
    """A time of the video: ``0:12:30``."""
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def duration(seconds: float) -> str:
    """``30 seconds``, ``10 minutes``, ``2 hours``."""
    for unit_s, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= unit_s and not seconds % unit_s:
            number = round(seconds / unit_s)
            return f"{number} {name}{'s' if number != 1 else ''}"
    return f"{seconds:g} seconds"


_VERBS = {
    "puts": ("put", "put", "puts", "put"),
    "takes": ("took", "taken", "takes", "take"),
    "gives": ("gave", "given", "gives", "give"),
    "opens": ("opened", "opened", "opens", "open"),
    "closes": ("closed", "closed", "closes", "close"),
    "comes": ("came", "come", "comes", "come"),
    "leaves": ("left", "left", "leaves", "leave"),
    "shows": ("said", "said", "says", "say"),
}
_SHOWS = ("showed", "shown", "shows", "show")
"""Each as it happened, has happened, happens, and did happen."""
_NAMES: dict[Slot, str] = {
    "who": "the person who did so",
    "to": "the person who got it",
    "what": "that thing",
    "room": "that room",
}


def _parts(pattern: Pattern, names: Mapping[Slot, str]) -> tuple[str, tuple[str, str, str, str], str]:
    """Who, the verb, and the rest with its space."""
    who = names.get("who") or str(pattern.who or "somebody")
    what = names.get("what") or str(pattern.what or "something")
    room = names.get("room") or str(pattern.room or "")
    verbs = _VERBS[pattern.kind]
    match pattern.kind:
        case "shows":
            sign = f"the sign in {room}" if room else "a sign"
            return (sign, verbs, f" {pattern.where}") if pattern.where else (sign, _SHOWS, " a code")
        case "comes":
            return who, verbs, f" into {room or 'a room'}"
        case "leaves":
            return who, verbs, f" {room or 'a room'}"
        case "puts":
            rest = f" {what} on the {pattern.where}" if pattern.where else f" {what} down"
        case "takes":
            rest = f" {what} from the {pattern.where}" if pattern.where else f" {what}"
        case "gives":
            rest = f" {what} to {names.get('to') or pattern.to or 'somebody else'}"
        case _:
            rest = f" the {pattern.where}" if pattern.where else " something that opens"
    return who, verbs, f"{rest} in {room}" if room else rest


def _infinitive(pattern: Pattern) -> str:
    who, verbs, rest = _parts(pattern, {})
    return f"{who} {verbs[3]}{rest}"


def _tail(link: ChainLink) -> str:
    """The part that is asked for."""
    match link.part, link.pattern.kind:
        case "who", _:
            return "who was it?"
        case "to", _:
            return "who got it?"
        case "what", _:
            return "which thing was it?"
        case "room", _:
            return "in which room was it?"
        case _, "puts":
            return "where did it go?"
        case _, "takes":
            return "where was it taken from?"
        case _, "shows":
            return "what did it say?"
        case _:
            return "which was it?"


def _chain(links: tuple[ChainLink, ...]) -> str:
    if len(links) == 1:
        link = links[0]
        when = f"The {WHICH[link.which]} time that" if link.which else "When"
        return f"{when} {clause(link.pattern)}, {_tail(link)}"
    told = [f"Take the {_time(links[0])} that {clause(links[0].pattern)}."]
    for before, link in pairwise(links):
        names = {link.bind: _name(before)} if link.bind else {}
        act = clause(link.pattern, names)
        if link.when == "during":
            told.append("What did the sign in that room say then?")
            continue
        ago = {"after": " after that", "before": " before that"}.get(link.when, "")
        told.append(f"Now take the {_time(link)}{ago} that {act}.")
    if links[-1].when != "during":
        tail = _tail(links[-1])
        told.append(tail[0].upper() + tail[1:])
    return " ".join(told)


def _name(link: ChainLink) -> str:
    """What the next link calls what this one gave."""
    return (
        "the person who gave it" if (link.pattern.kind, link.part) == ("gives", "who") else _NAMES[link.part]
    )


def _time(link: ChainLink) -> str:
    return f"{WHICH[link.which]} time" if link.which else "time"


def _state(spec: StateSpec) -> str:
    subject = spec.subject
    when = f"at {clock(spec.at_s)}" if spec.at_s is not None else "now"
    if isinstance(subject, Thing):
        if spec.back:
            return f"Where did {subject} lie before it was put where it was last seen lying?"
        return f"Where does {subject} lie now, as far as was seen?"
    match subject.kind:
        case "place" if spec.back:
            return f"Which thing lay on the {subject.name} before the latest one?"
        case "place":
            return f"What {'is' if spec.at_s is None else 'was'} on the {subject.name} {when}, as far as was seen?"
        case "sign" if spec.back:
            return f"What did the sign in {subject.room} say before its latest code?"
        case "sign":
            return f"What {'does' if spec.at_s is None else 'did'} the sign in {subject.room} say {when}, as far as was seen?"
        case _:
            return (
                f"{'Is' if spec.at_s is None else 'Was'} the {subject.name} open {when}, as far as was seen?"
            )
