"""Cost of encoding key frames, compared with the bare forward pass of the same model.

    python benchmarks/vectors.py [--model google/siglip2-base-patch16-224] [--pictures 32] [--repeats 3]

The baseline is the model's picture tower on prepared pixels, in batches of the same size. Encoding is all of
``SiglipEncoder.encode_images``, from JPEGs as the memory stores them (1280×720). Both are measured in the same run, in
wall-clock time. Repeats are interleaved, and the median of each is reported. Without ``--model``, the model has random
weights in the shape of SigLIP 2 base (patches of 16 pixels, pictures of 224), which cost the same as trained ones.
Needs the extra ``vision``.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recollect.perception.stages.key_frames import encode_jpeg
from recollect.perception.vision.siglip import BATCH, SiglipEncoder


def random_checkpoint(folder: Path) -> Path:
    """The picture tower of SigLIP 2 base, a text tower of one layer, and a tokenizer of digits."""
    import transformers as hf
    from tokenizers import Tokenizer, models

    towers = {
        "text_config": {"vocab_size": 16, "num_hidden_layers": 1, "bos_token_id": 1, "eos_token_id": 1},
        "vision_config": {"image_size": 224, "patch_size": 16},
    }
    hf.SiglipModel(hf.SiglipConfig(**towers)).save_pretrained(folder)
    hf.SiglipImageProcessorPil().save_pretrained(folder)
    words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *"0123456789"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def random_jpegs(count: int) -> list[bytes]:
    """Random JPEGs with about the size of a camera's pictures."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (count, 45, 80, 3), np.uint8)
    return [encode_jpeg(np.kron(picture, np.ones((16, 16, 1), np.uint8)))[0] for picture in coarse]


def bare_forward(encoder: SiglipEncoder, jpegs: list[bytes]) -> Callable[[], None]:
    """The picture tower alone, on the pixels of these pictures."""
    import torch

    loaded = encoder._ready()
    batches: list[Any] = []
    for start in range(0, len(jpegs), BATCH):
        pictures = [Image.open(io.BytesIO(jpeg)) for jpeg in jpegs[start : start + BATCH]]
        prepared = loaded.image_processor(pictures, return_tensors="pt")
        batches.append({name: value.to(loaded.device) for name, value in prepared.items()})

    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                loaded.model.get_image_features(**batch).pooler_output.cpu()

    return run


def wall_s(run: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    run()
    return time.perf_counter() - start_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if not all(find_spec(library) for library in ("torch", "transformers")):
        print("skipped: the extra `vision` is not installed")
        sys.exit()
    jpegs = random_jpegs(arguments.pictures)
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or str(random_checkpoint(Path(folder)))
        encoder = SiglipEncoder(model, device=arguments.device)
        loading_s = wall_s(encoder._ready)
        bare = bare_forward(encoder, jpegs)
        bare()
        times = [
            (wall_s(bare), wall_s(lambda: encoder.encode_images(jpegs))) for _ in range(arguments.repeats)
        ]
    bare_s, encode_s = (statistics.median(column) for column in zip(*times, strict=True))
    kilobytes = sum(map(len, jpegs)) / len(jpegs) / 1000
    print(f"{len(jpegs)} JPEGs of 1280×720, {kilobytes:.0f} kB each; the model loads in {loading_s:.1f} s")
    print(f"bare forward pass  {len(jpegs) / bare_s:8.2f} pictures/s")
    print(f"encode_images      {len(jpegs) / encode_s:8.2f} pictures/s, {encode_s / bare_s:.2f}× the time")


if __name__ == "__main__":
    main()
