"""The root of the errors that Recollect raises on purpose, and those that belong to no floor."""

from __future__ import annotations

_LONGEST_VALUE = 60
"""Characters of a wrong value that a message repeats."""


class RecollectError(Exception):
    """The root: whatever Recollect raises on purpose is one of these."""


class BadSettings(RecollectError):
    """A setting has a wrong name or value, or the file it should come from cannot be read."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot use {where}: {why}. Correct it, or take it out.")
        self.where, self.why = where, why


class BadArgument(RecollectError, ValueError):
    """An argument of a method has a wrong type or value."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"`{name}` is {_shown(value)}, but must be {expected}.")
        self.name, self.value, self.expected = name, value, expected


class QuestionError(RecollectError):
    """The question cannot be asked."""


def _shown(value: object) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
