"""A model's files on this machine: where they are, which model they are, and how long its vectors are.

    checkpoint = Checkpoint.find("google/siglip2-base-patch16-224")   # downloaded once, or a folder
    checkpoint.name, checkpoint.dim                                   # ("siglip2-base-…@5f0c…", 768)

Reads small files and samples of large ones; loads no model.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import EncoderNotInstalled, EncoderUnusable

KINDS = ("siglip", "siglip2")
"""The kinds of model, as transformers calls them; most SigLIP 2 checkpoints are of the first kind."""
FILES = ("*.json", "*.model", "*.safetensors")
"""What is needed of a checkpoint, and what it is told from others by."""
_USUAL_DIM = 768
"""Where the configuration leaves the width out, it is that of the base model."""
_WHOLE_BYTES = 8 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """An image–text model in a folder."""

    folder: Path
    name: str
    """What the model is called, and a digest of its configuration and of samples of its weights."""
    dim: int
    """How many numbers its vectors have, as its configuration says."""

    @classmethod
    def find(cls, model: str) -> HubCheckpoint:
        """The checkpoint in the folder ``model``, or of that name on the hub, downloaded at the first use.

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
        called = model.rstrip("/").rpartition("/")[2] or folder.resolve().name
        return cls(folder, f"{called}@{_digest(folder)}", dim)


def _from_hub(model: str) -> Path:
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise EncoderUnusable(model, "there is no such folder")
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        raise EncoderNotInstalled(model, "transformers") from None
    try:
        # What was downloaded once is used as it is: opening a memory must not wait for a network,
        # and a model that changes under its memory would make vectors that cannot be compared.
        return Path(snapshot_download(model, allow_patterns=list(FILES), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        return Path(snapshot_download(model, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderUnusable(model, f"it cannot be downloaded ({error})") from None


def _digest(folder: Path) -> str:
    """12 hex digits: the same for copies of a checkpoint, others for another one of the same shape."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as content:
            if size <= _WHOLE_BYTES:
                digest.update(content.read())
                continue
            # Weights are gigabytes; training changes them everywhere, so samples tell.
            for sample in range(_SAMPLES):
                content.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1), os.SEEK_SET)
                digest.update(content.read(_SAMPLE_BYTES))
    return digest.hexdigest()
