"""The kinds of question, each drawn for one moment of one life.

    drafts = KINDS["needle"](moment)       # one, several that belong together, or none

What each of them asks, and where it may mislead, is said with it. Each draws its options first and then which of them
is right (``draws``), so that a text alone tells nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from ..house import PEOPLE, ROOMS, THINGS, Room, Thing
from ..house.vocabulary_words import DIGITS, LETTERS
from .event_log import (
    OPENERS,
    PLACES,
    SIGNS,
    EventLog,
    Filler,
    LoggedEvent,
    Pattern,
    Slot,
    Subject,
    pattern_of,
    with_slots,
)
from .option_drawing import OPTIONS, AskingTime, QuestionDraft, choose, decide, mixed, pooled
from .oracle import answer
from .question_forms import (
    AGAIN,
    AWAITED,
    BEFORE,
    COUNTED,
    COUNTS,
    FACTS,
    NEEDLES,
    NEIGHBOURS,
    NEVER,
    ORDINALS,
    STANDING,
)
from .question_specs import (
    CARRIED_OFF,
    DEEDS,
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
from .question_wording import clause, slot_text

_T = TypeVar("_T")
_WINDOWS_S = (20.0, 60.0, 300.0, 1200.0, 3600.0, 7200.0, 21600.0)
_HORIZONS_S = (30.0, 120.0, 600.0, 3600.0, 21600.0)
_SHARED: tuple[Slot, ...] = ("who", "what", "room")
_APART_S = 4.0
"""Acts to be put in order are no nearer to each other."""


def needle(moment: AskingTime) -> list[QuestionDraft]:
    """A part of an act that happened once; or that was not seen, each of its parts elsewhere though."""
    kind, part, given = moment.rng.choice(NEEDLES)
    acts = moment.acts(kind)
    pool = pooled(
        (ChainSpec((ChainLink(pattern_of(event.act, *given), part),)) for event in acts), moment.log
    )
    pool.pop(NOT_SEEN, None)
    pool |= pooled(
        (ChainSpec((ChainLink(miss, part),)) for miss in _near_misses(acts, given, moment)), moment.log
    )
    return choose(moment, pool, always=NOT_SEEN)


def happened(moment: AskingTime) -> list[QuestionDraft]:
    """Whether somebody did something; where not, all but one of its parts are of an act that was."""
    kind = moment.rng.choice(("puts", "takes", "gives"))
    given: tuple[Slot, ...] = ("who", "what", "to") if kind == "gives" else ("who", "what", "where")
    acts = moment.acts(kind)
    pool = {
        "yes": [HappenedSpec(pattern_of(event.act, *given)) for event in acts],
        "no": [HappenedSpec(miss) for miss in _near_misses(acts, given, moment)],
    }
    return decide(moment, pool)


def now(moment: AskingTime) -> list[QuestionDraft]:
    """How something is, as last seen; how it was before is always an option."""
    return _state(moment, back=0)


def before(moment: AskingTime) -> list[QuestionDraft]:
    """How something was before, or at a time of the video; how it is now is always an option."""
    return _state(moment, back=1) if moment.rng.random() < 0.5 else _once(moment)


def ordinal(moment: AskingTime) -> list[QuestionDraft]:
    """Who or what was the first, second, third, last but one or last; the others of these are the options."""
    kind, part, given = moment.rng.choice(ORDINALS)
    for event in moment.acts(kind)[:20]:
        pattern = pattern_of(event.act, *given)
        specs = [ChainSpec((ChainLink(pattern, part, which),)) for which in (1, 2, 3, -2, -1)]
        pool = pooled(specs, moment.log)
        if len(pool) >= OPTIONS:
            return choose(moment, pool)
    return []


def neighbour(moment: AskingTime) -> list[QuestionDraft]:
    """What came next after an act, or before it; what came a little later or earlier are the options."""
    kind, part, given = moment.rng.choice(NEIGHBOURS)
    for anchor in moment.acts("puts", "takes", "gives")[:20]:
        slots: tuple[Slot, ...] = (
            ("who", "what", "to") if anchor.act.kind == "gives" else ("who", "what", "where")
        )
        first = ChainLink(pattern_of(anchor.act, *slots), "room")
        room = {"room": anchor.act.room} if "room" in given else {}
        pattern = with_slots(Pattern(kind), dict[Slot, Filler](room))  # type: ignore[arg-type]
        links = [ChainLink(pattern, part, which, when="after") for which in (1, 2)]
        links += [ChainLink(pattern, part, which, when="before") for which in (-1, -2)]
        pool = pooled((ChainSpec((first, link)) for link in links), moment.log)
        if len(pool) >= OPTIONS:
            return choose(moment, pool, hops=2)
    return []


def count(moment: AskingTime) -> list[QuestionDraft]:
    """How often something happened lately, or how many different ones there were; any number is as likely."""
    kind, given, distinct = moment.rng.choice(COUNTED)
    lasts_s = moment.rng.choice([each_s for each_s in _WINDOWS_S if each_s < moment.ends_s])
    pool: dict[float, list[tuple[Spec, float]]] = defaultdict(list)
    for time_s in moment.other_times(16, from_s=lasts_s)[:16]:
        for pattern in _patterns(kind, given):
            spec = CountSpec(pattern, lasts_s, distinct)
            found = answer(spec, moment.at(time_s))
            if found is not None and isinstance(found.value, float):
                pool[found.value].append((spec, time_s))
    if any(number not in pool for number in COUNTS):
        return []
    counted, asked_s = moment.rng.choice(pool[moment.rng.choice(COUNTS)])
    found = answer(counted, moment.at(asked_s))
    return [QuestionDraft(counted, asked_s, "number", found, hops=len(found.evidence))] if found else []


def order(moment: AskingTime) -> list[QuestionDraft]:
    """In which order three to five acts came that have somebody, something or a room in common."""
    rng = moment.rng
    wanted, slot = rng.choice((3, 4, 5)), rng.choice(_SHARED)
    latest = moment.acts(*DEEDS)
    sharing: dict[Filler, list[LoggedEvent]] = defaultdict(list)
    for event in [*latest[:40], *moment.acts(*DEEDS, of_old=True)]:
        filler = getattr(event.act, slot)
        if filler is not None:
            sharing[filler].append(event)
    for filler in rng.sample(list(sharing), len(sharing)):
        patterns, times_s = [], list[float]()
        for event in sharing[filler]:
            pattern = Pattern(
                event.act.kind, *(getattr(event.act, each) for each in ("who", "what", "where", "to"))
            )
            if len(moment.log.acts(pattern)) == 1 and all(abs(event.at_s - t) >= _APART_S for t in times_s):
                patterns.append(pattern)
                times_s.append(event.at_s)
        if len(patterns) >= wanted:
            spec = OrderSpec(tuple(rng.sample(patterns, wanted)))
            items = mixed(map(clause, spec.patterns), rng)
            draft = moment.draft(spec, "order", items, hops=wanted)
            return [draft] if draft else []
    return []


def stay(moment: AskingTime) -> list[QuestionDraft]:
    """How long somebody stayed, or who of four stayed longest."""
    rng = moment.rng
    visitors = {(event.act.who, event.act.room) for event in moment.acts("leaves")}
    known = sorted(((who, room) for who, room in visitors if who), key=str)
    if rng.random() < 0.5:
        return choose(moment, pooled((StaySpec(who, room) for who, room in known), moment.log))
    room = rng.choice(ROOMS)
    people = sorted({who for who, where in known if where == room}, key=str)
    if len(people) < OPTIONS:
        return []
    four = tuple(rng.sample(people, OPTIONS))
    draft = moment.draft(LongestSpec(four, room), "choice", map(str, four), hops=OPTIONS)
    return [draft] if draft else []


def when(moment: AskingTime) -> list[QuestionDraft]:
    """When something happened, once or a few times; what is like it happened at other times."""
    kind, _, given = moment.rng.choice(NEEDLES)
    acts = moment.acts(kind)
    specs = [WhenSpec(pattern_of(event.act, *given)) for event in acts]
    for spec in specs:
        draft = moment.draft(spec, "span")
        if draft is not None and moment.suits(draft.found):
            return [draft]
    return []


def reading(moment: AskingTime) -> list[QuestionDraft]:
    """What a sign said first, last, or while something else happened; with options or in one's own words."""
    rng = moment.rng
    specs: list[Spec] = []
    if rng.random() < 0.5:
        which = rng.choice((1, 2, -1, -2))
        specs += [ChainSpec((ChainLink(Pattern("shows", room=room), "where", which),)) for room in ROOMS]
        hops = 1
    else:
        for event in moment.acts("puts", "takes", "gives"):
            slots: tuple[Slot, ...] = (
                ("who", "what", "to") if event.act.kind == "gives" else ("who", "what", "where")
            )
            first = ChainLink(pattern_of(event.act, *slots), "room")
            then = ChainLink(Pattern("shows"), "where", 0, bind="room", when="during")
            specs.append(ChainSpec((first, then)))
        hops = 2
    drafts = choose(moment, pooled(specs, moment.log), hops=hops)
    if drafts and rng.random() < 0.5:
        spoken = moment.draft(drafts[0].spec, "text", hops=hops)
        return [spoken] if spoken else []
    return drafts


