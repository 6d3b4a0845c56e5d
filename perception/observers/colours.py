"""Colour names: the plain names that a person would use for the colours of pixels.

    name_colour(picture[mask])     # "grey": one name for an object made of these pixels
    colour_shares(picture)         # {"white": 0.52, "brown": 0.31, "grey": 0.17}

Every colour (at five bits a channel) is named once by simple rules on its lightness, chroma and hue, and
then looked up. The light is not compensated: a white wall in evening sun is called orange.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS = (
    "black",
    "grey",
    "white",
    "red",
    "orange",
    "brown",
    "beige",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
)
"""All names; ``colour_counts`` counts in this order."""

_GREYISH = 3  # black, grey and white come first in COLOURS
_VIVID_WEIGHT = 1.6  # a red coat is called red although its folds are black and its buttons white
_ACCENT = 0.1  # the least fraction of a second colour that is a hue
_ACCENT_GREYISH = 0.3  # ... and of one that is black, grey or white
_ENOUGH_PIXELS = 15_000  # enough for fractions that are right to about half a percent


def name_colour(bgr_pixels: NDArray[np.uint8]) -> str:
    """One name for an object made of ``bgr_pixels`` (any shape that ends in 3).

    A hue counts more than black, grey and white, which shade and glare add to any object.
    Raises ``ValueError`` if there are no pixels.
    """
    return name_of_counts(colour_counts(bgr_pixels))


def colour_shares(picture: NDArray[np.uint8]) -> dict[str, float]:
    """The fraction of ``picture`` (height × width × BGR) with each colour.

    Fractions above zero, largest first; their sum is 1. In a large picture an even grid of pixels is
    counted, so a colour that fills less than about a thousandth may be missed.
    """
    step = max(1, round(np.sqrt(picture.size / 3 / _ENOUGH_PIXELS)))
    counts = colour_counts(picture[::step, ::step])
    total = counts.sum()
    return {
        COLOURS[index]: float(counts[index] / total)
        for index in np.argsort(-counts, kind="stable")
        if counts[index] > 0
    }


def colour_counts(bgr_pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The number of ``bgr_pixels`` with each of the ``COLOURS``."""
    flat = bgr_pixels.reshape(-1, 3)
    index = flat[:, 0].astype(np.uint16) >> 3 << 10
    index |= flat[:, 1].astype(np.uint16) >> 3 << 5
    index |= flat[:, 2] >> 3
    return np.bincount(_names_by_bgr().take(index), minlength=len(COLOURS)).astype(np.float64)


def name_of_counts(counts: NDArray[np.float64]) -> str:
    """One name for counts (or weights) in the order of ``COLOURS``, see ``name_colour``."""
    if counts.sum() <= 0:
        raise ValueError("no pixels, so no colour: name_colour needs at least one")
    weighted = counts.copy()
    weighted[_GREYISH:] *= _VIVID_WEIGHT
    return COLOURS[int(np.argmax(weighted))]


def accent_of_counts(counts: NDArray[np.float64]) -> str:
    """A clear second colour, such as that of a cap or trousers; empty if there is none.

    A hue needs a smaller fraction than black, grey and white, which shade and glare add to any object.
    """
    main = COLOURS.index(name_of_counts(counts))
    shares = counts / counts.sum()
    shares[:_GREYISH] *= _ACCENT / _ACCENT_GREYISH
    shares[main] = 0
    second = int(np.argmax(shares))
    return COLOURS[second] if shares[second] >= _ACCENT else ""


@cache
def _names_by_bgr() -> NDArray[np.uint8]:
    """The index in ``COLOURS`` of the name of each colour at five bits a channel (b, g, r)."""
    level = (np.arange(32, dtype=np.float32) * 8 + 4) / 255
    blue, green, red = np.meshgrid(level, level, level, indexing="ij")
    bgr = np.stack([blue, green, red], axis=-1).reshape(1, -1, 3)
    lightness, a, b = (plane[0] for plane in cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2Lab)))
    chroma = np.hypot(a, b)
    hue, saturation = (plane[0] for plane in cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV))[:2])

    names = np.full(lightness.shape, COLOURS.index("grey"), np.uint8)

    def assign(selected: NDArray[np.bool_], name: str) -> None:
        names[selected] = COLOURS.index(name)

    # Hue in degrees. Later rules override earlier ones.
    for low, high, name in (
        (0, 14, "red"),
        (14, 42, "orange"),
        (42, 70, "yellow"),
        (70, 160, "green"),
        (160, 195, "teal"),
        (195, 255, "blue"),
        (255, 300, "purple"),
        (300, 345, "pink"),
        (345, 361, "red"),
    ):
        assign((hue >= low) & (hue < high), name)
    warm = (hue >= 14) & (hue < 48)
    reddish = (hue < 14) | (hue >= 345)
    assign(warm & ((lightness < 58) | (chroma < 34)), "brown")
    assign(warm & (lightness >= 68) & (chroma < 34), "beige")
    assign(reddish & (lightness >= 30) & (lightness < 60) & (chroma < 26), "brown")
    assign(reddish & (lightness >= 60) & (chroma < 55), "pink")
    assign((hue >= 300) & (hue < 345) & (lightness < 38), "purple")

    # Dim pixels need less chroma to show a hue than bright ones.
    greyish = (chroma < 10) | ((saturation < 0.16) & (chroma < 14))
    assign(greyish, "grey")
    assign(greyish & (lightness >= 82), "white")
    assign((greyish & (lightness < 24)) | ((lightness < 20) & (chroma < 18)) | (lightness < 9), "black")
    return names
