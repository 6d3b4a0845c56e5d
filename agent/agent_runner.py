"""Runs the compiled graph, without tracing by a third party unless a setting allows it.

    for update in Agent(graph, tracing=False).stream({"question": …}, config, context=deps): …

This is the only place where the graph is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from .state import AgentDependencies, AgentState
from .tracing import untraced


class Agent:
    """The compiled graph, which answers one question at a time.

    Args:
        graph: As LangGraph compiled it.
        tracing: Whether the environment may turn on LangSmith's tracing. If False, LangSmith is sent nothing.

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
        """Answer a question. Returns the state after the last step."""
        state: dict[str, Any] = {}
        for state in self.stream(question, config, context=context, stream_mode="values", **options):  # noqa: B007
            pass
        return state

    def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Return the states of an earlier question, newest first. Empty if the checkpointer has none."""
        return list(self._graph.get_state_history(config))
