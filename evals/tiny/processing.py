"""How the tiny LMM is shown pictures and clips, and how a conversation becomes one text.

    processor = new_processor(Architecture(), vocabulary)

Pictures are brought to a size of which few tokens come: 16 for a square one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .architecture import FRAMES_TOGETHER, MERGED, Architecture

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

    from .vocabulary import Vocabulary

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
_MIDDLE = [0.5, 0.5, 0.5]
"""Colours go from -1 to 1, in pictures as in clips."""
_LONGEST_CLIP = 256
"""Frames; a clip that has more is looked at with fewer pixels."""


def new_processor(architecture: Architecture, vocabulary: Vocabulary) -> Qwen3VLProcessor:
    """Put together what turns words, pictures and clips into the model's input."""
    from transformers import (  # noqa: PLC0415
        Qwen2VLImageProcessor,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    smallest, largest = architecture.cell_px**2, architecture.picture_px**2
    shape = {
        "patch_size": architecture.patch_px,
        "merge_size": MERGED,
        "temporal_patch_size": FRAMES_TOGETHER,
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            size={"shortest_edge": smallest, "longest_edge": largest},
            image_mean=_MIDDLE,
            image_std=_MIDDLE,
            **shape,
        ),
        tokenizer=vocabulary.tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            # Of a clip the pixels of all frames count, so each frame is capped besides.
            size={"shortest_edge": smallest * FRAMES_TOGETHER, "longest_edge": largest * _LONGEST_CLIP},
            cap_pixels_per_frame=True,
            max_video_tokens=largest // smallest,
            **shape,
        ),
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
    )
