"""What the agent is measured against, with a model that says its lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recollect import Recollect
from recollect.agent.answer import Answer, Evidence, Question
from recollect.agent.asking import Judged, Looked, Planned
from recollect.errors import LmmUnreachable
from recollect.evals.baselines import Agent, NoVideo, OneShotRetrieval, UniformFrames, pictures_of
from recollect.evals.house import Asked, ask_about, furnish, mark
from recollect.memory.values import Span
from recollect.perception.lmm import Clip, ScriptedLmm, Words
from recollect.settings import LmmSettings

QUESTION = Question(text="Which shape moves?", options=("a square", "a ball"))


def judged(choice: str | None, sufficiency: str, *cites: str) -> Judged:
    return Judged(
        cites=list(cites),
        answer="",
        choice=choice,
        sufficiency=sufficiency,
        missing="",
        look_at=[],
        queries=[],
    )


def looked(choice: str | None, sufficiency: str) -> Looked:
    return Looked(seen="", visible_text=[], answer="", choice=choice, sufficiency=sufficiency)


@pytest.fixture(scope="module")
def memory_path(short_video, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "short.lance"
    with Recollect(path, lmm=LmmSettings()) as memory:
        memory.watch(short_video, stream="short", ocr=False)
    return path


def test_who_sees_no_video_is_shown_the_question_alone():
    lmm = ScriptedLmm(judged("B", "half"))

    answered = NoVideo(lmm).ask(QUESTION)

    assert (answered.choice, answered.calls) == (1, 1)
    assert [type(part) for part in lmm.asked[0].prompt.parts] == [Words]
    assert lmm.asked[0].prompt.name == "judge"


@pytest.mark.parametrize(
    "line",
    [judged("A", "little"), judged(None, "all"), judged("E", "all"), LmmUnreachable("scripted", "away")],
)
def test_who_is_not_sure_or_names_no_option_abstains(line):
    assert NoVideo(ScriptedLmm(line)).ask(QUESTION).choice is None


def test_pictures_are_spread_over_the_whole_or_the_last_of_it(short_video):
    lmm = ScriptedLmm(looked("A", "all"), looked("A", "all"))
    for last_s in (None, 0.5):
        UniformFrames(lmm, short_video, 2.0, pictures=4, last_s=last_s).ask(QUESTION)

    (whole,), (last,) = (
        [part for part in asked.prompt.parts if isinstance(part, Clip)] for asked in lmm.asked
    )
    assert np.allclose(whole.times_s, (0.25, 0.75, 1.25, 1.75), atol=0.05)
    assert np.allclose(last.times_s, (0.0625, 0.1875, 0.3125, 0.4375), atol=0.05)


def test_a_picture_comes_with_its_own_time(short_video):
    (time_s, picture), *others = pictures_of(short_video, Span(1.0, 2.0), 1)

    # The square moves two pixels in each picture, 25 of them a second.
    assert not others
    left = int(np.argmax(picture[45, :, 0] > 120))
    assert abs(left - 50 * time_s) <= 3


def test_one_shot_retrieval_judges_what_the_words_of_the_question_find(memory_path):
    lmm = ScriptedLmm(judged("A", "all", "M1"))
    with Recollect(memory_path, lmm=lmm) as memory:
        answered = OneShotRetrieval(lmm, memory, "short").ask(
            Question(text="What blue shape moves?", options=("a square", "a ball"))
        )

    assert (answered.choice, answered.calls) == (0, 1)
    assert any('name="M1"' in part.text for part in lmm.asked[0].prompt.parts if isinstance(part, Words))


def test_the_agent_says_what_it_rests_on(memory_path):
    planned = Planned(queries=["shape"], from_s=None, to_s=None, order="any")
    lmm = ScriptedLmm(planned, judged("B", "all", "M1"))
    with Recollect(memory_path, lmm=lmm) as memory:
        answered = Agent(memory, "short").ask(QUESTION)

    assert answered.choice == 1
    assert answered.calls == 2
    assert answered.spans


def answer(asked: Asked, *, choice: str | None = None, text: str = "", at_s: float | None = None) -> Answer:
    evidence = [] if at_s is None else [
        Evidence(stream="house", start_s=at_s, end_s=at_s + 1, text="", memory_id="m", score=1.0)
    ]  # fmt: skip
    return Answer(
        text=text,
        choice=choice,
        confidence=1.0,
        evidence=evidence,
        as_of="",
        stop_reason="sufficient",
        trace_id="",
    )


def test_an_answer_is_marked_by_its_option_its_words_or_its_evidence():
    questions = ask_about(furnish("marks", 120.0), limit=30)
    chosen = next(asked for asked in questions if asked.options)
    timed = next(asked for asked in questions if asked.form.part == "when")
    right = chr(ord("A") + chosen.choice)
    wrong = "B" if right == "A" else "A"
    then_s, never_s = timed.evidence[0].start_s, 10_000.0

    assert mark(chosen, answer(chosen, choice=right)).verdict == "right"
    assert mark(chosen, answer(chosen, choice=wrong)).verdict == "wrong"
    assert mark(timed, answer(timed, at_s=then_s)).verdict == "right"
    assert mark(timed, answer(timed, at_s=never_s)).verdict == "wrong"
    assert mark(timed, answer(timed)).verdict == "wrong"
    assert mark(timed, answer(timed).model_copy(update={"abstained": True})).verdict == "abstained"
    assert mark(chosen, answer(chosen, choice=right, at_s=chosen.evidence[0].start_s)).grounded
    assert not mark(chosen, answer(chosen, choice=right, at_s=never_s)).grounded
