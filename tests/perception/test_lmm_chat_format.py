"""The chat format: requests to a server and parsed replies, without a server."""

from __future__ import annotations

import base64
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from recollect.perception.errors import LmmReplyOutOfSchema
from recollect.perception.lmm import ClipPart, PicturePart, Prompt, TextPart, as_data
from recollect.perception.lmm.chat_format import request_body, schema_of
from recollect.perception.lmm.completion import read_reply
from recollect.perception.lmm.dialect import Dialect


class Actor(BaseModel):
    """A person in the picture."""

    title: str = Field(max_length=40)
    mood: Literal["calm", "hasty"] = "calm"


class Scene(BaseModel):
    caption: str = Field(min_length=1, max_length=20)
    default: str | None = None
    actors: tuple[Actor, ...] = ()
    sure: float = Field(default=0.5, ge=0, le=1)


def body_of(*parts, dialect=Dialect(), system="Describe."):  # noqa: B008
    return request_body(Prompt("caption", 1, system, parts), Scene, dialect)


def content_of(*parts, **how):
    return body_of(*parts, **how)["messages"][-1]["content"]


def keywords(schema):
    """Every keyword of a schema, but not the names of properties."""
    if isinstance(schema, list):
        return {keyword for item in schema for keyword in keywords(item)}
    if not isinstance(schema, dict):
        return set()
    names = set(schema)
    for keyword, value in schema.items():
        inner = list(value.values()) if keyword in {"properties", "$defs"} else value
        names |= set() if keyword in {"enum", "required"} else keywords(inner)
    return names


def test_no_bound_on_the_length_of_text_is_sent():
    """With such a bound, vLLM's grammar allows raw control characters and forbids escapes."""
    assert keywords(schema_of(Scene)) & {"minLength", "maxLength", "title", "default"} == set()


def test_fields_may_have_the_names_of_schema_keywords():
    schema = schema_of(Scene)

    assert set(schema["properties"]) == {"caption", "default", "actors", "sure"}
    assert set(schema["$defs"]["Actor"]["properties"]) == {"title", "mood"}


def test_every_field_is_required_and_no_other_allowed():
    schema = schema_of(Scene)

    for part in (schema, schema["$defs"]["Actor"]):
        assert part["required"] == list(part["properties"])
        assert part["additionalProperties"] is False
    assert schema["properties"]["sure"] == {"type": "number", "minimum": 0, "maximum": 1}


def test_the_schema_is_strict_and_named():
    sent = body_of(TextPart("What?"))["response_format"]

    assert sent["type"] == "json_schema"
    assert (sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("caption", True)


def test_a_clip_is_sent_with_its_true_times():
    times_s = (12.0, 12.24, 12.5069, 3600.0004)
    clip = ClipPart((b"a", b"b", b"c", b"d"), times_s)

    body = body_of(clip)

    url = body["messages"][-1]["content"][0]["video_url"]["url"]
    head, _, frames = url.partition(",")
    assert head == "data:video/jpeg;base64"
    assert [base64.b64decode(frame) for frame in frames.split(",")] == [b"a", b"b", b"c", b"d"]
    video = body["extra_body"]["media_io_kwargs"]["video"]
    assert all(type(number) is int for number in video["frames_indices"])
    told_s = [number / video["fps"] for number in video["frames_indices"]]
    assert told_s == pytest.approx(times_s, abs=0.001)
    assert video["total_num_frames"] > video["frames_indices"][-1]
    assert video["duration"] == video["total_num_frames"] / video["fps"]
    assert video["do_sample_frames"] is False
    assert video["num_frames"] == 4


def test_a_clip_can_be_sent_as_pictures_with_their_times():
    content = content_of(
        TextPart("Look:"),
        ClipPart((b"a", b"b"), (1.0, 1.25)),
        TextPart("What is it?"),
        dialect=Dialect(clips=False),
    )

    assert [piece.get("text", "picture") for piece in content] == [
        "Look:\nAt 1.00 s:", "picture", "At 1.25 s:", "picture", "What is it?",
    ]  # fmt: skip
    assert content[1]["image_url"]["url"] == "data:image/jpeg;base64," + base64.b64encode(b"a").decode()


def test_two_clips_are_sent_as_pictures():
    clip = ClipPart((b"a", b"b"), (1.0, 2.0))

    body = body_of(clip, clip)

    assert "extra_body" not in body
    assert {piece["type"] for piece in body["messages"][-1]["content"]} == {"text", "image_url"}


def test_a_clip_of_one_frame_is_sent_as_a_picture():
    assert content_of(ClipPart((b"a",), (1.0,))) == content_of(PicturePart(b"a", 1.0))


def test_text_and_pictures_keep_their_order():
    content = content_of(
        PicturePart(b"a"), TextPart("one"), TextPart(as_data("sign", "two")), PicturePart(b"b", 3.0)
    )

    assert [piece["type"] for piece in content] == ["image_url", "text", "image_url"]
    assert content[1]["text"] == 'one\n<data name="sign">\ntwo\n</data>\nAt 3.00 s:'


def test_instructions_are_separate_from_contents():
    messages = body_of(TextPart("What?"))["messages"]

    assert messages[0] == {"role": "system", "content": "Describe."}
    assert [message["role"] for message in body_of(TextPart("What?"), system="")["messages"]] == ["user"]


def test_raw_control_characters_in_a_reply_are_read():
    assert read_reply('{"caption": "a\tb\nc"}', Scene, model="m").caption == "a\tb\nc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("  \n\n ", "empty"),
        ("Good morning.", "not JSON"),
        ('{"caption": "a', "not JSON"),
        ('{"caption": "a", "sure": NaN}', "NaN"),
        ("[" * 100_000, "not JSON"),
        ("[]", "object"),
        ("{}", "caption: Field required"),
        ('{"caption": "' + 21 * "a" + '"}', "at most 20 characters"),
        ('{"caption": "a", "actors": [{"title": "b", "mood": "odd"}]}', "actors.0.mood"),
        ('{"caption": "\\ud800"}', "caption|JSON"),
    ],
)
def test_a_reply_out_of_schema_is_refused_with_its_first_fault(text, message):
    with pytest.raises(LmmReplyOutOfSchema, match=message) as refused:
        read_reply(text, Scene, model="m")

    assert len(str(refused.value)) < 400


def test_a_request_does_not_depend_on_our_names_for_a_reply():
    class Renamed(Scene):
        """Another docstring."""

    prompt = Prompt("caption", 1, "Describe.", (TextPart("What?"),))

    assert request_body(prompt, Renamed) == request_body(prompt, Scene)
