"""Limits of a question, and its spending.

spending = Spending(Limits(seconds=10))
spending.add(reply.usage.calls, reply.usage.tokens)
if spending.may_call: …
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from ..common.errors import BadArgument
from .cancellation import Cancellation


class Limits(BaseModel, frozen=True, extra="forbid"):
    """Limits for one question. When one is reached, the agent answers with the best it has.

    Raises ``BadArgument`` if a value has a wrong type or is out of range.
    """

    rounds: PositiveInt = 3
    """Rounds of recall, inspect and judge. Published agents gain nothing after about three."""
    looks: NonNegativeInt = 2
    """Inspections of pictures, over all rounds."""
    seconds: PositiveFloat = 30.0
    """Wall-clock time. No round, inspection or call starts after it."""
    lmm_calls: NonNegativeInt = 6
    """Calls of a model, for reasoners that use one."""
    tokens: NonNegativeInt = 20_000
    """Tokens of those calls. No call starts after this many are spent."""

    if not TYPE_CHECKING:  # a type checker reads the fields

        def __init__(self, **values: object) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                name = ".".join(str(part) for part in wrong["loc"])
                if wrong["type"] == "extra_forbidden":
                    expected = f"one of the limits {', '.join(type(self).model_fields)}"
                    raise BadArgument("limits", name, expected) from None
                expected = wrong["msg"].removeprefix("Input should be ")
                raise BadArgument(name, wrong["input"], expected) from None


class Spending:
    """What one question has spent of its limits. The clock starts when the object is made."""

    def __init__(self, limits: Limits, cancellation: Cancellation | None = None) -> None:
        self.limits = limits
        self.cancellation = cancellation
        """How the question can be cancelled; None if it cannot."""
        self.calls = 0
        """Calls of a model, including failed ones."""
        self.tokens = 0
        self.pictures = 0
        """Pictures sent in those calls."""
        self._started_s = time.monotonic()

    def add(self, calls: int, tokens: int, pictures: int = 0) -> None:
        """Record calls of a model, with their tokens and the pictures that they sent."""
        self.calls += calls
        self.tokens += tokens
        self.pictures += pictures

    @property
    def seconds(self) -> float:
        """How long ago the question was asked."""
        return time.monotonic() - self._started_s

    @property
    def left_s(self) -> float:
        """How much of its time is left, never negative."""
        return max(0.0, self.limits.seconds - self.seconds)

    @property
    def may_call(self) -> bool:
        """Whether another call of a model may start."""
        return self.calls < self.limits.lmm_calls and self.tokens < self.limits.tokens and self.left_s > 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing new may start: the time is over, or a model has used up its calls or tokens."""
        return not self.left_s or (self.calls > 0 and not self.may_call)
