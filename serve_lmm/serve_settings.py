"""Settings of the server that ``recollect serve-lmm`` starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PositiveInt, field_validator

from ..common.setting_values import none_if_empty


class ServeSettings(BaseModel, frozen=True, extra="forbid"):
    """The server that ``recollect serve-lmm`` starts. It asks for ``lmm.api_key``, where that is set."""

    model: str | None = None
    """What is served: a folder, a name that vLLM downloads, such as Qwen/Qwen3-VL-8B-Instruct, or recollect-tiny,
    an optional package (docs/tiny.md)."""
    name: str | None = None
    """The id it is served under; None takes the last part of ``model``."""
    host: str = "127.0.0.1"
    """Where it listens; 0.0.0.0 lets other machines in, so set ``lmm.api_key`` too."""
    port: int = Field(default=8000, ge=1, le=65535)
    python: Path | None = None
    """The Python that has vLLM; None is the one Recollect runs on."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """What it runs on; ``auto`` takes the CPU where there is no GPU, or vLLM was built for the CPU."""
    context_tokens: PositiveInt = 32768
    """How long a prompt and its reply may be together; a folder's model that can less gets what it can."""
    pictures: PositiveInt = 64
    """How many pictures a prompt may hold. The frames of a clip are limited by ``context_tokens`` alone."""
    flags: tuple[str, ...] = ()
    """Further flags for vLLM, as on its command line, such as ("--kv-cache-dtype", "fp8")."""

    @field_validator("model", "name", "python", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return none_if_empty(value)
