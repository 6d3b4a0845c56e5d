"""A folder that transformers and vLLM load as it is, with nothing from elsewhere.

build_checkpoint(Path("tiny"), seed=1)                  # a whole one, with weights by chance
save_checkpoint(Path("tiny"), trained_model, processor)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .architecture import Architecture, new_model
from .processing import new_processor
from .vocabulary import learn_vocabulary

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor


def build_checkpoint(
    folder: Path, *, seed: int, texts: Iterable[str] = (), architecture: Architecture | None = None
) -> int:
    """Make one from nothing, with weights by chance, and return how many parameters it has.

    Args:
        folder: Where it is put.
        seed: The same one gives the same weights.
        texts: What its vocabulary is learnt from.
        architecture: Its sizes; None takes the usual ones.

    """
    architecture = architecture or Architecture()
    vocabulary = learn_vocabulary(texts)
    model = new_model(architecture, vocabulary, seed=seed)
    save_checkpoint(folder, model, new_processor(architecture, vocabulary))
    parameters: int = model.num_parameters()
    return parameters


def save_checkpoint(
    folder: Path, model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor
) -> None:
    """Write the model, its vocabulary and its processors."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
