"""Question wording: turns the data of a question and of its answer into text.

    question(HappenedSpec(Pattern("puts", what=CUP)))    # "Has somebody put the green cup down?"
    slot_text(act, "where")                              # "on the table"

It does not read the event log.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

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


def slot_text(act: Act, part: Slot) -> str:
    """A part of an act, worded as an answer."""
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
    """An act as a clause: ``somebody put the green cup down``.

    Args:
        pattern: The act.
        names: Words for the slots that another act fills.
        tense: The tense of the verb.

    """
    subject, verb, rest = _parts(pattern, names or {})
    return f"{subject} {verb.past if tense == 'past' else verb.present}{rest}"


def question(spec: Spec) -> str:
    """The text of a question."""
    match spec:
        case ChainSpec(links):
            return _chain(links)
        case StateSpec():
            return _state(spec)
        case HappenedSpec(pattern):
            subject, verb, rest = _parts(pattern, {})
            return f"Has {subject} {verb.participle}{rest}?"
        case AgainSpec():
            return _again(spec)
        case CountSpec():
            return _count(spec)
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
        case CompanySpec(person, position):
            return f"The {WHICH[position]} time that {person} was in a room together with somebody else, who was that?"
        case AlertsSpec():
            return _alerts(spec)
        case ListingSpec(room, from_s, to_s):
            return (
                f"Between {clock(from_s)} and {clock(to_s)}, what did people put down, take, give, open and close in {room}? "
                "One clause for each, such as: the man in the red coat takes the blue cup from the rack."
            )


def _again(spec: AgainSpec) -> str:
    _, verb, rest = _parts(spec.pattern, {})
    return (
        f"Take the {WHICH[spec.first.position]} time that {clause(spec.first.pattern)}. "
        f"Had the same person {verb.participle}{rest} in the {duration(spec.lasts_s)} before?"
    )


def _count(spec: CountSpec) -> str:
    pattern, period = spec.pattern, duration(spec.lasts_s)
    if spec.distinct is None:
        return f"How many times did {_infinitive(pattern)} in the last {period}?"
    if spec.distinct == "who":
        _, verb, rest = _parts(pattern, {})
        return f"How many different people {verb.past}{rest} in the last {period}?"
    signs = f"the sign in {pattern.room}" if pattern.room else "the signs of the house"
    return f"How many different codes did {signs} show in the last {period}?"


def _alerts(spec: AlertsSpec) -> str:
    period, act = duration(spec.lasts_s), clause(spec.pattern, tense="present")
    if not spec.every:
        return f"Within the next {period}, tell me as soon as this happens: {act}."
    return f"For the next {period}, tell me {_EVERY[spec.every]} that this happens: {act}."


def clock(time_s: float) -> str:
    """A time of the video as hours, minutes and seconds: ``0:12:30``."""
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def duration(seconds: float) -> str:
    """A period in its largest whole unit: ``30 seconds``, ``10 minutes``, ``2 hours``."""
    for unit_s, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= unit_s and not seconds % unit_s:
            number = round(seconds / unit_s)
            return f"{number} {name}{'s' if number != 1 else ''}"
    return f"{seconds:g} seconds"


class _Verb(NamedTuple):
    past: str
    participle: str
    present: str
    infinitive: str


_VERBS = {
    "puts": _Verb("put", "put", "puts", "put"),
    "takes": _Verb("took", "taken", "takes", "take"),
    "gives": _Verb("gave", "given", "gives", "give"),
    "opens": _Verb("opened", "opened", "opens", "open"),
    "closes": _Verb("closed", "closed", "closes", "close"),
    "comes": _Verb("came", "come", "comes", "come"),
    "leaves": _Verb("left", "left", "leaves", "leave"),
    "shows": _Verb("said", "said", "says", "say"),
}
_SHOWS = _Verb("showed", "shown", "shows", "show")
_NAMES: dict[Slot, str] = {
    "who": "the person who did so",
    "to": "the person who got it",
    "what": "that thing",
    "room": "that room",
}


def _parts(pattern: Pattern, names: Mapping[Slot, str]) -> tuple[str, _Verb, str]:
    """The subject of a clause, its verb, and the rest with a leading space."""
    subject = names.get("who") or str(pattern.who or "somebody")
    room = names.get("room") or str(pattern.room or "")
    verb = _VERBS[pattern.kind]
    match pattern.kind:
        case "shows":
            sign = f"the sign in {room}" if room else "a sign"
            return (sign, verb, f" {pattern.where}") if pattern.where else (sign, _SHOWS, " a code")
        case "comes":
            return subject, verb, f" into {room or 'a room'}"
        case "leaves":
            return subject, verb, f" {room or 'a room'}"
        case _:
            rest = _object(pattern, names)
            return subject, verb, f"{rest} in {room}" if room else rest


def _object(pattern: Pattern, names: Mapping[Slot, str]) -> str:
    """The objects of a verb, with a leading space."""
    thing_text = names.get("what") or str(pattern.what or "something")
    match pattern.kind:
        case "puts":
            return f" {thing_text} on the {pattern.where}" if pattern.where else f" {thing_text} down"
        case "takes":
            return f" {thing_text} from the {pattern.where}" if pattern.where else f" {thing_text}"
        case "gives":
            return f" {thing_text} to {names.get('to') or pattern.to or 'somebody else'}"
        case _:
            return f" the {pattern.where}" if pattern.where else " something that opens"


def _infinitive(pattern: Pattern) -> str:
    subject, verb, rest = _parts(pattern, {})
    return f"{subject} {verb.infinitive}{rest}"


def _tail(link: ChainLink) -> str:
    """The question word for the part of the act."""
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
        when = f"The {WHICH[link.position]} time that" if link.position else "When"
        return f"{when} {clause(link.pattern)}, {_tail(link)}"
    sentences = [f"Take the {_time(links[0])} that {clause(links[0].pattern)}."]
    for before, link in pairwise(links):
        names = {link.bind: _name(before)} if link.bind else {}
        act = clause(link.pattern, names)
        if link.when == "during":
            sentences.append("What did the sign in that room say then?")
            continue
        relation = {"after": " after that", "before": " before that"}.get(link.when, "")
        sentences.append(f"Now take the {_time(link)}{relation} that {act}.")
    if links[-1].when != "during":
        tail = _tail(links[-1])
        sentences.append(tail[0].upper() + tail[1:])
    return " ".join(sentences)


def _name(link: ChainLink) -> str:
    """The words with which the next link refers to the part that this link gives."""
    return (
        "the person who gave it" if (link.pattern.kind, link.part) == ("gives", "who") else _NAMES[link.part]
    )


def _time(link: ChainLink) -> str:
    return f"{WHICH[link.position]} time" if link.position else "time"


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
