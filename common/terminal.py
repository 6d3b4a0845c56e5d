r"""Terminal output: escapes the control characters of untrusted text before it is printed.

    safe_text("a\x1b[31m.mp4")       # the escape character becomes four visible characters: \x1b
    print_line(f"{stream}: watched")  # one line, whatever the name holds
    print_json({"stream": stream})    # valid JSON; a parser gives back the original text

File and stream names, subtitles, text read in pictures, notes and replies of servers come from outside. A
terminal obeys the control characters in them: they move the cursor, set the title, reorder or hide text. Only
this module and ``cli.rich_output`` write to standard output and standard error. It knows nothing of what
is printed.

Visible escapes replace these characters:

- C0 and C1 control characters and DEL;
- bidirectional controls, line and paragraph separators;
- invisible characters: zero-width spaces, soft hyphens, invisible operators, fillers, tag characters. The
  flags of England, Scotland and Wales are written with tag characters, so they are escaped too;
- lone surrogates, by which Python represents the bytes of a file name that are not valid UTF-8;
- zero-width joiners and non-joiners, except between two letters, marks or symbols from U+0590 on: emoji and
  the Arabic and Indic scripts need them, and elsewhere they only make two names look the same.

Backslashes stay as they are, so an escape that is already in the text stays too.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u034f"  # soft hyphen, combining grapheme joiner
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters without a shape
    "\u180e\u200b-\u200d\ufeff"  # zero width
    "\u2028\u2029"  # line and paragraph separators
    "\u2060-\u2065\u206a-\u206f"  # word joiner, invisible operators, deprecated formatting
    "\ud800-\udfff"  # surrogates
    "\ufff0-\ufffb"  # interlinear annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical formatting
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags; what Unicode reserves for more of the kind
    "]"
)
_JOINERS = "\u200c\u200d"
_FIRST_JOINED = 0x590
"""The Hebrew block starts there; no script before it joins letters by U+200C or U+200D."""
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ASCII = {"–": "-", "—": "-", "…": "...", "×": "x", "→": "->", "’": "'", "“": '"', "”": '"', "·": "."}
"""Our own typography, for an output encoding that lacks it."""


def safe_text(text: str, *, keep: str = "") -> str:
    r"""The text with visible escapes such as ``\x1b`` and ``\u202e`` for what a terminal obeys or hides.

    Text without such characters is returned unchanged.

    Args:
        text: Any text, lone surrogates included.
        keep: Characters that stay as they are, such as a newline in text of several lines.
    """

    def replaced(match: re.Match[str]) -> str:
        character = match[0]
        if character in keep or (character in _JOINERS and _joins(text, match.start())):
            return character
        return _SHORT.get(character) or _escape(character)

    return _UNSAFE.sub(replaced, text)


def json_text(value: Any, *, encoding: str = "utf-8", indent: int | None = 2) -> str:
    r"""The value as JSON, with ``\u`` escapes for what a terminal obeys or the encoding lacks."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # Everything outside strings is ASCII, and json.dumps has escaped newlines and tabs inside them.
    escaped = _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)
    return _encodable(escaped, encoding, lambda character: json.dumps(character)[1:-1])


def print_line(line: str = "", *, file: TextIO | None = None, flush: bool = False) -> None:
    r"""Print one line; a newline inside it is printed as ``\n``.

    Args:
        line: What to print.
        file: Standard output by default.
        flush: Whether to write it out at once.
    """
    _write(safe_text(line), file, flush)


def print_block(text: str, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print text of several lines: newlines and tabs stay as they are.

    Args:
        text: What to print.
        file: Standard output by default.
        flush: Whether to write it out at once.
    """
    _write(safe_text(text, keep="\n\t"), file, flush)


def print_error(error: object) -> None:
    """Print what went wrong, or what to know, on standard error: ``recollect: …``."""
    print_block(f"recollect: {error}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a value for programs, as one JSON document on standard output."""
    print(json_text(value, encoding=_encoding(sys.stdout)))


def print_json_line(value: Any) -> None:
    """Print a value for programs, as one line of JSON on standard output, at once."""
    print(json_text(value, encoding=_encoding(sys.stdout), indent=None), flush=True)


def _write(safe: str, file: TextIO | None, flush: bool) -> None:
    stream = sys.stdout if file is None else file
    print(_encodable(safe, _encoding(stream), _in_ascii), file=stream, flush=flush)


def _joins(text: str, index: int) -> bool:
    """Whether a joiner lies between two characters that it can join."""
    pair = text[index - 1 : index] + text[index + 1 : index + 2]
    return len(pair) == 2 and all(
        ord(character) >= _FIRST_JOINED
        and unicodedata.category(character)[0] in "LMS"
        and not _UNSAFE.match(character)
        for character in pair
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_ascii(character: str) -> str:
    return _ASCII.get(character) or _escape(character)


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"


def _encodable(text: str, encoding: str, replace: Callable[[str], str]) -> str:
    """The text with a replacement for each character that the encoding lacks."""
    if _fits(text, encoding):
        return text
    return "".join(character if _fits(character, encoding) else replace(character) for character in text)


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
