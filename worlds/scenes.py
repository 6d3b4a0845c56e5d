"""Scenes of the synthetic videos: each can be drawn at any time and states its ground truth.

    scene = SignBoardScene(("OPEN 9-17", "CLOSED: STOCKTAKING"), change_s=5.0, duration_s=11.0, seed=0)
    scene.draw(3.2)     # the picture 3.2 s after the scene began
    scene.truths()      # what can be seen, in seconds since the scene began

A new kind of scene is a class with ``duration_s``, ``draw`` and ``truths``. The shop with its visitors is in
``worlds.shop``. A scene has no clock, writes no file and does not depend on other scenes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ..memory.values import Span
from ..perception.sources.frame import Picture

WIDTH, HEIGHT = 640, 360
Colour = tuple[int, int, int]
"""Blue, green and red, from 0 to 255."""

INK: Colour = (48, 42, 40)
PAPER: Colour = (226, 236, 240)
_FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True, slots=True)
class Truth:
    """One true finding: something that happens, and when."""

    span: Span
    kind: str
    """As in ``Finding.kind``: ``enters``, ``visit``, ``placed``, ``line``, ``typed``, ``cut``, …"""
    text: str
    """The text of the finding. Visible and spoken text is verbatim."""

    def shifted(self, by_s: float) -> Truth:
        """The same truth, ``by_s`` seconds later."""
        return Truth(Span(self.span.start_s + by_s, self.span.end_s + by_s), self.kind, self.text)


class Scene(Protocol):
    """What one camera sees for a while."""

    @property
    def duration_s(self) -> float:
        """The length in seconds."""

    def draw(self, time_s: float) -> Picture:
        """The picture ``time_s`` seconds after the scene began. The caller may draw on it."""

    def truths(self) -> list[Truth]:
        """What happens, in seconds since the scene began."""


def text_width(text: str, size: float, bold: int = 2) -> int:
    """The width of a line of text as ``write`` draws it, in pixels."""
    return int(cv2.getTextSize(text, _FONT, size, bold)[0][0])


def write(
    picture: Picture, text: str, origin: tuple[int, int], size: float, colour: Colour, bold: int = 2
) -> None:
    """Draw a line of text with its lower left corner at ``origin``. Size 1.0 makes capitals 21 pixels tall."""
    cv2.putText(picture, text, origin, _FONT, size, colour, bold, cv2.LINE_AA)


def write_centred(picture: Picture, text: str, base: int, size: float, colour: Colour, bold: int = 2) -> None:
    """Draw a horizontally centred line of text with its baseline on row ``base``."""
    left = (picture.shape[1] - text_width(text, size, bold)) // 2
    write(picture, text, (left, base), size, colour, bold)


def surface(
    rng: np.random.Generator,
    size: tuple[int, int],
    top: Colour,
    bottom: Colour,
    rough: float = 5.0,
) -> Picture:
    """A mottled surface of ``size`` (width, height) that shades from ``top`` to ``bottom``.

    ``rough`` is the strength of its stains and grain, in grey levels.
    """
    width, height = size
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    shade = np.array(top, np.float32) * (1 - down) + np.array(bottom, np.float32) * down
    coarse = rng.normal(0, rough, (7, 11)).astype(np.float32)
    fine = rng.normal(0, rough * 1.6, (height, width)).astype(np.float32)
    uneven = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) + cv2.GaussianBlur(fine, (0, 0), 0.9)
    picture: Picture = np.clip(shade + uneven[:, :, None], 0, 255).astype(np.uint8)
    return picture


def cast_shadow(picture: Picture, box: tuple[int, int, int, int], reach: int, strength: float) -> None:
    """Draw the soft shadow of a thing at ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    hard = np.zeros(picture.shape[:2], np.float32)
    hard[top + reach : bottom + reach, left + reach : right + reach] = strength
    soft = cv2.GaussianBlur(hard, (0, 0), reach)
    picture[:] = (picture * (1 - soft[:, :, None])).astype(np.uint8)


