"""The kinds of question, each drawn for one time in one house.

    drafts = KINDS["needle"](asking)       # one draft, several of one group, or none

The docstring of each kind says what it asks and how its wrong options mislead. Each kind draws its options first and
then the right one (``option_drawing``), so the text does not reveal the answer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from ..house import PEOPLE, ROOMS, THINGS, Person, Room, Thing
from ..house.vocabulary_words import DIGITS, LETTERS
from .event_log import (
    OPENERS,
    PLACES,
    SIGNS,
    EventLog,
    Filler,
    LoggedEvent,
    Pattern,
    Shown,
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
"""The least time between acts whose order is asked for."""


def needle(asking: AskingTime) -> list[QuestionDraft]:
    """A part of an act that happened once, or of an act that was not seen although each of its parts was."""
    kind, part, given_slots = asking.rng.choice(NEEDLES)
    acts = asking.acts(kind)
    pool = pooled(
        (ChainSpec((ChainLink(pattern_of(event.act, *given_slots), part),)) for event in acts), asking.log
    )
    pool.pop(NOT_SEEN, None)
    pool |= pooled(
        (ChainSpec((ChainLink(miss, part),)) for miss in _near_misses(acts, given_slots, asking)), asking.log
    )
    return choose(asking, pool, always=NOT_SEEN)


def happened(asking: AskingTime) -> list[QuestionDraft]:
    """Whether an act happened. For "no", all parts but one belong to an act that happened."""
    kind = asking.rng.choice(("puts", "takes", "gives"))
    slots = _all_slots(kind)
    acts = asking.acts(kind)
    pool = {
        "yes": [HappenedSpec(pattern_of(event.act, *slots)) for event in acts],
        "no": [HappenedSpec(miss) for miss in _near_misses(acts, slots, asking)],
    }
    return decide(asking, pool)


def now(asking: AskingTime) -> list[QuestionDraft]:
    """The latest state of a subject. The state before it is always an option."""
    return _state(asking, back=0)


def before(asking: AskingTime) -> list[QuestionDraft]:
    """The state before, or the state at a time of the video. The latest state is always an option."""
    return _state(asking, back=1) if asking.rng.random() < 0.5 else _once(asking)


def ordinal(asking: AskingTime) -> list[QuestionDraft]:
    """The first, second, third, last but one or last person or thing. The others of these are the options."""
    kind, part, given_slots = asking.rng.choice(ORDINALS)
    for event in asking.acts(kind)[:20]:
        pattern = pattern_of(event.act, *given_slots)
        specs = [ChainSpec((ChainLink(pattern, part, position),)) for position in (1, 2, 3, -2, -1)]
        pool = pooled(specs, asking.log)
        if len(pool) >= OPTIONS:
            return choose(asking, pool)
    return []


def neighbour(asking: AskingTime) -> list[QuestionDraft]:
    """The next act after an act, or the one before it. Acts a little later or earlier are the options."""
    kind, part, given_slots = asking.rng.choice(NEIGHBOURS)
    for anchor in asking.acts("puts", "takes", "gives")[:20]:
        first = ChainLink(pattern_of(anchor.act, *_all_slots(anchor.act.kind)), "room")
        room = {"room": anchor.act.room} if "room" in given_slots else {}
        pattern = with_slots(Pattern(kind), dict[Slot, Filler](room))  # type: ignore[arg-type]
        links = [ChainLink(pattern, part, position, when="after") for position in (1, 2)]
        links += [ChainLink(pattern, part, position, when="before") for position in (-1, -2)]
        pool = pooled((ChainSpec((first, link)) for link in links), asking.log)
        if len(pool) >= OPTIONS:
            return choose(asking, pool, hops=2)
    return []


def count(asking: AskingTime) -> list[QuestionDraft]:
    """How often something happened lately, or how many different values a slot had. Each number is equally likely."""
    kind, given_slot, distinct = asking.rng.choice(COUNTED)
    lasts_s = asking.rng.choice([window_s for window_s in _WINDOWS_S if window_s < asking.ends_s])
    pool: dict[float, list[tuple[Spec, float]]] = defaultdict(list)
    for time_s in asking.other_times(16, from_s=lasts_s)[:16]:
        for pattern in _patterns(kind, given_slot):
            spec = CountSpec(pattern, lasts_s, distinct)
            result = answer(spec, asking.at(time_s))
            if result is not None and isinstance(result.value, float):
                pool[result.value].append((spec, time_s))
    if any(number not in pool for number in COUNTS):
        return []
    counted, asked_s = asking.rng.choice(pool[asking.rng.choice(COUNTS)])
    result = answer(counted, asking.at(asked_s))
    return [QuestionDraft(counted, asked_s, "number", result, hops=len(result.evidence))] if result else []


def order(asking: AskingTime) -> list[QuestionDraft]:
    """The order of three to five acts that have a person, a thing or a room in common."""
    rng = asking.rng
    number, slot = rng.choice((3, 4, 5)), rng.choice(_SHARED)
    latest = asking.acts(*DEEDS)
    sharing: dict[Filler, list[LoggedEvent]] = defaultdict(list)
    for event in [*latest[:40], *asking.acts(*DEEDS, or_earlier=True)]:
        filler = getattr(event.act, slot)
        if filler is not None:
            sharing[filler].append(event)
    for filler in rng.sample(list(sharing), len(sharing)):
        patterns = _apart(sharing[filler], asking.log)
        if len(patterns) >= number:
            spec = OrderSpec(tuple(rng.sample(patterns, number)))
            items = mixed(map(clause, spec.patterns), rng)
            draft = asking.draft(spec, "order", items, hops=number)
            return [draft] if draft else []
    return []


def _apart(events: Iterable[LoggedEvent], log: EventLog) -> list[Pattern]:
    """Patterns of acts that happened once and are not too close to each other."""
    patterns, times_s = [], list[float]()
    for event in events:
        act = event.act
        pattern = Pattern(act.kind, act.who, act.what, act.where, act.to)
        if len(log.acts(pattern)) == 1 and all(abs(event.at_s - t) >= _APART_S for t in times_s):
            patterns.append(pattern)
            times_s.append(event.at_s)
    return patterns


def stay(asking: AskingTime) -> list[QuestionDraft]:
    """How long a person stayed, or which of four people stayed longest."""
    rng = asking.rng
    departures = {(event.act.who, event.act.room) for event in asking.acts("leaves")}
    visits = sorted(((person, room) for person, room in departures if person), key=str)
    if rng.random() < 0.5:
        return choose(asking, pooled((StaySpec(person, room) for person, room in visits), asking.log))
    room = rng.choice(ROOMS)
    people = sorted({person for person, visited in visits if visited == room}, key=str)
    if len(people) < OPTIONS:
        return []
    four = tuple(rng.sample(people, OPTIONS))
    draft = asking.draft(LongestSpec(four, room), "choice", map(str, four), hops=OPTIONS)
    return [draft] if draft else []


def when(asking: AskingTime) -> list[QuestionDraft]:
    """When an act happened, once or a few times. Similar acts happened at other times."""
    kind, _, given_slots = asking.rng.choice(NEEDLES)
    acts = asking.acts(kind)
    specs = [WhenSpec(pattern_of(event.act, *given_slots)) for event in acts]
    for spec in specs:
        draft = asking.draft(spec, "span")
        if draft is not None and asking.suits(draft.result):
            return [draft]
    return []


def reading(asking: AskingTime) -> list[QuestionDraft]:
    """The code of a sign: the first, the last, or the one during another act. With options or as free text."""
    rng = asking.rng
    specs: list[Spec] = []
    if rng.random() < 0.5:
        position = rng.choice((1, 2, -1, -2))
        specs += [ChainSpec((ChainLink(Pattern("shows", room=room), "where", position),)) for room in ROOMS]
        hops = 1
    else:
        for event in asking.acts("puts", "takes", "gives"):
            first = ChainLink(pattern_of(event.act, *_all_slots(event.act.kind)), "room")
            then = ChainLink(Pattern("shows"), "where", 0, bind="room", when="during")
            specs.append(ChainSpec((first, then)))
        hops = 2
    drafts = choose(asking, pooled(specs, asking.log), hops=hops)
    if drafts and rng.random() < 0.5:
        free_text = asking.draft(drafts[0].spec, "text", hops=hops)
        return [free_text] if free_text else []
    return drafts


def again(asking: AskingTime) -> list[QuestionDraft]:
    """Whether a person, known by clothes, did something before. A person who differs in one mark did it too."""
    rng = asking.rng
    (kind, slot), (then, place) = rng.choice(AGAIN), rng.choice(BEFORE)
    position, in_same_room = rng.choice((1, -1, -2)), rng.random() < 0.5
    lasts_s = rng.choice([window_s for window_s in _WINDOWS_S if window_s < asking.now_s] or [_WINDOWS_S[0]])
    pool: dict[str, list[Spec]] = defaultdict(list)
    for first in _patterns(kind, slot):
        for pattern in _patterns(then, place):
            # A person who did something in a room came into it. No picture is needed to know that.
            same = _room_of(first) == _room_of(pattern)
            if same != (in_same_room and (kind, then) == ("comes", "comes")):
                continue
            spec = AgainSpec(ChainLink(first, "who", position), pattern, lasts_s)
            result = answer(spec, asking.log)
            if result is not None and asking.suits(result) and _look_alike(spec, asking.log):
                pool[str(result.value)].append(spec)
    return decide(asking, pool)


def chain(asking: AskingTime) -> list[QuestionDraft]:
    """A part of an act that is found over two, three or four acts. Without any of them the answer is different."""
    rng = asking.rng
    hops = rng.choice((2, 3, 4))
    for _ in range(6):
        form = _walk(hops, rng)
        pool: dict[str, list[Spec]] = defaultdict(list)
        for spec in _started(form):
            result = answer(spec, asking.log)
            if result is None or not asking.suits(result) or not needs_all(spec, asking.log):
                continue
            pool[str(result.value)].append(spec)
        if len(pool) >= OPTIONS:
            return choose(asking, pool, hops=hops)
    return []


def usual(asking: AskingTime) -> list[QuestionDraft]:
    """The room into which a person comes most often. The last one was different, and is an option."""
    pool: dict[str, list[UsualSpec]] = defaultdict(list)
    for person in PEOPLE:
        pattern = Pattern("comes", who=person)
        habit = UsualSpec(pattern, "room")
        result = answer(habit, asking.log)
        if result is not None and result.value != slot_text(asking.log.acts(pattern)[-1].act, "room"):
            pool[str(result.value)].append(habit)
    if not pool:
        return []
    spec = asking.rng.choice(pool[asking.rng.choice(sorted(pool))])
    draft = asking.draft(spec, "choice")
    if draft is None:
        return []
    latest = slot_text(asking.log.acts(spec.pattern)[-1].act, "room")
    visited = {str(event.act.room) for event in asking.log.acts(Pattern("comes"))}
    distractors = sorted(visited - {latest, draft.result.value})
    if len(distractors) < OPTIONS - 2:
        return []
    wrong = asking.rng.sample(distractors, OPTIONS - 2)
    options = mixed([str(draft.result.value), latest, *wrong], asking.rng)
    return [QuestionDraft(spec, asking.now_s, "choice", draft.result, options, len(draft.result.evidence))]


def company(asking: AskingTime) -> list[QuestionDraft]:
    """The person who was with another one, the first or the last time."""
    position = asking.rng.choice((1, -1))
    specs = [CompanySpec(person, position) for person in PEOPLE]
    pool = pooled((spec for spec in specs if _suits(spec, asking)), asking.log)
    return choose(asking, pool, hops=2)


def revised(asking: AskingTime) -> list[QuestionDraft]:
    """The same question at three times with three answers, all of which are options each time."""
    rng = asking.rng
    kinds = ("comes", "opens", "puts", "gives", "sign")
    kind = rng.choice(kinds)
    subject = rng.choice(SIGNS)
    chained = ChainSpec((ChainLink(Pattern(kind, room=subject.room), "who", -1),))
    spec: Spec = StateSpec(subject) if kind == "sign" else chained
    answers = [(time_s, answer(spec, asking.at(time_s))) for time_s in asking.other_times(40)]
    times: dict[str, list[float]] = defaultdict(list)
    for time_s, result in answers:
        if result is not None and result.value != NOTHING:
            times[str(result.value)].append(time_s)
    if len(times) < OPTIONS:
        return []
    options = rng.sample(sorted(times), OPTIONS)
    drafts = []
    for right in rng.sample(options, 3):
        time_s = rng.choice(times[right])
        result = answer(spec, asking.at(time_s))
        if result is not None:
            drafts.append(QuestionDraft(spec, time_s, "choice", result, tuple(options)))
    return sorted(drafts, key=lambda draft: draft.asked_at_s)


def alert(asking: AskingTime) -> list[QuestionDraft]:
    """An alert at the next act of a pattern. In three of ten questions it does not happen."""
    rng = asking.rng
    kind, given_slots = rng.choice(AWAITED)
    lasts_s = rng.choice([horizon_s for horizon_s in _HORIZONS_S if horizon_s < asking.ends_s])
    comes = asking.luck >= NEVER
    for time_s, pattern in _awaited(asking, kind, given_slots, lasts_s, comes=comes):
        spec = AlertsSpec(pattern, lasts_s)
        result = answer(spec, asking.at(time_s))
        if result is not None and bool(result.value) == comes:
            return [QuestionDraft(spec, time_s, "alerts", result)]
    return []


def standing(asking: AskingTime) -> list[QuestionDraft]:
    """An alert at every act of a pattern, every second or every third, for a given period."""
    rng = asking.rng
    kind, given_slot = rng.choice(STANDING)
    lasts_s = rng.choice([horizon_s for horizon_s in _HORIZONS_S if horizon_s < asking.ends_s])
    every = rng.choice((1, 2, 3))
    for time_s in rng.sample(times_s := asking.other_times(8), len(times_s)):
        if time_s + lasts_s > asking.ends_s:
            continue
        for pattern in rng.sample(patterns := list(_patterns(kind, given_slot)), len(patterns)):
            spec = AlertsSpec(pattern, lasts_s, every)
            result = answer(spec, asking.at(time_s))
            if result is not None and 2 <= len(result.evidence) <= FACTS[1]:
                return [QuestionDraft(spec, time_s, "alerts", result, hops=len(result.evidence))]
    return []


def listing(asking: AskingTime) -> list[QuestionDraft]:
    """Everything that people did in a room between two times."""
    rng = asking.rng
    for event in asking.acts(*DEEDS)[:20]:
        to_s = round(event.span.end_s + 1.0)
        lasts_s = rng.choice(_WINDOWS_S[:4])
        spec = ListingSpec(event.act.room, float(max(0, round(to_s - lasts_s))), float(to_s))
        draft = asking.draft(spec, "checklist", hops=0) if to_s <= asking.now_s else None
        if draft is not None and FACTS[0] <= len(draft.result.evidence) <= FACTS[1]:
            hops = len(draft.result.evidence)
            return [QuestionDraft(spec, asking.now_s, "checklist", draft.result, hops=hops)]
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
"""Each kind with the function that draws it."""


def needs_all(spec: ChainSpec, log: EventLog) -> bool:
    """Whether a chain has different acts, and the answer changes if any of them is removed."""
    result = answer(spec, log)
    if result is None or len({id(event.act) for event in result.events}) < len(spec.links):
        return False
    reduced = (answer(spec, log.without(event)) for event in result.events)
    return all(without is None or without.value != result.value for without in reduced)


def _all_slots(kind: str) -> tuple[Slot, ...]:
    """The slots that identify an act of a kind."""
    return ("who", "what", "to") if kind == "gives" else ("who", "what", "where")


def _near_misses(
    acts: Sequence[LoggedEvent], given_slots: tuple[Slot, ...], asking: AskingTime
) -> list[Pattern]:
    """Patterns of acts that did not happen, and differ in one part from an act that did."""
    rng, misses = asking.rng, []
    for event in acts[:40]:
        if given_slots == ("where",):
            miss = Pattern("shows", where=_altered_code(event.act.where, rng))
        else:
            slot = rng.choice(given_slots)
            miss = with_slots(
                pattern_of(event.act, *given_slots), {slot: getattr(rng.choice(acts).act, slot)}
            )
        if (miss.who is None or miss.who != miss.to) and not asking.log.acts(miss):
            misses.append(miss)
    return misses


def _altered_code(code: str, rng: random.Random) -> str:
    """The code with one character replaced."""
    changed = rng.randrange(3)
    alphabet = LETTERS if changed != 1 else DIGITS
    return "".join(
        rng.choice(alphabet.replace(sign, "")) if number == changed else sign
        for number, sign in enumerate(code)
    )


def _state(asking: AskingTime, back: int) -> list[QuestionDraft]:
    rng = asking.rng
    sort = rng.choice(("place", "sign", "thing", "opener") if not back else ("place", "sign", "thing"))
    if sort == "opener":
        return decide(asking, pooled((StateSpec(opener) for opener in OPENERS), asking.log))
    if sort == "thing":
        return _whereabouts(asking, back)
    subjects = PLACES if sort == "place" else SIGNS
    if not back and rng.random() < 0.5:
        return _maybe_nothing(asking, subjects)
    for pair in _pairs(subjects, rng):
        options = _values(asking, [StateSpec(subject, step) for subject in pair for step in (0, 1)])
        if len(options) == OPTIONS and NOTHING not in options:
            draft = asking.draft(StateSpec(pair[0], back), "choice", mixed(options, rng))
            return [draft] if draft else []
    return []


def _values(asking: AskingTime, specs: Iterable[Spec]) -> set[str]:
    """The different answers to some questions."""
    results = (answer(spec, asking.log) for spec in specs)
    return {str(result.value) for result in results if result}


def _maybe_nothing(asking: AskingTime, subjects: Sequence[Subject]) -> list[QuestionDraft]:
    """The state of a subject that may be empty. The state before it is an option."""
    drafts: dict[bool, list[QuestionDraft]] = {True: [], False: []}
    for subject, neighbouring in _pairs(subjects, asking.rng):
        states = [run.shown for run in asking.log.history(subject, empty=False)][-2:]
        distractors = [run.shown for run in asking.log.history(neighbouring, empty=False)][-1:]
        options = {NOTHING, *map(str, states), *map(str, distractors)}
        draft = asking.draft(StateSpec(subject), "choice", mixed(options, asking.rng))
        if draft is not None and len(states) == 2 and len(options) == OPTIONS:
            drafts[draft.result.value == NOTHING].append(draft)
    return _either(drafts, asking)


def _whereabouts(asking: AskingTime, back: int) -> list[QuestionDraft]:
    """The place where a thing lies, or where it lay before. Both are options."""
    rng = asking.rng
    shown = {place: {sighting.shown for sighting in asking.log.sightings(place)} - {None} for place in PLACES}
    used = [f"on the {place.name}" for place in PLACES if shown[place]]
    needed = OPTIONS - 2 - (not back)
    drafts: dict[bool, list[QuestionDraft]] = {True: [], False: []}
    for thing in THINGS:
        if sum(thing in things for things in shown.values()) < 2:
            continue
        places = _last_places(thing, asking)
        distractors = [place for place in used if place not in places]
        if len(places) < 2 or len(distractors) < needed:
            continue
        options = [*places, *rng.sample(distractors, needed), *([] if back else [CARRIED_OFF])]
        draft = asking.draft(StateSpec(thing, back), "choice", mixed(options, rng))
        if draft is not None:
            drafts[draft.result.value == CARRIED_OFF].append(draft)
    if back:
        return [rng.choice(drafts[False])] if drafts[False] else []
    return _either(drafts, asking)


def _shown_on(place: Subject, log: EventLog) -> set[Shown]:
    """The things that lay on a place."""
    return {sighting.shown for sighting in log.sightings(place)} - {None}


def _moved_things(shown: Collection[set[Shown]]) -> list[Thing]:
    """The things that lay on two places or more, by what lay on each place."""
    return [thing for thing in THINGS if sum(thing in things for things in shown) >= 2]


def _either(drafts: Mapping[bool, Sequence[QuestionDraft]], asking: AskingTime) -> list[QuestionDraft]:
    """Choose a draft, so that "nothing" is right as often as any other option. Empty unless both sorts exist."""
    if not drafts[True] or not drafts[False]:
        return []
    return [asking.rng.choice(drafts[asking.luck < 1 / OPTIONS])]


def _last_places(thing: Thing, asking: AskingTime) -> list[str]:
    """The last two places where a thing lay."""
    results = (answer(StateSpec(thing, back), asking.log) for back in (1, 0))
    places = [str(result.value) for result in results if result is not None]
    if CARRIED_OFF in places:
        last = asking.log.acts(Pattern("takes", what=thing))[-1].act.where
        places[places.index(CARRIED_OFF)] = f"on the {last}"
    return list(dict.fromkeys(places))


def _once(asking: AskingTime) -> list[QuestionDraft]:
    """The state of a subject at a time of the video when it was on camera. The latest state is an option."""
    rng = asking.rng
    subjects = rng.choice((PLACES, PLACES, SIGNS, SIGNS, OPENERS))
    if subjects == OPENERS:
        specs = [StateSpec(opener, at_s=at_s) for opener in OPENERS for at_s in _seen_at(opener, asking)]
        return decide(asking, pooled(specs, asking.log))
    for pair in _pairs(subjects, rng):
        for at_s in _seen_at(pair[0], asking)[:6]:
            options = _values(asking, [StateSpec(subject, at_s=t) for subject in pair for t in (at_s, None)])
            if len(options) == OPTIONS and NOTHING not in options:
                draft = asking.draft(StateSpec(pair[0], at_s=at_s), "choice", mixed(options, rng))
                return [draft] if draft else []
    return []


def _seen_at(subject: Subject, asking: AskingTime) -> list[float]:
    """Whole seconds in which a subject was on camera and did not change, as long ago as wanted, shuffled."""
    times_s = []
    for sighting in asking.log.sightings(subject):
        span = sighting.span
        if span.duration_s >= 4.0 and asking.least_s <= asking.now_s - span.end_s < asking.most_s:
            times_s.append(float(asking.rng.randint(int(span.start_s + 2.0), int(span.end_s - 1.0))))
    asking.rng.shuffle(times_s)
    return times_s


def _pairs(subjects: Sequence[_T], rng: random.Random) -> Iterator[tuple[_T, _T]]:
    """All ordered pairs, shuffled."""
    pairs = [(first, second) for first in subjects for second in subjects if first is not second]
    yield from rng.sample(pairs, len(pairs))


def _patterns(kind: str, given_slot: Slot | None) -> Iterator[Pattern]:
    """A pattern of a kind for each possible value of one slot."""
    fillers: Iterable[Filler | None] = (None,)
    match given_slot:
        case "who" | "to":
            fillers = PEOPLE
        case "what":
            fillers = THINGS
        case "room":
            fillers = ROOMS
        case "where" if kind in {"opens", "closes"}:
            fillers = [room.opens for room in ROOMS]
        case "where":
            fillers = [place for room in ROOMS for place in room.places] if kind in {"puts", "takes"} else []
    for filler in fillers:
        yield with_slots(Pattern(kind), {given_slot: filler}) if given_slot and filler else Pattern(kind)


def _room_of(pattern: Pattern) -> Room | None:
    """The room of a pattern. Each place and each opener is in one room."""
    rooms = (room for room in ROOMS if pattern.where and pattern.where in (*room.places, room.opens))
    return pattern.room or next(rooms, None)


def _look_alike(spec: AgainSpec, log: EventLog) -> bool:
    """Whether a person who differs in one mark did the earlier act."""
    event = log.acts(spec.first.pattern)[spec.first.position - (spec.first.position > 0)]
    person = event.act.who
    earlier = log.acts(spec.pattern, since_s=max(0.0, event.at_s - spec.lasts_s))
    candidates = (act.act.who for act in earlier if act.at_s < event.at_s)
    return person is not None and any(
        candidate is not None and _differences(candidate, person) == 1 for candidate in candidates
    )


def _differences(first: Person, second: Person) -> int:
    """The number of marks in which two people differ."""
    return (first.kind != second.kind) + (first.coat != second.coat) + (first.hat != second.hat)


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
"""By the part that a link gives: the kinds of act that can take it, and their slot."""
_ASKED: dict[str, tuple[Slot, ...]] = {
    "puts": ("who", "what", "room"),
    "takes": ("who", "what", "room"),
    "gives": ("who", "what", "to", "room"),
    "opens": ("who", "room"),
    "comes": ("who", "room"),
    "shows": ("where",),
}


def _walk(hops: int, rng: random.Random) -> list[ChainLink]:
    """The form of a chain: links whose first pattern is still open, in its ``bind``."""
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
    """The chains of a form, one for each value of the first link's open slot."""
    first, *rest = form
    for pattern in _patterns(first.pattern.kind, first.bind):
        yield ChainSpec((ChainLink(pattern, first.part, first.position), *rest))


