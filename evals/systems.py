"""Systems under evaluation: Recollect, and the baselines that it is compared with.

    answer = RecollectSystem().answer(posed)      # the runner makes ``posed``: a question with all it may use

``recollect`` is the whole agent. The baselines use the same memory, model, prompts and parser with less around them:
guesses without the video, the model without a memory (blind, or with some frames), and one call with the moments of
one search, with all captions, or with the moments of the evidence. Each system answers in the agreed form
(``scorers.parse_answer``) or abstains.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from ..agent.answer import Answer, Question
from ..agent.extractive_reasoner import ExtractiveReasoner
from ..agent.limits import Limits
from ..agent.overrides import AgentOverrides
from ..agent.prompt_building import (
    MAX_TOKENS,
    SUFFICIENCY,
    JudgeReply,
    LookReply,
    judge_prompt,
    look_prompt,
    named,
    option_index,
)
from ..agent.reasoner import ANSWERS_FROM
from ..agent.state import newest_first
from ..client import Recollect
from ..memory.query.hybrid_search import SearchMode
from ..memory.query.snapshot import Snapshot
from ..memory.query.word_stems import stem, words_of
from ..memory.storage.rows import searchable_text
from ..memory.values import Moment, Span
from ..perception.errors import LmmRefused
from ..perception.lmm import Lmm, Prompt
from ..perception.sources.frame import Picture
from .causal_video import CausalVideo
from .ingestion import STREAM
from .records import RecordedUsage, Sample, Status, Value
from .scorers import parse_answer

_ALL_MOMENTS_LIMIT = 10_000
OURS = "recollect"
"""The name of the whole agent in tables and records."""
LIMITS = Limits(seconds=600.0)
"""The limits of a question: mainly calls and tokens, which do not depend on the speed of the machine."""
_PROMPT_TOO_LONG = 400
"""The HTTP status of a server that refuses a prompt for its length."""
_TOUCHING_S = 0.01
"""Spans closer together than this count as one."""
LAST_S = 4
"""How many of the last frames, one a second: a strong baseline on streaming benchmarks (SimpleStream, arXiv 2604.02317)."""

TimeSpans = tuple[tuple[float, float], ...]
"""Pairs of start and end in seconds."""


class WatchedVideo(NamedTuple):
    """The memory of a video that was watched."""

    open_memory: Callable[[AgentOverrides | None, Limits], Recollect]
    """Opens the memory for questions, with these overrides of the agent and limits of a question."""
    snapshot: Snapshot
    """The memory as of the question's time."""


@dataclass(frozen=True)
class PosedQuestion:
    """A question, with everything that may be used to answer it."""

    sample: Sample
    video: CausalVideo
    as_of_s: float
    """When the question is asked, in the Unix time of the memory's rows."""
    watched: WatchedVideo | None = None
    """None if no system of the run uses the memory: then the video was not watched."""

    def memory(self, overrides: AgentOverrides | None, limits: Limits) -> Recollect:
        """The memory of the video. Raises ``ValueError`` if the video was not watched."""
        return self._watched_video.open_memory(overrides, limits)

    @property
    def snapshot(self) -> Snapshot:
        """The memory as of the question's time. Raises ``ValueError`` if the video was not watched."""
        return self._watched_video.snapshot

    @property
    def _watched_video(self) -> WatchedVideo:
        if self.watched is None:
            raise ValueError(
                "the system uses the memory but does not declare it: set its attribute `remembers` to True"
            )
        return self.watched

    @property
    def options(self) -> tuple[str, ...]:
        """The options to choose from. Empty if the question has none."""
        return ("yes", "no") if self.sample.kind == "yes_no" else self.sample.options

    @property
    def question(self) -> Question:
        """The question in the agent's form."""
        return Question(text=self.sample.question, options=self.options)

    @property
    def scope(self) -> Span:
        """The part of the video that may be used."""
        return Span(self.video.from_s, self.video.until_s)


@dataclass(frozen=True)
class SystemAnswer:
    """What a system answers. ``Prediction`` describes the fields."""

    reply: str = ""
    """The raw reply, which becomes ``Prediction.said``."""
    answer: Value | None = None
    status: Status = "ok"
    confidence: float | None = None
    spans: TimeSpans = ()
    retrieved: TimeSpans = ()
    """The retrieved spans, which become ``Prediction.found``."""
    usage: RecordedUsage = field(default_factory=RecordedUsage)
    encoded: bool | None = None


