"""Presets: which systems are measured together.

embedded_systems()        # Recollect without a model, and baselines that need no model either
systems_with_lmm(lmm)     # Recollect with a video LMM, and baselines with the same model
ablated_systems()         # Recollect with one part left out
call_limited_systems([1, 2, 4])     # Recollect with a limit on LMM calls for a question
"""

from __future__ import annotations

from collections.abc import Sequence

from ..memory.encoder import Encoder, ImageEncoder
from ..memory.query.hybrid_search import SearchMode
from ..perception.lmm import Lmm
from ..perception.sources.frame import Picture
from .ablations import ABLATIONS
from .causal_video import CausalVideo
from .records import Sample
from .systems import (
    LAST_S,
    LIMITS,
    OURS,
    FramesSystem,
    RecollectSystem,
    SingleCallSystem,
    System,
    all_captions,
    evidence_moments,
    guessing_systems,
    no_moments,
    one_search,
)
from .videolucy import VideoLucy

_CAPTION_SEARCH: tuple[SearchMode, ...] = ("words", "meaning")
_SEARCH_LIMIT = 10
"""How many moments one search finds without a model."""
_FRAMES_PER_SPAN = 4
"""How many frames of each span of evidence are shown."""


def embedded_systems(encoder: Encoder | None = None) -> list[System]:
    """Recollect without a model, and the baselines that need no model either."""
    return [
        RecollectSystem(),
        SingleCallSystem("one-shot retrieval", one_search(_SEARCH_LIMIT, *_CAPTION_SEARCH)),
        *_picture_search(encoder, _SEARCH_LIMIT, None),
        SingleCallSystem("all captions", all_captions),
        SingleCallSystem("oracle evidence", evidence_moments, is_oracle=True),
        *guessing_systems(),
    ]


def systems_with_lmm(lmm: Lmm, encoder: Encoder | None = None, *, frames: int = 32) -> list[System]:
    """Recollect with a video LMM, and baselines with the same model."""
    return [
        RecollectSystem(),
        VideoLucy(lmm),
        SingleCallSystem("one-shot retrieval", one_search(lmm.moments, *_CAPTION_SEARCH), lmm),
        *_picture_search(encoder, lmm.moments, lmm),
        SingleCallSystem("all captions", all_captions, lmm),
        SingleCallSystem("oracle evidence", evidence_moments, lmm, is_oracle=True),
        SingleCallSystem("blind", no_moments, lmm),
        FramesSystem("one frame", lambda video, _: video.spread(1), lmm),
        FramesSystem(f"{frames} frames of all", lambda video, _: video.spread(frames), lmm),
        FramesSystem(f"last {LAST_S} seconds", lambda video, _: video.spread(LAST_S, last_s=LAST_S), lmm),
        FramesSystem("frames of the evidence", _evidence_frames, lmm),
        *guessing_systems(),
    ]


def ablated_systems() -> list[System]:
    """Recollect with one part left out, once for each part."""
    return [RecollectSystem(f"{OURS} without {part}", overrides) for part, overrides in ABLATIONS.items()]


def call_limited_systems(call_limits: Sequence[int]) -> list[System]:
    """Recollect with a limit on LMM calls for a question, once for each limit: shows how accuracy depends on cost."""
    return [
        RecollectSystem(
            f"{OURS}, {calls} call{'s' if calls != 1 else ''}",
            limits=LIMITS.model_copy(update={"lmm_calls": calls}),
        )
        for calls in call_limits
    ]


def _picture_search(encoder: Encoder | None, limit: int, lmm: Lmm | None) -> list[System]:
    """One search over vectors of pictures. Empty if the encoder makes no such vectors."""
    if not isinstance(encoder, ImageEncoder):
        return []
    return [SingleCallSystem("one-shot retrieval by pictures", one_search(limit, "pictures"), lmm)]


def _evidence_frames(video: CausalVideo, sample: Sample) -> list[tuple[float, Picture]]:
    """Some frames of each span of evidence. Evidence that lies after the question is left out."""
    times_s = (
        span.start_s + (index + 0.5) * span.duration_s / _FRAMES_PER_SPAN
        for span in sample.spans
        for index in range(_FRAMES_PER_SPAN)
    )
    return video.pictures(time_s for time_s in times_s if video.from_s <= time_s < video.until_s)
