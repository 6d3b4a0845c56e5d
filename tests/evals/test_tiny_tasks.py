"""Training tasks of the tiny LMM: prompts as they are sent, and right replies that fit the schema."""

from __future__ import annotations

import json

import pytest

from recollect.agent.prompt_building import JudgeReply, LookReply, PlanReply
from recollect.evals.tiny.tasks import TASKS, TrainingSample, make_sample, make_samples
from recollect.perception.describing.describer import DescriptionReply, MomentDescriptionReply, template_of
from recollect.perception.lmm import ClipPart, PicturePart, TextPart
from recollect.perception.lmm.chat_format import request_body, schema_of
from recollect.perception.lmm.completion import read_reply
from recollect.perception.lmm.prompt_templates import load_template

REPLIES = {
    "caption": MomentDescriptionReply,
    "look": LookReply,
    "judge": JudgeReply,
    "summary": DescriptionReply,
    "plan": PlanReply,
}
TEMPLATES = {
    "caption": template_of("moment"),
    "summary": template_of("event"),
    **{name: load_template("recollect.agent", name) for name in ("look", "judge", "plan")},
}


@pytest.fixture(scope="module")
def samples() -> dict[str, list[TrainingSample]]:
    return {task: [make_sample(task, f"train {number}") for number in range(30)] for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_is_of_the_template_that_is_sent(task, samples):
    for sample in samples[task]:
        template = TEMPLATES[task]
        assert (sample.prompt.name, sample.prompt.revision, sample.prompt.system) == (
            template.name,
            template.revision,
            template.system,
        )


@pytest.mark.parametrize("task", TASKS)
def test_a_reply_is_what_structured_outputs_emit(task, samples):
    for sample in samples[task]:
        assert read_reply(sample.said, REPLIES[task], model="tiny") == sample.reply
        assert list(json.loads(sample.said)) == list(schema_of(REPLIES[task])["properties"])
        assert sample.said == json.dumps(json.loads(sample.said), separators=(",", ":"))


def test_caption_and_look_prompts_have_pictures(samples):
    shown = [part for task in ("caption", "look") for sample in samples[task] for part in sample.prompt.parts]

    assert any(isinstance(part, ClipPart) for part in shown)
    assert any(isinstance(part, PicturePart) for part in shown)
    for sample in samples["caption"]:
        assert request_body(sample.prompt, MomentDescriptionReply)["messages"][0]["role"] == "system"


def test_the_same_seed_makes_the_same_sample(samples):
    for task in TASKS:
        assert make_sample(task, "train 3") == samples[task][3]


@pytest.mark.parametrize("task", ["judge", "look", "plan"])
def test_samples_with_common_evidence_differ_in_the_question(task):
    alike = make_samples(task, "train 3", 6)

    assert len({str(sample.prompt.parts[:-1]) for sample in alike}) == 1
    assert len({str(sample.prompt.parts[-1]) for sample in alike}) > 2
    assert make_samples(task, "train 3", 1) == alike[:1]


def test_what_is_held_out_is_not_learnt_from(samples):
    for task in TASKS:
        learnt = {str(sample.prompt.parts) for sample in samples[task]}
        held_out = {str(make_sample(task, f"held-out {number}").prompt.parts) for number in range(30)}
        assert not learnt & held_out


def test_a_judgement_cites_only_shown_moments_that_matter(samples):
    grades = set()
    for sample in samples["judge"]:
        reply = sample.reply
        assert isinstance(reply, JudgeReply)
        shown = "".join(part.text for part in sample.prompt.parts if isinstance(part, TextPart))
        assert all(f'name="{name}"' in shown for name in (*reply.cites, *reply.look_at))
        assert bool(reply.answer) == (reply.sufficiency in {"half", "all"})
        assert (not reply.cites) == (reply.sufficiency == "none")
        grades.add(reply.sufficiency)
    assert {"all", "none", "little"} <= grades


def test_the_choice_is_the_letter_of_the_answer(samples):
    chosen = 0
    for sample in (*samples["judge"], *samples["look"]):
        reply = sample.reply
        assert isinstance(reply, JudgeReply | LookReply)
        question = sample.prompt.parts[-1]
        assert isinstance(question, TextPart)
        if reply.choice is not None:
            chosen += 1
            (option,) = [line for line in question.text.splitlines() if line.startswith(f"{reply.choice}. ")]
            assert option[3:] in reply.answer
    assert chosen > 5
