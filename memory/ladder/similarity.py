"""Similarity of two memories, computed from their first observations.

    looks_different(last, moment)       # whether the picture changed
    similarity(earlier_event, event)    # 0 to 1: how little the later event adds

No picture is decoded. Only findings are compared: colours, counts of actions, and lines of text.
"""

from __future__ import annotations

import re

from ...common.kind_registry import kind_of, names_with
from ..values import Moment
from .summaries import colour_shares, first_observation, normalised_line

_COLOUR_CHANGE = 0.25
"""Two pictures look different when this share of their area changed its colour."""
_DIGITS = re.compile(r"\d+")


def looks_different(earlier: Moment, later: Moment) -> bool:
    """Whether the colours changed. If a moment has none, whether most of the kinds of findings did."""
    changed = _colour_change(earlier, later)
    if changed is not None:
        return changed >= _COLOUR_CHANGE
    kinds = [
        {f.kind for f in first_observation(moment).findings} - names_with("shot_change")
        for moment in (earlier, later)
    ]
    return 2 * len(kinds[0] & kinds[1]) < len(kinds[0] | kinds[1])


def similarity(earlier: Moment, later: Moment) -> float:
    """How similar two events, hours or days are, from 0 to 1, rounded to four digits.

    The product of three factors: the colours in common, the rates of each kind of finding, and the lines
    of text and speech in common. A factor is 1 when neither memory has findings for it.
    """
    changed = _colour_change(earlier, later)
    colours = 1.0 if changed is None else 1.0 - changed
    return round(max(0.0, colours) * _rate_similarity(earlier, later) * _line_similarity(earlier, later), 4)


def _colour_change(earlier: Moment, later: Moment) -> float | None:
    """The share of the picture that changed its colour. None unless both have colours."""
    before, after = _colours(earlier), _colours(later)
    if not before or not after:
        return None
    return sum(abs(before.get(name, 0.0) - after.get(name, 0.0)) for name in sorted({*before, *after})) / 2


def _colours(moment: Moment) -> dict[str, float]:
    for finding in first_observation(moment).findings:
        if kind_of(finding.kind, finding.field).has("colour_shares"):
            return colour_shares(finding)
    return {}


def _rate_similarity(earlier: Moment, later: Moment) -> float:
    """The mean over all kinds of findings of how similar their counts are, scaled to the later duration."""
    before, after = _counts(earlier), _counts(later)
    kinds = sorted({*before, *after})
    if not kinds:
        return 1.0
    scale = max(later.span.duration_s, 1e-3) / max(earlier.span.duration_s, 1e-3)
    total = 0.0
    for kind in kinds:
        pair = scale * before.get(kind, 0.0), after.get(kind, 0.0)
        # Add-one smoothing: a single new finding halves the similarity of its kind at most.
        total += (min(pair) + 1) / (max(pair) + 1)
    return total / len(kinds)


def _counts(memory: Moment) -> dict[tuple[str, str], float]:
    return {
        (finding.field, finding.kind): float(finding.detail.get("count", 1))
        for finding in first_observation(memory).findings
        if finding.field not in ("visible_text", "speech")
        and not kind_of(finding.kind, finding.field).has("constant")
    }


def _line_similarity(earlier: Moment, later: Moment) -> float:
    """The share of all lines that both memories have, with add-one smoothing."""
    before, after = _lines(earlier), _lines(later)
    return (len(before & after) + 1) / (len(before | after) + 1)


def _lines(memory: Moment) -> set[tuple[str, str]]:
    return {
        # Many cameras draw a clock into the picture, which changes all the time.
        (finding.field, _DIGITS.sub("0", normalised_line(finding.text)))
        for finding in first_observation(memory).findings
        if finding.field in ("visible_text", "speech")
    }
