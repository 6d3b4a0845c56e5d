"""The video LMM: the ``Lmm`` protocol, prompts and replies, and the client of an OpenAI-compatible server."""

from __future__ import annotations

from .client import ServedLmm, open_lmm
from .multimodal_prompt import ClipPart, Part, PicturePart, Prompt, TextPart, as_data
from .protocol import Lmm, LmmReply, LmmUsage, Priority, ServedModelInfo

__all__ = [
    "ClipPart",
    "Lmm",
    "LmmReply",
    "LmmUsage",
    "Part",
    "PicturePart",
    "Priority",
    "Prompt",
    "ServedLmm",
    "ServedModelInfo",
    "TextPart",
    "as_data",
    "open_lmm",
]
