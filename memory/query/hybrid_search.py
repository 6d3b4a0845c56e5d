"""Finds memories by words, by meaning and by what pictures show, and puts them into one order.

    scores = find(views, encoder, SearchQuery("a red car", moments="stream = 'yard'", limit=10))

Every filter is applied before the search, so that what passes it is found however much else fits better. Small
memories are searched exactly; large ones through indexes whose recall ``benchmarks/million.py`` measures. What
is not in an index yet is searched as well. Equals are in the order of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any, Literal

from ..encoder import Encoder
from ..storage.rows import start_hour
from ..storage.tables import Tables, all_of, match_text, match_vector, one_of, quoted, select
from ..values import HOUR_S, RUNGS, Extent, Rung, Span
from .ranking import fuse_rankings, nearest_scores
from .word_stems import shared_pair_fraction, word_pairs

_ROWS_PER_MOMENT = 4
"""How many rows are read for each moment wanted: several observations may tell of the same one."""
_LEAST_ROWS = 40
"""How many are read at least, so that the best of one is the best of ten."""
_FEW_OBSERVATIONS = 2000
"""Up to so many observations that pass a filter, pictures are sought among their moments alone."""
_IDS_A_QUERY = 500

Ranking = dict[str, float]
"""What each memory is worth in one search."""
SearchMode = Literal["words", "meaning", "pictures"]
"""By what something is found: words that match, vectors of words, vectors of pictures."""
SEARCH_MODES: tuple[SearchMode, ...] = ("words", "meaning", "pictures")


@dataclass(frozen=True, slots=True)
class SearchQuery:
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
    modes: Collection[SearchMode] = SEARCH_MODES
    """Of these, those that the memory has vectors for; what they find is put into one order."""

    @property
    def at_any_time(self) -> str | None:
        """All of it but the span, for observations."""
        return all_of(self.moments, None if self.rungs is None else one_of("rung", self.rungs), self.observed)

    @property
    def in_span(self) -> str | None:
        """The span; None where everything lies in it."""
        where = overlap_filter(self.span, self.extents, self.rungs)
        return None if where == "true" else where

    @property
    def rows(self) -> int:
        """How many rows each search reads."""
        return max(self.limit * _ROWS_PER_MOMENT, _LEAST_ROWS)


def rank_moments(views: Tables, encoder: Encoder | None, sought: SearchQuery) -> Ranking:
    """The ids of the ``limit`` best memories with what they are worth, best first; and of those worth as much as the last."""
    searches: dict[SearchMode, Callable[[], Ranking]] = {"words": lambda: _by_words(views, sought)}
    if encoder is not None and views.text_vectors is not None:
        vector = encoder.encode_texts([sought.text])[0]
        searches["meaning"] = lambda: _by_meaning(views, sought, vector)
        if views.frame_vectors is not None and (sought.rungs is None or "moment" in sought.rungs):
            searches["pictures"] = lambda: _by_pictures(views, sought, vector)
    # The library lets go of the interpreter while it searches, so the searches go on side by side.
    chosen = [search for way, search in searches.items() if way in sought.modes]
    run_all = _threads().map if len(chosen) > 1 else map
    rankings = list(run_all(lambda search: search(), chosen))
    if not rankings:
        return {}
    scores = rankings[0] if len(rankings) == 1 else fuse_rankings(rankings)
    best = sorted(scores.items(), key=lambda found: -found[1])
    return {key: score for key, score in best if score >= best[: sought.limit][-1][1]}


def _by_words(views: Tables, sought: SearchQuery) -> Ranking:
    """By words that match, and by how many of them stand together as they do in what is sought.

    Full-text search takes each word for itself: of a blue coat and a red cup it makes as much as of
    a red coat and a blue cup.
    """
    where, columns = all_of(sought.at_any_time, sought.in_span), ["moment_id", "text"]
    rows = match_text(views.observations, sought.text, where=where, columns=columns, limit=sought.rows)
    asked = word_pairs(sought.text)
    scores: dict[str, float] = {}
    for row in rows:
        score = row["_score"] * (1 + shared_pair_fraction(asked, row["text"]))
        scores[row["moment_id"]] = max(score, scores.get(row["moment_id"], 0.0))
    return scores


def _by_meaning(views: Tables, sought: SearchQuery, vector: Any) -> Ranking:
    where = all_of(sought.at_any_time, sought.in_span)
    return nearest_scores(
        match_vector(views.text_vectors, vector, where=where, columns=["moment_id"], limit=sought.rows)
    )


def _by_pictures(views: Tables, sought: SearchQuery, vector: Any) -> Ranking:
    """Pictures know the facts of their moment; what was observed in it is asked of the observations."""
    of_moments = all_of(sought.at_any_time, sought.in_span, "rung = 'moment'")
    narrow, asked, widened = all_of(sought.moments, sought.in_span), sought.rows, False
    checked: dict[str, bool] = {}
    while True:
        rows = match_vector(views.frame_vectors, vector, where=narrow, columns=["moment_id"], limit=asked)
        near = nearest_scores(rows)
        if sought.observed is None:
            return near
        unchecked = [found for found in near if found not in checked]
        checked |= dict.fromkeys(unchecked, False)
        for at in range(0, len(unchecked), _IDS_A_QUERY):
            among = all_of(one_of("moment_id", unchecked[at : at + _IDS_A_QUERY]), of_moments)
            fit = select(views.observations, where=among, columns=["moment_id"])
            checked |= dict.fromkeys((row["moment_id"] for row in fit), True)
        fitting = {found: nearness for found, nearness in near.items() if checked[found]}
        if len(fitting) >= sought.limit or len(rows) < asked:
            return fitting
        if not widened:
            few = select(
                views.observations, where=of_moments, columns=["moment_id"], limit=_FEW_OBSERVATIONS + 1
            )
            if len(few) <= _FEW_OBSERVATIONS:
                # Seldom met among the nearest: they are sought by name.
                narrow = all_of(narrow, one_of("moment_id", (row["moment_id"] for row in few)))
        asked, widened = 4 * asked, True


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=3, thread_name_prefix="search")


def overlap_filter(
    span: Span | None,
    extents: Mapping[str, Extent] | None = None,
    rungs: Sequence[Rung] | None = None,
) -> str | None:
    """A filter that keeps memories of some rungs that share time with ``span``.

    ``extents`` says where the memories of each rung lie, if that is known. Then the filter is made of what starts
    in the span, whole hours at once, and of the little that starts before it and ends in it or after it: what an
    index has to add up row by row does not grow with the span. Bounds that keep everything are left out.
    """
    if span is None:
        return None
    from_s, until_s = span.start_s, span.end_s
    if from_s == math.inf or until_s == -math.inf:
        return "false"
    if (whole := _joined(extents, rungs)) is None:
        return " AND ".join(_bounds("start_s", below=until_s) + _bounds("end_s", above=from_s)) or "true"
    if until_s > whole.last_start_s:
        until_s = math.inf
    if from_s < whole.first_end_s:
        return _starting(-math.inf, until_s)
    reach_s = whole.longest_s + 1
    before = _bounds("start_s", from_=from_s - reach_s, to=from_s)
    if until_s <= from_s:
        before += _bounds("start_s", below=until_s)
    before += _bounds("end_s", above=from_s, to=from_s + reach_s)
    return f"({_starting(from_s, until_s)}) OR ({' AND '.join(before)})"


def _starting(after_s: float, until_s: float) -> str:
    """A filter that keeps what starts between these times."""
    if until_s - after_s <= 2 * HOUR_S or until_s == -after_s == math.inf:
        return " AND ".join(_bounds("start_s", above=after_s, below=until_s)) or "true"
    hours, edges = [], []
    if math.isfinite(after_s):
        first = _hour(after_s) + 1
        hours.append(f"start_hour >= {first}")
        edges.append(_bounds("start_s", above=after_s, below=first * HOUR_S))
    if math.isfinite(until_s):
        last = _hour(until_s)
        hours.append(f"start_hour < {last}")
        edges.append(_bounds("start_s", from_=last * HOUR_S, below=until_s))
    return " OR ".join(f"({' AND '.join(bounds)})" for bounds in (hours, *edges))


def _hour(time_s: float) -> int:
    # A column of hours holds no more than that.
    return max(-(2**31) + 1, min(2**31 - 2, start_hour(time_s)))


def _joined(extents: Mapping[str, Extent] | None, rungs: Sequence[Rung] | None) -> Extent | None:
    known = [extents[rung] for rung in (rungs or RUNGS) if rung in extents] if extents else []
    return reduce(Extent.joined, known) if known else None


def containment_filter(span: Span) -> str:
    """A filter that keeps memories that lie wholly in ``span``."""
    bounds = _bounds("start_s", from_=span.start_s) + _bounds("end_s", to=span.end_s)
    bounds += _bounds("start_s", to=span.end_s) + _bounds("end_s", from_=span.start_s)
    return " AND ".join(bounds) or "true"


def kinds_filter(kinds: Sequence[str] | None) -> str | None:
    """A filter that keeps what has a finding of one of these kinds."""
    if kinds is None:
        return None
    listed = ", ".join(quoted(kind) for kind in kinds)
    return f"array_has_any(kinds, make_array({listed}))" if listed else "false"


def _bounds(column: str, **limits: float) -> list[str]:
    signs = {"below": "<", "to": "<=", "above": ">", "from_": ">="}
    return [f"{column} {signs[name]} {at!r}" for name, at in limits.items() if math.isfinite(at)]
