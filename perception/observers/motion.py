"""Motion observer: movement, arrivals, departures and visits, and objects taken or put down.

    observer = MotionObserver()
    observer.push(frame)                     # each sampled frame, in order
    observer.findings(Span(4.0, 9.0))        # "a tall grey shape enters from the bottom", …
    observer.cut(9.0)                        # the next frame belongs to another shot

It reports only what pixels show: that something tall and grey came in from the left, never that it was
a person. While the camera moves, it only reports how much of the picture moves. Something large enough that appears or disappears without movement is reported too. A new page on a screen is
learned and not reported.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.box_geometry import as_fractions, center
from ...common.builtin_kinds import builtin_kinds
from ...common.clock_times import format_interval
from ...memory.values import Box, Field, Finding, Span
from ..sources.frame import Frame
from .background_subtraction import BackgroundModel, BackgroundView
from .blobs import PixelBox, find_blobs
from .colours import accent_of_counts, name_of_counts
from .scene_changes import SceneChange, SceneChangeTracker
from .tracking import Track, Tracker, TrackPoint

_IDLE = 0.002  # the fraction of the picture that may flicker while nothing moves
_EMPTY_S = 1.0  # shorter empty spans are not reported
_GLIMPSE_S = 0.4  # shorter tracks are not reported
_STAY_S = 1.5  # shorter stays are not reported
_KEPT_S = 4.0  # how long ended tracks are kept: a region that they changed may be judged this much later
_PACE = 0.045  # picture sides per second below which an object stays in place
_GOES = 0.06  # picture sides that it must cover for a direction
_GROWS = 1.35  # factor of its size when it approaches the camera
_ENTERS_S = 1.0  # the longest entry or exit
_SMALL, _LARGE = 0.008, 0.25  # fractions of the picture below and above which a shape is small or large
_SMALL_THING = 0.02  # the same for an object that was taken or put down
_SURE_SIGHTINGS = 6

_SIDE_WORDS = {"left": "the left", "right": "the right", "top": "the top", "bottom": "the bottom"}
_TOWARDS = {"towards": "towards the camera", "away": "away from the camera"}


@dataclass(frozen=True, slots=True)
class _FrameActivity:
    """How much happens in one frame."""

    time_s: float
    moving: float
    """The fraction of the picture that moves."""
    thirds: tuple[float, float, float]
    """Fractions of the movement in the left, middle and right third."""
    changed: float
    """The fraction of the picture that is foreground."""
    camera_moves: bool


class MotionObserver:
    """Reports movement, tracks, visits, removals and empty spans."""

    written_by = "motion/1"
    finding_kinds = builtin_kinds(
        "enters",
        "leaves",
        "visit",
        "moves",
        "stays",
        "removed",
        "placed",
        "appears",
        "disappears",
        "empty",
        "moving",
        "shape",
    )

    def __init__(self) -> None:
        self._background = BackgroundModel()
        self._tracker = Tracker()
        self._activity: deque[_FrameActivity] = deque(maxlen=1024)
        self._scene_changes = SceneChangeTracker(self._background, self._tracker)
        self._changes: deque[SceneChange] = deque(maxlen=64)
        self._reported: deque[tuple[str, int]] = deque(maxlen=256)
        self._last_s = -math.inf

    def push(self, frame: Frame) -> None:
        """Take one sampled frame. A frame without its small picture is ignored."""
        if frame.small is None:
            return
        if frame.time_s < self._last_s:
            self._restart()
        time_s = self._last_s = frame.time_s
        view = self._background.push(frame.small, time_s)
        self._activity.append(_frame_activity(view, time_s))
        if not view.steady:
            if self._tracker.alive:
                self._tracker.end_all(time_s)
            self._scene_changes.forget()
            return
        blobs = find_blobs(view, self._background, time_s)
        for track, blob in self._tracker.update(blobs, view.picture, time_s):
            change = self._scene_changes.judge(track, blob, view, time_s)
            if change is not None:
                self._changes.append(change)

    def cut(self, time_s: float) -> None:
        """End all tracks, and learn the scene of the next shot."""
        self._restart()

    def _restart(self) -> None:
        self._tracker.end_all(self._last_s)
        self._background.forget()
        self._scene_changes.forget()
        self._last_s = -math.inf

    def findings(self, span: Span) -> list[Finding]:
        """The findings in ``span``, in time order. Called once per moment, in order."""
        tracks = [
            track
            for track in (*self._tracker.ended, *self._tracker.alive)
            if track.confirmed_s is not None and track.born_s < span.end_s and track.last_s >= span.start_s
            # A track that loses the object it left behind may have lasted for an instant only.
            if track.ended_s is None or track.ended_s - track.born_s >= _GLIMPSE_S
        ]
        findings: list[Finding] = []
        for track in tracks:
            findings += self._track_findings(track, span)
        findings += self._change_findings(span)
        findings += self._empty_findings(span, tracks)
        findings += self._movement_findings(span)
        self._forget_before(span.end_s)
        return sorted(findings, key=lambda finding: finding.span)

    def _track_findings(self, track: Track, span: Span) -> Iterator[Finding]:
        colours = _colours(track.colour_weights())
        size = "small " if track.share < _SMALL else ("large " if track.share > _LARGE else "")
        name = f"{size}{track.shape} {' and '.join(colours.values())} shape"
        facts: dict[str, str | float] = {
            "track": track.number,
            **colours,
            "shape": track.shape,
            "size": round(track.share, 4),
        }
        visible = Span(track.born_s, max(track.last_s, track.born_s)).clipped_to(span)
        if visible is not None:
            times = {"start_s": round(visible.start_s, 2), "end_s": round(visible.end_s, 2)}
            yield self._finding("actor", "shape", f"a {name}", visible, {**facts, **times}, track)
        yield from self._entry(track, span, name, facts)
        yield from self._course_findings(track, span, name, facts)
        if track.ended_s is not None and span.start_s < track.ended_s <= span.end_s:
            yield from self._end_findings(track, span, name, facts)

    def _entry(
        self, track: Track, span: Span, name: str, facts: Mapping[str, str | float]
    ) -> Iterator[Finding]:
        if not self._is_first_report("enters", track.number):
            return
        entry = Span(track.born_s, min(track.born_s + _ENTERS_S, track.last_s)).clipped_to(span)
        if entry is not None:
            side = track.came_from
            text = f"a {name} enters from {_SIDE_WORDS[side]}" if side in _SIDE_WORDS else f"a {name} appears"
            yield self._finding("action", "enters", text, entry, {**facts, "from": side}, track)

    def _end_findings(
        self, track: Track, span: Span, name: str, facts: Mapping[str, str | float]
    ) -> Iterator[Finding]:
        """The departure, and the visit that is over with it."""
        side, end_s = track.went_to, track.last_s
        if track.complete:
            departure = Span(max(track.born_s, end_s - _ENTERS_S), end_s).clipped_to(span)
            if departure is not None:
                text = (
                    f"the {name} leaves to {_SIDE_WORDS[side]}"
                    if side in _SIDE_WORDS
                    else f"the {name} disappears"
                )
                yield self._finding("action", "leaves", text, departure, {**facts, "to": side}, track)
        yield self._finding(
            "action",
            "visit",
            f"a {name} is there {format_interval(track.born_s, end_s)}",
            Span(track.born_s, end_s),
            {
                **facts,
                "value": round(end_s - track.born_s, 2),
                "from": track.came_from,
                "to": side if track.complete else "",
                "complete": int(track.complete),
            },
            track,
        )

    def _course_findings(
        self, track: Track, span: Span, name: str, facts: Mapping[str, str | float]
    ) -> Iterator[Finding]:
        """Where it moved and where it stayed."""
        sightings = [point for point in track.sightings if span.start_s <= point.time_s <= span.end_s]
        for moves, run in _runs(sightings, track.size):
            over = Span(run[0].time_s, run[-1].time_s).clipped_to(span)
            if over is None:
                continue
            if moves:
                direction = _direction(run, track)
                if direction:
                    text = f"a {name} moves {_TOWARDS.get(direction, direction)}"
                    yield self._finding(
                        "action", "moves", text, over, {**facts, "direction": direction}, track
                    )
            elif over.duration_s >= _STAY_S:
                place = _place(run[len(run) // 2].box, track.size)
                text = f"a {name} stays {_in_place(place)}"
                yield self._finding("action", "stays", text, over, {**facts, "place": place}, track)

    def _change_findings(self, span: Span) -> Iterator[Finding]:
        for change in list(self._changes):
            over = _overlap_or_point(change.span, span)
            if over is None:
                continue
            self._changes.remove(change)
            colours = _colours(change.colours)
            share = change.area / (change.size[0] * change.size[1])
            place = _place(change.box, change.size, vertical=True)
            size = "small " if share < _SMALL_THING else ""
            thing = f"something {size}{' and '.join(colours.values())}"
            if change.kind == "appears":
                text = f"{thing} appears {_in_place(place)}"
            elif change.kind == "disappears":
                text = f"{thing} disappears {_in_place(place)}"
            elif change.kind == "removed":
                text = f"{thing} is taken away from the {place}"
            elif change.returned:
                text = f"{thing} is put back {_in_place(place)}"
            else:
                text = f"{thing} is put down {_in_place(place)}"
            detail: dict[str, str | float] = {
                "place": place,
                **colours,
                "size": round(share, 4),
            }
            if change.kind == "placed":
                detail["returned"] = int(change.returned)
            yield Finding(
                "action",
                change.kind,
                text,
                over,
                self.written_by,
                confidence=0.8,
                box=_rounded_fractions(change.box, change.size),
                detail=detail,
            )

    def _empty_findings(self, span: Span, tracks: Sequence[Track]) -> Iterator[Finding]:
        """The spans in which nothing moves and nothing new is in the picture."""
        run: list[float] = []
        for activity in self._activity_in(span):
            is_busy = (
                activity.camera_moves
                or activity.moving > _IDLE
                or activity.changed > 2 * _IDLE
                or any(track.born_s <= activity.time_s <= track.last_s for track in tracks)
            )
            if not is_busy:
                run.append(activity.time_s)
                continue
            yield from self._empty_finding(run, activity.time_s)
            run = []
        yield from self._empty_finding(run, span.end_s)

    def _empty_finding(self, run: Sequence[float], end_s: float) -> Iterator[Finding]:
        if run and end_s - run[0] >= _EMPTY_S:
            text = "nothing moves and nothing new is in the picture"
            yield Finding("attribute", "empty", text, Span(run[0], end_s), self.written_by, confidence=0.9)

    def _movement_findings(self, span: Span) -> Iterator[Finding]:
        """How much of the picture moves, and where."""
        frames = list(self._activity_in(span))
        busy = [activity for activity in frames if activity.moving > _IDLE]
        if not busy:
            return
        share = sum(activity.moving for activity in busy) / len(frames)
        thirds = [sum(activity.thirds[third] * activity.moving for activity in busy) for third in range(3)]
        place = "all over"
        if max(thirds) > 0.5 * sum(thirds):
            place = ("left", "middle", "right")[thirds.index(max(thirds))]
        text = (
            "movement all over the picture" if place == "all over" else f"movement, mostly {_in_place(place)}"
        )
        over = Span(busy[0].time_s, min(max(busy[-1].time_s, busy[0].time_s + 0.01), span.end_s))
        detail: dict[str, str | float] = {"value": round(share, 4), "place": place}
        yield Finding("attribute", "moving", text, over, self.written_by, detail=detail)

    def _finding(
        self,
        field: Field,
        kind: str,
        text: str,
        span: Span,
        detail: Mapping[str, str | float],
        track: Track,
    ) -> Finding:
        nearest = min(
            track.sightings, key=lambda point: abs(point.time_s - span.middle_s), default=track.last
        )
        return Finding(
            field,
            kind,
            text,
            span,
            self.written_by,
            confidence=0.8 if track.sighting_count >= _SURE_SIGHTINGS else 0.6,
            box=_rounded_fractions(nearest.box, track.size),
            detail=detail,
        )

    def _is_first_report(self, kind: str, number: int) -> bool:
        if (kind, number) in self._reported:
            return False
        self._reported.append((kind, number))
        return True

    def _activity_in(self, span: Span) -> Iterator[_FrameActivity]:
        return (activity for activity in self._activity if span.contains(activity.time_s))

    def _forget_before(self, time_s: float) -> None:
        while self._activity and self._activity[0].time_s < time_s:
            self._activity.popleft()
        while self._tracker.ended and self._tracker.ended[0].last_s <= time_s - _KEPT_S:
            self._tracker.ended.popleft()
        while self._changes and self._changes[0].span.end_s < time_s - _KEPT_S:
            self._changes.popleft()


def _frame_activity(view: BackgroundView, time_s: float) -> _FrameActivity:
    width = view.moving.shape[1]
    counts = [
        cv2.countNonZero(view.moving[:, width * third // 3 : width * (third + 1) // 3]) for third in range(3)
    ]
    total = max(sum(counts), 1)
    return _FrameActivity(
        time_s=time_s,
        moving=view.moving_share,
        thirds=(counts[0] / total, counts[1] / total, counts[2] / total),
        changed=cv2.countNonZero(view.foreground) / view.foreground.size,
        camera_moves=view.camera_moves,
    )


def _runs(sightings: Sequence[TrackPoint], size: tuple[int, int]) -> Iterator[tuple[bool, list[TrackPoint]]]:
    """Split a course into runs of moving and of staying."""
    run: list[TrackPoint] = []
    moved: bool | None = None
    for index, sighting in enumerate(sightings):
        before = sightings[max(0, index - 2)]
        after = sightings[min(len(sightings) - 1, index + 2)]
        passed_s = after.time_s - before.time_s
        if passed_s <= 0:
            continue
        (x0, y0), (x1, y1) = _relative_center(before.box, size), _relative_center(after.box, size)
        across, down = (x1 - x0) * size[0], (y1 - y0) * size[1]
        moves = math.hypot(across, down) / max(size) / passed_s > _PACE
        if moved is not None and moves != moved:
            yield moved, run
            run = run[-1:]
        run.append(sighting)
        moved = moves
    if moved is not None and run:
        yield moved, run


def _direction(run: Sequence[TrackPoint], track: Track) -> str:
    """The direction of a run, or an empty string if it went nowhere."""
    (x0, y0), (x1, y1) = (_relative_center(point.box, track.size) for point in (run[0], run[-1]))
    longer = max(track.size)
    across, down = (x1 - x0) * track.size[0] / longer, (y1 - y0) * track.size[1] / longer
    if not run[0].edges and not run[-1].edges:
        growth = math.sqrt(run[-1].area / max(run[0].area, 1))
        if max(growth, 1 / max(growth, 1e-3)) > _GROWS and math.hypot(across, down) < 2 * _GOES:
            return "towards" if growth > 1 else "away"
    if math.hypot(across, down) < _GOES:
        return ""
    if abs(across) >= abs(down):
        return "right" if across > 0 else "left"
    return "down" if down > 0 else "up"


def _colours(weights: NDArray[np.float64]) -> dict[str, str]:
    """The name of the main colour, and of a clear second colour if it has one."""
    accent = accent_of_counts(weights)
    return {"colour": name_of_counts(weights)} | ({"accent": accent} if accent else {})


def _place(box: PixelBox, size: tuple[int, int], *, vertical: bool = False) -> str:
    across, down = _relative_center(box, size)
    place = "left" if across < 1 / 3 else ("right" if across > 2 / 3 else "middle")
    if vertical and not 0.25 <= down <= 0.75:
        return f"{'top' if down < 0.25 else 'bottom'} {place}"
    return place


def _in_place(place: str) -> str:
    return f"in the {place}" if place.endswith("middle") else f"on the {place}"


def _relative_center(box: PixelBox, size: tuple[int, int]) -> tuple[float, float]:
    across, down = center(box)
    return across / size[0], down / size[1]


def _rounded_fractions(box: PixelBox, size: tuple[int, int]) -> Box:
    left, top, right, bottom = as_fractions(box, size)
    return round(left, 4), round(top, 4), round(right, 4), round(bottom, 4)


def _overlap_or_point(span: Span, moment: Span) -> Span | None:
    """``span`` clipped to the moment. A change within one frame is extended to a short span."""
    if span.duration_s < 0.05:
        span = Span(span.start_s, span.start_s + 0.05)
    return span.clipped_to(moment)
