"""Event boundaries: where one event ends and the next begins (event segmentation).

    kept = event_ends(open_moments, moment)     # None: the event continues with this moment
    event, rest = open_moments[:kept], open_moments[kept:]

An event ends at a change of place, of actors or of activity. Each rule reads the moments of the open event
and the moment after them, and nothing else:

- Place: the shot changes and the picture looks different.
- Activity: something happens again after a quiet time, or the quiet time is long enough to be an event of
  its own, which then begins where the quiet began.
- Actors: an actor stayed for a while, and now other actors are present.
- Size: these rules end no event before it has 4 moments or 30 s, and every event ends after 5 minutes.

A moment is quiet when it has no actor, no action and no speech. The rules were chosen for a yard at night
(5 minutes of quiet are an event), a shop (a new customer begins an event, a pause ends none), a street (a
passing car is no actor that stayed) and a film (cuts end all tracks, so the place decides).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ...common.kind_registry import kind_of
from ..values import Finding, Moment
from .similarity import looks_different
from .summaries import first_observation

MAX_EVENT_S = 300.0
MIN_EVENT_S = 30.0
MIN_EVENT_MOMENTS = 4
PAUSE_S = 12.0
"""A shorter quiet time, in seconds, is a pause in an activity. No moment is that long, so it takes two."""


def event_ends(moments: Sequence[Moment], after: Moment) -> int | None:
    """How many of an open event's ``moments`` belong to it, if it ends at or before ``after``.

    None if the event continues with ``after``.
    """
    if not moments:
        return None
    if after.span.end_s - moments[0].span.start_s > MAX_EVENT_S:
        return len(moments)
    if not _is_long_enough(moments):
        return None
    if (
        _place_changes(moments[-1], after)
        or _activity_resumes(moments, after)
        or _actors_change(moments, after)
    ):
        return len(moments)
    return _quiet_boundary(moments, after)


def is_active(moment: Moment) -> bool:
    """Whether the first observation of the moment has an actor, an action or speech."""
    return any(map(_shows_activity, first_observation(moment).findings))


def _shows_activity(finding: Finding) -> bool:
    kind = kind_of(finding.kind, finding.field)
    if finding.field == "action":
        return not kind.has("no_activity")
    if kind.activity_from is not None:
        value = finding.detail.get("value", 0.0)
        return isinstance(value, int | float) and value >= kind.activity_from
    return finding.field in ("actor", "speech")


def _place_changes(last: Moment, after: Moment) -> bool:
    return after.shot != last.shot and looks_different(last, after)


def _activity_resumes(moments: Sequence[Moment], after: Moment) -> bool:
    """Whether ``after`` is active and at least ``PAUSE_S`` of quiet lie before it."""
    if not is_active(after):
        return False
    for moment in reversed(moments):
        if is_active(moment):
            return False
        if _length_s(moment, moments[-1]) >= PAUSE_S:
            return True
    return False


def _quiet_boundary(moments: Sequence[Moment], after: Moment) -> int | None:
    """Where the event ends if the quiet time reaches ``MIN_EVENT_S`` with ``after``.

    A quiet time that was that long before ``after`` was decided at an earlier moment.
    """
    if is_active(after):
        return None
    for index in range(len(moments) - 1, -1, -1):
        if is_active(moments[index]):
            kept, quiet = moments[: index + 1], [*moments[index + 1 :], after]
            return len(kept) if _is_long_enough(kept) and _length_s(quiet[0], after) >= MIN_EVENT_S else None
        if _length_s(moments[index], moments[-1]) >= MIN_EVENT_S:
            return None
    return None


def _actors_change(moments: Sequence[Moment], after: Moment) -> bool:
    """Whether ``after`` has actors, none of them was present before, and an earlier actor stayed for two moments.

    An actor of a single moment, such as a car on a street, begins and ends no event. Where people come one
    after another, this rule ends no event before ``MIN_EVENT_S``.
    """
    present = _actors(after)
    if not present or _length_s(moments[0], moments[-1]) < MIN_EVENT_S:
        return False
    previous: list[frozenset[Hashable]] = []
    for moment in reversed(moments):
        # A cut ends all tracks.
        if moment.shot != after.shot or len(previous) == 2:
            break
        if actors := _actors(moment):
            if actors & present:
                return False
            previous.append(actors)
    return len(previous) == 2 and bool(previous[0] & previous[1])


def _actors(moment: Moment) -> frozenset[Hashable]:
    """The actors of a moment, each identified by its track, or else by its colour and shape."""
    actors: set[Hashable] = set()
    for finding in first_observation(moment).findings:
        if finding.field == "actor":
            track = finding.detail.get("track")
            appearance = finding.detail.get("colour"), finding.detail.get("shape")
            if track is not None or any(appearance):
                actors.add(appearance if track is None else track)
    return frozenset(actors)


def _is_long_enough(moments: Sequence[Moment]) -> bool:
    """Whether these moments can be an event."""
    return len(moments) >= MIN_EVENT_MOMENTS or _length_s(moments[0], moments[-1]) >= MIN_EVENT_S


def _length_s(first: Moment, last: Moment) -> float:
    return last.span.end_s - first.span.start_s
