r"""The reply in the text of a model: the JSON object that fits the schema, whatever is written around it.

    extract_reply('<think>A kettle?</think>\n```json\n{"caption": "A kettle boils."}\n```', Caption)

Models put an object into a code fence, write prose around it, or think before it. What is written while thinking
is never read: it may hold drafts. This module knows nothing of servers and of the format of their answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from .protocol import T

MAX_REPLY_CHARS = 200_000
"""Of a text that is longer, only this much is read after the thinking."""
_MAX_OBJECTS = 500
"""The most places of a text that are tried as the beginning of an object."""
_BEGINS = (
    r"<(?:think|thinking|thought|reasoning)>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>analysis"
)
_ENDS = r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final"
_THINKING_ENDS = re.compile(_ENDS, re.IGNORECASE)
_TOKEN = re.compile(rf"(?P<begins>{_BEGINS})|(?P<ends>{_ENDS})|(?P<object>\{{)", re.IGNORECASE)
_FENCED = re.compile(r"```[a-z]*\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


class NoReply(ValueError):
    """A text holds no object that fits the schema. The message gives the reason without the text."""


def extract_reply(text: str, schema: type[T]) -> T:
    """The last object in ``text`` that fits ``schema`` and follows the thinking.

    Raises:
        NoReply: There is none.

    """
    text = _stripped(text)
    if not text:
        raise NoReply("it is empty")
    thinking_end = _end_of_thinking(text)
    try:
        return _last_object(text[thinking_end:], schema)
    except NoReply:
        if not thinking_end:
            raise
    # The last marker may be a word of the reply, such as a text that is read in the picture.
    return _last_object(text, schema)


def extract_whole_reply(text: str, schema: type[T]) -> T:
    """The reply, if ``text`` is an object that fits ``schema`` and nothing else but a code fence.

    For what a server calls thinking: it may have taken a whole reply for that. An object with words beside it
    is a draft.

    Raises:
        NoReply: It is something else.

    """
    text = _stripped(text)
    text = _stripped(text[_end_of_thinking(text) :])
    fenced = _FENCED.fullmatch(text)
    return _validated(_parsed(fenced[1] if fenced else text), schema)


def first_fault(error: ValidationError) -> str:
    """The first fault, without the invalid value, which may be long."""
    fault: Mapping[str, Any] = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(map(str, fault["loc"]))
    return f"{field}: {fault['msg']}" if field else fault["msg"]


def _stripped(text: str) -> str:
    """The text without a byte-order mark and white space at its ends."""
    return text.strip("\ufeff \t\r\n")


def _end_of_thinking(text: str) -> int:
    """Where the last marker of the end of thinking ends. 0 without one."""
    return max((marker.end() for marker in _THINKING_ENDS.finditer(text)), default=0)


def _last_object(text: str, schema: type[T]) -> T:
    """The last fitting object outside thinking. A marker inside an object is a word of it."""
    text = text[:MAX_REPLY_CHARS]
    reply, fault, position, tries = None, "", 0, 0
    while tries < _MAX_OBJECTS and (token := _TOKEN.search(text, position)):
        position = token.end()
        if token["object"]:
            tries += 1
            try:
                value, position = _DECODER.raw_decode(text, token.start())
            except (ValueError, RecursionError):
                continue
            try:
                reply = _validated(value, schema)
            except NoReply as error:
                fault = str(error)
            continue
        if token["begins"]:
            end = _THINKING_ENDS.search(text, position)
            if end is None:
                fault = "it holds thinking and no reply"
                break
            position = end.end()
        reply, fault = None, ""  # what came before was thinking
    if reply is not None:
        return reply
    raise NoReply(fault or _why_not(text, schema))


def _validated(value: Any, schema: type[T]) -> T:
    """The reply of a parsed value, including the bounds on the lengths of text."""
    try:
        return schema.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise NoReply(first_fault(error)) from None
    except RecursionError:
        raise NoReply("it is nested too deep") from None


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise NoReply(f"it is not JSON ({error})") from None


def _why_not(text: str, schema: type[T]) -> str:
    """Why a text without a fitting object is no reply."""
    try:
        _validated(_parsed(_stripped(text)), schema)
    except NoReply as error:
        return str(error)
    return "it holds no object"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


# Not strict: models put raw line breaks and tabs into strings.
_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_constant)
