"""Candidate ranking: orders candidates by score, or by what "first", "last" and "longest" ask for.

rank_candidates(parsed, merge_adjacent(candidates))[0]    # the one that the question means
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..common.kind_registry import kind_of
from ..memory.query.word_stems import words_of
from ..memory.values import Finding, Span
from .question_parser import ParsedQuestion
from .summary_counts import COUNTED, format_count

MERGE_GAP_S = 1.0
"""Spans with a smaller gap are merged if they report the same."""
SAME_RANK = 0.8
"""Candidates within this share of the best score are equals if one is picked by its order in time."""
FORGOTTEN = 0.5
"""The factor for a candidate whose details are forgotten. It is too little to answer with."""
MAX_FORGOTTEN_SCORE = 0.9
RANK_STEP = 0.02
"""How much the score falls from one equal to the next, as a share."""
REPEATED_SHARE = 0.7
"""A candidate repeats another one that covers this share of its span."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of one stream that may answer the question."""

    moment_id: str
    stream: str
    span: Span
    score: float
    text: str
    findings: tuple[Finding, ...] = ()
    """What supports it, best first."""
    missing: tuple[str, ...] = ()
    """Words of the question that it lacks."""
    coverage: float = 0.0
    """The share of the question's words that it has, 0 to 1."""
    verbatim: bool = True
    """Whether it has everything that the question quotes."""
    hidden: int = 0
    """How many of its kind come between it and the next one, at forgotten times."""
    forgotten: bool = False
    """Whether the meant one is among several of which only a summary is left."""
    figures: tuple[Finding, ...] = ()
    """The moving shapes that were present when something was taken or put down."""


def rank_candidates(parsed: ParsedQuestion, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Put the candidates first that the question's "first", "last", "longest" or "brightest" asks for."""
    best_first = sorted(candidates, key=lambda c: (-round(c.score, 4), c.span))
    if not best_first or parsed.pick == "all":
        return best_first
    top = best_first[0].score
    equals = _in_picked_order(parsed, [c for c in best_first if c.score >= SAME_RANK * top])
    possible = _forgotten_alternative(parsed, best_first, equals[0])
    if possible is not None:
        equals = [possible, *(c for c in equals if c is not possible)]
    if equals[0].forgotten:
        shown = {(c.moment_id, c.span) for c in equals}
        meant = replace(equals[0], score=FORGOTTEN * min(equals[0].score, MAX_FORGOTTEN_SCORE))
        return [meant, *equals[1:], *(c for c in best_first if (c.moment_id, c.span) not in shown)]
    rest = [c for c in best_first if c not in equals]
    # The order in time outweighs small differences in score. Scores must still fall, so that lists can be merged.
    equals = [replace(c, score=top * (1 - RANK_STEP * rank)) for rank, c in enumerate(equals)]
    return [*equals, *rest]


def _in_picked_order(parsed: ParsedQuestion, equals: list[Candidate]) -> list[Candidate]:
    """Candidates of equal rank, the picked one first."""
    if _picks_extreme(parsed):
        sign = -1 if parsed.pick in ("longest", "highest") else 1
        return sorted(equals, key=lambda c: (sign * _measure(parsed, c), c.span))
    equals = sorted(equals, key=lambda c: c.span, reverse=parsed.pick in ("last", "newest"))
    if parsed.pick == "nth" and parsed.nth > 1:
        return _nth_first(equals, parsed.nth)
    return equals


def _forgotten_alternative(
    parsed: ParsedQuestion, best_first: Sequence[Candidate], first: Candidate
) -> Candidate | None:
    """The best forgotten candidate that may be the meant one instead of ``first``."""
    if parsed.colours or parsed.sides:
        return None
    forgotten = (c for c in best_first if c.forgotten)
    if parsed.pick == "nth":
        forgotten = (c for c in forgotten if c.span < first.span)
    elif parsed.pick in ("last", "newest"):
        forgotten = (c for c in forgotten if c.span.end_s > first.span.end_s)
    return next(forgotten, None)


def _nth_first(in_order: Sequence[Candidate], nth: int) -> list[Candidate]:
    """The nth candidate before the others. If its time is forgotten, the last known one before it is marked."""
    position = 1
    for index, candidate in enumerate(in_order):
        rest = [*in_order[:index], *in_order[index + 1 :]]
        if position == nth:
            return [candidate, *rest]
        position += 1 + candidate.hidden
        if position > nth:
            count = int(float(candidate.findings[0].detail[COUNTED]))
            text = f"one of {format_count(candidate.findings[0].kind, count)}"
            return [replace(candidate, text=text, forgotten=True), *rest]
    return list(in_order)


def streams_in_turn(
    parsed: ParsedQuestion, candidates_by_stream: Mapping[str, Sequence[Candidate]]
) -> list[Candidate]:
    """The ranked candidates of each stream, interleaved. The stream that the question most likely means comes first."""
    streams = sorted(
        candidates_by_stream,
        key=lambda stream: (-_stream_relevance(parsed, candidates_by_stream[stream]), stream),
    )
    return interleave(
        [rank_candidates(parsed, merge_adjacent(candidates_by_stream[stream])) for stream in streams]
    )


def _stream_relevance(parsed: ParsedQuestion, candidates: Sequence[Candidate]) -> float:
    """How likely the question means this stream.

    An extreme is most likely meant in the stream with the largest outlier, anything else in the stream where it is
    frequent.
    """
    best = max(candidate.score for candidate in candidates)
    if _picks_extreme(parsed):
        values = [_measure(parsed, candidate) for candidate in candidates]
        extreme = max(values) if parsed.pick in ("longest", "highest") else min(values)
        mean = sum(values) / len(values)
        return best * (1.0 + min(1.0, abs(extreme - mean) / max(abs(mean), 1e-6)))
    return best * (0.85 + 0.15 * len(candidates) / (len(candidates) + 2))


def interleave(ranked: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, ranked), default=0)
    return [candidates[index] for index in range(longest) for candidates in ranked if index < len(candidates)]


