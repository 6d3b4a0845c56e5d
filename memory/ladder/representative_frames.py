"""Which pictures stand for a memory above the first rung: few, as different as can be, those that served first.

    choose(["f1", "f2", "f3", …], {"f1": b"…", …})      # up to 4 of them, in time order

Pictures are compared by their signatures, a few grey levels each (``KeyFrame.signature``); no picture is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .summaries import evenly

MAX_FRAMES = 4
"""Pictures that a memory above the first rung shows."""
_TIME_LEVELS = 8.0
"""The first and the last picture are this many grey levels apart for their times alone: of pictures that look
alike, those far apart in time are chosen."""


def choose(
    frame_ids: Sequence[str],
    signatures: Mapping[str, bytes],
    weights: Sequence[float] | None = None,
    most: int = MAX_FRAMES,
) -> list[str]:
    """Up to ``most`` of the pictures, which are in time order, in time order.

    The first is the one that is most like the others (of those of the greatest weight, where any has one); each
    further one is that which is farthest from all chosen so far. A picture's weight, 0 to 1, says how much it
    served: one of weight 1 counts as twice as far. Where a signature is missing, they are spread evenly.
    """
    if len(frame_ids) <= most:
        return list(frame_ids)
    points = _points([signatures.get(frame_id, b"") for frame_id in frame_ids])
    if points is None:
        return evenly(frame_ids, most)
    favour = np.clip(np.zeros(len(frame_ids)) if weights is None else np.asarray(weights, float), 0.0, 1.0)
    from_usual = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    from_usual[favour < favour.max()] = np.inf
    chosen = [int(np.argmin(from_usual))]
    apart = np.full(len(points), np.inf)
    while len(chosen) < most:
        apart = np.minimum(apart, np.linalg.norm(points - points[chosen[-1]], axis=1))
        far = apart * (1 + favour)
        far[chosen] = -1.0
        chosen.append(int(np.argmax(far)))
    return [frame_ids[at] for at in sorted(chosen)]


def _points(signatures: Sequence[bytes]) -> NDArray[np.float64] | None:
    """The pictures as points: as far apart as they look different. None where that is not known of all."""
    if len({len(signature) for signature in signatures}) != 1 or not signatures[0]:
        return None
    levels = np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), -1).astype(np.float64)
    light = levels.mean(axis=1, keepdims=True)
    time = np.linspace(0.0, _TIME_LEVELS, len(signatures))[:, np.newaxis]
    # A cloud before the sun changes every cell, and is still only one change; somebody who comes changes few.
    return np.hstack([levels - light, light, time])
