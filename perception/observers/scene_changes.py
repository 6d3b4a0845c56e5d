"""Scene changes: objects taken away from a scene or put down in it, and things that appear or disappear by themselves.

    changes = SceneChangeTracker(background, tracker)
    for track, blob in tracker.update(blobs, view.picture, time_s):
        change = changes.judge(track, blob, view, time_s)   # None, or a SceneChange that is now certain

A region that changed and then stays still is judged by its outline. If the outline was clearer before,
something is gone, and if it is clearer now, something new is there. If somebody was near the region when it
changed, the object was removed or placed. Otherwise it disappeared or appeared, such as a window on a screen,
which is reported if the region is compact and not small. Any other change is learned as part of the scene.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.box_geometry import (
    distance,
    intersection_over_union,
    is_inside,
    largest_edge_shift,
    overlap_of_smaller,
)
from ...memory.values import Span
from ..sources.frame import Picture
from .background_subtraction import BackgroundModel, BackgroundView, Mask, as_bytes
from .blobs import Blob, PixelBox
from .colours import colour_counts
from .tracking import Track, Tracker

SETTLED_S = 1.6  # a region that has been still for this long has been judged

_STILL_S = 0.8  # a changed region is judged once it has been still for this long
_STILL = 0.05  # the fraction of it that may move while it is still
_DECIDED_S = 3.0  # a figure that stands still for longer is not an object that was left behind
_AGENT_S = 1.5  # the agent was near the region at most this long before or after the change
_AGENT_PX = 6.0  # ... and at most this far away
_DETACHED = 0.8  # an object that was released has at most this fraction of its holder's area
_APPEARS_SHARE = 0.01  # the least fraction of the picture that something fills that appears by itself
_APPEARS_COMPACT = 0.6  # ... and the least fraction of its box
_CLEARER = 1.25  # by this factor the outline is stronger in the picture with the object
_ALIKE = 20.0  # a region looks as before up to this mean difference, of 255
_MAX_REMEMBERED = 16  # how many removed objects are remembered, so that their return is recognised
_IDLE = 0.002  # the fraction of the picture that may flicker while nothing moves
_SLACK_PX = 5  # how much the edges of a box may vary
_SAME_REGION_IOU = 0.35

_KERNEL = np.ones((3, 3), np.uint8)

_ChangeKind = Literal["removed", "placed", "appears", "disappears"]
_KINDS: dict[tuple[bool, bool], _ChangeKind] = {
    (True, True): "placed",
    (True, False): "removed",
    (False, True): "appears",
    (False, False): "disappears",
}
"""By whether somebody was near, and whether something is there now."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneChange:
    """A change of the scene. Somebody was near what was removed or placed, and nobody what appeared or disappeared."""

    kind: _ChangeKind
    span: Span
    """From the first change in the region until it was still."""
    box: PixelBox
    size: tuple[int, int]
    """Width and height of the picture, in the pixels of ``box``."""
    area: int
    colours: NDArray[np.float64]
    """The number of the object's pixels in each of the ``COLOURS``."""
    returned: bool
    """Whether it was put back where it had been removed."""


@dataclass(frozen=True, slots=True, eq=False)
class _RemovedObject:
    """How a region looked while the object was still in it."""

    box: PixelBox
    mask: NDArray[np.bool_]
    patch: Picture


