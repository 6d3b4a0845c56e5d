"""Turns remembered moments into candidates: stretches of time that may answer the question.

Two ways lead to one: words that were read or heard (``by_words``), and kinds of finding in time
order (``by_kinds``). Each gives candidates with a score from 0 to 1 that can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..common.kind_registry import kind_of
from ..memory.query.word_stems import stem, words_of
from ..memory.values import RUNGS, Finding, Moment, Span
from .question_parser import ParsedQuestion
from .summary_counts import COUNTED, HIDDEN, VAGUE, counted, is_tally
from .text_matching import TextFit, fit_lines, fits_verbatim, terms_of

OTHER_COLOUR = 0.7
"""What a finding is worth that has none of the colours that are asked for."""
SECOND_COLOUR = 0.95
"""And one that has them beside a colour that it has more of."""
AROUND_S = 0.5
"""So long before and after something is taken or put down, whoever is there may have done it."""
JOIN_GAP_S = 1.0
"""Stretches nearer than this are one when they say the same."""
SAME_RANK = 0.8
"""Candidates within this share of the best are equals when one is picked by its order in time."""
FROM_TALLY = 0.95
"""What is only counted any more is worth this share of what is remembered singly."""
FORGOTTEN = 0.5
"""And this, where the one that is meant is forgotten: too little to answer with."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stretch of one stream that may answer the question."""

    moment_id: str
    stream: str
    span: Span
    score: float
    text: str
    findings: tuple[Finding, ...] = ()
    """What speaks for it, best first."""
    missing: tuple[str, ...] = ()
    """Words of the question that nothing here holds."""
    coverage: float = 0.0
    """The part of the question's words that it holds, 0 to 1."""
    verbatim: bool = True
    """Whether it holds everything the question quotes."""
    hidden: int = 0
    """How many like it come between it and the next, at times that are forgotten."""
    forgotten: bool = False
    """Whether the one that is meant is among several of which only a summary is left."""
    figures: tuple[Finding, ...] = ()
    """Who was there when it was taken or put down: the shapes that moved about then."""


def by_words(parsed: ParsedQuestion, moments: Sequence[Moment], ends: dict[str, float]) -> list[Candidate]:
    """Candidates whose text holds the question's words, best first. ``ends``: each stream's last time."""
    if not parsed.content_words and not parsed.quoted:
        return []
    lines = {moment.id: _lines(moment, parsed) for moment in moments}
    documents = (" ".join(line.text for line in found) for found in lines.values() if found)
    terms = terms_of(parsed.content_words, documents, parsed.names)
    candidates = []
    for moment in moments:
        candidate = _fit_moment(parsed, moment, fit_lines(terms, lines[moment.id]), lines[moment.id])
        if candidate is not None:
            factor = _place_in_stream(parsed, candidate.span, ends.get(moment.stream, moment.span.end_s))
            candidates.append(replace(candidate, score=candidate.score * factor))
    return pick(parsed, join(candidates))


