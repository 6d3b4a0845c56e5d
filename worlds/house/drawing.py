"""Drawing of the house: draws a view of a room at any size.

    picture = draw(view, scale=0.5)     # 320×180 of 640×360

Coordinates are those of the full picture. Nothing here knows what came before or what will happen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ...perception.sources.frame import Picture
from ..scenes import HEIGHT, WIDTH, Colour, surface, vignette
from .vocabulary_words import COLOURS, ROOMS, Person, Room, Thing

PLACE_TOP = 236
"""The row on which things stand on a place."""
FEET_Y = 338
THING_PX = 60
"""The approximate height and width of a thing."""

_SKIN: Colour = (134, 164, 208)
_HAIR: dict[str, Colour] = {"woman": (40, 90, 150), "man": (40, 44, 52)}
_LINE: Colour = (70, 66, 64)
_LOOKS = 8
"""The number of shades of each room."""
_Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A person at one time."""

    person: Person
    x: float
    """The middle, in pixels of the full picture."""
    facing: int
    """-1 is left, 1 is right."""
    walks: bool
    holds: Thing | None
    reach: float = 0.0
    """How far the arm is stretched out, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room at one time."""

    room: Room
    figures: tuple[Figure, ...]
    on: tuple[Thing | None, Thing | None]
    """The things on its two places."""
    open: bool
    """Whether the fridge, door or other opener is open."""
    sign: str
    """The code of the sign. Empty while it is dark."""
    step_s: float = 0.0
    """The phase of walking people's strides, in seconds."""
    look: int = 0
    """The number of the room's shade."""


class _Canvas:
    """A picture of any size that is drawn on in coordinates of the full size."""

    def __init__(self, picture: Picture, scale: float) -> None:
        self.picture = picture
        self._scale = scale

    def fill(self, points: _Points, colour: Colour) -> None:
        corners = np.round(np.array(points) * self._scale * 16).astype(np.int32)
        cv2.fillPoly(self.picture, [corners], colour, cv2.LINE_AA, 4)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.fill([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], thick: float, colour: Colour
    ) -> None:
        ends = [(round(x * self._scale * 16), round(y * self._scale * 16)) for x, y in (start, end)]
        cv2.line(self.picture, ends[0], ends[1], colour, max(1, round(thick * self._scale)), cv2.LINE_AA, 4)

    def oval(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        colour: Colour,
        thick: float = 0.0,
        half: bool = False,
    ) -> None:
        """Draw an ellipse by its middle and half axes: filled, or with a line of ``thick``, whole or only its upper half."""
        centre = (round(x * self._scale * 16), round(y * self._scale * 16))
        axes = (round(wide * self._scale * 16), round(high * self._scale * 16))
        line = max(1, round(thick * self._scale)) if thick else -1
        cv2.ellipse(self.picture, centre, axes, 0, 180 if half else 0, 360, colour, line, cv2.LINE_AA, 4)

    def glyphs(self, text: str, left: float, base: float, size: float, thick: float, colour: Colour) -> None:
        origin = (round(left * self._scale), round(base * self._scale))
        bold = max(1, round(thick * self._scale))
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(self.picture, text, origin, font, size * self._scale, colour, bold, cv2.LINE_AA)


def draw(view: RoomView, scale: float = 1.0) -> Picture:
    """Draw a view at ``scale`` times 640×360. The caller may draw on the picture."""
    canvas = _Canvas(_empty(ROOMS.index(view.room), view.look % _LOOKS, scale).copy(), scale)
    _sign(canvas, view.room.sign_x, view.sign)
    if view.open:
        _opened(canvas, view.room)
    for thing, x in zip(view.on, view.room.places_x, strict=True):
        if thing is not None:
            _thing(canvas, thing, x, PLACE_TOP - THING_PX / 2)
    for figure in view.figures:
        _figure(canvas, figure, view.step_s)
    return canvas.picture


def _shade(colour: Colour, by: float) -> Colour:
    b, g, r = (int(min(255.0, max(0.0, part * by))) for part in colour)
    return b, g, r