class System(Protocol):
    """Answers questions about videos."""

    @property
    def name(self) -> str:
        """The name in tables and records."""

    @property
    def remembers(self) -> bool:
        """Whether it uses the memory. Videos are watched, once, if any system of a run does."""

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Answer or abstain."""


@dataclass(frozen=True)
class RecollectSystem:
    """Recollect itself: the whole agent on the memory."""

    name: str = OURS
    overrides: AgentOverrides | None = None
    """Parts of the agent to replace, see ``ablations``. None: the whole agent."""
    limits: Limits = LIMITS
    remembers: bool = True

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Ask the memory as of the question's time."""
        ids: list[str] = []
        fields: dict[str, Any] = {}
        steps = posed.memory(self.overrides, self.limits).steps(
            posed.sample.question,
            options=posed.options,
            from_s=posed.sample.from_s or None,
            as_of=posed.as_of_s,
        )
        for _, changes in cast("Iterator[tuple[str, dict[str, Any]]]", steps):
            ids = newest_first(ids, changes.get("found", []))
            fields = changes.get("answer", fields)
        answer = Answer.model_validate(fields)
        spans = tuple((evidence.start_s, evidence.end_s) for evidence in answer.evidence)
        retrieved = merged_spans(list(posed.snapshot.get(ids).values()))
        cost = answer.usage
        usage = RecordedUsage(lmm_calls=cost.lmm_calls, tokens=cost.tokens, pictures=cost.pictures)
        if answer.abstained:
            return SystemAnswer(answer.text, None, "abstained", answer.confidence, (), retrieved, usage)
        return answer_from_reply(
            posed,
            answer.text,
            answer.choice,
            spans=spans,
            retrieved=retrieved,
            confidence=round(answer.confidence, 4),
            usage=usage,
        )


