"""Settings of the image–text model, which computes embeddings of pictures."""

from __future__ import annotations

from pydantic import BaseModel, field_validator


class VisionSettings(BaseModel, frozen=True, extra="forbid"):
    """The image–text model, with which search finds pictures without a description."""

    model: str | None = None
    """The folder of a SigLIP or SigLIP 2 checkpoint, or its name on the Hugging Face hub, such as
    google/siglip2-base-patch16-224. ``palette`` compares colours only, and needs no model. None: search
    uses text only."""
    device: str = "auto"
    """The torch device that it runs on: cpu, cuda, cuda:1. ``auto`` uses a GPU if one is available."""

    @field_validator("model", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value
