"""Scripted LMM: returns given replies in order, for tests and for dry runs without a server.

lmm = ScriptedLmm(Caption(caption="A kettle boils."), LmmUnreachable("scripted", "it sleeps"))
lmm = ScriptedLmm(otherwise=lambda prompt: Caption(caption=prompt.name))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel

from ..perception.errors import LmmError, LmmUnreachable
from ..perception.lmm.completion import read_reply
from ..perception.lmm.lmm_settings import MAX_MOMENTS
from ..perception.lmm.multimodal_prompt import ClipPart, Prompt, TextPart
from ..perception.lmm.protocol import LmmReply, LmmUsage, Priority, ServedModelInfo, T

Line = BaseModel | str | LmmError
"""A reply, its text as a model would write it, or an error to raise."""

_PICTURE_TOKENS = 256


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One request to a scripted LMM."""

    prompt: Prompt
    reply: type[BaseModel]
    priority: Priority
    deadline_s: float | None
    max_tokens: int | None


class ScriptedLmm:
    """Returns its lines in order. The protocol ``Lmm`` describes its methods.

    A line is parsed like a server's reply, so a line that does not fit the requested schema is an error.

    Args:
        lines: The replies and errors, in order.
        otherwise: Makes a line for a prompt after the last line. Without it, further requests fail.
        name: The model's id.
        moments: The most moments in one prompt.

    """

    def __init__(
        self,
        *lines: Line,
        otherwise: Callable[[Prompt], Line] | None = None,
        name: str = "scripted",
        moments: int = MAX_MOMENTS,
    ) -> None:
        self.name = name
        self.moments = moments
        self.asked: list[ScriptedCall] = []
        """All requests, in order."""
        self._lines, self._otherwise = iter(lines), otherwise
        self._usage: dict[Priority, LmmUsage] = {"question": LmmUsage(), "caption": LmmUsage()}

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """The usage so far, with estimated tokens."""
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
        """Return the next line.

        Raises:
            LmmError: The line is an error.
            LmmUnreachable: There is no further line.
            LmmReplyOutOfSchema: The line does not fit the schema of ``reply``.

        """
        return self.ask_now(prompt, reply, priority=priority, deadline_s=deadline_s, max_tokens=max_tokens)

    def ask_now(
        self,
        prompt: Prompt,
        reply: type[T],
        *,
        priority: Priority = "question",
        deadline_s: float | None = None,
        max_tokens: int | None = None,
    ) -> LmmReply[T]:
        """Return the next line, like ``ask``, for callers without an event loop."""
        self.asked.append(ScriptedCall(prompt, reply, priority, deadline_s, max_tokens))
        line = next(self._lines, None)
        if line is None and self._otherwise:
            line = self._otherwise(prompt)
        if line is None:
            raise LmmUnreachable(self.name, "its script has no further line")
        if isinstance(line, LmmError):
            raise line
        text = line if isinstance(line, str) else line.model_dump_json()
        usage = LmmUsage(calls=1, prompt_tokens=_tokens(prompt), completion_tokens=len(text) // 4 + 1)
        self._usage[priority] += usage
        return LmmReply(read_reply(text, reply, model=self.name), usage, prompt.written_by(self.name))

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """The name of the model."""
        return self.describe_now(deadline_s=deadline_s)

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """The name of the model."""
        return ServedModelInfo(self.name, (self.name,))

    def close(self) -> None:
        """Do nothing: it holds no resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tokens(prompt: Prompt) -> int:
    """An estimate of a prompt's tokens."""
    texts = [prompt.system, *(part.text for part in prompt.parts if isinstance(part, TextPart))]
    pictures = sum(
        len(part.jpegs) if isinstance(part, ClipPart) else 1
        for part in prompt.parts
        if not isinstance(part, TextPart)
    )
    return sum(len(text) for text in texts) // 4 + _PICTURE_TOKENS * pictures
