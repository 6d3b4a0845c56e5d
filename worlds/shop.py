"""The shop of the demo video: a room seen by a fixed camera, and visitors who come to its counter.

    red = ShopVisitor("red", enters_s=2.0, stops_s=4.4, goes_s=7.2, leaves_s=9.6, places_s=5.8)
    Shop((red,), duration_s=12.0).draw(6.5)     # the visitor is at the counter, with the box on it

It is a ``Scene`` of ``worlds.scenes``. Its light is that of a day or a night, with or without a flash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..memory.values import Span
from ..perception.sources.frame import Picture
from .scenes import HEIGHT, WIDTH, Truth, cast_shadow, eased, surface, vignette

_CLOTHES = {"red": (48, 44, 196), "blue": (186, 92, 34), "green": (64, 148, 46)}
_SKIN = (126, 152, 190)
_HAIR = (34, 40, 52)
_YELLOW = np.array((38, 200, 236))
_FIGURE_W, _FIGURE_H = 96, 214
_FLOOR_Y = 328
"""The row on which figures stand."""
_STOP_X = 268
"""The column where a visitor from the left stops, within reach of the box."""
_BOX_LEFT, _BOX_TOP, _BOX_W, _BOX_H = 318, 178, 36, 28
_REACH_S = 0.7
"""How long an arm takes to reach the counter, and to come back."""


@dataclass(frozen=True, slots=True)
class ShopVisitor:
    """A figure that walks in, stands at the counter and walks out on the other side."""

    colour: str
    """Red, blue or green."""
    enters_s: float
    stops_s: float
    goes_s: float
    leaves_s: float
    enters_from: str = "left"
    """``left`` or ``right``. Only visitors from the left can reach the box."""
    places_s: float | None = None
    """When the visitor puts the box on the counter."""
    takes_s: float | None = None
    """When the visitor takes the box away. A visitor either puts or takes the box."""

    def x_at(self, time_s: float) -> float | None:
        """The column of the figure's middle, in pixels. None while it is not in the picture."""
        if not self.enters_s <= time_s < self.leaves_s:
            return None
        outside = 27  # half its width, limbs and all
        times_s = (self.enters_s, self.stops_s, self.goes_s, self.leaves_s)
        x = float(np.interp(time_s, times_s, (-outside, _STOP_X, _STOP_X, WIDTH + outside)))
        return x if self.enters_from == "left" else WIDTH - x

    def truths(self) -> list[Truth]:
        """The arrival, the departure, the whole visit, and the handling of the box."""
        name, goes_to = f"tall {self.colour} shape", "right" if self.enters_from == "left" else "left"
        coming, going = Span(self.enters_s, self.enters_s + 1.0), Span(self.leaves_s - 1.0, self.leaves_s)
        truths = [
            Truth(coming, "enters", f"a {name} enters from the {self.enters_from}"),
            Truth(going, "leaves", f"the {name} leaves to the {goes_to}"),
            Truth(Span(self.enters_s, self.leaves_s), "visit", f"a {name} is there"),
        ]
        for time_s, kind, verb in (
            (self.places_s, "placed", "put down"),
            (self.takes_s, "removed", "taken away from"),
        ):
            if time_s is not None:
                place_text = "in the middle" if kind == "placed" else "the middle"
                span = Span(time_s - _REACH_S, time_s + _REACH_S)
                truths.append(Truth(span, kind, f"something yellow and small is {verb} {place_text}"))
        return truths


