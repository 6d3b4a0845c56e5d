"""Finds memories by words, by meaning and by what pictures show, and puts them into one order.

    scores = find(views, encoder, Sought("a red car", moments="stream = 'yard'", limit=10))

Every filter is applied before the search, so that what passes it is found however much else fits better. Small
memories are searched exactly; large ones through indexes whose recall ``benchmarks/million.py`` measures. What
is not in an index yet is searched as well. Equals are in the order of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

from .encoder import Encoder
from .ranking import Place, best_first, fused, nearest, places_of
from .schema import Row
from .tables import Tables, View, all_of, match_text, match_vector, one_of, quoted, select
from .values import RUNGS, Extent, Rung, Span
from .words import pairs_of, share_together

_ROWS_PER_MOMENT = 4
"""How many rows are read for each moment wanted: several observations may tell of the same one."""
_LEAST_ROWS = 40
"""How many are read at least, so that the best of one is the best of ten."""
_FEW_OBSERVATIONS = 2000
"""Up to so many observations that pass a filter, pictures are sought among their moments alone."""
_WIDE, _MARGIN = 0.5, 1.25
"""A span is wide where it holds more than that share of what a cheaper filter keeps; then so many times as much is
read as would do if what is found were spread evenly over time."""
_IDS_A_QUERY = 500
_PLACED = ("moment_id", "stream", "start_s")

Ranking = tuple[dict[str, float], dict[str, Place]]
"""What each memory is worth in one search, and where it lies."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is searched for, and among what."""

    text: str
    moments: str | None = None
    """A filter of streams and times of writing, which every table of memories has."""
    span: Span | None = None
    """What is found shares time with this."""
    extents: Mapping[str, Extent] | None = None
    """Where the memories of each rung lie, if that is known."""
    rungs: Sequence[Rung] | None = None
    observed: str | None = None
    """A filter of what was observed and by whom, which observations and their vectors have."""
    limit: int = 20
    many_rows: int = 100_000
    """In a table of no more rows than that, no filter of time costs much."""

    @property
    def at_any_time(self) -> str | None:
        """All of it but the span, for observations."""
        return all_of(self.moments, None if self.rungs is None else one_of("rung", self.rungs), self.observed)

    @property
    def in_span(self) -> str | None:
        """The span; None where everything lies in it."""
        where = overlapping(self.span, self.extents, self.rungs)
        return None if where == "true" else where

    @property
    def loosely_in_span(self) -> tuple[str | None, float]:
        """A filter of time that costs less and keeps more, and how much of that the span may hold; 0 for none."""
        whole = _joined(self.extents, self.rungs)
        if self.span is None or whole is None or whole.last_start_s <= whole.first_end_s:
            return None, 0.0
        start_s, end_s = self.span.start_s, self.span.end_s
        held_s = min(end_s, whole.last_start_s) - max(start_s, whole.first_end_s)
        share = held_s / (whole.last_start_s - whole.first_end_s)
        if share > _WIDE or end_s > whole.last_start_s or start_s < whole.first_end_s:
            return None, share
        # By its start alone: what begins before the span, and not too long before, may end in it.
        before_s = whole.longest_s + 1
        where = " AND ".join(_bounds("start_s", from_=start_s - before_s, below=end_s))
        return where, (end_s - start_s) / (end_s - start_s + before_s)

    @property
    def rows(self) -> int:
        """How many rows each search reads."""
        return max(self.limit * _ROWS_PER_MOMENT, _LEAST_ROWS)


def find(views: Tables, encoder: Encoder | None, sought: Sought) -> dict[str, float]:
    """The ids of the ``limit`` best memories with what they are worth, best first."""
    searches: list[Callable[[], Ranking]] = [lambda: _by_words(views, sought)]
    if encoder is not None and views.text_vectors is not None:
        vector = encoder.encode_texts([sought.text])[0]
        searches.append(lambda: _by_meaning(views, sought, vector))
        if views.frame_vectors is not None and (sought.rungs is None or "moment" in sought.rungs):
            searches.append(lambda: _by_pictures(views, sought, vector))
    # The library lets go of the interpreter while it searches, so the searches go on side by side.
    found = list(_threads().map(lambda search: search(), searches)) if len(searches) > 1 else [searches[0]()]
    places = {key: place for _, where in found for key, place in where.items()}
    rankings = [scores for scores, _ in found]
    scores = rankings[0] if len(rankings) == 1 else fused(rankings, places)
    return {key: scores[key] for key in best_first(scores, places)[: sought.limit]}


def _by_words(views: Tables, sought: Sought) -> Ranking:
    """By words that match, and by how many of them stand together as they do in what is sought.

    Full-text search takes each word for itself: of a blue coat and a red cup it makes as much as of
    a red coat and a blue cup.
    """
    rows = _best(match_text, views.observations, sought.text, sought, sought.at_any_time, (*_PLACED, "text"))
    asked = pairs_of(sought.text)
    scores: dict[str, float] = {}
    for row in rows:
        score = row["_score"] * (1 + share_together(asked, row["text"]))
        scores[row["moment_id"]] = max(score, scores.get(row["moment_id"], 0.0))
    return scores, places_of(rows)


