"""Multimodal prompts: text, pictures and clips, in order.

    Prompt(
        name="caption",
        revision=1,
        system="Describe what the clip shows.",
        parts=(
            ClipPart((first, second), (12.0, 12.5)),
            TextPart(as_data("subtitles", "I'll be right back.")),
        ),
    )

A prompt knows nothing of servers. Text that was read, heard or remembered enters it through ``as_data``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text that Recollect wrote, or data wrapped by ``as_data``."""

    text: str


@dataclass(frozen=True, slots=True)
class PicturePart:
    """One picture."""

    jpeg: bytes
    time_s: float | None = None
    """When it was seen, in stream seconds. Sent as text before the picture. None sends no time."""


@dataclass(frozen=True, slots=True)
class ClipPart:
    """Frames of one shot, in order of time and all of one size."""

    jpegs: tuple[bytes, ...]
    times_s: tuple[float, ...]
    """When each frame was seen, in stream seconds from 0 on, in rising order."""

    def __post_init__(self) -> None:
        if not self.jpegs or len(self.jpegs) != len(self.times_s):
            raise ValueError(
                f"a clip needs a time for each frame, but has {len(self.jpegs)} frames and {len(self.times_s)} times"
            )
        is_rising = all(earlier < later for earlier, later in pairwise(self.times_s))
        if not (is_rising and self.times_s[0] >= 0 and math.isfinite(self.times_s[-1])):
            raise ValueError(f"the times of a clip must rise from 0 or later, but are {self.times_s}")


Part = TextPart | PicturePart | ClipPart


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request, independent of the server."""

    name: str
    """Its purpose, such as ``caption``."""
    revision: int
    """Rises whenever ``system`` or the wording of ``parts`` changes. Replies to two revisions are never mixed."""
    system: str
    """The instructions to the model."""
    parts: tuple[Part, ...]
    """The contents of the request, in order."""

    @property
    def pictures(self) -> int:
        """The number of pictures in it, frames of clips included."""
        frames = sum(len(part.jpegs) for part in self.parts if isinstance(part, ClipPart))
        return frames + sum(isinstance(part, PicturePart) for part in self.parts)

    def written_by(self, model: str) -> str:
        """The provenance of a reply to this prompt: ``lmm:tiny/caption.1``."""
        return f"lmm:{model}/{self.name}.{self.revision}"


_BRACKETS = str.maketrans("<>", "‹›")
_CONTROL = {code: " " for code in range(32) if chr(code) not in "\t\n"} | {127: " "}


def as_data(name: str, text: str) -> str:
    """Wrap untrusted text, so that a model can distinguish it from its instructions.

    The text can neither end the wrapping nor contain a model's own markers, such as ``<|im_end|>``: angle
    brackets become ‹ and ›, and control characters become spaces.

    Args:
        name: A name for the model to refer to, such as a moment's id.
        text: Text that was read in the picture, heard, or remembered.

    """
    safe_name = name.translate(_BRACKETS).translate(_CONTROL).replace('"', "'")
    safe_text = text.translate(_BRACKETS).translate(_CONTROL)
    return f'<data name="{safe_name}">\n{safe_text}\n</data>'
