"""JPEGs are cut out of multipart streams of every dialect, however the bytes are cut up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.perception.sources.jpeg_stream import MAX_PICTURE_BYTES, JpegSplitter

DIALECTS = {
    "plain": lambda jpeg: b"--frame\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg),
    "no length": lambda jpeg: b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n",
    "double boundary": lambda jpeg: (
        b"--frame\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n"
    ),
    "late boundary": lambda jpeg: b"Content-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n--frame\r\n",
    "line feeds only": lambda jpeg: b"--frame\nContent-Type: image/jpeg\n\n" + jpeg + b"\n",
    "no multipart": lambda jpeg: jpeg,
}


def jpeg_of(seed: int, *, progressive: bool = False) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)])[1].tobytes()


def with_preview(jpeg: bytes) -> bytes:
    """The picture with another JPEG in its application data, as cameras embed previews."""
    preview = jpeg_of(99)
    return jpeg[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + jpeg[2:]


JPEGS = [jpeg_of(1), jpeg_of(2, progressive=True), with_preview(jpeg_of(3)), jpeg_of(4)]


def split(stream: bytes, sizes: list[int]) -> tuple[list[bytes], JpegSplitter]:
    splitter, pictures, at = JpegSplitter(), [], 0
    for size in [*sizes, len(stream)]:
        pictures += splitter.push(stream[at : at + size])
        at += size
    return pictures, splitter


@pytest.mark.parametrize("dialect", DIALECTS)
@given(sizes=st.lists(st.integers(1, 900), max_size=30))
def test_pictures_of_a_dialect_come_whole(dialect, sizes):
    stream = b"".join(map(DIALECTS[dialect], JPEGS))

    pictures, splitter = split(stream, sizes)

    assert pictures == JPEGS
    assert splitter.broken == 0


def test_a_picture_is_given_as_soon_as_its_last_byte_has_come():
    splitter = JpegSplitter()

    assert splitter.push(b"--frame\r\n\r\n" + JPEGS[0][:-1]) == []
    assert splitter.push(JPEGS[0][-1:]) == [JPEGS[0]]


@settings(max_examples=400)
@given(cut=st.integers(3, len(JPEGS[0]) - 1), sizes=st.lists(st.integers(1, 900), max_size=30))
def test_a_picture_that_was_cut_off_costs_only_itself(cut, sizes):
    # The longest length that a part of a header can claim is 64 KiB.
    following = [JPEGS[3]] * ((1 << 16) // len(JPEGS[3]) + 2)
    stream = b"".join(map(DIALECTS["no length"], [JPEGS[3], JPEGS[0][:cut], *following]))

    pictures, splitter = split(stream, sizes)

    assert set(pictures) == {JPEGS[3]}
    assert len(pictures) == 1 + len(following)
    assert splitter.broken >= 1


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_are_survived_and_nothing_is_hoarded(pieces):
    splitter = JpegSplitter()

    for piece in pieces:
        splitter.push(piece)
    assert splitter.push(JPEGS[0] + JPEGS[1])[-1:] in ([], [JPEGS[1]])


def test_a_picture_without_an_end_is_given_up():
    splitter = JpegSplitter()
    splitter.push(JPEGS[0][:-2])

    for _ in range(MAX_PICTURE_BYTES // (1 << 20) + 1):
        assert splitter.push(bytes(1 << 20)) == []

    assert splitter.broken == 1
    assert splitter.push(JPEGS[1]) == [JPEGS[1]]
