"""Training code of ``recollect-tiny``, a video LMM small enough for tests and demos on any machine.

    build_checkpoint(Path("tiny"), texts=["A red square enters."], seed=1)   # random weights

The modules ``architecture``, ``vocabulary``, ``processing`` and ``tiny_checkpoint`` make a model without training.
``train`` trains it on the samples of ``tasks``, and ``scores`` scores it. The functions load torch, transformers and
tokenizers, which the extra ``tiny`` installs. This package is not part of the wheel.
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
