"""Clock times and intervals as people write them: parsing and formatting.

    parse_time_s("1:20")     # 80.0
    parse_as_of("2026-11-22T10:00:00Z")
    format_interval(6.0, 20.1)       # "0:06.0–0:20.1"

Stream times are seconds; points in time are Unix seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d(?:\.\d+)?)|(\d{1,6}):([0-5]?\d):([0-5]\d(?:\.\d+)?)", re.ASCII)
_CLOCK_FIELDS = re.compile(r"(?:\d+:){0,2}\d+(?:\.\d+)?", re.ASCII)
_NUMBER = r"(\d{1,12}(?:\.\d+)?)"
_UNITS = re.compile(
    rf"(?:{_NUMBER}\s*h)?\s*(?:{_NUMBER}\s*m(?:in)?)?\s*(?:{_NUMBER}\s*s?)?", re.IGNORECASE | re.ASCII
)
SECONDS_PER_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0}
"""By the first letter of the unit."""


def time_pattern(name: str) -> str:
    """A regular expression for a stream time inside a sentence, such as ``1:02:03`` or ``5 minutes``.

    ``name`` begins the names of its groups, so that one expression can hold several times. Compile it without
    regard to case, and read a match with ``matched_time_s``.
    """
    return (
        rf"(?:(?P<{name}h>\d+):)?(?P<{name}m>\d{{1,3}}):(?P<{name}s>\d{{2}}(?:\.\d+)?)"
        rf"|(?P<{name}n>\d+(?:\.\d+)?)\s*(?P<{name}u>seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b"
    )


def matched_time_s(match: re.Match[str], name: str) -> float | None:
    """The time in seconds that ``time_pattern(name)`` matched; None if it matched no time."""
    groups = match.groupdict()
    if groups.get(name + "s"):
        return seconds_of_clock(groups[name + "h"] or 0, groups[name + "m"], groups[name + "s"])
    if groups.get(name + "n"):
        return float(groups[name + "n"]) * SECONDS_PER_UNIT[groups[name + "u"][0].lower()]
    return None


def seconds_of_clock(hours: str | float, minutes: str | float, seconds: str | float) -> float:
    """Seconds from the parts of a clock time, as text or as numbers."""
    return float(hours) * 3600 + float(minutes) * 60 + float(seconds)


def parse_time_s(text: str) -> float:
    """A stream time in seconds from ``80``, ``80.5s``, ``1:20``, ``1:02:03.5`` or ``1h 2m 3s``.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip()
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()[2:] if match[3] else (0, *match.groups()[:2])
        return seconds_of_clock(hours, minutes, seconds)
    if text and (match := _UNITS.fullmatch(text)):
        hours, minutes, seconds = match.groups()
        return seconds_of_clock(hours or 0, minutes or 0, seconds or 0)
    raise ValueError(f"{text!r} is not a time; write it as 80, 1:20, 1:02:03 or 1h2m3s")


def parse_clock_fields_s(text: str) -> float:
    """Seconds from one to three fields with colons, as data sets write them: ``75``, ``3:10``, ``00:03:10.5``.

    Unlike in ``parse_time_s``, any field may have one digit or exceed 59.

    Raises:
        ValueError: It is no such time.
    """
    if not _CLOCK_FIELDS.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a time such as 00:03:10")
    hours, minutes, seconds = ["0", "0", *text.strip().split(":")][-3:]
    return seconds_of_clock(hours, minutes, seconds)


def parse_as_of(text: str) -> float:
    """Unix seconds from an ISO 8601 time (with a zone, else local time) or from Unix seconds.

    Raises:
        ValueError: It is neither.
    """
    try:
        as_of_s = float(text)
    except ValueError:
        as_of_s = None
    try:
        if as_of_s is None:
            return datetime.fromisoformat(text).astimezone().timestamp()
        # Neither nan nor the year 30,000 is a time.
        return datetime.fromtimestamp(as_of_s, UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is not a time; write it as 2026-11-22T10:00:00Z or in Unix seconds"
        ) from None


def format_time(time_s: float) -> str:
    """A stream time for people: ``75.2`` is ``1:15.2``, with hours where there are any."""
    tenths = round(time_s * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def format_interval(start_s: float, end_s: float) -> str:
    """A stretch of stream time for people: ``0:06.0–0:20.1``; one time where it hardly lasts."""
    return format_time(start_s) if end_s - start_s < 0.3 else f"{format_time(start_s)}–{format_time(end_s)}"
