"""The scripted LMM: it returns scripted replies, records requests, and parses as the client does."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from recollect.perception.errors import LmmOverloaded, LmmReplyOutOfSchema, LmmUnreachable
from recollect.perception.lmm import ClipPart, LmmUsage, PicturePart, Prompt, TextPart
from recollect.testing.scripted_lmm import ScriptedLmm


class Caption(BaseModel):
    caption: str


PROMPT = Prompt("caption", 2, "Describe.", (TextPart("What is it?"),))


def test_scripted_replies_come_in_order_in_any_form():
    lmm = ScriptedLmm(Caption(caption="one"), '{"caption": "two"}', LmmOverloaded("there", 503, "busy"))

    assert lmm.ask_now(PROMPT, Caption).value.caption == "one"
    assert asyncio.run(lmm.ask(PROMPT, Caption)).value.caption == "two"
    with pytest.raises(LmmOverloaded):
        lmm.ask_now(PROMPT, Caption)
    with pytest.raises(LmmUnreachable, match="no further line"):
        lmm.ask_now(PROMPT, Caption)


def test_after_the_scripted_replies_a_function_is_called():
    lmm = ScriptedLmm("{}", otherwise=lambda prompt: Caption(caption=prompt.name))

    with pytest.raises(LmmReplyOutOfSchema):
        lmm.ask_now(PROMPT, Caption)
    assert [lmm.ask_now(PROMPT, Caption).value.caption for _ in range(2)] == ["caption", "caption"]


def test_a_reply_of_another_type_is_out_of_schema():
    class Other(BaseModel):
        digit: int

    with pytest.raises(LmmReplyOutOfSchema, match="caption: Field required"):
        ScriptedLmm(Other(digit=1)).ask_now(PROMPT, Caption)


def test_the_scripted_lmm_records_its_prompts():
    lmm = ScriptedLmm(otherwise=lambda _: Caption(caption="x"))

    lmm.ask_now(PROMPT, Caption, priority="caption", deadline_s=3.0, max_tokens=9)

    (request,) = lmm.asked
    assert (request.prompt, request.reply, request.priority) == (PROMPT, Caption, "caption")
    assert (request.deadline_s, request.max_tokens) == (3.0, 9)


def test_pictures_cost_more_tokens_than_text():
    lmm = ScriptedLmm(otherwise=lambda _: Caption(caption="x"), name="tiny")
    picture_prompt = Prompt("caption", 1, "", (PicturePart(b"a"), ClipPart((b"a", b"b"), (0.0, 1.0))))

    text, pictures = (lmm.ask_now(prompt, Caption, priority="caption") for prompt in (PROMPT, picture_prompt))

    assert 0 < text.usage.prompt_tokens < pictures.usage.prompt_tokens / 10
    assert lmm.usage == {"caption": text.usage + pictures.usage, "question": LmmUsage()}
    assert (text.written_by, lmm.describe_now().model) == ("lmm:tiny/caption.2", "tiny")
