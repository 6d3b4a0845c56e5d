"""Checks of the arguments of public methods: a wrong one raises ``BadArgument`` before anything is opened."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from .common.errors import BadArgument
from .memory.values import RUNGS, Rung, Span

MAX_LIMIT = 100_000
"""The most results that one call returns."""


def checked_text(name: str, text: object) -> str:
    """``text`` if it is a string."""
    if not isinstance(text, str):
        raise BadArgument(name, text, "a text")
    return text


def checked_limit(limit: object) -> int:
    """``limit`` if it is a number of results that can be returned."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise BadArgument("limit", limit, f"a whole number from 1 to {MAX_LIMIT:,}")
    return limit


def checked_rung(rung: object) -> Rung:
    """``rung`` if there is such a rung."""
    for name in RUNGS:
        if rung == name:
            return name
    raise BadArgument("rung", rung, f"one of {', '.join(RUNGS)}")


def stream_names(stream: object) -> tuple[str, ...]:
    """The names of the streams to use; empty for all."""
    if stream is None:
        return ()
    if isinstance(stream, str):
        return (stream,)
    if isinstance(stream, Iterable):
        names = tuple(stream)
        if all(isinstance(name, str) for name in names):
            return names
    raise BadArgument("stream", stream, "the name of a stream, or several names")


def checked_options(options: object) -> tuple[str, ...]:
    """The texts of the options of a multiple-choice question."""
    if not isinstance(options, str) and isinstance(options, Iterable):
        texts = tuple(options)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise BadArgument("options", options, "a sequence of texts")


def as_of_seconds(as_of: object) -> float | None:
    """Unix seconds of a point in time; None for the present."""
    if as_of is None:
        return None
    if isinstance(as_of, datetime):
        if as_of.tzinfo is None:
            raise BadArgument("as_of", as_of, "a datetime with a time zone, such as datetime.now(UTC)")
        return as_of.timestamp()
    if isinstance(as_of, int | float) and not isinstance(as_of, bool):
        return float(as_of)
    raise BadArgument("as_of", as_of, "a datetime with a time zone, or Unix seconds")


def checked_span(from_s: object, to_s: object) -> Span | None:
    """The span between two stream times, in seconds; None if neither is given.

    Raises:
        BadArgument: A time is no number.
        BadQuestion: The span is empty or negative.
    """
    from .agent.answer import check_times  # noqa: PLC0415 - loads pydantic

    start_s, end_s = _seconds("from_s", from_s), _seconds("to_s", to_s)
    check_times(start_s, end_s)
    if start_s is None and end_s is None:
        return None
    return Span(start_s or 0.0, math.inf if end_s is None else end_s)


def _seconds(name: str, time_s: object) -> float | None:
    if time_s is None:
        return None
    if isinstance(time_s, int | float) and not isinstance(time_s, bool):
        return float(time_s)
    raise BadArgument(name, time_s, "a stream time in seconds")
