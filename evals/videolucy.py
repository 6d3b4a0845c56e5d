"""The loop of VideoLucy (arXiv 2510.12422), written anew from its paper: the anchor that a memory agent has to beat.

    VideoLucy(lmm).answer(posed)

It begins with coarse memories of the whole video and asks whether they settle the question, yes or no. As long as
they do not, it goes back to the one stretch that matters most and was not visited yet, has it told again with the
question in mind, whole and in parts, each from its own frames, and asks again; five times at most. Then it has to
answer. Here it has our prompts, our schemas and our ladder's events as its coarse memories, so that what differs from
``recollect`` is the loop: there is no search, no grade but yes or no, and no way to say that it does not know.
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
from .systems import PosedQuestion, SystemAnswer, asked_once, said_of

ITERATIONS = 5
PARTS = 6
"""So many parts a stretch is told in."""
_LEAST_S = 1.0
"""Parts are no shorter: the paper's finest memories are of a second."""
_FPS = 2.0
_MOST = 10_000


@dataclass
class _Course:
    """One question on its way."""

    posed: PosedQuestion
    lmm: Lmm
    calls: int = 0
    tokens: int = 0
    visited: list[Span] = field(default_factory=list)

    def judge(self, memories: Sequence[Moment]) -> tuple[JudgeReply, list[Moment]]:
        """What is said from these memories, and those it names, in its order."""
        shown = named(memories, self.lmm.moments)
        judged, usage = asked_once(self.lmm, judge_prompt(self.posed.question, (), shown), JudgeReply)
        self._spent(usage)
        names = dict.fromkeys([*judged.look_at, *judged.cites])
        return judged, [shown[name] for name in names if name in shown]

    def told_again(self, span: Span) -> list[Moment]:
        """A stretch, and its parts, as their frames show them to who has the question in mind."""
        self.visited.append(span)
        parts = min(PARTS, max(1, int(span.duration_s / _LEAST_S)))
        step_s = span.duration_s / parts
        cuts = [Span(span.start_s + at * step_s, span.start_s + (at + 1) * step_s) for at in range(parts)]
        return [moment for one in dict.fromkeys([span, *cuts]) if (moment := self._told(one)) is not None]

    def _told(self, span: Span) -> Moment | None:
        moment = Moment(f"{span.start_s:.3f}-{span.end_s:.3f}", STREAM, 0, span, ())
        count = max(1, min(MAX_PICTURES, round(span.duration_s * _FPS)))
        times_s = (span.start_s + (at + 0.5) * span.duration_s / count for at in range(count))
        prompt = look_prompt(
            self.posed.question,
            moment,
            self.posed.video.pictures(at for at in times_s if self._may_be_seen(at)),
        )
        if prompt is None:
            return None
        looked, usage = asked_once(self.lmm, prompt, LookReply)
        self._spent(usage)
        seen = Observation(looked.seen, (), self.lmm.name, self.posed.as_of_s)
        return Moment(moment.id, STREAM, 0, span, (seen,))

    def _may_be_seen(self, time_s: float) -> bool:
        return self.posed.video.from_s <= time_s < self.posed.video.until_s

    def _spent(self, usage: RecordedUsage) -> None:
        self.calls += usage.lmm_calls
        self.tokens += usage.tokens


@dataclass(frozen=True)
class VideoLucy:
    """Coarse to fine, with a yes or no after each step."""

    lmm: Lmm
    name: str = "VideoLucy's loop"
    remembers: bool = True

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        """Go back over the video until the model says that it knows, or has to say something."""
        course = _Course(posed, self.lmm)
        snapshot = posed.snapshot
        coarse = snapshot.timeline(STREAM, posed.scope, rung="event", limit=_MOST)
        memories = coarse or snapshot.timeline(STREAM, posed.scope, limit=_MOST)
        judged, named_ = course.judge(memories)
        for _ in range(ITERATIONS):
            if SUFFICIENCY[judged.sufficiency] == max(SUFFICIENCY.values()):
                break
            fresh = [one for one in (*named_, *memories) if one.span not in course.visited]
            if not fresh:
                break
            chosen = fresh[0]
            finer = course.told_again(chosen.span)
            # What was told anew comes first: no more than so many memories are shown.
            memories = [*finer, *(one for one in memories if one.span != chosen.span)]
            judged, named_ = course.judge(memories)
        spans = tuple((one.span.start_s, one.span.end_s) for one in named_)
        usage = RecordedUsage(lmm_calls=course.calls, tokens=course.tokens)
        found = tuple((span.start_s, span.end_s) for span in course.visited) or spans
        return said_of(posed, judged.answer, judged.choice, spans=spans, found=found, usage=usage)
