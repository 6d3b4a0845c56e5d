"""State of the agent's graph: what a question carries from step to step.

It holds ids, spans and numbers, never pictures. The checkpointer writes it after each step, so it must stay small:
a question of many rounds over a month of video takes some kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypedDict

from ..memory.query.snapshot import Snapshot
from ..memory.store import MemoryStore
from ..memory.values import Moment, Observation
from ..tools.toolbox import Toolbox
from .limits import Spending
from .reasoner import Reasoner


def merged(earlier: list[str], later: list[str]) -> list[str]:
    """Both lists without duplicates, in the order in which the ids came."""
    return list(dict.fromkeys([*earlier, *later]))


def newest_first(earlier: list[str], later: list[str]) -> list[str]:
    """Both lists without duplicates. The ids of the later list come first, also those that were in the earlier one."""
    return list(dict.fromkeys([*later, *earlier]))


class AgentState(TypedDict, total=False):
    """The graph's state. Models are stored as plain data. Stored traces have these keys, so they never change."""

    question: dict[str, Any]
    """A ``Question``."""
    overview: Annotated[list[str], merged]
    """Ids of the memories that tile the scope."""
    plan: dict[str, Any]
    """A ``Plan``."""
    found: Annotated[list[str], newest_first]
    """Ids of the moments found so far, and of the summaries that represent forgotten ones. Those of the last recall
    come first, and within each recall the best match."""
    asked: Annotated[list[str], merged]
    """Keys of the tool calls that recall has made. None is made twice."""
    visited: Annotated[list[str], merged]
    """Ids of the moments whose pictures were inspected. None is inspected twice."""
    new: int
    """How many moments or findings this round brought."""
    round: int
    judgement: dict[str, Any]
    """The latest ``Judgement``."""
    best: dict[str, Any]
    """The most sufficient ``Judgement`` so far."""
    stop_reason: str
    answer: dict[str, Any]
    """The ``Answer``."""


@dataclass(slots=True)
class AgentDependencies:
    """What the steps work with. It is not part of the state, so it is never stored."""

    tools: Toolbox
    snapshot: Snapshot
    """The memory as the question sees it, from its first step to its last."""
    store: MemoryStore
    """Where inspections are written back."""
    reasoner: Reasoner
    spending: Spending
    trace_id: str
    as_of: str
    inspections: dict[str, Observation] = field(default_factory=dict)
    """What this question's inspections saw, by moment id. The snapshot is older and lacks them."""

    def moments(self, ids: Sequence[str]) -> list[Moment]:
        """Moments by id in the given order, each once, with what this question's inspections saw in them."""
        remembered = self.tools.get(ids)
        return [self._with_inspection(remembered[key]) for key in dict.fromkeys(ids) if key in remembered]

    def _with_inspection(self, moment: Moment) -> Moment:
        inspection = self.inspections.get(moment.id)
        if inspection is None:
            return moment
        return replace(moment, observations=(*moment.observations, inspection))
