"""Recollect as a model of lmms-eval, which scores it with its own tasks, parsers and tables.

    lmms-eval eval --model recollect --model_args memory=run --tasks videomme --log_samples --output_path out
    lmms-eval eval --model recollect_replay --model_args predictions=run --tasks videomme --output_path again

lmms-eval finds ``manifests`` by an entry point. It is imported by ``models`` alone, and that by lmms-eval: the rest reads
requests (``requests``, ``prompt``), has our own runner answer them (``answering``) and finds stored answers (``stored``).
"""

from __future__ import annotations

from .registration import manifests

__all__ = ["manifests"]
