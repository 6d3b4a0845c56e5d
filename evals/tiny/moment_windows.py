"""Moment windows: the drawn house cut into moments as perception cuts it, with spans, key frames and facts.

    windows = windows_of(rng, scene)
    windows[0].seen.caption       # what its key frames show
    closely(windows[0], 8).seen   # what more pictures of it show

No video is decoded. The times of key frames follow from the changes in the scene.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import cv2
import numpy as np

from ...memory.values import Span
from ...perception.sources.frame import Picture
from ...perception.stages.key_frames import MAX_FRAMES, SPACING_S
from ...worlds.house import Act, PictureFacts, RoomScene, facts_in, furnish
from ...worlds.house.drawing import RoomView, draw
from ...worlds.scenes import HEIGHT, WIDTH

_SAMPLED_S = 0.25
"""Time between two sampled frames."""
_MOVED_PX = 10
"""A person who moves further than this makes a new key frame."""
_GRAIN = 2.2


@dataclass(frozen=True)
class Window:
    """A moment as perception would cut it: its span, the times of its key frames, and what they show."""

    scene: RoomScene
    span: Span
    """In seconds of the scene."""
    times_s: tuple[float, ...]
    """Times of the key frames, in seconds of the scene."""
    begins_s: float = 0.0
    """When the scene began, in stream seconds."""

    @property
    def views(self) -> list[RoomView]:
        """The contents of its pictures, in order."""
        return [self.scene.view(time_s) for time_s in self.times_s]

    @cached_property
    def seen(self) -> PictureFacts:
        """The facts in its pictures."""
        return facts_in(self.views)

    @property
    def stream_span(self) -> Span:
        """The span in stream seconds."""
        return Span(self.begins_s + self.span.start_s, self.begins_s + self.span.end_s)


@dataclass(frozen=True)
class WindowedLife:
    """A house cut into moments, at least one of which shows an act."""

    windows: list[Window]
    stream: str
    done: list[Act]
    """All acts, whether the pictures show them or not."""

    @cached_property
    def acts(self) -> list[Act]:
        """The acts that the pictures of its moments show."""
        return [act for window in self.windows for act in window.seen.acts]


def live(rng: random.Random, lasts_s: float, stream: str = "house") -> WindowedLife:
    """A random house of at least ``lasts_s``, cut into moments."""
    house = furnish(rng.getrandbits(48), lasts_s, scene_s=(8.0, 24.0))
    windows = [window for start_s, scene in house.scenes for window in windows_of(rng, scene, start_s)]
    life = WindowedLife(windows, stream, [happening.act for happening in house.happenings])
    return life if life.acts else live(rng, lasts_s, stream)


def one_scene(rng: random.Random) -> RoomScene:
    """A scene of a random house."""
    return furnish(rng.getrandbits(48), 1.0, scene_s=(6.0, 20.0)).scenes[0][1]


def windows_of(rng: random.Random, scene: RoomScene, begins_s: float = 0.0) -> list[Window]:
    """Cut a scene into moments with their key frames."""
    windows: list[Window] = []
    start_s = 0.0
    while start_s < scene.duration_s - 1.0:
        end_s = min(scene.duration_s, start_s + rng.choice((2.0, 3.0, 3.5, 4.0, 5.0, 5.0)))
        if scene.duration_s - end_s < 2.0:
            end_s = scene.duration_s
        span = Span(start_s, end_s)
        windows.append(Window(scene, span, _kept(rng, scene, span), begins_s))
        start_s = end_s
    return windows


def closely(window: Window, pictures: int) -> Window:
    """The moment with more, evenly spaced pictures, as for a second look."""
    step_s = max(_SAMPLED_S, window.span.duration_s / pictures)
    times_s = (window.span.start_s + step_s * number for number in range(pictures))
    return replace(window, times_s=tuple(t for t in times_s if t < window.span.end_s))


def lively(rng: random.Random, windows: Sequence[Window]) -> Window:
    """Choose a window, rarely one without people."""
    peopled = [window for window in windows if window.seen.actors]
    return rng.choice(peopled) if peopled and rng.random() < 0.9 else rng.choice(windows)


def grainy(rng: random.Random, view: RoomView, scale: float) -> Picture:
    """The picture with the noise of a camera."""
    picture = cv2.convertScaleAbs(draw(view, scale), alpha=rng.uniform(0.94, 1.06))
    brighter, darker = rng.choice(_grain(scale))
    return np.asarray(cv2.subtract(cv2.add(picture, brighter), darker), np.uint8)


def _kept(rng: random.Random, scene: RoomScene, span: Span) -> tuple[float, ...]:
    """Times of the key frames that ``KeyFrameChooser`` would keep of a moment."""
    times_s = [span.start_s + rng.uniform(0.0, _SAMPLED_S)]
    last = scene.view(times_s[0])
    time_s = times_s[0]
    while (time_s := time_s + _SAMPLED_S) < span.end_s:
        if time_s - times_s[-1] >= SPACING_S and _differs(view := scene.view(time_s), last):
            times_s.append(time_s)
            last = view
    if len(times_s) <= MAX_FRAMES:
        return tuple(times_s)
    return tuple(times_s[round(index * (len(times_s) - 1) / (MAX_FRAMES - 1))] for index in range(MAX_FRAMES))


def _differs(one: RoomView, other: RoomView) -> bool:
    if (one.on, one.open, one.sign) != (other.on, other.open, other.sign):
        return True
    if len(one.figures) != len(other.figures):
        return True
    return any(
        abs(a.x - b.x) > _MOVED_PX or (a.facing, a.holds) != (b.facing, b.holds)
        for a, b in zip(one.figures, other.figures, strict=True)
    )


@cache
def _grain(scale: float) -> list[tuple[Picture, Picture]]:
    """Fields of noise, each as its positive and its negative part."""
    rng, size = np.random.default_rng(0), (round(HEIGHT * scale), round(WIDTH * scale), 1)
    fields = [np.repeat(rng.normal(0, _GRAIN, size), 3, axis=2) for _ in range(12)]
    return [
        (np.clip(f, 0, 255).round().astype(np.uint8), np.clip(-f, 0, 255).round().astype(np.uint8))
        for f in fields
    ]
