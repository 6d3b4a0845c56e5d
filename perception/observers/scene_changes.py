"""What was taken away from a scene, and what was put down in it.

    ledger = SceneChangeTracker(background, tracker)
    for track, blob in tracker.update(blobs, view.picture, time_s):
        change = ledger.judge(track, blob, view, time_s)   # None, or a Change that is now sure

A place that changed, and then stays still, is judged: did it have the clearer outline before (a
thing is gone) or has it now (a thing is there)? Only where somebody was seen at it is it a
change worth a word; what changed by itself becomes part of the scene in silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...memory.values import Span
from ..sources.frame import Picture
from .background_subtraction import BackgroundModel, BackgroundView, Mask, as_bytes
from .blobs import Blob, PixelBox, gap, overlap, shared
from .colours import colour_counts
from .tracking import Track, Tracker

SETTLED_S = 1.6  # after this time a place that is still has been judged

_STILL_S = 0.8  # a changed place is judged once it was still for so long
_STILL = 0.05  # part of it that may move while it is still
_DECIDED_S = 3.0  # who stands still for longer was not something left behind
_AGENT_S = 1.5  # whoever took or put a thing was there at most so long before or after
_AGENT_PX = 6.0  # ... and so near
_DETACHED = 0.8  # a thing let go leaves at most this much of what held it
_CLEARER = 1.25  # how much more of an outline the picture with the thing has
_ALIKE = 20.0  # difference, of 255, up to which a place looks as it did before
_REMEMBERED = 16  # how many taken things are remembered, to know them when they return
_IDLE = 0.002  # part of the picture that may flicker while nothing moves
_SLACK_PX = 5  # how far the edges of one box may waver

_KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class SceneChange:
    """A thing taken away or put down."""

    kind: Literal["removed", "placed"]
    span: Span
    """From when the place was first touched until it was still."""
    box: PixelBox
    size: tuple[int, int]
    """Width and height of the picture, in the pixels of ``box``."""
    area: int
    colours: NDArray[np.float64]
    """How many of the thing's pixels have each of the ``COLOURS``."""
    returned: bool
    """Whether it was put back where it had been taken."""


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """How a place looked while the thing was still there."""

    box: PixelBox
    mask: NDArray[np.bool_]
    patch: Picture


class SceneChangeTracker:
    """Judges changed places, and remembers what was taken so as to know it when it returns."""

    def __init__(self, background: BackgroundModel, tracker: Tracker) -> None:
        self._background = background
        self._tracker = tracker
        self._taken: deque[_Taken] = deque(maxlen=_REMEMBERED)

    def forget(self) -> None:
        """The scene is another one."""
        self._taken.clear()

    def judge(self, track: Track, blob: Blob, view: BackgroundView, time_s: float) -> SceneChange | None:
        """Decide what a changed place that is still now has become; the change, if it is one.

        Whatever is decided becomes part of the scene, and ``track`` loses what was not it.
        """
        if blob.moved >= _STILL or time_s - blob.still_since_s < _STILL_S:
            return None
        back = self._come_back(blob, view.picture)
        believed = track.confirmed_s is not None
        remains = _remains(track, blob, time_s) if believed else None
        if believed and back is None and remains is None:
            # Somebody stands still.
            if track.tired(time_s):
                self._background.absorb(_whole_mask(blob, view))
                self._tracker.end(track, complete=False)
            return None
        whole = _whole_mask(blob, view)
        outline = _outline_ratio(whole, blob.box, self._background.scene, view.picture)
        if believed:
            if back is None and outline >= 1 / _CLEARER and not remains:
                return None
            agent = not _was_it(track, blob)
        else:
            if self._someone_there() and _shadowy(blob, self._background.scene, view.picture):
                return None
            agent = self._someone_was_at(blob)
            if not agent and view.moving_share > _IDLE and time_s - blob.still_since_s < SETTLED_S:
                return None  # whoever did it may still be about to be believed
        change = None
        if agent and (back is not None or not 1 / _CLEARER < outline < _CLEARER):
            put = back is not None or outline > _CLEARER
            change = self._change("placed" if put else "removed", blob, view, back)
        self._let_go(track, blob)
        self._background.absorb(whole)
        return change

    def _change(
        self, kind: Literal["removed", "placed"], blob: Blob, view: BackgroundView, back: _Taken | None
    ) -> SceneChange:
        left, top, right, bottom = blob.box
        part = np.s_[top:bottom, left:right]
        before = self._background.scene[part]
        start_s = min(float(np.median(self._background.changed_at[part][blob.mask])), blob.still_since_s)
        if kind == "removed":
            self._taken.append(_Taken(blob.box, blob.mask, before.copy()))
        elif back is not None:
            self._taken.remove(back)
        thing = before if kind == "removed" else view.picture[part]
        height, width = view.foreground.shape
        return SceneChange(
            kind=kind,
            span=Span(start_s, blob.still_since_s),
            box=blob.box,
            size=(width, height),
            area=blob.area,
            colours=colour_counts(thing[blob.mask]),
            returned=back is not None,
        )

    def _come_back(self, blob: Blob, picture: Picture) -> _Taken | None:
        """The thing taken from this very place that looks as this one does, if any."""
        for taken in reversed(self._taken):
            if shared(blob.box, taken.box) < 0.35:
                continue
            left, top, right, bottom = taken.box
            now = np.asarray(cv2.absdiff(picture[top:bottom, left:right], taken.patch))[taken.mask]
            if float(now.mean()) < _ALIKE:
                return taken
        return None

    def _someone_was_at(self, blob: Blob) -> bool:
        """Whether a believed track was at the place when it changed."""
        left, top, right, bottom = blob.box
        since = self._background.changed_at[top:bottom, left:right][blob.mask]
        start_s, end_s = float(np.median(since)) - _AGENT_S, blob.still_since_s + _AGENT_S
        for track in (*self._tracker.ended, *self._tracker.alive):
            if track.confirmed_s is None or track.last_s < start_s or _was_it(track, blob):
                continue
            for sighting in reversed(track.sightings):
                if sighting.time_s < start_s:
                    break
                if sighting.time_s <= end_s and gap(sighting.box, blob.box) <= _AGENT_PX:
                    return True
        return False

    def _someone_there(self) -> bool:
        return any(track.confirmed_s is not None for track in self._tracker.alive)

    def _let_go(self, track: Track, blob: Blob) -> None:
        """``blob`` is not the track after all, so the track is over."""
        if track.confirmed_s is None:
            self._tracker.drop(track)
            return
        track.forget_after(blob.still_since_s - 1e-6)
        while len(track.sightings) > 1 and _same_place(track.last.box, blob.box):
            track.forget_after(track.last.time_s - 1e-6)
        self._tracker.end(track, complete=True)


