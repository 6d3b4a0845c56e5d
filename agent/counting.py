"""How often something happened: of the colours, and in the stretch, that a question names.

    [one] = by_counts(parsed, ("enters",), memories, {"shop": Span(20, 60)})
    one.text, one.span    # "1 arrival", from 30 to 31 s

Memories above the first rung count without looking at each: what lies wholly in the stretch is counted by as few of
them as tell it, the rest one by one, and so is all of which a colour is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.kind_registry import kind_of
from ..memory.values import RUNGS, Finding, Moment, Span
from . import answer_wording
from .candidates import Candidate, asked_colours, colour_fit, on_a_side
from .question_parser import ParsedQuestion
from .summary_counts import falls_in

RELIABILITY_OF_COUNTS = 0.75
UNSURE = 0.5
"""What a count is worth where not all can be looked at, or where people would have to be told apart."""
_EVERYTHING = Span(0.0, float("inf"))
_TOLD_APART = frozenset({"different", "distinct", "unique"})


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted of one kind."""

    kind: str
    number: int
    found: tuple[tuple[Moment, Finding], ...]
    """Where: what was counted, or the tallies that tell of it."""
    sure: bool = True


def by_counts(
    parsed: ParsedQuestion, kinds: Sequence[str], memories: Sequence[Moment], asked: Mapping[str, Span]
) -> list[Candidate]:
    """A candidate for each stream in which it happened: how often, over the stretch in which it did.

    ``memories`` are of any rung and may tell the same thing twice; ``asked`` says what of each stream is asked about.
    Where a time is named in which it happened nowhere, that is the count.
    """
    candidates, never = [], []
    for stream, window in asked.items():
        own = [memory for memory in memories if memory.stream == stream]
        tiles = _tiles(own, window)
        if not tiles:
            continue
        count = max((_count(parsed, kind, own, tiles, window) for kind in kinds), key=lambda one: one.number)
        hull = tiles[0].span.hull(tiles[-1].span)
        text = answer_wording.count_of(count.kind, count.number, parsed)
        score = RELIABILITY_OF_COUNTS * count.number / (count.number + 0.1)
        if not count.sure or _TOLD_APART.intersection(parsed.content_words):
            score *= UNSURE
        if count.number:
            spans = [finding.span for _, finding in count.found]
            span = Span(min(one.start_s for one in spans), max(one.end_s for one in spans))
            if kind_of(count.kind).has("counted_over_all"):
                span = hull
            first, finding = count.found[0]
            candidates.append(Candidate(first.id, stream, span, score, text, (finding,)))
        elif window != _EVERYTHING and count.sure:
            seen = hull.clipped_to(window) or hull
            never.append(Candidate(tiles[0].id, stream, seen, RELIABILITY_OF_COUNTS, text))
    return sorted(candidates or never, key=lambda candidate: (-candidate.score, candidate.stream))


def _count(
    parsed: ParsedQuestion, kind: str, memories: Sequence[Moment], tiles: Sequence[Moment], window: Span
) -> _Count:
    told = [
        (tile, finding)
        for tile in tiles
        for finding in tile.findings
        if finding.kind == kind and (tile.rung != "moment" or falls_in(finding.span, window))
    ]
    total = sum(int(float(finding.detail.get("count", 1))) for _, finding in told)
    colours = asked_colours(parsed, kind)
    if not (colours or parsed.sides):
        return _Count(kind, total, tuple(told))
    # A tally knows neither colours nor places.
    singly = [
        (moment, finding)
        for moment in sorted(memories, key=lambda memory: memory.span)
        if moment.rung == "moment"
        for finding in moment.findings
        if finding.kind == kind and falls_in(finding.span, window)
    ]
    fits = tuple(
        (moment, finding)
        for moment, finding in singly
        if (not colours or colour_fit(colours, finding) == 1.0)
        and (not parsed.sides or on_a_side(parsed.sides, finding))
    )
    return _Count(kind, len(fits), fits, sure=len(singly) >= total)


def _tiles(memories: Sequence[Moment], window: Span) -> list[Moment]:
    """The fewest of some memories of a stream that tell a stretch without telling anything twice, in time order."""
    tiles: dict[str, Moment] = {}
    for memory in sorted(memories, key=lambda one: (-RUNGS.index(one.rung), one.span)):
        inside = window.start_s <= memory.span.start_s and memory.span.end_s <= window.end_s
        if (inside or (memory.rung == "moment" and memory.span.overlaps(window))) and not any(
            tile.span.overlaps(memory.span) for tile in tiles.values()
        ):
            tiles[memory.id] = memory
    return sorted(tiles.values(), key=lambda tile: tile.span)
