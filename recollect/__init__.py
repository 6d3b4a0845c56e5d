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

from .client import Recollect
from .common.errors import RecollectError
from .memory.values import (
    BacklogCounts,
    Coverage,
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Pin,
    Span,
    Stream,
    Tombstone,
)
from .stream_activity import StreamActivity
from .stream_status import StreamStatus

if TYPE_CHECKING:
    from .agent.answer import (
        Answer,
        Evidence,
        ForgottenSeen,
        GapSeen,
        Question,
        QuestionUsage,
        ReducedSeen,
        StreamCoverage,
    )
    from .agent.limits import Limits
    from .agent.overrides import AgentOverrides
    from .agent.reasoner import Reasoner
    from .agent.traces import TraceStep
    from .memory.encoder import Encoder, ImageEncoder
    from .memory.keeping.disk_usage import DiskUsage
    from .memory.keeping.erasure import ErasureReceipt
    from .memory.keeping.memory_check import CheckReport, FoundDamage
    from .memory.keeping.reindexing import ReindexReport
    from .memory.query.snapshot import Hit
    from .perception.describing.captioner import CaptionReport
    from .perception.lmm.lmm_settings import LmmSettings
    from .perception.lmm.protocol import Lmm
    from .perception.sources.source import Source
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
        RateChanged,
        Stalled,
        WatchEvent,
        WatchReport,
    )
    from .perception.watch_handle import Watch, WatchStatus
    from .perception.watch_options import WatchOptions
    from .serialization import to_plain

__version__ = "0.1.0"

__all__ = [
    "AgentOverrides",
    "Answer",
    "BacklogCounts",
    "CaptionReport",
    "CheckReport",
    "Connected",
    "Connecting",
    "Coverage",
    "Described",
    "DescriptionsFailed",
    "DescriptionsResumed",
    "DescriptionsWaiting",
    "Disconnected",
    "DiskUsage",
    "Encoder",
    "ErasureReceipt",
    "Evidence",
    "Failed",
    "Finding",
    "Finished",
    "ForgottenSeen",
    "FoundDamage",
    "FrameCounts",
    "Gap",
    "GapSeen",
    "Hit",
    "ImageEncoder",
    "KeyFrame",
    "Limits",
    "Lmm",
    "LmmSettings",
    "Moment",
    "Observation",
    "ObserverDisabled",
    "Pin",
    "Progress",
    "Question",
    "QuestionUsage",
    "RateChanged",
    "Reasoner",
    "Recollect",
    "RecollectError",
    "ReducedSeen",
    "ReindexReport",
    "Source",
    "Span",
    "Stalled",
    "Stream",
    "StreamActivity",
    "StreamCoverage",
    "StreamStatus",
    "Tombstone",
    "TraceStep",
    "Watch",
    "WatchEvent",
    "WatchOptions",
    "WatchReport",
    "WatchStatus",
    "to_plain",
]

_LATER = {
    "LmmSettings": "perception.lmm.lmm_settings",
    "Lmm": "perception.lmm.protocol",
    "Reasoner": "agent.reasoner",
    "AgentOverrides": "agent.overrides",
    "Answer": "agent.answer",
    "Evidence": "agent.answer",
    "ForgottenSeen": "agent.answer",
    "GapSeen": "agent.answer",
    "Question": "agent.answer",
    "QuestionUsage": "agent.answer",
    "ReducedSeen": "agent.answer",
    "StreamCoverage": "agent.answer",
    "Limits": "agent.limits",
    "TraceStep": "agent.traces",
    "Encoder": "memory.encoder",
    "ImageEncoder": "memory.encoder",
    "CheckReport": "memory.keeping.memory_check",
    "FoundDamage": "memory.keeping.memory_check",
    "DiskUsage": "memory.keeping.disk_usage",
    "ErasureReceipt": "memory.keeping.erasure",
    "ReindexReport": "memory.keeping.reindexing",
    "Hit": "memory.query.snapshot",
    "CaptionReport": "perception.describing.captioner",
    "Source": "perception.sources.source",
    "Connected": "perception.watch_events",
    "Connecting": "perception.watch_events",
    "Described": "perception.watch_events",
    "DescriptionsFailed": "perception.watch_events",
    "DescriptionsResumed": "perception.watch_events",
    "DescriptionsWaiting": "perception.watch_events",
    "Disconnected": "perception.watch_events",
    "Failed": "perception.watch_events",
    "Finished": "perception.watch_events",
    "ObserverDisabled": "perception.watch_events",
    "Progress": "perception.watch_events",
    "RateChanged": "perception.watch_events",
    "Stalled": "perception.watch_events",
    "WatchEvent": "perception.watch_events",
    "WatchReport": "perception.watch_events",
    "Watch": "perception.watch_handle",
    "WatchStatus": "perception.watch_handle",
    "WatchOptions": "perception.watch_options",
    "to_plain": "serialization",
}
"""Public names whose modules are loaded when they are first used, and where they live."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