def again(moment: AskingTime) -> list[QuestionDraft]:
    """Whether somebody is one who was there before: known by clothes, where somebody who differs in one mark was too."""
    rng = moment.rng
    (kind, slot), (then, place) = rng.choice(AGAIN), rng.choice(BEFORE)
    which, here = rng.choice((1, -1, -2)), rng.random() < 0.5
    lasts_s = rng.choice([each_s for each_s in _WINDOWS_S if each_s < moment.now_s] or [_WINDOWS_S[0]])
    pool: dict[str, list[Spec]] = defaultdict(list)
    for first in _patterns(kind, slot):
        for pattern in _patterns(then, place):
            # Who did something in a room came into it: that is told by no picture.
            same = _room_of(first) == _room_of(pattern)
            if same != (here and (kind, then) == ("comes", "comes")):
                continue
            spec = AgainSpec(ChainLink(first, "who", which), pattern, lasts_s)
            found = answer(spec, moment.log)
            if found is not None and moment.suits(found) and _look_alike(spec, moment.log):
                pool[str(found.value)].append(spec)
    return decide(moment, pool)


def chain(moment: AskingTime) -> list[QuestionDraft]:
    """Something found over two, three or four acts, each of which it takes: without any the answer is another."""
    rng = moment.rng
    hops = rng.choice((2, 3, 4))
    for _ in range(6):
        form = _walk(hops, rng)
        pool: dict[str, list[Spec]] = defaultdict(list)
        for spec in _started(form):
            found = answer(spec, moment.log)
            if found is None or not moment.suits(found) or not needs_all(spec, moment.log):
                continue
            pool[str(found.value)].append(spec)
        if len(pool) >= OPTIONS:
            return choose(moment, pool, hops=hops)
    return []


