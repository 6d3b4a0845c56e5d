"""An LMM that says its lines: for tests, and for dry runs without a server.

lmm = ScriptedLmm(Caption(caption="A kettle boils."), LmmUnreachable("scripted", "it sleeps"))
lmm = ScriptedLmm(otherwise=lambda prompt: Caption(caption=prompt.name))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel

from ..perception.errors import LmmError, LmmUnreachable
from ..perception.lmm.chat_format import read_reply
from ..perception.lmm.lmm_settings import MAX_MOMENTS
from ..perception.lmm.multimodal_prompt import ClipPart, Prompt, TextPart
from ..perception.lmm.protocol import LmmReply, LmmUsage, Priority, ServedModelInfo, T

Line = BaseModel | str | LmmError
"""A reply, its text as a model would write it, or an error to raise."""

_PICTURE_TOKENS = 256


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """What a scripted LMM was asked."""

    prompt: Prompt
    reply: type[BaseModel]
    priority: Priority
    deadline_s: float | None
    max_tokens: int | None


class ScriptedLmm:
    """Says its lines in order. ``Lmm`` says what its methods do.

    A line is read as a server's reply is, so one that does not fit what was asked for is out of schema.

    Args:
        lines: What to say.
        otherwise: Makes a line of a prompt, once the others are used up. Without it nobody answers then.
        name: The model's id.
        moments: How many moments it is shown at a time.

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
        """Everything it was asked, in order."""
        self._lines, self._otherwise = iter(lines), otherwise
        self._usage: dict[Priority, LmmUsage] = {"question": LmmUsage(), "caption": LmmUsage()}

    @property
    def usage(self) -> Mapping[Priority, LmmUsage]:
        """What it would have cost so far."""
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
        """Say the next line.

        Raises:
            LmmError: that is the line.
            LmmUnreachable: there is no line left.
            LmmReplyOutOfSchema: the line is something else than ``reply``.

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
        """Do as ``ask`` does, for callers without an event loop."""
        self.asked.append(ScriptedCall(prompt, reply, priority, deadline_s, max_tokens))
        line = next(self._lines, None)
        if line is None and self._otherwise:
            line = self._otherwise(prompt)
        if line is None:
            raise LmmUnreachable(self.name, "it has no line left to say")
        if isinstance(line, LmmError):
            raise line
        text = line if isinstance(line, str) else line.model_dump_json()
        usage = LmmUsage(calls=1, prompt_tokens=_tokens(prompt), completion_tokens=len(text) // 4 + 1)
        self._usage[priority] += usage
        return LmmReply(read_reply(text, reply, model=self.name), usage, prompt.written_by(self.name))

    async def describe(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Say its name."""
        return self.describe_now(deadline_s=deadline_s)

    def describe_now(self, *, deadline_s: float = 10.0) -> ServedModelInfo:
        """Say its name."""
        return ServedModelInfo(self.name, (self.name,))

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tokens(prompt: Prompt) -> int:
    """About as many as a real one would count."""
    texts = [prompt.system, *(part.text for part in prompt.parts if isinstance(part, TextPart))]
    pictures = sum(
        len(part.jpegs) if isinstance(part, ClipPart) else 1
        for part in prompt.parts
        if not isinstance(part, TextPart)
    )
    return sum(len(text) for text in texts) // 4 + _PICTURE_TOKENS * pictures
