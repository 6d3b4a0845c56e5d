"""The seam behind which words and pictures become vectors, and a small understudy for words.

    store = MemoryStore.open("kitchen", write=True, encoder=HashingEncoder())

A memory made with an encoder is searched by words and by vectors at once; by its pictures too, where
the encoder takes pictures. It remembers the encoder's name and dimension and refuses another one.
Nothing here knows of models or video.
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
    """Makes vectors of texts, such that texts alike in meaning lie close together."""

    @property
    def name(self) -> str:
        """Model and revision; another name means vectors that cannot be compared."""

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One L2-normalised float32 row per text, in order; shape ``len(texts)`` × ``dim``."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """Makes vectors of pictures as well, such that a picture lies close to the words that describe it."""

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """Rows as of ``encode_texts``, one per picture; all zeros for one that cannot be read."""


class HashingEncoder:
    """Counts the character trigrams of a text in ``dim`` buckets.

    For tests and dry runs: deterministic, without downloads, and alike only for texts that
    are spelled alike ("opening" and "opened", never "car" and "vehicle").
    """

    def __init__(self, dim: int = 256) -> None:
        self._dim = dim

    @property
    def name(self) -> str:
        """Names the method and its dimension."""
        return f"trigrams/{self._dim}"

    @property
    def dim(self) -> int:
        """How many buckets there are."""
        return self._dim

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One unit vector per text; a text without letters or digits gets the first axis."""
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
    """How often each bucket has a trigram of the word; shape ``dim``."""
    counts = np.zeros(dim, dtype=np.float32)
    padded = f"^{word}$"
    for at in range(len(padded) - 2):
        digest = hashlib.blake2b(padded[at : at + 3].encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        # The sign keeps unrelated trigrams that share a bucket from always adding up.
        counts[(number >> 1) % dim] += 1.0 if number & 1 else -1.0
    return counts
