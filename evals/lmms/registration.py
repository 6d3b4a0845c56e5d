"""Registration of the models with lmms-eval, before lmms-eval loads any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

MODEL_CLASSES = {
    "recollect": f"{__package__}.lmms_models.WatchingModel",
    "recollect_replay": f"{__package__}.lmms_models.ReplayingModel",
}
"""The import path of each model's class, by the name of the model in lmms-eval."""


def manifests() -> list[ModelManifest]:
    """The models in the form of lmms-eval's registry."""
    from lmms_eval.models.registry_v2 import ModelManifest  # noqa: PLC0415 - only lmms-eval calls this

    return [ModelManifest(model_id=name, chat_class_path=path) for name, path in MODEL_CLASSES.items()]
