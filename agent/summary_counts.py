"""What a memory above the first rung tells of single things, where the moments that held them are forgotten.

    [event] = leaves_of([event], parsed, window, ends)
    [finding.text for finding in event.findings]    # ["the first of 3 arrivals", "the last of 3 arrivals", "EXIT"]

A tally says how often something happened, and when the first, the last, the longest and the extreme of it were. Each
that the question may mean becomes a finding with a span of its own, so that a memory above is weighed and cited as a
moment is. What no tally can tell is marked as such, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..common.kind_registry import kind_of
from ..memory.values import RUNGS, Finding, Moment, Span
from .question_parser import ParsedQuestion, Pick

COUNTED = "counted"
"""Detail of a finding that a tally tells of: of how many it is one."""
HIDDEN = "hidden"
"""Detail: how many more come between it and the next that is known, at times that are forgotten."""
VAGUE = "vague"
"""Detail: which of them the question means is forgotten."""

_ABOUT_S = 1.0
"""How long something is cited of which only the beginning is known, at most."""
_SAME_S = 0.001
_TIMES: dict[Pick, tuple[str, ...]] = {
    "longest": ("longest_at_s",),
    "highest": ("max_s",),
    "lowest": ("min_s",),
}
_ASKS_WHAT = frozenset({"what", "who", "where", "why"})
_WHICH = {"first_s": "first", "last_s": "last", "longest_at_s": "longest"}


def counted(kind: str, count: int) -> str:
    """A count in words: ``3 arrivals``."""
    return kind_of(kind).answer_count(count)


def is_tally(finding: Finding) -> bool:
    """Whether it counts many, rather than telling of one."""
    return "count" in finding.detail


def falls_in(span: Span, window: Span) -> bool:
    """Whether what happened then, if only for a point of time, happened in the window."""
    return span.overlaps(window) or window.contains(span.start_s)


def leaves_of(
    moments: Sequence[Moment], parsed: ParsedQuestion, window: Span, ends: Mapping[str, float]
) -> list[Moment]:
    """What was found in the window, with findings that each tell of one thing. ``ends``: each stream's last time."""
    leaves = []
    for moment in moments:
        if not moment.span.overlaps(window):
            continue
        if moment.rung == "moment":
            leaves.append(moment)
            continue
        inside = any(
            other.stream == moment.stream and moment.span.contains(other.span.start_s)
            for other in moments
            if RUNGS.index(other.rung) < RUNGS.index(moment.rung)
        )
        if inside and parsed.pick == "nth" and parsed.nth > 1:
            continue  # those inside are counted one by one
        # Its lines are told, and nearer to their time, by those inside.
        leaves.append(_told_apart(moment, parsed, _asked(parsed, window, moment, ends), lines=not inside))
    return leaves


def tells_of_nothing_else(
    leaf: Moment, parsed: ParsedQuestion, window: Span, ends: Mapping[str, float]
) -> bool:
    """Whether all that it says was in the stretch that is asked about. A moment is short enough to stand for it."""
    if leaf.rung == "moment":
        return True
    asked = _asked(parsed, window, leaf, ends)
    return parsed.pick != "newest" and asked.start_s <= leaf.span.start_s and leaf.span.end_s <= asked.end_s


def _asked(parsed: ParsedQuestion, window: Span, moment: Moment, ends: Mapping[str, float]) -> Span:
    """The stretch of a moment's stream that is asked about."""
    if parsed.last_s is None:
        return window
    return Span(max(0.0, ends[moment.stream] - parsed.last_s), window.end_s)


def _told_apart(parent: Moment, parsed: ParsedQuestion, window: Span, *, lines: bool) -> Moment:
    """It with findings that each tell of one thing in the window; without ``lines``, only of what is counted."""
    observations = []
    for observation in parent.observations:
        findings: list[Finding] = []
        for finding in observation.findings:
            if is_tally(finding):
                findings += _single(finding, parsed, window)
            elif lines:
                findings.append(finding)
        inside = tuple(finding for finding in findings if falls_in(finding.span, window))
        observations.append(replace(observation, findings=inside))
    return replace(parent, observations=tuple(observations))


def _single(tally: Finding, parsed: ParsedQuestion, window: Span) -> list[Finding]:
    """Those that a tally tells of singly and the question may mean, in time order."""
    count = int(float(tally.detail["count"]))
    # A tally knows neither colours nor places, and of words that were typed no more than that they were.
    told = not (parsed.colours or parsed.sides)
    told &= parsed.asks not in _ASKS_WHAT or (
        parsed.pick != "all" and not kind_of(tally.kind, tally.field).has("readable")
    )
    if count == 1:
        one = {"value": tally.detail["max"]} if "max" in tally.detail else {}
        return [_found(tally, counted(tally.kind, 1), tally.span, one, vague=not told)]
    if parsed.pick == "shortest" or not _knows(tally.span, parsed, window):
        return [_found(tally, f"one of {counted(tally.kind, count)}", tally.span, {}, vague=True)]
    names = [name for name in _TIMES.get(parsed.pick, ()) if name in tally.detail] or ["first_s", "last_s"]
    times = {name: float(tally.detail[name]) for name in names if name in tally.detail}
    if len(times) > 1 and len(set(times.values())) == 1:
        times.pop("last_s")
    found = []
    for name, at_s in times.items():
        span, whole = _stretch(tally, at_s)
        found.append(
            _found(
                tally,
                _text(tally.kind, name, count),
                span,
                _value(tally.detail, name)
                | ({HIDDEN: float(count - len(times))} if name == "first_s" else {}),
                vague=not told or (parsed.asks == "how_long" and not whole),
            )
        )
    return found


def _found(
    tally: Finding, text: str, span: Span, detail: Mapping[str, str | float], *, vague: bool
) -> Finding:
    marks = {COUNTED: float(tally.detail["count"]), **({VAGUE: 1.0} if vague else {})}
    return replace(tally, text=text, span=span, detail={**detail, **marks})


def _knows(hull: Span, parsed: ParsedQuestion, window: Span) -> bool:
    """Whether the one that is asked for lies in the window, where the tally may reach beyond it."""
    begins, ends = hull.start_s >= window.start_s, hull.end_s <= window.end_s
    if parsed.pick == "all":
        return True
    if parsed.pick == "nth":
        return begins
    return ends if parsed.pick in ("last", "newest") else begins and ends


def _stretch(tally: Finding, at_s: float) -> tuple[Span, bool]:
    """From when to when the one that begins at ``at_s`` lasted, and whether that is known."""
    longest_s = float(tally.detail.get("longest_s", 0.0))
    if abs(at_s - float(tally.detail.get("longest_at_s", -1.0))) < _SAME_S:
        return Span(at_s, at_s + longest_s), True
    about_s = min(_ABOUT_S, longest_s or _ABOUT_S)
    return Span(at_s, max(at_s, min(at_s + about_s, tally.span.end_s))), False


def _value(detail: Mapping[str, str | float], name: str) -> dict[str, str | float]:
    """The value that was measured at this time, where it is known."""
    extreme = {"max_s": "max", "min_s": "min"}.get(name, "")
    return {"value": detail[extreme]} if extreme in detail else {}


def _text(kind: str, name: str, count: int) -> str:
    if name in _WHICH:
        return f"the {_WHICH[name]} of {counted(kind, count)}"
    return f"{kind_of(kind).label} at its {'highest' if name == 'max_s' else 'lowest'}"
