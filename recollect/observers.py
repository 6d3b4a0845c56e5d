"""What a package needs to add an observer to Recollect; see docs/extending.md.

    from recollect.observers import Finding, FindingKind, Frame, PictureNeeds, QuestionCue, SourceInfo, Span

Importing this loads nothing heavy, so that questions about the new finding kinds start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .common.finding_kinds import FindingField, FindingKind, QuestionCue
from .common.kind_registry import declared_kinds, register_kinds
from .memory.values import Box, Finding, Span
from .perception.observers.observer import (
    AudioChunk,
    AudioNeeds,
    AudioObserver,
    BatchObserver,
    Observer,
    ObserverFactory,
    PictureNeeds,
)

if TYPE_CHECKING:
    from .perception.sources.frame import Frame
    from .perception.sources.source import SourceInfo

__all__ = [
    "AudioChunk",
    "AudioNeeds",
    "AudioObserver",
    "BatchObserver",
    "Box",
    "Finding",
    "FindingField",
    "FindingKind",
    "Frame",
    "Observer",
    "ObserverFactory",
    "PictureNeeds",
    "QuestionCue",
    "SourceInfo",
    "Span",
    "declared_kinds",
    "register_kinds",
]

_LATER = {"Frame": "frame", "SourceInfo": "source"}
"""Names whose modules load numpy, OpenCV or PyAV. They are needed at run time only where they are called."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f".perception.sources.{_LATER[name]}", __package__), name)
