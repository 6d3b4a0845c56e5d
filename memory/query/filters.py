"""Filters of memories by span and finding kind, as SQL conditions for LanceDB.

>>> overlap_filter(Span(4.0, 9.0))
'start_s < 9.0 AND end_s > 4.0'
>>> kinds_filter(["enters", "leaves"])
"array_has_any(kinds, make_array('enters', 'leaves'))"
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

from ..storage.rows import start_hour
from ..storage.tables import any_of, quoted
from ..values import HOUR_S, RUNGS, Extent, Rung, Span


def overlap_filter(
    span: Span | None,
    extents: Mapping[str, Extent] | None = None,
    rungs: Sequence[Rung] | None = None,
) -> str | None:
    """A filter that keeps memories of ``rungs`` that overlap ``span``. None without a span.

    ``extents`` are the bounds of the memories of each rung, if known. With them, the filter combines the memories
    that start in the span, by whole hours, with those few that start shortly before it and end in it or later.
    The number of index rows to combine then does not grow with the span. Bounds that exclude no memory are left
    out. A filter of ``true`` keeps every memory.
    """
    if span is None:
        return None
    from_s, until_s = span.start_s, span.end_s
    if from_s == math.inf or until_s == -math.inf:
        return "false"
    if (extent := _joined_extent(extents, rungs)) is None:
        return " AND ".join(_bounds("start_s", below=until_s) + _bounds("end_s", above=from_s)) or "true"
    if until_s > extent.last_start_s:
        until_s = math.inf
    if from_s < extent.first_end_s:
        return _start_filter(-math.inf, until_s)
    reach_s = extent.longest_s + 1
    earlier = _bounds("start_s", from_=from_s - reach_s, to=from_s)
    if until_s <= from_s:
        earlier += _bounds("start_s", below=until_s)
    earlier += _bounds("end_s", above=from_s, to=from_s + reach_s)
    return any_of([_start_filter(from_s, until_s), " AND ".join(earlier)])


def _start_filter(after_s: float, until_s: float) -> str:
    """A filter that keeps memories that start between two times, both excluded."""
    if until_s - after_s <= 2 * HOUR_S or until_s == -after_s == math.inf:
        return " AND ".join(_bounds("start_s", above=after_s, below=until_s)) or "true"
    hours, edges = [], []
    if math.isfinite(after_s):
        first = _hour(after_s) + 1
        hours.append(f"start_hour >= {first}")
        edges.append(_bounds("start_s", above=after_s, below=first * HOUR_S))
    if math.isfinite(until_s):
        last = _hour(until_s)
        hours.append(f"start_hour < {last}")
        edges.append(_bounds("start_s", from_=last * HOUR_S, below=until_s))
    return any_of(" AND ".join(bounds) for bounds in (hours, *edges))


def _hour(time_s: float) -> int:
    # The column is a 32-bit integer.
    return max(-(2**31) + 1, min(2**31 - 2, start_hour(time_s)))


def _joined_extent(extents: Mapping[str, Extent] | None, rungs: Sequence[Rung] | None) -> Extent | None:
    """The bounds of the memories of some rungs together. None if unknown."""
    if not extents:
        return None
    of_rungs = [extents[rung] for rung in (rungs or RUNGS) if rung in extents]
    return reduce(Extent.joined, of_rungs) if of_rungs else None


def containment_filter(span: Span) -> str:
    """A filter that keeps memories that lie entirely in ``span``."""
    bounds = _bounds("start_s", from_=span.start_s) + _bounds("end_s", to=span.end_s)
    bounds += _bounds("start_s", to=span.end_s) + _bounds("end_s", from_=span.start_s)
    return " AND ".join(bounds) or "true"


def kinds_filter(kinds: Sequence[str] | None) -> str | None:
    """A filter that keeps observations with a finding of one of these kinds. None without ``kinds``."""
    if kinds is None:
        return None
    literals = ", ".join(quoted(kind) for kind in kinds)
    return f"array_has_any(kinds, make_array({literals}))" if literals else "false"


def _bounds(column: str, **limits_s: float) -> list[str]:
    operators = {"below": "<", "to": "<=", "above": ">", "from_": ">="}
    return [
        f"{column} {operators[name]} {limit_s!r}"
        for name, limit_s in limits_s.items()
        if math.isfinite(limit_s)
    ]
