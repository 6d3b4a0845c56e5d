"""The chat format: prompts and replies as messages of OpenAI's chat API, in the dialect of vLLM.

    body = request_body(prompt, Caption, as_clip=True)   # all but the model and the sampling
    read_reply('{"caption": "A kettle boils."}', Caption, model="tiny")

It makes and reads messages. ``connection`` sends them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from ..errors import LmmReplyOutOfSchema
from .multimodal_prompt import ClipPart, Part, PicturePart, Prompt, TextPart
from .protocol import T

_GRID_FPS = 1000
"""Frame numbers are integers. So a clip is declared with a frame every millisecond, and some of them are sent."""


def request_body(prompt: Prompt, reply: type[BaseModel], *, as_clip: bool) -> dict[str, Any]:
    """The part of a request that follows from the prompt and the schema of the reply.

    Args:
        prompt: The request.
        reply: The schema of the reply.
        as_clip: Send a clip as a video with its times, and not as pictures. A request carries the times of one
            video only, so several clips are sent as pictures too. So is a clip of one frame, which Qwen's
            models do not accept as a video.

    """
    clips = [part for part in prompt.parts if isinstance(part, ClipPart)]
    as_clip = as_clip and len(clips) == 1 and len(clips[0].jpegs) > 1
    content: list[dict[str, Any]] = []
    for part in prompt.parts:
        for piece in _pieces(part, as_clip=as_clip):
            # Chat templates join texts without a space.
            if content and piece["type"] == content[-1]["type"] == "text":
                content[-1]["text"] += "\n" + piece["text"]
            else:
                content.append(piece)
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body: dict[str, Any] = {
        "messages": [*system, {"role": "user", "content": content}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": re.sub(r"\W", "_", prompt.name)[:64],
                "strict": True,
                "schema": schema_of(reply),
            },
        },
    }
    if as_clip:
        body["extra_body"] = {"media_io_kwargs": {"video": _video_metadata(clips[0])}}
    return body


def _pieces(part: Part, *, as_clip: bool) -> Iterator[dict[str, Any]]:
    match part:
        case TextPart(text):
            yield _text(text)
        case PicturePart(jpeg, time_s):
            if time_s is not None:
                yield _text(f"At {time_s:.2f} s:")
            yield {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(jpeg)}"}}
        case ClipPart(jpegs, times_s) if not as_clip:
            for jpeg, time_s in zip(jpegs, times_s, strict=True):
                yield from _pieces(PicturePart(jpeg, time_s), as_clip=False)
        case ClipPart(jpegs):
            frames = ",".join(map(_base64, jpegs))
            yield {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{frames}"}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _base64(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode("ascii")


def _video_metadata(clip: ClipPart) -> dict[str, Any]:
    """The times of the frames. Without them, vLLM assumes one frame per second."""
    numbers = [round(time_s * _GRID_FPS) for time_s in clip.times_s]
    total = max(numbers[-1] + 1, len(numbers))
    return {
        "fps": _GRID_FPS,
        "frames_indices": numbers,
        "total_num_frames": total,
        "duration": total / _GRID_FPS,
        "do_sample_frames": False,
        # With fps but without num_frames, vLLM ignores its start-up options and keeps 32 frames.
        "num_frames": len(numbers),
    }


_NOT_SENT = {
    "title",  # the name and docstring of the class are not part of the request
    "description",
    "default",  # every field is required
    # For a string with a bound on its length, xgrammar allows raw control characters and forbids escapes,
    # so that most replies are not JSON. The bounds are checked when the reply is read.
    "minLength",
    "maxLength",
}
_PLAIN = {"enum", "const", "required", "examples"}
"""Keywords whose values are data and not schemas."""


def schema_of(reply: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply, with every field required and no other allowed."""
    schema: dict[str, Any] = _strict(reply.model_json_schema())
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict: dict[str, Any] = {}
    for keyword, value in node.items():
        if keyword in _NOT_SENT:
            continue
        if keyword in {"properties", "$defs"}:
            strict[keyword] = {name: _strict(schema) for name, schema in value.items()}
        else:
            strict[keyword] = value if keyword in _PLAIN else _strict(value)
    if "properties" in strict:
        strict |= {"required": list(strict["properties"]), "additionalProperties": False}
    return strict


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _CachedTokens(BaseModel):
    cached_tokens: int | None = None


class RequestCost(BaseModel):
    """The cost of a request, as the server reports it."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that the server had in its cache. 0 if it does not report them."""
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0


class Completion(BaseModel):
    """The parts of a chat completion that are used here."""

    choices: list[_Choice] = Field(min_length=1)
    usage: RequestCost = RequestCost()

    @property
    def text(self) -> str:
        """The text of the reply."""
        return self.choices[0].message.content or ""

    @field_validator("usage", mode="before")
    @classmethod
    def _null_is_empty(cls, usage: object) -> object:
        return {} if usage is None else usage

    @property
    def is_cut_off(self) -> bool:
        """Whether the reply reached its greatest length."""
        return self.choices[0].finish_reason == "length"


def read_completion(answer: bytes, *, model: str) -> Completion:
    """Read a chat completion.

    Raises:
        LmmReplyOutOfSchema: It is not a chat completion, or it is incomplete.

    """
    try:
        return Completion.model_validate_json(answer)
    except ValidationError as error:
        raise LmmReplyOutOfSchema(
            model, f"the server sent no chat completion ({_first_fault(error)})"
        ) from None


def read_reply(text: str, reply: type[T], *, model: str) -> T:
    """Read a reply as JSON, and validate it including the lengths of text.

    Raises:
        LmmReplyOutOfSchema: It is not JSON, or does not match the schema.

    """
    if not text.strip():
        raise LmmReplyOutOfSchema(model, "it is empty")
    try:
        # Not strict: models put raw line breaks and tabs into strings.
        value = json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LmmReplyOutOfSchema(model, f"it is not JSON ({error})") from None
    try:
        return reply.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise LmmReplyOutOfSchema(model, _first_fault(error)) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _first_fault(error: ValidationError) -> str:
    """The first fault, without the invalid value, which may be long."""
    fault: Mapping[str, Any] = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(map(str, fault["loc"]))
    return f"{field}: {fault['msg']}" if field else fault["msg"]
