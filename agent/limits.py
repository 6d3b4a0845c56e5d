"""What a question may cost, and what it has cost so far.

spending = Spending(Limits(seconds=10))
spending.add(reply.usage.calls, reply.usage.tokens)
if spending.may_call: …
"""

from __future__ import annotations

import time

from pydantic import BaseModel, NonNegativeInt, PositiveFloat, PositiveInt


class Limits(BaseModel, frozen=True, extra="forbid"):
    """Limits for one question. The agent keeps its best answer so far when one is reached."""

    rounds: PositiveInt = 3
    """Turns of recall, inspect and judge. Published agents gain nothing after about three."""
    looks: NonNegativeInt = 2
    """Second looks at pixels, over all rounds."""
    seconds: PositiveFloat = 30.0
    """Wall-clock time; no new round, look or call starts after it."""
    lmm_calls: NonNegativeInt = 6
    """Calls of a model, for reasoners that use one."""
    tokens: NonNegativeInt = 20_000
    """Tokens of those calls: none starts once so many are spent."""


class Spending:
    """What one question has cost, against its budget. The clock starts when it is made."""

    def __init__(self, budget: Limits) -> None:
        self.budget = budget
        self.calls = 0
        """Calls of a model, those in vain among them."""
        self.tokens = 0
        self.pictures = 0
        """Shown in those calls."""
        self._started_s = time.monotonic()

    def add(self, calls: int, tokens: int, pictures: int = 0) -> None:
        """Some calls were made, and so many pictures shown in them."""
        self.calls += calls
        self.tokens += tokens
        self.pictures += pictures

    @property
    def seconds(self) -> float:
        """How long ago the question was asked."""
        return time.monotonic() - self._started_s

    @property
    def left_s(self) -> float:
        """How much of its time is left; 0 or more."""
        return max(0.0, self.budget.seconds - self.seconds)

    @property
    def may_call(self) -> bool:
        """Whether another call of a model may start."""
        return self.calls < self.budget.lmm_calls and self.tokens < self.budget.tokens and self.left_s > 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing new may start: the time is up, or the calls that a model was given are used."""
        return not self.left_s or (self.calls > 0 and not self.may_call)
