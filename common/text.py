"""Text normalisation: collapses whitespace to single spaces.

>>> collapse_whitespace("  two   words ")
'two words'
"""

from __future__ import annotations


def collapse_whitespace(text: str) -> str:
    """The text on one line: each run of whitespace is one space, and none is left at either end."""
    return " ".join(text.split())