def vignette(picture: Picture) -> Picture:
    """The picture with corners darkened as by a lens."""
    y = np.linspace(-1, 1, picture.shape[0])[:, None, None]
    x = np.linspace(-1, 1, picture.shape[1])[None, :, None]
    shaded = picture.astype(np.float32) * (1 - 0.13 * (x * x + y * y)).astype(np.float32)
    return shaded.astype(np.uint8)


def eased(time_s: float, start_s: float, end_s: float) -> float:
    """A smooth step from 0 at ``start_s`` to 1 at ``end_s``."""
    share = min(1.0, max(0.0, (time_s - start_s) / (end_s - start_s)))
    return share * share * (3 - 2 * share)


@dataclass
class TitleCardScene:
    """A title card: lines of text on a plain background, without movement."""

    lines: Sequence[str]
    duration_s: float
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._picture = vignette(surface(rng, (WIDTH, HEIGHT), (92, 62, 34), (40, 26, 16), rough=1.5))
        for row, line in enumerate(self.lines):
            base = 190 + 46 * row - 20 * (len(self.lines) - 1)
            write_centred(self._picture, line, base, 0.95 if row == 0 else 0.75, PAPER)
        cv2.line(self._picture, (200, 242), (440, 242), (150, 130, 110), 2, cv2.LINE_AA)

    def draw(self, time_s: float) -> Picture:
        """The card."""
        return self._picture.copy()

    def truths(self) -> list[Truth]:
        """The lines, visible all the time."""
        return [Truth(Span(0.0, self.duration_s), "line", line) for line in self.lines]


@dataclass
class SignBoardScene:
    """A notice board whose large sign turns over at ``change_s``."""

    signs: tuple[str, str]
    change_s: float
    duration_s: float
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        cork = surface(rng, (WIDTH, HEIGHT), (96, 140, 184), (78, 118, 160), rough=9)
        cv2.rectangle(cork, (0, 0), (WIDTH - 1, HEIGHT - 1), (44, 66, 92), 26)
        for text, left, top, colour in _NOTICES:
            right, bottom = left + text_width(text, 0.7, 1) + 32, top + 52
            cast_shadow(cork, (left, top, right, bottom), 5, 0.45)
            sheet = surface(rng, (right - left, bottom - top), PAPER, (206, 216, 222), rough=2)
            cork[top:bottom, left:right] = sheet
            cv2.rectangle(cork, (left, top), (right - 1, top + 6), colour, -1)
            write(cork, text, (left + 16, top + 36), 0.7, INK, 1)
        cast_shadow(cork, (70, 60, 570, 206), 7, 0.5)
        self._cork = vignette(cork)
        greenish, reddish = (214, 240, 226), (206, 214, 246)
        self._faces = [self._face(rng, self.signs[0], greenish), self._face(rng, self.signs[1], reddish)]

    @staticmethod
    def _face(rng: np.random.Generator, text: str, paper: Colour) -> Picture:
        face = surface(rng, (500, 146), paper, (196, 206, 212), rough=2)
        cv2.rectangle(face, (8, 8), (491, 137), (110, 110, 120), 2, cv2.LINE_AA)
        write_centred(face, text, 88, 1.15, INK)
        return face

    def draw(self, time_s: float) -> Picture:
        """The board with the sign at this time."""
        picture = self._cork.copy()
        turned = eased(time_s, self.change_s, self.change_s + _TURN_S)
        tall = max(2, round(146 * abs(math.cos(turned * math.pi))))
        top = 60 + (146 - tall) // 2
        face = self._faces[turned >= 0.5]
        picture[top : top + tall, 70:570] = cv2.resize(face, (500, tall), interpolation=cv2.INTER_AREA)
        return picture

    def truths(self) -> list[Truth]:
        """Each sign while it can be read, and the notices."""
        before, after = Span(0.0, self.change_s), Span(self.change_s + _TURN_S, self.duration_s)
        signs = [Truth(before, "line", self.signs[0]), Truth(after, "line", self.signs[1])]
        return signs + [Truth(Span(0.0, self.duration_s), "line", text) for text, *_ in _NOTICES]


