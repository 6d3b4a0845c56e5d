"""Makes of samples what the model is trained on: token numbers, patches of pictures, and what to learn.

    encoder = Encoder(Architecture(), vocabulary)
    batch = encoder.batch([encoder.encode(sample) for sample in samples])

It does what the checkpoint's own processor does with the same messages, token for token, without its cost.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...perception.lmm.wire import request_body
from .architecture import FRAMES_TOGETHER, MERGED, Architecture
from .processing import CHAT_TEMPLATE
from .tasks import Sample
from .vocabulary import CLIP, PICTURE, TURN_END, VISION_END, VISION_START, Vocabulary

if TYPE_CHECKING:
    import torch

_Patches = NDArray[np.float32]
_NOTHING = -100
"""Where nothing is to be learnt."""
_READ_SHARE = 0.25
"""Of the words of prompts, so many are to be foretold."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample as numbers."""

    tokens: NDArray[np.int64]
    prompt_tokens: int
    """So many come before the reply."""
    pictures: list[_Patches]
    clips: list[_Patches]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of about one length, as the model takes them."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    """The next token wherever it belongs to a reply, else -100."""
    read: torch.Tensor
    """The next token at some places of the prompts' words, else -100."""

    def to(self, device: str) -> Batch:
        """The same on another device."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}
        labels, read = (each.to(device, non_blocking=True) for each in (self.labels, self.read))
        return Batch(moved, labels, read)


class Encoder:
    """Encodes samples for one architecture and vocabulary; pictures are all taken to be 16:9."""

    def __init__(self, architecture: Architecture, vocabulary: Vocabulary) -> None:
        self._architecture = architecture
        self._vocabulary = vocabulary
        self._template = CHAT_TEMPLATE.read_text(encoding="utf-8")
        # The largest picture of 16:9 in whole cells.
        scale = architecture.picture_px / (9 * 16) ** 0.5
        self._rows, self._columns = (int(side * scale / architecture.cell_px + 1e-6) for side in (9, 16))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches in a picture."""
        return self._rows * MERGED, self._columns * MERGED

    def encode(self, sample: Sample, *, as_clip: bool = True) -> Encoded:
        """One sample, its clip sent as a clip or as pictures."""
        body = request_body(sample.prompt, type(sample.reply), as_clip=as_clip)
        pictures: list[_Patches] = []
        clips: list[_Patches] = []
        blocks: list[str] = []
        for part in media_of(body["messages"]):
            frames = [self._resized(jpeg) for jpeg in part.jpegs]
            if part.is_clip:
                clips.append(self._patches(frames))
                times_s = _times(body, len(frames))
                blocks.append("".join(self._block(CLIP, f"<{time_s:.1f} seconds>") for time_s in times_s))
            else:
                pictures.append(self._patches(frames * FRAMES_TOGETHER))
                blocks.append(PICTURE * (self._rows * self._columns))
        text = self._conversation(body["messages"])
        at = iter(blocks)
        text = re.sub(f"{re.escape(PICTURE)}|{re.escape(CLIP)}", lambda _: next(at), text)
        tokenizer = self._vocabulary.tokenizer
        prompt = tokenizer.encode(text, add_special_tokens=False)
        reply = tokenizer.encode(sample.said + TURN_END, add_special_tokens=False)
        return Encoded(np.array(prompt + reply, np.int64), len(prompt), pictures, clips)

    def batch(self, samples: Sequence[Encoded]) -> Batch:
        """Several samples beside one another, filled up to the longest."""
        import torch  # noqa: PLC0415

        longest = max(len(sample.tokens) for sample in samples)
        tokens = np.full((len(samples), longest), self._vocabulary.padding, np.int64)
        attended = np.zeros_like(tokens)
        labels, read = np.full_like(tokens, _NOTHING), np.full_like(tokens, _NOTHING)
        for row, sample in enumerate(samples):
            length = len(sample.tokens)
            tokens[row, :length], attended[row, :length] = sample.tokens, 1
            labels[row, sample.prompt_tokens - 1 : length - 1] = sample.tokens[sample.prompt_tokens :]
            places = self._words_of(sample)
            read[row, places - 1] = sample.tokens[places]
        kinds = np.where(
            tokens == self._vocabulary.picture, 1, np.where(tokens == self._vocabulary.clip, 2, 0)
        )
        inputs = {"input_ids": tokens, "attention_mask": attended, "mm_token_type_ids": kinds}
        found: dict[str, Any] = {name: torch.from_numpy(array) for name, array in inputs.items()}
        for name, grid_name, each in (
            ("pixel_values", "image_grid_thw", [part for sample in samples for part in sample.pictures]),
            ("pixel_values_videos", "video_grid_thw", [part for sample in samples for part in sample.clips]),
        ):
            if each:
                found[name] = torch.from_numpy(np.concatenate(each))
                rows, columns = self.grid
                found[grid_name] = torch.tensor(
                    [[len(part) // (rows * columns), rows, columns] for part in each]
                )
        return Batch(found, torch.from_numpy(labels), torch.from_numpy(read))

    def _words_of(self, sample: Encoded) -> NDArray[np.int64]:
        """Where some of the words of a prompt stand: a quarter of them, always the same."""
        prompt = sample.tokens[1 : sample.prompt_tokens]
        seen = (self._vocabulary.picture, self._vocabulary.clip)
        words = np.flatnonzero(~np.isin(prompt, seen)) + 1
        chosen = np.random.default_rng(int(sample.tokens.sum())).random(len(words)) < _READ_SHARE
        return words[chosen]

    def _block(self, marker: str, before: str) -> str:
        return f"{before}{VISION_START}{marker * (self._rows * self._columns)}{VISION_END}"

    def _conversation(self, messages: Sequence[dict[str, Any]]) -> str:
        plain = [
            {**message, "content": [named(part) for part in message["content"]]}
            if isinstance(message["content"], list)
            else message
            for message in messages
        ]
        text = self._vocabulary.tokenizer.apply_chat_template(
            plain, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        assert isinstance(text, str)
        return text

    def _resized(self, jpeg: bytes) -> NDArray[np.uint8]:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        size = (self._columns * self._architecture.cell_px, self._rows * self._architecture.cell_px)
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[:, :, ::-1], np.uint8)

    def _patches(self, frames: Sequence[NDArray[np.uint8]]) -> _Patches:
        """Frames, two of them together, as rows of patches in the order in which the model merges them."""
        if len(frames) % FRAMES_TOGETHER:
            frames = [*frames, frames[-1]]
        side = self._architecture.patch_px
        pixels = np.stack(frames).astype(np.float32) / 127.5 - 1
        cells = pixels.reshape(-1, FRAMES_TOGETHER, self._rows, MERGED, side, self._columns, MERGED, side, 3)
        ordered = cells.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
        return np.ascontiguousarray(ordered).reshape(-1, 3 * FRAMES_TOGETHER * side * side)


@dataclass(frozen=True, slots=True)
class Medium:
    """A picture or a clip in a message."""

    jpegs: list[bytes]
    is_clip: bool


def media_of(messages: Sequence[dict[str, Any]]) -> Iterator[Medium]:
    """The pictures and clips of messages, in order."""
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else ():
            for kind, is_clip in (("image_url", False), ("video_url", True)):
                if part["type"] == kind:
                    _, _, data = part[kind]["url"].partition(",")
                    yield Medium([base64.b64decode(each) for each in data.split(",")], is_clip)


def named(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a message as chat templates know it."""
    return part if part["type"] == "text" else {"type": part["type"].removesuffix("_url")}


def _times(body: dict[str, Any], frames: int) -> list[float]:
    """The time said before each two frames of the clip: the middle of theirs."""
    told = body["extra_body"]["media_io_kwargs"]["video"]
    times_s = [number / told["fps"] for number in told["frames_indices"]]
    if frames % FRAMES_TOGETHER:
        times_s.append(times_s[-1])
    return [(first + second) / 2 for first, second in zip(times_s[::2], times_s[1::2], strict=True)]
