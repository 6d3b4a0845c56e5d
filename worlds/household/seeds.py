"""Seeds of houses by split: public ones, ones for development, and private ones that only their owner knows.

    seeds("public", 20)                        # the same for everybody
    seeds("private", 20, salt="correct horse")  # cannot be computed without the salt

The salt is stored neither in the repository nor in the houses.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["public", "dev", "private"]


def seeds(split: Split, number: int, *, salt: str = "") -> list[str]:
    """Seeds for ``furnish`` and ``twins``. A longer list begins with the shorter one.

    Raises:
        ValueError: A private split has no salt, or another split has one.

    """
    if (split == "private") != bool(salt):
        raise ValueError(
            "private seeds need a salt that only you know; pass salt=…"
            if split == "private"
            else f"{split} seeds are the same for everybody and take no salt; ask for private ones"
        )
    return [
        hashlib.sha256(f"living {split} {salt} {index}".encode()).hexdigest()[:16] for index in range(number)
    ]