def by_kinds(
    parsed: ParsedQuestion, kinds: Sequence[str], moments: Sequence[Moment], ends: dict[str, float]
) -> list[Candidate]:
    """Candidates that are findings of the asked kinds, the best of each stream first."""
    found: dict[str, list[Candidate]] = {}
    seen: set[tuple[str, str, Span, str]] = set()
    begun: set[tuple[str, str, float]] = set()
    # What is told by several rungs is taken from the lowest.
    for moment in sorted(moments, key=lambda moment: (RUNGS.index(moment.rung), moment.stream, moment.span)):
        for finding in moment.findings:
            key = (moment.stream, finding.kind, finding.span, finding.text)
            begins = (moment.stream, finding.kind, round(finding.span.start_s, 2))
            from_tally, forgotten = COUNTED in finding.detail, VAGUE in finding.detail
            told = from_tally and not forgotten and begins in begun
            if finding.kind not in kinds or key in seen or told:
                continue
            seen.add(key)
            begun.add(begins)
            figures = _figures_at(moment, finding)
            score = kind_of(finding.kind, finding.field).reliability * _constraints(parsed, finding, figures)
            score *= _place_in_stream(parsed, finding.span, ends.get(moment.stream, moment.span.end_s))
            score *= FORGOTTEN if forgotten else FROM_TALLY if from_tally else 1.0
            found.setdefault(moment.stream, []).append(
                Candidate(
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
            )
    ranked = [
        (-_stands_out(parsed, found[stream]), stream, pick(parsed, join(found[stream])))
        for stream in sorted(found)
    ]
    return interleave([candidates for _, _, candidates in sorted(ranked, key=lambda item: item[:2])])


def by_shots(parsed: ParsedQuestion, moments: Sequence[Moment]) -> list[Candidate]:
    """The shots themselves as candidates, the asked one of each stream first."""
    shots: dict[str, dict[tuple[int, int], list[Moment]]] = {}
    for moment in sorted(moments, key=lambda moment: (moment.stream, moment.span)):
        shots.setdefault(moment.stream, {}).setdefault((moment.epoch, moment.shot), []).append(moment)
    ranked: list[tuple[int, str, list[Candidate]]] = []
    for stream, of_stream in shots.items():
        candidates = [
            Candidate(
                members[0].id,
                stream,
                members[0].span.hull(members[-1].span),
                kind_of("cut").reliability,
                members[0].caption,
                (),
            )
            for members in of_stream.values()
        ]
        # A stream of one shot has no first or last to speak of.
        ranked.append((len(candidates) < 2, stream, pick(parsed, candidates)))
    return interleave([candidates for _, _, candidates in sorted(ranked, key=lambda item: item[:2])])


def _stands_out(parsed: ParsedQuestion, candidates: Sequence[Candidate]) -> float:
    """How much a stream's candidates look like what the question speaks of, to order streams by.

    Of an extreme, the stream is meant in which it stands out most; of anything else, the one in
    which it happens often.
    """
    best = max(candidate.score for candidate in candidates)
    if parsed.pick in ("longest", "shortest", "highest", "lowest"):
        long = parsed.pick in ("longest", "shortest")
        values = [_length_s(c) if long else _value(c) for c in candidates]
        extreme = max(values) if parsed.pick in ("longest", "highest") else min(values)
        mean = sum(values) / len(values)
        return best * (1.0 + min(1.0, abs(extreme - mean) / max(abs(mean), 1e-6)))
    return best * (0.85 + 0.15 * len(candidates) / (len(candidates) + 2))


def interleave(ranked: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, ranked), default=0)
    return [candidates[index] for index in range(longest) for candidates in ranked if index < len(candidates)]


