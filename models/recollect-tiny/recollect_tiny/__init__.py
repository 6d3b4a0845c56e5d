"""The weights of recollect-tiny, a video LMM for tests and demos of Recollect.

    path() / "config.json"

``path()`` is a checkpoint folder that transformers and vLLM load. This package has no dependencies.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["path"]


def path() -> Path:
    """Return the folder of the checkpoint: configuration, weights, tokenizer, scores and model card."""
    return Path(__file__).with_name("weights")
