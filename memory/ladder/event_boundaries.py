"""Where one event ends and the next begins: at a change of place, of who is there, or of whether anything goes on.

    ends = event_ends(open_moments, moment)     # None: the event goes on with this moment
    event, rest = open_moments[:ends], open_moments[ends:]

Each rule asks the moments of the open event, the one after them, and nothing else:

- place: another shot, and it looks different;
- activity: after a quiet while something goes on again, or it has been quiet so long that this is an
  event of its own, which then begins where the quiet did;
- actors: somebody stayed, and now others are there;
- size: no event ends by these before it has 4 moments or 30 s, and all end after 5 minutes.

It is quiet where nobody is there, nothing is done and nothing said. The rules are sensible for a yard at
night (5 minutes of quiet are an event), a shop (who comes begins an event, a pause ends none), a street (who is
gone in a moment is nobody who was there) and a film (its cuts end followed tracks, so place decides).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ...common.kind_registry import kind_of
from ..values import Finding, Moment
from .similarity import looks_different
from .summaries import base_of

MOST_EVENT_S = 300.0
LEAST_EVENT_S = 30.0
LEAST_EVENT_MOMENTS = 4
PAUSE_S = 12.0
"""Quiet for less than this, in seconds, is a pause in what goes on. No moment is that long, so it takes two."""


def event_ends(moments: Sequence[Moment], after: Moment) -> int | None:
    """How many of an open event's ``moments`` it keeps, if it ends before ``after`` or earlier.

    None where it goes on with ``after``.
    """
    if not moments:
        return None
    if after.span.end_s - moments[0].span.start_s > MOST_EVENT_S:
        return len(moments)
    if not _long_enough(moments):
        return None
    if _another_place(moments[-1], after) or _begins_again(moments, after) or _others_came(moments, after):
        return len(moments)
    return _where_quiet_began(moments, after)


def goes_on(moment: Moment) -> bool:
    """Whether somebody is there, or something is done or said, as first seen."""
    return any(map(_tells_of_activity, base_of(moment).findings))


def _tells_of_activity(finding: Finding) -> bool:
    kind = kind_of(finding.kind, finding.field)
    if finding.field == "action":
        return not kind.has("no_activity")
    if kind.activity_from is not None:
        value = finding.detail.get("value", 0.0)
        return isinstance(value, int | float) and value >= kind.activity_from
    return finding.field in ("actor", "speech")


def _another_place(last: Moment, after: Moment) -> bool:
    return after.shot != last.shot and looks_different(last, after)


def _begins_again(moments: Sequence[Moment], after: Moment) -> bool:
    """Whether it was quiet for a while up to ``after``, in which something goes on."""
    if not goes_on(after):
        return False
    for moment in reversed(moments):
        if goes_on(moment):
            return False
        if _seconds(moment, moments[-1]) >= PAUSE_S:
            return True
    return False


def _where_quiet_began(moments: Sequence[Moment], after: Moment) -> int | None:
    """Where the event ends if with ``after`` it has been quiet for ``LEAST_EVENT_S``.

    Where it has been so for longer, that was asked before.
    """
    if goes_on(after):
        return None
    for began in range(len(moments) - 1, -1, -1):
        if goes_on(moments[began]):
            kept, quiet = moments[: began + 1], [*moments[began + 1 :], after]
            return len(kept) if _long_enough(kept) and _seconds(quiet[0], after) >= LEAST_EVENT_S else None
        if _seconds(moments[began], moments[-1]) >= LEAST_EVENT_S:
            return None
    return None


def _others_came(moments: Sequence[Moment], after: Moment) -> bool:
    """Whether nobody who is there now was there before, and somebody then stayed for two moments.

    Who is gone after one moment, as cars on a street are, makes no event begin or end; and where people come
    one after another, events do not get shorter than ``LEAST_EVENT_S`` for that.
    """
    now = _who(after)
    if not now or _seconds(moments[0], moments[-1]) < LEAST_EVENT_S:
        return False
    before: list[frozenset[Hashable]] = []
    for moment in reversed(moments):
        # Tracks are not followed across a cut.
        if moment.shot != after.shot or len(before) == 2:
            break
        if who := _who(moment):
            if who & now:
                return False
            before.append(who)
    return len(before) == 2 and bool(before[0] & before[1])


def _who(moment: Moment) -> frozenset[Hashable]:
    """Those who are there: by the track they were followed on, or by how they look."""
    there: set[Hashable] = set()
    for finding in base_of(moment).findings:
        if finding.field == "actor":
            track = finding.detail.get("track")
            look = finding.detail.get("colour"), finding.detail.get("shape")
            if track is not None or any(look):
                there.add(look if track is None else track)
    return frozenset(there)


def _long_enough(moments: Sequence[Moment]) -> bool:
    """Whether they may be an event of their own."""
    return len(moments) >= LEAST_EVENT_MOMENTS or _seconds(moments[0], moments[-1]) >= LEAST_EVENT_S


def _seconds(first: Moment, last: Moment) -> float:
    return last.span.end_s - first.span.start_s
