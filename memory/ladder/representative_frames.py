"""Representative frames: chooses the few pictures that an event, an hour or a day shows.

    choose_frames(["f1", "f2", "f3", "f4", "f5"], {"f1": b"…", "f2": b"…"})     # at most 4 of them, in time order

The chosen pictures differ from each other as much as possible, and pictures that were used before are preferred.
Pictures are compared by their signatures, a few grey levels each (``KeyFrame.signature``). No picture is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .summaries import evenly

MAX_FRAMES = 4
"""How many pictures represent an event, an hour or a day."""
_TIME_LEVELS = 8.0
"""How many grey levels the time between the first and the last picture counts. Of pictures that look alike, those
far apart in time are chosen."""


def choose_frames(
    frame_ids: Sequence[str],
    signatures: Mapping[str, bytes],
    weights: Sequence[float] | None = None,
    max_frames: int = MAX_FRAMES,
) -> list[str]:
    """At most ``max_frames`` of the pictures. Arguments and result are in time order.

    The first choice is the picture nearest to the median, among those of the greatest weight. Each further
    choice is the picture farthest from all that are chosen already. A weight (0 to 1) says how much a
    picture was used: weight 1 doubles its distance. If a signature is missing, the choice is evenly spread.
    """
    if len(frame_ids) <= max_frames:
        return list(frame_ids)
    points = _points([signatures.get(frame_id, b"") for frame_id in frame_ids])
    if points is None:
        return evenly(frame_ids, max_frames)
    use = np.clip(np.zeros(len(frame_ids)) if weights is None else np.asarray(weights, float), 0.0, 1.0)
    from_median = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    from_median[use < use.max()] = np.inf
    chosen = [int(np.argmin(from_median))]
    distances = np.full(len(points), np.inf)
    while len(chosen) < max_frames:
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
        weighted = distances * (1 + use)
        weighted[chosen] = -1.0
        chosen.append(int(np.argmax(weighted)))
    return [frame_ids[index] for index in sorted(chosen)]


def _points(signatures: Sequence[bytes]) -> NDArray[np.float64] | None:
    """One point per picture, shape ``(pictures, levels + 2)``. Their distances say how different the pictures look.

    None unless every picture has a signature of the same length.
    """
    if len({len(signature) for signature in signatures}) != 1 or not signatures[0]:
        return None
    levels = np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), -1).astype(np.float64)
    brightness = levels.mean(axis=1, keepdims=True)
    time = np.linspace(0.0, _TIME_LEVELS, len(signatures))[:, np.newaxis]
    # A cloud changes every cell, and is one change of brightness. A person changes a few cells.
    return np.hstack([levels - brightness, brightness, time])
