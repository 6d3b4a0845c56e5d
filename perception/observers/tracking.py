"""Object tracking: follows objects that move in front of a learned scene.

    tracker = Tracker()
    blobs = find_blobs(view, background, time_s)
    for track, blob in tracker.update(blobs, view.picture, time_s):
        ...                               # each track seen in this frame, with its blob
    tracker.alive, tracker.ended          # tracks that are followed, and those that ended lately

A track is confirmed once it has travelled: both of its opposite edges moved, or one moved and the
other is the picture's own edge. Objects that only appear, grow or flicker in place, as on a screen, are
never confirmed. The tracker does not recognise objects, and separates overlapping ones poorly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...common.box_geometry import center, distance, intersection_over_union, overlap_of_smaller
from ..sources.frame import Picture
from .blobs import Blob, PixelBox, merged
from .colours import colour_counts

SIDES = ("left", "top", "right", "bottom")

_SMALLEST_TRACK = 0.003  # a smaller fraction of the picture is not confirmed: a cursor, a leaf
_LOWEST_TRACK = 0.042  # the least height, as a fraction of the longer side: a line of text is lower
_NIMBLE = 0.01  # smaller objects must overlap, or nearly, their last position: a cursor jumps
_MOST_TRACKS = 24
_EDGE_PX = 2  # a box this close to the picture's edge is at the edge
_SIGHTINGS = 3  # how many sightings a track needs before it is confirmed
_TRAVEL_PX = 5.0  # ... and how far it must have moved
_EXTENT_PX = 60  # ... or a fraction of its own extent, which counts as at most this
_STIRS = 0.08  # the fraction of its earlier pixels that moves when it is not merely growing
_GONE_AT_EDGE_S = 0.7  # a track has left when it is unseen for this long after it was at the edge
_GONE_INSIDE_S = 1.4  # ... and after it was anywhere else
_HIDDEN_S = 6.0  # how long a track may be hidden behind another one
_YOUNG_S = 1.5  # a track that merges into another one this soon was a part of it
_APART = 0.08  # distance, in diagonals, from which two blobs are no longer one object
_REACH = 0.16  # how far, in diagonals, an object may jump between two frames
_IDLE_S = 90.0  # an object that has not moved for this long belongs to the scene
_SAME_OBJECT = 0.15  # overlap from which a blob may continue a track at the same position
_HIDDEN_OVERLAP = 0.5  # overlap with another track from which a missing track counts as hidden


@dataclass(frozen=True, slots=True, eq=False)
class TrackPoint:
    """The position of a track at one time."""

    time_s: float
    box: PixelBox
    area: int
    moved: float
    stirred: float
    colours: NDArray[np.float64]
    """Fractions of its pixels, in the order of ``COLOURS``."""
    edges: tuple[str, ...]
    """Those of the picture's ``SIDES`` that it touches."""

    @property
    def weight(self) -> float:
        """Its weight in averages: at an edge of the picture the object is only partly visible."""
        return 0.1 if self.edges else 1.0


