"""Recollect with one of its parts left out, to see what the part is worth.

    Agent("recollect without inspection", WithoutInspection)

Each is the whole of it but for one thing that a question may use; the memory that is asked is the same. What a second
look writes down is of no use here in any case: no question sees what another one left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..agent.answer import Question
from ..agent.overrides import AgentOverrides
from ..agent.reasoner import DraftAnswer, Judgement, Pictures, Plan, Reasoner
from ..client import Recollect
from ..memory.query.snapshot import Hit, Snapshot
from ..memory.values import Moment, Observation
from ..tools.toolbox import Inspector, OverviewArgs, Scope, SearchArgs, TimelineArgs, Toolbox

_NEWEST = 100
"""So many moments are what a memory without memories above them is seen as at first."""


class WithoutOverview(Recollect):
    """Searches by the question's own words, and judges what is found without the memories above it."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, overrides=AgentOverrides(wrap_reasoner=_WithoutOverview), **options)


class _WithoutOverview:
    def __init__(self, whole: Reasoner) -> None:
        self._whole = whole

    @property
    def written_by(self) -> str:
        return self._whole.written_by

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        return self._whole.read(question, ())

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        return self._whole.look(question, moment, pictures)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        return self._whole.judge(question, plan, (), moments)

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        # Who knows of no memory at all says that nothing was watched: that is not what is left out here.
        return self._whole.answer(question, plan, judgement, overview[:1], moments)


class WithoutInspection(Recollect):
    """Answers from what is remembered, and looks at no picture again."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, overrides=AgentOverrides(make_toolbox=_uninspected), **options)


class WithoutLadder(Recollect):
    """Knows moments alone, and no event, hour or day."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, overrides=AgentOverrides(make_toolbox=_Flat), **options)


class _Flat(Toolbox):
    def overview(self, args: OverviewArgs) -> list[Moment]:
        newest = TimelineArgs(
            stream=args.stream, from_s=args.from_s, to_s=args.to_s, newest_first=True, limit=_NEWEST
        )
        return self.timeline(newest)

    def search(self, args: SearchArgs) -> list[Hit]:
        return super().search(args.model_copy(update={"rungs": ("moment",)}))


class WithoutTimes(Recollect):
    """Makes nothing of when it was: searches all of the time, the newest no sooner than the oldest."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, overrides=AgentOverrides(make_toolbox=_Timeless), **options)


class _Timeless(Toolbox):
    def search(self, args: SearchArgs) -> list[Hit]:
        return super().search(args.model_copy(update={"from_s": None, "to_s": None, "order": "best"}))

    def timeline(self, args: TimelineArgs) -> list[Moment]:
        return super().timeline(args.model_copy(update={"from_s": None, "to_s": None, "newest_first": False}))


def _uninspected(snapshot: Snapshot, scope: Scope, inspector: Inspector) -> Toolbox:
    return Toolbox(snapshot, scope, None)


PARTS: dict[str, type[Recollect]] = {
    "overview": WithoutOverview,
    "inspection": WithoutInspection,
    "ladder": WithoutLadder,
    "times": WithoutTimes,
}
"""What can be left out."""
