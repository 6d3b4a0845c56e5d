"""Processor of the tiny LMM: turns pictures, clips and conversations into the model's input.

    processor = new_processor(Architecture(), vocabulary)

Pictures are resized so that they give few tokens: 16 for a square one.
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
"""Mean and standard deviation: colours are scaled to -1 to 1, in pictures and clips."""
_LONGEST_CLIP = 256
"""Frames. A longer clip gets fewer pixels in each frame."""


def new_processor(architecture: Architecture, vocabulary: Vocabulary) -> Qwen3VLProcessor:
    """Make the processor of an architecture and a vocabulary."""
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
            # The limit of a clip counts the pixels of all frames, so each frame gets a limit too.
            size={"shortest_edge": smallest * FRAMES_TOGETHER, "longest_edge": largest * _LONGEST_CLIP},
            cap_pixels_per_frame=True,
            max_video_tokens=largest // smallest,
            **shape,
        ),
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
    )
