"""The client of a server that speaks OpenAI's chat API, such as vLLM.

    with ServedLmm(LmmSettings(url="http://127.0.0.1:8000/v1")) as lmm:
        reply = lmm.ask_now(prompt, Caption, deadline_s=30)

All requests run on one event loop in a thread of the client's own, so one limit and one queue hold for
every thread and loop that asks. Nothing is loaded or sent before the first request.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from ...common.backoff import Backoff
from ..errors import (
    LmmError,
    LmmNotServed,
    LmmOverloaded,
    LmmRefused,
    LmmReplyOutOfSchema,
    LmmTimedOut,
    LmmUnreachable,
)
from .background_loop import BackgroundLoop
from .chat_format import read_completion, read_reply, request_body
from .connection import Connection, ServedModel
from .multimodal_prompt import Prompt
from .protocol import LmmReply, LmmUsage, Priority, ServedModelInfo, T
from .request_slots import RequestSlots

if TYPE_CHECKING:
    from .lmm_settings import LmmSettings

_BACKOFF = Backoff(first_s=0.5, longest_s=8.0)
"""The pauses before a request is sent again."""
_SERVER_PRIORITY: Mapping[Priority, int] = {"question": 0, "caption": 1}
"""vLLM serves lower numbers first."""


def open_lmm(settings: LmmSettings) -> ServedLmm | None:
    """Make the client the settings describe; None where they name no server."""
    return ServedLmm(settings) if settings.url else None


class ServedLmm:
    """A video LMM behind an OpenAI-compatible server. ``Lmm`` says what its methods do.

    A request that failed is sent again where that can help: the connection failed, the server answered
    408, 429, 500, 502, 503 or 504, or ``timeout_s`` passed. Before that it waits a random part of a pause
    that doubles, or as long as the server asked, if that is no longer than ``timeout_s``; if the deadline
    comes first, it fails at once. A reply out of schema is asked for once more unless the sampling is
    greedy (``temperature`` 0), which would bring the same again.

    Args:
        settings: ``url`` must be set.

    """

    def __init__(self, settings: LmmSettings) -> None:
        if settings.url is None:
            raise ValueError("settings.url is not set; open_lmm returns None for such settings")
        self._settings = settings
        self._connection = Connection(
            settings.url, settings.api_key, environment_proxy=settings.environment_proxy
        )
        self._where = self._connection.where
        self._slots = RequestSlots(settings.concurrency)
        self._usage: dict[Priority, LmmUsage] = {"question": LmmUsage(), "caption": LmmUsage()}
        self._found: str | None = None
        self._loop = BackgroundLoop(
            "lmm", closed=lambda: LmmUnreachable(self._where, "the client was closed meanwhile")
        )

    @property
    def name(self) -> str:
        """The model's id; where the settings leave it open, it blocks to ask the server the first time.

        Raises:
            LmmError: the server had to be asked, and ``describe_now`` failed.

        """
        return self._settings.model or self._found or self.describe_now().model

    @property
    def moments(self) -> int:
        """How many moments it is shown at a time when it judges."""
        return self._settings.moments

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """What it has cost so far, failures included."""
        return dict(self._usage)

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

        Raises:
            LmmUnreachable: nothing answers, or the connection broke.
            LmmOverloaded: the server answers that it cannot now.
            LmmTimedOut: the deadline or ``timeout_s`` passed.
            LmmRedirected: the server names another address.
            LmmRefused: the server does not take the request, or the key.
            LmmNotServed: the model is not there.
            LmmReplyOutOfSchema: the reply is something else, or was cut off.

        """
        body = self._body(prompt, reply, priority, max_tokens)
        return await self._loop.wait_async(self._ask(prompt, body, reply, priority, deadline_s))

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
        body = self._body(prompt, reply, priority, max_tokens)
        return self._loop.wait(self._ask(prompt, body, reply, priority, deadline_s))

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Find out which model answers; tried once.

        Raises:
            LmmError: nobody answers in time, or it is not clear which model to ask.

        """
        return await self._loop.wait_async(self._describe(deadline_s))

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Do as ``describe`` does, for callers without an event loop."""
        return self._loop.wait(self._describe(deadline_s))

    def close(self) -> None:
        """Give up what is under way and let go of connections. May be called twice."""
        self._loop.close(self._connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _body(
        self, prompt: Prompt, reply: type[T], priority: Priority, max_tokens: int | None
    ) -> dict[str, Any]:
        """The request without its model, made in the caller's thread because pictures take time to encode."""
        body = request_body(prompt, reply, as_clip=self._settings.video == "clip")
        body |= {
            "temperature": self._settings.temperature,
            "max_tokens": max_tokens or self._settings.max_tokens,
        }
        if self._settings.server_priorities:
            body["extra_body"] = {**body.get("extra_body", {}), "priority": _SERVER_PRIORITY[priority]}
        return body

    # -- on the client's own loop ---------------------------------------------------------------------

    async def _ask(
        self,
        prompt: Prompt,
        body: dict[str, Any],
        reply: type[T],
        priority: Priority,
        deadline_s: float | None,
    ) -> LmmReply[T]:
        clock = asyncio.get_running_loop().time
        began = clock()
        deadline = math.inf if deadline_s is None else began + deadline_s
        spent = _Spent()
        try:
            value, model = await self._persistently(body, reply, priority, deadline, spent)
        except LmmError as error:
            error.calls, error.tokens = spent.usage.calls, spent.usage.tokens
            raise
        finally:
            spent.usage += LmmUsage(seconds=clock() - began)
            self._usage[priority] += spent.usage
        return LmmReply(value, spent.usage, prompt.written_by(model))

    async def _persistently(
        self, body: dict[str, Any], reply: type[T], priority: Priority, deadline: float, spent: _Spent
    ) -> tuple[T, str]:
        """Try until there is a reply, or trying again would not help or not be in time."""
        while True:
            try:
                return await self._in_turn(body, reply, priority, deadline, spent)
            except LmmError as error:
                pause_s = self._pause_s(error, spent.usage.retries)
                if pause_s is None or asyncio.get_running_loop().time() + pause_s >= deadline:
                    raise
            await asyncio.sleep(pause_s)
            spent.usage += LmmUsage(retries=1)

    def _pause_s(self, error: LmmError, retries: int) -> float | None:
        """How long to wait before trying again; None where that cannot help."""
        if retries >= self._settings.max_retries:
            return None
        jitter_s = _BACKOFF.pause_s(retries + 1)
        match error:
            case LmmOverloaded(retry_after_s=float() as asked_s):
                return asked_s + jitter_s if asked_s <= self._settings.timeout_s else None
            case LmmUnreachable() | LmmOverloaded() | LmmTimedOut():
                return jitter_s
            case LmmReplyOutOfSchema() if self._settings.temperature > 0 and retries == 0:
                return 0.0
            case LmmNotServed() if self._settings.model is None and retries == 0:
                return 0.0  # it was served before, so the server has changed its model: look again
            case _:
                return None

    async def _in_turn(
        self, body: dict[str, Any], reply: type[T], priority: Priority, deadline: float, spent: _Spent
    ) -> tuple[T, str]:
        """Wait for a turn, then send one request; both within the deadline."""
        clock = asyncio.get_running_loop().time
        since, doing = clock(), "waiting for a turn"
        turn_by = deadline if math.isfinite(deadline) else None  # not every event loop has a timer for inf
        try:
            async with asyncio.timeout_at(turn_by) as limit, self._slots.one(priority):
                since, doing = clock(), "waiting for the reply"
                limit.reschedule(min(deadline, since + self._settings.timeout_s))
                return await self._once(body, reply, spent)
        except TimeoutError:
            raise LmmTimedOut(self._where, clock() - since, doing) from None

    async def _once(self, body: dict[str, Any], reply: type[T], spent: _Spent) -> tuple[T, str]:
        model = self._settings.model or self._found or (await self._look()).model
        spent.usage += LmmUsage(calls=1)
        try:
            answer = await self._connection.complete({**body, "model": model})
        except LmmRefused as error:
            if error.status == 404:
                await self._refuse_if_not_served(model)
            raise
        completion = read_completion(answer, model=model)
        cost = completion.usage
        spent.usage += LmmUsage(0, cost.prompt_tokens, cost.completion_tokens, cost.cached_tokens)
        if completion.cut:
            at = cost.completion_tokens or body["max_tokens"]
            raise LmmReplyOutOfSchema(model, "it was cut off", cut_at_tokens=at)
        return read_reply(completion.text, reply, model=model), model

    async def _refuse_if_not_served(self, model: str) -> None:
        """Tell a wrong model from a wrong address: both are answered with 404."""
        self._found = None
        served: tuple[ServedModel, ...] = ()
        with suppress(LmmError):
            served = await self._connection.models()
        if served and model not in {one.id for one in served}:
            raise LmmNotServed(self._where, model, tuple(one.id for one in served))

    async def _describe(self, deadline_s: float) -> ServedModelInfo:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._look()
        except TimeoutError:
            raise LmmTimedOut(self._where, deadline_s, "waiting for the list of models") from None

    async def _look(self) -> ServedModelInfo:
        models = await self._connection.models()
        wanted = self._settings.model
        fitting = [one for one in models if wanted in {None, one.id}]
        if len(fitting) != 1:
            raise LmmNotServed(self._where, wanted, tuple(one.id for one in models))
        self._found = fitting[0].id
        return ServedModelInfo(fitting[0].id, tuple(one.id for one in models), fitting[0].max_model_len)


class _Spent:
    """What one question cost so far."""

    def __init__(self) -> None:
        self.usage = LmmUsage()
