"""Hybrid search: finds memories by words, by text vectors and by picture vectors, and fuses the rankings.

    scores = rank_moments(views, encoder, SearchQuery("a red car", moments="stream = 'yard'", limit=10))

Filters apply before the search, so that a memory that passes them is found however well others match. Small
memories are searched exactly, large ones through indexes. ``benchmarks/million.py`` measures their recall. Rows
that are not in an index yet are searched as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ..encoder import Encoder
from ..storage.tables import Tables, all_of, id_batches, match_text, match_vector, one_of, select
from ..values import Extent, Rung, Span
from .filters import overlap_filter
from .ranking import fuse_rankings, nearest_scores
from .word_stems import shared_pair_fraction, word_pairs

_ROWS_PER_MOMENT = 4
"""Rows to read per requested moment, since several observations may describe the same one."""
_MIN_ROWS = 40
"""Rows to read at least, so that a search for one moment returns the first of a search for ten."""
_MAX_LISTED_OBSERVATIONS = 2000
"""If at most this many observations pass a filter, the picture search is limited to their moments by id."""

Ranking = dict[str, float]
"""The score of each memory in one search, by its id."""
SearchMode = Literal["words", "meaning", "pictures"]
"""A kind of search: matching words, text vectors, or picture vectors."""
SEARCH_MODES: tuple[SearchMode, ...] = ("words", "meaning", "pictures")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search text and its filters."""

    text: str
    moments: str | None = None
    """A filter on streams and times of writing, whose columns every table of memories has."""
    span: Span | None = None
    """Only memories that overlap this span."""
    extents: Mapping[str, Extent] | None = None
    """The bounds of the memories of each rung, if known."""
    rungs: Sequence[Rung] | None = None
    observed: str | None = None
    """A filter on kinds and writers, whose columns observations and their vectors have."""
    limit: int = 20
    modes: Collection[SearchMode] = SEARCH_MODES
    """The searches to run. Those that need missing vectors are skipped."""

    @property
    def at_any_time(self) -> str | None:
        """The filter on observations without the span."""
        return all_of(self.moments, None if self.rungs is None else one_of("rung", self.rungs), self.observed)

    @property
    def in_span(self) -> str | None:
        """The filter on the span. None if every memory passes it."""
        condition = overlap_filter(self.span, self.extents, self.rungs)
        return None if condition == "true" else condition

    @property
    def rows(self) -> int:
        """The number of rows that each search reads."""
        return max(self.limit * _ROWS_PER_MOMENT, _MIN_ROWS)


def rank_moments(views: Tables, encoder: Encoder | None, query: SearchQuery) -> Ranking:
    """The scores of the ``limit`` best memories by id, best first.

    Memories with the same score as the last one are included beyond the limit.
    """
    searches: dict[SearchMode, Callable[[], Ranking]] = {"words": lambda: rank_by_words(views, query)}
    if encoder is not None and views.text_vectors is not None:
        vector = encoder.encode_texts([query.text])[0]
        searches["meaning"] = lambda: rank_by_meaning(views, query, vector)
        if views.frame_vectors is not None and (query.rungs is None or "moment" in query.rungs):
            searches["pictures"] = lambda: _by_pictures(views, query, vector)
    # Lance releases the interpreter lock while it searches, so the searches run in parallel.
    selected = [search for mode, search in searches.items() if mode in query.modes]
    run_all = _threads().map if len(selected) > 1 else map
    rankings = list(run_all(lambda search: search(), selected))
    if not rankings:
        return {}
    scores = rankings[0] if len(rankings) == 1 else fuse_rankings(rankings)
    best = sorted(scores.items(), key=lambda item: -item[1])
    return {key: score for key, score in best if score >= best[: query.limit][-1][1]}


def rank_by_words(views: Tables, query: SearchQuery) -> Ranking:
    """Scores by matching words, raised by the fraction of the query's word pairs that match.

    Full-text search scores each word alone. Without the pairs, "a blue coat and a red cup" would match
    "a red coat and a blue cup" as well as itself.
    """
    condition, columns = all_of(query.at_any_time, query.in_span), ["moment_id", "text"]
    rows = match_text(views.observations, query.text, where=condition, columns=columns, limit=query.rows)
    pairs = word_pairs(query.text)
    scores: dict[str, float] = {}
    for row in rows:
        score = row["_score"] * (1 + shared_pair_fraction(pairs, row["text"]))
        scores[row["moment_id"]] = max(score, scores.get(row["moment_id"], 0.0))
    return scores


def rank_by_meaning(views: Tables, query: SearchQuery, vector: Any) -> Ranking:
    """Scores by the similarity of text vectors to ``vector``."""
    condition = all_of(query.at_any_time, query.in_span)
    return nearest_scores(
        match_vector(views.text_vectors, vector, where=condition, columns=["moment_id"], limit=query.rows)
    )


def _by_pictures(views: Tables, query: SearchQuery, vector: Any) -> Ranking:
    """Scores by the nearest picture of each moment.

    Picture vectors have no columns for kinds and writers. A filter on these is checked in the observations, and
    the search is repeated with a higher limit until enough moments pass.
    """
    in_moments = all_of(query.at_any_time, query.in_span, "rung = 'moment'")
    condition, limit = all_of(query.moments, query.in_span), query.rows
    passes: dict[str, bool] = {}
    while True:
        rows = match_vector(views.frame_vectors, vector, where=condition, columns=["moment_id"], limit=limit)
        scores = nearest_scores(rows)
        if query.observed is None:
            return scores
        unchecked = [moment_id for moment_id in scores if moment_id not in passes]
        passes |= _check_observed(views, unchecked, in_moments)
        passing = {moment_id: score for moment_id, score in scores.items() if passes[moment_id]}
        if len(passing) >= query.limit or len(rows) < limit:
            return passing
        if limit == query.rows and (ids := _few_ids(views, in_moments)) is not None:
            # Few moments pass, so they are unlikely to be among the nearest. Search only their pictures.
            condition = all_of(condition, one_of("moment_id", ids))
        limit *= 4


def _check_observed(views: Tables, moment_ids: Sequence[str], condition: str | None) -> dict[str, bool]:
    """For each of these moments, whether one of its observations passes ``condition``."""
    passes = dict.fromkeys(moment_ids, False)
    for ids in id_batches(moment_ids):
        rows = select(
            views.observations, where=all_of(one_of("moment_id", ids), condition), columns=["moment_id"]
        )
        passes |= dict.fromkeys((row["moment_id"] for row in rows), True)
    return passes


def _few_ids(views: Tables, condition: str | None) -> list[str] | None:
    """The ids of the moments whose observations pass ``condition``. None if there are too many to list."""
    limit = _MAX_LISTED_OBSERVATIONS + 1
    rows = select(views.observations, where=condition, columns=["moment_id"], limit=limit)
    return [row["moment_id"] for row in rows] if len(rows) < limit else None


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=3, thread_name_prefix="search")
