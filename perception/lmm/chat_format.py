"""The chat format: prompts as messages of OpenAI's chat API, in the dialect of a server.

    body = request_body(prompt, Caption)                            # all but the model and the sampling
    request_body(prompt, Caption, Dialect(clips=False))             # the same for a server that refuses clips

It writes messages. ``completion`` reads the answers, and ``connection`` sends and receives them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from .dialect import Dialect, RequestShape
from .multimodal_prompt import ClipPart, Part, PicturePart, Prompt, TextPart

_GRID_FPS = 1000
"""Frame numbers are integers. So a clip is declared with a frame every millisecond, and some of them are sent."""


def request_body(prompt: Prompt, reply: type[BaseModel], dialect: Dialect = Dialect()) -> dict[str, Any]:  # noqa: B008
    """The part of a request that follows from the prompt and the schema of the reply.

    Args:
        prompt: The request.
        reply: The schema of the reply.
        dialect: What the server takes.

    """
    clip = _clip_of(prompt) if dialect.clips else None
    pictures = prompt.pictures - (len(clip.jpegs) if clip else 0)
    is_sheet = dialect.max_pictures is not None and pictures > dialect.max_pictures
    parts = _on_one_sheet(prompt.parts, clip) if is_sheet else prompt.parts
    content: list[dict[str, Any]] = []
    for part in parts:
        for piece in _pieces(part, clip):
            _append(content, piece)
    body: dict[str, Any] = {}
    if dialect.reply_format == "json_schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": re.sub(r"\W", "_", prompt.name)[:64],
                "strict": True,
                "schema": schema_of(reply),
            },
        }
    elif dialect.reply_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    if dialect.schema_in_prompt or dialect.reply_format != "json_schema":
        schema = json.dumps(schema_of(reply))
        _append(
            content,
            _text(f"Reply with one JSON object that fits this schema, and with nothing else:\n{schema}"),
        )
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body["messages"] = [*system, {"role": "user", "content": content}]
    if clip is not None:
        body["extra_body"] = {"media_io_kwargs": {"video": _video_metadata(clip)}}
    return body


def shape_of(prompt: Prompt, reply: type[BaseModel], *, has_priority: bool) -> RequestShape:
    """What a request contains that a server may refuse."""
    clip = _clip_of(prompt)
    return RequestShape(reply.__name__, prompt.pictures, len(clip.jpegs) if clip else 0, has_priority)


def _clip_of(prompt: Prompt) -> ClipPart | None:
    """The clip that can be sent as a video, or None.

    A request carries the times of one video only, so several clips are sent as pictures. So is a clip of one
    frame, which Qwen's models do not accept as a video.
    """
    clips = [part for part in prompt.parts if isinstance(part, ClipPart)]
    return clips[0] if len(clips) == 1 and len(clips[0].jpegs) > 1 else None


def _append(content: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Append a piece. Texts are joined here, because chat templates join them without a space."""
    if content and piece["type"] == content[-1]["type"] == "text":
        content[-1]["text"] += "\n" + piece["text"]
    else:
        content.append(piece)


def _on_one_sheet(parts: tuple[Part, ...], clip: ClipPart | None) -> list[Part]:
    """The parts with all pictures but those of ``clip`` in one picture, and their times as text in their places."""
    changed: list[Part] = []
    jpegs: list[bytes] = []
    place = 0
    for part in parts:
        if isinstance(part, TextPart) or part is clip:
            changed.append(part)
            continue
        pictures = (
            [PicturePart(jpeg, time_s) for jpeg, time_s in zip(part.jpegs, part.times_s, strict=True)]
            if isinstance(part, ClipPart)
            else [part]
        )
        place = place if jpegs else len(changed)
        for picture in pictures:
            jpegs.append(picture.jpeg)
            time = "" if picture.time_s is None else f", at {picture.time_s:.2f} s"
            changed.append(TextPart(f"Picture {len(jpegs)}{time}."))
    title = TextPart(f"{len(jpegs)} pictures on one sheet, numbered in their corners, row by row:")
    from .picture_sheet import picture_sheet  # noqa: PLC0415 - loads OpenCV, which few servers make necessary

    return [*changed[:place], title, PicturePart(picture_sheet(jpegs)), *changed[place:]]


def _pieces(part: Part, clip: ClipPart | None) -> Iterator[dict[str, Any]]:
    match part:
        case TextPart(text):
            yield _text(text)
        case PicturePart(jpeg, time_s):
            if time_s is not None:
                yield _text(f"At {time_s:.2f} s:")
            yield {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(jpeg)}"}}
        case ClipPart(jpegs, times_s) if part is not clip:
            for jpeg, time_s in zip(jpegs, times_s, strict=True):
                yield from _pieces(PicturePart(jpeg, time_s), None)
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
