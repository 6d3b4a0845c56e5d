"""Recollect watches video, remembers it, and answers questions about it with evidence.

    from recollect import Recollect

    with Recollect("kitchen.lance") as memory:
        memory.watch("kitchen.mp4")
        answer = memory.ask("When did the kettle boil?")
    print(answer.text, answer.evidence[0].span)

Importing this opens nothing, prints nothing and loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import RecollectError
from .memory.values import Gap, KeyFrame, Moment, Span
from .sdk import Recollect, StreamStatus

if TYPE_CHECKING:
    from .agent.answer import Answer, Evidence
    from .agent.budget import Budget
    from .perception.captioner import CaptionReport
    from .perception.worker import Progress, WatchReport

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Budget",
    "CaptionReport",
    "Evidence",
    "Gap",
    "KeyFrame",
    "Moment",
    "Progress",
    "Recollect",
    "RecollectError",
    "Span",
    "StreamStatus",
    "WatchReport",
]

_LATER = {
    "Answer": "agent.answer",
    "Evidence": "agent.answer",
    "Budget": "agent.budget",
    "CaptionReport": "perception.captioner",
    "Progress": "perception.worker",
    "WatchReport": "perception.worker",
}
"""Public names whose modules load something heavy, and where they live."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
