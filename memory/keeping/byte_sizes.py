"""Byte sizes: parses disk budgets such as ``20 GB`` or ``1.5 GiB``."""

from __future__ import annotations

import re
import sys

from pydantic import ByteSize, TypeAdapter, ValidationError

from ..errors import BadBudget

_SIZE = re.compile(r"\d*\.?\d+\s*[a-z]*", re.ASCII | re.IGNORECASE)


def parse_bytes(size: str | int) -> int:
    """The bytes of a size such as ``20 GB``, ``1.5 GiB``, ``800MB`` or 20000000. ``unbounded`` is ``sys.maxsize``.

    Raises:
        BadBudget: The size cannot be read, or is negative.
    """
    if isinstance(size, str) and size.strip().lower() == "unbounded":
        return sys.maxsize
    # Pydantic reads "1,5 GB" as 1 and ignores the rest.
    is_complete = not isinstance(size, str) or _SIZE.fullmatch(size.strip())
    try:
        size_bytes = TypeAdapter(ByteSize).validate_python(size if is_complete else "")
    except ValidationError:
        raise BadBudget(repr(size), "it is not a number of bytes") from None
    if size_bytes < 0:
        raise BadBudget(repr(size), "it is negative")
    return int(size_bytes)
