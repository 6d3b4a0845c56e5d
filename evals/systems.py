"""What is measured, and what it is measured against: the same memory, model, prompts and parser, with less around them.

    said = RecollectSystem().answer(posed)                     # of the runner: a question with all that may be used for it

``recollect`` is the whole agent. The others are guesses that need no video, the model without a memory (blind, or
with some frames), and one call about what retrieval once, all captions or the stretches that prove the answer give.
Each answers as it was agreed (``scoring.parsed``) or abstains.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any, NamedTuple, Protocol, TypeVar

from ..agent.answer import Answer, Question
from ..agent.extractive_reasoner import ExtractiveReasoner
from ..agent.limits import Limits
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
from .scorers import parsed

_MOST_MOMENTS = 10_000
OURS = "recollect"
"""What the whole of it is called."""
BUDGET = Limits(seconds=600.0)
"""Of a question: by calls and tokens, which count the same on any machine."""
_TOO_LONG = 400
"""The status of a server that cannot take so long a prompt."""
_TOUCHING_S = 0.01
LAST_S = 4
"""So many last frames, one a second, are hard to beat on streaming benchmarks (SimpleStream, arXiv 2604.02317)."""


class WatchedVideo(NamedTuple):
    """A video that was watched."""

    opened: Callable[[type[Recollect], Limits], Recollect]
    """What was made of it, for who asks it, by this kind of Recollect, at so much a question."""
    snapshot: Snapshot
    """As of the question's time."""


@dataclass(frozen=True)
class PosedQuestion:
    """A question, with all that may be used for it."""

    sample: Sample
    video: CausalVideo
    as_of_s: float
    """When it is asked, as the memory dates what is written."""
    remembered: WatchedVideo | None = None
    """None where no system that is measured remembers: then nothing was watched."""

    def memory(self, kind: type[Recollect], budget: Limits) -> Recollect:
        """What was made of the video, for who asks it. Raises ``ValueError`` where it was not watched."""
        return self._there.opened(kind, budget)

    @property
    def snapshot(self) -> Snapshot:
        """The same as of the question's time. Raises ``ValueError`` where it was not watched."""
        return self._there.snapshot

    @property
    def _there(self) -> WatchedVideo:
        if self.remembered is None:
            raise ValueError("a system asks the memory and does not say so: set its `remembers`")
        return self.remembered

    @property
    def options(self) -> tuple[str, ...]:
        """What is chosen among; empty where the answer is none of several."""
        return ("yes", "no") if self.sample.kind == "yes_no" else self.sample.options

    @property
    def question(self) -> Question:
        """As the agent takes it."""
        return Question(text=self.sample.question, options=self.options)

    @property
    def scope(self) -> Span:
        """What of the video may be used."""
        return Span(self.video.from_s, self.video.until_s)


@dataclass(frozen=True)
class SystemAnswer:
    """What a system answers."""

    said: str = ""
    answer: Value | None = None
    status: Status = "ok"
    confidence: float | None = None
    spans: tuple[tuple[float, float], ...] = ()
    found: tuple[tuple[float, float], ...] = ()
    usage: RecordedUsage = field(default_factory=RecordedUsage)
    encoded: bool | None = None


class System(Protocol):
    """Something that answers questions about videos."""

    @property
    def name(self) -> str:
        """As the tables have it."""

    @property
    def remembers(self) -> bool:
        """Whether it asks the memory: videos are watched, once, where any system of a run does."""

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Answer or abstain."""


@dataclass(frozen=True)
class RecollectSystem:
    """Recollect itself: the whole loop over the memory."""

    name: str = OURS
    kind: type[Recollect] = Recollect
    """The whole of it, or one of ``parts``."""
    budget: Limits = BUDGET
    remembers: bool = True

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Ask the memory as of the question's time."""
        ids: list[str] = []
        said: dict[str, Any] = {}
        for _, changed in posed.memory(self.kind, self.budget).steps(
            posed.sample.question,
            options=posed.options,
            from_s=posed.sample.from_s or None,
            as_of=posed.as_of_s,
        ):
            ids = newest_first(ids, changed.get("found", []))
            said = changed.get("answer", said)
        answer = Answer.model_validate(said)
        spans = tuple((evidence.start_s, evidence.end_s) for evidence in answer.evidence)
        found = _stretches(list(posed.snapshot.get(ids).values()))
        cost = answer.usage
        usage = RecordedUsage(lmm_calls=cost.lmm_calls, tokens=cost.tokens, pictures=cost.pictures)
        if answer.abstained:
            return SystemAnswer(answer.text, None, "abstained", answer.confidence, (), found, usage)
        return said_of(
            posed,
            answer.text,
            answer.choice,
            spans=spans,
            found=found,
            confidence=round(answer.confidence, 4),
            usage=usage,
        )


