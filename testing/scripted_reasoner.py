"""Scripted reasoner: returns a given plan, judgements and draft; a test double of ``agent.reasoner.Reasoner``."""

from __future__ import annotations

from collections.abc import Sequence

from ..agent.answer import Question
from ..agent.reasoner import DraftAnswer, Judgement, Pictures, Plan
from ..memory.values import Moment, Observation


class ScriptedReasoner:
    """Returns the given plan, judgements and draft in order. For tests and dry runs of the graph."""

    written_by = "scripted/1"

    def __init__(
        self,
        *,
        plan: Plan | None = None,
        judgements: Sequence[Judgement] = (),
        draft: DraftAnswer | None = None,
    ) -> None:
        self._plan = plan or Plan()
        self._judgements = iter(judgements)
        self._draft = draft or DraftAnswer(text="", confidence=0.0, why="unclear")

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Return the given plan."""
        return self._plan

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Return None: it does not look at pictures."""
        return None

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Return the next given judgement, and a sufficiency of 0 after the last one."""
        return next(self._judgements, Judgement(sufficiency=0.0))

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Return the given draft."""
        return self._draft
