"""Question and answer: the public models for asking a memory.

    answer.text, answer.evidence[0].span, answer.abstained

An answer has its evidence, its cost and the reason why the agent stopped, so that each claim can be checked and the
steps can be read by ``trace_id``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import Literal

from pydantic import BaseModel, Field

from ..common.clock_times import format_interval
from ..common.terminal import safe_text
from ..common.text import collapse_whitespace
from ..memory.values import ForgottenLevel, Span
from ..memory.watch_rate import WatchRate
from .errors import BadQuestion

MAX_QUESTION_CHARS = 4000
MAX_OPTIONS = 26

StopReason = Literal["sufficient", "nothing_new", "rounds", "budget", "nothing_remembered"]
"""Why the agent stopped: it had enough, a round brought nothing new, all rounds were used, the
limits were spent (``budget``), or the memory holds nothing in the scope."""

WhyAbstained = Literal["not_seen", "needs_model", "not_watched", "forgotten", "unclear"]
"""Why there is no answer: the thing was searched for and not seen, only a video model could recognise it,
the time was never watched (a gap, or beyond the end), its detail was forgotten, or what was found
does not decide the question."""


class Question(BaseModel, frozen=True, extra="forbid"):
    """A question with its scope. The agent cannot see anything outside the scope."""

    text: str
    options: tuple[str, ...] = ()
    """For multiple choice: the texts of A, B, C, …"""
    streams: tuple[str, ...] = ()
    """Names of the streams in scope. Empty means all."""
    from_s: float | None = None
    """Only what happens at or after this stream time, in seconds."""
    to_s: float | None = None
    """Only what happens before this stream time, in seconds."""
    as_of_s: float | None = None
    """Unix seconds. Only what had been written by then is seen. None means everything written so far."""

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
        """Build a question from user input.

        Raises:
            BadQuestion: It is empty or too long, or its options or times are invalid.
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
                raise BadQuestion(f"{as_of_s:g} is not a valid time in Unix seconds") from None
        return cls(text=text, options=options, streams=streams, from_s=from_s, to_s=to_s, as_of_s=as_of_s)


def check_times(from_s: float | None, to_s: float | None) -> None:
    """Check that a span of stream time is valid.

    Raises:
        BadQuestion: A time is negative or not finite, or the span ends before it starts.
    """
    for time_s in (from_s, to_s):
        if time_s is not None and not 0 <= time_s < math.inf:
            raise BadQuestion(f"{time_s:g} s is not a stream time")
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise BadQuestion(f"the time asked about ends ({to_s:g} s) before it starts ({from_s:g} s)")


class Evidence(BaseModel, frozen=True):
    """One remembered span of video that supports an answer."""

    stream: str
    start_s: float
    end_s: float
    text: str
    """What was seen there, in words."""
    frame_ids: tuple[str, ...] = ()
    """Ids of its key frames, for ``Recollect.frames`` and ``ask --show``."""
    memory_id: str
    """Id of the memory that it comes from."""
    score: float
    """How well it matches the question, 0 to 1. Comparable only within one answer."""

    @property
    def span(self) -> Span:
        """Its span of stream time."""
        return Span(self.start_s, self.end_s)


class GapSeen(BaseModel, frozen=True):
    """An unwatched span in the scope."""

    start_s: float
    end_s: float
    cause: str


class ReducedSeen(BaseModel, frozen=True):
    """A span in the scope that was watched at a lower rate than the stream's own."""

    start_s: float
    end_s: float
    fps: float
    """Frames a second that were examined at most."""
    reads_text: bool
    """Whether the text in the picture was read."""
    key_frames_only: bool

    def __str__(self) -> str:
        """The rate in words."""
        return str(WatchRate(self.fps, self.reads_text, self.key_frames_only))


class ForgottenSeen(BaseModel, frozen=True):
    """A span in the scope whose detail was forgotten."""

    start_s: float
    end_s: float
    lost: ForgottenLevel
    """The highest rung whose memories were forgotten, with all rungs below it."""
    cause: str
    """``budget``: evicted to stay within the disk budget. ``asked``: erased on request."""
    forgotten_at: str
    """When the last of them was forgotten, ISO 8601 in UTC."""


class StreamCoverage(BaseModel, frozen=True):
    """How much of one stream, within the question's scope, had been watched."""

    stream: str
    start_s: float
    end_s: float
    watched_s: float
    """Includes spans that are forgotten by now."""
    gaps: tuple[GapSeen, ...] = ()
    reduced: tuple[ReducedSeen, ...] = ()
    """The newest spans that were watched at a lower rate, because the machine was overloaded, in time order."""
    forgotten: tuple[ForgottenSeen, ...] = ()
    """The newest spans whose memories were forgotten, in time order. Spans that only lost pictures are left out."""
    forgotten_s: float = 0.0
    """The total length of all forgotten spans, in seconds."""


class QuestionUsage(BaseModel):
    """What a question cost."""

    lmm_calls: int = 0
    tokens: int = 0
    pictures: int = 0
    """Pictures sent to the model. A picture that is sent twice counts twice."""
    seconds: float = 0.0
    rounds: int = 0


class Answer(BaseModel):
    """The answer to a question, with everything needed to check it."""

    text: str
    choice: str | None = None
    """The letter of the chosen option. None without options, or if no option is supported."""
    confidence: float
    """0 to 1."""
    abstained: bool = False
    why: WhyAbstained | None = None
    """Why it abstained. None if it answered."""
    evidence: list[Evidence] = Field(default_factory=list)
    """Best first. For an abstention, the nearest moments."""
    coverage: list[StreamCoverage] = Field(default_factory=list)
    as_of: str
    """When the memory was read, ISO 8601 in UTC. Nothing written later was seen."""
    usage: QuestionUsage = Field(default_factory=QuestionUsage)
    stop_reason: StopReason
    trace_id: str
    """Id of the stored trace. ``Recollect.trace`` reads its steps."""
    note: str = ""
    """What went wrong, in words. If it is not empty, the model failed in the middle of the question, and
    observations alone support the answer."""
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
