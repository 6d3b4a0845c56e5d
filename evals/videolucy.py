"""VideoLucy baseline (arXiv 2510.12422), reimplemented from the paper: the memory agent that Recollect has to beat.

    VideoLucy(lmm).answer(posed)

The loop starts with coarse memories of the whole video and asks the model whether they are enough, yes or no. Until
they are, it backtracks: it takes the most relevant span that was not visited yet, describes it and its parts again
with the question in mind, each from its own frames, and asks the model again. After five iterations it must answer.

Here the loop has our prompts, our schemas, and our ladder's events as coarse memories, so that it differs from
``recollect`` only in the loop: no search, no graded sufficiency, and no abstention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..agent.prompt_building import (
    MAX_PICTURES,
    SUFFICIENCY,
    JudgeReply,
    LookReply,
    judge_prompt,
    look_prompt,
    named,
)
from ..memory.values import Moment, Observation, Span
from ..perception.lmm import Lmm
from .ingestion import STREAM
from .records import RecordedUsage
from .systems import PosedQuestion, SystemAnswer, answer_from_reply, call_lmm

ITERATIONS = 5
PARTS = 6
"""How many parts a span is split into when it is described again."""
_MIN_PART_S = 1.0
"""The shortest part: the finest memories of the paper last one second."""
_FPS = 2.0
_TIMELINE_LIMIT = 10_000


@dataclass
class _Backtracking:
    """The state of the loop for one question."""

    posed: PosedQuestion
    lmm: Lmm
    calls: int = 0
    tokens: int = 0
    visited: list[Span] = field(default_factory=list)

    def judge(self, memories: Sequence[Moment]) -> tuple[JudgeReply, list[Moment]]:
        """Ask the model about the memories. Returns its reply, and the memories that the reply names, in its order."""
        shown = named(memories, self.lmm.moments)
        judgement, usage = call_lmm(self.lmm, judge_prompt(self.posed.question, (), shown), JudgeReply)
        self._count(usage)
        names = dict.fromkeys([*judgement.look_at, *judgement.cites])
        return judgement, [shown[name] for name in names if name in shown]

    def describe_again(self, span: Span) -> list[Moment]:
        """Describe a span and its parts from their frames, with the question in mind."""
        self.visited.append(span)
        count = min(PARTS, max(1, int(span.duration_s / _MIN_PART_S)))
        step_s = span.duration_s / count
        parts = [
            Span(span.start_s + index * step_s, span.start_s + (index + 1) * step_s) for index in range(count)
        ]
        moments = (self._describe(part) for part in dict.fromkeys([span, *parts]))
        return [moment for moment in moments if moment is not None]

    def _describe(self, span: Span) -> Moment | None:
        moment = Moment(f"{span.start_s:.3f}-{span.end_s:.3f}", STREAM, 0, span, ())
        count = max(1, min(MAX_PICTURES, round(span.duration_s * _FPS)))
        times_s = (span.start_s + (index + 0.5) * span.duration_s / count for index in range(count))
        prompt = look_prompt(
            self.posed.question,
            moment,
            self.posed.video.pictures(time_s for time_s in times_s if self._may_use(time_s)),
        )
        if prompt is None:
            return None
        reply, usage = call_lmm(self.lmm, prompt, LookReply)
        self._count(usage)
        observation = Observation(reply.seen, (), self.lmm.name, self.posed.as_of_s)
        return Moment(moment.id, STREAM, 0, span, (observation,))

    def _may_use(self, time_s: float) -> bool:
        return self.posed.scope.contains(time_s)

    def _count(self, usage: RecordedUsage) -> None:
        self.calls += usage.lmm_calls
        self.tokens += usage.tokens


@dataclass(frozen=True)
class VideoLucy:
    """Coarse-to-fine backtracking, with a yes-or-no judgement after each step."""

    lmm: Lmm
    name: str = "VideoLucy's loop"
    remembers: bool = True

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Backtrack until the model says that the memories are enough, or the iterations are used up."""
        loop = _Backtracking(posed, self.lmm)
        snapshot = posed.snapshot
        events = snapshot.timeline(STREAM, posed.scope, rung="event", limit=_TIMELINE_LIMIT)
        memories = events or snapshot.timeline(STREAM, posed.scope, limit=_TIMELINE_LIMIT)
        judgement, relevant = loop.judge(memories)
        for _ in range(ITERATIONS):
            if SUFFICIENCY[judgement.sufficiency] == max(SUFFICIENCY.values()):
                break
            unvisited = [moment for moment in (*relevant, *memories) if moment.span not in loop.visited]
            if not unvisited:
                break
            span = unvisited[0].span
            finer = loop.describe_again(span)
            # The new descriptions come first, because a prompt holds a limited number of memories.
            memories = [*finer, *(moment for moment in memories if moment.span != span)]
            judgement, relevant = loop.judge(memories)
        spans = tuple((moment.span.start_s, moment.span.end_s) for moment in relevant)
        return answer_from_reply(
            posed,
            judgement.answer,
            judgement.choice,
            spans=spans,
            retrieved=tuple((span.start_s, span.end_s) for span in loop.visited) or spans,
            usage=RecordedUsage(lmm_calls=loop.calls, tokens=loop.tokens),
        )
