"""The video LMM, behind one face: what is asked, who answers, and what it cost."""

from __future__ import annotations

from .base import Lmm, LmmUsage, Priority, Reply, Served
from .client import ServedLmm, open_lmm
from .prompt import Clip, Part, Picture, Prompt, Words, as_data
from .scripted import Asked, ScriptedLmm

__all__ = [
    "Asked",
    "Clip",
    "Lmm",
    "LmmUsage",
    "Part",
    "Picture",
    "Priority",
    "Prompt",
    "Reply",
    "ScriptedLmm",
    "Served",
    "ServedLmm",
    "Words",
    "as_data",
    "open_lmm",
]