@dataclass
class Shop:
    """The shop: wall, window, shelves, floor and counter, with visitors."""

    visitors: Sequence[ShopVisitor]
    duration_s: float
    seed: int = 0
    light: float = 1.0
    """1 by day, 0.1 at night."""
    flash_s: float | None = None
    """When a flash far brighter than daylight begins. It lasts most of a second."""

    def __post_init__(self) -> None:
        self._empty = _furnished(np.random.default_rng(self.seed))

    def draw(self, time_s: float) -> Picture:
        """The room with its visitors at this time."""
        picture = self._empty.copy()
        if self._box_is_there(time_s):
            _draw_box(picture, _BOX_LEFT, _BOX_TOP)
        for visitor in self.visitors:
            x = visitor.x_at(time_s)
            if x is not None:
                walks = not visitor.stops_s <= time_s < visitor.goes_s
                _draw_figure(picture, visitor.colour, int(time_s * 9) % 8 if walks else 0, x)
                _draw_arm(picture, visitor, time_s, x)
        level = self.light
        if self.flash_s is not None and time_s >= self.flash_s:
            level += 1.9 * (1 - eased(time_s, self.flash_s + 0.4, self.flash_s + 0.9))
        if level != 1.0:
            cv2.convertScaleAbs(picture, dst=picture, alpha=level)
        return picture

    def _box_is_there(self, time_s: float) -> bool:
        placed = any(v.places_s is not None and v.places_s <= time_s for v in self.visitors)
        removed = any(v.takes_s is not None and v.takes_s <= time_s for v in self.visitors)
        return placed and not removed

    def truths(self) -> list[Truth]:
        """Visits, handling of the box, stretches without movement, darkness and the flash."""
        truths = [truth for visitor in self.visitors for truth in visitor.truths()]
        calm_since_s = 0.0
        for visit in sorted(truth.span for truth in truths if truth.kind == "visit"):
            truths.append(_nothing_moves(Span(calm_since_s, visit.start_s)))
            calm_since_s = visit.end_s
        truths.append(_nothing_moves(Span(calm_since_s, self.duration_s)))
        if self.flash_s is not None:
            truths.append(Truth(Span(self.flash_s, self.flash_s + 0.9), "flash", "a sudden flash"))
        if self.light < 0.2:
            truths.append(Truth(Span(0.0, self.flash_s or self.duration_s), "brightness", "very dark"))
        return truths


def _nothing_moves(span: Span) -> Truth:
    return Truth(span, "empty", "nothing moves and nothing new is in the picture")


