"""Each system is given what it is meant to have and no more, by a model that says its lines."""

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
    said = {"cites": [], "answer": "", "missing": "", "look_at": [], "queries": []}
    return JudgeReply(choice=choice, sufficiency=sufficiency, **{**said, **changed})  # type: ignore[arg-type]


def looked(choice: str | None = "B", sufficiency: str = "all", seen: str = "somebody walks") -> LookReply:
    return LookReply(seen=seen, visible_text=[], answer="", choice=choice, sufficiency=sufficiency)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, suite: HouseSuite) -> Path:
    path = tmp_path_factory.mktemp("memory") / "house.lance"
    ingest(FileFootage(suite.videos["one"]), path, name="one", watching=WatchSettings(ocr=False))
    return path


@pytest.fixture
def posed(memory: Path, suite: HouseSuite) -> Iterator[Any]:
    with MemoryStore.open(memory) as store, Recollect(memory, lmm=LmmSettings()) as recollect:

        def pose(asked_at_s: float = 39.0, **changed: Any) -> PosedQuestion:
            sample = next(one for one in suite.asked if len(one.options) == 4).model_copy(
                update={"asked_at_s": asked_at_s, **changed}
            )
            video = CausalVideo(FileFootage(suite.videos["one"]), until_s=asked_at_s)
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


def test_systems_have_names_of_their_own() -> None:
    for systems in (embedded_systems(), systems_with_lmm(ScriptedLmm())):
        assert len({system.name for system in systems}) == len(systems)


def test_who_is_asked_before_anything_is_remembered_abstains(posed: Any) -> None:
    said = RecollectSystem().answer(posed(0.5))

    assert (said.status, said.answer, said.retrieved) == ("abstained", None, ())


def test_what_was_retrieved_is_noted_whatever_is_made_of_it(posed: Any) -> None:
    asked = posed(39.0, question="Does somebody come in?", kind="yes_no", options=(), gold="yes")
    said = RecollectSystem().answer(asked)
    retrieved = [Span(start_s, end_s) for start_s, end_s in said.retrieved]

    cited = [Span(start_s, end_s) for start_s, end_s in said.spans]
    assert cited, said
    assert all(any(span.overlaps(one) for span in retrieved) for one in cited)
    assert all(span.end_s <= 39.0 for span in retrieved)
    assert sum(span.duration_s for span in retrieved) > sum(one.duration_s for one in cited)


def test_who_is_blind_is_shown_the_question_alone(posed: Any) -> None:
    lmm = ScriptedLmm(judged())
    said = SingleCallSystem("blind", no_moments, lmm).answer(posed())

    assert said.answer == "B"
    assert (said.usage.lmm_calls, said.retrieved) == (1, ())
    assert [type(part) for part in lmm.asked[0].prompt.parts] == [TextPart]


