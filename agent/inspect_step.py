"""Inspect step: looks at the pictures of the moments that the judgement names, and writes back the observations."""

from __future__ import annotations

from contextlib import suppress

from langgraph.runtime import Runtime

from ..memory.errors import MemoryStoreError
from ..tools.toolbox import InspectArgs
from .reasoner import Judgement
from .state import AgentDependencies, AgentState
from .time_windows import TOOL_ERRORS

WRITE_ERRORS = (MemoryStoreError, OSError, RuntimeError)
"""A full disk or a read-only memory. Later questions miss what was not written, and this one is still answered."""


def inspect(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Look at the pictures of the moments that the judgement names, within the limits.

    Reads ``judgement`` and ``visited``. Writes ``visited`` and ``new``.
    """
    deps = runtime.context
    if "judgement" not in state:
        return {}
    earlier = state.get("visited", [])
    visited: list[str] = []
    new = 0
    for moment_id in Judgement.model_validate(state["judgement"]).look_at:
        if len(earlier) + len(visited) >= deps.spending.limits.looks or deps.spending.exhausted:
            break
        if moment_id not in earlier:
            visited.append(moment_id)
            new += _inspect(deps, moment_id)
    return {"visited": visited, "new": state.get("new", 0) + new}


def _inspect(deps: AgentDependencies, moment_id: str) -> bool:
    """Inspect one moment. Returns whether anything was seen."""
    observation = None
    with suppress(*TOOL_ERRORS):
        observation = deps.tools.inspect(InspectArgs(moment_id=moment_id))
    if observation is None or not observation.findings:
        return False
    moment = deps.tools.get([moment_id])[moment_id]
    with suppress(*WRITE_ERRORS):
        deps.store.write_back(moment, observation)
    deps.inspections[moment_id] = observation
    return True
