"""Checks of the arguments of public methods: a wrong one raises ``BadArgument`` before anything is opened."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .common.errors import BadArgument
from .common.file_names import is_storable
from .memory.values import RUNGS, Rung, Span

if TYPE_CHECKING:
    from .perception.watch_options import WatchOptions

MAX_LIMIT = 100_000
"""The most results that one call returns."""
MAX_NAME_CHARS = 500
"""The longest name that a stream can be given."""


def checked_text(name: str, text: object) -> str:
    """``text`` if it is a string that can be stored."""
    if not isinstance(text, str):
        raise BadArgument(name, text, "a text")
    if not is_storable(text):
        # Python reads bytes that are not UTF-8, in file names and arguments, as lone surrogates.
        raise BadArgument(name, text, "a text that can be encoded as UTF-8")
    return text


def checked_stream_name(stream: object) -> str | None:
    """The name that a stream shall have, if one is given."""
    if stream is None:
        return None
    name = checked_text("stream", stream)
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        raise BadArgument("stream", stream, f"a name of 1 to {MAX_NAME_CHARS} characters")
    return name


def checked_ids(name: str, ids: object) -> list[str]:
    """The ids in a sequence."""
    if not isinstance(ids, str | bytes) and isinstance(ids, Iterable):
        texts = list(ids)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise BadArgument(name, ids, "a sequence of ids")


_NOT_IN_DATABASE = re.compile(r"[?\x00-\x1f\x7f]")
"""Characters that LanceDB refuses in a path, or takes for the end of it."""


def checked_path(path: object) -> Path:
    """The folder that ``path`` names."""
    if isinstance(path, str | Path) and str(path).strip() and "\0" not in str(path):
        if not is_storable(str(path)):
            raise BadArgument("path", path, "a path in UTF-8, because the database opens no other")
        try:
            folder = Path(path).expanduser()
        except RuntimeError:
            raise BadArgument(
                "path", path, "a path that begins with the home folder of a known user"
            ) from None
        if character := _NOT_IN_DATABASE.search(str(folder.absolute())):
            expected = f"a path without question marks and control characters ({character[0]!r}), which the database cannot open"
            raise BadArgument("path", path, expected)
        return folder
    raise BadArgument("path", path, "the path of a folder")


def check_methods(name: str, value: object, methods: tuple[str, ...], expected: str) -> None:
    """Raise ``BadArgument`` unless ``value`` is None or has these methods. Properties are not read."""
    if value is not None and not all(callable(getattr(value, method, None)) for method in methods):
        raise BadArgument(name, value, expected)


def check_encoder(encoder: object) -> None:
    """Raise ``BadArgument`` unless ``encoder`` is None or an encoder."""
    check_methods("encoder", encoder, ("encode_texts",), "an Encoder")


def check_models(
    encoder: object = None,
    lmm: object = None,
    reasoner: object = None,
    limits: object = None,
    overrides: object = None,
) -> None:
    """Raise ``BadArgument`` where what a memory is opened with has a wrong type."""
    check_encoder(encoder)
    check_methods("reasoner", reasoner, ("read", "look", "judge", "answer"), "a Reasoner")
    if lmm is not None and not callable(getattr(lmm, "ask_now", None)):
        from .perception.lmm.lmm_settings import LmmSettings  # noqa: PLC0415 - loads pydantic

        if not isinstance(lmm, LmmSettings):
            raise BadArgument("lmm", lmm, "an Lmm, or LmmSettings with the server's url")
    if limits is not None:
        from .agent.limits import Limits  # noqa: PLC0415 - loads pydantic

        if not isinstance(limits, Limits):
            raise BadArgument("limits", limits, "Limits, such as Limits(seconds=10)")
    if overrides is not None:
        from .agent.overrides import AgentOverrides  # noqa: PLC0415

        if not isinstance(overrides, AgentOverrides):
            raise BadArgument("overrides", overrides, "AgentOverrides")


def check_source(source: object) -> None:
    """Raise ``BadArgument`` unless ``source`` is a path, a URL or a source."""
    if isinstance(source, str | Path) and str(source):
        try:
            os.fsencode(source)
        except UnicodeEncodeError:
            raise BadArgument("source", source, "a path that a file can have") from None
        return
    if isinstance(source, str) or not callable(getattr(source, "frames", None)):
        raise BadArgument("source", source, "a path, a URL, or an open source")


def checked_watch_options(options: object) -> WatchOptions:
    """The options of a watch; the usual ones for None."""
    from .perception.watch_options import WatchOptions  # noqa: PLC0415

    if options is None:
        return WatchOptions()
    if not isinstance(options, WatchOptions):
        raise BadArgument("options", options, "WatchOptions, such as WatchOptions(fps=2)")
    return options


def check_handler(name: str, handler: object) -> None:
    """Raise ``BadArgument`` unless ``handler`` is None or can be called."""
    if handler is not None and not callable(handler):
        raise BadArgument(name, handler, "a function")


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
        return _as_float("as_of", as_of)
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
        return _as_float(name, time_s)
    raise BadArgument(name, time_s, "a stream time in seconds")


def _as_float(name: str, number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise BadArgument(name, number, "a number of seconds that a float can hold") from None
