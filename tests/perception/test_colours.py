from __future__ import annotations

import time

import numpy as np
import pytest

from recollect.perception.observers.colours import COLOURS, colour_counts, colour_shares, name_colour


def patch(red: int, green: int, blue: int, pixels: int = 50) -> np.ndarray:
    return np.full((pixels, 3), (blue, green, red), np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((5, 5, 8), "black"),
        ((30, 30, 34), "black"),
        ((128, 128, 128), "grey"),
        ((90, 95, 92), "grey"),
        ((250, 250, 248), "white"),
        ((220, 30, 30), "red"),
        ((110, 20, 32), "red"),
        ((255, 140, 0), "orange"),
        ((120, 70, 30), "brown"),
        ((150, 90, 50), "brown"),
        ((225, 205, 175), "beige"),
        ((245, 225, 40), "yellow"),
        ((40, 150, 60), "green"),
        ((20, 70, 30), "green"),
        ((20, 150, 150), "teal"),
        ((30, 60, 200), "blue"),
        ((45, 60, 110), "blue"),
        ((130, 180, 235), "blue"),
        ((120, 40, 160), "purple"),
        ((255, 150, 190), "pink"),
    ],
)
def test_plain_colours_have_their_everyday_name(rgb, name):
    assert name_colour(patch(*rgb)) == name


def test_a_coat_with_dark_folds_keeps_the_name_of_its_hue():
    pixels = np.concatenate([patch(180, 20, 30, 50), patch(10, 10, 10, 60)])

    assert name_colour(pixels) == "red"


def test_no_pixels_have_no_colour():
    with pytest.raises(ValueError, match="no pixels"):
        name_colour(np.zeros((0, 3), np.uint8))


def test_shares_are_sorted_and_sum_to_one():
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, :15] = (40, 40, 230)
    picture[:, 15:] = (255, 255, 255)

    shares = colour_shares(picture)

    assert shares == {"red": 0.75, "white": 0.25}
    assert list(shares) == ["red", "white"]


def test_every_colour_has_a_name_and_counting_loses_no_pixel():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (90, 160, 3), dtype=np.uint8)

    counts = colour_counts(picture)

    assert counts.shape == (len(COLOURS),)
    assert counts.sum() == 90 * 160


def test_naming_a_small_picture_takes_less_than_5_milliseconds():
    picture = np.random.default_rng(2).integers(0, 256, (180, 320, 3), dtype=np.uint8)
    colour_shares(picture)

    before_s = time.process_time()
    for _ in range(10):
        colour_shares(picture)

    assert (time.process_time() - before_s) / 10 < 0.005
