"""A reasoner that returns what it was given: the double of ``agent.reasoner.Reasoner``."""

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
        """The plan it was given."""
        return self._plan

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Nothing: it has no eyes."""
        return None

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """The next judgement it was given; once they are used up, that nothing is enough."""
        return next(self._judgements, Judgement(sufficiency=0.0))

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """The draft it was given."""
        return self._draft