@lru_cache(maxsize=128)
def _empty(number: int, look: int, scale: float) -> Picture:
    """An empty room."""
    room = ROOMS[number]
    rng = np.random.default_rng((number, look))
    light = 0.84 + 0.28 * look / (_LOOKS - 1)
    wall, floor, wood = (_shade(colour, light) for colour in (room.wall, room.floor, room.wood))
    picture = surface(rng, (WIDTH, HEIGHT), wall, _shade(wall, 0.86), rough=4)
    picture[272:] = surface(rng, (WIDTH, HEIGHT - 272), _shade(floor, 0.85), floor, rough=6)
    canvas = _Canvas(picture, 1.0)
    _marks_of[room.name](canvas, wall, wood)
    for x in room.places_x:
        canvas.box(x - 52, PLACE_TOP + 12, x - 40, 318, _shade(wood, 0.7))
        canvas.box(x + 40, PLACE_TOP + 12, x + 52, 318, _shade(wood, 0.7))
        canvas.box(x - 60, PLACE_TOP, x + 60, PLACE_TOP + 14, wood)
    x, turn = room.opens_x, _turn(room)
    canvas.box(x - 44, 128, x + 44, 316, _shade(wood, 0.6))
    canvas.box(x - 38, 134, x + 38, 312, _shade(wood, 1.25))
    canvas.oval(x - 28 * turn, 224, 5, 5, _LINE)
    picture = vignette(canvas.picture)
    size = (round(WIDTH * scale), round(HEIGHT * scale))
    return picture if scale == 1.0 else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _tiles(canvas: _Canvas, wall: Colour, wood: Colour) -> None:
    for x in range(0, WIDTH, 40):
        canvas.line((x, 120), (x, 272), 2, _shade(wall, 1.12))
    for y in range(120, 272, 38):
        canvas.line((0, y), (WIDTH, y), 2, _shade(wall, 1.12))


def _stripes(canvas: _Canvas, wall: Colour, wood: Colour) -> None:
    for x in range(0, WIDTH, 64):
        canvas.box(x, 0, x + 26, 266, _shade(wall, 0.88))


def _window(canvas: _Canvas, wall: Colour, wood: Colour) -> None:
    canvas.box(330, 14, 450, 114, wood)
    canvas.box(338, 22, 442, 106, (240, 226, 200))
    canvas.box(480, 24, 620, 104, _shade(wood, 0.8))
    for number, x in enumerate(range(490, 610, 20)):
        canvas.box(x, 34, x + 14, 96, _shade((120, 110, 150), 0.7 + 0.1 * (number % 4)))


def _trees(canvas: _Canvas, wall: Colour, wood: Colour) -> None:
    for x in (20, 420, 600):
        canvas.box(x - 8, 150, x + 8, 272, (50, 84, 112))
        canvas.oval(x, 112, 54, 66, (64, 120, 72))
    canvas.box(0, 250, WIDTH, 274, (66, 124, 80))


def _tools(canvas: _Canvas, wall: Colour, wood: Colour) -> None:
    canvas.box(20, 30, 190, 120, wood)
    for x in range(40, 190, 36):
        canvas.line((x, 44), (x, 106), 8, (70, 70, 74))
    canvas.box(0, 262, WIDTH, 274, (40, 180, 200))
    for x in range(0, WIDTH, 40):
        canvas.fill([(x, 274), (x + 12, 262), (x + 32, 262), (x + 20, 274)], (40, 40, 40))


_marks_of = {"kitchen": _tiles, "hall": _stripes, "office": _window, "garden": _trees, "workshop": _tools}


def _sign(canvas: _Canvas, x: int, text: str) -> None:
    canvas.box(x - 114, 6, x + 114, 108, (60, 56, 54))
    canvas.box(x - 108, 12, x + 108, 102, (232, 240, 240) if text else (44, 40, 40))
    for number, glyph in enumerate(text):
        wide = cv2.getTextSize(glyph, cv2.FONT_HERSHEY_SIMPLEX, 3.2, 10)[0][0]
        canvas.glyphs(glyph, x + 68 * (number - 1) - wide / 2, 92, 3.2, 10, (30, 26, 26))


def _turn(room: Room) -> int:
    """The side to which the opener swings: away from the person who opens it."""
    return 1 if room.opener_x < room.opens_x else -1


def _opened(canvas: _Canvas, room: Room) -> None:
    """Draw the open opener: the dark inside and the leaf."""
    x, turn = room.opens_x, _turn(room)
    canvas.box(x - 38, 134, x + 38, 312, (28, 24, 24))
    leaf = [(x + 38 * turn, 134), (x + 72 * turn, 150), (x + 72 * turn, 330), (x + 38 * turn, 312)]
    canvas.fill(leaf, _shade(room.wood, 1.25))


