"""The reply in the text of a model, in every wrapping, and never from its thinking."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from recollect.perception.lmm.reply_text import NoReply, extract_reply, extract_whole_reply


class Scene(BaseModel):
    caption: str = Field(min_length=1, max_length=60)
    people: int = Field(ge=0, le=9)
    signs: list[str] = []


scenes = st.builds(
    Scene,
    caption=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
    | st.sampled_from(["</think>", "<think>", "a { b", "a ``` b", '"}', "[/THINK]{}"]),
    people=st.integers(0, 9),
    signs=st.lists(st.sampled_from(["EXIT", "{", "}", "</think> {}", "<think>"]), max_size=3),
)
markers = st.sampled_from(
    [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷")]
)
prose = st.text(st.sampled_from("json .,!`'\n\t«é"), max_size=30)
drafts = st.lists(prose | scenes.map(Scene.model_dump_json) | st.sampled_from(["{", "}", "{a}", '{"'])).map(
    "".join
)


def without_markers(text: str) -> str:
    for marker in ("think", "THINK"):
        text = text.replace(marker, "thnk")
    return text


@given(scenes, st.booleans(), prose, prose, st.sampled_from(["", "\ufeff"]), st.sampled_from([None, 2]))
def test_a_reply_is_read_in_prose_and_fences(scene, is_fenced, before, after, bom, indent):
    text = json.dumps(scene.model_dump(), indent=indent, ensure_ascii=False)
    text = f"```json\n{text}\n```" if is_fenced else text

    assert extract_reply(f"{bom}{before}{text}{after}", Scene) == scene


@given(scenes, drafts.map(without_markers), markers, prose, st.booleans(), st.booleans())
def test_objects_in_the_thinking_never_win(scene, thinking, marker, before, is_opened, is_fenced):
    text = scene.model_dump_json()
    text = f"```\n{text}\n```" if is_fenced else text
    opening = marker[0] if is_opened else ""

    assert extract_reply(f"{opening}{thinking}{marker[1]}{before}{text}", Scene) == scene


@given(drafts.map(without_markers), markers, prose)
def test_thinking_alone_is_no_reply(thinking, marker, after):
    for text in (marker[0] + thinking, f"{marker[0]}{thinking}{marker[1]}{after}"):
        with pytest.raises(NoReply):
            extract_reply(text, Scene)


@given(st.text())
def test_any_text_gives_a_reply_or_a_reason(text):
    with pytest.raises(NoReply) as error:
        extract_reply(text, Scene)

    assert 0 < len(str(error.value)) < 300


@pytest.mark.parametrize(
    "text",
    ["{" * 300_000, '{"a":' * 100_000, '{"caption": "' + "a{" * 100_000, "<think>" * 40_000, "[" * 100_000],
)
def test_a_hostile_text_is_refused_soon(text):
    with pytest.raises(NoReply):
        extract_reply(text, Scene)


def test_the_last_of_several_objects_is_the_reply():
    text = 'First {"caption": "a", "people": 1}. No: {"caption": "b", "people": 2}. {"caption": "c"}'

    assert extract_reply(text, Scene).caption == "b"


@pytest.mark.parametrize(
    "text", ['{"caption": "a", "people": 1}', '```json\n{"caption": "a", "people": 1}\n```']
)
def test_reasoning_is_a_reply_only_if_it_is_one_object(text):
    assert extract_whole_reply(text, Scene).caption == "a"
    assert extract_whole_reply(f"Perhaps {text}?</think>\n{text}", Scene).caption == "a"
    with pytest.raises(NoReply):
        extract_whole_reply(f"Perhaps {text}", Scene)
