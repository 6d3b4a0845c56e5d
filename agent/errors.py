"""Errors of the agent: a question is invalid, or traces cannot be rewritten."""

from __future__ import annotations

from ..common.errors import QuestionError
from ..memory.errors import MemoryStoreError


class BadQuestion(QuestionError):
    """The question is empty or too long, or its options or times are invalid."""

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot ask that: {why}.")
        self.why = why


class QuestionCancelled(QuestionError):
    """The question was cancelled before it was answered."""

    def __init__(self) -> None:
        super().__init__("the question was cancelled before it was answered. Ask it again.")


class TracesInUse(MemoryStoreError):
    """The traces of earlier questions cannot be erased now, because another process uses them."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the traces of earlier questions could not be erased: {why}. What was forgotten is gone from the "
            "memory, but these traces may still contain it. Let running questions finish, then run "
            "`recollect forget` again."
        )
        self.why = why
