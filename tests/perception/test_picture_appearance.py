from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.observer import Observer
from recollect.perception.observers.picture_appearance import AppearanceObserver, colour_words, is_blurred
from recollect.perception.sources.frame import Frame, Picture

FPS = 4


def plain(*bgr: int) -> Picture:
    return np.full((180, 320, 3), bgr, np.uint8)


def busy(seed: int = 1) -> Picture:
    """A picture full of edges."""
    random = np.random.default_rng(seed)
    picture = plain(90, 90, 90)
    for _ in range(200):
        x, y = int(random.integers(0, 300)), int(random.integers(0, 160))
        w, h = (int(size) for size in random.integers(8, 60, 2))
        cv2.rectangle(picture, (x, y), (x + w, y + h), [int(c) for c in random.integers(20, 235, 3)], -1)
    return picture


def filmed(pictures: Iterable[Picture], start_s: float = 0.0) -> list[Frame]:
    frames = []
    for number, picture in enumerate(pictures):
        thumb = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (64, 36), interpolation=cv2.INTER_AREA)
        frames.append(Frame(start_s + number / FPS, number, Fraction(1, FPS), thumb, small=picture))
    return frames


def find(pictures: Iterable[Picture], span: Span) -> list[Finding]:
    observer = AppearanceObserver()
    for frame in filmed(pictures):
        observer.push(frame)
    return observer.findings(span)


def the(kind: str, findings: list[Finding]) -> Finding:
    (finding,) = [finding for finding in findings if finding.kind == kind]
    return finding


def test_it_is_an_observer():
    assert isinstance(AppearanceObserver(), Observer)


@pytest.mark.parametrize(
    ("luma", "name"), [(10, "very dark"), (50, "dark"), (95, "dim"), (150, "bright"), (230, "very bright")]
)
def test_brightness_has_a_name_and_a_number(luma, name):
    finding = the("brightness", find([plain(luma, luma, luma)] * 8, Span(0, 2)))

    assert finding.text == name
    assert finding.span == Span(0, 2)
    assert finding.detail["value"] == pytest.approx(luma / 255, abs=0.01)


def test_colours_are_named_with_their_shares():
    picture = plain(128, 128, 128)
    picture[:, :40] = (20, 20, 220)

    finding = the("colour", find([picture] * 8, Span(0, 2)))

    assert finding.text == "mostly grey, with some red"
    assert finding.detail == {"grey": pytest.approx(0.875, abs=0.01), "red": pytest.approx(0.125, abs=0.01)}


def test_a_small_colour_is_named_before_a_larger_white():
    shares = {"grey": 0.7, "white": 0.12, "black": 0.1, "red": 0.05, "blue": 0.03}

    assert colour_words(shares) == "mostly grey, with some red and white"


def test_each_moment_has_its_own_brightness():
    observer = AppearanceObserver()
    for frame in filmed([plain(20, 20, 20)] * 8 + [plain(200, 200, 200)] * 8):
        observer.push(frame)

    names = [the("brightness", observer.findings(span)).text for span in (Span(0, 2), Span(2, 4))]

    assert names == ["very dark", "very bright"]


def test_a_flash_is_found_at_its_time():
    dim, bright = plain(60, 60, 60), plain(200, 200, 200)

    finding = the("flash", find([dim] * 8 + [bright] * 2 + [dim] * 8, Span(0, 4)))

    assert finding.span == Span(2.0, 2.5)


def test_a_lamp_that_stays_on_is_not_a_flash():
    findings = find([plain(60, 60, 60)] * 8 + [plain(200, 200, 200)] * 12, Span(0, 5))

    assert not [finding for finding in findings if finding.kind == "flash"]


def test_a_short_bright_shot_between_two_cuts_is_not_a_flash():
    observer = AppearanceObserver()
    for number, frame in enumerate(
        filmed([plain(60, 60, 60)] * 4 + [plain(200, 200, 200)] * 3 + [busy()] * 4)
    ):
        if number in (4, 7):
            observer.cut(frame.time_s)
        observer.push(frame)

    assert not [finding for finding in observer.findings(Span(0, 3)) if finding.kind == "flash"]


def test_a_picture_out_of_focus_is_blurred():
    soft = cv2.GaussianBlur(busy(), (0, 0), 4)

    finding = the("blurred", find([busy()] * 8 + [soft] * 8, Span(0, 4)))

    assert finding.span.start_s == pytest.approx(2.0, abs=0.3)
    assert finding.span.end_s == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("picture", [busy(), plain(90, 90, 90), plain(0, 0, 0)])
def test_sharp_and_plain_pictures_are_not_blurred(picture):
    assert not is_blurred(picture)


def test_a_moment_without_a_frame_gives_no_findings():
    assert find([busy()] * 4, Span(50, 52)) == []
