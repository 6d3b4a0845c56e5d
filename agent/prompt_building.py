"""Prompt building: what a video LMM is asked about a question, and the replies that it may give.

    prompt = judge_prompt(question, overview, named(moments))
    reply = lmm.ask_now(prompt, JudgeReply, max_tokens=MAX_TOKENS["judge"]).value
    SUFFICIENCY[reply.sufficiency], option_index(reply.choice, question, reply.answer)

The prompts are worded in ``prompts/*.md``. Memories enter them as quoted data under short names, never as
instructions. The question comes last, because a server caches what precedes it, and the next question about the same
memories reuses that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from ..common.clock_times import format_interval
from ..memory.values import Moment
from ..perception.lmm import ClipPart, Part, PicturePart, Prompt, TextPart, as_data
from ..perception.lmm.lmm_settings import MAX_MOMENTS
from ..perception.lmm.prompt_templates import load_template
from ..perception.sources.frame import Picture
from .answer import Question

SHOWN = MAX_MOMENTS
"""The most moments shown to a model when it judges. A model may be set to see fewer."""
SHOWN_ABOVE = 6
"""The number of summaries shown as an overview."""
MOMENT_CHARS = 600
"""The description of one moment is cut to this many characters."""
MAX_PICTURES = 8
"""Pictures shown in one inspection."""
PICTURE_SIDE = 640
"""The longer side of a shown picture, in pixels."""
LOOKS = 2
"""The number of moments that a judgement may ask to inspect."""
QUERIES = 4
"""The number of searches that a plan may name."""
MAX_TOKENS = {"plan": 256, "judge": 512, "look": 512}
"""The longest reply to each prompt."""

Grade = Literal["none", "little", "half", "most", "all"]
SUFFICIENCY: dict[Grade, float] = {"none": 0.0, "little": 0.25, "half": 0.5, "most": 0.75, "all": 0.95}
"""The sufficiency, 0 to 1, of each grade."""


class PlanReply(BaseModel):
    """The reply to ``plan.md``."""

    queries: list[str] = Field(max_length=QUERIES)
    from_s: float | None
    to_s: float | None
    order: Literal["any", "first", "last", "every"]


class JudgeReply(BaseModel):
    """The reply to ``judge.md``."""

    cites: list[str] = Field(max_length=SHOWN)
    answer: str
    choice: str | None
    sufficiency: Grade
    missing: str
    look_at: list[str] = Field(max_length=LOOKS)
    queries: list[str] = Field(max_length=2)


class LookReply(BaseModel):
    """The reply to ``look.md``."""

    seen: str
    visible_text: list[str] = Field(max_length=12)
    answer: str
    choice: str | None
    sufficiency: Grade


def plan_prompt(question: Question, overview: Sequence[Moment]) -> Prompt:
    """Ask what to search for. The reply is a ``PlanReply``."""
    return load_template(__package__, "plan").prompt(
        *_overview_parts(overview), TextPart(_question_text(question))
    )


def judge_prompt(question: Question, overview: Sequence[Moment], moments: Mapping[str, Moment]) -> Prompt:
    """Ask whether moments answer a question. The reply is a ``JudgeReply``. ``moments`` has them by their short names."""
    parts = [_moment_part(name, moment) for name, moment in moments.items()]
    return load_template(__package__, "judge").prompt(
        *_overview_parts(overview), *parts, TextPart(_question_text(question))
    )


def look_prompt(
    question: Question, moment: Moment, pictures: Sequence[tuple[float, Picture]]
) -> Prompt | None:
    """Ask what the pictures of a moment show. The reply is a ``LookReply``. None if there are no pictures.

    Args:
        question: What the user asked.
        moment: The moment of the pictures.
        pictures: In time order, each with its time in stream seconds.

    """
    picture_part = _picture_part(moment, pictures)
    if picture_part is None:
        return None
    return load_template(__package__, "look").prompt(
        picture_part, _moment_part("moment", moment), TextPart(_question_text(question))
    )


def _question_text(question: Question) -> str:
    """The question and its options, as the user worded them."""
    lines = [f"Question: {question.text}"]
    lines += [f"{chr(ord('A') + number)}. {option}" for number, option in enumerate(question.options)]
    return "\n".join(lines)


def _overview_parts(overview: Sequence[Moment]) -> list[TextPart]:
    """The newest of the summaries."""
    summaries = [tile for tile in overview if tile.rung != "moment"][-SHOWN_ABOVE:]
    return [_moment_part(f"O{number}", tile) for number, tile in enumerate(summaries, 1)]


def named(moments: Sequence[Moment], limit: int = SHOWN) -> dict[str, Moment]:
    """The first ``limit`` moments by the short names under which they are shown, in time order."""
    chosen = sorted(moments[:limit], key=lambda moment: (moment.stream, moment.span))
    return {f"M{number}": moment for number, moment in enumerate(chosen, 1)}


def _moment_part(name: str, moment: Moment) -> TextPart:
    """A moment's descriptions and text, as quoted data."""
    lines = [f"{moment.stream}, {format_interval(moment.span.start_s, moment.span.end_s)}"]
    lines += dict.fromkeys(observation.caption for observation in reversed(moment.observations))
    for field, verb in (("visible_text", "read in the picture"), ("speech", "heard")):
        texts = dict.fromkeys(finding.text for finding in moment.of(field))  # type: ignore[arg-type]
        if texts:
            lines.append(f"{verb}: {' | '.join(texts)}")
    text = "\n".join(lines)
    return TextPart(as_data(name, text if len(text) <= MOMENT_CHARS else text[: MOMENT_CHARS - 1] + "…"))


def _picture_part(moment: Moment, pictures: Sequence[tuple[float, Picture]]) -> Part | None:
    """The pictures as a part of a prompt. Several become a clip. Times count from the moment's start."""
    from ..perception.stages.key_frames import encode_jpeg  # noqa: PLC0415 - heavy, and only inspections need it

    jpegs = [
        (max(0.0, time_s - moment.span.start_s), encode_jpeg(picture, PICTURE_SIDE)[0])
        for time_s, picture in pictures
    ]
    if len(jpegs) < 2:
        return PicturePart(jpegs[0][1], jpegs[0][0]) if jpegs else None
    return ClipPart(tuple(jpeg for _, jpeg in jpegs), tuple(time_s for time_s, _ in jpegs))


def option_index(letter: str | None, question: Question, answer: str = "") -> int | None:
    """The index of the option that a reply means: the only one that the answer names, or else the letter's.

    A model that knows the answer does not always know its letter.
    """
    remaining = f" {plain(answer)} "
    named_options: list[str] = []
    # The longest come first: "the red box and key" is not "the red box".
    for option in sorted(question.options, key=len, reverse=True):
        option_words = f" {plain(option)} "
        if option_words in remaining:
            named_options.append(option)
            remaining = remaining.replace(option_words, " | ")
    if len(named_options) == 1:
        return question.options.index(named_options[0])
    letter = (letter or "").strip().rstrip(".").upper()
    index = ord(letter) - ord("A") if len(letter) == 1 else -1
    return index if 0 <= index < len(question.options) else None


def plain(text: str) -> str:
    """The words of a text in lower case, without punctuation, for comparison."""
    return " ".join(re.findall(r"\w+", text.lower()))
