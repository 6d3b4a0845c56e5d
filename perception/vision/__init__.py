"""Vision encoders: pictures and texts as vectors of one space, so that search finds moments by their pictures.

    encoder = open_encoder(read_settings().vision)     # None if no model is configured
    Recollect("kitchen.lance", encoder=encoder)

``SiglipEncoder`` runs an image-text model and needs the extra ``vision``. ``PaletteEncoder`` compares only
colours and needs nothing. Both load at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .palette import PaletteEncoder
from .siglip import SiglipEncoder

if TYPE_CHECKING:
    from ...memory.encoder import ImageEncoder
    from ..vision_settings import VisionSettings

__all__ = ["PaletteEncoder", "SiglipEncoder", "open_encoder"]

PALETTE = "palette"
"""The model name that selects ``PaletteEncoder``."""


def open_encoder(settings: VisionSettings) -> ImageEncoder | None:
    """The encoder of the settings, or None if they name no model."""
    if settings.model is None:
        return None
    if settings.model == PALETTE:
        return PaletteEncoder()
    return SiglipEncoder(settings.model, device=settings.device)