@dataclass(slots=True, eq=False)
class Track:
    """One object, from its first sighting to its last."""

    number: int
    """Made from the time of the first sighting, so that it is the same when a stream is resumed."""
    size: tuple[int, int]
    """Width and height of the pictures."""
    born_s: float
    first: TrackPoint
    last: TrackPoint
    sightings: deque[TrackPoint] = field(default_factory=lambda: deque(maxlen=400))
    confirmed_s: float | None = None
    """When it was confirmed; None until then."""
    ended_s: float | None = None
    """The time of the last sighting, once it has ended."""
    complete: bool = False
    """Whether it was seen to leave."""
    came_from: str = "inside"
    """One of ``SIDES`` or ``inside``."""
    went_to: str = "inside"
    hidden_since_s: float | None = None
    last_movement_s: float = 0.0
    """When any of it last moved."""
    sighting_count: int = 0
    moves: int = 0
    """The number of sightings in which some of it moved or was new."""
    stirs: int = 0
    """The number of sightings in which some of its earlier pixels moved."""
    steps: tuple[int, int] = (0, 0)
    """The number of steps, across and down, in which both of its edges moved the same way."""

    @property
    def shape(self) -> str:
        """``tall``, ``wide`` or ``compact``."""
        width = sum((point.box[2] - point.box[0]) * point.weight for point in self.sightings)
        height = sum((point.box[3] - point.box[1]) * point.weight for point in self.sightings)
        if height > 1.3 * width:
            return "tall"
        return "wide" if width > 1.3 * height else "compact"

    def colour_weights(self) -> NDArray[np.float64]:
        """The weight of each of the ``COLOURS``."""
        weights = np.array([point.weight for point in self.sightings])
        return np.asarray(weights @ np.array([point.colours for point in self.sightings]))

    def is_idle(self, time_s: float) -> bool:
        """Whether it has not moved for so long that it belongs to the scene."""
        return time_s - self.last_movement_s > _IDLE_S

    @property
    def last_s(self) -> float:
        """The time of the last sighting."""
        return self.last.time_s if self.ended_s is None else self.ended_s

    @property
    def share(self) -> float:
        """The fraction of the picture that it fills at its largest, 0 to 1."""
        return max(point.area for point in self.sightings) / (self.size[0] * self.size[1])

    def see(self, sighting: TrackPoint) -> None:
        """Add a sighting."""
        if self.sighting_count:
            across, down = (_is_step(self.last, sighting, axis, self.size) for axis in (0, 1))
            self.steps = (self.steps[0] + across, self.steps[1] + down)
        self.sightings.append(sighting)
        self.last = sighting
        self.hidden_since_s = None
        self.sighting_count += 1
        self.moves += sighting.moved > _STIRS
        self.stirs += sighting.stirred > _STIRS
        if sighting.moved > 0.02:
            self.last_movement_s = sighting.time_s
        if self.confirmed_s is None and self.sighting_count >= _SIGHTINGS and self._has_travelled():
            self.confirmed_s = sighting.time_s
            self.came_from = self._side(self.first, self.last, entering=True)

    def end(self, *, complete: bool) -> None:
        """End the track. It will not be seen again."""
        self.ended_s = self.last.time_s
        self.complete = complete
        before_s = self.last.time_s - 0.2
        earlier = next((point for point in reversed(self.sightings) if point.time_s < before_s), self.first)
        self.went_to = self._side(earlier, self.last, entering=False)

    def forget_after(self, time_s: float) -> None:
        """Remove the sightings after ``time_s``, which belong to another object."""
        while len(self.sightings) > 1 and self.sightings[-1].time_s > time_s:
            self.sightings.pop()
        self.last = self.sightings[-1]

    def expected(self, time_s: float) -> PixelBox:
        """Its expected box at ``time_s`` if it moves on as before."""
        box = self.last.box
        if len(self.sightings) < 2:
            return box
        before = self.sightings[-2]
        passed_s = self.last.time_s - before.time_s
        ahead_s = min(time_s - self.last.time_s, 0.6)
        if passed_s <= 0:
            return box
        ahead = 0.7 * ahead_s / passed_s
        right, down = (round((center(box)[axis] - center(before.box)[axis]) * ahead) for axis in (0, 1))
        return box[0] + right, box[1] + down, box[2] + right, box[3] + down

    def _has_travelled(self) -> bool:
        height_px = self.last.box[3] - self.last.box[1]
        if self.share < _SMALLEST_TRACK or height_px < _LOWEST_TRACK * max(self.size):
            return False
        return any(self._has_crossed_edge(axis) or self._has_shifted(axis) for axis in (0, 1))

    def _has_crossed_edge(self, axis: int) -> bool:
        """Whether it came over one edge of the picture and its other edge moved on from there."""
        low, high = axis, axis + 2
        from_low, from_high = SIDES[low] in self.first.edges, SIDES[high] in self.first.edges
        # Text that is typed from the margin grows in the same way, but only its end moves.
        moves_inside = self.stirs >= 2 and self.stirs >= 0.3 * self.moves
        entry_side = SIDES[low if from_low else high]
        if from_low == from_high or not moves_inside or entry_side not in self.last.edges:
            return False
        edge = high if from_low else low
        travel = abs(self.last.box[edge] - self.first.box[edge])
        return travel >= max(_TRAVEL_PX, 0.2 * self._extent(axis)) and self._advances(edge) >= 2

    def _has_shifted(self, axis: int) -> bool:
        """Whether both of its edges moved the same way, far enough and in enough steps."""
        near = self.last.box[axis] - self.first.box[axis]
        far = self.last.box[axis + 2] - self.first.box[axis + 2]
        travel = min(abs(near), abs(far)) if near * far > 0 else 0
        has_steps = self.steps[axis] >= max(2, 0.5 * self.moves)
        return has_steps and travel >= max(_TRAVEL_PX, 0.35 * self._extent(axis))

    def _extent(self, axis: int) -> int:
        return min(self.last.box[axis + 2] - self.last.box[axis], _EXTENT_PX)

    def _advances(self, edge: int) -> int:
        """The number of sightings in which an edge of its box moved in the overall direction."""
        course = self.last.box[edge] - self.first.box[edge]
        steps = (later.box[edge] - earlier.box[edge] for earlier, later in pairwise(self.sightings))
        return sum(step * course > 0 for step in steps)

    def _side(self, start: TrackPoint, end: TrackPoint, *, entering: bool) -> str:
        """The edge of the picture that it crossed: one that it touches, or one within a step of it."""
        point = start if entering else end
        box, edges = point.box, point.edges
        (x0, y0), (x1, y1) = center(start.box), center(end.box)
        course = (x1 - x0, y1 - y0)
        outward = {"left": -course[0], "top": -course[1], "right": course[0], "bottom": course[1]}
        if entering:
            outward = {side: -pace for side, pace in outward.items()}
        if edges:
            # In a corner the course decides. Feet at the lower edge are weak evidence.
            lateral = [side for side in edges if side in ("left", "right") and outward[side] >= 0]
            return max(lateral or edges, key=lambda side: outward[side])
        passed_s = max(end.time_s - start.time_s, 1e-3)
        gaps = dict(zip(SIDES, (box[0], box[1], self.size[0] - box[2], self.size[1] - box[3]), strict=True))
        side = max(outward, key=lambda name: outward[name])
        step = outward[side] / passed_s * 0.5
        return side if step > 0 and gaps[side] <= step else "inside"


