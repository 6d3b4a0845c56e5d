"""Summary counts: single findings that a summary still reports after its moments are forgotten.

    [event] = leaves_of([event], parsed, window, ends_s)
    [finding.text for finding in event.findings]    # ["the first of 3 arrivals", "the last of 3 arrivals", "EXIT"]

A summary says how often something happened, and when the first, the last, the longest and the extreme finding was.
Each that the question may mean becomes a finding with a span of its own, so that a summary is ranked and cited like a
moment. What a summary cannot tell is marked as vague, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..common.kind_registry import kind_of
from ..memory.values import RUNGS, Finding, Moment, Observation, Span
from .question_parser import ParsedQuestion, Pick

COUNTED = "counted"
"""Detail of a finding from a summary: how many findings the summary counts."""
HIDDEN = "hidden"
"""Detail: how many more lie between this finding and the next known one, at forgotten times."""
VAGUE = "vague"
"""Detail: which of them the question means is forgotten."""

_MAX_ASSUMED_S = 1.0
"""The longest span that is cited for a finding of which only the start is known."""
_SAME_TIME_S = 0.001
_PICKED_TIMES: dict[Pick, tuple[str, ...]] = {
    "longest": ("longest_at_s",),
    "highest": ("max_s",),
    "lowest": ("min_s",),
}
_ASKS_WHAT = frozenset({"what", "who", "where", "why"})
_ORDINALS = {"first_s": "first", "last_s": "last", "longest_at_s": "longest"}


def format_count(kind: str, count: int) -> str:
    """A count in words: ``3 arrivals``."""
    return kind_of(kind).answer_count(count)


def is_summary_count(finding: Finding) -> bool:
    """Whether a finding counts many others."""
    return "count" in finding.detail


def falls_in(span: Span, window: Span) -> bool:
    """Whether a finding, which may be a single point in time, lies in the window at least in part."""
    return span.overlaps(window) or window.contains(span.start_s)


def leaves_of(
    moments: Sequence[Moment], parsed: ParsedQuestion, window: Span, ends_s: Mapping[str, float]
) -> list[Moment]:
    """The moments in the window, and the summaries with their counts split into single findings.

    ``ends_s`` has the last time of each stream.
    """
    leaves = []
    for moment in moments:
        if not moment.span.overlaps(window):
            continue
        if moment.rung == "moment":
            leaves.append(moment)
            continue
        has_children = any(_is_below(child, moment) for child in moments)
        if has_children and parsed.pick == "nth" and parsed.nth > 1:
            continue  # the children are counted one by one
        # The children report its lines too, with more exact times.
        asked_window = _asked_window(parsed, window, moment, ends_s)
        leaves.append(_with_single_findings(moment, parsed, asked_window, keep_lines=not has_children))
    return leaves


def _is_below(child: Moment, parent: Moment) -> bool:
    return (
        child.stream == parent.stream
        and parent.span.contains(child.span.start_s)
        and RUNGS.index(child.rung) < RUNGS.index(parent.rung)
    )


def lies_in_asked_time(
    leaf: Moment, parsed: ParsedQuestion, window: Span, ends_s: Mapping[str, float]
) -> bool:
    """Whether all that a leaf reports lies in the asked time. A moment is short enough to count as such."""
    if leaf.rung == "moment":
        return True
    asked_window = _asked_window(parsed, window, leaf, ends_s)
    return (
        parsed.pick != "newest"
        and asked_window.start_s <= leaf.span.start_s
        and leaf.span.end_s <= asked_window.end_s
    )


def _asked_window(parsed: ParsedQuestion, window: Span, moment: Moment, ends_s: Mapping[str, float]) -> Span:
    """The span of the moment's stream that the question asks about."""
    if parsed.last_s is None:
        return window
    return Span(max(0.0, ends_s[moment.stream] - parsed.last_s), window.end_s)


def _with_single_findings(
    parent: Moment, parsed: ParsedQuestion, window: Span, *, keep_lines: bool
) -> Moment:
    """A summary with single findings in the window. Without ``keep_lines``, only those from counts."""

    def split(observation: Observation) -> Observation:
        findings: list[Finding] = []
        for finding in observation.findings:
            if is_summary_count(finding):
                findings += _single_findings(finding, parsed, window)
            elif keep_lines:
                findings.append(finding)
        in_window = tuple(finding for finding in findings if falls_in(finding.span, window))
        return replace(observation, findings=in_window)

    return replace(parent, observations=tuple(map(split, parent.observations)))


