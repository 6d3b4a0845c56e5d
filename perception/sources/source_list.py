"""Sources from the environment, a file or standard input, so that credentials need not be on a command line.

resolve_source("env:DOOR_URL")          # what the variable DOOR_URL holds
read_source_list("cameras.txt")         # [NamedSource("door", "rtsp://anna:s3cret@cam.local/1")]

A list holds one source per line: a path, a URL or ``env:NAME``. The name of its stream may precede it
(``door = rtsp://cam.local/1``). Blank lines and lines that begin with "#" are ignored.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BadSourceList, SourceVariableUnset

STANDARD_INPUT = "-"
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_NAMED = re.compile(r"([^\s=:/]+)(?:\s*=\s*|\s+)([A-Za-z][A-Za-z0-9+.\-]*://.*|env:.*)")


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source and the name of its stream. None: a name is generated."""

    name: str | None
    source: str = field(repr=False)


def resolve_source(source: str) -> str:
    """Return ``source``, or for ``env:NAME`` the value of that environment variable.

    Raises:
        SourceVariableUnset: The variable is not set, or is empty.

    """
    variable = _VARIABLE.fullmatch(source)
    if variable is None:
        return source
    value = os.environ.get(variable[1], "").strip()
    if not value:
        raise SourceVariableUnset(variable[1])
    return value


def read_source_list(path: str) -> list[NamedSource]:
    """Read the sources that a file lists, or standard input if ``path`` is "-".

    Raises:
        BadSourceList: The file is missing, is not text, or lists no source.
        SourceVariableUnset: A line names an environment variable that is not set.

    """
    list_name = "standard input" if path == STANDARD_INPUT else repr(path)
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except OSError as error:
        raise BadSourceList(list_name, error.strerror or type(error).__name__) from None
    except ValueError:
        raise BadSourceList(list_name, "it is not UTF-8 text") from None
    sources = [_parse_line(line) for line in lines if line and not line.startswith("#")]
    if not sources:
        raise BadSourceList(list_name, "it lists no source")
    return sources


def _parse_line(line: str) -> NamedSource:
    named = _NAMED.fullmatch(line)
    name, source = (named[1], named[2]) if named else (None, line)
    return NamedSource(name, resolve_source(source))
