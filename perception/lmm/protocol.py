"""The ``Lmm`` protocol: send a prompt to a video LMM, and get a typed reply with its cost.

    reply = await lmm.ask(prompt, Caption, priority="caption", deadline_s=30)
    reply.value          # a Caption
    reply.usage.tokens   # its cost
    reply.written_by     # lmm:tiny/caption.1

Worker threads and the agent's nodes, which are plain functions, call ``ask_now``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from .multimodal_prompt import Prompt

T = TypeVar("T", bound=BaseModel)

Priority = Literal["question", "caption"]
"""A person waits for the answer to a question. Captions are made in the background."""


@dataclass(frozen=True, slots=True)
class LmmUsage:
    """The cost of requests. Costs are added with ``+``."""

    calls: int = 0
    """Requests sent, retries included."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the server had in its cache. 0 if it does not report them."""
    seconds: float = 0.0
    """Time until the reply, including the wait for a slot."""
    retries: int = 0
    """Requests sent again after a failure."""

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
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
    """A reply that matches its schema."""

    value: T
    usage: LmmUsage
    written_by: str
    """Model, prompt and revision, such as ``lmm:tiny/caption.1``."""


@dataclass(frozen=True, slots=True)
class ServedModelInfo:
    """What a server reports about itself."""

    model: str
    """The model that requests go to."""
    models: tuple[str, ...]
    """Every model that it serves."""
    context_tokens: int | None = None
    """The longest prompt and reply together. None if the server does not report it."""


class Lmm(Protocol):
    """A video LMM. Several threads and event loops may use it at the same time."""

    @property
    def name(self) -> str:
        """The model's id, for provenance."""

    @property
    def moments(self) -> int:
        """How many moments one request may show when it judges evidence."""

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """The cost so far, failed requests included."""

    async def ask(
        self,
        prompt: Prompt,
        reply: type[T],
        *,
        priority: Priority = "question",
        deadline_s: float | None = None,
        max_tokens: int | None = None,
    ) -> LmmReply[T]:
        """Send a prompt, and wait for the reply.

        Args:
            prompt: The request.
            reply: The schema of the reply. Bounds on the length of text are checked, but the model does not
                see them: state them in the prompt.
            priority: A waiting question goes before every waiting caption.
            deadline_s: Seconds from now for everything: the wait for a slot, retries and the reply.
            max_tokens: The longest reply. None uses the settings.

        Raises:
            LmmError: There is no reply. The class of the error gives the reason.

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
        """The same as ``ask``, for callers without an event loop."""

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Find out which model is served.

        Raises:
            LmmError: No server answers, or the settings do not determine the model.

        """

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """The same as ``describe``, for callers without an event loop."""

    def close(self) -> None:
        """Cancel the requests under way and close the connections. May be called twice."""
