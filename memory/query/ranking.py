"""Ranking: reciprocal-rank fusion of several searches, with ties in order of time.

>>> by_text = {"a": 3.0, "b": 1.0}
>>> by_picture = {"b": -0.1, "c": -0.7}
>>> scores = fuse_rankings([by_text, by_picture])
>>> best_first(scores, {name: ("yard", 0.0, name) for name in scores})
['b', 'a', 'c']

A ranking is a dictionary from a moment's id to its score in one search. This module reads no table.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ..storage.schema import Row
from ..values import Moment

_RRF_K = 10
"""The constant of reciprocal-rank fusion: the larger, the smaller the advantage of the first ranks. With the usual
60, in a memory of some hundred moments, the match of a single picture search ranks below moments that two
searches rank high by chance."""
_DISTANCE_DIGITS = 5
"""Digits to which distances are rounded. They are float32 numbers, accurate to about seven digits."""
Position = tuple[str, float, str]
"""The stream, start and id of a moment, which order moments of equal score."""


def position_of(moment: Moment) -> Position:
    """The position of a moment."""
    return moment.stream, moment.span.start_s, moment.id


def nearest_scores(rows: Iterable[Row]) -> dict[str, float]:
    """The negative distance of the nearest row of each moment. ``rows`` are sorted by distance."""
    scores: dict[str, float] = {}
    for row in rows:
        # An index sums in another order. Differences below the rounding are not significant.
        scores.setdefault(row["moment_id"], -round(row["_distance"], _DISTANCE_DIGITS))
    return scores


def fuse_rankings(rankings: Iterable[dict[str, float]]) -> dict[str, float]:
    """The reciprocal-rank score of each moment over all rankings, whose own scores are not comparable.

    Moments of equal score all get the last of their ranks. Otherwise the many identical captions of a quiet
    stream would outweigh the only matching picture.
    """
    fused: dict[str, float] = {}
    for scores in rankings:
        rank = 0
        for _, group in groupby(sorted(scores, key=scores.__getitem__, reverse=True), key=scores.__getitem__):
            ids = list(group)
            rank += len(ids)
            for moment_id in ids:
                fused[moment_id] = fused.get(moment_id, 0.0) + 1 / (_RRF_K + rank)
    return fused


def best_first(scores: dict[str, float], positions: dict[str, Position]) -> list[str]:
    """The ids by falling score. Of moments with equal scores, the earlier in its stream comes first."""
    return sorted(scores, key=lambda moment_id: (-scores[moment_id], positions[moment_id]))
