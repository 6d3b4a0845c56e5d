"""How much two memories are alike, by what was seen in them at first.

    looks_different(last, moment)       # whether the picture is another
    likeness(earlier_event, event)      # 0 to 1: how little the later one tells that is new

Nothing is asked of pictures here: colours, happenings and lines are compared as findings tell them.
"""

from __future__ import annotations

import re

from ...common.kind_registry import kind_of, names_with
from ..values import Moment
from .summaries import base_of, colour_shares

_COLOUR_CHANGE = 0.25
"""Two pictures look different when this share of them has another colour."""
_DIGITS = re.compile(r"\d+")


def looks_different(earlier: Moment, later: Moment) -> bool:
    """Whether the colours changed; where they are not known, whether most of what was found did."""
    moved = _colours_moved(earlier, later)
    if moved is not None:
        return moved >= _COLOUR_CHANGE
    kinds = [
        {f.kind for f in base_of(moment).findings} - names_with("shot_change") for moment in (earlier, later)
    ]
    return 2 * len(kinds[0] & kinds[1]) < len(kinds[0] | kinds[1])


def likeness(earlier: Moment, later: Moment) -> float:
    """How much two memories above the first rung are alike, 0 to 1, to four digits.

    In three respects, multiplied: what differs in one of them is not alike. The colours they share; how
    often each kind of thing happened, for the time they last; the lines that were to read or to hear in
    both. A respect in which neither tells anything does not count.
    """
    moved = _colours_moved(earlier, later)
    colours = 1.0 if moved is None else 1.0 - moved
    return round(max(0.0, colours) * _happenings_alike(earlier, later) * _lines_alike(earlier, later), 4)


def _colours_moved(earlier: Moment, later: Moment) -> float | None:
    """Which share of the picture has another colour; None where that is not known of both."""
    one, other = _colours(earlier), _colours(later)
    if not one or not other:
        return None
    return sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in sorted({*one, *other})) / 2


def _colours(moment: Moment) -> dict[str, float]:
    for finding in base_of(moment).findings:
        if kind_of(finding.kind, finding.field).has("colour_shares"):
            return colour_shares(finding)
    return {}


def _happenings_alike(earlier: Moment, later: Moment) -> float:
    """The mean over all kinds of how much like often they happened in the time that the later one lasts."""
    one, other = _counts(earlier), _counts(later)
    kinds = sorted({*one, *other})
    if not kinds:
        return 1.0
    scale = max(later.span.duration_s, 1e-3) / max(earlier.span.duration_s, 1e-3)
    alike = 0.0
    for kind in kinds:
        pair = scale * one.get(kind, 0.0), other.get(kind, 0.0)
        # One more of each: something that happened once, and not before, is no more than half unlike.
        alike += (min(pair) + 1) / (max(pair) + 1)
    return alike / len(kinds)


def _counts(memory: Moment) -> dict[tuple[str, str], float]:
    return {
        (finding.field, finding.kind): float(finding.detail.get("count", 1))
        for finding in base_of(memory).findings
        if finding.field not in ("visible_text", "speech")
        and not kind_of(finding.kind, finding.field).has("constant")
    }


def _lines_alike(earlier: Moment, later: Moment) -> float:
    """Of the lines of either, the share that both have; one more of each, as with happenings."""
    one, other = _lines(earlier), _lines(later)
    return (len(one & other) + 1) / (len(one | other) + 1)


def _lines(memory: Moment) -> set[tuple[str, str]]:
    return {
        # The clock that many cameras write into their picture says something else each time.
        (finding.field, _DIGITS.sub("0", " ".join(finding.text.casefold().split())))
        for finding in base_of(memory).findings
        if finding.field in ("visible_text", "speech")
    }
