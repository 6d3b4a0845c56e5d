"""Following the things that move in front of a learned scene.

    tracker = Tracker()
    blobs = find_blobs(view, background, time_s)
    tracker.update(blobs, view.picture, time_s)
    tracker.alive, tracker.ended          # what is there, and what lately was

A track is believed (``confirmed``) once it has travelled: its far edge and its near edge both
moved, or the near edge is the picture's own. What merely appears, grows or flickers in place, as
on a screen, never is. It does not know what a thing is; two that overlap are told apart poorly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ..frame import Picture
from .background import Background, View
from .colours import COLOURS, colour_counts, name_of_counts

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are just outside."""

SIDES = ("left", "top", "right", "bottom")

_SMALLEST = 0.0018  # part of the picture below which a blob is noise
_SMALLEST_TRACK = 0.003  # ... and below which a thing is not followed: a cursor, a leaf
_NIMBLE = 0.01  # smaller things must overlap their last place, or nearly: a cursor jumps
_MOST_BLOBS = 16
_MOST_TRACKS = 24
_EDGE_PX = 2  # this near to the picture's edge is at it
_SIGHTINGS = 3  # how often a thing is seen before it is believed
_TRAVEL_PX = 5.0  # ... and how far it went at least
_TRAVEL_SHARE = 0.2  # ... or this much of its own extent, if that is more
_STIRS = 0.08  # part of what was already there of it that moves: it is not merely growing
_GONE_AT_EDGE_S = 0.7  # unseen for so long after it was at the edge, it has left
_GONE_INSIDE_S = 1.4  # ... and after it was anywhere else
_HIDDEN_S = 6.0  # how long a thing may be hidden behind another one
_YOUNG_S = 1.5  # a track that merges into another so soon was a part of it
_APART = 0.08  # gap, in diagonals, at which two blobs are no longer one thing
_REACH = 0.16  # how far, in diagonals, a thing may jump between two frames
_NO_COLOURS = np.zeros(len(COLOURS))
_TIRED_S = 90.0  # a thing that did not stir for so long belongs to the scene


