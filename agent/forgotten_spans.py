"""Forgotten spans: makes an answer admit which part of the asked time is forgotten.

    lost = lost_in(snapshot, {"door": Span(0.0, 3600.0)})
    draft = admit_forgotten(draft, lost)

Something that was not found may have been in a forgotten span, so no answer then claims that it was not seen. This
holds for every reasoner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..memory.query.snapshot import Snapshot
from ..memory.values import Moment, Span, Tombstone, spans_without
from . import answer_wording
from .reasoner import DraftAnswer

_MAX_GAP_S = 1.0
"""Spans with a smaller gap are merged."""
_MIN_SPAN_S = 0.001
UNSURE = 0.5
"""The highest confidence of an answer that something forgotten might change."""


def lost_in(snapshot: Snapshot, windows: Mapping[str, Span | None]) -> list[Tombstone]:
    """The spans of each stream, in its window, whose memories and not only pictures are forgotten."""
    return [
        tombstone
        for stream, window in windows.items()
        for tombstone in merge_tombstones(snapshot.tombstones(stream, window), window)
    ]


def merge_tombstones(tombstones: Iterable[Tombstone], window: Span | None) -> list[Tombstone]:
    """The tombstones of one stream, clipped to ``window``, in time order. Those of pictures are left out.

    Neighbours that lost the same level for the same cause become one, which is as old as the last of them.
    """
    merged: list[Tombstone] = []
    for tombstone in tombstones:
        span = tombstone.span if window is None else tombstone.span.clipped_to(window)
        if tombstone.lost == "frame" or span is None:
            continue
        clipped = replace(tombstone, span=span)
        if merged and _continues(merged[-1], clipped):
            merged[-1] = _joined(merged[-1], clipped)
        else:
            merged.append(clipped)
    return merged


def _continues(last: Tombstone, tombstone: Tombstone) -> bool:
    is_same_loss = (last.lost, last.cause) == (tombstone.lost, tombstone.cause)
    return is_same_loss and tombstone.span.start_s - last.span.end_s <= _MAX_GAP_S


def _joined(last: Tombstone, tombstone: Tombstone) -> Tombstone:
    return replace(
        last,
        span=last.span.hull(tombstone.span),
        forgotten_at_s=max(last.forgotten_at_s, tombstone.forgotten_at_s),
        memories=last.memories + tombstone.memories,
    )


def not_summarised(lost: Iterable[Tombstone], tiles: Sequence[Moment]) -> list[Tombstone]:
    """The parts of ``lost`` that none of these memories summarises, so that no count includes them."""
    uncounted = []
    for tombstone in lost:
        # An erasure on request also removes its part from every summary.
        is_erased = tombstone.cause == "asked"
        summarised = [tile.span for tile in tiles if tile.stream == tombstone.stream and not is_erased]
        uncounted += [
            replace(tombstone, span=span)
            for span in spans_without([tombstone.span], summarised)
            if span.duration_s > _MIN_SPAN_S
        ]
    return uncounted


def admit_forgotten(
    draft: DraftAnswer,
    lost: Sequence[Tombstone],
    *,
    uncounted: Sequence[Tombstone] = (),
    all_gone: bool = False,
) -> DraftAnswer:
    """A draft that names the forgotten spans, if they may be why it abstains or is incomplete.

    Args:
        draft: What the reasoner says.
        lost: The forgotten spans of the asked time.
        uncounted: Those of them that no summary includes, if the answer adds up summaries.
        all_gone: No moment of the asked time is left.
    """
    if draft.why is None:
        if not uncounted:
            return draft
        text = f"{draft.text} {answer_wording.not_counted_text(uncounted)}"
        return draft.model_copy(update={"text": text, "confidence": min(UNSURE, draft.confidence)})
    if not lost or (draft.why == "needs_model" and not all_gone):
        return draft
    if draft.why == "not_watched":
        text = answer_wording.nothing_left_text(lost)
    elif draft.why == "forgotten":
        text = f"{draft.text} {answer_wording.forgotten_text(lost)}"
    else:
        text = f"{draft.text} {answer_wording.maybe_forgotten_text(lost)}"
    return draft.model_copy(update={"text": text, "why": "forgotten"})
