"""An image–text model of the SigLIP family as an encoder: pictures and words in one space.

    encoder = SiglipEncoder("google/siglip2-base-patch16-224")
    encoder.encode_images([jpeg]) @ encoder.encode_texts(["a kettle on a stove"]).T

SigLIP and SigLIP 2, at a fixed size of picture or in its own proportions (NaFlex), from a folder or
from the hub, through transformers; with the weights in single precision, so that what a GPU encoded
can be asked for on a CPU. Torch is loaded when something is first encoded.
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
"""Pictures, or texts, in one pass through the model; more gains little and costs RAM."""


class SiglipEncoder:
    """Vectors made by a SigLIP or SigLIP 2 checkpoint. May be used from several threads.

    Args:
        model: A folder, or a name on the Hugging Face hub, downloaded at the first use.
        device: Where it runs, as torch calls it (``cpu``, ``cuda``, ``cuda:1``); ``auto`` takes a GPU
            if there is one.

    Every property and method raises ``EncoderError`` where the model or its libraries are missing.
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
    def name(self) -> str:
        """Model and digest of its files: other weights have another name."""
        return self._checkpoint.name

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self._checkpoint.dim

    def encode_texts(self, texts: list[str]) -> Vectors:
        """One unit vector per text. The model reads about the first 60 tokens of each."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for at in range(0, len(texts), BATCH):
            vectors[at : at + BATCH] = self._ready().of_texts(texts[at : at + BATCH])
        return vectors

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """One unit vector per picture; zeros for one that cannot be read."""
        vectors = np.zeros((len(jpegs), self.dim), np.float32)
        for at in range(0, len(jpegs), BATCH):
            # A picture takes megabytes when decoded: a batch at a time.
            decoded = [(at + row, _picture(jpeg)) for row, jpeg in enumerate(jpegs[at : at + BATCH])]
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
    """The model and what prepares its input."""

    torch: Any
    model: Any
    tokenizer: Any
    image_processor: Any
    device: Any
    text_tokens: int

    def of_texts(self, texts: list[str]) -> Vectors:
        # As it was trained: lower case, an end token, always padded to the full length on the right,
        # padding attended to. The vector is read at the last token, so anything else makes another one.
        # The end token is put there by hand: whether a tokenizer adds it depends on transformers' version.
        words = self.tokenizer(
            [text.lower() for text in texts],
            add_special_tokens=False,
            truncation=True,
            max_length=self.text_tokens - 1,
        )["input_ids"]
        ids = self.torch.full((len(texts), self.text_tokens), self.tokenizer.pad_token_id)
        for row, tokens in enumerate(words):
            ids[row, : len(tokens) + 1] = self.torch.tensor([*tokens, self.tokenizer.eos_token_id])
        return self._features(self.model.get_text_features, {"input_ids": ids})

    def of_pictures(self, pictures: list[Any]) -> Vectors:
        return self._features(
            self.model.get_image_features, self.image_processor(pictures, return_tensors="pt")
        )

    def _features(self, tower: Any, inputs: Any) -> Vectors:
        with self.torch.inference_mode():
            found = tower(**{name: value.to(self.device) for name, value in inputs.items()})
            unit = self.torch.nn.functional.normalize(found.pooler_output.float(), dim=-1)
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
        where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        with _quiet():
            network = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        loaded = _Loaded(
            torch=torch,
            model=network.eval().to(where),
            tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            # The other backend needs torchvision, and resizes in another way.
            image_processor=AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True),
            device=where,
            text_tokens=int(network.config.text_config.max_position_embeddings),
        )
        (vector,) = loaded.of_texts([""])
    except Exception as error:
        # Whatever the libraries find wrong with a folder or a device is what the user needs to hear.
        raise EncoderUnusable(model, str(error) or type(error).__name__) from error
    if len(vector) != checkpoint.dim:
        raise EncoderUnusable(model, f"its vectors have {len(vector)} numbers, not {checkpoint.dim}")
    return loaded


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing a progress bar over whatever its caller prints."""
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
