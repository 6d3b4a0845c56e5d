"""Target replies of the tiny LMM's tasks: they follow from what the prompt shows."""

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
    people = dict.fromkeys(str(person) for act in acts for person in (act.who, act.to) if person is not None)
    people |= dict.fromkeys(map(str, actors))
    things = dict.fromkeys(str(act.what) for act in acts if act.what is not None)
    caption = f"In {room}, {'; '.join(act.clause for act in acts)}."
    return PictureFacts(caption, tuple(people), (), tuple(things), str(room), (), acts)


def asked(act: Act, part: str, *, options: bool = True) -> HouseQuestion:
    form = next(form for form in forms_of(act) if form.part == part)
    return pose(act, form, random.Random(0), open_share=0.0 if options else 1.0)


def shown(*moments: PictureFacts) -> dict[str, ShownContent]:
    return {f"M{number}": ShownContent(10.0 * number, (facts,)) for number, facts in enumerate(moments, 1)}


def test_a_moment_that_shows_the_act_settles_the_question():
    reply = judge_reply(
        asked(PUTS, "who"), shown(seen(Act("opens", KITCHEN, BOB, where="fridge")), seen(PUTS))
    )

    assert (reply.sufficiency, reply.cites, reply.look_at) == ("all", ["M2"], [])
    assert reply.answer == f"In the kitchen, {ANN} puts {BOX} on the table."


def test_a_time_is_answered_with_the_time_of_the_moment():
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
def test_a_similar_act_settles_nothing(other):
    reply = judge_reply(asked(PUTS, "who"), shown(seen(other)))

    assert reply.sufficiency == "little"
    assert (reply.answer, reply.choice) == ("", None)
    assert reply.look_at == ["M1"]


def test_the_moment_with_most_of_the_named_parts_is_seen_first():
    reply = judge_reply(
        asked(GIVES, "who"),
        shown(
            seen(Act("is", HALL, what=BOX, where="bench"), room=HALL),
            seen(Act("is", KITCHEN, what=BOX, where="table"), actors=[BOB]),
            seen(Act("comes", KITCHEN, EVE, where="left")),
        ),
    )

    assert (reply.cites, reply.look_at) == (["M2"], ["M2", "M1"])


def test_an_unrelated_moment_gives_no_answer():
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
def test_a_likely_answer_is_graded_half_and_looked_at(act, part, moment, gold):
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
def test_an_ambiguous_moment_suggests_nothing(act, part, moment):
    assert suggested_act(moment, asked(act, part)) is None


def test_an_arrival_without_its_side_does_not_settle_the_side():
    came = asked(Act("comes", KITCHEN, ANN, where="left"), "where")

    assert judge_reply(came, shown(seen(Act("comes", KITCHEN, ANN)))).sufficiency == "little"
    assert look_reply(came, seen(Act("comes", KITCHEN, ANN))).sufficiency == "none"


def test_a_look_that_shows_the_act_settles_the_question():
    reply = look_reply(asked(GIVES, "to"), seen(GIVES))

    assert reply.sufficiency == "all"
    assert str(BOB) in reply.answer


def test_a_plan_queries_the_whole_question_and_each_name():
    question = asked(GIVES, "to")

    assert known_names(question) == [str(ANN), str(BOX)]
    assert plan_reply(question, None, None, "any").queries == [f"{ANN} gives {BOX} to", str(ANN), str(BOX)]


def test_missing_evidence_is_searched_for_by_related_acts():
    reply = judge_reply(asked(GIVES, "to"), {})

    assert reply.queries == [f"{ANN} carries {BOX}", f"{BOX} is on"]
    assert judge_reply(asked(PUTS, "what"), {}).queries == [f"In the kitchen, {ANN}"]
