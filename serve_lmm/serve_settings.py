"""Settings of the server that ``recollect serve-lmm`` starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PositiveInt, field_validator

from ..common.setting_values import none_if_empty


class ServeSettings(BaseModel, frozen=True, extra="forbid"):
    """The server that ``recollect serve-lmm`` starts. If ``lmm.api_key`` is set, requests must carry it."""

    model: str | None = None
    """The model: a folder, a name that vLLM downloads, such as Qwen/Qwen3-VL-8B-Instruct, or recollect-tiny,
    an optional package (docs/tiny.md)."""
    name: str | None = None
    """The id of the served model; None takes the last part of ``model``."""
    host: str = "127.0.0.1"
    """The address to listen at. 0.0.0.0 accepts connections from other machines, so set ``lmm.api_key`` too."""
    port: int = Field(default=8000, ge=1, le=65535)
    python: Path | None = None
    """The Python that has vLLM; None is the Python of Recollect."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """The device. ``auto`` takes the CPU if there is no GPU, or if vLLM was built for the CPU."""
    context_tokens: PositiveInt = 32768
    """The longest prompt and reply together, in tokens. A model in a folder may lower it to its own limit."""
    pictures: PositiveInt = 64
    """The most pictures in a prompt. The frames of a clip are limited by ``context_tokens`` only."""
    flags: tuple[str, ...] = ()
    """Further flags for vLLM, as on its command line, such as ("--kv-cache-dtype", "fp8")."""

    @field_validator("model", "name", "python", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return none_if_empty(value)