class SceneChangeTracker:
    """Judges changed regions, and remembers removed objects so that their return is recognised."""

    def __init__(self, background: BackgroundModel, tracker: Tracker) -> None:
        self._background = background
        self._tracker = tracker
        self._removed: deque[_RemovedObject] = deque(maxlen=_MAX_REMEMBERED)

    def forget(self) -> None:
        """Start again with another scene."""
        self._removed.clear()

    def judge(self, track: Track, blob: Blob, view: BackgroundView, time_s: float) -> SceneChange | None:
        """Decide what became of a changed region that is still now, and return the change if it is one.

        A region that has been decided becomes part of the scene, and ``track`` loses the sightings that were
        not its own.
        """
        if blob.moved >= _STILL or time_s - blob.still_since_s < _STILL_S:
            return None
        returned = self._returned_object(blob, view.picture)
        is_confirmed = track.confirmed_s is not None
        remains = _remains(track, blob, time_s) if is_confirmed else None
        if is_confirmed and returned is None and remains is None:
            self._absorb_if_idle(track, blob, view, time_s)
            return None
        mask = _full_mask(blob, view)
        outline = _outline_ratio(mask, blob.box, self._background.scene, view.picture)
        if is_confirmed:
            is_undecided = returned is None and outline >= 1 / _CLEARER and not remains
            has_agent = None if is_undecided else not _started_at(track, blob)
        else:
            has_agent = self._find_agent(blob, view, time_s)
        if has_agent is None:
            return None
        change = None
        if has_agent or (not is_confirmed and _is_thing(blob, mask)):
            change = self._change(blob, view, returned, outline, has_agent=has_agent)
        self._detach(track, blob)
        self._background.absorb(mask)
        return change

    def _absorb_if_idle(self, track: Track, blob: Blob, view: BackgroundView, time_s: float) -> None:
        """Let a figure that stands still become part of the scene after a long time."""
        if track.is_idle(time_s):
            self._background.absorb(_full_mask(blob, view))
            self._tracker.end(track, complete=False)

    def _find_agent(self, blob: Blob, view: BackgroundView, time_s: float) -> bool | None:
        """Whether somebody else was near an unconfirmed blob; None while that cannot be decided."""
        if self._has_confirmed_track() and _is_shadow(blob, self._background.scene, view.picture):
            return None
        has_agent = self._was_near(blob)
        if not has_agent and view.moving_share > _IDLE and time_s - blob.still_since_s < SETTLED_S:
            return None  # the agent's track may still be confirmed
        return has_agent

    def _change(
        self,
        blob: Blob,
        view: BackgroundView,
        returned: _RemovedObject | None,
        outline: float,
        *,
        has_agent: bool,
    ) -> SceneChange | None:
        """The change of a region; None if the outline is about as clear as before."""
        if returned is None and 1 / _CLEARER < outline < _CLEARER:
            return None
        is_there = returned is not None or outline > _CLEARER
        kind = _KINDS[has_agent, is_there]
        left, top, right, bottom = blob.box
        region = np.s_[top:bottom, left:right]
        before = self._background.scene[region]
        start_s = min(float(np.median(self._background.changed_at[region][blob.mask])), blob.still_since_s)
        if not is_there:
            self._removed.append(_RemovedObject(blob.box, blob.mask, before.copy()))
        elif returned is not None:
            self._removed.remove(returned)
        patch = view.picture[region] if is_there else before
        height, width = view.foreground.shape
        return SceneChange(
            kind=kind,
            span=Span(start_s, blob.still_since_s),
            box=blob.box,
            size=(width, height),
            area=blob.area,
            colours=colour_counts(patch[blob.mask]),
            returned=returned is not None,
        )

    def _returned_object(self, blob: Blob, picture: Picture) -> _RemovedObject | None:
        """The object that was removed from this region and looks as the region does now, if any."""
        for removed in reversed(self._removed):
            if intersection_over_union(blob.box, removed.box) < _SAME_REGION_IOU:
                continue
            left, top, right, bottom = removed.box
            difference = np.asarray(cv2.absdiff(picture[top:bottom, left:right], removed.patch))
            if float(difference[removed.mask].mean()) < _ALIKE:
                return removed
        return None

    def _was_near(self, blob: Blob) -> bool:
        """Whether a confirmed track was near the region when it changed."""
        left, top, right, bottom = blob.box
        changed_at = self._background.changed_at[top:bottom, left:right][blob.mask]
        start_s, end_s = float(np.median(changed_at)) - _AGENT_S, blob.still_since_s + _AGENT_S
        for track in (*self._tracker.ended, *self._tracker.alive):
            if track.confirmed_s is None or track.last_s < start_s or _started_at(track, blob):
                continue
            for sighting in reversed(track.sightings):
                if sighting.time_s < start_s:
                    break
                if sighting.time_s <= end_s and distance(sighting.box, blob.box) <= _AGENT_PX:
                    return True
        return False

    def _has_confirmed_track(self) -> bool:
        return any(track.confirmed_s is not None for track in self._tracker.alive)

    def _detach(self, track: Track, blob: Blob) -> None:
        """End the track, because ``blob`` does not belong to it after all."""
        if track.confirmed_s is None:
            self._tracker.drop(track)
            return
        track.forget_after(blob.still_since_s - 1e-6)
        while len(track.sightings) > 1 and _is_same_place(track.last.box, blob.box):
            track.forget_after(track.last.time_s - 1e-6)
        self._tracker.end(track, complete=True)


