"""What many memories say together: counts, extremes, the lines read, and a sentence on top.

    observation = summarise(children, Span(0.0, 270.0))
    observation.caption     # "00:00-04:30: 3 arrivals, 2 departures, 4 cuts; text: 'EXIT'; mostly grey."

The children may themselves be summaries: their tallies are added up, so that an hour made of events
counts what an hour made of moments would. Text that was seen or heard stays verbatim and in its own
fields. Everything follows from the children alone; no clock, no model, no chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from ...common.clock_times import between
from ...common.finding_kinds import FindingKind
from ...common.kind_registry import kind_of
from ..values import Finding, Moment, Observation, Span

WRITTEN_BY = "ladder/1"
MOST_LINES = 40
"""How many lines of text, and how many spoken cues, a summary keeps."""

_VERBATIM = ("visible_text", "speech")
_MOST_CAPTION_COUNTS = 8
_MOST_CAPTION_LINES = 3
_MOST_LINE_CHARACTERS = 40

Detail = dict[str, str | float]
Item = TypeVar("Item")


def base_of(moment: Moment) -> Observation:
    """What was seen at first. Later looks are left out: a parent must come out the same after a restart."""
    return moment.observations[0]


def summarise(children: Sequence[Moment], span: Span) -> Observation:
    """One observation that stands for ``children``, which are in time order and fill ``span``."""
    findings = [
        *_tallies(children),
        *_lines(children),
        *_cues(children),
    ]
    return Observation(
        caption=_caption(span, findings),
        findings=tuple(findings),
        written_by=WRITTEN_BY,
        written_at_s=base_of(children[-1]).written_at_s,
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
        for finding in base_of(child).findings:
            if finding.field not in _VERBATIM:
                of_kind.setdefault((finding.field, finding.kind), []).append((finding, is_tally))
    tallies = []
    for key in sorted(of_kind):
        told = of_kind[key]
        first = told[0][0]
        if kind_of(first.kind, first.field).has("colour_shares"):
            detail, text = _merged_colours([finding for finding, _ in told])
        else:
            detail = _added_up([_tally_of(finding, is_tally=is_tally) for finding, is_tally in told])
            text = f"{detail['count']:.0f} × {kind_of(first.kind, first.field).label}"
        tallies.append(
            Finding(
                field=first.field,
                kind=first.kind,
                text=text,
                span=_hull(finding.span for finding, _ in told),
                written_by=WRITTEN_BY,
                confidence=max(finding.confidence for finding, _ in told),
                detail=detail,
            )
        )
    return tallies


def _tally_of(finding: Finding, *, is_tally: bool) -> Detail:
    """A finding as a tally of one, or the tally it already is."""
    if is_tally:
        return dict(finding.detail)
    start_s = finding.span.start_s
    tally: Detail = {
        "count": 1,
        "first_s": start_s,
        "last_s": start_s,
        "longest_s": finding.span.duration_s,
        "longest_at_s": start_s,
    }
    value = finding.detail.get("value")
    if isinstance(value, int | float):
        tally |= {"max": value, "max_s": start_s, "min": value, "min_s": start_s}
    return tally


def _added_up(tallies: Sequence[Detail]) -> Detail:
    """Many tallies as one; of equal extremes, the earliest is kept."""
    total: Detail = {
        "count": sum(float(tally["count"]) for tally in tallies),
        "first_s": min(float(tally["first_s"]) for tally in tallies),
        "last_s": max(float(tally["last_s"]) for tally in tallies),
    }
    for extreme, at, sign in (("longest_s", "longest_at_s", 1), ("max", "max_s", 1), ("min", "min_s", -1)):
        held = [(float(tally[extreme]), float(tally[at])) for tally in tallies if extreme in tally]
        if held:
            total[extreme], total[at] = min(held, key=lambda pair: (-sign * pair[0], pair[1]))
    return total


def _merged_colours(findings: Sequence[Finding]) -> tuple[Detail, str]:
    """Colour shares, each weighted by how long it was seen."""
    seconds = 0.0
    weighted: dict[str, float] = {}
    for finding in findings:
        # A colour seen at one instant still counts a little.
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
    """The distinct lines of visible text, those seen longest first."""
    seen: dict[tuple[str, str], list[Finding]] = {}
    for child in children:
        for finding in base_of(child).findings:
            if finding.field == "visible_text":
                seen.setdefault((finding.kind, " ".join(finding.text.casefold().split())), []).append(finding)
    lines = []
    for times in seen.values():
        longest = max(times, key=lambda finding: (_visible_s(finding), -finding.span.start_s))
        lines.append(
            Finding(
                field="visible_text",
                kind=longest.kind,
                text=longest.text,
                span=_hull(finding.span for finding in times),
                written_by=WRITTEN_BY,
                confidence=max(finding.confidence for finding in times),
                box=longest.box,
                detail={
                    "seconds": sum(_visible_s(finding) for finding in times),
                    "first_s": min(float(f.detail.get("first_s", f.span.start_s)) for f in times),
                },
            )
        )
    lines.sort(key=lambda line: (-float(line.detail["seconds"]), line.span, line.kind, line.text))
    return lines[:MOST_LINES]


def _visible_s(line: Finding) -> float:
    return float(line.detail.get("seconds", line.span.duration_s))


def _cues(children: Sequence[Moment]) -> list[Finding]:
    """What was said, verbatim; of more than ``MOST_LINES`` cues, so many evenly picked ones.

    Each then says in ``of`` how many there were.
    """
    cues: list[Finding] = []
    spoken = 0
    for child in children:
        said = [finding for finding in base_of(child).findings if finding.field == "speech"]
        cues += said
        spoken += int(max((float(cue.detail.get("of", 0)) for cue in said), default=0)) or len(said)
    # A cue that lasts beyond its moment is told by both moments.
    cues = [next(same) for _, same in groupby(cues, key=lambda cue: (cue.kind, cue.text, cue.span))]
    kept = evenly(cues, MOST_LINES)
    return [
        Finding(
            field="speech",
            kind=cue.kind,
            text=cue.text,
            span=cue.span,
            written_by=cue.written_by,
            confidence=cue.confidence,
            detail={**cue.detail, "of": spoken} if spoken > len(kept) else cue.detail,
        )
        for cue in kept
    ]


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Up to ``most`` of ``items``, evenly spread, in order."""
    if len(items) <= most:
        return list(items)
    return [items[(2 * at + 1) * len(items) // (2 * most)] for at in range(most)]


def _caption(span: Span, findings: Sequence[Finding]) -> str:
    kinds = [(kind_of(finding.kind, finding.field), finding) for finding in findings]
    counted = sorted(
        ((kind, int(finding.detail["count"])) for kind, finding in kinds if _is_counted(kind)),
        key=lambda item: (item[0].summary_rank, item[0].name),
    )
    parts = []
    counts = [kind.summary_count(count) for kind, count in counted[:_MOST_CAPTION_COUNTS]]
    if counts:
        parts.append(", ".join(counts))
    lines = [_shortened(f.text) for f in findings if f.field == "visible_text"][:_MOST_CAPTION_LINES]
    if lines:
        parts.append("text: " + ", ".join(f"'{line}'" for line in lines))
    cues = [f for f in findings if f.field == "speech"]
    if cues:
        parts.append(_plural(int(float(cues[0].detail.get("of", len(cues)))), "spoken line", "spoken lines"))
    parts += [finding.text for kind, finding in kinds if kind.has("colour_shares")]
    return f"{between(span.start_s, span.end_s)}: {'; '.join(parts) or 'nothing of note'}."


def _is_counted(kind: FindingKind) -> bool:
    return kind.field == "action" or kind.nouns is not None


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _shortened(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _MOST_LINE_CHARACTERS else line[: _MOST_LINE_CHARACTERS - 1].rstrip() + "…"


def _hull(spans: Iterable[Span]) -> Span:
    spans = list(spans)
    return Span(min(span.start_s for span in spans), max(span.end_s for span in spans))
