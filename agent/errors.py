"""Errors of the agent: a question cannot be asked, or its steps cannot be kept."""

from __future__ import annotations

from ..common.errors import QuestionError
from ..memory.errors import MemoryStoreError


class BadQuestion(QuestionError):
    """The question is empty, too long, or its options make no sense."""

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot ask that: {why}.")
        self.why = why


class QuestionCancelled(QuestionError):
    """The question was cancelled before it was answered."""

    def __init__(self) -> None:
        super().__init__("the question was cancelled before it was answered. Ask it again.")


class TracesInUse(MemoryStoreError):
    """The steps of questions that are to be forgotten cannot be rewritten now."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the steps of earlier questions could not be rewritten: {why}. What was to be forgotten is gone from "
            "the memory, and may still stand in them. Ask nothing for a moment, and run `recollect forget` again."
        )
        self.why = why
