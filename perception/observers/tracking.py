"""Following the things that move in front of a learned scene.

    tracker = Tracker()
    blobs = find_blobs(view, background, time_s)
    for track, blob in tracker.update(blobs, view.picture, time_s):
        ...                               # what is there, and what of this frame it is
    tracker.alive, tracker.ended          # what is followed, and what lately was there

A track is believed (``confirmed``) once it has travelled: its far edge and its near edge both
moved, or the near edge is the picture's own. What merely appears, grows or flickers in place, as
on a screen, never is. It does not know what a thing is; two that overlap are told apart poorly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..sources.frame import Picture
from .blobs import Blob, PixelBox, gap, merged, middle, overlap, shared
from .colours import colour_counts

SIDES = ("left", "top", "right", "bottom")

_SMALLEST_TRACK = 0.003  # part of the picture below which a thing is not believed: a cursor, a leaf
_LOWEST_TRACK = 0.042  # the least height, in parts of the longer side: a line of text is lower
_NIMBLE = 0.01  # smaller things must overlap their last place, or nearly: a cursor jumps
_MOST_TRACKS = 24
_EDGE_PX = 2  # this near to the picture's edge is at it
_SIGHTINGS = 3  # how often a thing is seen before it is believed
_TRAVEL_PX = 5.0  # ... and how far it went at least
_EXTENT_PX = 60  # ... or some part of its own extent, which counts as no more than this
_STIRS = 0.08  # part of what was already there of it that moves: it is not merely growing
_GONE_AT_EDGE_S = 0.7  # unseen for so long after it was at the edge, it has left
_GONE_INSIDE_S = 1.4  # ... and after it was anywhere else
_HIDDEN_S = 6.0  # how long a thing may be hidden behind another one
_YOUNG_S = 1.5  # a track that merges into another so soon was a part of it
_APART = 0.08  # gap, in diagonals, at which two blobs are no longer one thing
_REACH = 0.16  # how far, in diagonals, a thing may jump between two frames
_TIRED_S = 90.0  # a thing that did not stir for so long belongs to the scene


@dataclass(frozen=True, slots=True, eq=False)
class TrackPoint:
    """Where a track was at one time."""

    time_s: float
    box: PixelBox
    area: int
    moved: float
    stirred: float
    colours: NDArray[np.float64]
    """Shares of its pixels, in the order of ``COLOURS``."""
    edges: tuple[str, ...]
    """At which of ``SIDES`` of the picture it is."""

    @property
    def weight(self) -> float:
        """How much it counts: a thing cut by the picture's edge is not seen whole."""
        return 0.1 if self.edges else 1.0


