"""Has the video LMM say what a moment shows, and sums up moments into the rungs above.

    observation = await describe(lmm, moment, frames, before="A woman in a grey coat comes in.")
    observation.written_by     # lmm:tiny/caption.1
    await summarise(lmm, event, its_moments)

Everything that was read, heard or written before enters the prompt as quoted data. It opens no memory
and tries nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, Field, StringConstraints

from ...common.clock_times import clock
from ...common.text import collapse_whitespace, shortened
from ...memory.ladder.summaries import evenly
from ...memory.values import Field as FindingField
from ...memory.values import Finding, KeyFrame, Moment, Observation, Rung
from ..lmm import ClipPart, Lmm, LmmReply, Part, PicturePart, Prompt, TextPart, as_data
from ..lmm.prompt_templates import PromptTemplate, load_template

MAX_SIDE = 640
"""The longer side of a picture the model is shown, in pixels."""
JPEG_QUALITY = 80
MAX_CHILDREN = 40
"""How many children a summary is made of; of more, so many evenly spread ones."""
MAX_CHILD_CHARS = 240
MAX_QUOTES = 20
MAX_QUOTE_CHARS = 120
MAX_BEFORE_CHARS = 400
BY_LMM = "lmm:"
"""What the name of every writer that is a video LMM begins with."""

Phrases = Annotated[list[str], Field(max_length=8)]


class DescriptionReply(BaseModel):
    """What a model says happens."""

    caption: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    actors: Phrases
    actions: Phrases
    objects: Phrases
    place: str


class MomentDescriptionReply(DescriptionReply):
    """What a model says a moment shows."""

    visible_text: Phrases


def template_of(rung: Rung) -> PromptTemplate:
    """What a model is told to do with a moment, or with a rung above."""
    return load_template(__package__, "caption" if rung == "moment" else "summary")


async def describe(lmm: Lmm, moment: Moment, frames: Sequence[KeyFrame], before: str = "") -> Observation:
    """What the model sees in a moment.

    Args:
        lmm: Who looks.
        moment: What was read and heard in it goes along.
        frames: Its pictures, at least one.
        before: The caption of the moment before it, by which the model knows people and things again.

    Raises:
        LmmError: There is no description.

    """
    reply = await lmm.ask(caption_prompt(moment, frames, before), MomentDescriptionReply, priority="caption")
    return _observation(moment, reply, reply.value.visible_text)


async def summarise(lmm: Lmm, parent: Moment, children: Sequence[Moment]) -> Observation:
    """What the model makes of the captions of ``children``, which are in time order.

    Raises:
        LmmError: There is no summary.

    """
    reply = await lmm.ask(summary_prompt(parent, children), DescriptionReply, priority="caption")
    return _observation(parent, reply, ())


def caption_prompt(moment: Moment, frames: Sequence[KeyFrame], before: str = "") -> Prompt:
    """The request that ``describe`` sends. Times in it count from the moment's start."""
    parts: list[Part] = [*_shown(moment, frames)]
    quoted: tuple[tuple[FindingField, str], ...] = (("visible_text", "read"), ("speech", "heard"))
    for field, name in quoted:
        seen = [f.text for f in moment.of(field) if not f.written_by.startswith(BY_LMM)]
        if lines := [shortened(text, MAX_QUOTE_CHARS) for text in _distinct(seen)[:MAX_QUOTES]]:
            parts.append(TextPart(as_data(name, "\n".join(lines))))
    if before:
        parts.append(TextPart(as_data("before", shortened(before, MAX_BEFORE_CHARS))))
    return template_of("moment").prompt(*parts)


def summary_prompt(parent: Moment, children: Sequence[Moment]) -> Prompt:
    """The request that ``summarise`` sends."""
    lines = [
        f"{clock(child.span.start_s - parent.span.start_s)} {shortened(child.caption, MAX_CHILD_CHARS)}"
        for child in evenly(children, MAX_CHILDREN)
    ]
    return template_of(parent.rung).prompt(TextPart(as_data("descriptions", "\n".join(lines))))


def _shown(moment: Moment, frames: Sequence[KeyFrame]) -> list[Part]:
    """One clip of several frames; pictures where there is one, or where they cannot be one clip."""
    at_s = {max(0.0, frame.time_s - moment.span.start_s): frame for frame in frames}
    times_s = tuple(sorted(at_s))
    jpegs, sizes = zip(*(_scaled(at_s[time_s]) for time_s in times_s), strict=True)
    if len(times_s) > 1 and len(set(sizes)) == 1:
        return [ClipPart(jpegs, times_s)]
    return [PicturePart(jpeg, time_s) for jpeg, time_s in zip(jpegs, times_s, strict=True)]


def _scaled(frame: KeyFrame) -> tuple[bytes, tuple[int, int]]:
    """The picture at most ``MAX_SIDE`` long, with its width and height."""
    scale = MAX_SIDE / max(frame.width, frame.height)
    if scale >= 1:
        return frame.jpeg, (frame.width, frame.height)
    size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"key frame {frame.id} holds no readable picture")
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes(), size


def _observation(
    moment: Moment, reply: LmmReply[DescriptionReply] | LmmReply[MomentDescriptionReply], read: Sequence[str]
) -> Observation:
    told = reply.value
    of_field: tuple[tuple[FindingField, str, Sequence[str]], ...] = (
        ("actor", "actor", told.actors),
        ("action", "action", told.actions),
        ("object", "object", told.objects),
        ("place", "place", (told.place,)),
        ("visible_text", "read", read),
    )
    return Observation(
        caption=collapse_whitespace(told.caption),
        findings=tuple(
            Finding(field, kind, text, moment.span, reply.written_by)
            for field, kind, texts in of_field
            for text in _distinct(texts)
        ),
        written_by=reply.written_by,
        written_at_s=time.time(),
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, without those that are blank."""
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
