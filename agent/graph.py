"""The agent's graph: how its steps are wired.

    overview -> read -> recall -> inspect -> judge -> (recall -> inspect -> judge)* -> answer

    agent = build_agent(checkpointer)
    for update in agent.stream({"question": …}, config, context=deps): …

``overview`` and ``read`` run once. ``recall``, ``inspect`` and ``judge`` make a round. No round, inspection or call
starts after the limits are spent, so an answer comes even if the time runs out. Each step is a function in its own
module, ``recall_step.py`` for instance. What a step thinks is up to the reasoner.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from .agent_runner import Agent
from .answer_step import answer
from .inspect_step import inspect
from .judge_step import judge, next_step
from .overview_step import overview
from .read_step import read
from .recall_step import recall
from .state import AgentDependencies, AgentState


def build_agent(checkpointer: BaseCheckpointSaver[Any] | None = None, *, tracing: bool = False) -> Agent:
    """Make an agent that answers questions.

    Args:
        checkpointer: Keeps each step of a question, so that it can be read back later.
        tracing: Allow LangSmith's tracing, where its own variables turn it on.

    """
    return Agent(_compiled_graph().copy({"checkpointer": checkpointer}), tracing=tracing)


@cache
def _compiled_graph() -> CompiledStateGraph[AgentState, AgentDependencies, Any, Any]:
    """The graph without a checkpointer. It is compiled once, because that takes about 15 ms."""
    graph = StateGraph(AgentState, context_schema=AgentDependencies)
    graph.add_node("overview", overview)
    graph.add_node("read", read)
    graph.add_node("recall", recall)
    graph.add_node("inspect", inspect)
    graph.add_node("judge", judge)
    graph.add_node("answer", answer)
    graph.add_edge(START, "overview")
    graph.add_edge("overview", "read")
    graph.add_edge("read", "recall")
    graph.add_edge("recall", "inspect")
    graph.add_edge("inspect", "judge")
    graph.add_conditional_edges("judge", next_step)
    graph.add_edge("answer", END)
    return graph.compile()
