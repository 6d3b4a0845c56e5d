"""Recollect as a model of lmms-eval, which scores it with its own tasks, parsers and tables.

    lmms-eval eval --model recollect --model_args memory=run --tasks videomme --log_samples --output_path out
    lmms-eval eval --model recollect_replay --model_args predictions=run --tasks videomme --output_path again

lmms-eval finds ``manifests`` by an entry point and loads ``lmms_models``, the only module that imports lmms-eval. The
other modules parse requests (``eval_requests``, ``prompt_parsing``), answer them with the evaluation runner
(``answering``) and find stored answers (``stored_answers``).
"""

from __future__ import annotations

from .registration import manifests

__all__ = ["manifests"]
