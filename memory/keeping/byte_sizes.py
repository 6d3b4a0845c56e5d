"""Sizes as people write them: ``20 GB``, ``1.5 GiB``."""

from __future__ import annotations

import re
import sys

from pydantic import ByteSize, TypeAdapter, ValidationError

from ..errors import BadBudget

_SIZE = re.compile(r"\d*\.?\d+\s*[a-z]*", re.ASCII | re.IGNORECASE)


def parse_bytes(size: str | int) -> int:
    """A number of bytes from ``20 GB``, ``1.5 GiB``, ``800MB`` or a number; ``unbounded`` is no bound at all.

    Raises:
        BadBudget: It is none of these.
    """
    if isinstance(size, str) and size.strip().lower() == "unbounded":
        return sys.maxsize
    # Pydantic alone takes "1,5 GB" for 1, and passes over the rest.
    whole = not isinstance(size, str) or _SIZE.fullmatch(size.strip())
    try:
        found = TypeAdapter(ByteSize).validate_python(size if whole else "")
    except ValidationError:
        raise BadBudget(repr(size), "it is not a number of bytes") from None
    if found < 0:
        raise BadBudget(repr(size), "it is less than nothing")
    return int(found)
