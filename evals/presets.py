"""Which systems are measured together.

embedded_systems()        # Recollect without any model, and what can be had with as little
with_model(lmm)           # Recollect with a video LMM, and the same model with less, or something else, around it
without_parts()           # Recollect without one of its parts
with_calls([1, 2, 4])     # Recollect that may ask the model so often
"""

from __future__ import annotations

from collections.abc import Sequence

from ..memory.encoder import Encoder, ImageEncoder
from ..memory.query.hybrid_search import SearchMode
from ..perception.lmm import Lmm
from ..perception.sources.frame import Picture
from .ablations import PARTS
from .causal_video import CausalVideo
from .records import Sample
from .systems import (
    BUDGET,
    LAST_S,
    OURS,
    FramesSystem,
    RecollectSystem,
    SingleCallSystem,
    System,
    all_captions,
    guesses,
    nothing,
    proving,
    retrieved,
)
from .videolucy import VideoLucy

_OF_CAPTIONS: tuple[SearchMode, ...] = ("words", "meaning")
_FOUND = 10
"""So many moments one search without a model is to find."""
_OF_A_STRETCH = 4
"""So many frames of the evidence are shown, of each stretch."""


def embedded_systems(encoder: Encoder | None = None) -> list[System]:
    """Recollect without any model, and all that can be had with as little."""
    return [
        RecollectSystem(),
        SingleCallSystem("one-shot retrieval", retrieved(_FOUND, *_OF_CAPTIONS)),
        *_by_pictures(encoder, _FOUND, None),
        SingleCallSystem("all captions", all_captions),
        SingleCallSystem("oracle evidence", proving, is_oracle=True),
        *guesses(),
    ]


def with_model(lmm: Lmm, encoder: Encoder | None = None, *, frames: int = 32) -> list[System]:
    """Recollect with a video LMM, and the same model with less around it."""
    return [
        RecollectSystem(),
        VideoLucy(lmm),
        SingleCallSystem("one-shot retrieval", retrieved(lmm.moments, *_OF_CAPTIONS), lmm),
        *_by_pictures(encoder, lmm.moments, lmm),
        SingleCallSystem("all captions", all_captions, lmm),
        SingleCallSystem("oracle evidence", proving, lmm, is_oracle=True),
        SingleCallSystem("blind", nothing, lmm),
        FramesSystem("one frame", lambda video, _: video.spread(1), lmm),
        FramesSystem(f"{frames} frames of all", lambda video, _: video.spread(frames), lmm),
        FramesSystem(f"last {LAST_S} seconds", lambda video, _: video.spread(LAST_S, last_s=LAST_S), lmm),
        FramesSystem("frames of the evidence", _of_the_evidence, lmm),
        *guesses(),
    ]


def without_parts() -> list[System]:
    """Recollect without one of its parts, each in turn."""
    return [RecollectSystem(f"{OURS} without {part}", kind) for part, kind in PARTS.items()]


def with_calls(calls: Sequence[int]) -> list[System]:
    """Recollect that may ask the model no more often than so, for a question: what accuracy costs."""
    return [
        RecollectSystem(
            f"{OURS}, {most} call{'s' if most != 1 else ''}",
            budget=BUDGET.model_copy(update={"lmm_calls": most}),
        )
        for most in calls
    ]


def _by_pictures(encoder: Encoder | None, most: int, lmm: Lmm | None) -> list[System]:
    """One search among vectors of pictures; none where there are no such vectors."""
    if not isinstance(encoder, ImageEncoder):
        return []
    return [SingleCallSystem("one-shot retrieval by pictures", retrieved(most, "pictures"), lmm)]


def _of_the_evidence(video: CausalVideo, sample: Sample) -> list[tuple[float, Picture]]:
    """Some frames of each stretch that proves the answer; of what somebody is to be told of later, none."""
    times_s = (
        span.start_s + (at + 0.5) * span.duration_s / _OF_A_STRETCH
        for span in sample.spans
        for at in range(_OF_A_STRETCH)
    )
    return video.pictures(time_s for time_s in times_s if video.from_s <= time_s < video.until_s)
