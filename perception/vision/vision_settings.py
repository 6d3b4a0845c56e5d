"""Settings of the image–text model."""

from __future__ import annotations

from pydantic import BaseModel, field_validator


class VisionSettings(BaseModel, frozen=True, extra="forbid"):
    """The image–text model, by which pictures are found without having been described."""

    model: str | None = None
    """The folder of a SigLIP or SigLIP 2 checkpoint, or its name on the Hugging Face hub, such as
    google/siglip2-base-patch16-224; ``palette`` for colours alone, which needs no model. None: search
    goes by words."""
    device: str = "auto"
    """Where it runs, as torch calls it: cpu, cuda, cuda:1. ``auto`` takes a GPU if there is one."""

    @field_validator("model", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value