@dataclass(frozen=True)
class GuessSystem:
    """Guesses among the options without the video."""

    name: str
    choose: Callable[[Sequence[str], random.Random], int]
    """Takes the options and a random generator, and returns the index of one option."""
    remembers: bool = False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Choose an option. Abstains if the question has none."""
        if not posed.options:
            return SystemAnswer(status="abstained")
        index = self.choose(posed.options, random.Random(posed.sample.id))
        reply = posed.options[index] if posed.sample.kind == "yes_no" else ascii_uppercase[index]
        return SystemAnswer(reply, reply)


def guessing_systems() -> list[System]:
    """Shortcuts that a benchmark must not reward."""
    return [
        GuessSystem("random", lambda options, rng: rng.randrange(len(options))),
        GuessSystem("always the first", lambda options, rng: 0),
        GuessSystem(
            "the longest",
            lambda options, rng: max(range(len(options)), key=lambda index: len(options[index])),
        ),
    ]


@dataclass(frozen=True)
class SingleCallSystem:
    """Answers from given moments in one step: by one LMM call, or by the extractive reasoner without an LMM."""

    name: str
    moments: Callable[[PosedQuestion], Sequence[Moment]]
    lmm: Lmm | None = None
    remembers: bool = True
    is_oracle: bool = False
    """Whether the moments are those of the evidence."""

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Judge the moments once, and answer from them."""
        moments = self.moments(posed)
        if self.lmm is None:
            answer, used = self._extract(posed, moments), moments
        else:
            answer, used = self._ask(self.lmm, posed, moments)
        return replace(
            answer,
            retrieved=merged_spans(used),
            encoded=names_answer(posed.sample, moments) if self.is_oracle else None,
        )

    def _extract(self, posed: PosedQuestion, moments: Sequence[Moment]) -> SystemAnswer:
        reasoner, question = ExtractiveReasoner(), posed.question
        plan = reasoner.read(question, ())
        judgement = reasoner.judge(question, plan, moments, moments)
        draft = reasoner.answer(question, plan, judgement, moments, moments)
        confidence = round(draft.confidence, 4)
        if draft.why is not None:
            return SystemAnswer(draft.text, None, "abstained", confidence)
        return answer_from_reply(
            posed,
            draft.text,
            None if draft.choice is None else ascii_uppercase[draft.choice],
            spans=tuple((round(cited.start_s, 3), round(cited.end_s, 3)) for cited in draft.cited),
            confidence=confidence,
        )

    def _ask(
        self, lmm: Lmm, posed: PosedQuestion, moments: Sequence[Moment]
    ) -> tuple[SystemAnswer, Sequence[Moment]]:
        """The model's answer, and the moments that its prompt held."""
        while True:
            shown = named(moments, len(moments))
            try:
                reply, usage = call_lmm(lmm, judge_prompt(posed.question, (), shown), JudgeReply)
                break
            except LmmRefused as refused:
                if refused.status != _PROMPT_TOO_LONG or len(moments) < 2:
                    raise
                # The prompt is too long for the model. Try the newer half of the moments.
                moments = sorted(moments, key=lambda moment: moment.span)[len(moments) // 2 :]
        cited = (shown[name].span for name in reply.cites if name in shown)
        spans = tuple((span.start_s, span.end_s) for span in cited)
        return answer_from_lmm(posed, reply, usage, spans), moments


def merged_spans(moments: Sequence[Moment]) -> TimeSpans:
    """The spans of the moments, in their order. Consecutive moments without a gap become one span."""
    spans: list[tuple[float, float]] = []
    for span in (moment.span for moment in moments):
        if spans and abs(spans[-1][1] - span.start_s) < _TOUCHING_S:
            spans[-1] = (spans[-1][0], span.end_s)
        else:
            spans.append((span.start_s, span.end_s))
    return tuple(spans)


_Reply = TypeVar("_Reply", JudgeReply, LookReply)


def call_lmm(lmm: Lmm, prompt: Prompt, schema: type[_Reply]) -> tuple[_Reply, RecordedUsage]:
    """Call the model once. Returns its reply and what the call cost. Raises ``LmmError``."""
    result = lmm.ask_now(prompt, schema, deadline_s=LIMITS.seconds, max_tokens=MAX_TOKENS[prompt.name])
    return result.value, RecordedUsage(lmm_calls=result.usage.calls, tokens=result.usage.tokens)


def answer_from_lmm(
    posed: PosedQuestion,
    reply: JudgeReply | LookReply,
    usage: RecordedUsage,
    spans: TimeSpans = (),
) -> SystemAnswer:
    """The answer of one model call. Abstains if the model rates its material below half sufficient."""
    if SUFFICIENCY[reply.sufficiency] < ANSWERS_FROM:
        return SystemAnswer(reply.answer, None, "abstained", usage=usage)
    index = option_index(reply.choice, posed.question, reply.answer) if posed.options else None
    letter = None if index is None else ascii_uppercase[index]
    return answer_from_reply(posed, reply.answer, letter, spans=spans, usage=usage)


def names_answer(sample: Sample, moments: Sequence[Moment]) -> bool | None:
    """Whether the observations of the moments hold all words of the gold answer. None if it has no words."""
    gold = sample.gold
    if sample.kind == "choice" and isinstance(gold, str):
        gold = sample.options[ascii_uppercase.index(gold)]
    if not isinstance(gold, str) or sample.kind == "yes_no":
        return None
    text = " ".join(searchable_text(observation) for moment in moments for observation in moment.observations)
    return {stem(word) for word in words_of(gold)} <= {stem(word) for word in words_of(text)}


def no_moments(posed: PosedQuestion) -> Sequence[Moment]:
    """No moments: the system sees only the question and its options."""
    return ()


def all_captions(posed: PosedQuestion, limit: int = _ALL_MOMENTS_LIMIT) -> Sequence[Moment]:
    """Every moment in time order, and the newest ``limit`` moments if there are more."""
    return posed.snapshot.timeline(STREAM, posed.scope, limit=limit, newest_first=True)


def one_search(limit: int, *modes: SearchMode) -> Callable[[PosedQuestion], Sequence[Moment]]:
    """A function that searches once with the question's own words and returns the best ``limit`` moments."""

    def search(posed: PosedQuestion) -> Sequence[Moment]:
        hits = posed.snapshot.search(
            posed.sample.question, span=posed.scope, rungs=("moment",), modes=modes, limit=limit
        )
        return [hit.moment for hit in hits]

    return search


def evidence_moments(posed: PosedQuestion) -> Sequence[Moment]:
    """The moments that overlap the evidence: with them, no search is needed."""
    moments: dict[str, Moment] = {}
    for span in posed.sample.spans:
        moments |= {moment.id: moment for moment in posed.snapshot.timeline(STREAM, span)}
    return list(moments.values())


@dataclass(frozen=True)
class FramesSystem:
    """Shows a model some frames in one call, without a memory."""

    name: str
    pictures: Callable[[CausalVideo, Sample], list[tuple[float, Picture]]]
    lmm: Lmm
    remembers: bool = False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Call the model once with the frames."""
        shown = self.pictures(posed.video, posed.sample)
        prompt = look_prompt(posed.question, Moment("video", STREAM, 0, posed.scope, ()), shown)
        if prompt is None:
            return SystemAnswer(status="abstained")
        reply, usage = call_lmm(self.lmm, prompt, LookReply)
        return answer_from_lmm(posed, reply, usage)


def answer_from_reply(
    posed: PosedQuestion,
    text: str,
    letter: str | None,
    *,
    spans: TimeSpans = (),
    retrieved: TimeSpans = (),
    confidence: float | None = None,
    usage: RecordedUsage | None = None,
) -> SystemAnswer:
    """Parse a reply strictly. Abstains if the reply does not have the agreed form.

    ``letter`` is the option that the system chose, if any. ``spans`` are the spans that the reply cites.
    """
    letter = (letter or "").strip().rstrip(".").upper() or None
    value = parse_answer(
        posed.sample.kind, _agreed_form(posed, text, letter, spans), options=len(posed.sample.options)
    )
    status: Status = "ok" if value is not None else "abstained"
    return SystemAnswer(text, value, status, confidence, spans, retrieved, usage or RecordedUsage())


def _agreed_form(posed: PosedQuestion, text: str, letter: str | None, spans: TimeSpans) -> str:
    """A reply in prose, rewritten in the form that the kind of the question requires."""
    match posed.sample.kind:
        case "choice":
            return letter or ""
        case "yes_no":
            return {"A": "yes", "B": "no"}.get(letter or "", "")
        case "number":
            number = re.search(r"\d+(?:\.\d+)?", text)
            return number.group() if number else ""
        case "span":
            return f"{spans[0][0]}-{spans[0][1]}" if spans else ""
        case _:
            return text
