"""Puts the moments that several searches found into one order.

    scores = fused([by_words, by_meaning, by_pictures])  # what each moment is worth by its ranks
    best_first(scores, places)                           # their ids

Each ranking is a dictionary from a moment's id to its score there. Nothing here reads a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ..storage.schema import Row
from ..values import Moment

_RRF_K = 10
"""Of reciprocal-rank fusion: how little the first ranks stand out from the next. With the usual 60, in a
memory of some hundred moments, what only a picture shows falls behind what two rankings have by chance."""
_DIGITS = 5
"""Of distances, whose numbers have seven."""
Position = tuple[str, float, str]
"""Where a moment lies, for putting equals in order: its stream, start and id."""


def position_of(moment: Moment) -> Position:
    """Where a moment lies."""
    return moment.stream, moment.span.start_s, moment.id


def nearest_scores(rows: Iterable[Row]) -> dict[str, float]:
    """How near the nearest row of each moment is; the rows come nearest first."""
    near: dict[str, float] = {}
    for row in rows:
        # An index adds up the same numbers in another order: what is less than this apart is equal.
        near.setdefault(row["moment_id"], -round(row["_distance"], _DIGITS))
    return near


def fuse_rankings(rankings: Iterable[dict[str, float]]) -> dict[str, float]:
    """What each moment is worth by its rank in each ranking: scores of different kinds do not compare.

    Of equals, each has the rank of the last: what fits much alike, as the words of a quiet stream do,
    must not outweigh the one picture that fits.
    """
    worth: dict[str, float] = {}
    for scores in rankings:
        rank = 0
        for _, equals in groupby(
            sorted(scores, key=scores.__getitem__, reverse=True), key=scores.__getitem__
        ):
            same = list(equals)
            rank += len(same)
            for found in same:
                worth[found] = worth.get(found, 0.0) + 1 / (_RRF_K + rank)
    return worth


def best_first(scores: dict[str, float], places: dict[str, Position]) -> list[str]:
    """Ids by falling score; of equals, the earlier in its stream comes first."""
    return sorted(scores, key=lambda found: (-scores[found], places[found]))
