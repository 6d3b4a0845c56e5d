"""Systems: each one gets its intended input and no more. The model is scripted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recollect import Recollect
from recollect.agent.prompt_building import JudgeReply, LookReply, judge_prompt, named
from recollect.evals.causal_video import CausalVideo, FileFootage
from recollect.evals.ingestion import WatchSettings, as_of_s, ingest
from recollect.evals.presets import embedded_systems, systems_with_lmm
from recollect.evals.systems import (
    PosedQuestion,
    RecollectSystem,
    SingleCallSystem,
    WatchedVideo,
    all_captions,
    answer_from_reply,
    evidence_moments,
    names_answer,
    no_moments,
)
from recollect.evals.videolucy import ITERATIONS, VideoLucy
from recollect.memory import MemoryStore, Span
from recollect.perception.errors import LmmRefused
from recollect.perception.lmm import ClipPart, Prompt, TextPart
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.scripted_lmm import ScriptedLmm

from .conftest import HouseSuite


def judged(choice: str | None = "B", sufficiency: str = "all", **changed: Any) -> JudgeReply:
    defaults = {"cites": [], "answer": "", "missing": "", "look_at": [], "queries": []}
    return JudgeReply(choice=choice, sufficiency=sufficiency, **{**defaults, **changed})  # type: ignore[arg-type]


def looked(choice: str | None = "B", sufficiency: str = "all", seen: str = "somebody walks") -> LookReply:
    return LookReply(seen=seen, visible_text=[], answer="", choice=choice, sufficiency=sufficiency)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, suite: HouseSuite) -> Path:
    path = tmp_path_factory.mktemp("memory") / "house.lance"
    ingest(FileFootage(suite.videos["house"]), path, name="house", watching=WatchSettings(ocr=False))
    return path


@pytest.fixture
def posed(memory: Path, suite: HouseSuite) -> Iterator[Any]:
    with MemoryStore.open(memory) as store, Recollect(memory, lmm=LmmSettings()) as recollect:

        def pose(asked_at_s: float = 39.0, **changed: Any) -> PosedQuestion:
            sample = next(sample for sample in suite.questions if len(sample.options) == 4).model_copy(
                update={"asked_at_s": asked_at_s, **changed}
            )
            video = CausalVideo(FileFootage(suite.videos["house"]), until_s=asked_at_s)
            snapshot = store.snapshot(as_of_s=as_of_s(asked_at_s))
            return PosedQuestion(
                sample,
                video,
                as_of_s(asked_at_s),
                WatchedVideo(lambda overrides, limits: recollect, snapshot),
            )

        yield pose


def words_of(prompt: Prompt) -> str:
    return " ".join(part.text for part in prompt.parts if isinstance(part, TextPart))


def test_system_names_are_unique() -> None:
    for systems in (embedded_systems(), systems_with_lmm(ScriptedLmm())):
        assert len({system.name for system in systems}) == len(systems)


def test_empty_memory_gives_an_abstention(posed: Any) -> None:
    answer = RecollectSystem().answer(posed(0.5))

    assert (answer.status, answer.answer, answer.retrieved) == ("abstained", None, ())


def test_retrieved_spans_include_the_cited_ones(posed: Any) -> None:
    question = posed(39.0, question="Does somebody come in?", kind="yes_no", options=(), gold="yes")
    answer = RecollectSystem().answer(question)
    retrieved = [Span(start_s, end_s) for start_s, end_s in answer.retrieved]

    cited = [Span(start_s, end_s) for start_s, end_s in answer.spans]
    assert cited, answer
    assert all(any(span.overlaps(cited_span) for span in retrieved) for cited_span in cited)
    assert all(span.end_s <= 39.0 for span in retrieved)
    assert sum(span.duration_s for span in retrieved) > sum(span.duration_s for span in cited)


def test_blind_system_sees_only_the_question(posed: Any) -> None:
    lmm = ScriptedLmm(judged())
    answer = SingleCallSystem("blind", no_moments, lmm).answer(posed())

    assert answer.answer == "B"
    assert (answer.usage.lmm_calls, answer.retrieved) == (1, ())
    assert [type(part) for part in lmm.asked[0].prompt.parts] == [TextPart]


def test_all_captions_keeps_the_newest_that_fit_the_model(posed: Any) -> None:
    question = posed(39.0)
    moments = all_captions(question)
    assert list(all_captions(question, limit=2)) == list(moments[-2:])
    half = moments[len(moments) // 2 :]
    longest = len(judge_prompt(question.question, (), named(half, len(half))).parts)

    def forgetful(prompt: Prompt) -> JudgeReply | LmmRefused:
        return judged() if len(prompt.parts) <= longest else LmmRefused("here", 400, "too long")

    answer = SingleCallSystem("all captions", all_captions, ScriptedLmm(otherwise=forgetful)).answer(question)

    assert answer.answer == "B"
    assert answer.retrieved == ((half[0].span.start_s, half[-1].span.end_s),)


def test_only_a_too_long_prompt_is_shortened(posed: Any) -> None:
    locked = ScriptedLmm(LmmRefused("here", 401, "no key"), judged())

    with pytest.raises(LmmRefused):
        SingleCallSystem("all captions", all_captions, locked).answer(posed(39.0))


def test_oracle_gets_evidence_and_says_if_it_names_the_answer(
    posed: Any,
) -> None:
    question = posed()
    lmm = ScriptedLmm(judged())
    answer = SingleCallSystem("oracle evidence", evidence_moments, lmm, is_oracle=True).answer(question)

    assert answer.retrieved
    assert all(
        any(span.start_s < end_s and span.end_s > start_s for span in question.sample.spans)
        for start_s, end_s in answer.retrieved
    )
    assert answer.encoded is names_answer(question.sample, evidence_moments(question))
    assert names_answer(
        question.sample.model_copy(update={"kind": "text", "gold": "Shape"}), evidence_moments(question)
    )
    assert (
        names_answer(
            question.sample.model_copy(update={"kind": "number", "gold": 2.0}), evidence_moments(question)
        )
        is None
    )


def test_frame_system_sees_its_frames_and_none_too_late(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked())
    systems = {system.name: system for system in systems_with_lmm(lmm, frames=5)}
    for name, count, from_s in (
        ("one frame", 1, 0.0),
        ("5 frames of all", 5, 0.0),
        ("last 4 seconds", 4, 35.0),
    ):
        question = posed()
        answer = systems[name].answer(question)
        assert (answer.answer, question.video.count) == ("B", count)
        assert from_s <= (question.video.latest_s or 0.0) < 39.0
    assert len([part for part in lmm.asked[1].prompt.parts if isinstance(part, ClipPart)]) == 1


def test_no_frame_of_later_evidence_is_shown(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked())
    system = next(system for system in systems_with_lmm(lmm) if system.name == "frames of the evidence")

    assert system.answer(posed(evidence=((1.0, 2.0), (5.0, 6.0)))).answer == "B"
    ahead = posed(10.0, evidence=((20.0, 21.0),))
    assert system.answer(ahead).status == "abstained"
    assert ahead.video.count == 0


def test_insufficient_evidence_gives_an_abstention(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked(sufficiency="little"))
    answer = next(system for system in systems_with_lmm(lmm) if system.name == "one frame").answer(posed())

    assert (answer.status, answer.answer) == ("abstained", None)


def test_videolucy_stops_at_sufficient_evidence(posed: Any) -> None:
    lmm = ScriptedLmm(judged("C"))
    answer = VideoLucy(lmm).answer(posed())

    assert (answer.answer, answer.usage.lmm_calls) == ("C", 1)


def test_videolucy_visits_one_span_at_a_time_and_none_twice(posed: Any) -> None:
    lines = iter([judged(sufficiency="half", look_at=["M2"]), judged(sufficiency="most"), judged("D")])
    lmm = ScriptedLmm(
        otherwise=lambda prompt: next(lines) if prompt.name == "judge" else looked(seen="a key is given")
    )
    question = posed()
    answer = VideoLucy(lmm).answer(question)

    assert answer.answer == "D"
    assert len(set(answer.retrieved)) == len(answer.retrieved) == 2
    assert "a key is given" in words_of(lmm.asked[-1].prompt)
    assert question.video.latest_s is not None
    assert question.video.latest_s < 39.0


def test_videolucy_answers_after_its_last_iteration(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda prompt: judged("A", "none") if prompt.name == "judge" else looked())
    answer = VideoLucy(lmm).answer(posed())

    assert answer.status == "ok"
    assert answer.answer == "A"
    assert sum(call.prompt.name == "judge" for call in lmm.asked) <= ITERATIONS + 1


@pytest.mark.parametrize(
    ("kind", "text", "letter", "spans", "answer"),
    [
        ("choice", "", "b.", (), "B"),
        ("choice", "It was B.", None, (), None),
        ("yes_no", "", "A", (), "yes"),
        ("number", "It happened 3 times.", None, (), 3.0),
        ("span", "then", None, ((1.0, 2.0), (5.0, 6.0)), ((1.0, 2.0),)),
        ("text", "X8P", None, (), "X8P"),
        ("alerts", "never", None, (), ()),
    ],
)
def test_prose_reply_is_converted_to_its_kind(
    posed: Any, kind: str, text: str, letter: str | None, spans: Any, answer: Any
) -> None:
    result = answer_from_reply(posed(kind=kind), text, letter, spans=spans)

    assert result.answer == answer
    assert result.status == ("ok" if answer is not None else "abstained")
