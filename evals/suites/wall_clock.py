"""Wall-clock time in questions: ``11:00-13:30 on day 1``, and where in a recording that is.

    clock_spans("What did I eat between 11:00 and 13:30 on day 1?")   # (ClockSpan(1, 39600.0, 48600.0),)
    day_s("DAY3", "11210217")                                         # 213662.85, of a timeline over the days

A timeline over days counts from the midnight before the first: what was never filmed is a gap in it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

DAY_S = 86_400.0
EGOLIFE_FPS = 20
"""Frames in a second of the last two digits of ``HHMMSSFF``."""

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_AGO = {"today": 0, "yesterday": 1, "the day before yesterday": 2}
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
    """A stretch of a day by the clock, ``[start_s, end_s)`` in seconds since its midnight."""

    day: int
    """The first is 1."""
    start_s: float
    end_s: float
    """More than a day's seconds where it goes on after midnight."""

    @property
    def timeline_s(self) -> tuple[float, float]:
        """On the timeline over the days."""
        begin_s = (self.day - 1) * DAY_S
        return (begin_s + self.start_s, begin_s + self.end_s)


def clock_spans(text: str, *, day: int | None = None) -> tuple[ClockSpan, ...]:
    """The stretches of time that a text names, in its order.

    ``day`` is when the text was written: a stretch without a day is of that one, and yesterday is the one before.
    Where a stretch's day is not known it is passed over.
    """
    found = (_span(match.groups(), day) for match in _SPAN.finditer(text))
    return tuple(span for span in found if span is not None)


def day_s(date: str, time: str) -> float:
    """``DAY3`` and ``11210217`` (hour, minute, second, frame) on the timeline over the days.

    Raises ``ValueError`` where they are no such day and time.
    """
    of_date = re.fullmatch(r"(?:day)?[\s_]*(\d+)", date.strip(), re.IGNORECASE)
    of_time = re.fullmatch(r"(\d{1,2})(\d\d)(\d\d)(\d\d)", time.strip())
    if not of_date or not of_time or int(of_date[1]) < 1:
        raise ValueError(f"{date!r} and {time!r} are no day and time such as DAY3 and 11210217")
    hour, minute, second, frame = map(int, of_time.groups())
    if hour > 24 or minute > 59 or second > 59:
        raise ValueError(f"{time!r} is no time of a day")
    whole_s = (int(of_date[1]) - 1) * DAY_S + hour * 3600 + minute * 60 + second
    return whole_s + min(frame, EGOLIFE_FPS) / EGOLIFE_FPS


def spliced_s(at_s: float, starts: Sequence[float], clip_s: float = 30.0) -> float:
    """Where a time is in a video that was spliced from clips, each ``clip_s`` long, that began at these times.

    What was not filmed is where the next clip begins.
    """
    before = bisect_right(starts, at_s)
    if not before:
        return 0.0
    return (before - 1) * clip_s + min(clip_s, at_s - starts[before - 1])


def told(at_s: float) -> str:
    """A time of the timeline over the days, for people: ``day 3, 11:21:02``."""
    day, rest_s = divmod(int(at_s), int(DAY_S))
    return f"day {day + 1}, {rest_s // 3600:02d}:{rest_s // 60 % 60:02d}:{rest_s % 60:02d}"


def _span(groups: tuple[str | None, ...], day: int | None) -> ClockSpan | None:
    first, last = groups[:11], groups[11:]
    named, times = (first[:3], first[3:]) if first[3] is not None else (last[8:], last[:8])
    of_day = _day(named, day)
    if of_day is None:
        return None
    begin, end = times[:4], times[4:]
    # A bare pair of numbers, as in "2 to 3 eggs", is no time: there must be minutes or a half of the day.
    if end[1] is None and end[3] is None:
        return None
    if begin[1] is None and begin[3] is None and end[3] is None:
        return None
    end_s = _seconds(end, None)
    start_s = _seconds(begin, end[3])
    if start_s is None or end_s is None:
        return None
    if begin[3] is None and start_s >= end_s:
        # "11:00-1:30 pm" begins in the morning.
        plain_s = _seconds(begin, None)
        start_s = start_s if plain_s is None else plain_s
    return ClockSpan(of_day, start_s, end_s if end_s > start_s else end_s + DAY_S)


def _day(named: tuple[str | None, ...], day: int | None) -> int | None:
    number, ordinal, ago = (word.lower() if word else None for word in named)
    if number is not None:
        return int(number) if number.isdigit() else _NUMBERS.index(number) + 1
    if ordinal is not None:
        return _ORDINALS.index(ordinal) + 1
    if ago is not None and day is not None:
        return day - _AGO[" ".join(ago.split())]
    return day if ago is None else None


def _seconds(time: tuple[str | None, ...], half: str | None) -> float | None:
    """Since midnight; ``half`` of the day where the time does not tell; None where there is no such hour."""
    hour = int(time[0] or 0)
    half = (time[3] or half or "").lower()
    if half:
        if not 1 <= hour <= 12:
            # 13:00 pm is said often enough.
            half = ""
        else:
            hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 24:
        return None
    return hour * 3600.0 + int(time[1] or 0) * 60 + int(time[2] or 0)
