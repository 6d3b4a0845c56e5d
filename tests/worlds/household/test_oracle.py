"""The oracle agrees with the replay, needs all of its evidence, and ignores later acts."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.worlds.demo_video import DemoTimeline
from recollect.worlds.house import PEOPLE, ROOMS, THINGS, House, furnish
from recollect.worlds.household import KINDS, EventLog, Pattern, Replay, Spec, answer, questions_about
from recollect.worlds.household.event_log import SUBJECTS, LoggedEvent, Slot, pattern_of, with_slots
from recollect.worlds.household.question_kinds import _GIVEN, _walk
from recollect.worlds.household.question_sampling import QuestionSampler
from recollect.worlds.household.question_specs import (
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
    StateSpec,
    StaySpec,
    UsualSpec,
    WhenSpec,
)

SLOTS: tuple[Slot, ...] = ("who", "what", "to", "room")


def anything(log: EventLog, rng: random.Random) -> Iterator[Spec]:
    """Questions of every form, whether they make sense or not."""
    acts = list(log.between(0.0, log.until_s)) or list(log.until(1e9).between(0.0, 1e9))

    def some() -> Pattern:
        event = rng.choice(acts)
        return pattern_of(
            event.act, *(slot for slot in SLOTS if getattr(event.act, slot) and rng.random() < 0.4)
        )

    def mixed() -> Pattern:
        first, second = some(), some()
        return with_slots(
            first, {slot: filler for slot, filler in second.slots.items() if slot in first.slots}
        )

    people, position = rng.sample(PEOPLE, 4), rng.choice((1, 2, 3, -1, -2, 0))
    for pattern in (some(), mixed()):
        yield HappenedSpec(pattern)
        yield WhenSpec(pattern)
        yield CountSpec(pattern, rng.uniform(5.0, 200.0), rng.choice((None, "room")))
        yield AlertsSpec(pattern, rng.uniform(5.0, 40.0), rng.choice((0, 1, 2, 3)))
        yield ChainSpec((ChainLink(pattern, "room", position),))
        yield ChainSpec(
            (ChainLink(pattern, "room", position), ChainLink(Pattern("shows"), "where", 0, "room", "during"))
        )
        for when in ("after", "before"):
            yield ChainSpec(
                (
                    ChainLink(pattern, "room", position),
                    ChainLink(some(), "room", rng.choice((1, -1)), None, when),
                )
            )
    for hops in (1, 2, 3, 4):
        first, *rest = _walk(hops, rng)
        for kind, slot in _GIVEN[rng.choice(("who", "what", "room"))]:
            fillers = [event.act for event in acts if event.act.kind == kind]
            if kind == first.pattern.kind and fillers:
                start = pattern_of(rng.choice(fillers), slot)
                yield ChainSpec((ChainLink(start, first.part, first.position), *rest))
    yield AgainSpec(
        ChainLink(Pattern("comes", room=rng.choice(ROOMS)), "who", -1),
        Pattern("comes"),
        rng.uniform(5.0, 200.0),
    )
    yield OrderSpec(tuple(dict.fromkeys(some() for _ in range(3))))
    yield UsualSpec(Pattern("comes", who=rng.choice(PEOPLE)), "room")
    yield UsualSpec(Pattern("comes"), "room")
    yield ListingSpec(rng.choice(ROOMS), (from_s := rng.uniform(0.0, log.until_s)), from_s + 40.0)
    for person in people:
        yield CompanySpec(person, rng.choice((1, -1)))
        yield from (StaySpec(person, room) for room in ROOMS)
    comings = [event for event in acts if event.act.kind == "comes" and event.act.who]
    for room in ROOMS:
        people = sorted({event.act.who for event in comings if event.act.room == room}, key=str)[:3]
        if len(people) > 1:
            yield LongestSpec(tuple(people), room)
    for subject in SUBJECTS:
        yield StateSpec(subject)
        yield StateSpec(subject, at_s=rng.uniform(0.0, log.until_s))
        if subject.kind != "opener":
            yield StateSpec(subject, 1)
    for thing in THINGS:
        yield StateSpec(thing, rng.choice((0, 1)))


def same(first: object, second: object) -> bool:
    """Whether two answers are the same, times to a tenth of a millisecond."""
    if isinstance(first, tuple) and isinstance(second, tuple) and first and not isinstance(first[0], str):
        return np.shape(first) == np.shape(second) and bool(np.allclose(first, second, rtol=0, atol=1e-4))
    return first == second


@given(seed=st.integers(0, 10**6), share=st.floats(0.1, 0.99))
@settings(deadline=None, max_examples=20)
def test_the_oracle_and_the_replay_agree_at_random_times(seed, share):
    house = furnish(f"agree {seed}", 90.0)
    log = EventLog.of(house).until(share * house.duration_s)
    replay = Replay(house, log.until_s)

    for spec in anything(log, random.Random(seed)):
        result = answer(spec, log)
        assert same(result.value if result else None, replay.answer(spec)), spec


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_oracle_and_the_replay_agree_on_every_drawn_question(seed):
    house = furnish(f"asked {seed}", 700.0)
    log = EventLog.of(house)
    asker = QuestionSampler(house, random.Random(seed), asked_at=(330.0, 650.0))
    replays = {time_s: Replay(house, time_s) for time_s in asker.times_s}

    drafts = asker.ask(tuple(KINDS), 70)

    assert len({kind for kind, *_ in drafts}) >= 12
    for _, _, draft in drafts:
        result = answer(draft.spec, log.until(draft.asked_at_s))
        assert result == draft.result
        assert same(result.value, replays[draft.asked_at_s].answer(draft.spec)), draft.text


def poisoned(house: House, time_s: float, seed: str) -> House:
    """The house up to the scene that is on then, and another one from there on."""
    timeline = DemoTimeline()
    for start_s, scene in house.scenes:
        if start_s <= time_s:
            timeline.add(scene)
    for _, scene in furnish(seed, 200.0).scenes:
        timeline.add(scene)
    return House(timeline, house.seed)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=4)
def test_later_acts_change_no_answer(seed):
    house = furnish(f"later {seed}", 300.0)
    kinds = tuple(kind for kind in KINDS if kind not in {"alert", "standing"})
    log = EventLog.of(house)

    for _, _, draft in QuestionSampler(house, random.Random(seed)).ask(kinds, 25):
        second = EventLog.of(poisoned(house, draft.asked_at_s, f"poison {seed}"))
        assert answer(draft.spec, second.until(draft.asked_at_s)) == answer(
            draft.spec, log.until(draft.asked_at_s)
        )


def test_removing_any_act_of_a_chain_changes_its_answer():
    chains = 0
    for seed in range(2):
        house = furnish(f"chain {seed}", 2400.0)
        log = EventLog.of(house)
        for _, _, draft in QuestionSampler(house, random.Random(seed)).ask(("chain",), 10):
            chains += 1
            assert len(draft.result.events) == draft.hops >= 2
            for event in draft.result.events:
                without = answer(draft.spec, log.until(draft.asked_at_s).without(event))
                assert without is None or without.value != draft.result.value

    assert chains >= 15


def test_the_evidence_of_an_act_is_its_visible_span():
    house = furnish("evidence", 600.0)
    acts = {(event.span.start_s, event.span.end_s) for event in events(house)}

    for sample in questions_about(
        house, limit=60, kinds=("needle", "ordinal", "neighbour", "happened", "order")
    ):
        assert all(
            any(np.allclose(span, act, atol=1e-3) or span[0] == round(act[0], 3) for act in acts)
            for span in sample.evidence
        )
        assert all(end_s <= sample.asked_at_s for _, end_s in sample.evidence)


def events(house: House) -> list[LoggedEvent]:
    return list(EventLog.of(house).between(0.0, house.duration_s))
