"""Chat completions as servers send them: the text, the reasoning, the cost, and the reply in them.

    completion = read_completion(answer, model="tiny")
    completion.usage.prompt_tokens
    reply_of(completion, Caption, model="tiny")

Servers differ in where they put a reply: in a string, in content parts, in the arguments of a tool call, or in what
they call reasoning. Some send events although none were requested. Numbers of a server are not trusted. Requests
are written by ``chat_format``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from ...common.terminal import safe_text
from ...common.text import collapse_whitespace, shortened
from ..errors import LmmReplyOutOfSchema
from .protocol import T
from .reply_text import NoReply, extract_reply, extract_whole_reply

_MAX_TOKENS = 10**9
"""A server that counts more tokens than this has miscounted."""
_MAX_REASON_CHARS = 200
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_EVENT_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(frozen=True, slots=True)
class RequestCost:
    """The cost of a request, as the server reports it. Counts that are not usable are 0."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the server had in its cache."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The parts of a chat completion that are used here."""

    text: str = ""
    """What the model wrote."""
    tool_arguments: str = ""
    """The arguments of its first call of a tool."""
    reasoning: str = ""
    """What the server took for reasoning."""
    refusal: str = ""
    """Why the model refused."""
    finish_reason: str = ""
    usage: RequestCost = RequestCost()
    error: Mapping[str, Any] | None = None
    """The error that the server sent instead, with status 200."""

    @property
    def is_cut_off(self) -> bool:
        """Whether the reply reached its greatest length."""
        return self.finish_reason == "length"


def read_completion(answer: bytes, *, model: str) -> Completion:
    """Read a chat completion, or one sent as events.

    Raises:
        LmmReplyOutOfSchema: It is not a chat completion, or it is incomplete.

    """
    answer = answer.removeprefix(b"\xef\xbb\xbf").strip()
    is_events = answer.startswith(_EVENT_BEGINNINGS)
    try:
        chunks = _events(answer) if is_events else [from_json(answer)]
    except ValueError as error:
        raise LmmReplyOutOfSchema(model, f"the server sent no chat completion ({error})") from None
    completion = _completion([chunk for chunk in chunks if isinstance(chunk, Mapping)])
    if completion is None:
        raise LmmReplyOutOfSchema(model, "the server sent no chat completion (it has no choices)")
    return completion


def reply_of(completion: Completion, reply: type[T], *, model: str) -> T:
    """The reply in a completion, validated including the lengths of text.

    Raises:
        LmmReplyOutOfSchema: There is none.

    """
    fault = "it is empty"
    for text in (completion.text, completion.tool_arguments):
        if text.strip():
            try:
                return extract_reply(text, reply)
            except NoReply as error:
                fault = str(error)
    if not (completion.text.strip() or completion.tool_arguments.strip()):
        if completion.reasoning.strip():
            try:
                return extract_whole_reply(completion.reasoning, reply)
            except NoReply:
                fault = "it holds reasoning and no reply"
        if completion.refusal:
            reason = shortened(collapse_whitespace(completion.refusal), _MAX_REASON_CHARS)
            raise LmmReplyOutOfSchema(model, f"the model refused ({safe_text(reason)})", is_withheld=True)
        if completion.finish_reason == "content_filter":
            raise LmmReplyOutOfSchema(model, "a filter of the server withheld it", is_withheld=True)
    raise LmmReplyOutOfSchema(model, fault)


def read_reply(text: str, reply: type[T], *, model: str) -> T:
    """The reply in the text of a model.

    Raises:
        LmmReplyOutOfSchema: There is none.

    """
    return reply_of(Completion(text), reply, model=model)


def _events(answer: bytes) -> list[Any]:
    """The contents of server-sent events."""
    lines = (line.strip() for line in answer.splitlines())
    payloads = (line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))
    return [from_json(payload) for payload in payloads if payload and payload != b"[DONE]"]


def _completion(chunks: Sequence[Mapping[str, Any]]) -> Completion | None:
    """One completion of all chunks. None if no chunk holds a choice or an error."""
    texts: dict[str, list[str]] = {"text": [], "tool_arguments": [], "reasoning": [], "refusal": []}
    finish_reason, usage, has_choice = "", RequestCost(), False
    for chunk in chunks:
        if chunk.get("error"):
            error = chunk["error"]
            return Completion(error=error if isinstance(error, Mapping) else {"message": str(error)})
        usage = _cost(chunk["usage"]) if isinstance(chunk.get("usage"), Mapping) else usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            continue
        message = choice.get("message") or choice.get("delta")
        if not isinstance(message, Mapping):
            continue
        has_choice = True
        if isinstance(choice.get("finish_reason"), str):
            finish_reason = choice["finish_reason"]
        texts["text"].append(_text(message.get("content")))
        texts["tool_arguments"].append(_tool_arguments(message))
        texts["reasoning"].append(
            next((_text(message[key]) for key in _REASONING_KEYS if message.get(key)), "")
        )
        texts["refusal"].append(_text(message.get("refusal")))
    if not has_choice:
        return None
    joined = {name: "".join(pieces) for name, pieces in texts.items()}
    return Completion(
        text=joined["text"],
        tool_arguments=joined["tool_arguments"],
        reasoning=joined["reasoning"],
        refusal=joined["refusal"],
        finish_reason=finish_reason,
        usage=usage,
    )


def _text(content: Any) -> str:
    """The text of a string or of content parts. Parts that hold thinking or media are left out."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "".join(part["text"] for part in parts if part.get("type") in {"text", "output_text", None})


def _tool_arguments(message: Mapping[str, Any]) -> str:
    """The arguments of the first call of a tool, as the text that a model would write."""
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else None
    function = call.get("function") if isinstance(call, Mapping) else message.get("function_call")
    return _text(function.get("arguments")) if isinstance(function, Mapping) else ""


def _cost(usage: Mapping[str, Any]) -> RequestCost:
    details = usage.get("prompt_tokens_details")
    return RequestCost(
        _tokens(usage.get("prompt_tokens")),
        _tokens(usage.get("completion_tokens")),
        _tokens(details.get("cached_tokens")) if isinstance(details, Mapping) else 0,
    )


def _tokens(count: object) -> int:
    """A number of tokens. 0 if it is not a plausible one."""
    if isinstance(count, bool) or not isinstance(count, int | float):
        return 0
    return int(count) if 0 <= count <= _MAX_TOKENS and math.isfinite(count) else 0
