"""What lmms-eval is told of the models here, before any of them is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

_MODELS = f"{__package__}.models"


def manifests() -> list[ModelManifest]:
    """The two models, as lmms-eval's registry takes them."""
    from lmms_eval.models.registry_v2 import ModelManifest  # noqa: PLC0415 - it is there when it asks

    return [
        ModelManifest(model_id="recollect", chat_class_path=f"{_MODELS}.Watching"),
        ModelManifest(model_id="recollect_replay", chat_class_path=f"{_MODELS}.Replaying"),
    ]
