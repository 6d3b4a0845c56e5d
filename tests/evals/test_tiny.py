"""The untrained tiny LMM: its size, its vocabulary, and that transformers loads it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

LOADED = """
import json, sys
from transformers import AutoModelForImageTextToText, AutoProcessor
from PIL import Image

folder = sys.argv[1]
processor, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
said = "A kettle boils at 12:45 – “naïve” 茶\\n"
picture = {"type": "image", "image": Image.new("RGB", (640, 360), "red")}
turns = [{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}]
seen = processor.apply_chat_template(
    turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
)
reply = model.generate(**seen, max_new_tokens=5)
read = processor.tokenizer(said)["input_ids"]
print(json.dumps({
    "parameters": model.num_parameters(),
    "unchanged": processor.tokenizer.decode(read) == said,
    "pieces": processor.tokenizer.convert_ids_to_tokens(processor.tokenizer("1234")["input_ids"]),
    "prompt": processor.tokenizer.decode(seen["input_ids"][0]),
    "said": len(reply[0]) - len(seen["input_ids"][0]),
}))
"""


@pytest.fixture(scope="module")
def loaded(serving_python: Path, tiny_checkpoint: Path) -> dict[str, Any]:
    """What transformers makes of the checkpoint, with no network to fetch anything from."""
    done = subprocess.run(
        [serving_python, "-P", "-c", LOADED, tiny_checkpoint],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_tiny(loaded):
    assert 1.7e6 < loaded["parameters"] < 1.9e6


def test_any_text_can_be_encoded_and_digits_are_single_tokens(loaded):
    assert loaded["unchanged"]
    assert loaded["pieces"] == ["1", "2", "3", "4"]


def test_a_picture_is_a_few_tokens_between_markers(loaded):
    picture = "<|vision_start|>" + "<|image_pad|>" * 15 + "<|vision_end|>"

    assert loaded["prompt"] == (f"<|im_start|>user\n{picture}What is it?<|im_end|>\n<|im_start|>assistant\n")


def test_it_generates_tokens(loaded):
    assert loaded["said"] == 5


def test_the_same_seed_makes_the_same_checkpoint(serving_python, tiny_checkpoint, tmp_path):
    again = "from recollect.evals.tiny import build_checkpoint; from pathlib import Path; import sys;" \
        "build_checkpoint(Path(sys.argv[1]), seed=1, texts=[Path(sys.argv[2]).read_text()]);" \
        "build_checkpoint(Path(sys.argv[3]), seed=2, texts=[Path(sys.argv[2]).read_text()])"  # fmt: skip
    readme = Path(__file__).parents[2] / "README.md"

    subprocess.run(
        [serving_python, "-P", "-c", again, tmp_path / "same", readme, tmp_path / "other"],
        check=True,
        capture_output=True,
    )

    files = {file.name: file.read_bytes() for file in tiny_checkpoint.iterdir()}
    same = {file.name: file.read_bytes() for file in (tmp_path / "same").iterdir()}
    other = {file.name: file.read_bytes() for file in (tmp_path / "other").iterdir()}
    assert same == files
    assert {name for name in files if other[name] != files[name]} == {"model.safetensors"}