@dataclass(slots=True, eq=False)
class Track:
    """One thing, from when it came until it left."""

    number: int
    """Made from its birth time (milliseconds), so that it is the same when a stream is taken up again."""
    size: tuple[int, int]
    """Width and height of the pictures it is seen in."""
    born_s: float
    first: TrackPoint
    last: TrackPoint
    sightings: deque[TrackPoint] = field(default_factory=lambda: deque(maxlen=400))
    confirmed_s: float | None = None
    """When it was believed; None until then."""
    ended_s: float | None = None
    """When it was last seen, once it has ended."""
    complete: bool = False
    """Whether it was seen to leave."""
    came_from: str = "inside"
    """One of ``SIDES`` or ``inside``."""
    went_to: str = "inside"
    hidden_since_s: float | None = None
    stirred_s: float = 0.0
    """When it last moved at all."""
    seen: int = 0
    moves: int = 0
    """In how many sightings some of it moved or was new."""
    stirs: int = 0
    """In how many sightings what was there of it already moved."""
    steps: tuple[int, int] = (0, 0)
    """How many steps it made as a whole, across and along: both of its edges went the same way."""

    @property
    def shape(self) -> str:
        """``tall``, ``wide`` or ``compact``."""
        wide = sum((s.box[2] - s.box[0]) * s.weight for s in self.sightings)
        high = sum((s.box[3] - s.box[1]) * s.weight for s in self.sightings)
        if high > 1.3 * wide:
            return "tall"
        return "wide" if wide > 1.3 * high else "compact"

    def colour_weights(self) -> NDArray[np.float64]:
        """How much it has of each of the ``COLOURS``."""
        weights = np.array([s.weight for s in self.sightings])
        return np.asarray(weights @ np.array([s.colours for s in self.sightings]))

    def tired(self, time_s: float) -> bool:
        """Whether it has not stirred for so long that it belongs to the scene now."""
        return time_s - self.stirred_s > _TIRED_S

    @property
    def last_s(self) -> float:
        """When it was last seen."""
        return self.last.time_s if self.ended_s is None else self.ended_s

    @property
    def share(self) -> float:
        """Which part of the picture it fills at its largest, 0 to 1."""
        return max(s.area for s in self.sightings) / (self.size[0] * self.size[1])

    def see(self, sighting: TrackPoint) -> None:
        """Take where it is now."""
        if self.seen:
            across, along = (_stepped(self.last, sighting, axis, self.size) for axis in (0, 1))
            self.steps = (self.steps[0] + across, self.steps[1] + along)
        self.sightings.append(sighting)
        self.last = sighting
        self.hidden_since_s = None
        self.seen += 1
        self.moves += sighting.moved > _STIRS
        self.stirs += sighting.stirred > _STIRS
        if sighting.moved > 0.02:
            self.stirred_s = sighting.time_s
        if self.confirmed_s is None and self.seen >= _SIGHTINGS and self._travelled():
            self.confirmed_s = sighting.time_s
            self.came_from = self._side(self.first, self.last, entering=True)

    def end(self, *, complete: bool) -> None:
        """It will not be seen again."""
        self.ended_s = self.last.time_s
        self.complete = complete
        earlier = next((s for s in reversed(self.sightings) if s.time_s < self.last.time_s - 0.2), self.first)
        self.went_to = self._side(earlier, self.last, entering=False)

    def forget_after(self, time_s: float) -> None:
        """What was seen of it after ``time_s`` was something else."""
        while len(self.sightings) > 1 and self.sightings[-1].time_s > time_s:
            self.sightings.pop()
        self.last = self.sightings[-1]

    def expected(self, time_s: float) -> PixelBox:
        """Where it should be at ``time_s``, going on as before."""
        box = self.last.box
        if len(self.sightings) < 2:
            return box
        before = self.sightings[-2]
        passed_s = self.last.time_s - before.time_s
        ahead_s = min(time_s - self.last.time_s, 0.6)
        if passed_s <= 0:
            return box
        ahead = 0.7 * ahead_s / passed_s
        right, down = (round((middle(box)[axis] - middle(before.box)[axis]) * ahead) for axis in (0, 1))
        return box[0] + right, box[1] + down, box[2] + right, box[3] + down

    def _travelled(self) -> bool:
        came_over = self.first.edges
        stirs = self.stirs >= 2 and self.stirs >= 0.3 * self.moves
        high_px = self.last.box[3] - self.last.box[1]
        if self.share < _SMALLEST_TRACK or high_px < _LOWEST_TRACK * max(self.size):
            return False
        for axis, (low, high) in enumerate(((0, 2), (1, 3))):
            near = self.last.box[low] - self.first.box[low]
            far = self.last.box[high] - self.first.box[high]
            from_low, from_high = SIDES[low] in came_over, SIDES[high] in came_over
            extent = min(self.last.box[high] - self.last.box[low], _EXTENT_PX)
            if from_low != from_high and stirs and SIDES[low if from_low else high] in self.last.edges:
                # Text that is typed from the margin grows like that too, but only its end stirs.
                edge, travel = (high, abs(far)) if from_low else (low, abs(near))
                if travel >= max(_TRAVEL_PX, 0.2 * extent) and self._advances(edge) >= 2:
                    return True
            travel = min(abs(near), abs(far)) if near * far > 0 else 0
            stepped = self.steps[axis] >= max(2, 0.5 * self.moves)
            if stepped and travel >= max(_TRAVEL_PX, 0.35 * extent):
                return True
        return False

    def _advances(self, edge: int) -> int:
        """In how many sightings one edge of its box went on in the direction of the whole course."""
        course = self.last.box[edge] - self.first.box[edge]
        steps = (now.box[edge] - then.box[edge] for then, now in pairwise(self.sightings))
        return sum(step * course > 0 for step in steps)

    def _side(self, start: TrackPoint, end: TrackPoint, *, entering: bool) -> str:
        """The edge it crossed: one it was at, or one it must have been at within a step."""
        seen = start if entering else end
        box, at = seen.box, seen.edges
        (x0, y0), (x1, y1) = middle(start.box), middle(end.box)
        course = (x1 - x0, y1 - y0)
        outward = {"left": -course[0], "top": -course[1], "right": course[0], "bottom": course[1]}
        if entering:
            outward = {side: -pace for side, pace in outward.items()}
        if at:
            # In a corner its course decides; but feet at the lower edge are a weak sign.
            aside = [side for side in at if side in ("left", "right") and outward[side] >= 0]
            return max(aside or at, key=lambda side: outward[side])
        passed_s = max(end.time_s - start.time_s, 1e-3)
        gaps = dict(zip(SIDES, (box[0], box[1], self.size[0] - box[2], self.size[1] - box[3]), strict=True))
        side = max(outward, key=lambda name: outward[name])
        step = outward[side] / passed_s * 0.5
        return side if step > 0 and gaps[side] <= step else "inside"


