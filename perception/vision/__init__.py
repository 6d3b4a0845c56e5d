"""Pictures and words as vectors of one space, so that what was seen is found without having been said.

    encoder = open_encoder(read_settings().vision)     # None where no model is named
    Recollect("kitchen.lance", encoder=encoder)

``SiglipEncoder`` runs an image–text model on the extra ``vision``; ``PaletteEncoder`` knows colours
alone and needs nothing. Neither loads anything before something is encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .palette import PaletteEncoder
from .siglip import SiglipEncoder

if TYPE_CHECKING:
    from ...memory.encoder import ImageEncoder
    from .vision_settings import VisionSettings

__all__ = ["PaletteEncoder", "SiglipEncoder", "open_encoder"]

PALETTE = "palette"
"""The model name that stands for ``PaletteEncoder``."""


def open_encoder(settings: VisionSettings) -> ImageEncoder | None:
    """The encoder that the settings name, or None where they name none."""
    if settings.model is None:
        return None
    if settings.model == PALETTE:
        return PaletteEncoder()
    return SiglipEncoder(settings.model, device=settings.device)
