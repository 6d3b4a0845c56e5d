"""Training batches: encodes samples as token ids, patches of pictures, and labels.

    encoder = SampleEncoder(Architecture(), vocabulary)
    batch = encoder.batch([encoder.encode(samples) for samples in groups])

The result equals that of the checkpoint's own processor, token for token, at a lower cost. Samples that share their
evidence are one row: their common beginning, then a branch for each sample. A branch attends to the common beginning
and to itself only. So eight questions about the same moments cost little more than one.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...perception.lmm.chat_format import request_body
from ...perception.lmm.dialect import Dialect
from .architecture import FRAMES_TOGETHER, MERGED, Architecture
from .processing import CHAT_TEMPLATE
from .tasks import TrainingSample
from .vocabulary import CLIP, PICTURE, TURN_END, VISION_END, VISION_START, Vocabulary

if TYPE_CHECKING:
    import torch

_Patches = NDArray[np.float32]
_NOTHING = -100
"""The label of a token without loss."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The position of one sample in a row, after the part that all samples share."""

    begin: int
    reply: int
    end: int


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """Encoded samples that share their evidence: a row of a batch."""

    tokens: NDArray[np.int64]
    """The common beginning, then the rest of each sample."""
    branches: list[Branch]
    pictures: list[_Patches]
    clips: list[_Patches]

    @property
    def shared(self) -> int:
        """The number of tokens in the common beginning."""
        return self.branches[0].begin


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of similar length, as input of the model."""

    inputs: dict[str, torch.Tensor]
    branches: torch.Tensor
    """The branch of each token, from 1 on; 0 for the common beginning, -1 for padding."""
    back: torch.Tensor
    """The shift of each token's position, so that every branch follows the common beginning directly."""
    labels: torch.Tensor
    """The next token if it belongs to a reply, else -100."""
    samples: int

    def to(self, device: str) -> Batch:
        """The same batch on another device."""

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, non_blocking=True)

        return Batch(
            {name: moved(tensor) for name, tensor in self.inputs.items()},
            branches=moved(self.branches),
            back=moved(self.back),
            labels=moved(self.labels),
            samples=self.samples,
        )

    @property
    def attention_mask(self) -> torch.Tensor:
        """For each token, the tokens (last dimension) it attends to: earlier ones of the beginning or its branch."""
        key_branches, query_branches = self.branches[:, None, None, :], self.branches[:, None, :, None]
        return ((key_branches == 0) | (key_branches == query_branches)).tril()


