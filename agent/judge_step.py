"""Judge step: grades the found memories, and decides whether another round can help."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime

from .answer import Question, StopReason
from .limits import Spending
from .reasoner import ENOUGH, Judgement, Plan
from .state import AgentDependencies, AgentState


def judge(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Grade the found memories, and decide whether to stop.

    Reads ``plan``, ``overview``, ``found``, ``visited``, ``best``, ``round`` and ``new``. Writes ``judgement``,
    ``best`` and ``stop_reason``, which is empty if another round follows.
    """
    deps = runtime.context
    question, plan = Question.model_validate(state["question"]), Plan.model_validate(state["plan"])
    overview, moments = deps.moments(state["overview"]), deps.moments(state.get("found", []))
    judgement = deps.reasoner.judge(question, plan, overview, moments)
    best = _better(judgement, state)
    stop: StopReason | Literal[""] = "nothing_remembered"
    if moments or overview:
        stop = _stop_reason(state, judgement, best, deps.spending)
    return {"judgement": judgement.model_dump(), "best": best.model_dump(), "stop_reason": stop}


def next_step(state: AgentState) -> Literal["answer", "recall"]:
    """Answer if there is a reason to stop. Otherwise start another round."""
    return "answer" if state["stop_reason"] else "recall"


def _better(judgement: Judgement, state: AgentState) -> Judgement:
    """The new judgement or the best one so far."""
    if "best" not in state or judgement.overrules:
        return judgement
    best = Judgement.model_validate(state["best"])
    # Of equals the later one knows more, but an abstention should cite something.
    return judgement if _worth(judgement) >= _worth(best) else best


def _worth(judgement: Judgement) -> tuple[float, bool]:
    return judgement.sufficiency, bool(judgement.cited)


def _stop_reason(
    state: AgentState, judgement: Judgement, best: Judgement, spending: Spending
) -> StopReason | Literal[""]:
    if best.sufficiency >= ENOUGH:
        return "sufficient"
    if spending.exhausted:
        return "budget"
    if state["round"] >= spending.limits.rounds:
        return "rounds"
    return "" if _may_bring_more(state, judgement, spending) else "nothing_new"


def _may_bring_more(state: AgentState, judgement: Judgement, spending: Spending) -> bool:
    """Whether another round has something to do: to inspect, to judge, or to search further."""
    visited = state.get("visited", [])
    may_inspect = len(visited) < spending.limits.looks and not set(visited).issuperset(judgement.look_at)
    may_widen = judgement.wider and (state["round"] == 1 or bool(state.get("new")))
    return may_inspect or judgement.unread or may_widen