@dataclass(slots=True)
class Blob:
    """A connected piece of foreground in one frame."""

    box: PixelBox
    area: int
    """Pixels of foreground in it."""
    mask: NDArray[np.bool_]
    """Which pixels of ``box`` belong to it."""
    moved: float
    """Which part of it moved since the frame before, 0 to 1."""
    stirred: float
    """The same, of the pixels only that were foreground before."""
    still_since_s: float
    """When nearly all of it last moved."""
    track: Track | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
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
    """Made from its birth time, so that it stays the same when a stream is taken up again."""
    size: tuple[int, int]
    """Width and height of the pictures it is seen in."""
    born_s: float
    first: Sighting
    last: Sighting
    sightings: deque[Sighting] = field(default_factory=lambda: deque(maxlen=400))
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
    def colour(self) -> str:
        """The name of its colour."""
        return name_of_counts(sum((s.colours * s.weight for s in self.sightings), _NO_COLOURS))

    @property
    def shape(self) -> str:
        """``tall``, ``wide`` or ``compact``."""
        wide = sum((s.box[2] - s.box[0]) * s.weight for s in self.sightings)
        high = sum((s.box[3] - s.box[1]) * s.weight for s in self.sightings)
        if high > 1.3 * wide:
            return "tall"
        return "wide" if wide > 1.3 * high else "compact"

    @property
    def share(self) -> float:
        """Which part of the picture it fills at its largest, 0 to 1."""
        return max(s.area for s in self.sightings) / (self.size[0] * self.size[1])

    def see(self, sighting: Sighting) -> None:
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
        earlier = next(
            (s for s in reversed(self.sightings) if s.time_s < self.last.time_s - 0.2), self.first
        )
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
        right, down = (
            round((_middle(box)[axis] - _middle(before.box)[axis]) * ahead) for axis in (0, 1)
        )
        return box[0] + right, box[1] + down, box[2] + right, box[3] + down

    def _travelled(self) -> bool:
        came_over = self.first.edges
        stirs = self.stirs >= 2 and self.stirs >= 0.3 * self.moves
        if self.share < _SMALLEST_TRACK:
            return False
        for axis, (low, high) in enumerate(((0, 2), (1, 3))):
            near = self.last.box[low] - self.first.box[low]
            far = self.last.box[high] - self.first.box[high]
            from_low, from_high = SIDES[low] in came_over, SIDES[high] in came_over
            travel = 0
            if from_low != from_high and stirs:
                # Text that is typed from the margin grows like that too, but only its end stirs.
                travel = abs(near if from_high else far)
            if self.steps[axis] >= 2 and near * far > 0:
                travel = max(travel, min(abs(near), abs(far)))
            extent = self.last.box[high] - self.last.box[low]
            if travel >= max(_TRAVEL_PX, _TRAVEL_SHARE * min(extent, 60)):
                return True
        return False

    def _side(self, start: Sighting, end: Sighting, *, entering: bool) -> str:
        """The edge it crossed: one it was at, or one it must have been at within a step."""
        seen = start if entering else end
        box, at = seen.box, seen.edges
        (x0, y0), (x1, y1) = _middle(start.box), _middle(end.box)
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

    def update(self, blobs: Sequence[Blob], picture: Picture, time_s: float) -> None:
        """Take the blobs of the next frame; sets ``blob.track`` on each that has one."""
        height, width = picture.shape[:2]
        diagonal = math.hypot(width, height)
        self._assign(blobs, time_s, diagonal)
        for track in list(self.alive):
            own = [blob for blob in blobs if blob.track is track]
            if own:
                for blob in _not_part_of_it(own, diagonal):
                    blob.track = None
                    own.remove(blob)
                track.see(_sighting(own, picture, time_s))
        for blob in blobs:
            if blob.track is None and len(self.alive) < _MOST_TRACKS:
                blob.track = self._born(_sighting([blob], picture, time_s), (width, height))
        for track in [t for t in self.alive if t.last.time_s < time_s]:
            self._miss(track, time_s)

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

    def _assign(self, blobs: Sequence[Blob], time_s: float, diagonal: float) -> None:
        pairs: list[tuple[float, int, int]] = []
        for t, track in enumerate(self.alive):
            expected = track.expected(time_s)
            trust = 0.3 if track.confirmed_s is not None else 0.0
            for b, blob in enumerate(blobs):
                if max(_overlap(blob.box, expected), _overlap(blob.box, track.last.box)) >= 0.15:
                    # A speck inside a large blob is no claim to it: like sizes count.
                    shared = max(_shared(blob.box, expected), _shared(blob.box, track.last.box))
                    pairs.append((1.0 + trust + shared, b, t))
                    continue
                gap = math.dist(_middle(blob.box), _middle(expected)) / diagonal
                like = min(blob.area, track.last.area) / max(blob.area, track.last.area)
                if gap < _REACH and like > 0.3:
                    pairs.append((trust + like - gap / _REACH, b, t))
        taken: set[int] = set()
        for score, b, t in sorted(pairs, reverse=True):
            # Several blobs may be parts of one thing, but only where they overlap its place.
            if blobs[b].track is None and (score >= 1.0 or t not in taken):
                blobs[b].track = self.alive[t]
                taken.add(t)

    def _born(self, sighting: Sighting, size: tuple[int, int]) -> Track:
        time_s = sighting.time_s
        twins = self._last_birth[1] + 1 if self._last_birth[0] == time_s else 0
        self._last_birth = (time_s, twins)
        track = Track(
            number=round(time_s * 10) * 10 + twins,
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
            if other is track or other.last.time_s < time_s or _overlap(box, other.last.box) < 0.5:
                continue
            if track.confirmed_s is None or track.last.time_s - track.born_s < _YOUNG_S:
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


def find_blobs(view: View, background: Background, time_s: float) -> list[Blob]:
    """The connected pieces of foreground that are large enough, largest first."""
    if not cv2.countNonZero(view.foreground):
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(view.foreground, connectivity=8)
    smallest = _SMALLEST * view.foreground.size
    areas = stats[1:, cv2.CC_STAT_AREA]
    blobs = []
    for index in np.argsort(-areas)[:_MOST_BLOBS]:
        area = int(areas[index])
        if area < smallest:
            break
        left, top, width, height = (int(n) for n in stats[index + 1, :4])
        rows, columns = slice(top, top + height), slice(left, left + width)
        mask = labels[rows, columns] == index + 1
        moving = view.moving[rows, columns].view(np.bool_) & mask
        moved = np.count_nonzero(moving) / area
        still_since_s, stirred = time_s, 0.0
        if moved < 0.05:
            some = mask[::2, ::2] if area > 400 else mask
            step = 2 if area > 400 else 1
            times = np.maximum(
                background.moved_at[top : top + height : step, left : left + width : step],
                background.changed_at[top : top + height : step, left : left + width : step],
            )[some]
            place = int(0.95 * (times.size - 1))
            still_since_s = float(np.partition(times, place)[place])
        else:
            known = (background.changed_at[rows, columns] < time_s) & mask
            # Of a thing mostly new nothing can be said yet.
            if (number := np.count_nonzero(known)) > 0.15 * area:
                stirred = np.count_nonzero(moving & known) / number
        box = (left, top, left + width, top + height)
        blobs.append(Blob(box, area, mask, moved, stirred, still_since_s))
    return blobs


def merged(blobs: Sequence[Blob]) -> Blob:
    """Several blobs of one track as one."""
    if len(blobs) == 1:
        return blobs[0]
    box = _hull_of(blobs)
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.bool_)
    for blob in blobs:
        left, top, right, bottom = blob.box
        mask[top - box[1] : bottom - box[1], left - box[0] : right - box[0]] |= blob.mask
    area = sum(blob.area for blob in blobs)
    return Blob(
        box=box,
        area=area,
        mask=mask,
        moved=sum(blob.moved * blob.area for blob in blobs) / area,
        stirred=sum(blob.stirred * blob.area for blob in blobs) / area,
        still_since_s=max(blob.still_since_s for blob in blobs),
        track=blobs[0].track,
    )


