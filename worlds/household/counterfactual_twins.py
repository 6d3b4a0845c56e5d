"""Pairs of houses that differ in one fact, and questions that it decides: who knows only the text is never right twice.

    pair = twins(seed=7, lasts_s=600.0)
    pair.change             # TwinDifference(slot="who", was="the man in the red coat", now="the woman in the blue coat")
    pair.samples            # the same text and options for both houses, another answer
    pair_accuracy(pair.samples, {sample.id: 1.0 for sample in pair.samples})    # 1.0

The fact is who came on one visit, what went from hand to hand, or what a sign said; everything else is drawn alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...evals.records import LAGS, Kind, Sample
from ..demo_video import DemoTimeline
from ..house import PEOPLE, THINGS, Act, Happening, House, Person, RoomScene, Thing, furnish
from .event_log import PLACES, SIGNS, EventLog, Pattern, Slot, pattern_of
from .option_drawing import OPTIONS, QuestionDraft, calm, mentions, mixed
from .oracle import OracleAnswer, answer
from .question_forms import COUNTS, NEEDLES, ORDINALS
from .question_sampling import SUITE, length_of, sample_of, video_of
from .question_specs import (
    NOT_SEEN,
    NOTHING,
    ChainLink,
    ChainSpec,
    CompanySpec,
    CountSpec,
    HappenedSpec,
    Spec,
    StateSpec,
)
from .question_wording import question, slot_text

_TRIES = 60
_LOOKS = 8
"""So many times are tried for a question."""


@dataclass(frozen=True, slots=True)
class TwinDifference:
    """The one fact in which the twins differ."""

    slot: Slot
    was: str
    now: str
    span: tuple[float, float]
    """When it can be seen, in seconds: the visit's first step, the gift, or the sign."""


@dataclass(frozen=True)
class CounterfactualTwins:
    """Two houses and what is asked about both."""

    one: House
    other: House
    change: TwinDifference
    samples: tuple[Sample, ...]
    """Two by two: the same question about the one and about the other."""


def twins(seed: int | str, lasts_s: float, *, limit: int = 4) -> CounterfactualTwins:
    """A house, its twin, and up to ``limit`` questions about both.

    Raises ``ValueError`` where nothing in so short a house could be another.
    """
    house = furnish(seed, lasts_s)
    rng = random.Random(f"twins {seed} {lasts_s}")
    for _ in range(_TRIES):
        changed = rng.choice((_other_person, _other_person, _other_thing, _other_code))(house, rng)
        if changed is None:
            continue
        one, other = rng.sample((house, changed[0]), 2)
        drafts = _drafts(EventLog.of(one), EventLog.of(other), rng, limit)
        if drafts:
            return CounterfactualTwins(
                one, other, changed[1], tuple(_samples(one, other, drafts, changed[1]))
            )
    raise ValueError(
        f"a house of {lasts_s:g} s with the seed {seed} has nothing to be asked about if another; make it longer"
    )


def pair_accuracy(samples: Sequence[Sample], scores: Mapping[str, float]) -> float:
    """The share of groups in which every sample was fully right; 0 where there are none."""
    groups: dict[str, list[float]] = {}
    for sample in samples:
        if sample.group is not None:
            groups.setdefault(sample.group, []).append(scores.get(sample.id, 0.0))
    return sum(all(score >= 1.0 for score in group) for group in groups.values()) / max(1, len(groups))


def differing(one: House, other: House) -> list[tuple[Act, Act]]:
    """The acts in which two houses differ, side by side."""
    both = zip(_by_time(one), _by_time(other), strict=True)
    return [(mine.act, theirs.act) for mine, theirs in both if mine != theirs]


def _by_time(house: House) -> list[Happening]:
    return sorted(house.happenings, key=lambda happening: (happening.span, happening.act.kind))


