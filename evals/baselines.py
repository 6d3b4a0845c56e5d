"""What the agent is measured against: the same model, prompts and parser, without memory or without a loop.

    baseline = UniformFrames(lmm, Path("house.mp4"), duration_s=600.0, pictures=32)
    baseline.ask(Question(text="Who opened the fridge?", options=("the man …", "the woman …")))

Each answers from one call. As the agent does, it abstains where the model says that what it is shown
settles less than half of the question, or names no option.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..agent.answer import Question
from ..agent.asking import (
    ANSWERS_FROM,
    MAX_TOKENS,
    SUFFICIENCY,
    Judged,
    Looked,
    judge_prompt,
    look_prompt,
    named,
    option_index,
)
from ..errors import LmmError
from ..memory.values import Moment, Span
from ..perception.file import FileSource
from ..perception.frame import Frame, Picture
from ..perception.lmm import Lmm, Prompt
from ..sdk import Recollect

_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a system says to a question with options, and what that cost."""

    choice: int | None
    """The option it chose; None where it abstained."""
    calls: int
    tokens: int
    spans: tuple[Span, ...] = ()
    """What it rests on, where the system tells."""


class System(Protocol):
    """Something that answers questions about one video."""

    def ask(self, question: Question) -> Answered:
        """Answer, or abstain."""


class Agent:
    """Recollect itself: the whole loop over a memory."""

    def __init__(self, memory: Recollect, stream: str) -> None:
        self._memory, self._stream = memory, stream

    def ask(self, question: Question) -> Answered:
        """Ask the memory."""
        answer = self._memory.ask(question.text, options=question.options, stream=self._stream)
        chosen = None if answer.choice is None or answer.abstained else ord(answer.choice) - ord("A")
        spans = () if answer.abstained else tuple(evidence.span for evidence in answer.evidence)
        return Answered(chosen, answer.usage.lmm_calls, answer.usage.tokens, spans)


class NoVideo:
    """Is shown nothing: what can be had from the question and its options alone."""

    def __init__(self, lmm: Lmm) -> None:
        self._lmm = lmm

    def ask(self, question: Question) -> Answered:
        """Judge from no moment."""
        return _one_call(self._lmm, judge_prompt(question, (), {}), Judged, question)


class OneShotRetrieval:
    """Retrieval once: the moments that fit the question's words best, judged in one call."""

    def __init__(self, lmm: Lmm, memory: Recollect, stream: str) -> None:
        self._lmm, self._memory, self._stream = lmm, memory, stream

    def ask(self, question: Question) -> Answered:
        """Search by the question's own words, and judge."""
        hits = self._memory.search(question.text, stream=self._stream, limit=self._lmm.moments)
        shown = named([hit.moment for hit in hits])
        return _one_call(self._lmm, judge_prompt(question, (), shown), Judged, question)


class UniformFrames:
    """Is shown pictures spread evenly over the whole video, or over its last ``last_s`` seconds."""

    def __init__(
        self,
        lmm: Lmm,
        video: Path,
        duration_s: float,
        *,
        pictures: int,
        last_s: float | None = None,
    ) -> None:
        self._lmm = lmm
        self._span = Span(max(0.0, duration_s - last_s) if last_s else 0.0, duration_s)
        self._pictures = pictures_of(video, self._span, pictures)

    def ask(self, question: Question) -> Answered:
        """Look once."""
        moment = Moment("video", "video", 0, self._span, ())
        prompt = look_prompt(question, moment, self._pictures)
        assert prompt is not None, "the video has no pictures"
        return _one_call(self._lmm, prompt, Looked, question)


def pictures_of(video: Path, span: Span, count: int) -> list[tuple[float, Picture]]:
    """Pictures of a file with their times: the middles of ``count`` equal parts of ``span``, as far as there are."""
    step_s = span.duration_s / count
    found: list[tuple[float, Picture]] = []
    for number in range(count):
        source = FileSource(video, 25.0)
        try:
            for event in source.frames(span.start_s + (number + 0.5) * step_s):
                if isinstance(event, Frame) and event.sampled:
                    found.append((event.time_s, event.picture()))
                    break
        finally:
            source.close()
    return found


def _one_call(lmm: Lmm, prompt: Prompt, reply: type[Judged] | type[Looked], question: Question) -> Answered:
    try:
        replied = lmm.ask_now(prompt, reply, deadline_s=_DEADLINE_S, max_tokens=MAX_TOKENS[prompt.name])
    except LmmError as error:
        return Answered(None, error.calls, error.tokens)
    sure = SUFFICIENCY[replied.value.sufficiency] >= ANSWERS_FROM
    told = replied.value
    chosen = option_index(told.choice, question, told.answer) if sure else None
    return Answered(chosen, replied.usage.calls, replied.usage.tokens)