@dataclass(frozen=True)
class GuessSystem:
    """An answer that is had without the video."""

    name: str
    choose: Callable[[Sequence[str], random.Random], int]
    """Which of the options."""
    remembers: bool = False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Choose; of what has no options, nothing is guessed."""
        if not posed.options:
            return SystemAnswer(status="abstained")
        chosen = self.choose(posed.options, random.Random(posed.sample.id))
        said = posed.options[chosen] if posed.sample.kind == "yes_no" else ascii_uppercase[chosen]
        return SystemAnswer(said, said)


def guesses() -> list[System]:
    """The tricks that a benchmark must not reward."""
    return [
        GuessSystem("random", lambda options, rng: rng.randrange(len(options))),
        GuessSystem("always the first", lambda options, rng: 0),
        GuessSystem(
            "the longest", lambda options, rng: max(range(len(options)), key=lambda at: len(options[at]))
        ),
    ]


@dataclass(frozen=True)
class SingleCallSystem:
    """What one look at some moments makes of them, without looking for more: a model's, or the rules'."""

    name: str
    moments: Callable[[PosedQuestion], Sequence[Moment]]
    lmm: Lmm | None = None
    remembers: bool = True
    is_oracle: bool = False
    """Whether the moments are those that prove the answer."""

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Judge what there is, and answer from it."""
        moments = self.moments(posed)
        if self.lmm is None:
            said, told = self._judged(posed, moments), moments
        else:
            said, told = self._asked(self.lmm, posed, moments)
        return replace(
            said,
            found=_stretches(told),
            encoded=names_answer(posed.sample, moments) if self.is_oracle else None,
        )

    def _judged(self, posed: PosedQuestion, moments: Sequence[Moment]) -> SystemAnswer:
        rules, question = ExtractiveReasoner(), posed.question
        plan = rules.read(question, ())
        judgement = rules.judge(question, plan, moments, moments)
        draft = rules.answer(question, plan, judgement, moments, moments)
        confidence = round(draft.confidence, 4)
        if draft.why is not None:
            return SystemAnswer(draft.text, None, "abstained", confidence)
        return said_of(
            posed,
            draft.text,
            None if draft.choice is None else ascii_uppercase[draft.choice],
            spans=tuple((round(cited.start_s, 3), round(cited.end_s, 3)) for cited in draft.cited),
            confidence=confidence,
        )

    def _asked(
        self, lmm: Lmm, posed: PosedQuestion, moments: Sequence[Moment]
    ) -> tuple[SystemAnswer, Sequence[Moment]]:
        """What the model says, and of which moments it was told."""
        while True:
            shown = named(moments, len(moments))
            try:
                told, usage = asked_once(lmm, judge_prompt(posed.question, (), shown), JudgeReply)
                break
            except LmmRefused as refused:
                if refused.status != _TOO_LONG or len(moments) < 2:
                    raise
                # More than the model can be told at once: the newer half may be.
                moments = sorted(moments, key=lambda one: one.span)[len(moments) // 2 :]
        spans = tuple((one.span.start_s, one.span.end_s) for name in told.cites if (one := shown.get(name)))
        return replied(posed, told, usage, spans), moments


def _stretches(moments: Sequence[Moment]) -> tuple[tuple[float, float], ...]:
    """Where moments lie, in their order; those that follow on one another are one stretch."""
    found: list[tuple[float, float]] = []
    for span in (moment.span for moment in moments):
        if found and abs(found[-1][1] - span.start_s) < _TOUCHING_S:
            found[-1] = (found[-1][0], span.end_s)
        else:
            found.append((span.start_s, span.end_s))
    return tuple(found)


_Told = TypeVar("_Told", JudgeReply, LookReply)


def asked_once(lmm: Lmm, prompt: Prompt, reply: type[_Told]) -> tuple[_Told, RecordedUsage]:
    """One call, and what it cost. Raises ``LmmError``."""
    said = lmm.ask_now(prompt, reply, deadline_s=BUDGET.seconds, max_tokens=MAX_TOKENS[prompt.name])
    return said.value, RecordedUsage(lmm_calls=said.usage.calls, tokens=said.usage.tokens)


def replied(
    posed: PosedQuestion,
    told: JudgeReply | LookReply,
    usage: RecordedUsage,
    spans: tuple[tuple[float, float], ...] = (),
) -> SystemAnswer:
    """What a model said in one call; an abstention where it says that what it was shown settles less than half."""
    if SUFFICIENCY[told.sufficiency] < ANSWERS_FROM:
        return SystemAnswer(told.answer, None, "abstained", usage=usage)
    index = option_index(told.choice, posed.question, told.answer) if posed.options else None
    letter = None if index is None else ascii_uppercase[index]
    return said_of(posed, told.answer, letter, spans=spans, usage=usage)


def names_answer(sample: Sample, moments: Sequence[Moment]) -> bool | None:
    """Whether what is remembered of some moments has all words of the answer; None where the answer has no words."""
    gold = sample.gold
    if sample.kind == "choice" and isinstance(gold, str):
        gold = sample.options[ascii_uppercase.index(gold)]
    if not isinstance(gold, str) or sample.kind == "yes_no":
        return None
    told = " ".join(searchable_text(observation) for moment in moments for observation in moment.observations)
    return {stem(word) for word in words_of(gold)} <= {stem(word) for word in words_of(told)}


def nothing(posed: PosedQuestion) -> Sequence[Moment]:
    """No moment: what can be had from the question and its options alone."""
    return ()


def all_captions(posed: PosedQuestion, most: int = _MOST_MOMENTS) -> Sequence[Moment]:
    """Every moment, in the order of time; of more than a model could ever be told, the newest."""
    return posed.snapshot.timeline(STREAM, posed.scope, limit=most, newest_first=True)


def retrieved(most: int, *modes: SearchMode) -> Callable[[PosedQuestion], Sequence[Moment]]:
    """Those that one search for the question's own words finds, best first: in captions, or by vectors of pictures."""

    def found(posed: PosedQuestion) -> Sequence[Moment]:
        hits = posed.snapshot.search(
            posed.sample.question, span=posed.scope, rungs=("moment",), modes=modes, limit=most
        )
        return [hit.moment for hit in hits]

    return found


def proving(posed: PosedQuestion) -> Sequence[Moment]:
    """Those of the stretches that prove the answer: with them, nothing has to be found any more."""
    moments: dict[str, Moment] = {}
    for span in posed.sample.spans:
        moments |= {one.id: one for one in posed.snapshot.timeline(STREAM, span)}
    return list(moments.values())


@dataclass(frozen=True)
class FramesSystem:
    """A model that is shown some frames in one call, and has no memory."""

    name: str
    pictures: Callable[[CausalVideo, Sample], list[tuple[float, Picture]]]
    lmm: Lmm
    remembers: bool = False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Look once."""
        shown = self.pictures(posed.video, posed.sample)
        prompt = look_prompt(posed.question, Moment("video", STREAM, 0, posed.scope, ()), shown)
        if prompt is None:
            return SystemAnswer(status="abstained")
        told, usage = asked_once(self.lmm, prompt, LookReply)
        return replied(posed, told, usage)


def said_of(
    posed: PosedQuestion,
    text: str,
    letter: str | None,
    *,
    spans: tuple[tuple[float, float], ...] = (),
    found: tuple[tuple[float, float], ...] = (),
    confidence: float | None = None,
    usage: RecordedUsage | None = None,
    encoded: bool | None = None,
) -> SystemAnswer:
    """A reply that is meant as an answer, read as it was agreed; an abstention where it cannot be."""
    letter = (letter or "").strip().rstrip(".").upper() or None
    value = parsed(
        posed.sample.kind, _as_agreed(posed, text, letter, spans), options=len(posed.sample.options)
    )
    status: Status = "ok" if value is not None else "abstained"
    return SystemAnswer(text, value, status, confidence, spans, found, usage or RecordedUsage(), encoded)


def _as_agreed(
    posed: PosedQuestion, text: str, letter: str | None, spans: tuple[tuple[float, float], ...]
) -> str:
    """A reply in prose, as the kind of the question has it."""
    match posed.sample.kind:
        case "choice":
            return letter or ""
        case "yes_no":
            return {"A": "yes", "B": "no"}.get(letter or "", "")
        case "number":
            found = re.search(r"\d+(?:\.\d+)?", text)
            return found.group() if found else ""
        case "span":
            return f"{spans[0][0]}-{spans[0][1]}" if spans else ""
        case _:
            return text
