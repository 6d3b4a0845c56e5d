"""The video LMM, behind one face: what is asked, who answers, and what it cost."""

from __future__ import annotations

from ...testing.scripted_lmm import ScriptedCall, ScriptedLmm
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
    "ScriptedCall",
    "ScriptedLmm",
    "ServedLmm",
    "ServedModelInfo",
    "TextPart",
    "as_data",
    "open_lmm",
]
