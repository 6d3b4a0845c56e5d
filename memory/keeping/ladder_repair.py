"""Ladder repair: finds summaries that were lost and builds them again, and parts of summaries that were lost.

    for parent in lost_parents(snapshot, "kitchen"):       # built again from its children
        ...
    missing_children(snapshot, "kitchen")                  # the summaries whose parts are gone for good

A summary depends on its children alone, so the ladder builds the same one again. Its descriptions are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ..ladder.builder import Ladder
from ..query.snapshot import Snapshot
from ..values import RUNGS, FrameCounts, Gap, Moment, Outline, Rung, Span, Tombstone, make_id


def lost_parents(snapshot: Snapshot, stream: str) -> list[Moment]:
    """The events, hours and days that must exist and do not, built again from their children, lowest rung first."""
    outlines = snapshot.outlines(stream)
    parents = snapshot.get(outline.id for outline in outlines if outline.rung != "moment")
    gaps = snapshot.gaps(stream)
    rebuilt: list[Moment] = []
    for below, above in pairwise(RUNGS):
        assigned = {key for parent in parents.values() if parent.rung == above for key in parent.child_ids}
        known = [outline for outline in outlines if outline.rung == below]
        children: list[Outline | Moment] = sorted(
            [*known, *(parent for parent in rebuilt if parent.rung == below)], key=lambda child: child.span
        )
        # The children after this time may still wait for their parent.
        closed_s = max(
            [
                parent.span.end_s
                for parent in parents.values()
                if RUNGS.index(parent.rung) >= RUNGS.index(above)
            ]
            + [gap.span.start_s for gap in gaps],
            default=0.0,
        )
        for run in _runs(children, assigned, gaps):
            if run[-1].span.end_s <= closed_s:
                rebuilt += _build(snapshot, stream, above, run, rebuilt)
    return [parent for parent in rebuilt if parent.id not in parents]


def _runs(
    children: Iterable[Outline | Moment], assigned: set[str], gaps: Sequence[Gap]
) -> list[list[Outline | Moment]]:
    """Runs of neighbours without a parent."""
    runs: list[list[Outline | Moment]] = []
    previous: Outline | Moment | None = None
    for child in children:
        if child.id in assigned:
            previous = None
            continue
        between = previous and Span(previous.span.end_s, max(previous.span.end_s, child.span.start_s))
        if between and any(
            between.start_s <= gap.span.start_s and gap.span.end_s <= between.end_s for gap in gaps
        ):
            previous = None
        if previous is None:
            runs.append([])
        runs[-1].append(child)
        previous = child
    return runs


def _build(
    snapshot: Snapshot, stream: str, rung: Rung, run: Sequence[Outline | Moment], rebuilt: Sequence[Moment]
) -> list[Moment]:
    stored = snapshot.get(child.id for child in run) | {parent.id: parent for parent in rebuilt}
    children = [stored[child.id] for child in run if child.id in stored]
    signatures = snapshot.signatures(key for child in children for key in child.frame_ids)
    ladder = Ladder(stream, signatures=signatures)
    built = [parent for child in children for parent in ladder.push(child)] + ladder.flush()
    return [parent for parent in built if parent.rung == rung]


def missing_children(snapshot: Snapshot, stream: str) -> list[Moment]:
    """The summaries of which a part is gone, and no tombstone says so."""
    outlines = snapshot.outlines(stream)
    stored = {outline.id for outline in outlines}
    lost_of = {stone.id: stone.lost for stone in snapshot.tombstones(stream)}
    parents = snapshot.get(outline.id for outline in outlines if outline.rung != "moment")
    return [
        parent
        for parent in parents.values()
        if not stored.issuperset(parent.child_ids) and lost_of.get(parent.id, "frame") == "frame"
    ]


def damage_tombstone(snapshot: Snapshot, parent: Moment, now_s: float) -> Tombstone:
    """The tombstone of a summary whose parts were damaged. It takes over an earlier one of its pictures."""
    below = RUNGS[RUNGS.index(parent.rung) - 1]
    stored = snapshot.get(parent.child_ids)
    earlier = [stone for stone in snapshot.tombstones(parent.stream) if stone.id == parent.id]
    return Tombstone(
        id=parent.id,
        stream=parent.stream,
        epoch=parent.epoch,
        span=parent.span,
        lost=below,
        cause="damaged",
        forgotten_at_s=now_s,
        written_from_s=parent.observations[0].written_at_s,
        memories=len(parent.child_ids) - len(stored),
        counts=earlier[0].counts if earlier else FrameCounts(),
    )


def picture_tombstone(moment: Moment, lost: int, now_s: float) -> Tombstone:
    """The tombstone of a moment whose pictures were damaged."""
    return Tombstone(
        id=make_id(moment.id, "damaged"),
        stream=moment.stream,
        epoch=moment.epoch,
        span=moment.span,
        lost="frame",
        cause="damaged",
        forgotten_at_s=now_s,
        written_from_s=moment.observations[0].written_at_s,
        counts=FrameCounts(stored=-lost, merged=lost),
    )
