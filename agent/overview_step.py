"""Overview step: the highest rungs of the ladder over the asked span."""

from __future__ import annotations

from langgraph.runtime import Runtime

from .answer import Question
from .state import AgentDependencies, AgentState
from .time_windows import tile_ids


def overview(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """List the fewest memories that tile the scope, as the highest rungs have them.

    Reads ``question`` and writes ``overview``.
    """
    question = Question.model_validate(state["question"])
    scope = dict.fromkeys(runtime.context.tools.streams(), (question.from_s, question.to_s))
    return {"overview": tile_ids(runtime.context, scope), "round": 0}
