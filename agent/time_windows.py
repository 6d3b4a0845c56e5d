"""Time windows: the span of each stream that a plan asks about.

windows = time_windows(deps, plan)
windows["door"]    # (None, 60.0): everything before 60 s
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from pydantic import ValidationError

from ..memory.values import Span
from ..tools.toolbox import OverviewArgs, TryAgain
from .answer import Question
from .reasoner import Plan
from .state import AgentDependencies

Window = tuple[float | None, float | None]
"""From and to, in seconds of stream time. None is an open end."""
TOOL_ERRORS = (TryAgain, ValidationError)
"""A reasoner gave a tool arguments that it refuses. The call brings nothing, and the question goes on."""
ALL_TIME = Span(0.0, float("inf"))


def time_windows(deps: AgentDependencies, plan: Plan) -> dict[str, Window]:
    """The window of each stream in scope that the plan asks about."""
    if plan.last_s is None:
        return dict.fromkeys(deps.tools.streams(), (plan.from_s, plan.to_s))
    return {
        stream: (max(0.0, deps.tools.end_s(stream) - plan.last_s), None) for stream in deps.tools.streams()
    }


def spans_asked_about(deps: AgentDependencies, question: Question, plan: Plan) -> dict[str, Span]:
    """The span of each stream inside both the plan's window and the question's scope."""
    spans: dict[str, Span] = {}
    for stream, (from_s, to_s) in time_windows(deps, plan).items():
        start_s, end_s = max(0.0, from_s or 0.0), float("inf") if to_s is None else to_s
        # A window that ends before it starts restricts nothing.
        window = Span(start_s, end_s) if start_s < end_s else ALL_TIME
        span = window if question.span is None else window.clipped_to(question.span)
        if span is not None:
            spans[stream] = span
    return spans


def tile_ids(deps: AgentDependencies, windows: Mapping[str, Window]) -> list[str]:
    """The ids of the fewest memories that tile a window of each stream."""
    tiles: list[str] = []
    for stream, (from_s, to_s) in windows.items():
        with suppress(*TOOL_ERRORS):
            args = OverviewArgs(stream=stream, from_s=from_s, to_s=to_s)
            tiles += [moment.id for moment in deps.tools.overview(args)]
    return tiles
