"""Dialects of OpenAI-like servers: how they wrap a reply, and what they refuse.

    message, finish_reason = REPLY_DIALECTS["after thinking"]('{"caption": "A kettle boils."}')
    refusal = REFUSALS["clips"](request_body)       # (400, "...") or None

``LmmServer`` speaks them. The names say what a server does, and not which server it is: each is a habit of several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Message = dict[str, Any]
_DRAFT = '{"caption": "a draft", "colour": "green", "digit": 0}'
"""An object that fits the schemas of some tests. It stands in thinking, so it is never the reply."""


def _content(content: Any, **fields: Any) -> tuple[Message, str]:
    return {"role": "assistant", "content": content, **fields}, "stop"


def _tool_call(text: str) -> list[dict[str, Any]]:
    return [{"id": "1", "type": "function", "function": {"name": "reply", "arguments": text}}]


REPLY_DIALECTS: Mapping[str, Callable[[str], tuple[Message, str]]] = {
    "plain": _content,
    "in a code fence": lambda text: _content(f"```json\n{text}\n```"),
    "after thinking": lambda text: _content(f"<think>\nI see {{a picture}}: {_DRAFT}?\n</think>\n\n{text}"),
    "after thinking that began in the prompt": lambda text: _content(
        f"It may be {_DRAFT}.\n</think>\n{text}"
    ),
    "after thinking, in a code fence": lambda text: _content(f"<think>{_DRAFT}</think>\n```\n{text}\n```"),
    "with prose around it": lambda text: _content(f"Here is the {{JSON}}:\n{text}\nIs there anything else?"),
    "with a byte-order mark": lambda text: _content("\ufeff" + text),
    "twice": lambda text: _content(text + text),
    "in content parts": lambda text: _content(
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": _DRAFT}]},
            {"type": "text", "text": text[:5]},
            {"type": "text", "text": text[5:]},
        ]
    ),
    "beside reasoning": lambda text: _content(text, reasoning_content=f"Perhaps {_DRAFT}"),
    "in reasoning_content": lambda text: _content(None, reasoning_content=text),
    "in reasoning": lambda text: _content("", reasoning=text),
    "in a tool call": lambda text: _content("", tool_calls=_tool_call(text)),
    "in a function call": lambda text: _content(None, function_call={"name": "reply", "arguments": text}),
    "as events": _content,
}
"""How a server wraps the text of a reply: the message and the finish reason."""

UNREADABLE_DIALECTS: Mapping[str, Callable[[str], tuple[Message, str]]] = {
    "only thinking": lambda text: _content(f"<think>It is {text}"),
    "only reasoning with a draft": lambda text: _content(None, reasoning_content=f"Perhaps {text}, or not."),
    "a refusal": lambda _: _content(None, refusal="I cannot help with pictures of people."),
    "a filtered reply": lambda _: ({"role": "assistant", "content": ""}, "content_filter"),
    "reasoning that is cut off": lambda _: (
        {"role": "assistant", "content": None, "reasoning_content": "Let me look again. " * 50},
        "length",
    ),
    "nothing": lambda _: ({"role": "assistant"}, "stop"),
}
"""Completions without a reply."""

Refusal = tuple[int, str] | None


def _parts(body: Mapping[str, Any], kind: str) -> int:
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return sum(part["type"] == kind for content in contents for part in content)


def _format(body: Mapping[str, Any]) -> str:
    return str(body.get("response_format", {}).get("type", "none"))


REFUSALS: Mapping[str, Callable[[Mapping[str, Any]], Refusal]] = {
    "clips": lambda body: (
        (400, "Invalid content part type: video_url") if _parts(body, "video_url") else None
    ),
    "several pictures": lambda body: (
        (400, "At most 1 image(s) may be provided in one prompt.") if _parts(body, "image_url") > 1 else None
    ),
    "five pictures": lambda body: (400, "too much of it") if _parts(body, "image_url") > 4 else None,
    "pictures": lambda body: (
        (500, "image input is not supported by this server") if _parts(body, "image_url") else None
    ),
    "schemas": lambda body: (
        (400, "'response_format.type' must be 'json_object' or 'text'")
        if _format(body) == "json_schema"
        else None
    ),
    "JSON objects": lambda body: (400, "kein JSON") if _format(body) == "json_object" else None,
    "response formats": lambda body: (422, "unprocessable") if "response_format" in body else None,
    "max_tokens": lambda body: (400, "Unsupported parameter") if "max_tokens" in body else None,
    "temperatures": lambda body: (400, "Unsupported value") if "temperature" in body else None,
    "unknown keys": lambda body: (
        (422, "extra fields not permitted")
        if set(body) - {"model", "messages", "temperature", "max_tokens", "response_format"}
        else None
    ),
    "everything": lambda _: (400, "This model's maximum context length is 2048 tokens."),
    "large requests": lambda body: (
        (413, "Request Entity Too Large") if len(json.dumps(body)) > 20_000 else None
    ),
}
"""What a server may refuse: a request body to a status and a message, or None."""


def as_events(completion: Mapping[str, Any]) -> bytes:
    """A completion as server-sent events, its content in pieces."""
    (choice,) = completion["choices"]
    text = choice["message"]["content"]
    deltas = [{"role": "assistant"}, {"content": text[:9]}, {"content": text[9:]}]
    chunks: list[dict[str, Any]] = [
        {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    chunks.append({"choices": [], "usage": completion["usage"]})
    lines = [": ping", *(f"data: {json.dumps(chunk)}" for chunk in chunks), "data: [DONE]"]
    return "\n\n".join(lines).encode() + b"\n\n"