def _thing(canvas: _Canvas, thing: Thing, x: float, y: float) -> None:
    """Draw a thing by its middle. Each kind has its own outline."""
    colour, half = COLOURS[thing.colour], THING_PX / 2
    edge: Colour = (120, 120, 120) if thing.colour == "black" else _LINE
    left, right, top, bottom = x - half, x + half, y - half, y + half
    match thing.kind:
        case "box":
            canvas.box(left, top, right, bottom, edge)
            canvas.box(left + 3, top + 3, right - 3, bottom - 3, colour)
            canvas.line((x, top), (x, bottom), 5, edge)
            canvas.line((left, y), (right, y), 5, edge)
        case "cup":
            canvas.oval(right - 6, y + 4, 13, 15, edge, 7)
            canvas.fill([(left, top), (right - 6, top), (right - 18, bottom), (left + 12, bottom)], edge)
            canvas.fill(
                [
                    (left + 4, top + 3),
                    (right - 10, top + 3),
                    (right - 20, bottom - 3),
                    (left + 14, bottom - 3),
                ],
                colour,
            )
        case "bag":
            canvas.oval(x, y - 8, 18, 22, edge, 7)
            canvas.fill([(left + 8, y - 8), (right - 8, y - 8), (right, bottom), (left, bottom)], edge)
            canvas.fill(
                [(left + 11, y - 5), (right - 11, y - 5), (right - 4, bottom - 3), (left + 4, bottom - 3)],
                colour,
            )
        case "ball":
            canvas.oval(x, y + 2, half - 2, half - 2, edge)
            canvas.oval(x, y + 2, half - 5, half - 5, colour)
            canvas.oval(x - 9, y - 8, 6, 6, (250, 250, 250) if thing.colour != "white" else (190, 190, 190))
        case "key":
            canvas.oval(x - 14, y + 10, 13, 13, edge, 14)
            canvas.oval(x - 14, y + 10, 13, 13, colour, 9)
            canvas.line((x - 2, y + 10), (right + 4, y + 10), 12, edge)
            canvas.line((x - 1, y + 10), (right + 3, y + 10), 8, colour)
            canvas.line((right - 8, y + 10), (right - 8, bottom), 8, colour)
            canvas.line((right + 2, y + 10), (right + 2, bottom), 8, colour)
        case "book":
            canvas.box(left - 4, y + 2, right + 4, bottom, edge)
            canvas.box(left - 1, y + 5, right + 4, bottom - 11, colour)
            canvas.box(left + 6, bottom - 10, right + 4, bottom - 3, (246, 250, 250))


def _figure(canvas: _Canvas, figure: Figure, step_s: float) -> None:
    person, x, face = figure.person, figure.x, figure.facing
    coat = COLOURS[person.coat]
    dark = _shade(coat, 0.75) if person.coat != "black" else (64, 60, 60)
    swing = 15 * math.sin(step_s * 8) if figure.walks else 4.0
    for side in (-1, 1):
        canvas.line((x + 8 * side, 270), (x + side * 10 + side * swing, FEET_Y), 15, (62, 56, 60))
    if person.kind == "woman":
        canvas.fill([(x - 17, 186), (x + 17, 186), (x + 40, 292), (x - 40, 292)], coat)
    else:
        canvas.fill([(x - 27, 186), (x + 27, 186), (x + 25, 276), (x - 25, 276)], coat)
    canvas.line((x - 2, 190), (x - 2, 274), 3, dark)
    if person.kind == "woman":
        canvas.oval(x - 7 * face, 170, 19, 25, _HAIR["woman"])
    canvas.oval(x, 164, 17, 21, _SKIN)
    canvas.oval(x, 160, 19, 19, _HAIR[person.kind], half=True)
    canvas.line((x + 15 * face, 166), (x + 22 * face, 168), 7, _SKIN)
    if person.hat:
        canvas.box(x - 19, 126, x + 19, 148, coat)
        canvas.box(x - 30, 146, x + 30, 154, dark)
    hand = (x + face * (40 + 26 * figure.reach), 236 - 14 * figure.reach)
    if figure.holds is not None or figure.reach > 0:
        canvas.line((x + 12 * face, 200), hand, 14, dark)
        canvas.oval(*hand, 8, 8, _SKIN)
    else:
        canvas.line((x + 10 * face, 200), (x + (14 + swing / 2) * face, 258), 14, dark)
    if figure.holds is not None:
        _thing(canvas, figure.holds, hand[0] + 8 * face, hand[1] - 6)