class Tracker:
    """Assigns blobs to tracks, frame by frame, within one shot."""

    def __init__(self) -> None:
        self.alive: list[Track] = []
        """The tracks that are followed, confirmed or not."""
        self.ended: deque[Track] = deque(maxlen=64)
        """Confirmed tracks that have ended, oldest first. The reader may remove them."""
        self._last_birth = (-math.inf, 0)

    def update(self, blobs: Sequence[Blob], picture: Picture, time_s: float) -> list[tuple[Track, Blob]]:
        """Take the blobs of the next frame. Returns the tracks seen in it, each with its blobs merged into one."""
        height, width = picture.shape[:2]
        diagonal = math.hypot(width, height)
        owners = self._assign(blobs, time_s, diagonal)
        unassigned = [blob for index, blob in enumerate(blobs) if index not in owners]
        pairs: list[tuple[Track, Blob]] = []
        for track in self.alive:
            own = [blobs[index] for index, owner in owners.items() if owner is track]
            if own:
                separated = _separated(own, diagonal)
                unassigned += separated
                blob = merged([blob for blob in own if blob not in separated])
                track.see(_sighting(blob, picture, time_s, track.last))
                pairs.append((track, blob))
        for blob in unassigned[: _MOST_TRACKS - len(self.alive)]:
            pairs.append((self._new_track(_sighting(blob, picture, time_s), (width, height)), blob))
        for track in [track for track in self.alive if track.last.time_s < time_s]:
            self._miss(track, time_s)
        return pairs

    def drop(self, track: Track) -> None:
        """Remove a track that is not an object. It is not kept in ``ended``."""
        if track in self.alive:
            self.alive.remove(track)

    def end(self, track: Track, *, complete: bool) -> None:
        """End a track. It is kept in ``ended`` if it was confirmed."""
        if track in self.alive:
            self.alive.remove(track)
            if track.confirmed_s is not None:
                track.end(complete=complete)
                self.ended.append(track)

    def end_all(self, time_s: float) -> None:
        """End all tracks with the shot at ``time_s``: those that were leaving have left, others are cut off."""
        for track in list(self.alive):
            missing = track.last.time_s < time_s or track.hidden_since_s is not None
            self.end(track, complete=missing and bool(track.last.edges))

    def _assign(self, blobs: Sequence[Blob], time_s: float, diagonal: float) -> dict[int, Track]:
        """The track of each blob, by the blob's index."""
        pairs = [
            (score, blob_index, track_index)
            for track_index, track in enumerate(self.alive)
            for blob_index, score in _scores(track, blobs, time_s, diagonal)
        ]
        owners: dict[int, Track] = {}
        matched_tracks: set[int] = set()
        for score, blob_index, track_index in sorted(pairs, reverse=True):
            # Several blobs may be parts of one object, but only where they overlap its position.
            if blob_index not in owners and (score >= 1.0 or track_index not in matched_tracks):
                owners[blob_index] = self.alive[track_index]
                matched_tracks.add(track_index)
        return owners

    def _new_track(self, sighting: TrackPoint, size: tuple[int, int]) -> Track:
        time_s = sighting.time_s
        twins = self._last_birth[1] + 1 if self._last_birth[0] == time_s else 0
        self._last_birth = (time_s, twins)
        track = Track(
            number=round(time_s * 100) * 10 + twins,
            size=size,
            born_s=time_s,
            first=sighting,
            last=sighting,
            last_movement_s=time_s,
        )
        track.see(sighting)
        self.alive.append(track)
        return track

    def _miss(self, track: Track, time_s: float) -> None:
        """Handle a track that was not seen in this frame: it is hidden, has left, or was only missed."""
        if self._is_hidden_or_merged(track, time_s):
            return
        unseen_s = time_s - track.last.time_s
        if track.confirmed_s is None:
            if unseen_s > _GONE_AT_EDGE_S:
                self.drop(track)
        elif unseen_s >= (_GONE_AT_EDGE_S if track.last.edges else _GONE_INSIDE_S):
            self.end(track, complete=True)

    def _is_hidden_or_merged(self, track: Track, time_s: float) -> bool:
        """Whether another track covers it. A young track has merged into that one and is dropped."""
        box = track.last.box
        for cover in self.alive:
            is_unseen = cover is track or cover.last.time_s < time_s
            if is_unseen or overlap_of_smaller(box, cover.last.box) < _HIDDEN_OVERLAP:
                continue
            if track.confirmed_s is None or track.last.time_s - track.born_s < _YOUNG_S:
                are_twins = track.born_s == cover.born_s and cover.confirmed_s is None
                if are_twins and track.first.edges and not cover.first.edges:
                    # Both are parts of one object. One part came over the edge, so all of it did.
                    cover.first = track.first
                self.drop(track)
                return True
            if track.hidden_since_s is None:
                track.hidden_since_s = time_s
            if time_s - track.hidden_since_s < _HIDDEN_S:
                return True
        return False


