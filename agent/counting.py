"""Counting: how often something happened, with the colours and in the time that a question names.

    [count] = by_counts(parsed, ("enters",), memories, {"shop": Span(20, 60)})
    count.text, count.span    # "1 arrival", from 30 to 31 s

Summaries count without a look at each moment. Findings that lie wholly in the asked time are counted by the fewest
summaries that cover it, and the rest moment by moment. Counts of a colour or a side are always made moment by moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.kind_registry import kind_of
from ..memory.values import RUNGS, Finding, Moment, Span
from . import answer_wording
from .attribute_matching import colours_for_kind, match_colours, on_a_side
from .candidate_ranking import Candidate
from .question_parser import ParsedQuestion
from .summary_counts import falls_in

RELIABILITY_OF_COUNTS = 0.75
UNSURE = 0.5
"""The factor for a count if not every finding was checked, or if people would have to be told apart."""
_EVERYTHING = Span(0.0, float("inf"))
_IDENTITY_WORDS = frozenset({"different", "distinct", "unique"})
"""A question with these words counts different people, not arrivals."""


@dataclass(frozen=True, slots=True)
class _Count:
    """How many findings of one kind were counted."""

    kind: str
    number: int
    findings: tuple[tuple[Moment, Finding], ...]
    """What was counted, or the summary counts that report it."""
    sure: bool = True


def by_counts(
    parsed: ParsedQuestion, kinds: Sequence[str], memories: Sequence[Moment], windows: Mapping[str, Span]
) -> list[Candidate]:
    """A candidate for each stream in which it happened: how often, over the span in which it did.

    ``memories`` are of any rung and may report the same finding twice. ``windows`` has the asked span of each stream.
    If it happened in none of them, a count of zero is returned for each window that the question names.
    """
    counts, zeros = [], []
    for stream, window in windows.items():
        own = [memory for memory in memories if memory.stream == stream]
        tiles = _tiles(own, window)
        if not tiles:
            continue
        count = max((_count(parsed, kind, own, tiles, window) for kind in kinds), key=lambda c: c.number)
        text = answer_wording.count_of(count.kind, count.number, parsed)
        hull = tiles[0].span.hull(tiles[-1].span)
        if count.number:
            first, finding = count.findings[0]
            span, score = _counted_span(count, hull), _score(parsed, count)
            counts.append(Candidate(first.id, stream, span, score, text, (finding,)))
        elif window != _EVERYTHING and count.sure:
            span = hull.clipped_to(window) or hull
            zeros.append(Candidate(tiles[0].id, stream, span, RELIABILITY_OF_COUNTS, text))
    return sorted(counts or zeros, key=lambda candidate: (-candidate.score, candidate.stream))


def _score(parsed: ParsedQuestion, count: _Count) -> float:
    score = RELIABILITY_OF_COUNTS * count.number / (count.number + 0.1)
    is_unsure = not count.sure or _IDENTITY_WORDS.intersection(parsed.content_words)
    return score * UNSURE if is_unsure else score


def _counted_span(count: _Count, hull: Span) -> Span:
    """From the first of the counted findings to the last."""
    if kind_of(count.kind).has("counted_over_all"):
        return hull
    spans = [finding.span for _, finding in count.findings]
    return Span(min(span.start_s for span in spans), max(span.end_s for span in spans))


def _count(
    parsed: ParsedQuestion, kind: str, memories: Sequence[Moment], tiles: Sequence[Moment], window: Span
) -> _Count:
    """Count the findings of one kind. ``tiles`` cover the window, and ``memories`` are all of the stream."""
    reported = [
        (tile, finding)
        for tile in tiles
        for finding in tile.findings
        if finding.kind == kind and (tile.rung != "moment" or falls_in(finding.span, window))
    ]
    total = sum(int(float(finding.detail.get("count", 1))) for _, finding in reported)
    if not (colours_for_kind(parsed, kind) or parsed.sides):
        return _Count(kind, total, tuple(reported))
    # A summary count has neither colours nor sides.
    single = _single_findings(kind, memories, window)
    matching = tuple((moment, finding) for moment, finding in single if _matches(parsed, finding))
    return _Count(kind, len(matching), matching, sure=len(single) >= total)


def _single_findings(kind: str, memories: Sequence[Moment], window: Span) -> list[tuple[Moment, Finding]]:
    """The findings of a kind in the window that moments still hold, in time order."""
    moments = [memory for memory in memories if memory.rung == "moment"]
    return [
        (moment, finding)
        for moment in sorted(moments, key=lambda moment: moment.span)
        for finding in moment.findings
        if finding.kind == kind and falls_in(finding.span, window)
    ]


def _matches(parsed: ParsedQuestion, finding: Finding) -> bool:
    """Whether a finding has the colours and the side that the question names."""
    colours = colours_for_kind(parsed, finding.kind)
    if colours and match_colours(colours, finding) < 1.0:
        return False
    return not parsed.sides or on_a_side(parsed.sides, finding)


def _tiles(memories: Sequence[Moment], window: Span) -> list[Moment]:
    """The fewest memories of a stream that cover the window and report nothing twice, in time order."""
    tiles: dict[str, Moment] = {}
    for memory in sorted(memories, key=lambda memory: (-RUNGS.index(memory.rung), memory.span)):
        is_inside = window.start_s <= memory.span.start_s and memory.span.end_s <= window.end_s
        is_usable = is_inside or (memory.rung == "moment" and memory.span.overlaps(window))
        if is_usable and not any(tile.span.overlaps(memory.span) for tile in tiles.values()):
            tiles[memory.id] = memory
    return sorted(tiles.values(), key=lambda tile: tile.span)