def _by_meaning(views: Tables, sought: Sought, vector: Any) -> Ranking:
    rows = _best(match_vector, views.text_vectors, vector, sought, sought.at_any_time, _PLACED)
    return nearest(rows), places_of(rows)


def _by_pictures(views: Tables, sought: Sought, vector: Any) -> Ranking:
    """Pictures know the facts of their moment; what was observed in it is asked of the observations."""
    if sought.observed is None:
        rows = _best(match_vector, views.frame_vectors, vector, sought, sought.moments, _PLACED)
        return nearest(rows), places_of(rows)
    of_moments = all_of(sought.at_any_time, sought.in_span, "rung = 'moment'")
    narrow, asked, widened = all_of(sought.moments, sought.in_span), sought.rows, False
    checked: dict[str, Place | None] = {}
    while True:
        rows = match_vector(views.frame_vectors, vector, where=narrow, columns=["moment_id"], limit=asked)
        near = nearest(rows)
        unchecked = [found for found in near if found not in checked]
        checked |= dict.fromkeys(unchecked)
        for at in range(0, len(unchecked), _IDS_A_QUERY):
            among = all_of(one_of("moment_id", unchecked[at : at + _IDS_A_QUERY]), of_moments)
            checked |= places_of(select(views.observations, where=among, columns=_PLACED))
        fitting = {found: place for found in near if (place := checked[found]) is not None}
        if len(fitting) >= sought.limit or len(rows) < asked:
            return {found: near[found] for found in fitting}, fitting
        if not widened:
            few = select(
                views.observations, where=of_moments, columns=["moment_id"], limit=_FEW_OBSERVATIONS + 1
            )
            if len(few) <= _FEW_OBSERVATIONS:
                # Seldom met among the nearest: they are sought by name.
                narrow = all_of(narrow, one_of("moment_id", (row["moment_id"] for row in few)))
        asked, widened = 4 * asked, True


def _best(
    match: Callable[..., list[Row]],
    view: View,
    query: Any,
    sought: Sought,
    where: str | None,
    columns: Sequence[str],
) -> list[Row]:
    """The rows that match best, among those that ``where`` keeps and that lie in the span.

    A filter of time costs by how much it keeps. Where that is much, and a cheaper one keeps little more, some more
    of the best are looked at, and those that pass are kept: the same rows.
    """
    in_span, (loosely, share) = sought.in_span, sought.loosely_in_span
    if in_span is not None and share > _WIDE and view.count_rows() > sought.many_rows:
        span, asked = sought.span, math.ceil(_MARGIN * sought.rows / share)
        assert span is not None
        rows = match(view, query, where=all_of(where, loosely), columns=[*columns, "end_s"], limit=asked)
        passing = [row for row in rows if row["start_s"] < span.end_s and row["end_s"] > span.start_s]
        if len(passing) >= sought.rows or len(rows) < asked:
            return passing[: sought.rows]
    return match(view, query, where=all_of(where, in_span), columns=columns, limit=sought.rows)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=3, thread_name_prefix="search")


def overlapping(
    span: Span | None,
    extents: Mapping[str, Extent] | None = None,
    rungs: Sequence[Rung] | None = None,
) -> str | None:
    """A filter that keeps memories of some rungs that share time with ``span``.

    ``extents`` says where the memories of each rung lie, if that is known. A filter costs what it keeps, column by
    column: those are left out that keep everything, and each gets one more bound where half of all memories would
    be gone through to find an hour in their middle.
    """
    if span is None:
        return None
    below, above = span.end_s, span.start_s
    if (whole := _joined(extents, rungs)) is None:
        bounds = _bounds("start_s", below=below) + _bounds("end_s", above=above)
        return " AND ".join(bounds) or "true"
    starts = _bounds("start_s", below=below) if below <= whole.last_start_s else []
    ends = _bounds("end_s", above=above) if above >= whole.first_end_s else []
    if starts and ends:
        starts += _bounds("start_s", from_=above - whole.longest_s - 1)
        ends += _bounds("end_s", below=below + whole.longest_s + 1)
    # Two bounds of one column that stand side by side are looked up at once.
    return all_of(*(" AND ".join(bounds) for bounds in (starts, ends))) or "true"


def _joined(extents: Mapping[str, Extent] | None, rungs: Sequence[Rung] | None) -> Extent | None:
    known = [extents[rung] for rung in (rungs or RUNGS) if rung in extents] if extents else []
    return reduce(Extent.joined, known) if known else None


def inside(span: Span) -> str:
    """A filter that keeps memories that lie wholly in ``span``."""
    bounds = _bounds("start_s", from_=span.start_s) + _bounds("end_s", to=span.end_s)
    bounds += _bounds("start_s", to=span.end_s) + _bounds("end_s", from_=span.start_s)
    return " AND ".join(bounds) or "true"


def with_kinds(kinds: Sequence[str] | None) -> str | None:
    """A filter that keeps what has a finding of one of these kinds."""
    if kinds is None:
        return None
    listed = ", ".join(quoted(kind) for kind in kinds)
    return f"array_has_any(kinds, make_array({listed}))" if listed else "false"


def _bounds(column: str, **limits: float) -> list[str]:
    signs = {"below": "<", "to": "<=", "above": ">", "from_": ">="}
    return [f"{column} {signs[name]} {at!r}" for name, at in limits.items() if math.isfinite(at)]
