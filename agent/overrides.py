"""Agent overrides: replace how the agent reasons or which tools it has, for one ``Recollect`` object.

    flat = AgentOverrides(make_toolbox=FlatToolbox)
    Recollect("kitchen.lance", overrides=flat).ask("When did the kettle boil?")

Ablations use them: they leave one part of the agent out and keep the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..memory.query.snapshot import Snapshot
    from ..tools.toolbox import Inspector, Scope, Toolbox
    from .reasoner import Reasoner


@dataclass(frozen=True, slots=True)
class AgentOverrides:
    """Parts of the agent to replace. None keeps the usual part."""

    wrap_reasoner: Callable[[Reasoner], Reasoner] | None = None
    """Called once for each question with the usual reasoner. The agent uses the reasoner that it returns."""
    make_toolbox: Callable[[Snapshot, Scope, Inspector], Toolbox] | None = None
    """Called once for each question, with the snapshot it reads, the streams and times it may use, and the inspector
    that looks at pictures."""
