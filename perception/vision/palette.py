"""Palette encoder: a stand-in for an image-text model that compares only colours and colour names.

    encoder = PaletteEncoder()
    encoder.encode_texts(["a red door"]) @ encoder.encode_images([jpeg_of_a_red_door]).T   # near 1

It is deterministic and has no weights. Use it for tests, and to try search by pictures before a model is
installed. It does not recognise objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np

from ...memory.encoder import HashingEncoder, Vectors
from ..observers.colours import COLOURS, colour_counts

_SPELLING = 240
_SPELLING_WEIGHT = 0.3
"""The weight of spelling compared with colour."""
_SIDE = 64
"""Pictures are scaled to this width and height, in pixels."""


class PaletteEncoder:
    """Encodes pictures by their colours, and texts by the colours they name and by their spelling.

    A text that names no colour is similar to texts with similar spelling, and to no picture.
    """

    name = "palette/1"
    dim = 256
    """13 colours, 3 unused numbers, and the rest for spelling. The index needs a multiple of 8."""

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One unit vector per text."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        vectors[:, -_SPELLING:] = _SPELLING_WEIGHT * HashingEncoder(_SPELLING).encode_texts(texts)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()):
                colour = "grey" if word == "gray" else word
                if colour in COLOURS:
                    vectors[row, COLOURS.index(colour)] += 1.0
        return _unit(vectors)

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """One unit vector per picture, or zeros for a picture that cannot be read."""
        vectors = np.zeros((len(jpegs), self.dim), np.float32)
        for row, jpeg in enumerate(jpegs):
            picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
            if picture is not None:
                small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
                vectors[row, : len(COLOURS)] = colour_counts(np.asarray(small, np.uint8))
        return _unit(vectors)


def _unit(vectors: Vectors) -> Vectors:
    """The rows scaled to length 1. Rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
