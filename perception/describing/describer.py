"""The describer: prompts the video LMM for the description of a moment, or for a summary of moments.

    observation = await describe(lmm, moment, frames, before="A woman in a grey coat comes in.")
    observation.written_by     # lmm:tiny/caption.1
    await summarise(lmm, event, its_moments)

Text that was read, heard or written before enters the prompt as quoted data. It opens no memory, and sends
nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, Field, StringConstraints

from ...common.clock_times import format_time
from ...common.text import collapse_whitespace, shortened
from ...memory.ladder.summaries import evenly
from ...memory.values import Field as FindingField
from ...memory.values import Finding, KeyFrame, Moment, Observation, Rung
from ..lmm import ClipPart, Lmm, LmmReply, Part, PicturePart, Prompt, TextPart, as_data
from ..lmm.prompt_templates import PromptTemplate, load_template

MAX_SIDE = 640
"""The longest side of a picture in a prompt, in pixels."""
JPEG_QUALITY = 80
MAX_CHILDREN = 40
"""The most children that a summary is made from. Of more, this many are chosen at even distances."""
MAX_CHILD_CHARS = 240
MAX_QUOTES = 20
MAX_QUOTE_CHARS = 120
MAX_BEFORE_CHARS = 400
BY_LMM = "lmm:"
"""The prefix of ``written_by`` for every video LMM."""

Phrases = Annotated[list[str], Field(max_length=8)]


class DescriptionReply(BaseModel):
    """A model's summary of what happens."""

    caption: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    actors: Phrases
    actions: Phrases
    objects: Phrases
    place: str


class MomentDescriptionReply(DescriptionReply):
    """A model's description of a moment."""

    visible_text: Phrases


def template_of(rung: Rung) -> PromptTemplate:
    """The prompt template for a moment, or for a summary on a rung above."""
    return load_template(__package__, "caption" if rung == "moment" else "summary")


async def describe(lmm: Lmm, moment: Moment, frames: Sequence[KeyFrame], before: str = "") -> Observation:
    """Have the model describe a moment.

    Args:
        lmm: The model.
        moment: Text that was read and heard in it becomes part of the prompt.
        frames: Its pictures, at least one.
        before: The caption of the moment before it, by which the model recognises people and things.

    Raises:
        LmmError: There is no description.

    """
    reply = await lmm.ask(caption_prompt(moment, frames, before), MomentDescriptionReply, priority="caption")
    return _observation(moment, reply, reply.value.visible_text)


async def summarise(lmm: Lmm, parent: Moment, children: Sequence[Moment]) -> Observation:
    """Have the model summarise the captions of ``children``, which are in time order.

    Raises:
        LmmError: There is no summary.

    """
    reply = await lmm.ask(summary_prompt(parent, children), DescriptionReply, priority="caption")
    return _observation(parent, reply, ())


def caption_prompt(moment: Moment, frames: Sequence[KeyFrame], before: str = "") -> Prompt:
    """The request that ``describe`` sends. Its times count from the start of the moment."""
    parts: list[Part] = [*_picture_parts(moment, frames)]
    quoted: tuple[tuple[FindingField, str], ...] = (("visible_text", "read"), ("speech", "heard"))
    for field, name in quoted:
        texts = [finding.text for finding in moment.of(field) if not finding.written_by.startswith(BY_LMM)]
        if lines := [shortened(text, MAX_QUOTE_CHARS) for text in _distinct(texts)[:MAX_QUOTES]]:
            parts.append(TextPart(as_data(name, "\n".join(lines))))
    if before:
        parts.append(TextPart(as_data("before", shortened(before, MAX_BEFORE_CHARS))))
    return template_of("moment").prompt(*parts)


def summary_prompt(parent: Moment, children: Sequence[Moment]) -> Prompt:
    """The request that ``summarise`` sends."""
    lines = [
        f"{format_time(child.span.start_s - parent.span.start_s)} {shortened(child.caption, MAX_CHILD_CHARS)}"
        for child in evenly(children, MAX_CHILDREN)
    ]
    return template_of(parent.rung).prompt(TextPart(as_data("descriptions", "\n".join(lines))))


def _picture_parts(moment: Moment, frames: Sequence[KeyFrame]) -> list[Part]:
    """One clip of several frames. A single frame, or frames of unlike sizes, become pictures."""
    by_time_s = {max(0.0, frame.time_s - moment.span.start_s): frame for frame in frames}
    times_s = tuple(sorted(by_time_s))
    jpegs, sizes = zip(*(_scaled(by_time_s[time_s]) for time_s in times_s), strict=True)
    if len(times_s) > 1 and len(set(sizes)) == 1:
        return [ClipPart(jpegs, times_s)]
    return [PicturePart(jpeg, time_s) for jpeg, time_s in zip(jpegs, times_s, strict=True)]


def _scaled(frame: KeyFrame) -> tuple[bytes, tuple[int, int]]:
    """The picture as a JPEG whose longest side is at most ``MAX_SIDE``, with its width and height."""
    scale = MAX_SIDE / max(frame.width, frame.height)
    if scale >= 1:
        return frame.jpeg, (frame.width, frame.height)
    size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"the JPEG of key frame {frame.id} cannot be decoded")
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes(), size


def _observation(
    moment: Moment, reply: LmmReply[DescriptionReply] | LmmReply[MomentDescriptionReply], read: Sequence[str]
) -> Observation:
    description = reply.value
    of_field: tuple[tuple[FindingField, str, Sequence[str]], ...] = (
        ("actor", "actor", description.actors),
        ("action", "action", description.actions),
        ("object", "object", description.objects),
        ("place", "place", (description.place,)),
        ("visible_text", "read", read),
    )
    return Observation(
        caption=collapse_whitespace(description.caption),
        findings=tuple(
            Finding(field, kind, text, moment.span, reply.written_by)
            for field, kind, texts in of_field
            for text in _distinct(texts)
        ),
        written_by=reply.written_by,
        written_at_s=time.time(),
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    """The distinct texts that are not blank, in order."""
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
