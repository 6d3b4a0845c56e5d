"""The first or the last of the memories that fit a search alike: of many, a ranking shows any few.

    nearest(search, "sign open", Span(0, 86_400), order="last", wanted=1)

Halves the time until a search shows all that fits in the half nearest to the end that is asked for: however many
fit, the searches are some for each time that the span can be halved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..memory.rows import document
from ..memory.snapshot import Hit
from ..memory.values import Moment, Span
from ..memory.words import stem, words_of

SEARCHED = 40
"""How many one search shows at most."""
_AS_WELL = 0.8
"""What has such a share of the words that the best has fits as well."""
_SHORTEST_S = 30.0
"""A stretch that is not halved any more."""


def nearest(
    search: Callable[[Span], list[Hit]],
    text: str,
    span: Span,
    *,
    order: Literal["first", "last"],
    wanted: int,
) -> list[Hit]:
    """At least the ``wanted`` first or last of what fits ``text`` best, that end first; fewer where there are not so many.

    Args:
        search: Brings the ``SEARCHED`` memories of a span that fit the text best, best first.
        text: Plain words. What fits is told by how many of them it has: where nothing has any, nothing fits.
        span: Where to search.
        order: Which end is asked for.
        wanted: How many from that end.

    """
    asked = frozenset(map(stem, words_of(text)))
    hits = search(span)
    enough = max(_AS_WELL * max((_held(asked, hit.moment) for hit in hits), default=0), 1)

    def within(span: Span, wanted: int, hits: list[Hit]) -> dict[str, Hit]:
        fitting = {hit.moment.id: hit for hit in hits if _held(asked, hit.moment) >= enough}
        worse = {hit.moment.id for hit in hits[SEARCHED // 2 :]}
        shows_all = len(hits) < SEARCHED or not worse & fitting.keys()
        if shows_all or span.duration_s <= _SHORTEST_S:
            return fitting
        halves = [Span(span.start_s, span.middle_s), Span(span.middle_s, span.end_s)]
        near, far = halves if order == "first" else reversed(halves)
        found = within(near, wanted, search(near))
        if len(found) < wanted:
            found |= within(far, wanted - len(found), search(far))
        return found

    return sorted(
        within(span, wanted, hits).values(), key=lambda hit: hit.moment.span, reverse=order == "last"
    )


def _held(asked: frozenset[str], moment: Moment) -> int:
    """How many of some stems a moment has."""
    said = " ".join(map(document, moment.observations))
    return len(asked & frozenset(map(stem, words_of(said))))
