"""The encoder protocol: texts and pictures become vectors. ``HashingEncoder`` is one for texts without a model.

>>> encoder = HashingEncoder(dim=64)
>>> encoder.name
'trigrams/64'
>>> opening, opened, train = encoder.encode_texts(["opening", "opened", "train"])
>>> bool(opening @ opened > opening @ train)
True

A memory created with an encoder is searched by words and by vectors. If the encoder takes pictures, the
memory is searched by its pictures too. The memory stores the encoder's name and dimension, and refuses
another encoder. This module knows nothing of models or video.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""One row per text or picture, each of length 1."""


@runtime_checkable
class Encoder(Protocol):
    """Makes vectors of texts. Texts with similar meanings have vectors that lie close together."""

    @property
    def name(self) -> str:
        """Model and revision. Vectors of encoders with different names cannot be compared."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One L2-normalised float32 row per text, in order. Shape: ``len(texts)`` × ``dim``."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """Makes vectors of pictures as well. A picture lies close to the words that describe it."""

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """One row per picture, as in ``encode_texts``. The row of an unreadable picture is all zeros."""


class HashingEncoder:
    """Counts the character trigrams of a text in ``dim`` buckets.

    For tests and dry runs. It is deterministic and needs no download. Vectors are similar for texts with
    similar spelling ("opening" and "opened"), not for synonyms ("car" and "vehicle").
    """

    def __init__(self, dim: int = 256) -> None:
        self._dim = dim

    @property
    def name(self) -> str:
        """The method and its dimension."""
        return f"trigrams/{self._dim}"

    @property
    def dim(self) -> int:
        """The number of buckets."""
        return self._dim

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One unit vector per text. A text without letters or digits gets the first axis."""
        vectors = np.zeros((len(texts), self._dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()):
                vectors[row] += _trigrams(word, self._dim)
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
        return unit


@lru_cache(maxsize=1 << 16)
def _trigrams(word: str, dim: int) -> Vectors:
    """The signed count of the word's trigrams in each bucket. Shape: ``dim``."""
    counts = np.zeros(dim, dtype=np.float32)
    padded = f"^{word}$"
    for start in range(len(padded) - 2):
        digest = hashlib.blake2b(padded[start : start + 3].encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        # Random signs let unrelated trigrams in the same bucket cancel out.
        counts[(number >> 1) % dim] += 1.0 if number & 1 else -1.0
    return counts
