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
from typing import TYPE_CHECKING, Any, Generic, Self

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
from .chat_format import request_body, shape_of
from .completion import read_completion, reply_of
from .connection import Connection, ServedModel
from .dialect import Adaptation, Dialect, DialectLearner, RequestShape
from .multimodal_prompt import Prompt
from .protocol import LmmReply, LmmUsage, Priority, ServedModelInfo, T
from .request_slots import RequestSlots

if TYPE_CHECKING:
    from .lmm_settings import LmmSettings

_BACKOFF = Backoff(first_s=0.5, longest_s=8.0)
"""The pauses before a request is sent again."""
_REFUSALS = {400, 413, 415, 422, 500, 501}
"""Statuses by which servers refuse a kind of request. llama.cpp answers 500 to pictures that it does not take."""
_TOO_LARGE = 413
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

    A request that the server refuses is written in other ways until the server takes it (``dialect``). What was
    learnt is kept as long as the client. ``adaptations`` tells it.

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
        self._dialects = DialectLearner(Dialect(clips=settings.video == "clip"))
        self._learning = asyncio.Lock()
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

    @property
    def adaptations(self) -> tuple[Adaptation, ...]:
        """What the server was found not to accept, and what is sent instead."""
        return tuple(self._dialects.adaptations)

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
        request = self._request(prompt, reply, priority, max_tokens)
        return await self._loop.wait_async(self._ask(request, deadline_s))

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
        request = self._request(prompt, reply, priority, max_tokens)
        return self._loop.wait(self._ask(request, deadline_s))

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

    def _request(
        self, prompt: Prompt, reply: type[T], priority: Priority, max_tokens: int | None
    ) -> _Request[T]:
        """The request, written in the caller's thread, because encoding pictures takes time."""
        request = _Request(prompt, reply, priority, max_tokens or self._settings.max_tokens, self._settings)
        request.body(self._dialects.current)
        return request

    # -- on the client's event loop -------------------------------------------------------------------

    async def _ask(self, request: _Request[T], deadline_s: float | None) -> LmmReply[T]:
        clock = asyncio.get_running_loop().time
        start_s = clock()
        request.deadline = math.inf if deadline_s is None else start_s + deadline_s
        try:
            value, model = await self._with_retries(request)
        except LmmError as error:
            error.calls, error.tokens = request.spent.calls, request.spent.tokens
            raise
        finally:
            request.spent += LmmUsage(seconds=clock() - start_s)
            self._usage[request.priority] += request.spent
        return LmmReply(value, request.spent, request.prompt.written_by(model))

    async def _with_retries(self, request: _Request[T]) -> tuple[T, str]:
        """Retry until a reply comes, a retry cannot help, or it would miss the deadline."""
        while True:
            dialect = self._dialects.current
            try:
                return await self._with_slot(request, dialect)
            except LmmError as error:
                pause_s = self._pause_s(error, request.spent.retries)
                if pause_s is None or asyncio.get_running_loop().time() + pause_s >= request.deadline:
                    return await self._in_another_dialect(request, dialect, error)
            await asyncio.sleep(pause_s)
            request.spent += LmmUsage(retries=1)

    async def _in_another_dialect(
        self, request: _Request[T], dialect: Dialect, error: LmmError
    ) -> tuple[T, str]:
        """Send a request that failed in another dialect, if that can help. Otherwise raise its error."""
        is_out_of_schema = (
            isinstance(error, LmmReplyOutOfSchema) and error.cut_at_tokens is None and not error.is_withheld
        )
        if not (_is_refusal(error) or is_out_of_schema):
            raise error
        deadline = request.deadline if math.isfinite(request.deadline) else None
        try:
            async with asyncio.timeout_at(deadline), self._learning:
                if self._dialects.current != dialect:  # another request learnt it meanwhile
                    dialect = self._dialects.current
                    try:
                        return await self._with_slot(request, dialect)
                    except LmmRefused as refusal:
                        error = refusal
                if isinstance(error, LmmReplyOutOfSchema):
                    return await self._with_schema_in_prompt(request, error)
                return await self._in_searched_dialect(request, error)
        except TimeoutError:
            raise error from None

    async def _with_schema_in_prompt(self, request: _Request[T], error: LmmReplyOutOfSchema) -> tuple[T, str]:
        """Send a request again whose reply did not keep to the schema."""
        dialect = self._dialects.with_schema_in_prompt()
        if dialect is None:
            raise error
        try:
            answer = await self._with_slot(request, dialect)
        except LmmError:
            raise error from None
        self._dialects.learn_schema_in_prompt(error.why)
        return answer

    async def _in_searched_dialect(self, request: _Request[T], error: LmmError) -> tuple[T, str]:
        """Write a refused request in other ways until the server takes it."""
        is_too_large = isinstance(error, LmmRefused) and error.status == _TOO_LARGE
        search = self._dialects.search(request.shape, _reason_of(error), is_too_large=is_too_large)
        answer: tuple[T, str] | None = None
        while (dialect := search.next()) is not None:
            try:
                answer = await self._with_slot(request, dialect)
            except LmmError as failure:
                if answer is None and isinstance(failure, LmmReplyOutOfSchema):
                    search.accepted(dialect)
                    self._dialects.learn(search)
                    raise
                if not _is_refusal(failure):
                    if answer is None:
                        raise
                    break
                search.refused(dialect, _reason_of(failure))
                error = failure
                continue
            if isinstance(error, LmmOverloaded):
                # 500 may also be a failure that has ended meanwhile.
                with suppress(LmmError):
                    return await self._with_slot(request, self._dialects.current)
            search.accepted(dialect)
            self._dialects.learn(search)
        if answer is None:
            self._dialects.learn(search)
            raise error
        return answer

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

    async def _with_slot(self, request: _Request[T], dialect: Dialect) -> tuple[T, str]:
        """Wait for a slot, then send one request, both within the deadline."""
        body = await request.body_later(dialect)
        clock = asyncio.get_running_loop().time
        since_s, activity = clock(), "waiting for a turn"
        # Some event loops have no timer for inf.
        slot_deadline = request.deadline if math.isfinite(request.deadline) else None
        try:
            async with asyncio.timeout_at(slot_deadline) as timeout, self._slots.slot(request.priority):
                since_s, activity = clock(), "waiting for the reply"
                timeout.reschedule(min(request.deadline, since_s + self._settings.timeout_s))
                return await self._send_once(request, body, dialect)
        except TimeoutError:
            raise LmmTimedOut(self._address, clock() - since_s, activity) from None

    async def _send_once(
        self, request: _Request[T], body: Mapping[str, Any], dialect: Dialect
    ) -> tuple[T, str]:
        model = self._settings.model or self._served_model or (await self._find_model()).model
        request.spent += LmmUsage(calls=1)
        try:
            answer = await self._connection.complete({**body, "model": model})
        except LmmRefused as error:
            if error.status == 404:
                await self._refuse_if_not_served(model)
            raise
        completion = read_completion(answer, model=model)
        if completion.error is not None:
            code = completion.error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise self._connection.failure(status, completion.error)
        cost = completion.usage
        request.spent += LmmUsage(0, cost.prompt_tokens, cost.completion_tokens, cost.cached_tokens)
        self._dialects.accepted(dialect, request.shape)
        if completion.is_cut_off:
            length_tokens = cost.completion_tokens or request.max_tokens
            raise LmmReplyOutOfSchema(model, "it was cut off", cut_at_tokens=length_tokens)
        value = reply_of(completion, request.reply, model=model)
        self._dialects.matched(dialect)
        return value, model

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
        if self._settings.model and not models:
            return ServedModelInfo(self._settings.model, ())
        candidates = [model for model in models if self._settings.model in {None, model.id}]
        if len(candidates) != 1:
            raise LmmNotServed(self._address, self._settings.model, model_ids)
        self._served_model = candidates[0].id
        return ServedModelInfo(candidates[0].id, model_ids, candidates[0].max_model_len)


