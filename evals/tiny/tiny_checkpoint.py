"""Checkpoint folders that transformers and vLLM load without further files.

build_checkpoint(Path("tiny"), seed=1)                  # a complete one with random weights
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
    """Make a checkpoint with random weights, and return its number of parameters.

    Args:
        folder: The folder to write.
        seed: The same seed gives the same weights.
        texts: Texts from which the vocabulary is learnt.
        architecture: The sizes; None takes the default ones.

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
    """Write a model, its vocabulary and its processors into a folder."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
