"""What is measured, and what it is measured against: the same memory, model, prompts and parser, with less around them.

    systems = embedded_systems()                     # or with_model(lmm)
    said = systems[0].answer(posed)                  # of the runner: a question with all that may be used for it

``recollect`` is the whole agent. The others are guesses that need no video, the model without a memory (blind, or
with some frames), and one call about what retrieval once, all captions or the stretches that prove the answer give.
Each answers as it was agreed (``scoring.parsed``) or abstains.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Protocol

from ..agent.answer import Question
from ..agent.asking import ANSWERS_FROM, MAX_TOKENS, SUFFICIENCY, Looked, look_prompt, option_index
from ..agent.budget import Budget, Spending
from ..agent.extractive import ExtractiveReasoner
from ..agent.lmm import LmmReasoner
from ..agent.reasoner import Reasoner
from ..memory.rows import document
from ..memory.snapshot import Snapshot
from ..memory.values import Moment, Span
from ..memory.words import stem, words_of
from ..perception.frame import Picture
from ..perception.lmm import Lmm
from ..sdk import Recollect
from .ingest import STREAM
from .records import Sample, Status, Usage, Value
from .scoring import parsed
from .video import CausalVideo

_MOST_MOMENTS = 10_000
_FOUND = 10
"""So many of what was retrieved are noted."""
_LAST_PICTURES = 4
"""As many of the last frames as are hard to beat on streaming benchmarks (SimpleStream, arXiv 2604.02317)."""


@dataclass(frozen=True)
class Posed:
    """A question, with all that may be used for it."""

    sample: Sample
    video: CausalVideo
    memory: Recollect
    snapshot: Snapshot
    """The memory as of the question's time."""
    as_of_s: float

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
class Said:
    """What a system answers."""

    said: str = ""
    answer: Value | None = None
    status: Status = "ok"
    confidence: float | None = None
    spans: tuple[tuple[float, float], ...] = ()
    found: tuple[tuple[float, float], ...] = ()
    usage: Usage = field(default_factory=Usage)
    encoded: bool | None = None


class System(Protocol):
    """Something that answers questions about videos."""

    @property
    def name(self) -> str:
        """As the tables have it."""

    @property
    def remembers(self) -> bool:
        """Whether it asks the memory: a video is watched once where any system does."""

    def answer(self, posed: Posed) -> Said:
        """Answer or abstain."""


class Agent:
    """Recollect itself: the whole loop over the memory."""

    name, remembers = "recollect", True

    def answer(self, posed: Posed) -> Said:
        """Ask the memory as of the question's time."""
        answer = posed.memory.ask(
            posed.sample.question,
            options=posed.options,
            from_s=posed.sample.from_s or None,
            as_of=posed.as_of_s,
        )
        spans = tuple((evidence.start_s, evidence.end_s) for evidence in answer.evidence)
        usage = Usage(lmm_calls=answer.usage.lmm_calls, tokens=answer.usage.tokens)
        if answer.abstained:
            return Said(answer.text, None, "abstained", answer.confidence, (), spans, usage)
        said = _as_agreed(posed, answer.text, answer.choice, spans)
        value = parsed(posed.sample.kind, said, options=len(posed.sample.options))
        status: Status = "ok" if value is not None else "abstained"
        return Said(answer.text, value, status, round(answer.confidence, 4), spans, spans, usage)


@dataclass(frozen=True)
class Guess:
    """An answer that is had without the video."""

    name: str
    choose: Callable[[Sequence[str], random.Random], int]
    """Which of the options."""
    remembers: bool = False

    def answer(self, posed: Posed) -> Said:
        """Choose; of what has no options, nothing is guessed."""
        if not posed.options:
            return Said(status="abstained")
        chosen = self.choose(posed.options, random.Random(posed.sample.id))
        said = posed.options[chosen] if posed.sample.kind == "yes_no" else ascii_uppercase[chosen]
        return Said(said, said)


def guesses() -> list[System]:
    """The tricks that a benchmark must not reward."""
    return [
        Guess("random", lambda options, rng: rng.randrange(len(options))),
        Guess("always the first", lambda options, rng: 0),
        Guess("the longest", lambda options, rng: max(range(len(options)), key=lambda at: len(options[at]))),
    ]


@dataclass(frozen=True)
class OneCall:
    """What a reasoner makes of some moments at once, without looking for more."""

    name: str
    moments: Callable[[Posed], Sequence[Moment]]
    lmm: Lmm | None = None
    remembers: bool = True
    is_oracle: bool = False
    """Whether the moments are those that prove the answer."""

    def answer(self, posed: Posed) -> Said:
        """Judge what there is, and answer from it."""
        spending = Spending(Budget())
        reasoner: Reasoner = ExtractiveReasoner() if self.lmm is None else LmmReasoner(self.lmm, spending)
        moments, question = self.moments(posed), posed.question
        plan = ExtractiveReasoner().read(question, ())
        judgement = reasoner.judge(question, plan, moments, moments)
        draft = reasoner.answer(question, plan, judgement, moments, moments)
        found = tuple((one.span.start_s, one.span.end_s) for one in moments[:_FOUND])
        spans = tuple((round(cited.start_s, 3), round(cited.end_s, 3)) for cited in draft.cited)
        usage = Usage(lmm_calls=spending.calls, tokens=spending.tokens)
        encoded = names_answer(posed.sample, moments) if self.is_oracle else None
        if draft.why is not None:
            return Said(draft.text, None, "abstained", round(draft.confidence, 4), (), found, usage, encoded)
        letter = None if draft.choice is None else ascii_uppercase[draft.choice]
        value = parsed(
            posed.sample.kind,
            _as_agreed(posed, draft.text, letter, spans),
            options=len(posed.sample.options),
        )
        status: Status = "ok" if value is not None else "abstained"
        return Said(draft.text, value, status, round(draft.confidence, 4), spans, found, usage, encoded)