_TURN_S = 0.8
_NOTICES = (("FIRE EXIT", 44, 250, (72, 130, 54)), ("LOST KEYS: DESK 4", 330, 262, (150, 96, 60)))
"""The small notices of a board: text, left, top, colour of the edge."""


@dataclass
class TerminalScene:
    """A terminal in which a command is typed letter by letter and a reply appears."""

    command: str
    reply: str
    duration_s: float
    title: str = "night shift"
    starts_s: float = 1.5
    letters_per_s: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._window = surface(rng, (WIDTH, HEIGHT), (46, 38, 34), (38, 30, 28), rough=0.8)
        cv2.rectangle(self._window, (0, 0), (WIDTH, 30), (84, 74, 70), -1)
        for column, colour in ((20, (86, 94, 236)), (42, (76, 190, 240)), (64, (96, 200, 110))):
            cv2.circle(self._window, (column, 15), 7, colour, -1, cv2.LINE_AA)
        write_centred(self._window, self.title, 21, 0.5, (200, 200, 200), 1)

    @property
    def typed_s(self) -> float:
        """When the last letter appears."""
        return self.starts_s + (len(self.command) - 1) / self.letters_per_s

    @property
    def answered_s(self) -> float:
        """When the reply appears."""
        return self.typed_s + 1.0

    def draw(self, time_s: float) -> Picture:
        """The window with the text so far, and a blinking cursor."""
        picture = self._window.copy()
        letters = max(0, 1 + math.floor((time_s - self.starts_s) * self.letters_per_s))
        lines = ["$ " + self.command[:letters]]
        if time_s >= self.answered_s:
            lines += [self.reply, "$ "]
        base = 84
        for base, line in zip(range(84, HEIGHT, 42), lines, strict=False):
            write(picture, line, (28, base), 0.8, (170, 236, 180) if line[0] == "$" else PAPER, 1)
        if time_s % 1.0 < 0.5:
            left = 32 + text_width(lines[-1], 0.8, 1)
            cv2.rectangle(picture, (left, base - 20), (left + 12, base + 3), (200, 220, 200), -1)
        return picture

    def truths(self) -> list[Truth]:
        """The typing, and the lines while they are complete."""
        typed_text = f"$ {self.command}"
        return [
            Truth(Span(0.0, self.duration_s), "line", self.title),
            Truth(Span(self.starts_s, self.typed_s), "typed", f'the text "{typed_text}" is typed'),
            Truth(Span(self.typed_s, self.duration_s), "line", typed_text),
            Truth(Span(self.answered_s, self.duration_s), "line", self.reply),
        ]


@dataclass
class PosterScene:
    """A poster with a QR code on a wall, without movement."""

    content: str
    heading: str
    duration_s: float
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        wall = surface(rng, (WIDTH, HEIGHT), (120, 132, 118), (88, 100, 90), rough=8)
        cast_shadow(wall, (196, 24, 444, 336), 8, 0.5)
        wall[24:336, 196:444] = surface(rng, (248, 312), (240, 244, 244), (218, 224, 226), rough=1.5)
        code = cv2.QRCodeEncoder.create().encode(self.content)
        side = code.shape[0] * (190 // code.shape[0])  # whole pixels a square, so that edges stay sharp
        code = cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST)
        left, top = 320 - side // 2, 118
        wall[top : top + side, left : left + side] = np.maximum(code, 26)[:, :, None]
        write_centred(wall, self.heading, 76, 0.95, INK)
        self._picture = vignette(wall)

    def draw(self, time_s: float) -> Picture:
        """The poster."""
        return self._picture.copy()

    def truths(self) -> list[Truth]:
        """The code and the heading, visible all the time."""
        span = Span(0.0, self.duration_s)
        return [Truth(span, "qr", self.content), Truth(span, "line", self.heading)]
