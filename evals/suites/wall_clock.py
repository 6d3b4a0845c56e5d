"""Wall-clock times in questions, such as ``11:00-13:30 on day 1``, and the matching times of a recording.

    >>> clock_spans("What did I eat between 11:00 and 13:30 on day 1?")
    (ClockSpan(day=1, start_s=39600.0, end_s=48600.0),)
    >>> day_s("DAY3", "11210217")
    213662.85
    >>> format_day_time(213662.85)
    'day 3, 11:21:02'

The timeline over the days counts seconds from the midnight before day 1. Times that were not filmed are gaps in it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...common.clock_times import seconds_of_clock

DAY_S = 86_400.0
EGOLIFE_FPS = 20
"""Frames per second of the last two digits of ``HHMMSSFF``."""

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_DAYS_AGO = {"today": 0, "yesterday": 1, "the day before yesterday": 2}
_TIME = r"(\d{1,2})(?::([0-5]\d))?(?::([0-5]\d))?(?:\s*([ap])\.?m\b\.?)?"
_RANGE = rf"(?<![\d:]){_TIME}\s*(?:-|–|—|~|to\b|until\b|till\b|and\b)\s*{_TIME}(?![\d:])"
_DAY = (
    rf"(?:day\s*[_-]?\s*(\d+|{'|'.join(_NUMBERS)})\b|(?:the\s+)?({'|'.join(_ORDINALS)})\s+day\b"
    r"|\b((?:the\s+day\s+before\s+)?yesterday|today)\b)"
)
_DAY_FIRST = rf"{_DAY}\s*[:,]?\s*(?:from\s+|between\s+)?{_RANGE}"
_DAY_LAST = rf"{_RANGE}(?:\s*[,(]?\s*(?:on\s+|of\s+|in\s+)?{_DAY}(?!\s*[:,]?\s*(?:from\s+|between\s+)?\d))?"
_SPAN = re.compile(rf"{_DAY_FIRST}|{_DAY_LAST}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ClockSpan:
    """A span of a day, ``[start_s, end_s)`` in seconds since its midnight."""

    day: int
    """Counted from 1."""
    start_s: float
    end_s: float
    """More than the seconds of a day if the span continues after midnight."""

    @property
    def timeline_s(self) -> tuple[float, float]:
        """Start and end on the timeline over the days."""
        begin_s = (self.day - 1) * DAY_S
        return (begin_s + self.start_s, begin_s + self.end_s)


def clock_spans(text: str, *, day: int | None = None) -> tuple[ClockSpan, ...]:
    """The spans of time that a text names, in its order.

    ``day`` is the day on which the text was written. It is the day of spans without one, and "yesterday" is the day
    before. Spans whose day is not known are left out.
    """
    spans = (_span(match.groups(), day) for match in _SPAN.finditer(text))
    return tuple(span for span in spans if span is not None)


def day_s(date: str, time: str) -> float:
    """``DAY3`` and ``11210217`` (hour, minute, second, frame) on the timeline over the days.

    Raises ``ValueError`` if the day or the time is not valid.
    """
    date_match = re.fullmatch(r"(?:day)?[\s_]*(\d+)", date.strip(), re.IGNORECASE)
    time_match = re.fullmatch(r"(\d{1,2})(\d\d)(\d\d)(\d\d)", time.strip())
    if not date_match or not time_match or int(date_match[1]) < 1:
        raise ValueError(f"{date!r} and {time!r} are not a day and a time such as DAY3 and 11210217")
    hour, minute, second, frame = map(int, time_match.groups())
    if hour > 24 or minute > 59 or second > 59:
        raise ValueError(f"{time!r} is not a time of a day")
    whole_s = (int(date_match[1]) - 1) * DAY_S + seconds_of_clock(hour, minute, second)
    return whole_s + min(frame, EGOLIFE_FPS) / EGOLIFE_FPS


def spliced_s(time_s: float, starts: Sequence[float], clip_s: float = 30.0) -> float:
    """The time in a video that was spliced from clips, for a time on the timeline over the days.

    The clips are ``clip_s`` long and began at ``starts``. A time that was not filmed maps to the start of the next clip.
    """
    clips_before = bisect_right(starts, time_s)
    if not clips_before:
        return 0.0
    return (clips_before - 1) * clip_s + min(clip_s, time_s - starts[clips_before - 1])


def format_day_time(time_s: float) -> str:
    """A time on the timeline over the days as text: ``day 3, 11:21:02``."""
    day, rest_s = divmod(int(time_s), int(DAY_S))
    return f"day {day + 1}, {rest_s // 3600:02d}:{rest_s // 60 % 60:02d}:{rest_s % 60:02d}"


def _span(groups: tuple[str | None, ...], day: int | None) -> ClockSpan | None:
    """The span of one match of ``_SPAN``. None if its day is not known, or if it is not a pair of times."""
    day_first, day_last = groups[:11], groups[11:]
    if day_first[3] is not None:
        day_groups, start_groups, end_groups = day_first[:3], day_first[3:7], day_first[7:]
    else:
        day_groups, start_groups, end_groups = day_last[8:], day_last[:4], day_last[4:8]
    span_day = _day(day_groups, day)
    start, end = _ClockTime(*start_groups), _ClockTime(*end_groups)
    # A bare pair of numbers, as in "2 to 3 eggs", is not a span: minutes or am/pm are required.
    is_bare = end.is_bare or (start.is_bare and end.half is None)
    end_s = end.seconds()
    start_s = start.seconds(end.half)
    if span_day is None or is_bare or start_s is None or end_s is None:
        return None
    if start.half is None and start_s >= end_s:
        # "11:00-1:30 pm" begins in the morning.
        morning_s = start.seconds()
        start_s = start_s if morning_s is None else morning_s
    return ClockSpan(span_day, start_s, end_s if end_s > start_s else end_s + DAY_S)


def _day(groups: tuple[str | None, ...], day: int | None) -> int | None:
    """The day that a text names by number, ordinal or relative to ``day``, or else ``day`` itself."""
    number, ordinal, relative = (word.lower() if word else None for word in groups)
    if number is not None:
        return int(number) if number.isdigit() else _NUMBERS.index(number) + 1
    if ordinal is not None:
        return _ORDINALS.index(ordinal) + 1
    if relative is not None and day is not None:
        return day - _DAYS_AGO[" ".join(relative.split())]
    return day if relative is None else None


class _ClockTime(NamedTuple):
    """The groups of ``_TIME``."""

    hour: str | None
    minute: str | None
    second: str | None
    half: str | None
    """``a`` or ``p``, of am or pm."""

    @property
    def is_bare(self) -> bool:
        """Whether it is only an hour."""
        return self.minute is None and self.half is None

    def seconds(self, default_half: str | None = None) -> float | None:
        """Seconds since midnight. None if there is no such hour. ``default_half`` is used without am or pm."""
        hour = int(self.hour or 0)
        half = (self.half or default_half or "").lower()
        # "13:00 pm" means 13:00.
        if half and 1 <= hour <= 12:
            hour = hour % 12 + (12 if half == "p" else 0)
        if hour > 24:
            return None
        return seconds_of_clock(hour, self.minute or 0, self.second or 0)
