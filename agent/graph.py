"""The agent's wiring, which reads as the diagram.

    survey -> read -> recall -> inspect -> judge -> (recall -> inspect -> judge)* -> answer

    agent = build_agent(checkpointer)
    for step in agent.stream({"question": …}, config, context=deps): …

What the steps do is in ``nodes.py``; what they think is the reasoner's.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from . import nodes
from .state import AgentDependencies, AgentState


def build_agent(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[AgentState, AgentDependencies, Any, Any]:
    """Compile the graph; with a checkpointer, each step of a question can be read back later."""
    graph = StateGraph(AgentState, context_schema=AgentDependencies)
    graph.add_node("survey", nodes.survey)
    graph.add_node("read", nodes.read)
    graph.add_node("recall", nodes.recall)
    graph.add_node("inspect", nodes.inspect)
    graph.add_node("judge", nodes.judge)
    graph.add_node("answer", nodes.answer)
    graph.add_edge(START, "survey")
    graph.add_edge("survey", "read")
    graph.add_edge("read", "recall")
    graph.add_edge("recall", "inspect")
    graph.add_edge("inspect", "judge")
    graph.add_conditional_edges("judge", nodes.enough)
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer)