def join(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Join stretches that follow each other and say the same, in time order."""
    joined: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.stream, c.span)):
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.stream == candidate.stream
            and candidate.span.start_s - last.span.end_s <= JOIN_GAP_S
            and _says(last) == _says(candidate)
        ):
            better = last if last.score >= candidate.score else candidate
            joined[-1] = replace(better, span=last.span.hull(candidate.span))
        else:
            joined.append(candidate)
    return joined


def distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what repeats a better candidate's stretch of the same stream."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if not any(_repeats(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def _repeats(candidate: Candidate, other: Candidate) -> bool:
    common = candidate.span.clipped_to(other.span) if candidate.stream == other.stream else None
    return common is not None and common.duration_s >= 0.7 * candidate.span.duration_s


def pick(parsed: ParsedQuestion, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Put first what the question's "first", "last", "longest", "brightest" asks for."""
    best_first = sorted(candidates, key=lambda c: (-round(c.score, 4), c.span))
    if not best_first or parsed.pick == "all":
        return best_first
    unknown = [c for c in best_first if c.forgotten]
    equals = [c for c in best_first if c.score >= SAME_RANK * best_first[0].score]
    if parsed.pick in ("longest", "shortest", "highest", "lowest"):
        sign = -1 if parsed.pick in ("longest", "highest") else 1
        long = parsed.pick in ("longest", "shortest")
        equals.sort(key=lambda c: (sign * (_length_s(c) if long else _value(c)), c.span))
    else:
        equals.sort(key=lambda c: c.span, reverse=parsed.pick in ("last", "newest"))
        if parsed.pick == "nth" and parsed.nth > 1:
            equals = _nth_first(equals, parsed.nth)
    # What is forgotten may be the one, unless it lies on the other side of what is known.
    first = equals[0]
    if parsed.pick == "nth":
        unknown = [c for c in unknown if c.span < first.span]
    elif parsed.pick in ("last", "newest"):
        unknown = [c for c in unknown if c.span.end_s > first.span.end_s]
    if unknown and not (parsed.colours or parsed.sides):
        equals = [unknown[0], *(c for c in equals if c is not unknown[0])]
    if equals[0].forgotten:
        shown = {(c.moment_id, c.span) for c in equals}
        meant = replace(equals[0], score=FORGOTTEN * min(equals[0].score, 0.9))
        return [meant, *equals[1:], *(c for c in best_first if (c.moment_id, c.span) not in shown)]
    rest = [c for c in best_first if c not in equals]
    # The order in time outweighs small differences of score; keep scores falling so that lists can be merged.
    top = best_first[0].score
    equals = [replace(c, score=top * (1 - 0.02 * rank)) for rank, c in enumerate(equals)]
    return [*equals, *rest]


def _nth_first(in_order: Sequence[Candidate], nth: int) -> list[Candidate]:
    """The one whose turn it is before the others; or, where its time is forgotten, what is known to lie before it."""
    place = 1
    for index, candidate in enumerate(in_order):
        others = [*in_order[:index], *in_order[index + 1 :]]
        if place == nth:
            return [candidate, *others]
        place += 1 + candidate.hidden
        if place > nth:
            count = int(float(candidate.findings[0].detail[COUNTED]))
            text = f"one of {counted(candidate.findings[0].kind, count)}"
            return [replace(candidate, text=text, forgotten=True), *others]
    return list(in_order)


def _length_s(candidate: Candidate) -> float:
    return candidate.span.duration_s


def _value(candidate: Candidate) -> float:
    value = candidate.findings[0].detail.get("value") if candidate.findings else None
    return float(value) if isinstance(value, int | float) else candidate.score


def _says(candidate: Candidate) -> tuple[str, ...]:
    """What a candidate says, so that two can be compared: its best line, or its kind and text."""
    if not candidate.findings:
        return (candidate.text,)
    best = candidate.findings[0]
    if kind_of(best.kind, best.field).has("same_when_repeated"):
        return (best.kind,)
    return (
        best.kind,
        *sorted(words_of(best.text)),
        "" if best.field in ("visible_text", "speech") else str(best.span),
    )


def _lines(moment: Moment, parsed: ParsedQuestion) -> list[Finding]:
    """What of a moment can be matched with words."""
    return [
        finding
        for finding in moment.findings
        if not (is_tally(finding) or COUNTED in finding.detail)
        and (
            finding.field == "visible_text"
            or (finding.field != "speech" and kind_of(finding.kind, finding.field).has("readable"))
            or (finding.field == "speech" and not parsed.text_in_picture)
            or (not parsed.wants_text and finding.field != "attribute")
        )
    ]


def _fit_moment(
    parsed: ParsedQuestion, moment: Moment, fit: TextFit, lines: Sequence[Finding]
) -> Candidate | None:
    quoting = [line for phrase in parsed.quoted for line in lines if fits_verbatim(phrase, line.text)]
    verbatim = all(any(fits_verbatim(phrase, line.text) for line in lines) for phrase in parsed.quoted)
    if not fit.lines and not quoting:
        return None
    findings = tuple(dict.fromkeys([*quoting, *fit.lines]).keys()) if quoting else fit.lines
    span = fit.span or findings[0].span
    if quoting and not span.overlaps(quoting[0].span):
        span = quoting[0].span
    # What has just appeared answers better than what has stood there for long.
    newest_s = max(float(line.detail.get("first_s", line.span.start_s)) for line in findings)
    score = fit.coverage * (0.7 + 0.3 * fit.focus) * (1.0 if newest_s >= moment.span.start_s - 0.5 else 0.88)
    score *= 0.82 + 0.02 * min(4, len(fit.lines)) + 0.1 * fit.together
    if parsed.asks != "when":
        # An answer says something that the question does not.
        told = max(len(_news(parsed, line)) for line in findings)
        score *= 0.9 + 0.1 * min(1.0, told / 4)
    if parsed.quoted:
        score = 0.4 + 0.6 * score if verbatim else 0.4 * score
    return Candidate(
        moment.id,
        moment.stream,
        span.clipped_to(moment.span) or moment.span,
        min(1.0, score),
        " / ".join(dict.fromkeys(finding.text for finding in findings[:4])),
        findings,
        fit.missing,
        fit.coverage,
        verbatim,
    )


def _news(parsed: ParsedQuestion, line: Finding) -> set[str]:
    """The words of a line that are not the question's own."""
    asked = {stem(word) for word in parsed.content_words}
    return {word for word in words_of(line.text) if len(word) > 2 and stem(word) not in asked}


def _place_in_stream(parsed: ParsedQuestion, span: Span, end_s: float) -> float:
    """What "at the end" and "at the beginning" make of a stretch."""
    if not (parsed.at_end or parsed.at_start) or end_s <= 0:
        return 1.0
    where = span.end_s / end_s if parsed.at_end else 1 - span.start_s / end_s
    return 1.0 if where >= 0.85 else 0.75 if where >= 0.6 else 0.5


def _figures_at(moment: Moment, finding: Finding) -> tuple[Finding, ...]:
    """Who was there when something was taken or put down, those first who were there longest of it."""
    if not kind_of(finding.kind, finding.field).has("done_by_presence"):
        return ()
    around = Span(finding.span.start_s - AROUND_S, finding.span.end_s + AROUND_S)
    there = [
        (-common.duration_s, shape.span, shape)
        for shape in moment.findings
        if kind_of(shape.kind, shape.field).has("presence")
        and (common := shape.span.clipped_to(around)) is not None
    ]
    return tuple(shape for _, _, shape in sorted(there, key=lambda item: item[:2]))


def _with_figures(finding: Finding, figures: Sequence[Finding]) -> str:
    """What happened, and who was there."""
    there = list(dict.fromkeys(figure.text for figure in figures))
    return (
        f"{finding.text} while {' and '.join(there)} {'is' if len(there) == 1 else 'are'} there"
        if there
        else finding.text
    )


def _constraints(parsed: ParsedQuestion, finding: Finding, figures: Sequence[Finding]) -> float:
    """How far a finding has the colours, the side and the shape the question names."""
    factor = 1.0
    if colours := asked_colours(parsed, finding.kind):
        factor *= colour_fit(colours, finding)
    if parsed.worn_colours and figures:
        factor *= max(colour_fit(parsed.worn_colours, figure) for figure in figures)
    if parsed.sides:
        factor *= 1.0 if on_a_side(parsed.sides, finding) else 0.6
    if parsed.mentions_people and kind_of(finding.kind).has("moving_shape"):
        # People are taller than wide; the observers say no more than that.
        factor *= 1.0 if finding.detail.get("shape") == "tall" else 0.85
    return factor


def asked_colours(parsed: ParsedQuestion, kind: str) -> tuple[str, ...]:
    """The colours that a question gives to findings of a kind: of who moves about, or of what is taken or put down."""
    return (
        (parsed.worn_colours or parsed.colours)
        if kind_of(kind).has("moving_shape")
        else parsed.object_colours
    )


def on_a_side(sides: Sequence[str], finding: Finding) -> bool:
    """Whether a finding is on one of some sides of the picture."""
    facts = " ".join(map(str, finding.detail.values())).lower() + " " + finding.text.lower()
    return any({"centre": "middle", "center": "middle"}.get(side, side) in facts for side in sides)


def colour_fit(colours: Sequence[str], finding: Finding) -> float:
    """How far a finding has one of some colours: most of all where it has most of it."""
    if finding.detail.get("colour") in colours:
        return 1.0
    facts = {*words_of(finding.text), *map(str, finding.detail.values())}
    return SECOND_COLOUR if facts.intersection(colours) else OTHER_COLOUR
