"""Hub checkpoint: the files of an image-text model on this machine, with its name and vector length.

    checkpoint = Checkpoint.find("google/siglip2-base-patch16-224")   # downloaded once, or a folder
    checkpoint.name, checkpoint.dim                                   # ("siglip2-base-…@5f0c…", 768)

It reads small files and samples of large ones, and loads no model.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import EncoderNotInstalled, EncoderUnusable

KINDS = ("siglip", "siglip2")
"""The model types of transformers. Most SigLIP 2 checkpoints have the first."""
FILES = ("*.json", "*.model", "*.safetensors")
"""The files of a checkpoint that are needed, and that its digest is made of."""
_USUAL_DIM = 768
"""The vector length of the base model, used if the configuration does not state one."""
_WHOLE_BYTES = 8 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """An image-text model in a folder."""

    folder: Path
    name: str
    """The model's name with a digest of its configuration and of samples of its weights."""
    dim: int
    """The length of its vectors according to its configuration."""

    @classmethod
    def find(cls, model: str) -> HubCheckpoint:
        """The checkpoint in the folder ``model``, or on the hub under that name, downloaded at the first use.

        Raises ``EncoderUnusable`` or ``EncoderNotInstalled``.
        """
        folder = Path(model).expanduser()
        if not folder.is_dir():
            folder = _from_hub(model)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            kind = config.get("model_type")
            dim = int(config.get("vision_config", {}).get("hidden_size", _USUAL_DIM))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise EncoderUnusable(model, f"its config.json cannot be read ({error})") from None
        if kind not in KINDS:
            raise EncoderUnusable(model, f"it is a model of the kind {kind!r}")
        name = model.rstrip("/").rpartition("/")[2] or folder.resolve().name
        return cls(folder, f"{name}@{_digest(folder)}", dim)


def _from_hub(model: str) -> Path:
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise EncoderUnusable(model, "there is no such folder")
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        raise EncoderNotInstalled(model, "transformers") from None
    try:
        # A downloaded model is used as it is: opening a memory must not wait for a network, and the vectors
        # of a newer model could not be compared with those in the memory.
        return Path(snapshot_download(model, allow_patterns=list(FILES), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        return Path(snapshot_download(model, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderUnusable(model, f"it cannot be downloaded ({error})") from None


def _digest(folder: Path) -> str:
    """12 hex digits: equal for copies of a checkpoint, different for another checkpoint."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            if size <= _WHOLE_BYTES:
                digest.update(content.read())
                continue
            # Weights are gigabytes. Training changes them everywhere, so samples are enough.
            for sample in range(_SAMPLES):
                content.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1), os.SEEK_SET)
                digest.update(content.read(_SAMPLE_BYTES))
    return digest.hexdigest()
