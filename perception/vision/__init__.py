"""Vision encoders: pictures and texts as vectors of one space, so that search finds moments by their pictures.

    encoder = open_encoder(read_settings().vision)     # None if no model is configured
    Recollect("kitchen.lance", encoder=encoder)

``SiglipEncoder`` runs an image-text model and needs the extra ``vision``. ``PaletteEncoder`` compares only
colours and needs nothing. Both load at the first use.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..vision_settings import VisionSettings
from .palette import PaletteEncoder
from .siglip import SiglipEncoder

if TYPE_CHECKING:
    from ...memory.encoder import Encoder, ImageEncoder

__all__ = ["PaletteEncoder", "SiglipEncoder", "encoder_settings", "open_encoder"]

PALETTE = "palette"
"""The model name that selects ``PaletteEncoder``."""


def open_encoder(settings: VisionSettings) -> ImageEncoder | None:
    """The encoder of the settings, or None if they name no model."""
    if settings.model is None:
        return None
    if settings.model == PALETTE:
        return PaletteEncoder()
    return SiglipEncoder(settings.model, device=settings.device)


def encoder_settings(encoder: Encoder | None) -> VisionSettings | None:
    """The settings with which another process on this machine opens the same encoder.

    They name no model if ``encoder`` is None. The result is None for an encoder of another class, which settings
    cannot name.
    """
    if encoder is None:
        return VisionSettings()
    if type(encoder) is PaletteEncoder:
        return VisionSettings(model=PALETTE)
    if type(encoder) is SiglipEncoder:
        model = encoder.model
        if Path(model).expanduser().is_dir():
            # The other process may run in another folder. The last part of the path stays: it names the encoder.
            model = os.path.join(Path.cwd(), os.path.expanduser(model))
        return VisionSettings(model=model, device=encoder.device)
    return None
