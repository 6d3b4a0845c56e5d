from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from fractions import Fraction

import cv2
import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.barcodes import BarcodeObserver, dense_patches
from recollect.perception.observers.observer import Observer
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame, Picture

FPS = 4
LINK = "https://example.org/kitchen?shelf=3"
EAN = "4006381333931"
"""A real article number, with its check digit."""


def room() -> Picture:
    """A plain room in soft light, 1280 pixels wide."""
    light = np.linspace(90, 170, 1280, dtype=np.float32)
    return np.repeat(np.tile(light, (720, 1))[..., None], 3, axis=2).astype(np.uint8)


def with_qr(text: str = LINK, *, left_px: int = 200, top_px: int = 150, side_px: int = 240) -> Picture:
    code = cv2.QRCodeEncoder.create().encode(text)
    code = cv2.copyMakeBorder(code, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=255)
    picture = room()
    shown = cv2.resize(code, (side_px, side_px), interpolation=cv2.INTER_NEAREST)
    picture[top_px : top_px + side_px, left_px : left_px + side_px] = shown[..., None]
    return picture


def with_barcode(*, left_px: int = 500, top_px: int = 200) -> Picture:
    """Draw the EAN-13 of ``EAN``. Each digit is seven modules wide. Its leading 4 selects the sets LGLLGG."""
    left_odd = "0001101 0011001 0010011 0111101 0100011 0110001 0101111 0111011 0110111 0001011".split()  # noqa: SIM905
    right = ["".join("10"[int(bit)] for bit in code) for code in left_odd]
    left_even = [code[::-1] for code in right]
    sets = [left_odd if name == "L" else left_even for name in "LGLLGG"]
    first = "".join(codes[int(digit)] for codes, digit in zip(sets, EAN[1:7], strict=True))
    last = "".join(right[int(digit)] for digit in EAN[7:])
    bars = np.array([0 if bit == "1" else 255 for bit in f"101{first}01010{last}101"], np.uint8)
    picture = room()
    picture[top_px : top_px + 220, left_px : left_px + 4 * 115] = 255
    picture[top_px + 20 : top_px + 200, left_px + 40 : left_px + 40 + 4 * 95] = np.repeat(bars, 4)[
        None, :, None
    ]
    return picture


def filmed(pictures: Iterable[Picture]) -> list[Frame]:
    frames = []
    for number, picture in enumerate(pictures):
        small = cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA)
        thumb = cv2.resize(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (64, 36), interpolation=cv2.INTER_AREA)
        frames.append(
            Frame(
                number / FPS,
                number,
                Fraction(1, FPS),
                thumb,
                small=small,
                read_picture=lambda image=picture: image,
            )
        )
    return frames


def find(pictures: Iterable[Picture], *spans: Span) -> list[Finding]:
    observer = BarcodeObserver()
    for frame in filmed(pictures):
        observer.push(frame)
    return [finding for span in spans or (Span(0, 60),) for finding in observer.findings(span)]


def test_it_is_an_observer():
    assert isinstance(BarcodeObserver(), Observer)


def test_a_qr_code_is_quoted_with_its_place():
    findings = find([with_qr()] * 4, Span(0, 1))

    assert [(f.field, f.kind, f.text) for f in findings] == [("visible_text", "qr", LINK)]
    assert findings[0].box == pytest.approx((200 / 1280, 150 / 720, 440 / 1280, 390 / 720), abs=0.06)
    assert findings[0].span == Span(0, 1)


def test_a_bar_code_is_quoted():
    findings = find([with_barcode()] * 4)

    assert [(finding.kind, finding.text) for finding in findings] == [("barcode", EAN)]


def test_two_codes_at_once_are_both_read():
    both = with_barcode()
    both[150:390, 200:440] = with_qr()[150:390, 200:440]

    assert {finding.kind for finding in find([both] * 4)} == {"qr", "barcode"}


def test_a_code_lasts_from_the_sample_that_read_it_to_the_next():
    findings = find([room()] * 8 + [with_qr()] * 12 + [room()] * 12, Span(0, 8))

    assert [finding.text for finding in findings] == [LINK]
    assert findings[0].span.start_s == pytest.approx(2.0, abs=0.3)
    assert findings[0].span.end_s == pytest.approx(5.0, abs=0.3)


def test_a_code_that_stays_is_reported_in_every_moment():
    findings = find([with_qr()] * 24, Span(0, 3), Span(3, 6))

    assert [(finding.text, finding.span) for finding in findings] == [(LINK, Span(0, 3)), (LINK, Span(3, 6))]


def test_a_code_ends_at_a_cut():
    observer = BarcodeObserver()
    for frame in filmed([with_qr()] * 8):
        observer.push(frame)

    observer.cut(2.0)

    assert [finding.text for finding in observer.findings(Span(0, 2))] == [LINK]
    assert observer.findings(Span(2, 4)) == []


def test_a_damaged_code_is_left_out():
    torn = with_qr()
    torn[230:330, 260:400] = 200

    assert find([torn] * 4) == []


def test_a_room_without_codes_does_not_reach_the_decoders():
    observer = BarcodeObserver()
    frames = filmed([room()] * 4)
    for frame in frames:
        frame.read_picture = None  # a request for the full picture would now raise

    for frame in frames:
        observer.push(frame)

    assert observer.findings(Span(0, 1)) == []
    assert dense_patches(frames[0].small) == []


def test_a_film_without_codes_gives_no_findings(clips):
    observer = BarcodeObserver()
    with closing(FileSource(clips / "c12_city_shots_cuts.mp4", FPS)) as source:
        for event in source.frames():
            if isinstance(event, Frame) and event.sampled:
                observer.push(event)

    assert observer.findings(Span(0, 20)) == []
