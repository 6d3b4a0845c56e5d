"""Candidates: spans of time in remembered moments that may answer the question.

They come from words that were read or heard (``by_words``), from findings of the asked kinds (``by_kinds``), or from
the shots themselves (``by_shots``). Each has a score from 0 to 1 that can be compared with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..common.kind_registry import kind_of
from ..memory.query.word_stems import stem, words_of
from ..memory.values import RUNGS, Finding, Moment, Span
from .attribute_matching import match_attributes
from .candidate_ranking import (
    FORGOTTEN,
    Candidate,
    interleave,
    merge_adjacent,
    rank_candidates,
    streams_in_turn,
)
from .question_parser import ParsedQuestion
from .summary_counts import COUNTED, HIDDEN, VAGUE, is_summary_count
from .text_matching import TextFit, fit_lines, fits_verbatim, terms_of

PRESENCE_MARGIN_S = 0.5
"""A shape that is present this long before or after something is taken or put down may have done it."""
FROM_SUMMARY = 0.95
"""The factor for a finding that is only known from a summary."""
STANDING_TEXT = 0.88
"""The factor for text that was visible before the moment began. Text that just appeared is the better answer."""
SHOWN_LINES = 4


def by_words(
    parsed: ParsedQuestion, moments: Sequence[Moment], ends_s: Mapping[str, float]
) -> list[Candidate]:
    """Candidates whose text has the question's words, best first. ``ends_s`` has the last time of each stream."""
    if not parsed.content_words and not parsed.quoted:
        return []
    lines = {moment.id: _matchable_lines(moment, parsed) for moment in moments}
    documents = (" ".join(line.text for line in own_lines) for own_lines in lines.values() if own_lines)
    terms = terms_of(parsed.content_words, documents, parsed.names)
    candidates = []
    for moment in moments:
        candidate = _text_candidate(parsed, moment, fit_lines(terms, lines[moment.id]), lines[moment.id])
        if candidate is not None:
            factor = _position_factor(parsed, candidate.span, ends_s.get(moment.stream, moment.span.end_s))
            candidates.append(replace(candidate, score=candidate.score * factor))
    return rank_candidates(parsed, merge_adjacent(candidates))


def by_kinds(
    parsed: ParsedQuestion, kinds: Sequence[str], moments: Sequence[Moment], ends_s: Mapping[str, float]
) -> list[Candidate]:
    """Candidates that are findings of these kinds, the best of each stream first."""
    candidates: dict[str, list[Candidate]] = {}
    for moment, finding in _distinct_findings(kinds, moments):
        end_s = ends_s.get(moment.stream, moment.span.end_s)
        candidates.setdefault(moment.stream, []).append(_finding_candidate(parsed, moment, finding, end_s))
    return streams_in_turn(parsed, candidates)


def by_shots(parsed: ParsedQuestion, moments: Sequence[Moment]) -> list[Candidate]:
    """The shots themselves as candidates, the asked one of each stream first."""
    shots: dict[str, dict[tuple[int, int], list[Moment]]] = {}
    for moment in sorted(moments, key=lambda moment: (moment.stream, moment.span)):
        shots.setdefault(moment.stream, {}).setdefault((moment.epoch, moment.shot), []).append(moment)
    ranked: list[tuple[bool, str, list[Candidate]]] = []
    for stream, stream_shots in shots.items():
        candidates = [
            Candidate(
                members[0].id,
                stream,
                members[0].span.hull(members[-1].span),
                kind_of("cut").reliability,
                members[0].caption,
            )
            for members in stream_shots.values()
        ]
        # A stream of one shot has no first or last shot worth asking about.
        ranked.append((len(candidates) < 2, stream, rank_candidates(parsed, candidates)))
    return interleave([candidates for _, _, candidates in sorted(ranked, key=lambda item: item[:2])])


def _distinct_findings(kinds: Sequence[str], moments: Sequence[Moment]) -> Iterator[tuple[Moment, Finding]]:
    """The findings of these kinds. One that several rungs report is taken from the lowest."""
    keys: set[tuple[str, str, Span, str]] = set()
    starts: set[tuple[str, str, float]] = set()
    for moment in sorted(moments, key=lambda moment: (RUNGS.index(moment.rung), moment.stream, moment.span)):
        for finding in moment.findings:
            if finding.kind not in kinds:
                continue
            key = (moment.stream, finding.kind, finding.span, finding.text)
            start = (moment.stream, finding.kind, round(finding.span.start_s, 2))
            is_known_summary = COUNTED in finding.detail and VAGUE not in finding.detail and start in starts
            if key not in keys and not is_known_summary:
                keys.add(key)
                starts.add(start)
                yield moment, finding


