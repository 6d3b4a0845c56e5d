"""The right replies of the tiny LMM's tasks: they follow from what is shown, and from nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from recollect.evals.tiny.target_replies import (
    ShownContent,
    judge_reply,
    known_names,
    look_reply,
    plan_reply,
    suggested_act,
)
from recollect.worlds.house import PEOPLE, ROOMS, THINGS, Act, HouseQuestion, PictureFacts
from recollect.worlds.house.house_questions import forms_of, pose

KITCHEN, HALL = ROOMS[:2]
ANN, BOB, EVE = PEOPLE[0], PEOPLE[13], PEOPLE[7]
BOX, CUP = THINGS[0], THINGS[8]

PUTS = Act("puts", KITCHEN, ANN, BOX, "table")
GIVES = Act("gives", KITCHEN, ANN, BOX, to=BOB)


def seen(*acts: Act, actors: tuple[Any, ...] = (), room: Any = KITCHEN) -> PictureFacts:
    """What a caption tells; whoever does something in it is there, and so is what it is done with."""
    there = dict.fromkeys(str(one) for act in acts for one in (act.who, act.to) if one is not None)
    there |= dict.fromkeys(map(str, actors))
    things = dict.fromkeys(str(act.what) for act in acts if act.what is not None)
    caption = f"In {room}, {'; '.join(act.clause for act in acts)}."
    return PictureFacts(caption, tuple(there), (), tuple(things), str(room), (), acts)


def asked(act: Act, part: str, *, options: bool = True) -> HouseQuestion:
    form = next(form for form in forms_of(act) if form.part == part)
    return pose(act, form, random.Random(0), open_share=0.0 if options else 1.0)


def shown(*moments: PictureFacts) -> dict[str, ShownContent]:
    return {f"M{number}": ShownContent(10.0 * number, (each,)) for number, each in enumerate(moments, 1)}


def test_a_moment_that_tells_what_is_asked_settles_it():
    reply = judge_reply(
        asked(PUTS, "who"), shown(seen(Act("opens", KITCHEN, BOB, where="fridge")), seen(PUTS))
    )

    assert (reply.sufficiency, reply.cites, reply.look_at) == ("all", ["M2"], [])
    assert reply.answer == f"In the kitchen, {ANN} puts {BOX} on the table."


def test_when_it_was_is_answered_with_the_time_of_the_moment():
    reply = judge_reply(asked(PUTS, "when"), shown(seen(), seen(PUTS)))

    assert reply.answer.startswith("At 0:20.0: ")
    assert reply.choice is None


@pytest.mark.parametrize(
    "other",
    [
        Act("puts", KITCHEN, ANN, CUP, "table"),
        Act("puts", KITCHEN, ANN, BOX, "counter"),
        Act("takes", KITCHEN, ANN, BOX, "table"),
    ],
)
def test_what_is_only_much_like_it_settles_nothing(other):
    reply = judge_reply(asked(PUTS, "who"), shown(seen(other)))

    assert reply.sufficiency == "little"
    assert (reply.answer, reply.choice) == ("", None)
    assert reply.look_at == ["M1"]


def test_the_moment_with_the_best_match_is_inspected_first():
    reply = judge_reply(
        asked(GIVES, "who"),
        shown(
            seen(Act("is", HALL, what=BOX, where="bench"), room=HALL),
            seen(Act("is", KITCHEN, what=BOX, where="table"), actors=[BOB]),
            seen(Act("comes", KITCHEN, EVE, where="left")),
        ),
    )

    assert (reply.cites, reply.look_at) == (["M2"], ["M2", "M1"])


def test_of_what_nothing_tells_nothing_is_said():
    reply = judge_reply(asked(GIVES, "who"), shown(seen(Act("comes", HALL, EVE, where="left"), room=HALL)))

    assert (reply.sufficiency, reply.cites, reply.look_at) == ("none", [], [])
    assert reply.missing == f"gives {BOX} to {BOB}"


@pytest.mark.parametrize(
    ("act", "part", "moment", "gold"),
    [
        (PUTS, "who", seen(Act("carries", KITCHEN, ANN, BOX)), ANN),
        (PUTS, "what", seen(Act("is", KITCHEN, what=BOX, where="table"), actors=[ANN]), BOX),
        (PUTS, "where", seen(Act("is", KITCHEN, what=BOX, where="table"), actors=[ANN]), "on the table"),
        (GIVES, "who", seen(Act("carries", KITCHEN, ANN, BOX), actors=[BOB]), ANN),
        (GIVES, "who", seen(Act("carries", KITCHEN, BOB, BOX), actors=[ANN]), ANN),
        (GIVES, "to", seen(Act("carries", KITCHEN, ANN, BOX), actors=[BOB]), BOB),
        (GIVES, "to", seen(Act("carries", KITCHEN, BOB, BOX), actors=[ANN]), BOB),
        (GIVES, "what", seen(Act("carries", KITCHEN, BOB, BOX), actors=[ANN]), BOX),
    ],
)
def test_likely_evidence_half_settles_and_is_inspected(act, part, moment, gold):
    reply = judge_reply(asked(act, part), shown(moment))

    assert (reply.sufficiency, reply.cites, reply.look_at) == ("half", ["M1"], ["M1"])
    assert str(gold) in reply.answer


@pytest.mark.parametrize(
    ("act", "part", "moment"),
    [
        (PUTS, "who", seen(Act("carries", HALL, ANN, BOX), room=HALL)),
        (PUTS, "where", seen(Act("is", HALL, what=BOX, where="bench"), room=HALL)),
        (GIVES, "who", seen(Act("carries", KITCHEN, ANN, BOX))),
        (GIVES, "to", seen(Act("carries", KITCHEN, ANN, BOX), actors=[BOB, EVE])),
    ],
)
def test_ambiguous_evidence_suggests_nothing(act, part, moment):
    assert suggested_act(moment, asked(act, part)) is None


def test_an_arrival_does_not_settle_its_direction():
    came = asked(Act("comes", KITCHEN, ANN, where="left"), "where")

    assert judge_reply(came, shown(seen(Act("comes", KITCHEN, ANN)))).sufficiency == "little"
    assert look_reply(came, seen(Act("comes", KITCHEN, ANN))).sufficiency == "none"


def test_a_look_that_shows_what_is_asked_settles_it():
    reply = look_reply(asked(GIVES, "to"), seen(GIVES))

    assert reply.sufficiency == "all"
    assert str(BOB) in reply.answer


def test_a_plan_searches_for_the_act_and_each_known_name():
    question = asked(GIVES, "to")

    assert known_names(question) == [str(ANN), str(BOX)]
    assert plan_reply(question, None, None, "any").queries == [f"{ANN} gives {BOX} to", str(ANN), str(BOX)]


def test_missing_evidence_is_searched_by_its_cause_and_result():
    reply = judge_reply(asked(GIVES, "to"), {})

    assert reply.queries == [f"{ANN} carries {BOX}", f"{BOX} is on"]
    assert judge_reply(asked(PUTS, "what"), {}).queries == [f"In the kitchen, {ANN}"]
