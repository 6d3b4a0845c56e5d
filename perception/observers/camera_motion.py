"""How the camera itself moves: pans, zooms, shakes.

    observer = CameraObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(8.0, 12.0))    # [action/camera_zoom_in "the camera zooms in", …]

Where most of the picture changed since the last sampled frame, corners are followed from one to
the other; if most of them, all over the picture, agree on one shift and scale, the camera moved.
A tripod's or a security camera's picture rarely changes all over, so watching it costs next to
nothing. The zoom of a screen recorder counts as the camera's.

It knows nothing of things: a wall of a lorry that fills the picture moves it like a camera would.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Finding, Span
from ..sources.frame import Frame, Picture, Thumb

_Gray = NDArray[np.uint8]
_Motion = Literal["pan", "in", "out", "rest"]

_SIDE = 160
_CHANGED = 2  # mean difference of luma from which on a cell of the thumbnail has changed
_WIDESPREAD = 0.4  # the share of cells that change when the camera moves
_LONGEST_STEP_S = 1.0  # frames farther apart than this are not compared
_CORNERS, _CORNER_GAP = 80, 8
_WINDOW, _LEVELS = (11, 11), 3
_WORST_MATCH = 14.0  # mean difference of luma of a corner that was found again
_ENOUGH = 10  # corners that agree
_AGREE, _FOUND_AGAIN = 0.75, 0.3  # their share of the corners found again, and of all
_CELLS, _SPREAD = 4, 0.5  # cells of 4 × 3 that hold some, and their share of those with any corners

_PAN_RATE, _ZOOM_RATE = 0.015, 0.04  # picture sides a second, and log of scale a second
_PAN, _ZOOM = 0.06, 0.07  # picture sides, and log of scale, that a motion must make up in all
_REVERSALS, _SHAKE_S = 3, 1.0  # turns back, and seconds between two of them
_HOLE_S = 0.6  # a step or two may fail to be measured
_CONTEXT_S = 4.0
_KEPT = 1200


@dataclass(frozen=True, slots=True)
class _Step:
    """How the camera moved from one sampled frame to the next."""

    start_s: float
    end_s: float
    shot: int
    right: float
    """Shift of the camera, as a share of the picture's longer side."""
    down: float
    zoom: float
    """Logarithm of the factor by which things grew."""

    @property
    def kind(self) -> _Motion:
        """What the camera mainly did."""
        seconds = self.end_s - self.start_s
        shift = math.hypot(self.right, self.down)
        # A zoom by z moves the picture's edges by z/2: the larger motion names the step.
        if abs(self.zoom) >= _ZOOM_RATE * seconds and abs(self.zoom) / 2 > shift:
            return "in" if self.zoom > 0 else "out"
        return "pan" if shift >= _PAN_RATE * seconds else "rest"

    def along(self, other: _Step) -> float:
        """The cosine of the angle between this shift and another."""
        lengths = math.hypot(self.right, self.down) * math.hypot(other.right, other.down)
        return (self.right * other.right + self.down * other.down) / max(lengths, 1e-9)

    def continues(self, group: list[_Step]) -> bool:
        """Whether it goes on as ``group`` did."""
        return self.kind == group[-1].kind and (self.kind != "pan" or self.along(group[-1]) > 0.5)


class CameraObserver:
    """Says when the camera pans, zooms or shakes."""

    written_by = "camera/1"
    finding_kinds = builtin_kinds("camera_pan", "camera_zoom_in", "camera_zoom_out", "camera_shake")

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._shot = 0
        self._steps: deque[_Step] = deque(maxlen=_KEPT)

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        last, self._last = self._last, frame
        if last is None or last.small is None or frame.small is None:
            return
        if not 0 < frame.time_s - last.time_s <= _LONGEST_STEP_S or last.small.shape != frame.small.shape:
            return
        if widely_changed(last.thumb, frame.thumb):
            moved = camera_motion(_gray(last.small), _gray(frame.small))
            if moved is not None:
                self._steps.append(_Step(last.time_s, frame.time_s, self._shot, *moved))

    def cut(self, time_s: float) -> None:
        """Another shot: its first picture is not compared with the last of this one."""
        self._last = None
        self._shot += 1

    def findings(self, span: Span) -> list[Finding]:
        """How the camera moved in ``span``."""
        steps = [step for step in self._steps if step.start_s < span.end_s + _CONTEXT_S]
        while self._steps and self._steps[0].end_s < span.end_s - _CONTEXT_S:
            self._steps.popleft()
        found: list[Finding] = []
        for run in _runs(steps):
            found += _pans_and_zooms(run, span)
            found += _shakes(run, span)
        return sorted(found, key=lambda finding: finding.span)


def widely_changed(one: Thumb, other: Thumb) -> bool:
    """Whether two pictures differ in most places, as they do when a camera moves."""
    cells = cv2.resize(cv2.absdiff(one, other), (8, 6), interpolation=cv2.INTER_AREA)
    return bool(np.count_nonzero(cells >= _CHANGED) >= _WIDESPREAD * cells.size)


def _gray(picture: Picture) -> _Gray:
    """The picture in shades of grey, its longer side ``_SIDE``."""
    scale = _SIDE / max(picture.shape)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def camera_motion(one: _Gray, other: _Gray) -> tuple[float, float, float] | None:
    """How the camera moved between two pictures: right, down, and logarithm of the zoom.

    The first two as shares of the longer side. None where too few corners agree.
    """
    moved, coherent = _follow(one, other)
    if moved is None and coherent:
        # Corners near the edge leave the picture when the camera zooms in; backwards, all are there.
        back, _ = _follow(other, one)
        moved = None if back is None else (-back[0], -back[1], -back[2])
    return moved