def _finding_candidate(parsed: ParsedQuestion, moment: Moment, finding: Finding, end_s: float) -> Candidate:
    """A finding as a candidate. ``end_s`` is the last time of its stream."""
    figures = _figures_present(moment, finding)
    forgotten = VAGUE in finding.detail
    score = kind_of(finding.kind, finding.field).reliability * match_attributes(parsed, finding, figures)
    score *= _position_factor(parsed, finding.span, end_s)
    if forgotten:
        score *= FORGOTTEN
    elif COUNTED in finding.detail:
        score *= FROM_SUMMARY
    return Candidate(
        moment.id,
        moment.stream,
        finding.span,
        min(1.0, score),
        _with_figures(finding, figures),
        (finding,),
        hidden=int(float(finding.detail.get(HIDDEN, 0))),
        forgotten=forgotten,
        figures=figures,
    )


def _matchable_lines(moment: Moment, parsed: ParsedQuestion) -> list[Finding]:
    """The findings of a moment whose text can be matched with the question's words."""
    return [
        finding
        for finding in moment.findings
        if not (is_summary_count(finding) or COUNTED in finding.detail) and _is_matchable(finding, parsed)
    ]


def _is_matchable(finding: Finding, parsed: ParsedQuestion) -> bool:
    if finding.field == "visible_text":
        return True
    if finding.field == "speech":
        return not (parsed.text_in_picture and parsed.wants_text)
    if kind_of(finding.kind, finding.field).has("readable"):
        return True
    return not parsed.wants_text and finding.field != "attribute"


def _text_candidate(
    parsed: ParsedQuestion, moment: Moment, fit: TextFit, lines: Sequence[Finding]
) -> Candidate | None:
    """A moment's matching lines as a candidate. None if no line matches."""
    quoting = [line for phrase in parsed.quoted for line in lines if fits_verbatim(phrase, line.text)]
    verbatim = all(any(fits_verbatim(phrase, line.text) for line in lines) for phrase in parsed.quoted)
    if not fit.lines and not quoting:
        return None
    findings = tuple(dict.fromkeys([*quoting, *fit.lines]))
    span = fit.span or findings[0].span
    if quoting and not span.overlaps(quoting[0].span):
        span = quoting[0].span
    score = _text_score(parsed, moment, fit, findings)
    if parsed.quoted:
        score = 0.4 + 0.6 * score if verbatim else 0.4 * score
    return Candidate(
        moment.id,
        moment.stream,
        span.clipped_to(moment.span) or moment.span,
        min(1.0, score),
        " / ".join(dict.fromkeys(finding.text for finding in findings[:SHOWN_LINES])),
        findings,
        fit.missing,
        fit.coverage,
        verbatim,
    )


def _text_score(parsed: ParsedQuestion, moment: Moment, fit: TextFit, findings: Sequence[Finding]) -> float:
    """How well the matching lines answer the question, quotations aside."""
    newest_s = max(float(line.detail.get("first_s", line.span.start_s)) for line in findings)
    score = fit.coverage * (0.7 + 0.3 * fit.focus)
    score *= 1.0 if newest_s >= moment.span.start_s - 0.5 else STANDING_TEXT
    score *= 0.82 + 0.02 * min(4, len(fit.lines)) + 0.1 * fit.together
    if parsed.asks != "when":
        # An answer adds words that the question does not have.
        new_words = max(len(_new_words(parsed, line)) for line in findings)
        score *= 0.9 + 0.1 * min(1.0, new_words / 4)
    return score


def _new_words(parsed: ParsedQuestion, line: Finding) -> set[str]:
    """The words of a line that the question does not have."""
    question_stems = {stem(word) for word in parsed.content_words}
    return {word for word in words_of(line.text) if len(word) > 2 and stem(word) not in question_stems}


def _position_factor(parsed: ParsedQuestion, span: Span, end_s: float) -> float:
    """How well a span fits "at the end" or "at the beginning" of a stream that ends at ``end_s``."""
    if not (parsed.at_end or parsed.at_start) or end_s <= 0:
        return 1.0
    nearness = span.end_s / end_s if parsed.at_end else 1 - span.start_s / end_s
    return 1.0 if nearness >= 0.85 else 0.75 if nearness >= 0.6 else 0.5


def _figures_present(moment: Moment, finding: Finding) -> tuple[Finding, ...]:
    """The shapes that were present when something was taken or put down. The one present longest comes first."""
    if not kind_of(finding.kind, finding.field).has("done_by_presence"):
        return ()
    period = Span(finding.span.start_s - PRESENCE_MARGIN_S, finding.span.end_s + PRESENCE_MARGIN_S)
    present = [
        (-common.duration_s, shape.span, shape)
        for shape in moment.findings
        if kind_of(shape.kind, shape.field).has("presence")
        and (common := shape.span.clipped_to(period)) is not None
    ]
    return tuple(shape for _, _, shape in sorted(present, key=lambda item: item[:2]))


def _with_figures(finding: Finding, figures: Sequence[Finding]) -> str:
    """The text of a finding, and which shapes were present."""
    shapes = list(dict.fromkeys(figure.text for figure in figures))
    if not shapes:
        return finding.text
    return f"{finding.text} while {' and '.join(shapes)} {'is' if len(shapes) == 1 else 'are'} there"
