"""Turns LangChain's tracing off for the agent's steps, even if the environment turns it on.

    for step in untraced(lambda: graph.stream(…)): …

LangChain sends every step of a graph to LangSmith where ``LANGSMITH_TRACING`` or a variable like it is set, which
any shell set up for LangChain does. The steps hold the question and what was seen and read in the video.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.context import tracing_v2_callback_var
from langsmith.run_helpers import tracing_context

T = TypeVar("T")


def untraced(start: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Yield what ``start()`` yields, computed where LangChain and LangSmith trace nothing.

    All of it runs in a context of its own, which LangGraph copies to the threads that run nodes. The context of
    the caller stays as it is, also between two items, so a caller that traces its own work still does.
    """
    context = contextvars.copy_context()
    context.run(_turn_tracing_off)
    items = context.run(lambda: iter(start()))
    try:
        while True:
            try:
                item = context.run(next, items)
            except StopIteration:
                return
            yield item
    finally:
        if close := getattr(items, "close", None):
            context.run(close)


def _turn_tracing_off() -> None:
    """Turn tracing off in the present context, for good."""
    tracing_context(enabled=False, parent=False).__enter__()
    # Inside a chain of the caller's, the caller's tracers would be inherited with the chain's configuration.
    var_child_runnable_config.set(None)
    # LangChain refuses to run with LANGCHAIN_TRACING set, unless a handler takes the trace: this handler drops it.
    tracing_v2_callback_var.set(BaseCallbackHandler())  # type: ignore[arg-type]
