"""Summaries of children (tallies): counts, extremes, lines of text and a caption for each parent.

    observation = summarise(children, Span(0.0, 270.0))
    observation.caption     # "0:00.0–4:30.0: 3 arrivals, 2 departures, 4 cuts; text: 'EXIT'; mostly grey."

The children may be summaries themselves. Their tallies are added up, so an hour built from events has the
same counts as an hour built from moments. Text and speech are kept verbatim, in fields of their own. A summary
depends on the children alone: it uses no clock, no model and no random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from ...common.clock_times import format_interval
from ...common.finding_kinds import FindingKind
from ...common.kind_registry import kind_of
from ...common.text import collapse_whitespace
from ..values import Finding, Moment, Observation, Span

WRITTEN_BY = "ladder/1"
MAX_LINES = 40
"""How many lines of text, and how many speech cues, a summary keeps."""

_VERBATIM = ("visible_text", "speech")
_MAX_CAPTION_COUNTS = 8
_MAX_CAPTION_LINES = 3
_MAX_LINE_CHARACTERS = 40

Detail = dict[str, str | float]
Item = TypeVar("Item")


def first_observation(moment: Moment) -> Observation:
    """The observation written with the moment.

    Parents use no later one, because a parent must be the same when it is rebuilt after a restart.
    """
    return moment.observations[0]


def summarise(children: Sequence[Moment], span: Span) -> Observation:
    """One observation that summarises ``children``, which are in time order and fill ``span``."""
    findings = [
        *_tallies(children),
        *_lines(children),
        *_cues(children),
    ]
    return Observation(
        caption=_caption(span, findings),
        findings=tuple(findings),
        written_by=WRITTEN_BY,
        written_at_s=first_observation(children[-1]).written_at_s,
    )


def colour_shares(finding: Finding) -> dict[str, float]:
    """The share of the picture each named colour has, of an ``attribute``/``colour`` finding."""
    reserved = ("seconds", "value", "count")
    return {
        name: float(share)
        for name, share in finding.detail.items()
        if name not in reserved and isinstance(share, int | float)
    }


def _tallies(children: Sequence[Moment]) -> list[Finding]:
    """One finding for each field and kind, except text and speech."""
    of_kind: dict[tuple[str, str], list[tuple[Finding, bool]]] = {}
    for child in children:
        is_tally = child.rung != "moment"
        for finding in first_observation(child).findings:
            if finding.field not in _VERBATIM:
                of_kind.setdefault((finding.field, finding.kind), []).append((finding, is_tally))
    return [_tally(of_kind[key]) for key in sorted(of_kind)]


def _tally(findings: Sequence[tuple[Finding, bool]]) -> Finding:
    """The tally of findings of the same field and kind. The flag says whether a finding is a tally already."""
    first = findings[0][0]
    kind = kind_of(first.kind, first.field)
    if kind.has("colour_shares"):
        detail, text = _merged_colours([finding for finding, _ in findings])
    else:
        detail = _total_detail([_detail(finding, is_tally=is_tally) for finding, is_tally in findings])
        text = f"{detail['count']:.0f} × {kind.label}"
    return Finding(
        field=first.field,
        kind=first.kind,
        text=text,
        span=_hull(finding.span for finding, _ in findings),
        written_by=WRITTEN_BY,
        confidence=max(finding.confidence for finding, _ in findings),
        detail=detail,
    )


def _detail(finding: Finding, *, is_tally: bool) -> Detail:
    """The detail of a tally: of a single finding, or of the tally that the finding is already."""
    if is_tally:
        return dict(finding.detail)
    start_s = finding.span.start_s
    detail: Detail = {
        "count": 1,
        "first_s": start_s,
        "last_s": start_s,
        "longest_s": finding.span.duration_s,
        "longest_at_s": start_s,
    }
    value = finding.detail.get("value")
    if isinstance(value, int | float):
        detail |= {"max": value, "max_s": start_s, "min": value, "min_s": start_s}
    return detail


def _total_detail(details: Sequence[Detail]) -> Detail:
    """The details of several tallies, added up. Of equal extremes, the earliest is kept."""
    total: Detail = {
        "count": sum(float(detail["count"]) for detail in details),
        "first_s": min(float(detail["first_s"]) for detail in details),
        "last_s": max(float(detail["last_s"]) for detail in details),
    }
    for extreme, time, sign in (("longest_s", "longest_at_s", 1), ("max", "max_s", 1), ("min", "min_s", -1)):
        pairs = [(float(detail[extreme]), float(detail[time])) for detail in details if extreme in detail]
        if pairs:
            total[extreme], total[time] = min(pairs, key=lambda pair: (-sign * pair[0], pair[1]))
    return total


def _merged_colours(findings: Sequence[Finding]) -> tuple[Detail, str]:
    """The mean share of each colour, weighted by duration, and the text that names the main colours."""
    seconds = 0.0
    weighted: dict[str, float] = {}
    for finding in findings:
        # A finding without a duration still counts a little.
        weight = float(finding.detail.get("seconds", 0.0)) or max(finding.span.duration_s, 1e-3)
        seconds += weight
        for name, share in colour_shares(finding).items():
            weighted[name] = weighted.get(name, 0.0) + share * weight
    shares = {name: weighted[name] / seconds for name in sorted(weighted)}
    by_share = sorted(shares, key=lambda name: (-shares[name], name))
    main = [name for name in by_share if shares[name] >= 0.15][:2]
    text = f"mostly {' and '.join(main)}" if main else "of many colours"
    return {**shares, "seconds": seconds}, text


def _lines(children: Sequence[Moment]) -> list[Finding]:
    """The distinct lines of visible text, those visible longest first."""
    occurrences: dict[tuple[str, str], list[Finding]] = {}
    for child in children:
        for finding in first_observation(child).findings:
            if finding.field == "visible_text":
                occurrences.setdefault((finding.kind, normalised_line(finding.text)), []).append(finding)
    lines = []
    for same in occurrences.values():
        longest = max(same, key=lambda finding: (_visible_s(finding), -finding.span.start_s))
        lines.append(
            Finding(
                field="visible_text",
                kind=longest.kind,
                text=longest.text,
                span=_hull(finding.span for finding in same),
                written_by=WRITTEN_BY,
                confidence=max(finding.confidence for finding in same),
                box=longest.box,
                detail={
                    "seconds": sum(_visible_s(finding) for finding in same),
                    "first_s": min(float(f.detail.get("first_s", f.span.start_s)) for f in same),
                },
            )
        )
    lines.sort(key=lambda line: (-float(line.detail["seconds"]), line.span, line.kind, line.text))
    return lines[:MAX_LINES]


def _visible_s(line: Finding) -> float:
    return float(line.detail.get("seconds", line.span.duration_s))


def _cues(children: Sequence[Moment]) -> list[Finding]:
    """Speech cues, verbatim: at most ``MAX_LINES``, evenly spread.

    If some are left out, the detail ``of`` of each cue has the total.
    """
    cues: list[Finding] = []
    total = 0
    for child in children:
        own = [finding for finding in first_observation(child).findings if finding.field == "speech"]
        cues += own
        total += int(max((float(cue.detail.get("of", 0)) for cue in own), default=0)) or len(own)
    # A cue that crosses the end of a moment is a finding of both moments.
    cues = [next(same) for _, same in groupby(cues, key=lambda cue: (cue.kind, cue.text, cue.span))]
    kept = evenly(cues, MAX_LINES)
    return [
        Finding(
            field="speech",
            kind=cue.kind,
            text=cue.text,
            span=cue.span,
            written_by=cue.written_by,
            confidence=cue.confidence,
            detail={**cue.detail, "of": total} if total > len(kept) else cue.detail,
        )
        for cue in kept
    ]


def normalised_line(text: str) -> str:
    """A line of text for comparison: case-folded, with single spaces."""
    return " ".join(text.casefold().split())


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of ``items``, evenly spread, in order."""
    if len(items) <= most:
        return list(items)
    return [items[(2 * index + 1) * len(items) // (2 * most)] for index in range(most)]


def _caption(span: Span, findings: Sequence[Finding]) -> str:
    parts = [
        _counts_part(findings),
        _text_part(findings),
        _speech_part(findings),
        *(f.text for f in findings if kind_of(f.kind, f.field).has("colour_shares")),
    ]
    return (
        f"{format_interval(span.start_s, span.end_s)}: {'; '.join(filter(None, parts)) or 'nothing of note'}."
    )


def _counts_part(findings: Sequence[Finding]) -> str:
    kinds = [(kind_of(finding.kind, finding.field), finding) for finding in findings]
    counted = sorted(
        ((kind, int(finding.detail["count"])) for kind, finding in kinds if _is_counted(kind)),
        key=lambda item: (item[0].summary_rank, item[0].name),
    )
    return ", ".join(kind.summary_count(count) for kind, count in counted[:_MAX_CAPTION_COUNTS])


def _is_counted(kind: FindingKind) -> bool:
    return kind.field == "action" or kind.nouns is not None


def _text_part(findings: Sequence[Finding]) -> str:
    lines = [_shortened(f.text) for f in findings if f.field == "visible_text"][:_MAX_CAPTION_LINES]
    return "text: " + ", ".join(f"'{line}'" for line in lines) if lines else ""


def _speech_part(findings: Sequence[Finding]) -> str:
    cues = [f for f in findings if f.field == "speech"]
    if not cues:
        return ""
    return _plural(int(float(cues[0].detail.get("of", len(cues)))), "spoken line", "spoken lines")


def _plural(count: int, singular: str, plural: str) -> str:
    return f"{count} {singular if count == 1 else plural}"


def _shortened(line: str) -> str:
    line = collapse_whitespace(line)
    return line if len(line) <= _MAX_LINE_CHARACTERS else line[: _MAX_LINE_CHARACTERS - 1].rstrip() + "…"


def _hull(spans: Iterable[Span]) -> Span:
    spans = list(spans)
    return Span(min(span.start_s for span in spans), max(span.end_s for span in spans))
