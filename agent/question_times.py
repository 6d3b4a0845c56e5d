"""Times named in a question: clock times, time ranges and "the last 30 seconds".

times = parse_times("Who came between 0:10 and 0:40?")
times.span, times.rest    # Span(10.0, 40.0), "Who came  ?"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..common.clock_times import SECONDS_PER_UNIT, matched_time_s, time_pattern
from ..memory.values import Span

AT_MARGIN_S = 2.0
"""How far around "at 1:20" is meant, in seconds."""

_START, _END = time_pattern("a"), time_pattern("b")
_BETWEEN = re.compile(
    rf"\b(?:between|from)\s+(?:{_START}|(?P<bare>\d+(?:\.\d+)?))\s*(?:and|to|until|-|–)\s*(?:{_END})", re.I
)
_LAST_STRETCH = re.compile(rf"\b(?:in|within|over|during) the (?:last|past)\s+(?:{_START})", re.I)
_SINGLE_TIMES: tuple[tuple[re.Pattern[str], float, float], ...] = (
    (re.compile(rf"\bin the first\s+(?:{_START})", re.I), float("inf"), 0.0),
    (re.compile(rf"\b(?:at|around|about)\s+(?:{_START})", re.I), AT_MARGIN_S, AT_MARGIN_S),
    (re.compile(rf"\b(?:after|since|from)\s+(?:{_START})", re.I), 0.0, float("inf")),
    (re.compile(rf"\b(?:before|until|by)\s+(?:{_START})", re.I), float("inf"), 0.0),
)
"""A phrase with one time, and how many seconds before and after that time it covers. The first match counts."""


@dataclass(frozen=True, slots=True)
class QuestionTimes:
    """The stream time a question names."""

    span: Span | None
    """The named span of stream time."""
    last_s: float | None
    """The named number of seconds before the end of each stream."""
    rest: str
    """The question without the phrase that names the time."""


def parse_times(text: str) -> QuestionTimes:
    """Find the time that a question names: a range first, then a single time, then "in the last …"."""
    match = _BETWEEN.search(text)
    if match and (span := _range(match)) is not None:
        return QuestionTimes(span, None, text.replace(match[0], " "))
    for pattern, before_s, after_s in _SINGLE_TIMES:
        match = pattern.search(text)
        if match and (time_s := matched_time_s(match, "a")) is not None:
            span = Span(max(0.0, time_s - before_s), time_s + after_s)
            return QuestionTimes(span, None, text.replace(match[0], " "))
    match = _LAST_STRETCH.search(text)
    if match and (time_s := matched_time_s(match, "a")) is not None:
        return QuestionTimes(None, time_s, text.replace(match[0], " "))
    return QuestionTimes(None, None, text)


def _range(match: re.Match[str]) -> Span | None:
    """The span of a ``_BETWEEN`` match. None if it does not end after it starts."""
    start_s, end_s = matched_time_s(match, "a"), matched_time_s(match, "b")
    if start_s is None and match["bare"] and end_s is not None:
        # "between 1.5 and 3.6 seconds": only the second number carries the unit.
        start_s = float(match["bare"]) * SECONDS_PER_UNIT[(match["bu"] or "s")[0].lower()]
    if start_s is None or end_s is None or start_s >= end_s:
        return None
    return Span(start_s, end_s)
