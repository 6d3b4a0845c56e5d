"""Settings of the memory: its disk budget."""

from __future__ import annotations

import sys

from pydantic import BaseModel, field_validator

from ...common.setting_values import none_if_empty
from ..errors import BadBudget
from .byte_sizes import parse_bytes


class MemorySettings(BaseModel, frozen=True, extra="forbid"):
    """The disk budget of a memory."""

    disk_budget: str | None = None
    """The disk budget of the whole memory, such as "20 GB", or "unbounded". The memory stores it until another is
    set. The default of a new memory is 20 GB."""
    min_free: str = "64 MiB"
    """Disk space that stays free, even within the budget."""

    @field_validator("disk_budget", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return none_if_empty(value)

    @field_validator("disk_budget", "min_free")
    @classmethod
    def _checked_size(cls, size: str | None) -> str | None:
        if size is not None:
            try:
                parse_bytes(size)
            except BadBudget as error:
                raise ValueError(f"it is not a size: {error.why}") from None
        return size

    @field_validator("min_free")
    @classmethod
    def _leaves_something(cls, size: str) -> str:
        if parse_bytes(size) >= sys.maxsize:
            raise ValueError("nothing could be written; only a budget can be unbounded")
        return size
