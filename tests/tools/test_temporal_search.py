"""Temporal search finds the first and last matches, however many there are and whichever a search returns."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import Hit, Moment, Observation, Span, moment_id
from recollect.tools.temporal_search import SEARCH_LIMIT, first_or_last

DAY = Span(0.0, 86_400.0)


def moment(start_s: float, caption: str) -> Moment:
    return Moment(
        id=moment_id("door", 0, "moment", start_s),
        stream="door",
        epoch=0,
        span=Span(start_s, start_s + 1.0),
        observations=(Observation(caption, (), "observers/1", 1000.0),),
    )


class Search:
    """Returns any few of the full matches, then any few of the half matches."""

    def __init__(self, moments: list[Moment], seed: int) -> None:
        self._moments = moments
        self._chance = random.Random(seed)
        self.calls = 0

    def __call__(self, span: Span) -> list[Hit]:
        self.calls += 1
        moments = [moment for moment in self._moments if moment.span.overlaps(span)]
        self._chance.shuffle(moments)
        moments.sort(key=lambda moment: "open" in moment.caption, reverse=True)
        return [Hit(moment, 1.0) for moment in moments[:SEARCH_LIMIT]]


TIMES = st.lists(st.integers(0, 86_398), unique=True, max_size=600)


@given(TIMES, TIMES, st.sampled_from(["first", "last"]), st.integers(1, 10), st.integers(0, 99))
def test_no_other_match_lies_nearer_to_the_end(opens, closed, order, limit, seed):
    opens = sorted(set(opens) - set(closed), reverse=order == "last")
    full_matches = [moment(start_s, "sign open") for start_s in opens]
    half_matches = [moment(start_s, "sign shut") for start_s in closed]

    hits = first_or_last(
        Search([*full_matches, *half_matches], seed), "open sign", DAY, order=order, limit=limit
    )

    if opens:
        assert [hit.moment.span.start_s for hit in hits[:limit]] == opens[:limit]


@pytest.mark.parametrize("order", ["first", "last"])
def test_searches_grow_with_the_number_of_halvings(order):
    search = Search([moment(start_s, "sign open") for start_s in range(30_000, 60_000)], 1)

    hits = first_or_last(search, "sign open", DAY, order=order, limit=1)

    assert hits[0].moment.span.start_s == (30_000 if order == "first" else 59_999)
    assert search.calls <= 2 * math.ceil(math.log2(DAY.duration_s / 30.0)) + 1


def test_a_memory_without_any_of_the_words_is_no_match():
    assert first_or_last(Search([moment(5.0, "rain")], 1), "open sign", DAY, order="last", limit=1) == []


def test_unwanted_matches_do_not_end_the_search():
    opens = [moment(float(start_s), "sign open") for start_s in range(0, 80_000, 100)]
    summaries = [moment(start_s + 0.5, "sign open") for start_s in range(86_000, 86_390, 10)]

    hits = first_or_last(
        Search([*opens, *summaries], 1),
        "open",
        DAY,
        order="last",
        limit=1,
        is_wanted=lambda match: match not in summaries,
    )

    assert hits[0].moment == opens[-1]