def usual(moment: AskingTime) -> list[QuestionDraft]:
    """Where somebody mostly comes; the last time it was elsewhere, and that is an option."""
    pool: dict[str, list[UsualSpec]] = defaultdict(list)
    for person in PEOPLE:
        pattern = Pattern("comes", who=person)
        habit = UsualSpec(pattern, "room")
        found = answer(habit, moment.log)
        if found is not None and found.value != slot_text(moment.log.acts(pattern)[-1].act, "room"):
            pool[str(found.value)].append(habit)
    if not pool:
        return []
    spec = moment.rng.choice(pool[moment.rng.choice(sorted(pool))])
    draft = moment.draft(spec, "choice")
    if draft is None:
        return []
    latest = slot_text(moment.log.acts(spec.pattern)[-1].act, "room")
    seen = {str(event.act.room) for event in moment.log.acts(Pattern("comes"))}
    others = sorted(seen - {latest, draft.found.value})
    if len(others) < OPTIONS - 2:
        return []
    options = mixed([str(draft.found.value), latest, *moment.rng.sample(others, OPTIONS - 2)], moment.rng)
    return [QuestionDraft(spec, moment.now_s, "choice", draft.found, options, len(draft.found.evidence))]


def company(moment: AskingTime) -> list[QuestionDraft]:
    """Who was with somebody, the first or the last time."""
    which = moment.rng.choice((1, -1))
    specs = [CompanySpec(person, which) for person in PEOPLE]
    pool = pooled((spec for spec in specs if _suits(spec, moment)), moment.log)
    return choose(moment, pool, hops=2)


