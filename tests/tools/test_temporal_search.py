"""The first and the last of what fits are found, however many there are and whichever of them a search shows."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import Hit, Moment, Observation, Span, moment_id
from recollect.tools.temporal_search import SEARCHED, nearest

DAY = Span(0.0, 86_400.0)


def moment(at_s: float, caption: str) -> Moment:
    return Moment(
        id=moment_id("door", 0, "moment", at_s),
        stream="door",
        epoch=0,
        span=Span(at_s, at_s + 1.0),
        observations=(Observation(caption, (), "observers/1", 1000.0),),
    )


class Search:
    """Shows any few of what fits, then any few of what half fits."""

    def __init__(self, moments: list[Moment], seed: int) -> None:
        self._moments = moments
        self._chance = random.Random(seed)
        self.asked = 0

    def __call__(self, span: Span) -> list[Hit]:
        self.asked += 1
        there = [one for one in self._moments if one.span.overlaps(span)]
        self._chance.shuffle(there)
        there.sort(key=lambda one: "open" in one.caption, reverse=True)
        return [Hit(one, 1.0) for one in there[:SEARCHED]]


TIMES = st.lists(st.integers(0, 86_398), unique=True, max_size=600)


@given(TIMES, TIMES, st.sampled_from(["first", "last"]), st.integers(1, 10), st.integers(0, 99))
def test_no_other_that_fits_lies_nearer_to_the_end(opens, closed, order, wanted, seed):
    opens = sorted(set(opens) - set(closed), reverse=order == "last")
    search = Search(
        [*(moment(at, "sign open") for at in opens), *(moment(at, "sign shut") for at in closed)], seed
    )

    found = nearest(search, "open sign", DAY, order=order, wanted=wanted)

    if opens:
        assert [hit.moment.span.start_s for hit in found[:wanted]] == opens[:wanted]


@pytest.mark.parametrize("order", ["first", "last"])
def test_the_searches_grow_with_the_number_of_times_that_the_span_can_be_halved(order):
    search = Search([moment(at, "sign open") for at in range(30_000, 60_000)], 1)

    found = nearest(search, "sign open", DAY, order=order, wanted=1)

    assert found[0].moment.span.start_s == (30_000 if order == "first" else 59_999)
    assert search.asked <= 2 * math.ceil(math.log2(DAY.duration_s / 30.0)) + 1


def test_what_has_none_of_the_words_is_not_the_last_of_anything():
    assert nearest(Search([moment(5.0, "rain")], 1), "open sign", DAY, order="last", wanted=1) == []


def test_what_does_not_count_does_not_end_the_search():
    opens = [moment(float(at), "sign open") for at in range(0, 80_000, 100)]
    above = [moment(at + 0.5, "sign open") for at in range(86_000, 86_390, 10)]

    found = nearest(
        Search([*opens, *above], 1), "open", DAY, order="last", wanted=1, counts=lambda one: one not in above
    )

    assert found[0].moment == opens[-1]
