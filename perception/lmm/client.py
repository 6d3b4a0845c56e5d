"""The client of an OpenAI-compatible server, such as vLLM, with retries, deadlines and a request limit.

    with ServedLmm(LmmSettings(url="http://127.0.0.1:8000/v1")) as lmm:
        reply = lmm.ask_now(prompt, Caption, deadline_s=30)

All requests run on one event loop in a background thread of the client, so that all threads and event loops
share one limit and one queue. Nothing is loaded or sent before the first request.
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
    """The client that the settings describe. None if they name no server."""
    return ServedLmm(settings) if settings.url else None


class ServedLmm:
    """A video LMM behind an OpenAI-compatible server. ``Lmm`` documents its methods.

    A failed request is sent again if that can help: the connection failed, the server answered 408, 429, 500,
    502, 503 or 504, or ``timeout_s`` passed. It waits before that, with exponential back-off, and at least as
    long as the server requests. If the server requests more than ``timeout_s``, or the deadline comes first,
    the request fails at once. After a reply out of schema the request is sent once more, unless the sampling
    is greedy (``temperature`` 0), because the reply would be the same.

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
        self._address = self._connection.address
        self._slots = RequestSlots(settings.concurrency)
        self._usage: dict[Priority, LmmUsage] = {"question": LmmUsage(), "caption": LmmUsage()}
        self._served_model: str | None = None
        self._loop = BackgroundLoop(
            "lmm", closed=lambda: LmmUnreachable(self._address, "the client was closed meanwhile")
        )

    @property
    def name(self) -> str:
        """The model's id. If the settings name none, the first access blocks and requests it from the server.

        Raises:
            LmmError: The settings name no model, and ``describe_now`` failed.

        """
        return self._settings.model or self._served_model or self.describe_now().model

    @property
    def moments(self) -> int:
        """How many moments one request may show when it judges evidence."""
        return self._settings.moments

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """The cost so far, failed requests included."""
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
        """Send a prompt, and wait for the reply.

        Raises:
            LmmUnreachable: No server answers, the connection broke, or the client was closed.
            LmmOverloaded: The server cannot serve the request now.
            LmmTimedOut: The deadline or ``timeout_s`` passed.
            LmmRedirected: The server redirects to another address.
            LmmRefused: The server refused the request or the key.
            LmmNotServed: The server does not serve the model.
            LmmReplyOutOfSchema: The reply does not match the schema, or was cut off.

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
        """The same as ``ask``, for callers without an event loop."""
        body = self._body(prompt, reply, priority, max_tokens)
        return self._loop.wait(self._ask(prompt, body, reply, priority, deadline_s))

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Find out which model is served, without retries.

        Raises:
            LmmError: No server answers in time, or the settings do not determine the model.

        """
        return await self._loop.wait_async(self._describe(deadline_s))

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """The same as ``describe``, for callers without an event loop."""
        return self._loop.wait(self._describe(deadline_s))

    def close(self) -> None:
        """Cancel the requests under way and close the connections. May be called twice."""
        self._loop.close(self._connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _body(
        self, prompt: Prompt, reply: type[T], priority: Priority, max_tokens: int | None
    ) -> dict[str, Any]:
        """The request without its model. It is made in the caller's thread, because encoding pictures takes time."""
        body = request_body(prompt, reply, as_clip=self._settings.video == "clip")
        body |= {
            "temperature": self._settings.temperature,
            "max_tokens": max_tokens or self._settings.max_tokens,
        }
        if self._settings.server_priorities:
            body["extra_body"] = {**body.get("extra_body", {}), "priority": _SERVER_PRIORITY[priority]}
        return body

    # -- on the client's event loop -------------------------------------------------------------------

    async def _ask(
        self,
        prompt: Prompt,
        body: dict[str, Any],
        reply: type[T],
        priority: Priority,
        deadline_s: float | None,
    ) -> LmmReply[T]:
        clock = asyncio.get_running_loop().time
        start_s = clock()
        deadline = math.inf if deadline_s is None else start_s + deadline_s
        spent = _Spent()
        try:
            value, model = await self._with_retries(body, reply, priority, deadline, spent)
        except LmmError as error:
            error.calls, error.tokens = spent.usage.calls, spent.usage.tokens
            raise
        finally:
            spent.usage += LmmUsage(seconds=clock() - start_s)
            self._usage[priority] += spent.usage
        return LmmReply(value, spent.usage, prompt.written_by(model))

    async def _with_retries(
        self, body: dict[str, Any], reply: type[T], priority: Priority, deadline: float, spent: _Spent
    ) -> tuple[T, str]:
        """Retry until a reply comes, a retry cannot help, or it would miss the deadline."""
        while True:
            try:
                return await self._with_slot(body, reply, priority, deadline, spent)
            except LmmError as error:
                pause_s = self._pause_s(error, spent.usage.retries)
                if pause_s is None or asyncio.get_running_loop().time() + pause_s >= deadline:
                    raise
            await asyncio.sleep(pause_s)
            spent.usage += LmmUsage(retries=1)

    def _pause_s(self, error: LmmError, retries: int) -> float | None:
        """The pause before the next retry. None if a retry cannot help."""
        if retries >= self._settings.max_retries:
            return None
        jitter_s = _BACKOFF.pause_s(retries + 1)
        match error:
            case LmmOverloaded(retry_after_s=float() as server_pause_s):
                return server_pause_s + jitter_s if server_pause_s <= self._settings.timeout_s else None
            case LmmUnreachable() | LmmOverloaded() | LmmTimedOut():
                return jitter_s
            case LmmReplyOutOfSchema() if self._settings.temperature > 0 and retries == 0:
                return 0.0
            case LmmNotServed() if self._settings.model is None and retries == 0:
                return 0.0  # it was served before, so the server has changed its model
            case _:
                return None

    async def _with_slot(
        self, body: dict[str, Any], reply: type[T], priority: Priority, deadline: float, spent: _Spent
    ) -> tuple[T, str]:
        """Wait for a slot, then send one request, both within the deadline."""
        clock = asyncio.get_running_loop().time
        since_s, activity = clock(), "waiting for a turn"
        slot_deadline = (
            deadline if math.isfinite(deadline) else None
        )  # some event loops have no timer for inf
        try:
            async with asyncio.timeout_at(slot_deadline) as timeout, self._slots.slot(priority):
                since_s, activity = clock(), "waiting for the reply"
                timeout.reschedule(min(deadline, since_s + self._settings.timeout_s))
                return await self._send_once(body, reply, spent)
        except TimeoutError:
            raise LmmTimedOut(self._address, clock() - since_s, activity) from None

    async def _send_once(self, body: dict[str, Any], reply: type[T], spent: _Spent) -> tuple[T, str]:
        model = self._settings.model or self._served_model or (await self._find_model()).model
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
        if completion.is_cut_off:
            length_tokens = cost.completion_tokens or body["max_tokens"]
            raise LmmReplyOutOfSchema(model, "it was cut off", cut_at_tokens=length_tokens)
        return read_reply(completion.text, reply, model=model), model

    async def _refuse_if_not_served(self, model: str) -> None:
        """Raise ``LmmNotServed`` if a 404 is about the model. Servers answer 404 for a wrong address too."""
        self._served_model = None
        served: tuple[ServedModel, ...] = ()
        with suppress(LmmError):
            served = await self._connection.models()
        if served and model not in {candidate.id for candidate in served}:
            raise LmmNotServed(self._address, model, tuple(candidate.id for candidate in served))

    async def _describe(self, deadline_s: float) -> ServedModelInfo:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._find_model()
        except TimeoutError:
            raise LmmTimedOut(self._address, deadline_s, "waiting for the list of models") from None

    async def _find_model(self) -> ServedModelInfo:
        models = await self._connection.models()
        model_ids = tuple(model.id for model in models)
        candidates = [model for model in models if self._settings.model in {None, model.id}]
        if len(candidates) != 1:
            raise LmmNotServed(self._address, self._settings.model, model_ids)
        self._served_model = candidates[0].id
        return ServedModelInfo(candidates[0].id, model_ids, candidates[0].max_model_len)


class _Spent:
    """The cost of one prompt so far, retries included."""

    def __init__(self) -> None:
        self.usage = LmmUsage()
