"""What a question is, and what comes back: the models that cross the door.

    answer.text, answer.evidence[0].span, answer.abstained

An answer carries what it rests on, what it cost and why the agent stopped, so that each
claim can be checked and the run replayed by its ``trace_id``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import Literal

from pydantic import BaseModel, Field

from ..common.clock_times import between as format_interval
from ..common.terminal import safe_text
from ..common.text import collapse_whitespace
from ..memory.values import ForgottenLevel, Span
from .errors import BadQuestion

MAX_QUESTION_CHARS = 4000
MAX_OPTIONS = 26

StopReason = Literal["sufficient", "nothing_new", "rounds", "budget", "nothing_remembered"]
"""Why the agent stopped: it knew enough, a round brought nothing new, its rounds or its
budget were spent, or there is nothing in the memory to look at."""

WhyAbstained = Literal["not_seen", "needs_model", "not_watched", "forgotten", "unclear"]
"""What was missing: the thing was looked for and not seen; only a video model could tell;
the time was never watched (a gap, or beyond the end); its detail was forgotten; or what was
found does not settle the question."""


class Question(BaseModel, frozen=True, extra="forbid"):
    """A question with its scope. What lies outside the scope cannot be seen by the agent."""

    text: str
    options: tuple[str, ...] = ()
    """For multiple choice: the texts of A, B, C, …"""
    streams: tuple[str, ...] = ()
    """Names of the streams to look at; empty for all."""
    from_s: float | None = None
    """Only what happens at or after this stream time, in seconds."""
    to_s: float | None = None
    """Only what happens before this stream time, in seconds."""
    as_of_s: float | None = None
    """Unix seconds: only what had been written by then is seen; None for all there is now."""

    @property
    def span(self) -> Span | None:
        """The stream time asked about, or None for all of it."""
        if self.from_s is None and self.to_s is None:
            return None
        return Span(self.from_s or 0.0, float("inf") if self.to_s is None else self.to_s)

    @classmethod
    def checked(
        cls,
        text: str,
        *,
        options: tuple[str, ...] = (),
        streams: tuple[str, ...] = (),
        from_s: float | None = None,
        to_s: float | None = None,
        as_of_s: float | None = None,
    ) -> Question:
        """Build a question from what a user typed.

        Raises:
            BadQuestion: It is empty or overlong, or its options or times make no sense.
        """
        text = collapse_whitespace(text)
        if not text:
            raise BadQuestion("the question is empty" + (", though options were given" if options else ""))
        if len(text) > MAX_QUESTION_CHARS:
            raise BadQuestion(
                f"it has {len(text):,} characters, and a question may have {MAX_QUESTION_CHARS:,}"
            )
        if len(options) == 1 or len(options) > MAX_OPTIONS:
            raise BadQuestion(f"it has {len(options)} option(s); give none, or from 2 to {MAX_OPTIONS}")
        if any(not option.strip() or len(option) > MAX_QUESTION_CHARS for option in options):
            raise BadQuestion(f"an option is empty or longer than {MAX_QUESTION_CHARS:,} characters")
        check_times(from_s, to_s)
        if as_of_s is not None:
            try:
                datetime.fromtimestamp(as_of_s, UTC)
            except (ValueError, OverflowError, OSError):
                raise BadQuestion(f"{as_of_s:g} is no time that something could be seen as of") from None
        return cls(text=text, options=options, streams=streams, from_s=from_s, to_s=to_s, as_of_s=as_of_s)


def check_times(from_s: float | None, to_s: float | None) -> None:
    """See that a stretch of stream time can be asked about.

    Raises:
        BadQuestion: It is no time, or ends before it starts.
    """
    for time_s in (from_s, to_s):
        if time_s is not None and not 0 <= time_s < math.inf:
            raise BadQuestion(f"{time_s:g} s is no stream time")
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise BadQuestion(f"the time asked about ends ({to_s:g} s) before it starts ({from_s:g} s)")


class Evidence(BaseModel, frozen=True):
    """One remembered stretch of video that an answer rests on."""

    stream: str
    start_s: float
    end_s: float
    text: str
    """What was seen there, in words."""
    frame_ids: tuple[str, ...] = ()
    """Key frames of it, for ``Recollect.frames``."""
    memory_id: str
    """The memory it comes from."""
    score: float
    """How well it fits the question, 0 to 1; comparable within one answer only."""

    @property
    def span(self) -> Span:
        """Its stretch of stream time."""
        return Span(self.start_s, self.end_s)


class GapSeen(BaseModel, frozen=True):
    """A stretch inside the scope of which nothing was seen."""

    start_s: float
    end_s: float
    cause: str


class ForgottenSeen(BaseModel, frozen=True):
    """A stretch inside the scope whose detail was forgotten."""

    start_s: float
    end_s: float
    lost: ForgottenLevel
    """The highest rung of which memories are gone, with all below it."""
    cause: str
    """``budget``: there was no room for them; ``asked``: somebody had them forgotten."""
    forgotten_at: str
    """When the last of them went, ISO 8601 in UTC."""


class StreamCoverage(BaseModel, frozen=True):
    """How much of one stream, within the question's scope, had been watched."""

    stream: str
    start_s: float
    end_s: float
    watched_s: float
    """Also where what was seen is forgotten by now."""
    gaps: tuple[GapSeen, ...] = ()
    forgotten: tuple[ForgottenSeen, ...] = ()
    """Where memories are gone, the newest stretches in time order. Where only pictures are, all is still told."""
    forgotten_s: float = 0.0
    """Of how many seconds in all."""


class QuestionUsage(BaseModel):
    """What a question cost."""

    lmm_calls: int = 0
    tokens: int = 0
    pictures: int = 0
    """Shown to the model, each time that it was."""
    seconds: float = 0.0
    rounds: int = 0


class Answer(BaseModel):
    """The answer to a question, with everything needed to check it."""

    text: str
    choice: str | None = None
    """The letter of the chosen option; None where none was asked for or none is supported."""
    confidence: float
    """0 to 1."""
    abstained: bool = False
    why: WhyAbstained | None = None
    """What was missing, where it abstained."""
    evidence: list[Evidence] = Field(default_factory=list)
    """Best first. For an abstention, the nearest moments there are."""
    coverage: list[StreamCoverage] = Field(default_factory=list)
    as_of: str
    """When the memory was read, ISO 8601 in UTC: nothing written later was seen."""
    usage: QuestionUsage = Field(default_factory=QuestionUsage)
    stop_reason: StopReason
    trace_id: str
    """Names the stored run: its steps can be read back with ``Recollect.trace``."""
    note: str = ""
    """What went wrong on the way, in words: where it is not empty, the model failed in the middle of the
    question, and the answer rests on what observers saw."""
    reasoner: str = ""
    """Which reasoner answered, with its revision."""

    def _repr_html_(self) -> str:
        """The answer and its evidence as HTML, for notebooks. All text in it is escaped."""
        outcome = (
            f"abstained: {self.why or 'unclear'}" if self.abstained else f"confidence {self.confidence:.2f}"
        )
        rows = "".join(
            f"<tr><td>{_html(evidence.stream)}</td><td>{format_interval(evidence.start_s, evidence.end_s)}</td>"
            f"<td>{_html(evidence.text)}</td></tr>"
            for evidence in self.evidence
        )
        note = f"<p>{_html(self.note)}</p>" if self.note else ""
        return f"<p><b>{_html(self.text)}</b> ({_html(outcome)})</p>{note}<table>{rows}</table>"


def _html(text: str) -> str:
    return escape(safe_text(text))
