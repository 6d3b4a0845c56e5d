"""Tokenizer of the tiny LMM: byte-level BPE, learnt from given texts.

    vocabulary = learn_vocabulary(["A red square enters from the left."], size=600)
    vocabulary.tokenizer("A red square")["input_ids"]

It encodes any text. By default each digit is a token, so that numbers are copied and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PADDING, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
PICTURE, CLIP = "<|image_pad|>", "<|video_pad|>"
_MARKERS = [PADDING, TURN_START, TURN_END, VISION_START, VISION_END, PICTURE, CLIP]
"""The names of Qwen3-VL, which its processor uses."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer, and the ids of its markers."""

    tokenizer: PreTrainedTokenizerFast

    @property
    def size(self) -> int:
        """The number of tokens."""
        return len(self.tokenizer)

    @property
    def padding(self) -> int:
        """The id of the padding token."""
        return self._number(PADDING)

    @property
    def end_of_turn(self) -> int:
        """The id of the token that ends a turn."""
        return self._number(TURN_END)

    @property
    def picture(self) -> int:
        """The id of the token for a cell of a picture."""
        return self._number(PICTURE)

    @property
    def clip(self) -> int:
        """The id of the token for a cell of a clip."""
        return self._number(CLIP)

    @property
    def vision_start(self) -> int:
        """The id of the token before a picture, or before two frames of a clip."""
        return self._number(VISION_START)

    @property
    def vision_end(self) -> int:
        """The id of the token after a picture, or after two frames of a clip."""
        return self._number(VISION_END)

    def _number(self, marker: str) -> int:
        number = self.tokenizer.convert_tokens_to_ids(marker)
        assert isinstance(number, int)
        return number


def learn_vocabulary(
    texts: Iterable[str], *, size: int = 600, cut: str | None = None, whole: Iterable[str] = ()
) -> Vocabulary:
    """Learn a vocabulary of frequent pieces.

    Args:
        texts: The texts to encode in few tokens. Without texts, every token is a byte.
        size: The most tokens, without those of ``whole``.
        cut: A pattern that splits text before learning. No token crosses a split. None splits at words and digits.
        whole: Texts that become one token each.

    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    pieces = Tokenizer(models.BPE())
    first = (
        pre_tokenizers.Digits(individual_digits=True)
        if cut is None
        else pre_tokenizers.Split(Regex(cut), "isolated")
    )
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [first, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut is None)]
    )
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=_MARKERS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator(texts, trainer)
    pieces.add_tokens([AddedToken(text, normalized=False) for text in whole])
    return Vocabulary(
        PreTrainedTokenizerFast(
            tokenizer_object=pieces,
            eos_token=TURN_END,
            pad_token=PADDING,
            additional_special_tokens=[mark for mark in _MARKERS if mark not in {PADDING, TURN_END}],
            clean_up_tokenization_spaces=False,
        )
    )