def _outline_ratio(mask: Mask, box: PixelBox, before: Picture, now: Picture) -> float:
    """The strength of the outline around ``mask`` now, divided by its strength before."""
    left, top, right, bottom = (
        max(0, box[0] - 3),
        max(0, box[1] - 3),
        min(mask.shape[1], box[2] + 3),
        min(mask.shape[0], box[3] + 3),
    )
    rows, columns = slice(top, bottom), slice(left, right)
    ring = as_bytes(cv2.morphologyEx(mask[rows, columns], cv2.MORPH_GRADIENT, _KERNEL)).view(np.bool_)
    strength = []
    for picture in (before, now):
        edges = as_bytes(cv2.morphologyEx(picture[rows, columns], cv2.MORPH_GRADIENT, _KERNEL))
        strength.append(float(edges.max(axis=2)[ring].mean()))
    return (strength[1] + 2.0) / (strength[0] + 2.0)


def _is_thing(blob: Blob, mask: Mask) -> bool:
    """Whether a region is large and compact enough for something that appeared or disappeared by itself."""
    left, top, right, bottom = blob.box
    box_area = (right - left) * (bottom - top)
    return blob.area >= _APPEARS_SHARE * mask.size and blob.area >= _APPEARS_COMPACT * box_area


def _started_at(track: Track, blob: Blob) -> bool:
    """Whether the track started in this region, so that it moved away by itself.

    A figure that already stood there while the scene was learned does so.
    """
    return overlap_of_smaller(track.first.box, blob.box) > 0.5


def _is_shadow(blob: Blob, before: Picture, now: Picture) -> bool:
    """Whether most of it is the scene, only darker: the shadow of a figure that stands still."""
    left, top, right, bottom = blob.box
    scene_pixels = before[top:bottom, left:right][blob.mask].astype(np.float32) + 6
    ratio = (now[top:bottom, left:right][blob.mask] + 6) / scene_pixels
    high, low = ratio.max(axis=1), ratio.min(axis=1)
    return float(np.mean((high < 1.02) & (low > 0.4) & (high - low < 0.15))) > 0.6


def _remains(track: Track, blob: Blob, time_s: float) -> bool | None:
    """Whether ``blob``, which is assigned to the track, may be only what the track left behind.

    A hand reaches in from an edge of the picture and is missing in the next frame, while the rest does not
    move. Either it released an object, or it uncovered the background of the object that it took. None if
    that did not happen. True if the rest is also clearly smaller than before.
    """
    if time_s - blob.still_since_s > _DECIDED_S:
        return None
    detached = None
    for earlier, later in pairwise(track.sightings):
        if later.time_s < blob.still_since_s - 2.0 or not set(earlier.edges) - set(later.edges):
            continue
        if _is_same_place(later.box, blob.box):
            if later.area < _DETACHED * earlier.area and is_inside(later.box, earlier.box, _SLACK_PX):
                return True
            detached = False
    return detached


def _full_mask(blob: Blob, view: BackgroundView) -> Mask:
    """The blob's mask at the size of the picture."""
    mask = np.zeros(view.foreground.shape, np.uint8)
    left, top, right, bottom = blob.box
    mask[top:bottom, left:right][blob.mask] = 255
    return mask


def _is_same_place(first: PixelBox, second: PixelBox) -> bool:
    return largest_edge_shift(first, second) <= _SLACK_PX
