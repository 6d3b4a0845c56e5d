"""Inspection: a second look reads missed text, from the file if it exists, else from stored pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect.memory.values import KeyFrame, Moment, Observation, Span, Stream
from recollect.perception.describing.inspection import WRITTEN_BY, moment_pictures, read_closely
from recollect.perception.sources.content_identity import content_id_of
from recollect.perception.stages.key_frames import encode_jpeg

SIZE = (640, 360)


def sign(text: str) -> np.ndarray:
    picture = np.full((SIZE[1], SIZE[0], 3), 235, np.uint8)
    cv2.putText(picture, text, (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 3, (10, 10, 10), 8)
    return picture


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of a sign that reads OPEN for two seconds, then CLOSED for two."""
    path = tmp_path / "sign.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "10"}
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(sign("OPEN" if number < 20 else "CLOSED"), "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def stream_of(video: Path) -> Stream:
    return Stream("sign", "file", str(video), content_id_of(video), state="done", fps=4)


def moment(start_s: float, end_s: float) -> Moment:
    return Moment("m1", "sign", 0, Span(start_s, end_s), observations=())


def kept(text: str) -> KeyFrame:
    jpeg, width, height = encode_jpeg(sign(text))
    return KeyFrame("f1", "sign", 2.0, 20, "1/10", width, height, jpeg)


def look_again(stream: Stream, moment: Moment, frames: list[KeyFrame]) -> Observation | None:
    return read_closely(moment_pictures(stream, moment, frames, limit=4), moment.span)


def texts(observation) -> list[str]:
    return [finding.text for finding in observation.findings if finding.field == "visible_text"]


@pytest.mark.slow
def test_inspection_reads_the_file_within_the_span(video: Path):
    observation = look_again(stream_of(video), moment(2.0, 2.6), [])

    assert texts(observation) == ["CLOSED"]
    assert observation.written_by == WRITTEN_BY
    assert "CLOSED" in observation.caption
    assert all(2.0 <= f.span.start_s <= f.span.end_s <= 2.6 for f in observation.findings)


def test_without_the_file_the_stored_pictures_are_read(video: Path):
    stream = stream_of(video)
    video.unlink()

    observation = look_again(stream, moment(2.0, 4.0), [kept("MUSEUM")])

    assert texts(observation) == ["MUSEUM"]


def test_a_changed_file_is_not_inspected(video: Path):
    stream = stream_of(video)
    content = bytearray(video.read_bytes())
    content[len(content) // 2] ^= 1
    video.write_bytes(content)

    assert look_again(stream, moment(2.0, 4.0), []) is None


@pytest.mark.slow
def test_a_file_that_has_grown_is_inspected(video: Path):
    stream = stream_of(video)
    video.write_bytes(video.read_bytes() + b"more")

    assert texts(look_again(stream, moment(2.0, 4.0), [])) == ["CLOSED"]


def test_a_damaged_picture_is_skipped(video: Path):
    stream = stream_of(video)
    video.unlink()
    damaged = replace(kept("MUSEUM"), jpeg=b"\xff\xd8 and no more")

    assert moment_pictures(stream, moment(2.0, 4.0), [damaged], limit=4) == []
    assert texts(look_again(stream, moment(2.0, 4.0), [damaged, kept("OPEN")])) == ["OPEN"]


def test_a_rung_above_moments_uses_stored_pictures(video: Path):
    """Its span may be an hour, and decoding the file for a few pictures would take too long."""
    event = replace(moment(0.0, 4.0), rung="event")

    [(time_s, _)] = moment_pictures(stream_of(video), event, [kept("MUSEUM")], limit=4)

    assert time_s == 2.0
    assert moment_pictures(stream_of(video), event, [], limit=4) == []


def test_a_moment_without_pixels_gives_no_observation(video: Path):
    stream = stream_of(video)
    video.unlink()

    assert look_again(stream, moment(2.0, 4.0), []) is None
