"""The first or the last of the memories that fit a search alike: of many, a ranking shows any few.

    nearest(search, "sign open", Span(0, 86_400), order="last", wanted=1)

Searches longer and longer stretches from the end that is asked for, and halves one of which a search cannot show all
that fits: however many fit, the searches are some for each time that the span can be halved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..memory.query.snapshot import Hit
from ..memory.query.word_stems import stem, words_of
from ..memory.storage.rows import searchable_text
from ..memory.values import Moment, Span

SEARCHED = 40
"""How many one search shows at most."""
_AS_WELL = 0.8
"""What has such a share of the words that the best has fits as well."""
_SHORTEST_S = 30.0
"""The first stretch at the end, and one that is not halved any more."""
_GROWTH = 4
"""The next is so many times as long."""


def nearest(
    search: Callable[[Span], list[Hit]],
    text: str,
    span: Span,
    *,
    order: Literal["first", "last"],
    wanted: int,
    counts: Callable[[Moment], bool] = lambda moment: True,
) -> list[Hit]:
    """At least the ``wanted`` first or last of what fits ``text`` best, that end first; fewer where there are not so many.

    Args:
        search: Brings the ``SEARCHED`` memories of a span that fit the text best, best first.
        text: Plain words. What fits is told by how many of them it has: where nothing has any, nothing fits.
        span: Where to search.
        order: Which end is asked for.
        wanted: How many from that end.
        counts: Whether a memory that fits is one of the wanted; others are left out.

    """
    asked = frozenset(map(stem, words_of(text)))
    hits = search(span)
    enough = max(_AS_WELL * max((_held(asked, hit.moment) for hit in hits), default=0), 1)

    def fitting(hits: list[Hit]) -> tuple[dict[str, Hit], bool]:
        """Those that fit, and whether there may be more: then some of the less good ones still fit."""
        fit = {hit.moment.id: hit for hit in hits if _held(asked, hit.moment) >= enough}
        more = len(hits) == SEARCHED and any(hit.moment.id in fit for hit in hits[SEARCHED // 2 :])
        return {key: hit for key, hit in fit.items() if counts(hit.moment)}, more

    def within(part: Span, wanted: int) -> dict[str, Hit]:
        found, more = fitting(search(part))
        if more and part.duration_s > _SHORTEST_S:
            halves = [Span(part.start_s, part.middle_s), Span(part.middle_s, part.end_s)]
            near, far = halves if order == "first" else reversed(halves)
            found = within(near, wanted)
            if len(found) < wanted:
                found |= within(far, wanted - len(found))
        return found

    found, more = fitting(hits)
    if more:
        found, begun_s, reach_s = {}, 0.0, _SHORTEST_S
        while len(found) < wanted and begun_s < span.duration_s:
            reach_s = min(reach_s, span.duration_s)
            part = (
                Span(span.start_s + begun_s, span.start_s + reach_s)
                if order == "first"
                else Span(span.end_s - reach_s, span.end_s - begun_s)
            )
            found |= within(part, wanted - len(found))
            begun_s, reach_s = reach_s, _GROWTH * reach_s
    return sorted(found.values(), key=lambda hit: hit.moment.span, reverse=order == "last")


def _held(asked: frozenset[str], moment: Moment) -> int:
    """How many of some stems a moment has."""
    said = " ".join(map(searchable_text, moment.observations))
    return len(asked & frozenset(map(stem, words_of(said))))
