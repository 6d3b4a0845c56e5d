"""SigLIP encoder: an image-text model that encodes pictures and texts in one vector space.

    encoder = SiglipEncoder("google/siglip2-base-patch16-224")
    encoder.encode_images([jpeg]) @ encoder.encode_texts(["a kettle on a stove"]).T

It runs SigLIP and SigLIP 2, with a fixed picture size or in the picture's own proportions (NaFlex), from
a folder or from the hub, with transformers. Weights have single precision, so that vectors made on a GPU
can be compared with vectors made on a CPU. Torch is loaded at the first use.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...memory.encoder import Vectors
from ..errors import EncoderNotInstalled, EncoderUnusable
from .hub_checkpoint import HubCheckpoint

BATCH = 16
"""Pictures or texts in one pass through the model. A larger batch is hardly faster and needs more RAM."""


class SiglipEncoder:
    """Encodes with a SigLIP or SigLIP 2 checkpoint. May be used from several threads.

    Args:
        model: A folder, or a name on the Hugging Face hub, downloaded at the first use.
        device: A device of torch (``cpu``, ``cuda``, ``cuda:1``). ``auto`` uses a GPU if one is available.

    Every property and method raises ``EncoderError`` if the model or its libraries are missing.
    """

    def __init__(self, model: str, *, device: str = "auto") -> None:
        self._model = model
        self._device = device
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @cached_property
    def _checkpoint(self) -> HubCheckpoint:
        return HubCheckpoint.find(self._model)

    @property
    def model(self) -> str:
        """The folder, or the name on the hub, that was given."""
        return self._model

    @property
    def device(self) -> str:
        """The device that was given, or ``auto``."""
        return self._device

    @property
    def name(self) -> str:
        """The model's name with a digest of its files. Other weights have another name."""
        return self._checkpoint.name

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._checkpoint.dim

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One unit vector per text. The model reads about the first 60 tokens of each."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), BATCH):
            vectors[start : start + BATCH] = self._ready().of_texts(texts[start : start + BATCH])
        return vectors

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """One unit vector per picture, or zeros for a picture that cannot be read."""
        vectors = np.zeros((len(jpegs), self.dim), np.float32)
        for start in range(0, len(jpegs), BATCH):
            # A decoded picture takes megabytes, so one batch is decoded at a time.
            batch = jpegs[start : start + BATCH]
            decoded = [(start + row, _picture(jpeg)) for row, jpeg in enumerate(batch)]
            pictures = {row: picture for row, picture in decoded if picture is not None}
            if pictures:
                vectors[list(pictures)] = self._ready().of_pictures(list(pictures.values()))
        return vectors

    def _ready(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._model, self._checkpoint, self._device)
            return self._loaded


@dataclass(frozen=True)
class _Loaded:
    """The model with its tokenizer and image processor."""

    torch: Any
    model: Any
    tokenizer: Any
    image_processor: Any
    device: Any
    text_tokens: int

    def of_texts(self, texts: list[str]) -> Vectors:
        # As in training: lower case, an end token, padded on the right to the full length, with attention to
        # the padding. The vector is read at the last token, so any other input gives another vector. The end
        # token is added here, because whether the tokenizer adds it depends on the version of transformers.
        token_lists = self.tokenizer(
            [text.lower() for text in texts],
            add_special_tokens=False,
            truncation=True,
            max_length=self.text_tokens - 1,
        )["input_ids"]
        ids = self.torch.full((len(texts), self.text_tokens), self.tokenizer.pad_token_id)
        for row, tokens in enumerate(token_lists):
            ids[row, : len(tokens) + 1] = self.torch.tensor([*tokens, self.tokenizer.eos_token_id])
        return self._features(self.model.get_text_features, {"input_ids": ids})

    def of_pictures(self, pictures: list[Any]) -> Vectors:
        return self._features(
            self.model.get_image_features, self.image_processor(pictures, return_tensors="pt")
        )

    def _features(self, tower: Any, inputs: Any) -> Vectors:
        with self.torch.inference_mode():
            features = tower(**{name: value.to(self.device) for name, value in inputs.items()})
            unit = self.torch.nn.functional.normalize(features.pooler_output.float(), dim=-1)
            vectors: Vectors = unit.cpu().numpy()
        return vectors


def _load(model: str, checkpoint: HubCheckpoint, device: str) -> _Loaded:
    """Raises ``EncoderNotInstalled`` or ``EncoderUnusable``."""
    for library in ("torch", "transformers"):
        try:
            __import__(library)
        except ImportError:
            raise EncoderNotInstalled(model, library) from None
    import torch  # noqa: PLC0415 - takes seconds
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer  # noqa: PLC0415

    folder = str(checkpoint.folder)
    try:
        torch_device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        )
        with _quiet():
            network = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        loaded = _Loaded(
            torch=torch,
            model=network.eval().to(torch_device),
            tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            # The other backend needs torchvision and resizes differently.
            image_processor=AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True),
            device=torch_device,
            text_tokens=int(network.config.text_config.max_position_embeddings),
        )
        (vector,) = loaded.of_texts([""])
    except Exception as error:
        # The libraries raise many types of errors for a broken folder or device. Their message helps the user.
        raise EncoderUnusable(model, str(error) or type(error).__name__) from error
    if len(vector) != checkpoint.dim:
        raise EncoderUnusable(model, f"its vectors have {len(vector)} numbers, not {checkpoint.dim}")
    return loaded


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing a progress bar over the caller's output."""
    from transformers.utils import logging  # noqa: PLC0415

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _picture(jpeg: bytes) -> Any | None:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only encoding needs it

    try:
        with Image.open(io.BytesIO(jpeg)) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        return None