def _outline_ratio(mask: Mask, box: PixelBox, before: Picture, now: Picture) -> float:
    """How much more of an outline around ``mask`` there is now than before; 1 is the same."""
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


def _was_it(track: Track, blob: Blob) -> bool:
    """Whether the track set out from this very place: it was not taken, it went.

    So goes who already stood there when the scene was learned.
    """
    return overlap(track.first.box, blob.box) > 0.5


def _shadowy(blob: Blob, before: Picture, now: Picture) -> bool:
    """Whether most of it is what was there, only darker: the shadow of someone who stands still."""
    left, top, right, bottom = blob.box
    was = before[top:bottom, left:right][blob.mask].astype(np.float32) + 6
    ratio = (now[top:bottom, left:right][blob.mask] + 6) / was
    high, low = ratio.max(axis=1), ratio.min(axis=1)
    return float(np.mean((high < 1.02) & (low > 0.4) & (high - low < 0.15))) > 0.6


def _remains(track: Track, blob: Blob, time_s: float) -> bool | None:
    """Whether ``blob``, which passes for the track, may be only what the track left behind.

    A hand that was at the picture's edge and in the next frame is not there, while what remains
    does not stir, has let something go, or shows what was behind the thing it took. None where
    nothing of the kind happened; True where what remains is also clearly less than what was.
    """
    if time_s - blob.still_since_s > _DECIDED_S:
        return None
    detached = None
    for earlier, later in pairwise(track.sightings):
        if later.time_s < blob.still_since_s - 2.0 or not set(earlier.edges) - set(later.edges):
            continue
        if _same_place(later.box, blob.box):
            if later.area < _DETACHED * earlier.area and _within(later.box, earlier.box):
                return True
            detached = False
    return detached


def _whole_mask(blob: Blob, view: BackgroundView) -> Mask:
    whole = np.zeros(view.foreground.shape, np.uint8)
    left, top, right, bottom = blob.box
    whole[top:bottom, left:right][blob.mask] = 255
    return whole


def _same_place(one: PixelBox, other: PixelBox) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _SLACK_PX


def _within(inner: PixelBox, outer: PixelBox) -> bool:
    return (
        inner[0] >= outer[0] - _SLACK_PX
        and inner[1] >= outer[1] - _SLACK_PX
        and inner[2] <= outer[2] + _SLACK_PX
        and inner[3] <= outer[3] + _SLACK_PX
    )