def revised(moment: AskingTime) -> list[QuestionDraft]:
    """The same question at three times with three answers, all of them options each time."""
    rng = moment.rng
    kinds = ("comes", "opens", "puts", "gives", "sign")
    kind = rng.choice(kinds)
    subject = rng.choice(SIGNS)
    chained = ChainSpec((ChainLink(Pattern(kind, room=subject.room), "who", -1),))
    spec: Spec = StateSpec(subject) if kind == "sign" else chained
    times_s = moment.other_times(40)
    answers = [(time_s, answer(spec, moment.at(time_s))) for time_s in times_s]
    times: dict[str, list[float]] = defaultdict(list)
    for time_s, found in answers:
        if found is not None and found.value != NOTHING:
            times[str(found.value)].append(time_s)
    if len(times) < OPTIONS:
        return []
    options = rng.sample(sorted(times), OPTIONS)
    drafts = []
    for right in rng.sample(options, 3):
        time_s = rng.choice(times[right])
        found = answer(spec, moment.at(time_s))
        if found is not None:
            drafts.append(QuestionDraft(spec, time_s, "choice", found, tuple(options)))
    return sorted(drafts, key=lambda draft: draft.asked_at_s)


def alert(moment: AskingTime) -> list[QuestionDraft]:
    """To be told once when something happens next; three times in ten it does not."""
    rng = moment.rng
    kind, given = rng.choice(AWAITED)
    lasts_s = rng.choice([each_s for each_s in _HORIZONS_S if each_s < moment.ends_s])
    comes = moment.luck >= NEVER
    for time_s, pattern in _awaited(moment, kind, given, lasts_s, comes=comes):
        spec = AlertsSpec(pattern, lasts_s)
        found = answer(spec, moment.at(time_s))
        if found is not None and bool(found.value) == comes:
            return [QuestionDraft(spec, time_s, "alerts", found)]
    return []


def standing(moment: AskingTime) -> list[QuestionDraft]:
    """To be told every time, every second or every third time, for as long as it was said."""
    rng = moment.rng
    kind, given = rng.choice(STANDING)
    lasts_s = rng.choice([each_s for each_s in _HORIZONS_S if each_s < moment.ends_s])
    every = rng.choice((1, 2, 3))
    for time_s in rng.sample(times_s := moment.other_times(8), len(times_s)):
        if time_s + lasts_s > moment.ends_s:
            continue
        for pattern in rng.sample(patterns := list(_patterns(kind, given)), len(patterns)):
            spec = AlertsSpec(pattern, lasts_s, every)
            found = answer(spec, moment.at(time_s))
            if found is not None and 2 <= len(found.evidence) <= FACTS[1]:
                return [QuestionDraft(spec, time_s, "alerts", found, hops=len(found.evidence))]
    return []


def listing(moment: AskingTime) -> list[QuestionDraft]:
    """All that people did in a room between two times."""
    rng = moment.rng
    for event in moment.acts(*DEEDS)[:20]:
        to_s = round(event.span.end_s + 1.0)
        lasts_s = rng.choice(_WINDOWS_S[:4])
        spec = ListingSpec(event.act.room, float(max(0, round(to_s - lasts_s))), float(to_s))
        draft = moment.draft(spec, "checklist", hops=0) if to_s <= moment.now_s else None
        if draft is not None and FACTS[0] <= len(draft.found.evidence) <= FACTS[1]:
            return [
                QuestionDraft(spec, moment.now_s, "checklist", draft.found, hops=len(draft.found.evidence))
            ]
    return []