def _single_findings(summary: Finding, parsed: ParsedQuestion, window: Span) -> list[Finding]:
    """The single findings that a summary count reports and the question may mean, in time order."""
    count = int(float(summary.detail["count"]))
    is_vague = not _identifies(summary, parsed)
    if count == 1:
        detail = {"value": summary.detail["max"]} if "max" in summary.detail else {}
        return [_finding(summary, format_count(summary.kind, 1), summary.span, detail, vague=is_vague)]
    if parsed.pick == "shortest" or not _pick_lies_in(window, summary.span, parsed.pick):
        text = f"one of {format_count(summary.kind, count)}"
        return [_finding(summary, text, summary.span, {}, vague=True)]
    times_s = _known_times_s(summary, parsed.pick)
    findings = []
    for name, time_s in times_s.items():
        span, is_exact = _span_at(summary, time_s)
        detail = _measured_value(summary.detail, name)
        if name == "first_s":
            detail[HIDDEN] = float(count - len(times_s))
        vague = is_vague or (parsed.asks == "how_long" and not is_exact)
        findings.append(_finding(summary, _text(summary.kind, name, count), span, detail, vague=vague))
    return findings


def _identifies(summary: Finding, parsed: ParsedQuestion) -> bool:
    """Whether a summary count can tell which finding the question means.

    It has neither colours nor sides, and of typed words it only knows that they were typed.
    """
    if parsed.colours or parsed.sides:
        return False
    if parsed.asks not in _ASKS_WHAT:
        return True
    return parsed.pick != "all" and not kind_of(summary.kind, summary.field).has("readable")


def _known_times_s(summary: Finding, pick: Pick) -> dict[str, float]:
    """When the findings were that the question may mean, by the name of the detail."""
    names = [name for name in _PICKED_TIMES.get(pick, ()) if name in summary.detail]
    names = names or ["first_s", "last_s"]
    times_s = {name: float(summary.detail[name]) for name in names if name in summary.detail}
    if len(times_s) > 1 and len(set(times_s.values())) == 1:
        times_s.pop("last_s")
    return times_s


def _finding(
    summary: Finding, text: str, span: Span, detail: Mapping[str, str | float], *, vague: bool
) -> Finding:
    """A single finding that comes from a summary count."""
    marks = {COUNTED: float(summary.detail["count"]), **({VAGUE: 1.0} if vague else {})}
    return replace(summary, text=text, span=span, detail={**detail, **marks})


def _pick_lies_in(window: Span, summary_span: Span, pick: Pick) -> bool:
    """Whether the meant finding lies in the window, even if the summary reaches beyond it."""
    starts_inside, ends_inside = (
        summary_span.start_s >= window.start_s,
        summary_span.end_s <= window.end_s,
    )
    if pick == "all":
        return True
    if pick == "nth":
        return starts_inside
    if pick in ("last", "newest"):
        return ends_inside
    return starts_inside and ends_inside


def _span_at(summary: Finding, start_s: float) -> tuple[Span, bool]:
    """The span of the finding that starts at ``start_s``, and whether its end is known."""
    longest_s = float(summary.detail.get("longest_s", 0.0))
    if abs(start_s - float(summary.detail.get("longest_at_s", -1.0))) < _SAME_TIME_S:
        return Span(start_s, start_s + longest_s), True
    assumed_s = min(_MAX_ASSUMED_S, longest_s or _MAX_ASSUMED_S)
    return Span(start_s, max(start_s, min(start_s + assumed_s, summary.span.end_s))), False


def _measured_value(detail: Mapping[str, str | float], name: str) -> dict[str, str | float]:
    """The value that was measured at this time, if it is known."""
    extreme = {"max_s": "max", "min_s": "min"}.get(name, "")
    return {"value": detail[extreme]} if extreme in detail else {}


def _text(kind: str, name: str, count: int) -> str:
    if name in _ORDINALS:
        return f"the {_ORDINALS[name]} of {format_count(kind, count)}"
    return f"{kind_of(kind).label} at its {'highest' if name == 'max_s' else 'lowest'}"
