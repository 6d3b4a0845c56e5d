"""The agent's wiring, which reads as the diagram.

    survey -> read -> recall -> inspect -> judge -> (recall -> inspect -> judge)* -> answer

    agent = build_agent(checkpointer)
    for step in agent.stream({"question": …}, config, context=deps): …

What the steps do is in ``nodes.py``; what they think is the reasoner's. This is the only place where a graph is
run, so that none is traced unless ``tracing`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from . import nodes
from .state import AgentDependencies, AgentState
from .tracing import untraced


class Agent:
    """The compiled graph, which answers one question at a time.

    Args:
        graph: As LangGraph compiled it.
        tracing: Whether the environment decides if LangSmith is sent the steps; else none are sent.

    """

    def __init__(
        self, graph: CompiledStateGraph[AgentState, AgentDependencies, Any, Any], *, tracing: bool
    ) -> None:
        self._graph, self._tracing = graph, tracing

    def stream(
        self,
        question: Mapping[str, Any],
        config: RunnableConfig,
        *,
        context: AgentDependencies,
        **options: Any,
    ) -> Iterator[Any]:
        """Answer a question, yielding what LangGraph's ``stream`` yields with the same options."""

        def steps() -> Iterator[Any]:
            return self._graph.stream(dict(question), config, context=context, **options)

        return steps() if self._tracing else untraced(steps)

    def invoke(
        self,
        question: Mapping[str, Any],
        config: RunnableConfig,
        *,
        context: AgentDependencies,
        **options: Any,
    ) -> dict[str, Any]:
        """Answer a question; returns the state after the last step."""
        state: dict[str, Any] = {}
        for state in self.stream(question, config, context=context, stream_mode="values", **options):  # noqa: B007
            pass
        return state

    def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Return the states of an earlier question, newest first; empty where the checkpointer has none."""
        return list(self._graph.get_state_history(config))


def build_agent(checkpointer: BaseCheckpointSaver[Any] | None = None, *, tracing: bool = False) -> Agent:
    """Compile the graph.

    Args:
        checkpointer: Keeps each step of a question, so that it can be read back later.
        tracing: Allow LangSmith's tracing, where its own variables turn it on.

    """
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
    return Agent(graph.compile(checkpointer=checkpointer), tracing=tracing)
