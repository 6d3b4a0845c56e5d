"""Temporal search: the first or the last memories that match a query, searched from that end.

    first_or_last(search, "sign open", Span(0, 86_400), order="last", limit=1)

A ranking returns any few of many memories that match about as well. This module searches growing spans from the
wanted end, and halves a span with more matches than one search can return. The number of searches grows with the
number of halvings, not with the number of matches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..memory.query.snapshot import Hit
from ..memory.query.word_stems import stem, words_of
from ..memory.storage.rows import searchable_text
from ..memory.values import Moment, Span

SEARCH_LIMIT = 40
"""The number of memories that one search returns at most."""
_MATCH_SHARE = 0.8
"""A memory matches if it has this share of the words that the best one has."""
_MIN_SPAN_S = 30.0
"""The first span at the end. A span of this length is not halved."""
_GROWTH = 4
"""Each following span is this many times as long."""


def first_or_last(
    search: Callable[[Span], list[Hit]],
    query: str,
    span: Span,
    *,
    order: Literal["first", "last"],
    limit: int,
    is_wanted: Callable[[Moment], bool] = lambda moment: True,
) -> list[Hit]:
    """The first or last ``limit`` memories that match the query about as well as the best. That end comes first.

    The result may be longer than ``limit``. It is shorter if there are fewer matches.

    Args:
        search: Returns the ``SEARCH_LIMIT`` memories of a span that match best, best first.
        query: Plain words. A memory that has none of them does not match.
        span: Where to search.
        order: The wanted end.
        limit: The number of wanted memories.
        is_wanted: Which matching memories to return. Others are left out.

    """
    query_stems = frozenset(map(stem, words_of(query)))
    hits = search(span)
    best = max((_matched_words(query_stems, hit.moment) for hit in hits), default=0)
    temporal = _TemporalSearch(search, query_stems, max(_MATCH_SHARE * best, 1), order, is_wanted)
    matches, has_more = temporal.matches(hits)
    if has_more:
        matches = temporal.from_end(span, limit)
    return sorted(matches.values(), key=lambda hit: hit.moment.span, reverse=order == "last")


@dataclass(frozen=True, slots=True)
class _TemporalSearch:
    """A query, and from which end it is searched. Matches are hits by moment id."""

    search: Callable[[Span], list[Hit]]
    query_stems: frozenset[str]
    min_words: float
    """A memory with at least this many of the query's words matches."""
    order: Literal["first", "last"]
    is_wanted: Callable[[Moment], bool]

    def matches(self, hits: list[Hit]) -> tuple[dict[str, Hit], bool]:
        """The wanted matches among the hits, and whether the span may have more than the search returned."""
        matching = {
            hit.moment.id: hit
            for hit in hits
            if _matched_words(self.query_stems, hit.moment) >= self.min_words
        }
        # If even the worse half of a full result has matches, more may follow.
        worse_half = hits[SEARCH_LIMIT // 2 :]
        has_more = len(hits) == SEARCH_LIMIT and any(hit.moment.id in matching for hit in worse_half)
        return {key: hit for key, hit in matching.items() if self.is_wanted(hit.moment)}, has_more

    def from_end(self, span: Span, limit: int) -> dict[str, Hit]:
        """At least ``limit`` matches of the span, if it has that many, from the wanted end."""
        matches: dict[str, Hit] = {}
        searched_s, reach_s = 0.0, _MIN_SPAN_S
        while len(matches) < limit and searched_s < span.duration_s:
            reach_s = min(reach_s, span.duration_s)
            if self.order == "first":
                part = Span(span.start_s + searched_s, span.start_s + reach_s)
            else:
                part = Span(span.end_s - reach_s, span.end_s - searched_s)
            matches |= self._within(part, limit - len(matches))
            searched_s, reach_s = reach_s, _GROWTH * reach_s
        return matches

    def _within(self, span: Span, limit: int) -> dict[str, Hit]:
        """The matches of a span. If one search cannot return all, its halves are searched, the wanted end first."""
        matches, has_more = self.matches(self.search(span))
        if has_more and span.duration_s > _MIN_SPAN_S:
            halves = [Span(span.start_s, span.middle_s), Span(span.middle_s, span.end_s)]
            near, far = halves if self.order == "first" else reversed(halves)
            matches = self._within(near, limit)
            if len(matches) < limit:
                matches |= self._within(far, limit - len(matches))
        return matches


def _matched_words(query_stems: frozenset[str], moment: Moment) -> int:
    """How many of the query's stems a moment has."""
    text = " ".join(map(searchable_text, moment.observations))
    return len(query_stems & frozenset(map(stem, words_of(text))))