KINDS: Mapping[str, Callable[[AskingTime], list[QuestionDraft]]] = {
    "needle": needle,
    "now": now,
    "before": before,
    "ordinal": ordinal,
    "count": count,
    "order": order,
    "neighbour": neighbour,
    "stay": stay,
    "when": when,
    "reading": reading,
    "again": again,
    "chain": chain,
    "happened": happened,
    "usual": usual,
    "company": company,
    "revised": revised,
    "alert": alert,
    "standing": standing,
    "listing": listing,
}
"""Each with what draws it."""


def needs_all(spec: ChainSpec, log: EventLog) -> bool:
    """Whether a chain goes over different acts, without any of which the answer is another."""
    found = answer(spec, log)
    if found is None or len({id(event.act) for event in found.events}) < len(spec.links):
        return False
    without = (answer(spec, log.without(event)) for event in found.events)
    return all(other is None or other.value != found.value for other in without)


def _near_misses(acts: Sequence[LoggedEvent], given: tuple[Slot, ...], moment: AskingTime) -> list[Pattern]:
    """Acts that were not, by one part of another of the same kind."""
    rng, found = moment.rng, []
    for one in acts[:40]:
        if given == ("where",):
            changed = rng.randrange(3)
            signs = LETTERS if changed != 1 else DIGITS
            code = "".join(
                rng.choice(signs.replace(sign, "")) if number == changed else sign
                for number, sign in enumerate(one.act.where)
            )
            miss = Pattern("shows", where=code)
        else:
            slot = rng.choice(given)
            miss = with_slots(pattern_of(one.act, *given), {slot: getattr(rng.choice(acts).act, slot)})
        if (miss.who is None or miss.who != miss.to) and not moment.log.acts(miss):
            found.append(miss)
    return found


def _state(moment: AskingTime, back: int) -> list[QuestionDraft]:
    rng = moment.rng
    sort = rng.choice(("place", "sign", "thing", "opener") if not back else ("place", "sign", "thing"))
    if sort == "opener":
        return decide(moment, pooled((StateSpec(opener) for opener in OPENERS), moment.log))
    if sort == "thing":
        return _whereabouts(moment, back)
    subjects = PLACES if sort == "place" else SIGNS
    if not back and rng.random() < 0.5:
        return _maybe_nothing(moment, subjects)
    for one, other in _pairs(subjects, rng):
        values = [answer(StateSpec(subject, step), moment.log) for subject in (one, other) for step in (0, 1)]
        options = {str(found.value) for found in values if found}
        if len(options) == OPTIONS and NOTHING not in options:
            draft = moment.draft(StateSpec(one, back), "choice", mixed(options, rng))
            return [draft] if draft else []
    return []


def _maybe_nothing(moment: AskingTime, subjects: Sequence[Subject]) -> list[QuestionDraft]:
    """How something is that may be empty; what was there before is an option."""
    could: dict[bool, list[QuestionDraft]] = {True: [], False: []}
    for one, other in _pairs(subjects, moment.rng):
        mine = [run.shown for run in moment.log.history(one, empty=False)][-2:]
        theirs = [run.shown for run in moment.log.history(other, empty=False)][-1:]
        options = {NOTHING, *map(str, mine), *map(str, theirs)}
        draft = moment.draft(StateSpec(one), "choice", mixed(options, moment.rng))
        if draft is not None and len(mine) == 2 and len(options) == OPTIONS:
            could[draft.found.value == NOTHING].append(draft)
    return _either(could, moment)


def _whereabouts(moment: AskingTime, back: int) -> list[QuestionDraft]:
    """Where a thing lies or lay; where it lay before or lies now is an option."""
    rng = moment.rng
    seen = {one: {each.shown for each in moment.log.sightings(one)} - {None} for one in PLACES}
    used = [f"on the {one.name}" for one in PLACES if seen[one]]
    could: dict[bool, list[QuestionDraft]] = {True: [], False: []}
    for one in THINGS:
        if sum(one in shown for shown in seen.values()) < 2:
            continue
        ways = _ways(one, moment)
        others = [place for place in used if place not in ways]
        wanted = OPTIONS - 2 - (not back)
        if len(ways) < 2 or len(others) < wanted:
            continue
        options = [*ways, *rng.sample(others, wanted), *([] if back else [CARRIED_OFF])]
        draft = moment.draft(StateSpec(one, back), "choice", mixed(options, rng))
        if draft is not None:
            could[draft.found.value == CARRIED_OFF].append(draft)
    if back:
        return [rng.choice(could[False])] if could[False] else []
    return _either(could, moment)


