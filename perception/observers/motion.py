"""What moves, comes, stays and goes in front of a fixed camera, and what is taken or put down.

    observer = MotionObserver()
    observer.push(frame)                     # each sampled frame, in order
    observer.findings(Span(4.0, 9.0))        # "a tall grey shape enters from the bottom", …
    observer.cut(9.0)                        # the next frame belongs to another shot

It says what pixels can bear: that something tall and grey came in from the left, never that it
was a person. While the camera moves it only says how much of the picture does. What changes at
once without moving, such as a page on a screen, is learned and not mentioned.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.builtin_kinds import builtin_kinds
from ...common.clock_times import between
from ...memory.values import Box, Field, Finding, Span
from ..sources.frame import Frame
from .background_subtraction import BackgroundModel, BackgroundView
from .blobs import PixelBox, find_blobs
from .colours import accent_of_counts, name_of_counts
from .scene_changes import SceneChange, SceneChangeTracker
from .tracking import Track, Tracker, TrackPoint

_IDLE = 0.002  # part of the picture that may flicker while nothing moves
_EMPTY_S = 1.0  # shorter empty stretches are not worth a word
_GLIMPSE_S = 0.4  # what was there for less is not mentioned
_STAY_S = 1.5  # ... nor shorter stays
_KEPT_S = 4.0  # how long what ended is kept: a place it changed may be judged so much later
_PACE = 0.045  # picture lengths a second below which a thing stays where it is
_GOES = 0.06  # picture lengths it covers at least for a direction
_GROWS = 1.35  # how much its height and width change when it comes nearer
_ENTERS_S = 1.0  # how long an entry or an exit is taken to last at most

_SIDE_WORDS = {"left": "the left", "right": "the right", "top": "the top", "bottom": "the bottom"}
_TOWARDS = {"towards": "towards the camera", "away": "away from the camera"}


@dataclass(frozen=True, slots=True)
class _Glance:
    """What one frame amounted to."""

    time_s: float
    moving: float
    thirds: tuple[float, float, float]
    """Shares of the movement in the left, middle and right third."""
    changed: float
    """Part of the picture that is foreground."""
    camera_moves: bool


class MotionObserver:
    """Finds movement, tracks, visits, removals and empty stretches in sampled frames."""

    written_by = "motion/1"
    finding_kinds = builtin_kinds(
        "enters", "leaves", "visit", "moves", "stays", "removed", "placed", "empty", "moving", "shape"
    )

    def __init__(self) -> None:
        self._background = BackgroundModel()
        self._tracker = Tracker()
        self._glances: deque[_Glance] = deque(maxlen=1024)
        self._ledger = SceneChangeTracker(self._background, self._tracker)
        self._changes: deque[SceneChange] = deque(maxlen=64)
        self._told: deque[tuple[str, int]] = deque(maxlen=256)
        self._last_s = -math.inf

    def push(self, frame: Frame) -> None:
        """Take one sampled frame; one without its small picture is passed over."""
        if frame.small is None:
            return
        if frame.time_s < self._last_s:
            self._begin_anew()
        time_s = self._last_s = frame.time_s
        view = self._background.push(frame.small, time_s)
        self._glances.append(_glance(view, time_s))
        if not view.steady:
            if self._tracker.alive:
                self._tracker.end_all(time_s)
            self._ledger.forget()
            return
        blobs = find_blobs(view, self._background, time_s)
        for track, blob in self._tracker.update(blobs, view.picture, time_s):
            change = self._ledger.judge(track, blob, view, time_s)
            if change is not None:
                self._changes.append(change)

    def cut(self, time_s: float) -> None:
        """A shot ended before the next frame: end what is followed, learn the next scene."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._tracker.end_all(self._last_s)
        self._background.forget()
        self._ledger.forget()
        self._last_s = -math.inf

    def findings(self, span: Span) -> list[Finding]:
        """What was seen in ``span``, in time order; asked once per moment, in order."""
        tracks = [
            track
            for track in (*self._tracker.ended, *self._tracker.alive)
            if track.confirmed_s is not None and track.born_s < span.end_s and track.last_s >= span.start_s
            # What turned out to be left behind may leave nothing but a glimpse.
            if track.ended_s is None or track.ended_s - track.born_s >= _GLIMPSE_S
        ]
        found: list[Finding] = []
        for track in tracks:
            found += self._of_track(track, span)
        found += self._of_changes(span)
        found += self._of_stillness(span, tracks)
        found += self._of_movement(span)
        self._forget_before(span.end_s)
        return sorted(found, key=lambda finding: finding.span)

    def _of_track(self, track: Track, span: Span) -> Iterator[Finding]:
        colours = _colours(track.colour_weights())
        size = "small " if track.share < 0.008 else ("large " if track.share > 0.25 else "")
        name = f"{size}{track.shape} {' and '.join(colours.values())} shape"
        end_s = track.last_s
        facts: dict[str, str | float] = {
            "track": track.number,
            **colours,
            "shape": track.shape,
            "size": round(track.share, 4),
        }
        seen = Span(track.born_s, max(end_s, track.born_s)).clipped_to(span)
        if seen is not None:
            times = {"start_s": round(seen.start_s, 2), "end_s": round(seen.end_s, 2)}
            yield self._say("actor", "shape", f"a {name}", seen, {**facts, **times}, track)
        if self._first_time("enters", track.number):
            entry = Span(track.born_s, min(track.born_s + _ENTERS_S, end_s)).clipped_to(span)
            if entry is not None:
                side = track.came_from
                text = (
                    f"a {name} enters from {_SIDE_WORDS[side]}"
                    if side in _SIDE_WORDS
                    else f"a {name} appears"
                )
                yield self._say("action", "enters", text, entry, {**facts, "from": side}, track)
        yield from self._of_course(track, span, name, facts)
        if track.ended_s is None or not span.start_s < track.ended_s <= span.end_s:
            return
        side = track.went_to
        if track.complete:
            exit_span = Span(max(track.born_s, end_s - _ENTERS_S), end_s).clipped_to(span)
            if exit_span is not None:
                text = (
                    f"the {name} leaves to {_SIDE_WORDS[side]}"
                    if side in _SIDE_WORDS
                    else f"the {name} disappears"
                )
                yield self._say("action", "leaves", text, exit_span, {**facts, "to": side}, track)
        yield self._say(
            "action",
            "visit",
            f"a {name} is there {between(track.born_s, end_s)}",
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

    def _of_course(
        self, track: Track, span: Span, name: str, facts: Mapping[str, str | float]
    ) -> Iterator[Finding]:
        """Where it moved and where it stayed."""
        sightings = [s for s in track.sightings if span.start_s <= s.time_s <= span.end_s]
        for moves, run in _runs(sightings, track.size):
            over = Span(run[0].time_s, run[-1].time_s).clipped_to(span)
            if over is None:
                continue
            if moves:
                direction = _direction(run, track)
                if direction:
                    text = f"a {name} moves {_TOWARDS.get(direction, direction)}"
                    yield self._say("action", "moves", text, over, {**facts, "direction": direction}, track)
            elif over.duration_s >= _STAY_S:
                place = _place(_middle(run[len(run) // 2].box, track.size))
                text = f"a {name} stays {_at(place)}"
                yield self._say("action", "stays", text, over, {**facts, "place": place}, track)

    def _of_changes(self, span: Span) -> Iterator[Finding]:
        for change in list(self._changes):
            over = _overlap_or_point(change.span, span)
            if over is None:
                continue
            self._changes.remove(change)
            colours = _colours(change.colours)
            share = change.area / (change.size[0] * change.size[1])
            place = _place(_middle(change.box, change.size), vertical=True)
            thing = f"something {'small ' if share < 0.02 else ''}{' and '.join(colours.values())}"
            if change.kind == "removed":
                text = f"{thing} is taken away from the {place}"
            elif change.returned:
                text = f"{thing} is put back {_at(place)}"
            else:
                text = f"{thing} is put down {_at(place)}"
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
                box=_share_box(change.box, change.size),
                detail=detail,
            )

    def _of_stillness(self, span: Span, tracks: Sequence[Track]) -> Iterator[Finding]:
        """The stretches in which nothing moves and nothing new is there."""
        run: list[float] = []
        for glance in self._in(span):
            busy = (
                glance.camera_moves
                or glance.moving > _IDLE
                or glance.changed > 2 * _IDLE
                or any(track.born_s <= glance.time_s <= track.last_s for track in tracks)
            )
            if not busy:
                run.append(glance.time_s)
                continue
            yield from self._empty(run, glance.time_s)
            run = []
        yield from self._empty(run, span.end_s)

    def _empty(self, run: Sequence[float], end_s: float) -> Iterator[Finding]:
        if run and end_s - run[0] >= _EMPTY_S:
            text = "nothing moves and nothing new is in the picture"
            yield Finding("attribute", "empty", text, Span(run[0], end_s), self.written_by, confidence=0.9)

    def _of_movement(self, span: Span) -> Iterator[Finding]:
        """How much of the picture moves, and where."""
        glances = list(self._in(span))
        busy = [glance for glance in glances if glance.moving > _IDLE]
        if not busy:
            return
        share = sum(glance.moving for glance in busy) / len(glances)
        thirds = [sum(glance.thirds[third] * glance.moving for glance in busy) for third in range(3)]
        place = "all over"
        if max(thirds) > 0.5 * sum(thirds):
            place = ("left", "middle", "right")[thirds.index(max(thirds))]
        text = "movement all over the picture" if place == "all over" else f"movement, mostly {_at(place)}"
        over = Span(busy[0].time_s, min(max(busy[-1].time_s, busy[0].time_s + 0.01), span.end_s))
        detail: dict[str, str | float] = {"value": round(share, 4), "place": place}
        yield Finding("attribute", "moving", text, over, self.written_by, detail=detail)

    def _say(
        self,
        field: Field,
        kind: str,
        text: str,
        span: Span,
        detail: Mapping[str, str | float],
        track: Track,
    ) -> Finding:
        near = min(track.sightings, key=lambda s: abs(s.time_s - span.middle_s), default=track.last)
        return Finding(
            field,
            kind,
            text,
            span,
            self.written_by,
            confidence=0.8 if track.seen >= 6 else 0.6,
            box=_share_box(near.box, track.size),
            detail=detail,
        )

    def _first_time(self, kind: str, number: int) -> bool:
        if (kind, number) in self._told:
            return False
        self._told.append((kind, number))
        return True

    def _in(self, span: Span) -> Iterator[_Glance]:
        return (glance for glance in self._glances if span.contains(glance.time_s))

    def _forget_before(self, time_s: float) -> None:
        while self._glances and self._glances[0].time_s < time_s:
            self._glances.popleft()
        while self._tracker.ended and self._tracker.ended[0].last_s <= time_s - _KEPT_S:
            self._tracker.ended.popleft()
        while self._changes and self._changes[0].span.end_s < time_s - _KEPT_S:
            self._changes.popleft()


def _glance(view: BackgroundView, time_s: float) -> _Glance:
    width = view.moving.shape[1]
    counts = [
        cv2.countNonZero(view.moving[:, width * third // 3 : width * (third + 1) // 3]) for third in range(3)
    ]
    total = max(sum(counts), 1)
    return _Glance(
        time_s=time_s,
        moving=view.moving_share,
        thirds=(counts[0] / total, counts[1] / total, counts[2] / total),
        changed=cv2.countNonZero(view.foreground) / view.foreground.size,
        camera_moves=view.camera_moves,
    )


def _runs(sightings: Sequence[TrackPoint], size: tuple[int, int]) -> Iterator[tuple[bool, list[TrackPoint]]]:
    """Cut a course into stretches of moving and of staying."""
    run: list[TrackPoint] = []
    moved: bool | None = None
    for index, sighting in enumerate(sightings):
        before = sightings[max(0, index - 2)]
        after = sightings[min(len(sightings) - 1, index + 2)]
        passed_s = after.time_s - before.time_s
        if passed_s <= 0:
            continue
        (x0, y0), (x1, y1) = _middle(before.box, size), _middle(after.box, size)
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
    """Where a stretch of its course led, or nothing if nowhere."""
    (x0, y0), (x1, y1) = (_middle(s.box, track.size) for s in (run[0], run[-1]))
    longer = max(track.size)
    across, down = (x1 - x0) * track.size[0] / longer, (y1 - y0) * track.size[1] / longer
    if not run[0].edges and not run[-1].edges:
        grown = math.sqrt(run[-1].area / max(run[0].area, 1))
        if max(grown, 1 / max(grown, 1e-3)) > _GROWS and math.hypot(across, down) < 2 * _GOES:
            return "towards" if grown > 1 else "away"
    if math.hypot(across, down) < _GOES:
        return ""
    if abs(across) >= abs(down):
        return "right" if across > 0 else "left"
    return "down" if down > 0 else "up"


def _colours(weights: NDArray[np.float64]) -> dict[str, str]:
    """The name of the main colour, and of the second one if there clearly is one."""
    accent = accent_of_counts(weights)
    return {"colour": name_of_counts(weights)} | ({"accent": accent} if accent else {})


def _place(middle: tuple[float, float], *, vertical: bool = False) -> str:
    across, down = middle
    place = "left" if across < 1 / 3 else ("right" if across > 2 / 3 else "middle")
    if vertical and not 0.25 <= down <= 0.75:
        return f"{'top' if down < 0.25 else 'bottom'} {place}"
    return place


def _at(place: str) -> str:
    return f"in the {place}" if place.endswith("middle") else f"on the {place}"


def _middle(box: PixelBox, size: tuple[int, int]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2 / size[0], (box[1] + box[3]) / 2 / size[1]


def _share_box(box: PixelBox, size: tuple[int, int]) -> Box:
    width, height = size
    return (
        round(box[0] / width, 4),
        round(box[1] / height, 4),
        round(box[2] / width, 4),
        round(box[3] / height, 4),
    )


def _overlap_or_point(span: Span, moment: Span) -> Span | None:
    """``span`` cut to the moment; a change within one frame still gets a little time."""
    if span.duration_s < 0.05:
        span = Span(span.start_s, span.start_s + 0.05)
    return span.clipped_to(moment)