def merge_adjacent(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Merge spans that follow each other and report the same. The result is in time order."""
    merged: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.stream, c.span)):
        last = merged[-1] if merged else None
        if last is not None and _continues(last, candidate):
            better = last if last.score >= candidate.score else candidate
            merged[-1] = replace(better, span=last.span.hull(candidate.span))
        else:
            merged.append(candidate)
    return merged


def _continues(last: Candidate, candidate: Candidate) -> bool:
    return (
        last.stream == candidate.stream
        and candidate.span.start_s - last.span.end_s <= MERGE_GAP_S
        and _report_key(last) == _report_key(candidate)
    )


def distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Leave out candidates that repeat the span of a better one in the same stream."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if not any(_repeats(candidate, better) for better in kept):
            kept.append(candidate)
    return kept


def _repeats(candidate: Candidate, better: Candidate) -> bool:
    common = candidate.span.clipped_to(better.span) if candidate.stream == better.stream else None
    return common is not None and common.duration_s >= REPEATED_SHARE * candidate.span.duration_s


def _picks_extreme(parsed: ParsedQuestion) -> bool:
    return parsed.pick in ("longest", "shortest", "highest", "lowest")


def _measure(parsed: ParsedQuestion, candidate: Candidate) -> float:
    """The quantity by which an extreme is picked: the length, or else the measured value."""
    if parsed.pick in ("longest", "shortest"):
        return candidate.span.duration_s
    value = candidate.findings[0].detail.get("value") if candidate.findings else None
    return float(value) if isinstance(value, int | float) else candidate.score


def _report_key(candidate: Candidate) -> tuple[str, ...]:
    """What a candidate reports, for comparison: its best line, or its kind and text."""
    if not candidate.findings:
        return (candidate.text,)
    best = candidate.findings[0]
    if kind_of(best.kind, best.field).has("same_when_repeated"):
        return (best.kind,)
    span = "" if best.field in ("visible_text", "speech") else str(best.span)
    return (best.kind, *sorted(words_of(best.text)), span)