def _follow(one: _Gray, other: _Gray) -> tuple[tuple[float, float, float] | None, bool]:
    """What ``camera_motion`` says, and whether the corners that were found again agree."""
    good = cv2.goodFeaturesToTrack(one, _CORNERS, 0.01, _CORNER_GAP)
    if good is None or len(good) < _ENOUGH:
        return None, False
    corners = np.asarray(good, np.float32)
    found, status, error = cv2.calcOpticalFlowPyrLK(
        one, other, corners, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    kept = (np.ravel(status) == 1) & (np.ravel(error) < _WORST_MATCH)
    if np.count_nonzero(kept) < _ENOUGH // 2:
        return None, False
    matrix, inliers = cv2.estimateAffinePartial2D(
        corners[kept], np.asarray(found)[kept], method=cv2.RANSAC, ransacReprojThreshold=1.5
    )
    if matrix is None:
        return None, False
    agreeing = corners[kept][np.ravel(inliers) == 1]
    if len(agreeing) < _AGREE * np.count_nonzero(kept):
        return None, False
    height, width = one.shape
    if (
        len(agreeing) < max(_ENOUGH, _FOUND_AGAIN * len(corners))
        or _cells(agreeing, width, height) < max(_CELLS, _SPREAD * _cells(corners, width, height))
    ):  # fmt: skip
        return None, True
    middle = np.array([width / 2, height / 2])
    shift = (matrix[:, :2] @ middle + matrix[:, 2] - middle) / max(width, height)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    # Where the picture goes left, the camera goes right.
    return (-float(shift[0]), -float(shift[1]), math.log(max(scale, 1e-3))), True


def _cells(points: NDArray[np.float32], width: int, height: int) -> int:
    """How many cells of a grid of 4 × 3 hold any of the points."""
    columns, rows = (points.reshape(-1, 2) // (width / 4, height / 3)).astype(int).T
    return len(np.unique(4 * rows + columns))


def _runs(steps: Iterable[_Step]) -> list[list[_Step]]:
    """Steps of one shot that follow one another, but for a step that could not be measured."""
    runs: list[list[_Step]] = []
    for step in steps:
        if runs and step.shot == runs[-1][-1].shot and step.start_s - runs[-1][-1].end_s <= _HOLE_S:
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _pans_and_zooms(run: list[_Step], span: Span) -> list[Finding]:
    """The stretches of ``run`` in which the camera went on in one way."""
    groups: list[list[_Step]] = []
    for step in run:
        if step.kind == "rest":
            continue
        if groups and step.start_s - groups[-1][-1].end_s <= _HOLE_S and step.continues(groups[-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    found = []
    for group in groups:
        kind = group[0].kind
        total = abs(sum(step.zoom for step in group)) / _ZOOM if kind != "pan" else _way(group) / _PAN
        when = Span(group[0].start_s, group[-1].end_s).clipped_to(span)
        if total < (2.0 if len(group) == 1 else 1.0) or when is None:
            continue
        inside = [step for step in group if Span(step.start_s, step.end_s).overlaps(span)]
        if kind == "pan":
            found.append(_pan(group, inside, when))
        else:
            factor = math.exp(sum(step.zoom for step in inside))
            found.append(
                Finding(
                    field="action",
                    kind=f"camera_zoom_{kind}",
                    text=f"the camera zooms {kind}",
                    span=when,
                    written_by=CameraObserver.written_by,
                    confidence=0.8,
                    detail={"value": round(factor, 3)},
                )
            )
    return found


def _pan(group: list[_Step], inside: list[_Step], when: Span) -> Finding:
    right, down = sum(step.right for step in group), sum(step.down for step in group)
    if abs(right) >= abs(down):
        direction = "right" if right > 0 else "left"
    else:
        direction = "down" if down > 0 else "up"
    verb = "pans" if direction in ("left", "right") else "tilts"
    return Finding(
        field="action",
        kind="camera_pan",
        text=f"the camera {verb} {direction}",
        span=when,
        written_by=CameraObserver.written_by,
        confidence=0.8,
        detail={"direction": direction, "value": round(_way(inside), 3)},
    )


def _way(steps: Iterable[_Step]) -> float:
    """How far the camera got, in longer sides of the picture."""
    steps = list(steps)
    return math.hypot(sum(step.right for step in steps), sum(step.down for step in steps))


def _shakes(run: list[_Step], span: Span) -> list[Finding]:
    """The stretches of ``run`` in which the camera goes to and fro."""
    moving = [step for step in run if step.kind == "pan"]
    turns: list[list[_Step]] = []
    for before, step in pairwise(moving):
        if step.along(before) >= 0:
            continue
        if turns and step.start_s - turns[-1][-1].end_s <= _SHAKE_S:
            turns[-1].append(step)
        else:
            turns.append([step])
    found = []
    for stretch in turns:
        when = Span(stretch[0].start_s, stretch[-1].end_s).clipped_to(span)
        if len(stretch) >= _REVERSALS and when is not None:
            found.append(
                Finding(
                    field="action",
                    kind="camera_shake",
                    text="the camera shakes",
                    span=when,
                    written_by=CameraObserver.written_by,
                    confidence=0.7,
                    detail={"value": len(stretch)},
                )
            )
    return found