def names_answer(sample: Sample, moments: Sequence[Moment]) -> bool | None:
    """Whether what is remembered of some moments has all words of the answer; None where the answer has no words."""
    gold = sample.gold
    if sample.kind == "choice" and isinstance(gold, str):
        gold = sample.options[ascii_uppercase.index(gold)]
    if not isinstance(gold, str) or sample.kind == "yes_no":
        return None
    told = " ".join(document(observation) for moment in moments for observation in moment.observations)
    return {stem(word) for word in words_of(gold)} <= {stem(word) for word in words_of(told)}


def nothing(posed: Posed) -> Sequence[Moment]:
    """No moment: what can be had from the question and its options alone."""
    return ()


def all_captions(posed: Posed) -> Sequence[Moment]:
    """Every moment, in the order of time."""
    return posed.snapshot.timeline(STREAM, posed.scope, limit=_MOST_MOMENTS)


def retrieved_by_captions(most: int) -> Callable[[Posed], Sequence[Moment]]:
    """Those that a search by the question's own words finds, best first."""

    def found(posed: Posed) -> Sequence[Moment]:
        hits = posed.snapshot.search(posed.sample.question, span=posed.scope, rungs=("moment",), limit=most)
        return [hit.moment for hit in hits]

    return found


def proving(posed: Posed) -> Sequence[Moment]:
    """Those of the stretches that prove the answer: with them, nothing has to be found any more."""
    moments: dict[str, Moment] = {}
    for span in posed.sample.spans:
        moments |= {one.id: one for one in posed.snapshot.timeline(STREAM, span)}
    return list(moments.values())


@dataclass(frozen=True)
class Frames:
    """A model that is shown some frames in one call, and has no memory."""

    name: str
    pictures: Callable[[CausalVideo, Sample], list[tuple[float, Picture]]]
    lmm: Lmm
    remembers: bool = False

    def answer(self, posed: Posed) -> Said:
        """Look once."""
        shown = self.pictures(posed.video, posed.sample)
        prompt = look_prompt(posed.question, Moment("video", STREAM, 0, posed.scope, ()), shown)
        if prompt is None:
            return Said(status="abstained")
        replied = self.lmm.ask_now(
            prompt, Looked, deadline_s=Budget().seconds, max_tokens=MAX_TOKENS[prompt.name]
        )
        told, cost = replied.value, replied.usage
        usage = Usage(lmm_calls=cost.calls, tokens=cost.tokens, pictures=len(shown))
        index = option_index(told.choice, posed.question, told.answer) if posed.options else None
        if SUFFICIENCY[told.sufficiency] < ANSWERS_FROM:
            return Said(told.answer, None, "abstained", usage=usage)
        letter = None if index is None else ascii_uppercase[index]
        said = _as_agreed(posed, told.answer, letter, ())
        value = parsed(posed.sample.kind, said, options=len(posed.sample.options))
        return Said(told.answer, value, "ok" if value is not None else "abstained", usage=usage)


def embedded_systems() -> list[System]:
    """Recollect without any model, and all that can be had with as little."""
    return [
        Agent(),
        OneCall("one-shot retrieval", retrieved_by_captions(_FOUND)),
        OneCall("all captions", all_captions),
        OneCall("oracle evidence", proving, is_oracle=True),
        *guesses(),
    ]


def with_model(lmm: Lmm, *, frames: int = 32) -> list[System]:
    """Recollect with a video LMM, and the same model with less around it."""
    return [
        Agent(),
        OneCall("one-shot retrieval", retrieved_by_captions(lmm.moments), lmm),
        OneCall("all captions", all_captions, lmm),
        OneCall("oracle evidence", proving, lmm, is_oracle=True),
        OneCall("blind", nothing, lmm),
        Frames("one frame", lambda video, _: video.spread(1), lmm),
        Frames(f"{frames} frames of all", lambda video, _: video.spread(frames), lmm),
        Frames(
            f"last {_LAST_PICTURES} seconds",
            lambda video, _: video.spread(_LAST_PICTURES, last_s=_LAST_PICTURES),
            lmm,
        ),
        *guesses(),
    ]


def _as_agreed(posed: Posed, text: str, letter: str | None, spans: tuple[tuple[float, float], ...]) -> str:
    """A reply in prose, as the kind of the question has it."""
    match posed.sample.kind:
        case "choice":
            return letter or ""
        case "yes_no":
            return "" if letter is None else posed.options[ord(letter) - ord("A")]
        case "number":
            found = re.search(r"\d+(?:\.\d+)?", text)
            return found.group() if found else ""
        case "span":
            return f"{spans[0][0]}-{spans[0][1]}" if spans else ""
        case _:
            return text
