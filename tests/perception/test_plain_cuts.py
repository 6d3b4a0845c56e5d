"""Cuts between plain pictures: found by colour, and not mistaken for light."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recollect import Recollect, WatchOptions
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.stages.shot_detection import ShotDetector

Colour = tuple[int, int, int]


def plain_frame(time_s: float, colour: Sequence[float], *, sampled: bool, seed: int = 0) -> Frame:
    """A plain picture with a little noise, as a decoder gives it."""
    noise = np.random.default_rng(seed).normal(0, 1.0, (90, 160, 3))
    small = np.clip(np.asarray(colour, np.float64) + noise, 0, 255).astype(np.uint8)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    thumb = np.asarray(cv2.resize(grey, THUMB_SHAPE[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(time_s, 0, Fraction(1, 1000), thumb, small=small if sampled else None)


def cuts_of(colour_at: list[Sequence[float]], *, fps: int, sampled_fps: int) -> list[float]:
    """The cuts found in a film with one colour for each frame."""
    detector, cuts = ShotDetector(), []
    for number, colour in enumerate(colour_at):
        is_sampled = number % (fps // sampled_fps) == 0
        boundary = detector.push(plain_frame(number / fps, colour, sampled=is_sampled, seed=number))
        if boundary is not None:
            cuts.append(boundary.end_s)
    return cuts


def colour_of(hue: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
    return round(255 * blue), round(255 * green), round(255 * red)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    hue=st.floats(0, 1),
    turn=st.floats(0.25, 0.75),
    value=st.floats(0.5, 0.95),
    length=st.integers(20, 60),
    rate=st.sampled_from([(25, 5), (24, 4), (30, 2), (10, 10)]),
)
def test_a_cut_to_another_colour_is_found_once(
    hue: float, turn: float, value: float, length: int, rate: tuple[int, int]
) -> None:
    fps, sampled_fps = rate
    before, after = colour_of(hue, value), colour_of((hue + turn) % 1, value)

    cuts = cuts_of([before] * length + [after] * (2 * fps), fps=fps, sampled_fps=sampled_fps)

    assert len(cuts) == 1
    assert abs(cuts[0] - length / fps) <= 1 / sampled_fps


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(hue=st.floats(0, 1), value=st.floats(0.3, 0.9), factor=st.floats(0.35, 1.0))
def test_a_lamp_that_is_switched_is_no_cut(hue: float, value: float, factor: float) -> None:
    lit = colour_of(hue, value)
    dark = tuple(channel * factor for channel in lit)
    # A picture as dark as a blank one lies between two shots.
    assume(0.114 * dark[0] + 0.587 * dark[1] + 0.299 * dark[2] > 40)

    assert cuts_of([lit] * 50 + [dark] * 50 + [lit] * 50, fps=25, sampled_fps=5) == []


def test_a_coloured_flash_is_no_cut() -> None:
    blue, red = (220, 40, 40), (40, 40, 220)

    assert cuts_of([blue] * 50 + [red] * 4 + [blue] * 50, fps=25, sampled_fps=5) == []


def test_each_plain_picture_is_a_moment_of_its_own(tmp_path: Path) -> None:
    colours = [(220, 20, 20), (20, 20, 220), (20, 200, 40)]
    with av.open(str(tmp_path / "cards.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(120):
            picture = np.full((240, 320, 3), colours[number // 40], np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())

    with Recollect(tmp_path / "memory") as memory:
        memory.watch(tmp_path / "cards.mp4", options=WatchOptions(ocr=False))
        moments = memory.timeline("cards", rung="moment")

    assert [round(moment.span.start_s, 1) for moment in moments] == [0.0, 4.0, 8.0]
    assert [
        next(word for word in ("red", "blue", "green") if word in moment.caption) for moment in moments
    ] == [
        "red",
        "blue",
        "green",
    ]
