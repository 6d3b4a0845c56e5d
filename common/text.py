"""Text normalisation: collapses whitespace to single spaces, and cuts text to a limit.

>>> collapse_whitespace("  two   words ")
'two words'
>>> shortened("a rather long line", 9)
'a rather…'
"""

from __future__ import annotations


def collapse_whitespace(text: str) -> str:
    """The text on one line: each run of whitespace is one space, and none is left at either end."""
    return " ".join(text.split())


def shortened(text: str, limit: int) -> str:
    """The text on one line of at most ``limit`` characters. A cut is marked by an ellipsis."""
    text = collapse_whitespace(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