def _scores(
    track: Track, blobs: Sequence[Blob], time_s: float, diagonal: float
) -> Iterator[tuple[int, float]]:
    """How well each blob continues a track, by the blob's index; from 1 on where it overlaps the track."""
    expected, last = track.expected(time_s), track.last
    trust = 0.3 if track.confirmed_s is not None else 0.0
    for index, blob in enumerate(blobs):
        overlap = max(overlap_of_smaller(blob.box, expected), overlap_of_smaller(blob.box, last.box))
        if overlap >= _SAME_OBJECT:
            # A small track inside a large blob has little claim to it, so sizes are compared too.
            fit = max(
                intersection_over_union(blob.box, expected), intersection_over_union(blob.box, last.box)
            )
            yield index, 1.0 + trust + fit
            continue
        jump = math.dist(center(blob.box), center(expected)) / diagonal
        size_ratio = min(blob.area, last.area) / max(blob.area, last.area)
        if jump < _REACH and size_ratio > 0.3:
            yield index, trust + size_ratio - jump / _REACH


def _sighting(blob: Blob, picture: Picture, time_s: float, before: TrackPoint | None = None) -> TrackPoint:
    left, top, right, bottom = blob.box
    if before is not None and blob.moved < 0.01 and blob.box == before.box:
        colours = before.colours
    else:
        step = 2 if blob.area > 400 else 1
        pixels = picture[top:bottom:step, left:right:step][blob.mask[::step, ::step]]
        colours = colour_counts(pixels) / max(len(pixels), 1)
    height, width = picture.shape[:2]
    distances = (left, top, width - right, height - bottom)
    return TrackPoint(
        time_s=time_s,
        box=blob.box,
        area=blob.area,
        moved=blob.moved,
        stirred=blob.stirred,
        colours=colours,
        edges=tuple(side for side, px in zip(SIDES, distances, strict=True) if px <= _EDGE_PX),
    )


def _is_step(before: TrackPoint, now: TrackPoint, axis: int, size: tuple[int, int]) -> bool:
    """Whether all of it moved along an axis: it did not grow, shrink or jump."""
    near = now.box[axis] - before.box[axis]
    far = now.box[axis + 2] - before.box[axis + 2]
    if near * far <= 0 or min(abs(near), abs(far)) < 0.25 * max(abs(near), abs(far)):
        return False
    extent = now.box[axis + 2] - now.box[axis]
    return now.area > _NIMBLE * size[0] * size[1] or min(abs(near), abs(far)) <= 0.9 * extent


def _separated(own: Sequence[Blob], diagonal: float) -> list[Blob]:
    """The blobs of one track that have separated from it.

    The part that moves is the object itself: a bag that was put down stays, and its bearer walks on.
    """
    if len(own) < 2:
        return []
    main = max(own, key=lambda blob: (blob.moved > 0.05, blob.area))
    return [blob for blob in own if blob is not main and distance(blob.box, main.box) > _APART * diagonal]
