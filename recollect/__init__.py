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

from .client import Recollect, StreamStatus
from .common.errors import RecollectError
from .memory.values import Gap, KeyFrame, Moment, Span

if TYPE_CHECKING:
    from .agent.answer import Answer, Evidence
    from .agent.limits import Limits
    from .perception.describing.captioner import CaptionReport
    from .perception.watch_events import (
        Connected,
        Connecting,
        Described,
        DescriptionsFailed,
        DescriptionsResumed,
        DescriptionsWaiting,
        Disconnected,
        Failed,
        Finished,
        ObserverDisabled,
        Progress,
        Stalled,
        WatchEvent,
        WatchReport,
    )
    from .perception.watch_handle import Watch, WatchStatus
    from .perception.watch_options import WatchOptions

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "CaptionReport",
    "Connected",
    "Connecting",
    "Described",
    "DescriptionsFailed",
    "DescriptionsResumed",
    "DescriptionsWaiting",
    "Disconnected",
    "Evidence",
    "Failed",
    "Finished",
    "Gap",
    "KeyFrame",
    "Limits",
    "Moment",
    "ObserverDisabled",
    "Progress",
    "Recollect",
    "RecollectError",
    "Span",
    "Stalled",
    "StreamStatus",
    "Watch",
    "WatchEvent",
    "WatchOptions",
    "WatchReport",
    "WatchStatus",
]

_LATER = {
    "Answer": "agent.answer",
    "Evidence": "agent.answer",
    "Limits": "agent.limits",
    "CaptionReport": "perception.describing.captioner",
    "Connected": "perception.watch_events",
    "Connecting": "perception.watch_events",
    "Described": "perception.watch_events",
    "DescriptionsFailed": "perception.watch_events",
    "DescriptionsResumed": "perception.watch_events",
    "DescriptionsWaiting": "perception.watch_events",
    "ObserverDisabled": "perception.watch_events",
    "Disconnected": "perception.watch_events",
    "Failed": "perception.watch_events",
    "Finished": "perception.watch_events",
    "Progress": "perception.watch_events",
    "Stalled": "perception.watch_events",
    "WatchEvent": "perception.watch_events",
    "WatchReport": "perception.watch_events",
    "Watch": "perception.watch_handle",
    "WatchStatus": "perception.watch_handle",
    "WatchOptions": "perception.watch_options",
}
"""Public names whose modules are loaded when they are first used, and where they live."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
