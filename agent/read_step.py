"""Read step: the reasoner turns the question into a plan of searches."""

from __future__ import annotations

from langgraph.runtime import Runtime

from .answer import Question
from .state import AgentDependencies, AgentState


def read(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Plan what to search for.

    Reads ``question`` and ``overview``, and writes ``plan``.
    """
    deps = runtime.context
    question = Question.model_validate(state["question"])
    plan = deps.reasoner.read(question, deps.moments(state["overview"]))
    return {"plan": plan.model_dump()}
