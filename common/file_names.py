"""File names that are not UTF-8: a text form that can be stored and shown, and the way back to the file.

    storable_path(Path("/films/caf\udce9.mp4"))       # "file:///films/caf%E9.mp4"
    path_from("file:///films/caf%E9.mp4")             # Path("/films/caf\udce9.mp4")
    storable_name("caf\udce9")                        # "caf%E9"

Linux allows any bytes in names. Python represents those that are not UTF-8 by lone surrogates, which no database
stores. Names that are UTF-8 stay as they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

_SCHEME = "file://"
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def is_storable(text: str) -> bool:
    """Whether a text can be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable_path(path: Path) -> str:
    """The path as text that can be stored: a URL where the path is not UTF-8."""
    return str(path) if is_storable(str(path)) else path.as_uri()


def is_stored_path(text: str) -> bool:
    """Whether a text is the URL of a path that is not UTF-8."""
    return text.startswith(f"{_SCHEME}/")


def path_from(stored: str) -> Path:
    """The path of its stored form."""
    if not is_stored_path(stored):
        return Path(stored)
    return Path(os.fsdecode(unquote_to_bytes(stored.removeprefix(_SCHEME))))


def storable_name(name: str) -> str:
    """The name with an escape such as ``%E9`` for each byte that is not UTF-8."""
    return _ESCAPED_BYTE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", name)
