"""The root of the errors that Recollect raises on purpose, and those that belong to no floor."""

from __future__ import annotations


class RecollectError(Exception):
    """The root: whatever Recollect raises on purpose is one of these."""


class BadSettings(RecollectError):
    """A setting has a wrong name or value, or the file it should come from cannot be read."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot use {where}: {why}. Correct it, or take it out.")
        self.where, self.why = where, why


class QuestionError(RecollectError):
    """The question cannot be asked."""
