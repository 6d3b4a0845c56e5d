"""Evidence weighing: ranks the found memories and grades whether the best one answers the question.

    weighed = weigh_evidence(parsed, plan, overview, moments)
    weighed.ranked[0].text, weighed.sufficiency

This is the part of the extractive reasoner that decides. It needs no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..common.kind_registry import kind_of
from ..memory.values import Moment, Span
from .candidate_ranking import FORGOTTEN, Candidate, distinct
from .candidates import by_kinds, by_shots, by_words
from .counting import by_counts
from .question_parser import ParsedQuestion
from .reasoner import ANSWERS_FROM, Plan
from .search_planning import asks_when_something_appears
from .summary_counts import leaves_of, lies_in_asked_time
from .text_matching import fit_lines, terms_of

NEWEST_MOMENTS = 2
"""A question about now is answered from this many moments of the end."""
ADJACENT_MOMENTS = 2
"""A question about what came next or before is answered from this many moments."""
CAPTION_SCORE = 0.8
DESCRIBED = 0.8
"""Sufficiency of captions of the asked time."""
BESIDE = 0.7
"""Sufficiency of the moments after or before something that was found."""
UNCERTAIN = 0.3
"""Sufficiency if details are forgotten, or if only a neighbouring finding is known."""


@dataclass(frozen=True, slots=True)
class WeighedEvidence:
    """Candidates, best first, and how sufficient the best one is."""

    ranked: list[Candidate]
    sufficiency: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class _Context:
    """The question and the found memories."""

    parsed: ParsedQuestion
    plan: Plan
    overview: Sequence[Moment]
    moments: Sequence[Moment]
    leaves: Sequence[Moment]
    """The moments in the asked time, and the summaries of forgotten ones."""
    window: Span
    """The asked stream time."""
    ends_s: Mapping[str, float]
    """The last time of each stream."""


def weigh_evidence(
    parsed: ParsedQuestion, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
) -> WeighedEvidence:
    """Rank all candidates, and grade how sufficient the best one is."""
    ends_s: dict[str, float] = {}
    for moment in (*overview, *moments):
        ends_s[moment.stream] = max(ends_s.get(moment.stream, 0.0), moment.span.end_s)
    window = Span(plan.from_s or 0.0, float("inf") if plan.to_s is None else plan.to_s)
    leaves = leaves_of(moments, parsed, window, ends_s)
    context = _Context(parsed, plan, overview, moments, leaves, window, ends_s)
    for weigh in (_weigh_adjacent, _weigh_shots, _weigh_requested_captions, _weigh_counts):
        weighed = weigh(context)
        if weighed is not None:
            return weighed
    return _weigh_words_and_kinds(context)


def _weigh_adjacent(context: _Context) -> WeighedEvidence | None:
    """The moments just after or before what the question names. None if it names nothing that was found."""
    parsed = context.parsed
    if not parsed.relation or (parsed.asks != "describe" and parsed.wants_text):
        return None
    anchored = replace(parsed, content_words=parsed.anchor, pick="all")
    anchors = by_kinds(anchored, context.plan.kinds, context.leaves, context.ends_s)
    anchors = anchors or by_words(anchored, context.leaves, context.ends_s)
    if not anchors or anchors[0].score < ANSWERS_FROM:
        return None
    anchor = anchors[0]
    is_summary = any(leaf.id == anchor.moment_id and leaf.rung != "moment" for leaf in context.leaves)
    if anchor.forgotten or is_summary:
        # The moment of the anchor is forgotten, and its neighbours with it.
        return WeighedEvidence([replace(anchor, forgotten=True)], UNCERTAIN)
    adjacent = _moments_beside(anchor, context.leaves, after=parsed.relation == "after")
    candidates = [_caption_candidate(moment) for moment in adjacent[:ADJACENT_MOMENTS]]
    return WeighedEvidence([*candidates, anchor], BESIDE if len(adjacent) > 1 else UNCERTAIN)


def _moments_beside(anchor: Candidate, leaves: Sequence[Moment], *, after: bool) -> list[Moment]:
    """The moments of the anchor's stream that reach beyond it, the nearest first."""
    moments = [leaf for leaf in leaves if leaf.rung == "moment" and leaf.stream == anchor.stream]
    if after:
        moments = [moment for moment in moments if moment.span.end_s > anchor.span.end_s]
    else:
        moments = [moment for moment in moments if moment.span.start_s < anchor.span.start_s]
    return sorted(moments, key=lambda moment: moment.span, reverse=not after)