def _suits(spec: Spec, asking: AskingTime) -> bool:
    result = answer(spec, asking.log)
    return result is not None and asking.suits(result)


def _awaited(
    asking: AskingTime, kind: str, given_slots: tuple[Slot, ...], lasts_s: float, *, comes: bool
) -> Iterator[tuple[float, Pattern]]:
    """Times of asking and acts to wait for, with delays of any order of magnitude. Without ``comes``, acts that may not happen."""
    rng, full_log = asking.rng, asking.at(asking.ends_s)
    acts = [event for event in full_log.between(0.0, asking.ends_s) if event.act.kind == kind]
    latest_s = asking.ends_s - lasts_s
    times_s = [time_s for time_s in asking.other_times(12) if time_s <= latest_s]
    for _ in range(40):
        if not acts or not times_s:
            return
        event = rng.choice(acts)
        pattern = pattern_of(event.act, *given_slots)
        if not comes:
            slot = rng.choice(given_slots)
            yield rng.choice(times_s), with_slots(pattern, {slot: getattr(rng.choice(acts).act, slot)})
        elif asking.times_s:
            yield rng.choice(times_s), pattern
        else:
            time_s = event.at_s - 5.0 * (lasts_s / 5.0) ** rng.random()
            if 0.0 < time_s <= latest_s:
                yield calm_before(full_log, time_s), pattern


def calm_before(log: EventLog, time_s: float) -> float:
    """The latest time up to ``time_s`` at which no act is in progress."""
    for event in log.between(time_s, time_s + 4.0):
        if event.act.kind != "shows" and event.span.start_s <= time_s < event.span.end_s:
            return calm_before(log, max(0.0, event.span.start_s - 0.05))
    return round(max(0.0, time_s), 2)
