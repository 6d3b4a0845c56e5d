"""What a video LMM is asked about a question, and what it may reply.

    prompt = judge_prompt(question, overview, named(moments))
    judged = lmm.ask_now(prompt, Judged, max_tokens=MAX_TOKENS["judge"]).value
    SUFFICIENCY[judged.sufficiency], option_index(judged.choice, question, judged.answer)

Prompts are worded in ``prompts/*.md``. What is remembered enters them as quoted data under short names,
never as instructions. The question comes last: a server keeps what it made of the evidence, and the next
question on the same is read from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from ..common.clock_times import between
from ..memory.values import Moment
from ..perception.lmm import ClipPart, Part, Prompt, TextPart, as_data
from ..perception.lmm import PicturePart as Shown
from ..perception.lmm.lmm_settings import MAX_MOMENTS
from ..perception.lmm.prompt_templates import load_template
from ..perception.sources.frame import Picture
from .answer import Question

SHOWN = MAX_MOMENTS
"""The most moments shown to a model when it judges; a model may want fewer at a time."""
SHOWN_ABOVE = 6
"""Memories above the moments shown, as an overview."""
MOMENT_CHARS = 600
"""What is said of one moment is cut to so many characters."""
MAX_PICTURES = 8
"""Pictures shown in one look."""
PICTURE_SIDE = 640
"""The longer side of a picture shown, in pixels."""
LOOKS = 2
QUERIES = 4
MAX_TOKENS = {"plan": 256, "judge": 512, "look": 512}
"""How long a reply to each prompt may be."""

Grade = Literal["none", "little", "half", "most", "all"]
SUFFICIENCY: dict[Grade, float] = {"none": 0.0, "little": 0.25, "half": 0.5, "most": 0.75, "all": 0.95}
"""What a grade is worth."""


class PlanReply(BaseModel):
    """What ``plan.md`` asks for."""

    queries: list[str] = Field(max_length=QUERIES)
    from_s: float | None
    to_s: float | None
    order: Literal["any", "first", "last", "every"]


class JudgeReply(BaseModel):
    """What ``judge.md`` asks for."""

    cites: list[str] = Field(max_length=SHOWN)
    answer: str
    choice: str | None
    sufficiency: Grade
    missing: str
    look_at: list[str] = Field(max_length=LOOKS)
    queries: list[str] = Field(max_length=2)


class LookReply(BaseModel):
    """What ``look.md`` asks for."""

    seen: str
    visible_text: list[str] = Field(max_length=12)
    answer: str
    choice: str | None
    sufficiency: Grade


def plan_prompt(question: Question, overview: Sequence[Moment]) -> Prompt:
    """Ask what to search for; the reply is ``PlanReply``."""
    return load_template(__package__, "plan").prompt(*_overview(overview), TextPart(_asked(question)))


def judge_prompt(question: Question, overview: Sequence[Moment], moments: Mapping[str, Moment]) -> Prompt:
    """Ask what moments, by the names they are shown under, say to a question; the reply is ``JudgeReply``."""
    told = [_told(name, moment) for name, moment in moments.items()]
    return load_template(__package__, "judge").prompt(*_overview(overview), *told, TextPart(_asked(question)))


def look_prompt(
    question: Question, moment: Moment, pictures: Sequence[tuple[float, Picture]]
) -> Prompt | None:
    """Ask what pictures of a moment show; the reply is ``LookReply``. None where there are no pictures.

    Args:
        question: What is asked.
        moment: What is remembered of them.
        pictures: With their times, in stream seconds, in order.

    """
    shown = _shown(moment, pictures)
    if shown is None:
        return None
    return load_template(__package__, "look").prompt(
        shown, _told("moment", moment), TextPart(_asked(question))
    )


def _asked(question: Question) -> str:
    """The question and its options, as the user put them."""
    lines = [f"Question: {question.text}"]
    lines += [f"{chr(ord('A') + number)}. {option}" for number, option in enumerate(question.options)]
    return "\n".join(lines)


def _overview(overview: Sequence[Moment]) -> list[TextPart]:
    """The newest of the memories above the moments."""
    above = [tile for tile in overview if tile.rung != "moment"][-SHOWN_ABOVE:]
    return [_told(f"O{number}", tile) for number, tile in enumerate(above, 1)]


def named(moments: Sequence[Moment], most: int = SHOWN) -> dict[str, Moment]:
    """The first ``most`` of some moments, by the names they are shown under; in order of time they read as what happened."""
    chosen = sorted(moments[:most], key=lambda moment: (moment.stream, moment.span))
    return {f"M{number}": moment for number, moment in enumerate(chosen, 1)}


def _told(name: str, moment: Moment) -> TextPart:
    """What is remembered of a moment, as data."""
    lines = [f"{moment.stream}, {between(moment.span.start_s, moment.span.end_s)}"]
    lines += dict.fromkeys(observation.caption for observation in reversed(moment.observations))
    for field, verb in (("visible_text", "read in the picture"), ("speech", "heard")):
        texts = dict.fromkeys(finding.text for finding in moment.of(field))  # type: ignore[arg-type]
        if texts:
            lines.append(f"{verb}: {' | '.join(texts)}")
    text = "\n".join(lines)
    return TextPart(as_data(name, text if len(text) <= MOMENT_CHARS else text[: MOMENT_CHARS - 1] + "…"))


def _shown(moment: Moment, pictures: Sequence[tuple[float, Picture]]) -> Part | None:
    """Pictures as a model is shown them: several as a clip. Times count from the moment's start."""
    from ..perception.stages.key_frames import encode_jpeg  # noqa: PLC0415 - heavy, and only looks need it

    jpegs = [
        (max(0.0, time_s - moment.span.start_s), encode_jpeg(picture, PICTURE_SIDE)[0])
        for time_s, picture in pictures
    ]
    if len(jpegs) < 2:
        return Shown(jpegs[0][1], jpegs[0][0]) if jpegs else None
    return ClipPart(tuple(jpeg for _, jpeg in jpegs), tuple(time_s for time_s, _ in jpegs))


def option_index(letter: str | None, question: Question, answer: str = "") -> int | None:
    """Which option is meant: the one that the answer's words name, if no other; else the letter's, if it has one.

    Models that find the answer do not always find its letter.
    """
    left, named = f" {plain(answer)} ", []
    # The longest first: "the red box and key" is not "the red box".
    for option in sorted(question.options, key=len, reverse=True):
        if (words := f" {plain(option)} ") in left:
            named.append(option)
            left = left.replace(words, " | ")
    if len(named) == 1:
        return question.options.index(named[0])
    letter = (letter or "").strip().rstrip(".").upper()
    index = ord(letter) - ord("A") if len(letter) == 1 else -1
    return index if 0 <= index < len(question.options) else None


def plain(text: str) -> str:
    """Its words alone, to compare wordings by."""
    return " ".join(re.findall(r"\w+", text.lower()))
