"""What a question's run carries from step to step: ids, spans and numbers, never pictures.

It is written to the checkpointer after each step, so it must stay small: a run of many rounds over
a month of video holds some kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from ..memory.query.snapshot import Snapshot
from ..memory.store import MemoryStore
from ..tools.toolbox import Toolbox
from .limits import Spending
from .reasoner import Reasoner


def merged(old: list[str], new: list[str]) -> list[str]:
    """Both lists, each id once, in the order they came."""
    return list(dict.fromkeys([*old, *new]))


def newest_first(old: list[str], new: list[str]) -> list[str]:
    """Both lists, each id once; what was found last, again or for the first time, comes first."""
    return list(dict.fromkeys([*new, *old]))


class AgentState(TypedDict, total=False):
    """The graph's state. Models are stored as plain data."""

    question: dict[str, Any]
    """A ``Question``."""
    overview: Annotated[list[str], merged]
    """Ids of the memories that tile the scope."""
    plan: dict[str, Any]
    """A ``Plan``."""
    found: Annotated[list[str], newest_first]
    """Ids of the moments found so far, and of what stands for forgotten ones: those of the last recall first, in
    each what fits best."""
    asked: Annotated[list[str], merged]
    """The recalls already done: none is done twice."""
    visited: Annotated[list[str], merged]
    """Moments whose pixels were looked at again: none is looked at twice."""
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
    """What the nodes work with. Not part of the state, so never stored."""

    tools: Toolbox
    snapshot: Snapshot
    """The memory as the question sees it, from its first step to its last."""
    store: MemoryStore
    """Where second looks are written back."""
    reasoner: Reasoner
    spending: Spending
    trace_id: str
    as_of: str
    looked: dict[str, Any] = field(default_factory=dict)
    """Observations of this run's second looks by moment id; the snapshot, being older, has them not."""
