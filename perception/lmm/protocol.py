"""The seam to a video LMM: ask it something, get a typed reply and its cost.

    reply = await lmm.ask(prompt, Caption, priority="caption", deadline_s=30)
    reply.value          # a Caption
    reply.usage.tokens   # what it cost
    reply.written_by     # lmm:tiny/caption.1

Worker threads and the agent's nodes, which are plain functions, say ``ask_now``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from .multimodal_prompt import Prompt

T = TypeVar("T", bound=BaseModel)

Priority = Literal["question", "caption"]
"""Somebody waits for a question; nobody waits for a caption."""


@dataclass(frozen=True, slots=True)
class LmmUsage:
    """What some requests cost. Sums with ``+``."""

    calls: int = 0
    """Requests sent, repeated ones among them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Those of ``prompt_tokens`` the server had in its cache; 0 where it does not tell."""
    seconds: float = 0.0
    """From asking to the reply, waiting for a turn included."""
    retries: int = 0
    """Requests sent again because the one before failed."""

    @property
    def tokens(self) -> int:
        """Those of prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: LmmUsage) -> LmmUsage:
        return LmmUsage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.seconds + other.seconds,
            self.retries + other.retries,
        )


@dataclass(frozen=True, slots=True)
class LmmReply(Generic[T]):
    """A reply that keeps to its schema."""

    value: T
    usage: LmmUsage
    written_by: str
    """Model, prompt and revision, such as ``lmm:tiny/caption.1``."""


@dataclass(frozen=True, slots=True)
class ServedModelInfo:
    """What a server says of itself."""

    model: str
    """The model that is asked."""
    models: tuple[str, ...]
    """Every model there."""
    context_tokens: int | None = None
    """How long prompt and reply may be together; None where the server does not tell."""


class Lmm(Protocol):
    """A video LMM that can be asked. May be used from several threads and event loops at a time."""

    @property
    def name(self) -> str:
        """The model's id, for provenance."""

    @property
    def moments(self) -> int:
        """How many moments it is shown at a time when it judges."""

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """What it has cost so far, failures included."""

    async def ask(
        self,
        prompt: Prompt,
        reply: type[T],
        *,
        priority: Priority = "question",
        deadline_s: float | None = None,
        max_tokens: int | None = None,
    ) -> LmmReply[T]:
        """Ask, and wait for the reply.

        Args:
            prompt: What to ask.
            reply: What the reply must be. Bounds on the length of text in it are checked, but the
                model is not told of them: say them in the prompt.
            priority: A waiting question goes before every waiting caption.
            deadline_s: Seconds from now for everything: waiting for a turn, repeating, the reply.
            max_tokens: The reply is not longer; None leaves it to the settings.

        Raises:
            LmmError: there is no reply, and the error's class says why not.

        """

    def ask_now(
        self,
        prompt: Prompt,
        reply: type[T],
        *,
        priority: Priority = "question",
        deadline_s: float | None = None,
        max_tokens: int | None = None,
    ) -> LmmReply[T]:
        """Do as ``ask`` does, for callers without an event loop."""

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Find out which model answers.

        Raises:
            LmmError: nobody answers, or it is not clear which model to ask.

        """

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Do as ``describe`` does, for callers without an event loop."""

    def close(self) -> None:
        """Give up what is under way and let go of connections. May be called twice."""
