"""Camera observer: how the camera itself moves (pans, zooms, shakes).

    observer = CameraObserver()
    observer.push(frame)                  # for each sampled frame
    observer.findings(Span(8.0, 12.0))    # [action/camera_zoom_in "the camera zooms in", …]

If most of the picture changed since the last sampled frame, corners are tracked between the two. If most
of them, all over the picture, agree on one shift and scale, the camera moved. A fixed camera's picture
rarely changes all over, so it costs almost nothing. The zoom of a screen recorder counts as a zoom of the
camera. Objects are not recognised: a lorry that fills the picture looks like a moving camera.
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
_CHANGED = 2  # mean difference of luma from which a cell of the thumbnail has changed
_WIDESPREAD = 0.4  # the fraction of cells that change when the camera moves
_LONGEST_STEP_S = 1.0  # frames farther apart than this are not compared
_CORNERS, _CORNER_GAP = 80, 8
_WINDOW, _LEVELS = (11, 11), 3
_WORST_MATCH = 14.0  # mean difference of luma of a tracked corner
_ENOUGH = 10  # the least number of corners that agree
_AGREE, _TRACKED = 0.75, 0.3  # their least fraction of the tracked corners, and of all
_CELLS, _SPREAD = 4, 0.5  # cells of 4 × 3 with agreeing corners, and their fraction of those with any

_PAN_RATE, _ZOOM_RATE = 0.015, 0.04  # picture sides per second, and log of scale per second
_PAN, _ZOOM = 0.06, 0.07  # picture sides, and log of scale, that a whole motion must reach
_REVERSALS, _SHAKE_S = 3, 1.0  # changes of direction, and the most seconds between two of them
_HOLE_S = 0.6  # one or two steps may be missing
_CONTEXT_S = 4.0
_KEPT = 1200


@dataclass(frozen=True, slots=True)
class _Step:
    """How the camera moved from one sampled frame to the next."""

    start_s: float
    end_s: float
    shot: int
    right: float
    """Shift of the camera, as a fraction of the picture's longer side."""
    down: float
    zoom: float
    """Logarithm of the scale."""

    @property
    def kind(self) -> _Motion:
        """The main motion."""
        seconds = self.end_s - self.start_s
        shift = math.hypot(self.right, self.down)
        # A zoom by z moves the picture's edges by z/2. The larger motion decides.
        if abs(self.zoom) >= _ZOOM_RATE * seconds and abs(self.zoom) / 2 > shift:
            return "in" if self.zoom > 0 else "out"
        return "pan" if shift >= _PAN_RATE * seconds else "rest"

    def cosine(self, step: _Step) -> float:
        """The cosine of the angle between two shifts."""
        lengths = math.hypot(self.right, self.down) * math.hypot(step.right, step.down)
        return (self.right * step.right + self.down * step.down) / max(lengths, 1e-9)

    def continues(self, group: list[_Step]) -> bool:
        """Whether it continues the motion of ``group``."""
        return self.kind == group[-1].kind and (self.kind != "pan" or self.cosine(group[-1]) > 0.5)


class CameraObserver:
    """Reports when the camera pans, zooms or shakes."""

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
            motion = camera_motion(_gray(last.small), _gray(frame.small))
            if motion is not None:
                self._steps.append(_Step(last.time_s, frame.time_s, self._shot, *motion))

    def cut(self, time_s: float) -> None:
        """Begin another shot. Its first picture is not compared with the last one of this shot."""
        self._last = None
        self._shot += 1

    def findings(self, span: Span) -> list[Finding]:
        """How the camera moved in ``span``."""
        steps = [step for step in self._steps if step.start_s < span.end_s + _CONTEXT_S]
        while self._steps and self._steps[0].end_s < span.end_s - _CONTEXT_S:
            self._steps.popleft()
        findings: list[Finding] = []
        for run in _runs(steps):
            findings += _pans_and_zooms(run, span)
            findings += _shakes(run, span)
        return sorted(findings, key=lambda finding: finding.span)


def widely_changed(before: Thumb, after: Thumb) -> bool:
    """Whether two pictures differ in most places, as they do when a camera moves."""
    cells = cv2.resize(cv2.absdiff(before, after), (8, 6), interpolation=cv2.INTER_AREA)
    return bool(np.count_nonzero(cells >= _CHANGED) >= _WIDESPREAD * cells.size)


def _gray(picture: Picture) -> _Gray:
    """The picture in grey, with its longer side scaled to ``_SIDE`` pixels."""
    scale = _SIDE / max(picture.shape)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def camera_motion(before: _Gray, after: _Gray) -> tuple[float, float, float] | None:
    """How the camera moved between two pictures: right, down, and logarithm of the zoom.

    Right and down are fractions of the longer side. None where too few corners agree.
    """
    motion, is_coherent = _track_corners(before, after)
    if motion is None and is_coherent:
        # Corners near the edge leave the picture when the camera zooms in. Backwards, all can be tracked.
        backward, _ = _track_corners(after, before)
        motion = None if backward is None else (-backward[0], -backward[1], -backward[2])
    return motion