class Tracker:
    """Gives blobs to tracks, frame by frame, within one shot."""

    def __init__(self) -> None:
        self.alive: list[Track] = []
        """Every track still followed, confirmed or not."""
        self.ended: deque[Track] = deque(maxlen=64)
        """Confirmed tracks that ended, oldest first; whoever reads them may drop them."""
        self._last_birth = (-math.inf, 0)

    def update(self, blobs: Sequence[Blob], picture: Picture, time_s: float) -> list[tuple[Track, Blob]]:
        """Take the blobs of the next frame; returns the tracks seen in it, each with all its blobs as one."""
        height, width = picture.shape[:2]
        diagonal = math.hypot(width, height)
        owners = self._assign(blobs, time_s, diagonal)
        strays = [blob for index, blob in enumerate(blobs) if index not in owners]
        found: list[tuple[Track, Blob]] = []
        for track in self.alive:
            own = [blobs[index] for index, owner in owners.items() if owner is track]
            if own:
                apart = _not_part_of_it(own, diagonal)
                strays += apart
                whole = merged([blob for blob in own if blob not in apart])
                track.see(_sighting(whole, picture, time_s, track.last))
                found.append((track, whole))
        for blob in strays[: _MOST_TRACKS - len(self.alive)]:
            found.append((self._born(_sighting(blob, picture, time_s), (width, height)), blob))
        for track in [t for t in self.alive if t.last.time_s < time_s]:
            self._miss(track, time_s)
        return found

    def drop(self, track: Track) -> None:
        """It was nothing: never mention it."""
        if track in self.alive:
            self.alive.remove(track)

    def end(self, track: Track, *, complete: bool) -> None:
        """It is over; kept in ``ended`` if it was ever believed."""
        if track in self.alive:
            self.alive.remove(track)
            if track.confirmed_s is not None:
                track.end(complete=complete)
                self.ended.append(track)

    def end_all(self, time_s: float) -> None:
        """The shot ended with the frame at ``time_s``: who was just leaving has left, others are cut off."""
        for track in list(self.alive):
            missing = track.last.time_s < time_s or track.hidden_since_s is not None
            self.end(track, complete=missing and bool(track.last.edges))

    def _assign(self, blobs: Sequence[Blob], time_s: float, diagonal: float) -> dict[int, Track]:
        """Which track each blob belongs to, by the blob's index."""
        pairs: list[tuple[float, int, int]] = []
        for t, track in enumerate(self.alive):
            expected, last = track.expected(time_s), track.last
            trust = 0.3 if track.confirmed_s is not None else 0.0
            for b, blob in enumerate(blobs):
                if max(overlap(blob.box, expected), overlap(blob.box, last.box)) >= 0.15:
                    # A speck inside a large blob is no claim to it: like sizes count.
                    likeness = max(shared(blob.box, expected), shared(blob.box, last.box))
                    pairs.append((1.0 + trust + likeness, b, t))
                    continue
                away = math.dist(middle(blob.box), middle(expected)) / diagonal
                likeness = min(blob.area, last.area) / max(blob.area, last.area)
                if away < _REACH and likeness > 0.3:
                    pairs.append((trust + likeness - away / _REACH, b, t))
        owners: dict[int, Track] = {}
        taken: set[int] = set()
        for score, b, t in sorted(pairs, reverse=True):
            # Several blobs may be parts of one thing, but only where they overlap its place.
            if b not in owners and (score >= 1.0 or t not in taken):
                owners[b] = self.alive[t]
                taken.add(t)
        return owners

    def _born(self, sighting: TrackPoint, size: tuple[int, int]) -> Track:
        time_s = sighting.time_s
        twins = self._last_birth[1] + 1 if self._last_birth[0] == time_s else 0
        self._last_birth = (time_s, twins)
        track = Track(
            number=round(time_s * 100) * 10 + twins,
            size=size,
            born_s=time_s,
            first=sighting,
            last=sighting,
            stirred_s=time_s,
        )
        track.see(sighting)
        self.alive.append(track)
        return track

    def _miss(self, track: Track, time_s: float) -> None:
        """It was not seen in this frame: hidden, gone, or only missed."""
        box = track.last.box
        for other in self.alive:
            if other is track or other.last.time_s < time_s or overlap(box, other.last.box) < 0.5:
                continue
            if track.confirmed_s is None or track.last.time_s - track.born_s < _YOUNG_S:
                twins = track.born_s == other.born_s and other.confirmed_s is None
                if twins and track.first.edges and not other.first.edges:
                    # Born together and one since: a part of it came over the edge, so all of it did.
                    other.first = track.first
                self.drop(track)
                return
            if track.hidden_since_s is None:
                track.hidden_since_s = time_s
            if time_s - track.hidden_since_s < _HIDDEN_S:
                return
        if track.confirmed_s is None:
            if time_s - track.last.time_s > _GONE_AT_EDGE_S:
                self.drop(track)
            return
        gone_s = _GONE_AT_EDGE_S if track.last.edges else _GONE_INSIDE_S
        if time_s - track.last.time_s >= gone_s:
            self.end(track, complete=True)