def _either(could: Mapping[bool, Sequence[QuestionDraft]], moment: AskingTime) -> list[QuestionDraft]:
    """A question whose answer is that there is nothing, as often as any other option; none where only one can be had."""
    if not could[True] or not could[False]:
        return []
    return [moment.rng.choice(could[moment.luck < 1 / OPTIONS])]


def _ways(thing: Thing, moment: AskingTime) -> list[str]:
    """The last two places where a thing was seen lying."""
    steps = (answer(StateSpec(thing, back), moment.log) for back in (1, 0))
    found = [str(step.value) for step in steps if step is not None]
    if CARRIED_OFF in found:
        lay = moment.log.acts(Pattern("takes", what=thing))[-1].act.where
        found[found.index(CARRIED_OFF)] = f"on the {lay}"
    return list(dict.fromkeys(found))


def _once(moment: AskingTime) -> list[QuestionDraft]:
    """How something was at a time of the video when it was on camera; how it is now is an option."""
    rng = moment.rng
    subjects = rng.choice((PLACES, PLACES, SIGNS, SIGNS, OPENERS))
    if subjects == OPENERS:
        specs = [StateSpec(one, at_s=at_s) for one in OPENERS for at_s in _seen_at(one, moment)]
        return decide(moment, pooled(specs, moment.log))
    for one, other in _pairs(subjects, rng):
        for at_s in _seen_at(one, moment)[:6]:
            then = [answer(StateSpec(subject, at_s=at_s), moment.log) for subject in (one, other)]
            latest = [answer(StateSpec(subject), moment.log) for subject in (one, other)]
            options = {str(found.value) for found in (*then, *latest) if found}
            if len(options) == OPTIONS and NOTHING not in options:
                draft = moment.draft(StateSpec(one, at_s=at_s), "choice", mixed(options, rng))
                return [draft] if draft else []
    return []


def _seen_at(subject: Subject, moment: AskingTime) -> list[float]:
    """Whole seconds in which it was on camera and did not change, as far back as the question should go, mixed."""
    times_s = []
    for sighting in moment.log.sightings(subject):
        span = sighting.span
        if span.duration_s >= 4.0 and moment.least_s <= moment.now_s - span.end_s < moment.most_s:
            times_s.append(float(moment.rng.randint(int(span.start_s + 2.0), int(span.end_s - 1.0))))
    moment.rng.shuffle(times_s)
    return times_s


def _pairs(subjects: Sequence[_T], rng: random.Random) -> Iterator[tuple[_T, _T]]:
    """Two at a time, in any order."""
    pairs = [(one, other) for one in subjects for other in subjects if one is not other]
    yield from rng.sample(pairs, len(pairs))


def _patterns(kind: str, given: Slot | None) -> Iterator[Pattern]:
    """Every act of a kind with one part given."""
    fillers: Iterable[Filler | None] = (None,)
    match given:
        case "who" | "to":
            fillers = PEOPLE
        case "what":
            fillers = THINGS
        case "room":
            fillers = ROOMS
        case "where":
            fillers = [
                *([room.opens for room in ROOMS] if kind in {"opens", "closes"} else []),
                *([place for room in ROOMS for place in room.places] if kind in {"puts", "takes"} else []),
            ]
    for filler in fillers:
        yield with_slots(Pattern(kind), {given: filler}) if given and filler else Pattern(kind)


def _room_of(pattern: Pattern) -> Room | None:
    """Where it must be, as places and what opens are each in one room."""
    there = (room for room in ROOMS if pattern.where and pattern.where in (*room.places, room.opens))
    return pattern.room or next(there, None)


