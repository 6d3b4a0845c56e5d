"""Serialization: every value that a public method returns, as plain data for JSON.

    json.dumps(to_plain(memory.ask("When did the kettle boil?")))
    json.dumps(to_plain(memory.status()))

The command's ``--json`` prints exactly this. Rules: times keep their unit in the key and milliseconds in the
value, a span becomes ``start_s`` and ``end_s``, infinity becomes null, pictures are left out, sets become sorted
lists.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Set
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .memory.values import Finding, Gap, Moment, ReducedSpan, Span
from .stream_status import StreamStatus

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Plain data, as ``json.dumps`` takes it."""
_DECIMALS = 3
_INTERNAL_FIELDS = {"memory_ids"}
"""Fields that only the package itself uses."""


def to_plain(value: object) -> Json:
    """Return ``value`` as dicts, lists, strings, numbers, booleans and None.

    Args:
        value: What a method of ``Recollect`` returns, or a list, tuple or mapping of such values.

    Raises:
        TypeError: The value is of a type that no public method returns.
    """
    plain: Json = _plain(value)
    return plain


def plain_fields(value: object) -> dict[str, Json]:
    """``to_plain`` of a value that has fields, such as a dataclass."""
    plain = to_plain(value)
    if not isinstance(plain, dict):
        raise TypeError(f"a {type(value).__name__} has no fields")
    return plain


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return round(value, _DECIMALS) if math.isfinite(value) else None
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_plain(item) for item in value]
    return _object(value)


def _object(value: Any) -> Any:
    for kind, convert in _CONVERTERS.items():
        if isinstance(value, kind):
            return convert(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": str(value)}
    raise TypeError(f"a {type(value).__name__} has no plain form")


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass field by field. A moment or a span inside is merged into its owner; pictures are left out."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if isinstance(item, bytes) or field.name in _INTERNAL_FIELDS:
            continue
        if (field.name == "span" and isinstance(item, Span)) or isinstance(item, Moment):
            plain |= _plain(item)
        else:
            plain[field.name] = _plain(item)
    return plain


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "id": moment.id,
        "stream": moment.stream,
        "rung": moment.rung,
        "epoch": moment.epoch,
        "shot": moment.shot,
        **_plain(moment.span),
        "wall_start_s": _plain(moment.wall_start_s),
        "caption": moment.caption,
        "findings": [_plain(finding) for finding in moment.findings],
        "frame_ids": list(moment.frame_ids),
        "reduced": [_reduced(part) for part in moment.reduced],
    }


def _reduced(part: ReducedSpan) -> dict[str, Any]:
    return {**_plain(part.span), **dataclasses.asdict(part.rate)}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "field": finding.field,
        "kind": finding.kind,
        "text": finding.text,
        **_plain(finding.span),
        "written_by": finding.written_by,
        "confidence": finding.confidence,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"stream": gap.stream, **_plain(gap.span), "cause": gap.cause, "detail": gap.detail}


def _stream_status(status: StreamStatus) -> dict[str, Any]:
    from .perception.sources.urls import redact  # noqa: PLC0415 - only a status needs it

    stream, counts, backlog = status.stream, status.counts, status.backlog
    return {
        "stream": stream.name,
        "kind": stream.kind,
        "state": status.state,
        "activity": _plain(status.activity),
        # Memories of earlier versions hold addresses with fewer parts redacted.
        "source": redact(stream.source) if stream.kind == "live" else stream.source,
        "fps": stream.fps,
        "duration_s": stream.duration_s,
        "from_s": round(status.coverage.span.start_s, _DECIMALS),
        "until_s": round(status.coverage.span.end_s, _DECIMALS),
        "watched_s": round(status.coverage.watched_s, _DECIMALS),
        "gaps": [{**_plain(gap.span), "cause": gap.cause} for gap in status.gaps],
        "reduced": [_reduced(part) for part in status.coverage.reduced],
        "forgotten_s": _plain(status.forgotten_s),
        "frames": {
            "captured": counts.captured,
            "stored": counts.stored,
            "sampled_out": counts.sampled_out,
            "merged": counts.merged,
            "dropped": dict(counts.dropped),
        },
        "backlog": {
            "waiting": backlog.waiting,
            "oldest_s": None if status.oldest_waiting_s is None else round(status.oldest_waiting_s, 1),
            "given_up": backlog.given_up,
            "last_error": backlog.last_error,
        },
        "error": stream.error,
    }


_CONVERTERS: dict[type, Callable[[Any], Any]] = {
    Moment: _moment,
    Finding: _finding,
    Gap: _gap,
    StreamStatus: _stream_status,
}
