"""The agent's steps are traced by nobody, and a caller's own tracing stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_callback_var
from langgraph.graph import END, START, StateGraph
from langsmith.run_helpers import get_tracing_context
from langsmith.utils import tracing_is_enabled
from typing_extensions import TypedDict

from recollect.agent.tracing import untraced


class CallRecorder(BaseCallbackHandler):
    """Notes the name of every chain that starts."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def on_chain_start(self, *_: Any, **details: Any) -> None:
        self.started.append(details.get("name", ""))


class State(TypedDict):
    enabled: list[bool | str]


@pytest.fixture
def recorder() -> Iterator[CallRecorder]:
    """Takes part in every run of LangChain, as LangSmith's tracer does where it is on."""
    recorder = CallRecorder()
    token = tracing_v2_callback_var.set(recorder)
    yield recorder
    tracing_v2_callback_var.reset(token)


def steps() -> Iterator[dict[str, Any]]:
    """Run a graph of two nodes in LangGraph's threads; each notes whether LangSmith is on."""
    graph = StateGraph(State)
    graph.add_node("first", lambda _: {"enabled": [tracing_is_enabled()]})
    graph.add_node("second", lambda state: {"enabled": [*state["enabled"], tracing_is_enabled()]})
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    return graph.compile().stream({"enabled": []}, stream_mode="values")


def test_a_graph_is_traced_by_default(recorder) -> None:
    list(steps())

    assert {"LangGraph", "first", "second"} <= set(recorder.started)


def test_no_node_is_traced_in_any_thread(recorder) -> None:
    *_, last = untraced(steps)

    assert recorder.started == []
    assert last["enabled"] == [False, False]


def test_a_chain_around_the_question_does_not_trace_its_steps() -> None:
    recorder = CallRecorder()

    RunnableLambda(lambda _: list(untraced(steps)), name="outer").invoke(None, {"callbacks": [recorder]})

    assert recorder.started == ["outer"]


def test_between_two_steps_the_callers_tracing_is_on(recorder) -> None:
    before = get_tracing_context()

    for _ in untraced(steps):
        assert tracing_v2_callback_var.get() is recorder
        assert get_tracing_context() == before


def test_steps_that_are_not_read_to_the_end_are_closed(recorder) -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            yield from iter(int, 1)
        finally:
            closed.append(True)

    items = untraced(endless)
    next(items)
    items.close()

    assert closed == [True]


def test_variables_that_langchain_refuses_are_no_error(monkeypatch) -> None:
    monkeypatch.setenv("LANGCHAIN_TRACING", "1")

    assert list(untraced(steps))