def _other_person(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """Somebody else comes, who comes at other times too."""
    comings = [
        (number, happening)
        for number, (_, scene) in enumerate(house.scenes)
        for happening in scene.happenings
        if happening.act.kind == "comes"
    ]
    number, coming = rng.choice(comings)
    was = coming.act.who
    seen = [happening.act.who for _, happening in comings]
    here = _people(house.scenes[number][1])
    others = [person for person in PEOPLE if person in seen and person not in here]
    if was is None or seen.count(was) < 2 or not others:
        return None
    person = rng.choice(others)
    return _changed(
        house, number, coming, rng, "who", str(was), str(person), lambda s: s.with_person(coming, person)
    )


def _other_thing(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """Something else is given, that lies nowhere then."""
    gifts = [
        (number, happening)
        for number, (_, scene) in enumerate(house.scenes)
        for happening in scene.happenings
        if happening.act.kind == "gives"
    ]
    if not gifts:
        return None
    number, giving = rng.choice(gifts)
    start_s, scene = house.scenes[number]
    seen = {happening.act.what for happening in house.happenings}
    lying = _lying(house, start_s, start_s + scene.duration_s)
    here = {happening.act.what for happening in scene.happenings}
    others = [thing for thing in THINGS if thing in seen and thing not in lying | here]
    was = giving.act.what
    if was is None or not others:
        return None
    thing = rng.choice(others)
    return _changed(
        house, number, giving, rng, "what", str(was), str(thing), lambda s: s.with_gift(giving, thing)
    )


def _other_code(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """A sign says for once what another sign says at another time."""
    signs = [happening.act for happening in house.happenings if happening.act.kind == "shows"]
    shown = [act.where for act in signs]
    once = [
        (number, happening)
        for number, (_, scene) in enumerate(house.scenes)
        for happening in scene.happenings
        if happening.act.kind == "shows"
        and shown.count(happening.act.where) == 1
        and _scenes_with(house, happening.act.where) == 1
    ]
    if not once:
        return None
    number, showing = rng.choice(once)
    was = showing.act.where
    elsewhere = {act.where for act in signs if act.room != showing.act.room}
    codes = sorted(elsewhere - {act.where for act in signs if act.room == showing.act.room})
    if not codes:
        return None
    code = rng.choice(codes)
    return _changed(house, number, showing, rng, "where", was, code, lambda s: s.with_code(was, code))


def _scenes_with(house: House, code: str) -> int:
    return sum(any(shown == code for _, shown in scene.kept.sign) for _, scene in house.scenes)


def _changed(
    house: House,
    number: int,
    happening: Happening,
    rng: random.Random,
    slot: Slot,
    was: str,
    now: str,
    change: Callable[[RoomScene], RoomScene],
) -> tuple[House, TwinDifference]:
    """The house with one scene as ``change`` makes it."""
    timeline = DemoTimeline()
    for place, (_, scene) in enumerate(house.scenes):
        timeline.add(change(scene) if place == number else scene)
    start_s = house.scenes[number][0]
    span = (start_s + happening.span.start_s, start_s + happening.span.end_s)
    return House(timeline, rng.randrange(2**31)), TwinDifference(slot, was, now, span)


def _people(scene: RoomScene) -> set[Person | None]:
    return {who for happening in scene.happenings for who in (happening.act.who, happening.act.to)}


def _lying(house: House, from_s: float, to_s: float) -> set[Thing]:
    """What lies anywhere then, on camera or off."""
    log, found = EventLog.of(house), set[Thing]()
    for place in PLACES:
        sightings = log.sightings(place)
        before = [one for one in sightings if one.span.start_s < from_s]
        during = [one for one in sightings if one.span.overlaps(type(one.span)(from_s, to_s))]
        for one in (*(before[-1:] or sightings[:1]), *during):
            if isinstance(one.shown, Thing):
                found.add(one.shown)
    return found


def _drafts(
    one: EventLog, other: EventLog, rng: random.Random, limit: int
) -> list[tuple[str, QuestionDraft, QuestionDraft]]:
    """The same question to both logs, with two answers; each form once, from as far back as it is the turn of."""
    specs = list(_decided(one, other))
    rng.shuffle(specs)
    company: dict[str, list[str]] = {}
    found: list[tuple[str, QuestionDraft, QuestionDraft]] = []
    for name, spec, known_s in specs:
        if len(found) == limit:
            break
        if any(name == taken for taken, *_ in found):
            continue
        for time_s in _times(one, known_s, rng):
            answers = answer(spec, one.until(time_s)), answer(spec, other.until(time_s))
            pair = _pair(spec, time_s, answers, (one, other), company, rng)
            if pair is not None:
                found.append((name, *pair))
                break
    return sorted(found, key=lambda each: each[1].asked_at_s)


def _times(log: EventLog, known_s: float, rng: random.Random) -> Iterator[float]:
    """Times after it, as far as the house is long, each of the lags as likely."""
    lags = [
        (from_s, min(to_s, log.ends_s - known_s)) for _, from_s, to_s in LAGS if known_s + from_s < log.ends_s
    ]
    for _ in range(_LOOKS if lags else 0):
        yield calm(log, known_s + 0.1 + rng.uniform(*rng.choice(lags)))


def _decided(one: EventLog, other: EventLog) -> Iterator[tuple[str, Spec, float]]:
    """What may be asked about the acts in which two logs differ: the kind, the question, and from when."""
    mine, theirs = (log.between(0.0, log.ends_s) for log in (one, other))
    for left, right in zip(mine, theirs, strict=True):
        if left.act == right.act:
            continue
        known_s = left.known_s
        for act in (left.act, right.act):
            yield from ((name, spec, known_s) for name, spec in _about(act, left.act, right.act))


def _about(act: Act, one: Act, other: Act) -> Iterator[tuple[str, Spec]]:
    differs = [slot for slot in ("who", "what", "where", "to") if getattr(one, slot) != getattr(other, slot)]
    for kind, part, given in NEEDLES:
        if kind == act.kind:
            yield "needle", ChainSpec((ChainLink(pattern_of(act, *given), part),))
    for kind, part, given in (*ORDINALS, ("shows", "where", ("room",))):
        if kind == act.kind:
            for which in (1, -1, -2):
                yield "ordinal", ChainSpec((ChainLink(pattern_of(act, *given), part, which),))
    if act.kind in {"puts", "takes"}:
        yield "happened", HappenedSpec(pattern_of(act, "who", "what", "where"))
    if act.kind == "gives":
        yield "happened", HappenedSpec(pattern_of(act, "who", "what", "to"))
        for person in (act.who, act.to):
            if person is not None and "what" not in differs:
                yield "company", CompanySpec(person, -1)
    if act.kind == "comes" and act.who is not None:
        for lasts_s in (60.0, 300.0, 1200.0, 3600.0):
            yield "count", CountSpec(Pattern("comes", who=act.who), lasts_s)
    if act.kind == "shows":
        sign = next(subject for subject in SIGNS if subject.room == act.room)
        yield "now", StateSpec(sign)
        yield "before", StateSpec(sign, 1)


def _pair(
    spec: Spec,
    time_s: float,
    answers: tuple[OracleAnswer | None, OracleAnswer | None],
    logs: tuple[EventLog, EventLog],
    company: dict[str, list[str]],
    rng: random.Random,
) -> tuple[QuestionDraft, QuestionDraft] | None:
    """Both drafts, where both have an answer and not the same."""
    left, right = answers
    if left is None or right is None or left.value == right.value:
        return None
    if {left.value, right.value} & {NOT_SEEN, NOTHING}:
        return None
    hops = len(spec.links) if isinstance(spec, ChainSpec) else 1
    kind: Kind = "choice"
    options: tuple[str, ...] = ()
    if isinstance(spec, HappenedSpec):
        kind = "yes_no"
    elif isinstance(spec, CountSpec):
        kind = "number"
        if not {left.value, right.value} <= set(map(float, COUNTS)):
            return None
    else:
        golds = [str(left.value), str(right.value)]
        values = _values(spec, [log.until(time_s) for log in logs])
        text = question(spec)
        # The same others each time, so that the two are not those that all questions of the pair share.
        others = company.setdefault(" ".join(sorted(golds)), rng.sample(values, len(values)))
        others = [value for value in others if value not in golds and not mentions(text, value)][
            : OPTIONS - 2
        ]
        if len(others) < OPTIONS - 2 or any(mentions(text, gold) for gold in golds):
            return None
        options = mixed([*golds, *others], rng)
    one, other = (QuestionDraft(spec, time_s, kind, found, options, hops) for found in (left, right))
    return one, other


def _values(spec: Spec, logs: Iterable[EventLog]) -> list[str]:
    """What the answer could be by what was seen by then in both."""
    kind, part = ("comes", "who")
    if isinstance(spec, ChainSpec):
        kind, part = spec.links[-1].pattern.kind, spec.links[-1].part
    elif isinstance(spec, StateSpec):
        kind, part = "shows", "where"
    slot: Slot = (
        "who"
        if part in {"who", "to"}
        else "where"
        if part == "where"
        else "room"
        if part == "room"
        else "what"
    )
    seen = [
        {slot_text(event.act, slot) for event in log.acts(Pattern("comes" if slot == "who" else kind))}
        for log in logs
    ]
    return sorted(set.intersection(*seen))


def _samples(
    one: House,
    other: House,
    drafts: Sequence[tuple[str, QuestionDraft, QuestionDraft]],
    change: TwinDifference,
) -> Iterator[Sample]:
    cluster = f"twins-{video_of(one)}"
    for number, (kind, *pair) in enumerate(drafts):
        for house, draft in zip((one, other), pair, strict=True):
            video = video_of(house)
            sample = sample_of(
                draft,
                f"{SUITE}/{video}/{number}",
                video,
                kind=kind,
                length=length_of(house.duration_s),
                cluster=cluster,
                group=f"{cluster}/{number}",
            )
            yield sample.model_copy(update={"tags": {**sample.tags, "twins": change.slot}})
