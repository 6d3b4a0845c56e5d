"""Architecture of recollect-tiny: a Qwen3-VL of about two million parameters.

    model = new_model(Architecture(), vocabulary, seed=1)     # random weights

Transformers and vLLM both run this family, with pictures and with clips that have times. No size is too small for
vLLM's attention on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    from .vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of the model. The default has 1.8 million parameters with a vocabulary of 600."""

    hidden: int = 128
    layers: int = 3
    heads: int = 2
    head_width: int = 64
    """32 or 64. vLLM on the CPU does not support 16."""
    feedforward: int = 512
    context_tokens: int = 16384
    vision_hidden: int = 96
    vision_layers: int = 3
    vision_heads: int = 3
    vision_feedforward: int = 384
    patch_px: int = 16
    """The side of the patches of a picture. Four patches become one token."""
    picture_px: int = 128
    """The side of a square with the most pixels that a picture or frame may have as input."""

    @property
    def cell_px(self) -> int:
        """The side of the square that becomes one token."""
        return self.patch_px * MERGED

    def config(self, vocabulary: Vocabulary) -> Qwen3VLConfig:
        """The configuration for transformers and vLLM."""
        from transformers import Qwen3VLConfig  # noqa: PLC0415

        # The numbers of rotary pairs for time, height and width.
        quarter = self.head_width // 8
        sections = [self.head_width // 2 - 2 * (quarter + 2), quarter + 2, quarter + 2]
        text: dict[str, Any] = {
            "vocab_size": vocabulary.size,
            "hidden_size": self.hidden,
            "intermediate_size": self.feedforward,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "head_dim": self.head_width,
            "max_position_embeddings": self.context_tokens,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": sections,
                "mrope_interleaved": True,
            },
            "bos_token_id": None,
            "eos_token_id": vocabulary.end_of_turn,
            "pad_token_id": vocabulary.padding,
        }
        vision: dict[str, Any] = {
            "depth": self.vision_layers,
            "hidden_size": self.vision_hidden,
            "intermediate_size": self.vision_feedforward,
            "num_heads": self.vision_heads,
            "patch_size": self.patch_px,
            "spatial_merge_size": MERGED,
            "temporal_patch_size": FRAMES_TOGETHER,
            "out_hidden_size": self.hidden,
            "num_position_embeddings": (self.picture_px // self.patch_px) ** 2,
            "deepstack_visual_indexes": [self.vision_layers // 2],
        }
        return Qwen3VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=vocabulary.picture,
            video_token_id=vocabulary.clip,
            vision_start_token_id=vocabulary.vision_start,
            vision_end_token_id=vocabulary.vision_end,
            architectures=["Qwen3VLForConditionalGeneration"],
            dtype="float32",
        )


MERGED = 2
"""Patches in each direction that become one token."""
FRAMES_TOGETHER = 2
"""Frames of a clip that are encoded together. An odd last frame is used twice."""


def new_model(
    architecture: Architecture, vocabulary: Vocabulary, *, seed: int
) -> Qwen3VLForConditionalGeneration:
    """Make a model with random weights. The same seed gives the same weights."""
    import torch  # noqa: PLC0415
    from transformers import GenerationConfig, Qwen3VLForConditionalGeneration  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(architecture.config(vocabulary))
        for layer in model.model.language_model.layers:
            _init_mimetic(layer.self_attn, architecture.head_width)
    model.generation_config = GenerationConfig(
        eos_token_id=vocabulary.end_of_turn, pad_token_id=vocabulary.padding, do_sample=False
    )
    return model.eval()


_COPIED = 0.3
_NOISE = 0.2


def _init_mimetic(attention: Any, head_width: int) -> None:
    """Initialise each attention head to attend to equal tokens and copy them.

    The tasks mostly require finding a word again. A model with random heads needs long to begin with that. After
    A. Trockman and J. Z. Kolter, "Mimetic initialization of self-attention layers" (2023).
    """
    import torch  # noqa: PLC0415

    def directions(weight: torch.Tensor) -> torch.Tensor:
        found = torch.empty_like(weight)
        for rows in found.split(head_width):
            torch.nn.init.orthogonal_(rows)
        return found

    with torch.no_grad():
        query_key, value_output = directions(attention.q_proj.weight), directions(attention.v_proj.weight)
        noise = _NOISE / query_key.shape[1] ** 0.5
        for weight in (attention.q_proj.weight, attention.k_proj.weight):
            weight.copy_(query_key + noise * torch.randn_like(query_key))
        attention.v_proj.weight.copy_(value_output)
        attention.o_proj.weight.copy_(_COPIED * value_output.T)