def tired(track: Track, time_s: float) -> bool:
    """Whether it has not stirred for so long that it belongs to the scene now."""
    return time_s - track.stirred_s > _TIRED_S


def _sighting(own: Sequence[Blob], picture: Picture, time_s: float) -> Sighting:
    whole = merged(own)
    left, top, right, bottom = whole.box
    step = 2 if whole.area > 400 else 1
    pixels = picture[top:bottom:step, left:right:step][whole.mask[::step, ::step]]
    height, width = picture.shape[:2]
    near = (left, top, width - right, height - bottom)
    return Sighting(
        time_s=time_s,
        box=whole.box,
        area=whole.area,
        moved=whole.moved,
        stirred=whole.stirred,
        colours=colour_counts(pixels) / max(len(pixels), 1),
        edges=tuple(side for side, gap in zip(SIDES, near, strict=True) if gap <= _EDGE_PX),
    )


def _stepped(before: Sighting, now: Sighting, axis: int, size: tuple[int, int]) -> bool:
    """Whether it moved as a whole along an axis: not grown, not shrunk, not jumped."""
    near = now.box[axis] - before.box[axis]
    far = now.box[axis + 2] - before.box[axis + 2]
    if near * far <= 0 or min(abs(near), abs(far)) < 0.25 * max(abs(near), abs(far)):
        return False
    extent = now.box[axis + 2] - now.box[axis]
    return now.area > _NIMBLE * size[0] * size[1] or min(abs(near), abs(far)) <= 0.9 * extent


def _not_part_of_it(own: list[Blob], diagonal: float) -> list[Blob]:
    """Of the blobs of one track, those that have come apart from it.

    The part that moves is the thing itself: a bag put down stays, its bearer walks on.
    """
    if len(own) < 2:
        return []
    main = max(own, key=lambda blob: (blob.moved > 0.05, blob.area))
    return [blob for blob in own if blob is not main and _gap(blob.box, main.box) > _APART * diagonal]


def _middle(box: PixelBox) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _hull_of(blobs: Sequence[Blob]) -> PixelBox:
    lefts, tops, rights, bottoms = zip(*(blob.box for blob in blobs), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _gap(one: PixelBox, other: PixelBox) -> float:
    aside = max(0, one[0] - other[2], other[0] - one[2])
    above = max(0, one[1] - other[3], other[1] - one[3])
    return math.hypot(aside, above)


def _common(one: PixelBox, other: PixelBox) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0


def _extent(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one: PixelBox, other: PixelBox) -> float:
    """Common area as a part of the smaller box."""
    return _common(one, other) / max(min(_extent(one), _extent(other)), 1)


def _shared(one: PixelBox, other: PixelBox) -> float:
    """Common area as a part of both boxes together."""
    common = _common(one, other)
    return common / max(_extent(one) + _extent(other) - common, 1)
