"""What a question may cost."""

from __future__ import annotations

from pydantic import BaseModel, NonNegativeInt, PositiveFloat, PositiveInt


class Budget(BaseModel, frozen=True, extra="forbid"):
    """Limits for one question. The agent keeps its best answer so far when one is reached."""

    rounds: PositiveInt = 3
    """Turns of recall, inspect and judge. Published agents gain nothing after about three."""
    looks: NonNegativeInt = 2
    """Second looks at pixels, over all rounds."""
    seconds: PositiveFloat = 30.0
    """Wall-clock time; no new round or look starts after it."""
    lmm_calls: NonNegativeInt = 6
    """Calls of a model, for reasoners that use one."""
    tokens: NonNegativeInt = 20_000
    """Tokens of those calls."""
