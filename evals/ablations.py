"""Ablations: Recollect with one part of the agent left out, to measure what the part is worth.

    RecollectSystem("recollect without inspection", ABLATIONS["inspection"])

Each ablation changes one thing that a question may use. The memory is the same for all of them. What a second look
writes back into the memory never matters here: no question of an evaluation sees what another question wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..agent.answer import Question
from ..agent.overrides import AgentOverrides
from ..agent.reasoner import DraftAnswer, Judgement, Pictures, Plan, Reasoner
from ..memory.query.snapshot import Hit, Snapshot
from ..memory.values import Moment, Observation
from ..tools.toolbox import Inspector, OverviewArgs, Scope, SearchArgs, TimelineArgs, Toolbox

_NEWEST_MOMENTS = 100
"""How many moments the overview has if there are no summaries."""


class _OverviewFreeReasoner:
    """Plans and judges without the overview. Everything else is left to the usual reasoner."""

    def __init__(self, usual: Reasoner) -> None:
        self._usual = usual

    @property
    def written_by(self) -> str:
        return self._usual.written_by

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        return self._usual.read(question, ())

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        return self._usual.look(question, moment, pictures)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        return self._usual.judge(question, plan, (), moments)

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        # With an empty overview the reasoner would answer that nothing was watched. This ablation does not measure
        # that, so the answer gets one moment of it.
        return self._usual.answer(question, plan, judgement, overview[:1], moments)


class _FlatToolbox(Toolbox):
    """Moments only: the overview and the search show no event, hour or day."""

    def overview(self, args: OverviewArgs) -> list[Moment]:
        newest = TimelineArgs(
            stream=args.stream, from_s=args.from_s, to_s=args.to_s, newest_first=True, limit=_NEWEST_MOMENTS
        )
        return self.timeline(newest)

    def search(self, args: SearchArgs) -> list[Hit]:
        return super().search(args.model_copy(update={"rungs": ("moment",)}))


class _TimelessToolbox(Toolbox):
    """Ignores the times in a question: searches the whole stream, with no preference for old or new."""

    def search(self, args: SearchArgs) -> list[Hit]:
        return super().search(args.model_copy(update={"from_s": None, "to_s": None, "order": "best"}))

    def timeline(self, args: TimelineArgs) -> list[Moment]:
        return super().timeline(args.model_copy(update={"from_s": None, "to_s": None, "newest_first": False}))


def _toolbox_without_inspection(snapshot: Snapshot, scope: Scope, inspector: Inspector) -> Toolbox:
    return Toolbox(snapshot, scope, None)


ABLATIONS: dict[str, AgentOverrides] = {
    "overview": AgentOverrides(wrap_reasoner=_OverviewFreeReasoner),
    "inspection": AgentOverrides(make_toolbox=_toolbox_without_inspection),
    "ladder": AgentOverrides(make_toolbox=_FlatToolbox),
    "times": AgentOverrides(make_toolbox=_TimelessToolbox),
}
"""By the name of the part that is left out: ``overview`` searches with the question's own words, ``inspection`` never
looks at pictures again."""