class _Request(Generic[T]):
    """One prompt on its way to the server, with its cost so far, retries included."""

    def __init__(
        self, prompt: Prompt, reply: type[T], priority: Priority, max_tokens: int, settings: LmmSettings
    ) -> None:
        self.prompt, self.reply, self.priority, self.max_tokens = prompt, reply, priority, max_tokens
        self.shape: RequestShape = shape_of(prompt, reply, has_priority=settings.server_priorities)
        self.deadline = math.inf
        """On the clock of the client's event loop."""
        self.spent = LmmUsage()
        self._temperature = settings.temperature
        self._body: tuple[Dialect, dict[str, Any]] | None = None

    def body(self, dialect: Dialect) -> dict[str, Any]:
        """The request without its model."""
        if self._body is None or self._body[0] != dialect:
            body = request_body(self.prompt, self.reply, dialect)
            body[dialect.token_limit] = self.max_tokens
            if dialect.temperature:
                body["temperature"] = self._temperature
            if self.shape.has_priority and dialect.priority:
                body["extra_body"] = {
                    **body.get("extra_body", {}),
                    "priority": _SERVER_PRIORITY[self.priority],
                }
            self._body = dialect, body
        return self._body[1]

    async def body_later(self, dialect: Dialect) -> dict[str, Any]:
        """The same, written in another thread if it has to be written anew."""
        if self._body is not None and self._body[0] == dialect:
            return self._body[1]
        return await asyncio.to_thread(self.body, dialect)


def _is_refusal(error: LmmError) -> bool:
    """Whether the server may take the request if it is written in another way."""
    return isinstance(error, LmmRefused | LmmOverloaded) and error.status in _REFUSALS


def _reason_of(error: LmmError) -> str:
    """What the server answered."""
    status, reason = getattr(error, "status", None), getattr(error, "reason", "")
    return f"{status}: {reason}" if status else str(error)
