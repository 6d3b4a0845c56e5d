"""Counterfactual twins: pairs of houses that differ in one fact, and questions whose answer that fact decides.

    pair = twins(seed=7, lasts_s=600.0)
    pair.change             # TwinDifference(slot="who", was="the man in the red coat", now="the woman in the blue coat")
    pair.samples            # the same text and options for both houses, with different answers
    pair_accuracy(pair.samples, {sample.id: 1.0 for sample in pair.samples})    # 1.0

A system that reads only the text is never right about both twins. The fact is the person of one visit, the thing of
one gift, or the code of one sign. Everything else is drawn alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...evals.records import LAGS, Kind, Sample
from ...memory.values import Span
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
"""How many times of asking are tried for a question."""


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
    """Two houses, and the questions about both."""

    first: House
    second: House
    change: TwinDifference
    samples: tuple[Sample, ...]
    """In pairs: the same question about the first house and about the second."""


def twins(seed: int | str, lasts_s: float, *, limit: int = 4) -> CounterfactualTwins:
    """Draw a house, its twin, and up to ``limit`` questions about both.

    Raises:
        ValueError: The house is so short that no changed fact decides a question.

    """
    house = furnish(seed, lasts_s)
    rng = random.Random(f"twins {seed} {lasts_s}")
    for _ in range(_TRIES):
        changed = rng.choice((_other_person, _other_person, _other_thing, _other_code))(house, rng)
        if changed is None:
            continue
        first, second = rng.sample((house, changed[0]), 2)
        drafts = _drafts(EventLog.of(first), EventLog.of(second), rng, limit)
        if drafts:
            samples = tuple(_samples(first, second, drafts, changed[1]))
            return CounterfactualTwins(first, second, changed[1], samples)
    raise ValueError(
        f"no changed fact decides a question about a house of {lasts_s:g} s with the seed {seed}; "
        "choose another seed, or make the house longer"
    )


def pair_accuracy(samples: Sequence[Sample], scores: Mapping[str, float]) -> float:
    """The share of groups in which every sample was fully right. 0 without groups."""
    groups: dict[str, list[float]] = {}
    for sample in samples:
        if sample.group is not None:
            groups.setdefault(sample.group, []).append(scores.get(sample.id, 0.0))
    return sum(all(score >= 1.0 for score in group) for group in groups.values()) / max(1, len(groups))


def differing(first_house: House, second_house: House) -> list[tuple[Act, Act]]:
    """The acts in which two houses differ, in pairs."""
    pairs = zip(_by_time(first_house), _by_time(second_house), strict=True)
    return [(first.act, second.act) for first, second in pairs if first != second]


def _by_time(house: House) -> list[Happening]:
    return sorted(house.happenings, key=lambda happening: (happening.span, happening.act.kind))


def _in_scenes(house: House, kind: str) -> list[tuple[int, Happening]]:
    """The acts of a kind, each with the number of its scene."""
    return [
        (number, happening)
        for number, (_, scene) in enumerate(house.scenes)
        for happening in scene.happenings
        if happening.act.kind == kind
    ]


def _other_person(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """Another person comes on one visit. Both people come at other times too."""
    comings = _in_scenes(house, "comes")
    number, coming = rng.choice(comings)
    person = coming.act.who
    visitors = [happening.act.who for _, happening in comings]
    in_scene = _people(house.scenes[number][1])
    substitutes = [candidate for candidate in PEOPLE if candidate in visitors and candidate not in in_scene]
    if person is None or visitors.count(person) < 2 or not substitutes:
        return None
    substitute = rng.choice(substitutes)
    change = TwinDifference("who", str(person), str(substitute), _span_of(house, number, coming))
    return _changed(house, number, rng, lambda scene: scene.with_person(coming, substitute)), change


def _other_thing(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """Another thing is given, which lies nowhere at that time."""
    gifts = _in_scenes(house, "gives")
    if not gifts:
        return None
    number, giving = rng.choice(gifts)
    start_s, scene = house.scenes[number]
    in_house = {happening.act.what for happening in house.happenings}
    lying = _lying(house, start_s, start_s + scene.duration_s)
    in_scene = {happening.act.what for happening in scene.happenings}
    substitutes = [thing for thing in THINGS if thing in in_house and thing not in lying | in_scene]
    thing = giving.act.what
    if thing is None or not substitutes:
        return None
    substitute = rng.choice(substitutes)
    change = TwinDifference("what", str(thing), str(substitute), _span_of(house, number, giving))
    return _changed(house, number, rng, lambda scene: scene.with_gift(giving, substitute)), change


def _other_code(house: House, rng: random.Random) -> tuple[House, TwinDifference] | None:
    """A sign says for once the code that another sign says at another time."""
    signs = _in_scenes(house, "shows")
    codes = [happening.act.where for _, happening in signs]
    once = [
        (number, happening)
        for number, happening in signs
        if codes.count(happening.act.where) == 1 and _scenes_with(house, happening.act.where) == 1
    ]
    if not once:
        return None
    number, showing = rng.choice(once)
    code, room = showing.act.where, showing.act.room
    in_room = {happening.act.where for _, happening in signs if happening.act.room == room}
    elsewhere = {happening.act.where for _, happening in signs if happening.act.room != room}
    substitutes = sorted(elsewhere - in_room)
    if not substitutes:
        return None
    substitute = rng.choice(substitutes)
    change = TwinDifference("where", code, substitute, _span_of(house, number, showing))
    return _changed(house, number, rng, lambda scene: scene.with_code(code, substitute)), change


def _scenes_with(house: House, code: str) -> int:
    return sum(any(shown == code for _, shown in scene.kept.sign) for _, scene in house.scenes)


def _span_of(house: House, number: int, happening: Happening) -> tuple[float, float]:
    """When an act of a scene happens, in seconds of the video."""
    start_s = house.scenes[number][0]
    return (start_s + happening.span.start_s, start_s + happening.span.end_s)


def _changed(
    house: House, number: int, rng: random.Random, change: Callable[[RoomScene], RoomScene]
) -> House:
    """The house with one scene as ``change`` makes it."""
    timeline = DemoTimeline()
    for position, (_, scene) in enumerate(house.scenes):
        timeline.add(change(scene) if position == number else scene)
    return House(timeline, rng.randrange(2**31))


def _people(scene: RoomScene) -> set[Person | None]:
    return {person for happening in scene.happenings for person in (happening.act.who, happening.act.to)}


def _lying(house: House, from_s: float, to_s: float) -> set[Thing]:
    """The things that lie anywhere in a stretch of time, on camera or off."""
    log, period, things = EventLog.of(house), Span(from_s, to_s), set[Thing]()
    for place in PLACES:
        sightings = log.sightings(place)
        before = [sighting for sighting in sightings if sighting.span.start_s < from_s]
        during = [sighting for sighting in sightings if sighting.span.overlaps(period)]
        for sighting in (*(before[-1:] or sightings[:1]), *during):
            if isinstance(sighting.shown, Thing):
                things.add(sighting.shown)
    return things


def _drafts(
    first_log: EventLog, second_log: EventLog, rng: random.Random, limit: int
) -> list[tuple[str, QuestionDraft, QuestionDraft]]:
    """Questions to both logs, with two answers: each form once, and the lag since the fact in turn."""
    candidates = list(_decided(first_log, second_log))
    rng.shuffle(candidates)
    pairing = _Pairing((first_log, second_log), rng)
    drafts: list[tuple[str, QuestionDraft, QuestionDraft]] = []
    for name, spec, known_s in candidates:
        if len(drafts) == limit:
            break
        if any(name == drafted for drafted, *_ in drafts):
            continue
        for time_s in _times(first_log, known_s, rng):
            pair = pairing.drafts(spec, time_s)
            if pair is not None:
                drafts.append((name, *pair))
                break
    return sorted(drafts, key=lambda draft: draft[1].asked_at_s)


def _times(log: EventLog, known_s: float, rng: random.Random) -> Iterator[float]:
    """Times after the fact is known, within the house, with each of the lags equally likely."""
    lags = [
        (from_s, min(to_s, log.ends_s - known_s)) for _, from_s, to_s in LAGS if known_s + from_s < log.ends_s
    ]
    for _ in range(_LOOKS if lags else 0):
        yield calm(log, known_s + 0.1 + rng.uniform(*rng.choice(lags)))


def _decided(first_log: EventLog, second_log: EventLog) -> Iterator[tuple[str, Spec, float]]:
    """Questions about the acts in which two logs differ: the kind, the question, and the earliest time."""
    events, twin_events = (log.between(0.0, log.ends_s) for log in (first_log, second_log))
    for event, twin in zip(events, twin_events, strict=True):
        if event.act == twin.act:
            continue
        for act in (event.act, twin.act):
            candidates = _about(act, same_thing=event.act.what == twin.act.what)
            yield from ((name, spec, event.known_s) for name, spec in candidates)


def _about(act: Act, *, same_thing: bool) -> Iterator[tuple[str, Spec]]:
    """The questions about one act. ``same_thing`` says whether both twins have the same thing in it."""
    for kind, part, given_slots in NEEDLES:
        if kind == act.kind:
            yield "needle", ChainSpec((ChainLink(pattern_of(act, *given_slots), part),))
    for kind, part, given_slots in (*ORDINALS, ("shows", "where", ("room",))):
        if kind == act.kind:
            for position in (1, -1, -2):
                yield "ordinal", ChainSpec((ChainLink(pattern_of(act, *given_slots), part, position),))
    match act.kind:
        case "puts" | "takes":
            yield "happened", HappenedSpec(pattern_of(act, "who", "what", "where"))
        case "gives":
            yield from _about_gift(act, same_thing=same_thing)
        case "comes" if act.who is not None:
            for lasts_s in (60.0, 300.0, 1200.0, 3600.0):
                yield "count", CountSpec(Pattern("comes", who=act.who), lasts_s)
        case "shows":
            sign = next(subject for subject in SIGNS if subject.room == act.room)
            yield "now", StateSpec(sign)
            yield "before", StateSpec(sign, 1)


def _about_gift(act: Act, *, same_thing: bool) -> Iterator[tuple[str, Spec]]:
    yield "happened", HappenedSpec(pattern_of(act, "who", "what", "to"))
    for person in (act.who, act.to):
        if person is not None and same_thing:
            yield "company", CompanySpec(person, -1)


class _Pairing:
    """Makes the two drafts of a question about both twins."""

    def __init__(self, logs: tuple[EventLog, EventLog], rng: random.Random) -> None:
        self._logs, self._rng = logs, rng
        self._distractors: dict[str, list[str]] = {}

    def drafts(self, spec: Spec, time_s: float) -> tuple[QuestionDraft, QuestionDraft] | None:
        """Both drafts. None unless both have an answer and the answers differ."""
        results = [answer(spec, log.until(time_s)) for log in self._logs]
        first, second = results
        if first is None or second is None or first.value == second.value:
            return None
        if {first.value, second.value} & {NOT_SEEN, NOTHING}:
            return None
        form = self._form(spec, time_s, first, second)
        if form is None:
            return None
        kind, options = form
        hops = len(spec.links) if isinstance(spec, ChainSpec) else 1
        one, other = (QuestionDraft(spec, time_s, kind, result, options, hops) for result in (first, second))
        return one, other

    def _form(
        self, spec: Spec, time_s: float, first: OracleAnswer, second: OracleAnswer
    ) -> tuple[Kind, tuple[str, ...]] | None:
        """The kind of question and its options. None if it cannot be asked."""
        if isinstance(spec, HappenedSpec):
            return "yes_no", ()
        if isinstance(spec, CountSpec):
            in_range = {first.value, second.value} <= set(map(float, COUNTS))
            return ("number", ()) if in_range else None
        golds = [str(first.value), str(second.value)]
        values = _values(spec, [log.until(time_s) for log in self._logs])
        text = question(spec)
        # The same distractors each time. Otherwise the two answers would be the options that all questions share.
        distractors = self._distractors.setdefault(
            " ".join(sorted(golds)), self._rng.sample(values, len(values))
        )
        distractors = [value for value in distractors if value not in golds and not mentions(text, value)]
        if len(distractors) < OPTIONS - 2 or any(mentions(text, gold) for gold in golds):
            return None
        return "choice", mixed([*golds, *distractors[: OPTIONS - 2]], self._rng)


def _values(spec: Spec, logs: Iterable[EventLog]) -> list[str]:
    """The possible answers: the values that occur in both logs."""
    kind, part = ("comes", "who")
    if isinstance(spec, ChainSpec):
        kind, part = spec.links[-1].pattern.kind, spec.links[-1].part
    elif isinstance(spec, StateSpec):
        kind, part = "shows", "where"
    slots: dict[str, Slot] = {"who": "who", "to": "who", "where": "where", "room": "room"}
    slot = slots.get(part, "what")
    values = [
        {slot_text(event.act, slot) for event in log.acts(Pattern("comes" if slot == "who" else kind))}
        for log in logs
    ]
    return sorted(set.intersection(*values))


def _samples(
    first_house: House,
    second_house: House,
    drafts: Sequence[tuple[str, QuestionDraft, QuestionDraft]],
    change: TwinDifference,
) -> Iterator[Sample]:
    cluster = f"twins-{video_of(first_house)}"
    for number, (kind, *pair) in enumerate(drafts):
        for house, draft in zip((first_house, second_house), pair, strict=True):
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
