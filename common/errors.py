"""The root of all errors of Recollect, and the errors that every floor may raise."""

from __future__ import annotations

_LONGEST_VALUE = 60
"""Characters of a wrong value that a message repeats."""


class RecollectError(Exception):
    """The root of all errors that Recollect raises on purpose."""


class BadSettings(RecollectError):
    """A setting has a wrong name or value, or the settings file cannot be read."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot use {where}: {why}. Correct or remove it.")
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