def _look_alike(spec: AgainSpec, log: EventLog) -> bool:
    """Whether somebody who differs in one mark did before what is asked about."""
    event = log.acts(spec.first.pattern)[spec.first.which - (spec.first.which > 0)]
    who = event.act.who
    others = log.acts(spec.pattern, since_s=max(0.0, event.at_s - spec.lasts_s))
    return any(
        other.act.who is not None
        and who is not None
        and other.at_s < event.at_s
        and (other.act.who.kind != who.kind)
        + (other.act.who.coat != who.coat)
        + (other.act.who.hat != who.hat)
        == 1
        for other in others
    )


_GIVEN: dict[Slot, tuple[tuple[str, Slot], ...]] = {
    "who": (
        ("puts", "who"),
        ("takes", "who"),
        ("gives", "who"),
        ("gives", "to"),
        ("opens", "who"),
        ("comes", "who"),
    ),
    "what": (("puts", "what"), ("takes", "what"), ("gives", "what")),
    "room": (("shows", "room"), ("comes", "room"), ("opens", "room"), ("puts", "room"), ("gives", "room")),
}
"""By what a link gives: the kinds of act that can take it, and in which slot."""
_ASKED: dict[str, tuple[Slot, ...]] = {
    "puts": ("who", "what", "room"),
    "takes": ("who", "what", "room"),
    "gives": ("who", "what", "to", "room"),
    "opens": ("who", "room"),
    "comes": ("who", "room"),
    "shows": ("where",),
}


def _walk(hops: int, rng: random.Random) -> list[ChainLink]:
    """The form of a chain: links whose first pattern is still to be filled, in its ``bind``."""
    while True:
        kind, bind = rng.choice(_GIVEN[rng.choice(("who", "what", "room"))])
        links: list[ChainLink] = []
        while len(links) < hops:
            parts = [part for part in _ASKED[kind] if part != bind]
            part = rng.choice(parts)
            links.append(ChainLink(Pattern(kind), part, rng.choice((1, -1)), bind))
            if part == "where":
                break
            kind, bind = rng.choice(_GIVEN["who" if part in {"who", "to"} else part])
        if len(links) == hops:
            return links


def _started(form: list[ChainLink]) -> Iterator[ChainSpec]:
    """The chains of a form, by what its first link is about."""
    first, *rest = form
    for pattern in _patterns(first.pattern.kind, first.bind):
        yield ChainSpec((ChainLink(pattern, first.part, first.which), *rest))


def _suits(spec: Spec, moment: AskingTime) -> bool:
    found = answer(spec, moment.log)
    return found is not None and moment.suits(found)


def _awaited(
    moment: AskingTime, kind: str, given: tuple[Slot, ...], lasts_s: float, *, comes: bool
) -> Iterator[tuple[float, Pattern]]:
    """Times and acts to wait for, which come after a delay of any order of size, or may not come."""
    rng, whole = moment.rng, moment.at(moment.ends_s)
    acts = [event for event in whole.between(0.0, moment.ends_s) if event.act.kind == kind]
    latest_s = moment.ends_s - lasts_s
    times_s = [time_s for time_s in moment.other_times(12) if time_s <= latest_s]
    for _ in range(40):
        if not acts or not times_s:
            return
        event = rng.choice(acts)
        pattern = pattern_of(event.act, *given)
        if not comes:
            slot = rng.choice(given)
            yield rng.choice(times_s), with_slots(pattern, {slot: getattr(rng.choice(acts).act, slot)})
        elif moment.times_s:
            yield rng.choice(times_s), pattern
        else:
            time_s = event.at_s - 5.0 * (lasts_s / 5.0) ** rng.random()
            if 0.0 < time_s <= latest_s:
                yield calm_before(whole, time_s), pattern


def calm_before(log: EventLog, time_s: float) -> float:
    """A time no later at which nobody is about to do something."""
    for event in log.between(time_s, time_s + 4.0):
        if event.act.kind != "shows" and event.span.start_s <= time_s < event.span.end_s:
            return calm_before(log, max(0.0, event.span.start_s - 0.05))
    return round(max(0.0, time_s), 2)
