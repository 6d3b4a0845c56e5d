"""What an LMM is asked: words, pictures and clips, in order.

    Prompt(
        name="caption",
        revision=1,
        system="Describe what the clip shows.",
        parts=(
            ClipPart((first, second), (12.0, 12.5)),
            TextPart(as_data("subtitles", "I'll be right back.")),
        ),
    )

A prompt knows nothing of servers. Whatever was seen, heard or remembered enters it through ``as_data``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of our own."""

    text: str


@dataclass(frozen=True, slots=True)
class PicturePart:
    """One picture."""

    jpeg: bytes
    time_s: float | None = None
    """When it was seen, in stream seconds; said in text before it. None says nothing."""


@dataclass(frozen=True, slots=True)
class ClipPart:
    """Some frames of one shot, in order of time and all of one size."""

    jpegs: tuple[bytes, ...]
    times_s: tuple[float, ...]
    """When each was seen, in stream seconds: one a frame, none before 0, each later than the one before."""

    def __post_init__(self) -> None:
        if not self.jpegs or len(self.jpegs) != len(self.times_s):
            raise ValueError(f"a clip needs a time for each frame: {len(self.jpegs)} and {len(self.times_s)}")
        in_order = all(earlier < later for earlier, later in pairwise(self.times_s))
        if not (in_order and self.times_s[0] >= 0 and math.isfinite(self.times_s[-1])):
            raise ValueError(f"the times of a clip must grow from 0 or later: {self.times_s}")


Part = TextPart | PicturePart | ClipPart


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request, whoever it goes to."""

    name: str
    """What it is for, such as ``caption``."""
    revision: int
    """Goes up whenever ``system`` or the wording of ``parts`` changes; replies of two revisions are never mixed."""
    system: str
    """What the model is to do."""
    parts: tuple[Part, ...]
    """What it is shown and told, in order."""

    @property
    def pictures(self) -> int:
        """How many pictures it shows, the frames of clips among them."""
        frames = sum(len(part.jpegs) for part in self.parts if isinstance(part, ClipPart))
        return frames + sum(isinstance(part, PicturePart) for part in self.parts)

    def written_by(self, model: str) -> str:
        """Who stands behind a reply to this: ``lmm:tiny/caption.1``."""
        return f"lmm:{model}/{self.name}.{self.revision}"


_BRACKETS = str.maketrans("<>", "‹›")
_CONTROL = {code: " " for code in range(32) if chr(code) not in "\t\n"} | {127: " "}


def as_data(name: str, text: str) -> str:
    """Wrap text that others wrote, so that a model can tell it from what it is told to do.

    Nothing inside can end the wrapping or pass for one of a model's own markers, such as
    ``<|im_end|>``: angle brackets become ‹ and ›, and control characters become spaces.

    Args:
        name: What it is, for the model to refer to, such as a moment's id.
        text: What was read in the picture, heard, or remembered.

    """
    shown = name.translate(_BRACKETS).translate(_CONTROL).replace('"', "'")
    inside = text.translate(_BRACKETS).translate(_CONTROL)
    return f'<data name="{shown}">\n{inside}\n</data>'
