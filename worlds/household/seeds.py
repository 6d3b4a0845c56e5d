"""Which houses are for what: seeds that all may see, seeds to tune on, and seeds that only their owner knows.

    seeds("public", 20)                        # the same for everybody
    seeds("private", 20, salt="correct horse")  # nobody's who has not the salt; it is kept nowhere

The salt is not in the repository and not in what is drawn with it.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["public", "dev", "private"]


def seeds(split: Split, number: int, *, salt: str = "") -> list[str]:
    """Seeds for ``furnish`` and ``twins``; more of a split begin as fewer do.

    Raises ``ValueError`` where a private split has no salt, or another has one.
    """
    if (split == "private") != bool(salt):
        raise ValueError(
            "private seeds need a salt that only you know; pass salt=…"
            if split == "private"
            else f"{split} seeds are the same for everybody and take no salt; ask for private ones"
        )
    return [
        hashlib.sha256(f"living {split} {salt} {each}".encode()).hexdigest()[:16] for each in range(number)
    ]
