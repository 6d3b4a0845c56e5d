"""Question kinds: options that occur in the house, balanced answers, and misleading options."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from recollect.evals.records import LAGS, Sample
from recollect.worlds.house import ROOMS, THINGS, House, furnish
from recollect.worlds.household import KINDS, EventLog, questions_about
from recollect.worlds.household.question_forms import COUNTS
from recollect.worlds.household.question_sampling import QuestionSampler
from recollect.worlds.household.question_specs import (
    CARRIED_OFF,
    NOT_SEEN,
    NOTHING,
    STAYS_S,
    ChainSpec,
    StateSpec,
)


@pytest.fixture(scope="module")
def hour() -> House:
    return furnish("hour", 3600.0)


@pytest.fixture(scope="module")
def of_the_hour(hour: House) -> list[Sample]:
    return questions_about(hour, seed=1, limit=110)


def of(samples: list[Sample], *types: str) -> list[Sample]:
    return [sample for sample in samples if sample.tags["type"] in types]


def within(share: float, seen: int, number: int) -> bool:
    """Whether a count is what luck makes of a share: four standard errors."""
    return abs(seen - share * number) <= 4 * (number * share * (1 - share)) ** 0.5 + 1


def test_every_kind_is_asked_about_an_hour(of_the_hour):
    assert {sample.tags["type"] for sample in of_the_hour} == set(KINDS)


def test_a_seed_fixes_the_questions_and_another_changes_them(hour, of_the_hour):
    assert questions_about(furnish("hour", 3600.0), seed=1, limit=110) == of_the_hour
    assert questions_about(hour, seed=2, limit=10) != questions_about(hour, seed=1, limit=10)


def test_questions_are_unique_and_in_order_of_time(of_the_hour):
    times_s = [sample.asked_at_s for sample in of_the_hour]
    texts = Counter(sample.question for sample in of_the_hour if sample.group is None)

    assert times_s == sorted(times_s)
    assert len({sample.id for sample in of_the_hour}) == len(of_the_hour)
    assert max(texts.values()) == 1


def test_an_answer_is_of_its_kind_and_among_the_options(many):
    for sample in many:
        match sample.kind:
            case "choice":
                assert len(set(sample.options)) == 4
                assert sample.gold in "ABCD"
            case "yes_no":
                assert sample.gold in ("yes", "no")
            case "number":
                assert sample.gold in COUNTS
            case "order":
                assert sorted(sample.gold) == sorted(sample.options)
            case "checklist":
                assert 3 <= len(sample.gold) <= 8


def test_every_option_is_something_of_its_house():
    made_up = {NOT_SEEN, NOTHING, CARRIED_OFF} | {f"about {stay_s:g} seconds" for stay_s in STAYS_S}
    for seed in range(3):
        house = furnish(f"options {seed}", 600.0)
        acts = [happening.act for happening in house.happenings]
        words = {str(part) for act in acts for part in (act.who, act.what, act.to, act.room, act.where)}
        words |= {f"{way} {act.where}" for act in acts for way in ("on the", "from the")}
        words |= {f"the {act.where}" for act in acts}
        lying = {str(thing) for thing in THINGS if any(thing in house.view(t).on for t in range(0, 600, 7))}
        words |= lying | {f"on the {place}" for room in ROOMS for place in room.places}
        for sample in questions_about(house, limit=60):
            assert sample.kind != "choice" or set(sample.options) <= words | made_up, sample.question


def test_every_position_is_right_equally_often(many):
    golds = Counter(sample.gold for sample in many if sample.kind == "choice")

    assert set(golds) == set("ABCD")
    assert all(within(1 / 4, seen, golds.total()) for seen in golds.values())


def test_yes_is_right_as_often_as_no(many):
    for kinds in (("happened",), ("again",), ("now", "before")):
        golds = Counter(sample.gold for sample in of(many, *kinds) if sample.kind == "yes_no")
        assert within(1 / 2, golds["yes"], golds.total()), kinds


def test_every_count_is_equally_likely(many):
    golds = Counter(sample.gold for sample in of(many, "count"))

    assert golds.total() > 25
    assert all(within(1 / len(COUNTS), golds[number], golds.total()) for number in COUNTS)


def test_nothing_is_right_as_often_as_any_other_option(many):
    for always, least in ((NOT_SEEN, 25), (NOTHING, 5), (CARRIED_OFF, 5)):
        shown = [sample for sample in of(many, "needle", "now") if always in sample.options]
        right = sum(sample.options["ABCD".index(str(sample.gold))] == always for sample in shown)
        assert len(shown) >= least
        assert within(1 / 4, right, len(shown)), always


def test_acts_that_did_not_happen_consist_of_parts_that_did():
    for seed in range(2):
        house = furnish(f"near {seed}", 900.0)
        log = EventLog.of(house)
        for _, _, draft in QuestionSampler(house, random.Random(seed)).ask(("needle", "happened"), 40):
            if draft.result.evidence:
                continue
            pattern = draft.spec.links[0].pattern if isinstance(draft.spec, ChainSpec) else draft.spec.pattern
            cut = log.until(draft.asked_at_s)
            assert not cut.acts(pattern)
            for slot, filler in pattern.slots.items():
                seen = [
                    e
                    for e in cut.between(0.0, 1e9)
                    if e.act.kind == pattern.kind and getattr(e.act, slot) == filler
                ]
                assert seen or pattern.kind == "shows"


def test_latest_and_earlier_states_are_options_of_each_other():
    asked = 0
    for seed in range(3):
        house = furnish(f"stale {seed}", 1200.0)
        log = EventLog.of(house)
        for kind, _, draft in QuestionSampler(house, random.Random(seed)).ask(("now", "before"), 30):
            subject = draft.spec.subject
            if draft.kind != "choice" or subject in THINGS:
                continue
            latest, earlier = (
                str(run.shown)
                for run in reversed(log.until(draft.asked_at_s).history(subject, empty=False)[-2:])
            )
            asked += 1
            assert latest in draft.options
            assert kind == "before" or earlier in draft.options
            assert isinstance(draft.spec, StateSpec)

    assert asked > 20


def test_a_repeated_question_keeps_options_and_changes_answer(of_the_hour):
    groups = defaultdict(list)
    for sample in of(of_the_hour, "revised"):
        groups[sample.group].append(sample)

    assert len(groups) >= 4
    for group in groups.values():
        assert len(group) == 3
        assert len({(sample.question, sample.options) for sample in group}) == 1
        assert len({sample.gold for sample in group}) == 3


def test_three_in_ten_awaited_acts_never_happen(many):
    alerts = of(many, "alert")
    never = sum(not sample.gold for sample in alerts)

    assert within(0.3, never, len(alerts))
    assert all(at_s >= sample.asked_at_s for sample in alerts for at_s in sample.gold)


def test_questions_about_an_hour_have_every_lag(of_the_hour):
    lags = Counter(sample.tags["lag"] for sample in of_the_hour)
    counted = sum(lags[name] for name, *_ in LAGS)

    assert all(lags[name] >= 0.05 * counted for name, least_s, _ in LAGS if least_s < 3600.0)


def test_questions_are_asked_only_at_the_given_times(hour):
    samples = questions_about(hour, limit=40, asked_at=(1000.0, 2000.0, 3500.0))

    assert len(samples) >= 30
    assert all(
        min(abs(sample.asked_at_s - time_s) for time_s in (1000, 2000, 3500)) < 10 for sample in samples
    )


@pytest.mark.parametrize(
    ("lasts_s", "least"),
    [(60.0, 15), (300.0, 20), (21600.0, 20), pytest.param(86400.0, 20, marks=pytest.mark.slow)],
)
def test_a_minute_and_a_day_can_be_asked_about(lasts_s, least):
    assert len(questions_about(furnish(2, lasts_s), limit=20)) >= least
