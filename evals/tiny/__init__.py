"""``recollect-tiny``: a video LMM of our own, small enough for tests and demos on any machine.

    build_checkpoint(Path("tiny"), texts=["A red square enters."], seed=1)   # weights by chance

What it is (``architecture``), how it reads and writes (``vocabulary``), how it sees (``processing``)
and how it is kept (``checkpoint``) are apart from its weights, so that these can come from training.
Torch, transformers and tokenizers, which the extra ``tiny`` brings, are loaded when a function is called.
"""

from __future__ import annotations

from .architecture import Architecture, new_model
from .processing import new_processor
from .tiny_checkpoint import build_checkpoint, save_checkpoint
from .vocabulary import Vocabulary, learn_vocabulary

__all__ = [
    "Architecture",
    "Vocabulary",
    "build_checkpoint",
    "learn_vocabulary",
    "new_model",
    "new_processor",
    "save_checkpoint",
]
