"""Unchanged moments: those that show the same picture as a moment before, so that one description fits them all.

    unchanged = UnchangedMoments()
    origin = unchanged.origin_of(moment, snapshot)      # the moment that shows the picture first, or None
    observation = carried_over(description, origin, moment)

A moment is unchanged only if its pictures equal those of the moment just before, the observers found no action
and nothing new in either, and both belong to one unbroken run of the stream. It asks no model.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.clock_times import format_time
from ...common.kind_registry import kind_of
from ...memory.query.snapshot import Snapshot
from ...memory.values import Finding, KeyFrame, Moment, Observation

CARRIED_OVER = "carried_over"
"""The kind of the finding that names the moment from which a description was carried over."""
LONGEST_S = 600.0
"""A picture that does not change is described again after this time."""
_TOUCHING_S = 1.0
"""Two moments with more time between them do not follow each other."""
_SIDE = 640
"""Pictures are compared at this size, in pixels of their longer side."""
_BLUR = 5
_CHANGED_LEVELS = 18
"""Two pictures differ if any spot of ``_BLUR`` pixels differs by this much in any colour, of 255. Noise and compression of
a still picture stay below it. A cursor does not."""
_MAX_KNOWN = 4096
_MAX_PICTURES = 4
"""Moments whose pictures are kept for the next comparison."""
_Pictures = list[NDArray[np.uint8] | None]


class UnchangedMoments:
    """Finds the moment that an unchanged moment repeats. It belongs to one thread."""

    def __init__(self) -> None:
        self._origins: OrderedDict[str, Moment] = OrderedDict()
        """The origin of each moment that was looked at. A moment that begins a run is its own."""
        self._pictures: OrderedDict[str, _Pictures] = OrderedDict()

    def origin_of(self, moment: Moment, snapshot: Snapshot) -> Moment | None:
        """The first moment of the unchanged run that ``moment`` belongs to. None if it is the first itself.

        A run ends where its picture differs from that of its first moment: slow changes, such as a sunset, add
        up. It also ends at the multiples of ``LONGEST_S`` in stream time.
        """
        run = [moment]
        earliest_s = moment.span.start_s // LONGEST_S * LONGEST_S
        while run[-1].id not in self._origins:
            earlier = self._unchanged_from(run[-1], snapshot)
            if earlier is None or earlier.span.start_s < earliest_s:
                break
            run.append(earlier)
        origin = self._origins.get(run[-1].id, run[-1])
        for follower in reversed(run):
            if not self._is_same(origin, follower, snapshot):
                origin = follower
            self._keep(follower, origin)
        return None if origin.id == moment.id else origin

    def describe_itself(self, moment: Moment) -> None:
        """From now on, this moment is the origin of those after it: the first of the run has no description."""
        former = self._origins.get(moment.id, moment)
        for moment_id, origin in self._origins.items():
            if origin.id == former.id and moment_id != former.id:
                self._origins[moment_id] = moment
        self._keep(moment, moment)

    def _keep(self, moment: Moment, origin: Moment) -> None:
        self._origins[moment.id] = origin
        while len(self._origins) > _MAX_KNOWN:
            self._origins.popitem(last=False)

    def _unchanged_from(self, moment: Moment, snapshot: Snapshot) -> Moment | None:
        """The moment just before, if this one shows the same. None otherwise."""
        if not _is_still(moment):
            return None
        for earlier in snapshot.neighbours(moment, before=1, after=0):
            follows = earlier.epoch == moment.epoch and earlier.shot == moment.shot
            is_near = moment.span.start_s - earlier.span.end_s <= _TOUCHING_S
            is_still = follows and is_near and _is_still(earlier) and _texts(moment) <= _texts(earlier)
            if is_still and self._is_same(earlier, moment, snapshot):
                return earlier
        return None

    def _is_same(self, earlier: Moment, later: Moment, snapshot: Snapshot) -> bool:
        """Whether all pictures of two moments look the same."""
        if earlier.id == later.id:
            return True
        first, *others = [*self._pictures_of(earlier, snapshot), *self._pictures_of(later, snapshot)]
        return first is not None and all(
            other is not None
            and other.shape == first.shape
            and int(cv2.absdiff(other, first).max()) < _CHANGED_LEVELS
            for other in others
        )

    def _pictures_of(self, moment: Moment, snapshot: Snapshot) -> _Pictures:
        """The pictures of a moment, small and blurred. None for one that is gone or damaged."""
        if moment.id not in self._pictures:
            frames = {frame.id: frame for frame in snapshot.frames(moment.frame_ids)}
            self._pictures[moment.id] = [_small(frames.get(frame_id)) for frame_id in moment.frame_ids]
            while len(self._pictures) > _MAX_PICTURES:
                self._pictures.popitem(last=False)
        return self._pictures[moment.id]


def carried_over(description: Observation, origin: Moment, moment: Moment) -> Observation:
    """The description of ``origin`` as that of ``moment``, with a finding that says so."""
    of_writer = [finding for finding in description.findings if finding.kind != CARRIED_OVER]
    note = Finding(
        "attribute",
        CARRIED_OVER,
        f"described at {format_time(origin.span.start_s)}, unchanged since",
        moment.span,
        description.written_by,
        detail={"moment": origin.id, "start_s": origin.span.start_s},
    )
    findings = (*(replace(finding, span=moment.span) for finding in of_writer), note)
    return replace(description, findings=findings, written_at_s=time.time())


def _is_still(moment: Moment) -> bool:
    """Whether the observers found nothing but how the picture looks and what can be read in it."""
    return bool(moment.observations and moment.frame_ids) and all(
        finding.field == "visible_text"
        or kind_of(finding.kind, finding.field).caption_style in {"if_quiet", "appearance"}
        for finding in moment.observations[0].findings
    )


def _texts(moment: Moment) -> set[tuple[str, str]]:
    """The texts that were read in the picture."""
    findings = moment.observations[0].findings
    return {(finding.kind, finding.text) for finding in findings if finding.field == "visible_text"}


def _small(frame: KeyFrame | None) -> NDArray[np.uint8] | None:
    if frame is None or not frame.jpeg:
        return None
    picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small, (_BLUR, _BLUR)), np.uint8)