def _weigh_shots(context: _Context) -> WeighedEvidence | None:
    """The shots themselves. None if the question is not about shots."""
    parsed = context.parsed
    if not (context.plan.everything and parsed.about_shots):
        return None
    shots = by_shots(parsed, [leaf for leaf in context.leaves if leaf.rung == "moment"])
    text_matches = by_words(parsed, context.leaves, context.ends_s)
    if shots and any(leaf.rung != "moment" for leaf in context.leaves):
        # Summaries only keep the number of shots.
        shots[0] = replace(shots[0], score=FORGOTTEN * shots[0].score, forgotten=True)
    sufficiency = _kind_sufficiency(parsed, shots[0]) if shots else 0.0
    return WeighedEvidence(distinct([*shots, *text_matches]), sufficiency)


def _weigh_requested_captions(context: _Context) -> WeighedEvidence | None:
    """The captions of the asked time. None if the question asks for something more specific."""
    parsed = context.parsed
    is_specific = parsed.content_words or context.plan.kinds or parsed.quoted
    if parsed.asks != "describe" and is_specific:
        return None
    return _weigh_captions(context)


def _weigh_counts(context: _Context) -> WeighedEvidence | None:
    """Counts in each stream. None if the question asks for no number, or nothing was counted."""
    parsed, kinds = context.parsed, context.plan.kinds
    if parsed.asks != "how_many" or not kinds:
        return None
    windows = {
        stream: _stream_window(context.window, parsed, end_s) for stream, end_s in context.ends_s.items()
    }
    counts = by_counts(parsed, kinds, [*context.overview, *context.moments], windows)
    return WeighedEvidence(counts, _kind_sufficiency(parsed, counts[0])) if counts else None


def _weigh_words_and_kinds(context: _Context) -> WeighedEvidence:
    """Lines that match the question's words, and findings of the asked kinds."""
    parsed, kinds = context.parsed, context.plan.kinds
    by_text = by_words(parsed, context.leaves, context.ends_s)
    by_kind = by_kinds(parsed, kinds, context.leaves, context.ends_s) if kinds else []
    if not (by_text or by_kind) and (parsed.span is not None or parsed.last_s is not None):
        # Nothing matches the words, but the question names a time. The captions of that time are the best answer.
        return _weigh_captions(context)
    return _merged(parsed, by_text, _supported_by_text(parsed, by_kind, by_text))


def _merged(
    parsed: ParsedQuestion, by_text: Sequence[Candidate], by_kind: Sequence[Candidate]
) -> WeighedEvidence:
    """Lines and findings in one ranking. The more sufficient of the two comes first."""
    text_score = _text_sufficiency(parsed, by_text[0]) if by_text else 0.0
    kind_score = _kind_sufficiency(parsed, by_kind[0]) if by_kind else 0.0
    text_first = WeighedEvidence(distinct([*by_text, *by_kind]), text_score)
    if asks_when_something_appears(parsed):
        kind_score = min(kind_score, UNCERTAIN)
        if by_text and text_score >= UNCERTAIN:
            return text_first
    if not by_kind:
        return text_first
    if by_text and _is_readable(by_kind[0]):
        # Both were read or heard, so their scores tell which matches better.
        merged = sorted([*by_kind, *by_text], key=lambda candidate: -candidate.score)
        return WeighedEvidence(distinct(merged), max(text_score, kind_score))
    if not by_text or kind_score >= text_score or not parsed.wants_text:
        return WeighedEvidence(distinct([*by_kind, *by_text]), kind_score)
    return text_first