def _sighting(whole: Blob, picture: Picture, time_s: float, before: TrackPoint | None = None) -> TrackPoint:
    left, top, right, bottom = whole.box
    if before is not None and whole.moved < 0.01 and whole.box == before.box:
        colours = before.colours
    else:
        step = 2 if whole.area > 400 else 1
        pixels = picture[top:bottom:step, left:right:step][whole.mask[::step, ::step]]
        colours = colour_counts(pixels) / max(len(pixels), 1)
    height, width = picture.shape[:2]
    near = (left, top, width - right, height - bottom)
    return TrackPoint(
        time_s=time_s,
        box=whole.box,
        area=whole.area,
        moved=whole.moved,
        stirred=whole.stirred,
        colours=colours,
        edges=tuple(side for side, away in zip(SIDES, near, strict=True) if away <= _EDGE_PX),
    )


def _stepped(before: TrackPoint, now: TrackPoint, axis: int, size: tuple[int, int]) -> bool:
    """Whether it moved as a whole along an axis: not grown, not shrunk, not jumped."""
    near = now.box[axis] - before.box[axis]
    far = now.box[axis + 2] - before.box[axis + 2]
    if near * far <= 0 or min(abs(near), abs(far)) < 0.25 * max(abs(near), abs(far)):
        return False
    extent = now.box[axis + 2] - now.box[axis]
    return now.area > _NIMBLE * size[0] * size[1] or min(abs(near), abs(far)) <= 0.9 * extent


def _not_part_of_it(own: Sequence[Blob], diagonal: float) -> list[Blob]:
    """Of the blobs of one track, those that have come apart from it.

    The part that moves is the thing itself: a bag put down stays, its bearer walks on.
    """
    if len(own) < 2:
        return []
    main = max(own, key=lambda blob: (blob.moved > 0.05, blob.area))
    return [blob for blob in own if blob is not main and gap(blob.box, main.box) > _APART * diagonal]
