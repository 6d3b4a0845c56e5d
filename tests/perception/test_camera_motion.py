from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.camera_motion import CameraObserver
from recollect.perception.observers.observer import Observer
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame, Picture

FPS = 4


@cache
def town(seed: int = 1) -> Picture:
    """A synthetic scene full of corners, much wider than the view of the camera."""
    random = np.random.default_rng(seed)
    place = np.full((600, 1600, 3), 90, np.uint8)
    for _ in range(900):
        x, y = int(random.integers(0, 1580)), int(random.integers(0, 580))
        w, h = (int(size) for size in random.integers(8, 60, 2))
        cv2.rectangle(place, (x, y), (x + w, y + h), [int(c) for c in random.integers(20, 235, 3)], -1)
    return cv2.GaussianBlur(place, (0, 0), 1.2)


def view(place: Picture, x: float, y: float = 300, *, zoom: float = 1.0) -> Picture:
    """The picture of a camera that points at (x, y)."""
    matrix = np.array([[zoom, 0, 160 - zoom * x], [0, zoom, 90 - zoom * y]])
    return cv2.warpAffine(place, matrix, (320, 180), flags=cv2.INTER_AREA)


def filmed(pictures: Iterable[Picture], start_s: float = 0.0) -> list[Frame]:
    frames = []
    for number, picture in enumerate(pictures):
        thumb = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (64, 36), interpolation=cv2.INTER_AREA)
        frames.append(Frame(start_s + number / FPS, number, Fraction(1, FPS), thumb, small=picture))
    return frames


def find(frames: list[Frame], *spans: Span) -> list[Finding]:
    observer = CameraObserver()
    for frame in frames:
        observer.push(frame)
    return [finding for span in spans or (Span(0, 60),) for finding in observer.findings(span)]


def test_it_is_an_observer():
    assert isinstance(CameraObserver(), Observer)


@pytest.mark.parametrize(
    ("direction", "right", "down"), [("right", 1, 0), ("left", -1, 0), ("up", 0, -1), ("down", 0, 1)]
)
def test_a_pan_has_the_direction_of_the_camera(direction, right, down):
    still = [view(town(), 700)] * 4
    moving = [view(town(), 700 + 12 * right * n, 300 + 12 * down * n) for n in range(9)]

    findings = find(filmed([*still, *moving]))

    assert [(f.kind, f.detail["direction"]) for f in findings] == [("camera_pan", direction)]
    assert findings[0].span.start_s == pytest.approx(1.0, abs=0.3)
    assert findings[0].span.end_s == pytest.approx(3.0, abs=0.3)
    assert findings[0].detail["value"] == pytest.approx(8 * 12 / 320, rel=0.1)


@pytest.mark.parametrize(("kind", "step"), [("camera_zoom_in", 1.05), ("camera_zoom_out", 1 / 1.05)])
def test_a_zoom_reports_its_magnification(kind, step):
    findings = find(filmed(view(town(), 800, zoom=1.5 * step**n) for n in range(9)))

    assert [finding.kind for finding in findings] == [kind]
    assert findings[0].detail["value"] == pytest.approx(step**8, rel=0.05)


def test_a_still_camera_gives_no_findings():
    assert find(filmed([view(town(), 700)] * 20)) == []


def test_a_passing_object_is_not_camera_movement():
    place, patch = view(town(), 700), town(2)[:120, :140]
    pictures = []
    for number in range(16):
        picture = place.copy()
        left_px = 20 * number - 140
        visible = patch[:, max(0, -left_px) : max(0, 320 - left_px)]
        picture[40:160, max(0, left_px) : max(0, left_px) + visible.shape[1]] = visible
        pictures.append(picture)

    assert find(filmed(pictures)) == []


def test_a_lamp_switched_on_is_not_camera_movement():
    place = view(town(), 700)
    dark = (place * 0.4).astype(np.uint8)

    assert find(filmed([dark] * 4 + [place] * 4)) == []


def test_a_camera_that_moves_back_and_forth_shakes():
    findings = find(filmed(view(town(), 700 + 8 * (-1) ** n) for n in range(13)))

    assert [finding.kind for finding in findings] == ["camera_shake"]


def test_two_shots_are_not_compared_across_a_cut():
    observer = CameraObserver()
    for frame in filmed([view(town(), 700)] * 4):
        observer.push(frame)

    observer.cut(1.0)

    for frame in filmed([view(town(), 760)] * 4, start_s=1.0):
        observer.push(frame)
    assert observer.findings(Span(0, 2)) == []


def test_a_pan_across_two_moments_is_reported_in_both():
    frames = filmed(view(town(), 600 + 12 * n) for n in range(17))

    findings = find(frames, Span(0, 2), Span(2, 4.25))

    assert [(f.kind, f.span.start_s, f.span.end_s) for f in findings] == [
        ("camera_pan", 0.0, 2.0),
        ("camera_pan", 2.0, 4.0),
    ]


def test_a_lost_track_gives_no_findings():
    random = np.random.default_rng(3)

    pictures = [random.integers(0, 255, (180, 320, 3)).astype(np.uint8) for _ in range(12)]

    assert find(filmed(pictures)) == []


def watched(clip: Path, span: Span) -> list[Finding]:
    observer = CameraObserver()
    with closing(FileSource(clip, FPS)) as source:
        for event in source.frames(span.start_s):
            if isinstance(event, Frame):
                if event.time_s >= span.end_s:
                    break
                if event.sampled:
                    observer.push(event)
    return observer.findings(span)


@pytest.mark.slow
def test_the_zoom_of_a_screen_recorder_is_found(clips):
    findings = watched(clips / "c07_browser_screencast_hevc.mp4", Span(8.5, 10.6))

    zooms = [finding for finding in findings if finding.kind == "camera_zoom_in"]
    assert len(zooms) == 1
    assert zooms[0].span.overlaps(Span(9.5, 10.7))


def test_a_fixed_camera_in_a_shop_never_moves(clips):
    assert watched(clips / "c03_bottles_on_table.mp4", Span(5, 25)) == []