def _furnished(rng: np.random.Generator) -> Picture:
    """The empty room."""
    room = surface(rng, (WIDTH, HEIGHT), (168, 184, 190), (138, 154, 162))
    room[262:] = surface(rng, (WIDTH, HEIGHT - 262), (74, 92, 112), (96, 120, 146))
    for column in range(-412, 1060, 92):  # floor boards run towards the viewer
        cv2.line(room, (160 + column // 2, 262), (column, HEIGHT), (66, 84, 104), 1, cv2.LINE_AA)
    cv2.rectangle(room, (0, 256), (WIDTH, 263), (112, 126, 132), -1)

    cast_shadow(room, (52, 44, 182, 160), 6, 0.3)
    room[40:160, 48:180] = surface(rng, (132, 120), (246, 236, 214), (228, 226, 220), rough=3)
    for corner, opposite in (((48, 40), (180, 160)), ((112, 40), (116, 160)), ((48, 98), (180, 102))):
        cv2.rectangle(room, corner, opposite, (104, 124, 140), 4)

    cast_shadow(room, (470, 60, 600, 176), 8, 0.4)
    for board in (92, 134, 176):
        for left in range(474, 592, 20):
            tone = np.array((112, 122, 130)) + rng.integers(-34, 34, 3)
            cv2.rectangle(
                room, (left, board - int(rng.integers(16, 32))), (left + 14, board), tone.tolist(), -1
            )
        cv2.rectangle(room, (466, board), (604, board + 6), (58, 84, 116), -1)

    cast_shadow(room, (222, 206, 420, 274), 8, 0.5)
    room[206:274, 222:420] = surface(rng, (198, 68), (74, 98, 124), (48, 66, 86), rough=4)
    room[200:208, 214:428] = surface(rng, (214, 8), (118, 146, 172), (92, 118, 144), rough=3)
    return vignette(room)


@lru_cache(maxsize=64)
def _figure(colour: str, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A figure at one of eight steps of its stride, and its opacity, 0 to 1.

    The colours are already weighted with the opacity, so that a soft shadow is opacity alone.
    """
    fine = 4  # drawn this many times larger and shrunk, which smooths the edges
    body = np.array(_CLOTHES[colour])
    picture = np.zeros((_FIGURE_H * fine, _FIGURE_W * fine, 3), np.uint8)
    swing, middle = math.sin(step / 8 * math.tau), _FIGURE_W // 2

    def limb(top: int, to_x: float, bottom: int, thick: int, tone: float) -> None:
        ends = (middle * fine, top * fine), (round((middle + to_x) * fine), bottom * fine)
        cv2.line(picture, *ends, (body * tone).tolist(), thick * fine, cv2.LINE_AA)

    limb(62, -13 * swing, 112, 11, 0.62)
    limb(118, -19 * swing, 198, 19, 0.52)
    limb(118, 19 * swing, 198, 19, 0.66)
    limb(64, 0, 122, 45, 1.0)
    limb(62, 3 + 15 * swing, 114, 12, 0.82)
    cv2.ellipse(picture, (middle * fine, 24 * fine), (15 * fine, 19 * fine), 0, 0, 360, _SKIN, -1)
    cv2.ellipse(picture, (middle * fine, 19 * fine), (16 * fine, 15 * fine), 0, 180, 360, _HAIR, -1)

    size = (_FIGURE_W, _FIGURE_H)
    covered = np.any(picture > 0, axis=2).astype(np.float32)
    opacity = cv2.resize(covered, size, interpolation=cv2.INTER_AREA)
    light = np.linspace(1.18, 0.72, _FIGURE_W)[None, :, None]  # from the window, on the left
    lit = np.clip(cv2.resize(picture, size, interpolation=cv2.INTER_AREA) * light, 0, 255)
    ground = np.zeros_like(opacity)
    cv2.ellipse(ground, (middle, _FIGURE_H - 10), (34, 6), 0, 0, 360, (0.4,), -1)
    shadow = cv2.GaussianBlur(ground, (0, 0), 3) * (1 - opacity)
    return lit.astype(np.float32), (opacity + shadow).astype(np.float32)


def _draw_figure(picture: Picture, colour: str, step: int, centre_x: float) -> None:
    """Draw the visible part of a figure, with its middle at a subpixel position."""
    left = math.floor(centre_x - _FIGURE_W / 2)
    shift = np.array([[1, 0, centre_x - _FIGURE_W / 2 - left], [0, 1, 0]])
    sprite, opacity = (cv2.warpAffine(part, shift, (_FIGURE_W, _FIGURE_H)) for part in _figure(colour, step))
    begin, end, top = max(0, left), min(WIDTH, left + _FIGURE_W), _FLOOR_Y - _FIGURE_H + 10
    visible = slice(begin - left, end - left)
    region = picture[top : top + _FIGURE_H, begin:end]
    region[:] = (sprite[:, visible] + region * (1 - opacity[:, visible, None])).astype(np.uint8)


def _draw_arm(picture: Picture, visitor: ShopVisitor, time_s: float, x: float) -> None:
    """Draw the arm that puts down or takes the box, and the box while it is carried."""
    handled_s = visitor.places_s if visitor.places_s is not None else visitor.takes_s
    if handled_s is None:
        return
    carries = time_s < handled_s if visitor.places_s is not None else time_s >= handled_s
    reach = eased(_REACH_S - abs(time_s - handled_s), 0.0, _REACH_S)
    if not carries and reach == 0:
        return
    hand = (round(x + 34 + 32 * reach), round(212 - 20 * reach))
    sleeve = [0.8 * part for part in _CLOTHES[visitor.colour]]
    cv2.line(picture, (round(x + 12), 182), hand, sleeve, 13, cv2.LINE_AA)
    cv2.circle(picture, hand, 7, _SKIN, -1, cv2.LINE_AA)
    if carries:
        _draw_box(picture, hand[0] - 16, hand[1] - 14)


def _draw_box(picture: Picture, left: int, top: int) -> None:
    right, bottom = left + _BOX_W, top + _BOX_H
    cv2.rectangle(picture, (left, top), (right, bottom), _YELLOW.tolist(), -1)
    cv2.rectangle(picture, (right - 9, top), (right, bottom), (_YELLOW * 0.78).tolist(), -1)
    cv2.rectangle(picture, (left, top), (right, top + 5), np.minimum(_YELLOW * 1.12, 255).tolist(), -1)