class SampleEncoder:
    """Encodes samples for one architecture and vocabulary. All pictures are assumed to be 16:9."""

    def __init__(self, architecture: Architecture, vocabulary: Vocabulary) -> None:
        self._architecture = architecture
        self.vocabulary = vocabulary
        self._template = CHAT_TEMPLATE.read_text(encoding="utf-8")
        # The largest 16:9 picture in whole cells.
        scale = architecture.picture_px / (9 * 16) ** 0.5
        self._rows, self._columns = (int(side * scale / architecture.cell_px + 1e-6) for side in (9, 16))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches in a picture."""
        return self._rows * MERGED, self._columns * MERGED

    def encode(self, samples: Sequence[TrainingSample], *, as_clip: bool = True) -> EncodedSample:
        """Encode samples that share their evidence, with clips as clips or as pictures."""
        body = request_body(samples[0].prompt, type(samples[0].reply), Dialect(clips=as_clip))
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
        prompts, replies = zip(
            *(self._read(sample, blocks, as_clip=as_clip) for sample in samples), strict=True
        )
        # The last token of each prompt stays in its branch, because it predicts the first token of the reply.
        same = (len(set(tokens)) == 1 for tokens in zip(*(prompt[:-1] for prompt in prompts), strict=False))
        shared = sum(1 for _ in itertools.takewhile(bool, same))
        tokens, branches = list(prompts[0][:shared]), []
        for prompt, reply in zip(prompts, replies, strict=True):
            begin = len(tokens)
            tokens += prompt[shared:] + reply
            branches.append(Branch(begin, begin + len(prompt) - shared, len(tokens)))
        return EncodedSample(np.array(tokens, np.int64), branches, pictures, clips)

    def _read(
        self, sample: TrainingSample, blocks: Sequence[str], *, as_clip: bool
    ) -> tuple[list[int], list[int]]:
        """The tokens of a prompt, with its picture tokens, and those of the reply."""
        messages = request_body(sample.prompt, type(sample.reply), Dialect(clips=as_clip))["messages"]
        block = iter(blocks)
        text = re.sub(
            f"{re.escape(PICTURE)}|{re.escape(CLIP)}", lambda _: next(block), self._conversation(messages)
        )
        prompt, reply = (
            self.vocabulary.tokenizer.encode(part_text, add_special_tokens=False)
            for part_text in (text, sample.said + TURN_END)
        )
        return prompt, reply

    def batch(self, rows: Sequence[EncodedSample]) -> Batch:
        """A batch of rows, padded to the longest."""
        import torch  # noqa: PLC0415

        size = (len(rows), max(len(row.tokens) for row in rows))
        tokens = np.full(size, self.vocabulary.padding, np.int64)
        branches, back = np.full(size, -1, np.int64), np.zeros(size, np.int64)
        labels = np.full(size, _NOTHING, np.int64)
        for number, row in enumerate(rows):
            tokens[number, : len(row.tokens)] = row.tokens
            branches[number, : row.shared] = 0
            for number_of_branch, branch in enumerate(row.branches, 1):
                branches[number, branch.begin : branch.end] = number_of_branch
                back[number, branch.begin : branch.end] = branch.begin - row.shared
                labels[number, branch.reply - 1 : branch.end - 1] = row.tokens[branch.reply : branch.end]
        kinds = np.where(tokens == self.vocabulary.picture, 1, np.where(tokens == self.vocabulary.clip, 2, 0))
        inputs: dict[str, Any] = {
            "input_ids": torch.from_numpy(tokens), "mm_token_type_ids": torch.from_numpy(kinds)
        }  # fmt: skip
        for name, grid_name, patches in (
            ("pixel_values", "image_grid_thw", [part for row in rows for part in row.pictures]),
            ("pixel_values_videos", "video_grid_thw", [part for row in rows for part in row.clips]),
        ):
            if patches:
                inputs[name] = torch.from_numpy(np.concatenate(patches))
                high, wide = self.grid
                inputs[grid_name] = torch.tensor(
                    [[len(part) // (high * wide), high, wide] for part in patches]
                )
        return Batch(
            inputs,
            branches=torch.from_numpy(branches),
            back=torch.from_numpy(back),
            labels=torch.from_numpy(labels),
            samples=sum(len(row.branches) for row in rows),
        )

    def _block(self, marker: str, before: str) -> str:
        return f"{before}{VISION_START}{marker * (self._rows * self._columns)}{VISION_END}"

    def _conversation(self, messages: Sequence[dict[str, Any]]) -> str:
        plain = [
            {**message, "content": [named(part) for part in message["content"]]}
            if isinstance(message["content"], list)
            else message
            for message in messages
        ]
        text = self.vocabulary.tokenizer.apply_chat_template(
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
        """Pairs of frames as rows of patches, in the order in which the model merges them."""
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
                    yield Medium([base64.b64decode(chunk) for chunk in data.split(",")], is_clip)


def named(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a message as chat templates take it."""
    return part if part["type"] == "text" else {"type": part["type"].removesuffix("_url")}


def _times(body: dict[str, Any], frames: int) -> list[float]:
    """The time in the prompt for each pair of frames: the middle of their times."""
    settings = body["extra_body"]["media_io_kwargs"]["video"]
    times_s = [number / settings["fps"] for number in settings["frames_indices"]]
    if frames % FRAMES_TOGETHER:
        times_s.append(times_s[-1])
    return [(first + second) / 2 for first, second in zip(times_s[::2], times_s[1::2], strict=True)]