def _track_corners(before: _Gray, after: _Gray) -> tuple[tuple[float, float, float] | None, bool]:
    """The motion as ``camera_motion`` returns it, and whether the tracked corners agree."""
    features = cv2.goodFeaturesToTrack(before, _CORNERS, 0.01, _CORNER_GAP)
    if features is None or len(features) < _ENOUGH:
        return None, False
    corners = np.asarray(features, np.float32)
    moved_corners, status, error = cv2.calcOpticalFlowPyrLK(
        before, after, corners, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    is_tracked = (np.ravel(status) == 1) & (np.ravel(error) < _WORST_MATCH)
    if np.count_nonzero(is_tracked) < _ENOUGH // 2:
        return None, False
    matrix, inliers = cv2.estimateAffinePartial2D(
        corners[is_tracked],
        np.asarray(moved_corners)[is_tracked],
        method=cv2.RANSAC,
        ransacReprojThreshold=1.5,
    )
    if matrix is None:
        return None, False
    agreeing = corners[is_tracked][np.ravel(inliers) == 1]
    if len(agreeing) < _AGREE * np.count_nonzero(is_tracked):
        return None, False
    height, width = before.shape
    if (
        len(agreeing) < max(_ENOUGH, _TRACKED * len(corners))
        or _cells(agreeing, width, height) < max(_CELLS, _SPREAD * _cells(corners, width, height))
    ):  # fmt: skip
        return None, True
    middle = np.array([width / 2, height / 2])
    shift = (matrix[:, :2] @ middle + matrix[:, 2] - middle) / max(width, height)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    # When the picture moves left, the camera moves right.
    return (-float(shift[0]), -float(shift[1]), math.log(max(scale, 1e-3))), True


def _cells(points: NDArray[np.float32], width: int, height: int) -> int:
    """The number of cells of a 4 × 3 grid that contain any of the points."""
    columns, rows = (points.reshape(-1, 2) // (width / 4, height / 3)).astype(int).T
    return len(np.unique(4 * rows + columns))


def _runs(steps: Iterable[_Step]) -> list[list[_Step]]:
    """Consecutive steps of one shot, where one or two steps may be missing."""
    runs: list[list[_Step]] = []
    for step in steps:
        if runs and step.shot == runs[-1][-1].shot and step.start_s - runs[-1][-1].end_s <= _HOLE_S:
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _pans_and_zooms(run: list[_Step], span: Span) -> list[Finding]:
    """The pans and zooms of ``run`` in ``span``."""
    findings = []
    for group in _groups(run):
        kind = group[0].kind
        extent = _distance(group) / _PAN if kind == "pan" else abs(sum(step.zoom for step in group)) / _ZOOM
        inside = Span(group[0].start_s, group[-1].end_s).clipped_to(span)
        if extent < (2.0 if len(group) == 1 else 1.0) or inside is None:
            continue
        steps = [step for step in group if Span(step.start_s, step.end_s).overlaps(span)]
        findings.append(_pan(group, steps, inside) if kind == "pan" else _zoom(kind, steps, inside))
    return findings


def _groups(run: list[_Step]) -> list[list[_Step]]:
    """The steps of ``run`` in which the camera moved, grouped where it kept one motion."""
    groups: list[list[_Step]] = []
    for step in run:
        if step.kind == "rest":
            continue
        if groups and step.start_s - groups[-1][-1].end_s <= _HOLE_S and step.continues(groups[-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _zoom(kind: _Motion, steps: list[_Step], span: Span) -> Finding:
    factor = math.exp(sum(step.zoom for step in steps))
    return Finding(
        field="action",
        kind=f"camera_zoom_{kind}",
        text=f"the camera zooms {kind}",
        span=span,
        written_by=CameraObserver.written_by,
        confidence=0.8,
        detail={"value": round(factor, 3)},
    )


def _pan(group: list[_Step], steps: list[_Step], span: Span) -> Finding:
    """The pan of ``group``, of which ``steps`` are in ``span``."""
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
        span=span,
        written_by=CameraObserver.written_by,
        confidence=0.8,
        detail={"direction": direction, "value": round(_distance(steps), 3)},
    )


def _distance(steps: Iterable[_Step]) -> float:
    """How far the camera moved, in longer sides of the picture."""
    steps = list(steps)
    return math.hypot(sum(step.right for step in steps), sum(step.down for step in steps))


def _shakes(run: list[_Step], span: Span) -> list[Finding]:
    """The parts of ``run`` in which the camera moves back and forth."""
    moving = [step for step in run if step.kind == "pan"]
    turns: list[list[_Step]] = []
    for before, step in pairwise(moving):
        if step.cosine(before) >= 0:
            continue
        if turns and step.start_s - turns[-1][-1].end_s <= _SHAKE_S:
            turns[-1].append(step)
        else:
            turns.append([step])
    findings = []
    for shake in turns:
        inside = Span(shake[0].start_s, shake[-1].end_s).clipped_to(span)
        if len(shake) >= _REVERSALS and inside is not None:
            findings.append(
                Finding(
                    field="action",
                    kind="camera_shake",
                    text="the camera shakes",
                    span=inside,
                    written_by=CameraObserver.written_by,
                    confidence=0.7,
                    detail={"value": len(shake)},
                )
            )
    return findings
