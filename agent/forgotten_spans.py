"""What an answer owes to those who ask about what was forgotten.

    lost = lost_in(snapshot, {"door": Span(0.0, 3600.0)})
    draft = admitted(draft, lost)

Where memories are gone, whatever is asked for may have been there: nothing is said not to have been seen. Decided
here for every reasoner, whatever it says itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..memory.query.snapshot import Snapshot
from ..memory.values import Moment, Span, Tombstone, spans_without
from . import answer_wording
from .reasoner import DraftAnswer

_TOUCH_S = 1.0
"""What lies no further apart is one stretch."""
_LEAST_S = 0.001
UNSURE = 0.5
"""The most confidence in an answer to which something that is forgotten might have counted."""


def lost_in(snapshot: Snapshot, windows: Mapping[str, Span | None]) -> list[Tombstone]:
    """Where memories are gone, and not pictures alone, of each stream in its window."""
    return [
        one
        for stream, window in windows.items()
        for one in stretches(snapshot.tombstones(stream, window), window)
    ]


def stretches(tombstones: Iterable[Tombstone], window: Span | None) -> list[Tombstone]:
    """Tombstones of one stream, cut to ``window``, in time order.

    Neighbours that lost the same for the same cause become one, as old as the last of them.
    """
    found: list[Tombstone] = []
    for one in tombstones:
        span = one.span if window is None else one.span.clipped_to(window)
        if one.lost == "frame" or span is None:
            continue
        last = found[-1] if found else None
        if (
            last is not None
            and (last.lost, last.cause) == (one.lost, one.cause)
            and span.start_s - last.span.end_s <= _TOUCH_S
        ):
            found[-1] = replace(
                last,
                span=last.span.hull(span),
                forgotten_at_s=max(last.forgotten_at_s, one.forgotten_at_s),
                memories=last.memories + one.memories,
            )
        else:
            found.append(replace(one, span=span))
    return found


def without_a_trace(lost: Iterable[Tombstone], tiles: Sequence[Moment]) -> list[Tombstone]:
    """What of ``lost`` none of these memories tells of, so that it is in none of their tallies."""
    left = []
    for one in lost:
        # What somebody had forgotten was taken out of every tally.
        told = [tile.span for tile in tiles if tile.stream == one.stream and one.cause != "asked"]
        left += [
            replace(one, span=span) for span in spans_without([one.span], told) if span.duration_s > _LEAST_S
        ]
    return left


def admitted(
    draft: DraftAnswer,
    lost: Sequence[Tombstone],
    *,
    uncounted: Sequence[Tombstone] = (),
    all_gone: bool = False,
) -> DraftAnswer:
    """A draft that says what was forgotten, where that may be why there is no answer, or not the whole of it.

    Args:
        draft: What the reasoner says.
        lost: Where memories are gone of the stretch that was asked about.
        uncounted: What of that is in no tally, where the answer adds up tallies.
        all_gone: No moment is left of that stretch.
    """
    if draft.why is None:
        if not uncounted:
            return draft
        text = f"{draft.text} {answer_wording.not_counted(uncounted)}"
        return draft.model_copy(update={"text": text, "confidence": min(UNSURE, draft.confidence)})
    if not lost or (draft.why == "needs_model" and not all_gone):
        return draft
    if draft.why == "not_watched":
        text = answer_wording.nothing_left(lost)
    elif draft.why == "forgotten":
        text = f"{draft.text} {answer_wording.is_forgotten(lost)}"
    else:
        text = f"{draft.text} {answer_wording.may_have_been(lost)}"
    return draft.model_copy(update={"text": text, "why": "forgotten"})