def _weigh_captions(context: _Context) -> WeighedEvidence:
    """The captions of the asked moments, or of the overview if the question names no time."""
    parsed, leaves = context.parsed, context.leaves
    if parsed.pick == "newest":
        leaves = sorted(leaves, key=lambda moment: -moment.span.end_s)[:NEWEST_MOMENTS]
    is_narrow = _asks_about_part(context)
    if is_narrow and leaves:
        certain = [leaf for leaf in leaves if _lies_in_asked_time(context, leaf)]
        if not certain or (parsed.pick == "newest" and leaves[0] not in certain):
            forgotten = [replace(_caption_candidate(leaf), forgotten=True) for leaf in leaves]
            return WeighedEvidence(forgotten, UNCERTAIN)
        leaves = certain
    tiles = list(leaves)
    if context.overview and not is_narrow:
        tiles = [tile for tile in context.overview if tile.span.overlaps(context.window)]
    return _captions(parsed, tiles)


def _captions(parsed: ParsedQuestion, tiles: Sequence[Moment]) -> WeighedEvidence:
    """The captions of these memories, the newest first if the question asks for the last."""
    if parsed.pick in ("newest", "last"):
        tiles = sorted(tiles, key=lambda tile: (-tile.span.end_s, tile.stream))
    candidates = [_caption_candidate(tile) for tile in tiles]
    return WeighedEvidence(candidates, _caption_sufficiency(parsed) if candidates else 0.0)


def _asks_about_part(context: _Context) -> bool:
    """Whether the question is about a bounded part of the streams, or about their end."""
    has_end = context.window.end_s != float("inf")
    return has_end or context.parsed.pick in ("newest", "last") or context.parsed.last_s is not None


def _lies_in_asked_time(context: _Context, leaf: Moment) -> bool:
    return lies_in_asked_time(leaf, context.parsed, context.window, context.ends_s)


def _stream_window(window: Span, parsed: ParsedQuestion, end_s: float) -> Span:
    """The asked span of a stream that ends at ``end_s``."""
    if parsed.last_s is None:
        return window
    from_s = max(0.0, end_s - parsed.last_s)
    return Span(from_s, max(from_s, window.end_s))


def _supported_by_text(
    parsed: ParsedQuestion, by_kind: Sequence[Candidate], by_text: Sequence[Candidate]
) -> list[Candidate]:
    """Raise findings that matching text of the same time supports. For readable findings the text decides."""
    supported = []
    terms = terms_of(parsed.content_words, (), parsed.names)
    for candidate in by_kind:
        coverages = [
            match.coverage
            for match in by_text
            if match.stream == candidate.stream and match.span.overlaps(candidate.span)
        ]
        if _is_readable(candidate) and parsed.unobservable_words:
            factor = 0.5 + 0.5 * max([fit_lines(terms, candidate.findings).coverage, *coverages])
        else:
            factor = 0.9 + 0.1 * max(coverages, default=0.0)
        supported.append(replace(candidate, score=candidate.score * factor))
    if parsed.unobservable_words and any(map(_is_readable, supported)):
        supported.sort(key=lambda candidate: -candidate.score)
    return supported


def _is_readable(candidate: Candidate) -> bool:
    """Whether a candidate consists of words that were read or heard."""
    return bool(candidate.findings) and kind_of(candidate.findings[0].kind).has("readable")


def _kind_sufficiency(parsed: ParsedQuestion, best: Candidate) -> float:
    """How sufficient a finding is. Each word that no observer can recognise lowers it."""
    if _is_readable(best):
        return best.score
    if parsed.asks in ("who", "why") or (parsed.asks == "what" and parsed.unobservable_words):
        return min(0.45, best.score)
    return best.score * 0.85 ** min(2, len(parsed.unobservable_words))


def _text_sufficiency(parsed: ParsedQuestion, best: Candidate) -> float:
    """How sufficient a matching line is."""
    if parsed.quoted:
        return best.score if best.verbatim else 0.3 * best.score
    if not parsed.wants_text and parsed.unobservable_words and best.coverage < 0.75:
        return min(0.4, best.score)
    return best.score


def _caption_sufficiency(parsed: ParsedQuestion) -> float:
    if parsed.asks in ("who", "why"):
        return 0.4
    return ANSWERS_FROM if parsed.unobservable_words else DESCRIBED


def _caption_candidate(moment: Moment) -> Candidate:
    """A moment's caption as a candidate."""
    return Candidate(moment.id, moment.stream, moment.span, CAPTION_SCORE, moment.caption)