def test_of_all_captions_the_newest_that_the_model_can_be_told_are_told(posed: Any) -> None:
    asked = posed(39.0)
    moments = all_captions(asked)
    assert list(all_captions(asked, limit=2)) == list(moments[-2:])
    half = moments[len(moments) // 2 :]
    longest = len(judge_prompt(asked.question, (), named(half, len(half))).parts)

    def forgetful(prompt: Prompt) -> JudgeReply | LmmRefused:
        return judged() if len(prompt.parts) <= longest else LmmRefused("here", 400, "too long")

    said = SingleCallSystem("all captions", all_captions, ScriptedLmm(otherwise=forgetful)).answer(asked)

    assert said.answer == "B"
    assert said.retrieved == ((half[0].span.start_s, half[-1].span.end_s),)


def test_what_a_server_refuses_for_another_reason_is_not_told_in_part(posed: Any) -> None:
    locked = ScriptedLmm(LmmRefused("here", 401, "no key"), judged())

    with pytest.raises(LmmRefused):
        SingleCallSystem("all captions", all_captions, locked).answer(posed(39.0))


def test_the_oracle_is_given_the_memories_of_the_evidence_and_tells_whether_they_name_the_answer(
    posed: Any,
) -> None:
    asked = posed()
    lmm = ScriptedLmm(judged())
    said = SingleCallSystem("oracle evidence", evidence_moments, lmm, is_oracle=True).answer(asked)

    assert said.retrieved
    assert all(
        any(one.start_s < end_s and one.end_s > start_s for one in asked.sample.spans)
        for start_s, end_s in said.retrieved
    )
    assert said.encoded is names_answer(asked.sample, evidence_moments(asked))
    assert names_answer(
        asked.sample.model_copy(update={"kind": "text", "gold": "Shape"}), evidence_moments(asked)
    )
    assert (
        names_answer(asked.sample.model_copy(update={"kind": "number", "gold": 2.0}), evidence_moments(asked))
        is None
    )


def test_who_has_frames_alone_sees_as_many_as_it_is_named_for_and_none_too_late(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked())
    systems = {system.name: system for system in systems_with_lmm(lmm, frames=5)}
    for name, count, from_s in (
        ("one frame", 1, 0.0),
        ("5 frames of all", 5, 0.0),
        ("last 4 seconds", 4, 35.0),
    ):
        asked = posed()
        said = systems[name].answer(asked)
        assert (said.answer, asked.video.count) == ("B", count)
        assert from_s <= (asked.video.latest_s or 0.0) < 39.0
    assert len([part for part in lmm.asked[1].prompt.parts if isinstance(part, ClipPart)]) == 1


def test_of_evidence_that_is_still_to_come_no_frame_is_shown(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked())
    system = next(system for system in systems_with_lmm(lmm) if system.name == "frames of the evidence")

    assert system.answer(posed(evidence=((1.0, 2.0), (5.0, 6.0)))).answer == "B"
    ahead = posed(10.0, evidence=((20.0, 21.0),))
    assert system.answer(ahead).status == "abstained"
    assert ahead.video.count == 0


def test_a_model_that_says_little_abstains_where_it_may(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda _: looked(sufficiency="little"))
    said = next(system for system in systems_with_lmm(lmm) if system.name == "one frame").answer(posed())

    assert (said.status, said.answer) == ("abstained", None)


def test_videolucys_loop_stops_when_it_is_sure(posed: Any) -> None:
    lmm = ScriptedLmm(judged("C"))
    said = VideoLucy(lmm).answer(posed())

    assert (said.answer, said.usage.lmm_calls) == ("C", 1)


def test_videolucys_loop_goes_back_to_one_stretch_at_a_time_and_to_none_twice(posed: Any) -> None:
    lines = iter([judged(sufficiency="half", look_at=["M2"]), judged(sufficiency="most"), judged("D")])
    lmm = ScriptedLmm(
        otherwise=lambda prompt: next(lines) if prompt.name == "judge" else looked(seen="a key is given")
    )
    asked = posed()
    said = VideoLucy(lmm).answer(asked)

    assert said.answer == "D"
    assert len(set(said.retrieved)) == len(said.retrieved) == 2
    assert "a key is given" in words_of(lmm.asked[-1].prompt)
    assert asked.video.latest_s is not None
    assert asked.video.latest_s < 39.0


def test_videolucys_loop_has_to_answer_in_the_end(posed: Any) -> None:
    lmm = ScriptedLmm(otherwise=lambda prompt: judged("A", "none") if prompt.name == "judge" else looked())
    said = VideoLucy(lmm).answer(posed())

    assert said.status == "ok"
    assert said.answer == "A"
    assert sum(asked.prompt.name == "judge" for asked in lmm.asked) <= ITERATIONS + 1


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
def test_a_reply_in_prose_is_read_as_its_kind_has_it(
    posed: Any, kind: str, text: str, letter: str | None, spans: Any, answer: Any
) -> None:
    said = answer_from_reply(posed(kind=kind), text, letter, spans=spans)

    assert said.answer == answer
    assert said.status == ("ok" if answer is not None else "abstained")
