"""Damaged files of many containers: every second is seen or is a gap, and the gap is where the damage is."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.source import Outage

pytestmark = pytest.mark.slow

SECONDS, FPS, BITS, CELL = 12, 25, 9, 16
SOUND_HZ = 48_000


@dataclass(frozen=True)
class Kind:
    """A container with codecs that it commonly holds."""

    suffix: str
    video: str = "libx264"
    audio: str = "aac"
    options: tuple[tuple[str, str], ...] = ()


KINDS = [
    Kind("mkv"),
    Kind("webm", "libvpx", "libopus"),
    Kind("mp4", options=(("movflags", "faststart"),)),
    Kind("avi", "mpeg4", "mp2"),
    Kind("ts"),
    Kind("mpg", "mpeg2video", "mp2"),
    Kind("flv"),
    Kind("ogv", "libvpx", "libopus"),
]


def numbered(number: int) -> av.VideoFrame:
    """A noisy picture that shows its number in black and white cells."""
    noise = np.random.default_rng(number)
    image = noise.integers(100, 156, (96, BITS * CELL, 3), dtype=np.uint8)
    for bit in range(BITS):
        image[:48, bit * CELL : (bit + 1) * CELL] = 255 * (number >> bit & 1)
    frame = av.VideoFrame.from_ndarray(image, "bgr24")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def number_of(frame: Frame) -> int:
    """The number that a picture shows."""
    picture = frame.picture()
    cells = [picture[8:40, bit * CELL + 4 : (bit + 1) * CELL - 4].mean() > 128 for bit in range(BITS)]
    return sum(cell << bit for bit, cell in enumerate(cells))


def write(path: Path, kind: Kind, *, has_sound: bool) -> Path:
    with av.open(str(path), "w", options=dict(kind.options)) as container:
        video = container.add_stream(kind.video, rate=FPS)
        video.width, video.height, video.pix_fmt = BITS * CELL, 96, "yuv420p"
        video.codec_context.gop_size = FPS
        video.bit_rate = 2_000_000
        video.options = {"preset": "ultrafast", "deadline": "realtime", "cpu-used": "8"}
        sound = container.add_stream(kind.audio, rate=SOUND_HZ, layout="mono") if has_sound else None
        written = 0
        for number in range(SECONDS * FPS):
            container.mux(video.encode(numbered(number)))
            while sound is not None and written / SOUND_HZ < (number + 1) / FPS:
                written += write_sound(container, sound, written)
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


def write_sound(container, sound, written: int) -> int:
    context = sound.codec_context
    length = context.frame_size or 1024
    kind = np.int16 if "s16" in context.format.name else np.float32
    frame = av.AudioFrame.from_ndarray(np.zeros((1, length), kind), context.format.name, "mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, written, Fraction(1, SOUND_HZ)
    container.mux(sound.encode(frame))
    return length


@pytest.fixture(scope="module", params=[False, True], ids=["silent", "sound"])
def has_sound(request) -> bool:
    return request.param


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.suffix)
def undamaged(request, has_sound, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("files") / f"a.{request.param.suffix}"
    try:
        return write(path, request.param, has_sound=has_sound)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"PyAV was built without an encoder for {request.param.suffix}")


def zeroed(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + bytes(end - start) + data[end:]


def cut(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + data[end:]


def events_of(path: Path):
    with closing(FileSource(path, fps=FPS)) as source:
        for event in source.frames():
            # A picture can be read until the next event is requested.
            yield (event, number_of(event)) if isinstance(event, Frame) else (event, None)


def check(path: Path) -> tuple[list[Frame], list[Outage]]:
    """Check what holds for any file, and return its frames and outages."""
    events = list(events_of(path))
    frames = [(event, number) for event, number in events if isinstance(event, Frame)]
    outages = [event for event, _ in events if isinstance(event, Outage)]
    first_s = frames[0][0].time_s - frames[0][1] / FPS
    assert -0.01 < first_s < 0.1
    # Until the next key frame after damage, a decoder shows parts of earlier pictures.
    wrong = [
        (frame.time_s, number)
        for frame, number in frames
        if abs(frame.time_s - number / FPS - first_s) > 0.1
        and not any(outage.start_s - 0.3 < frame.time_s < outage.end_s + 1.2 for outage in outages)
    ]
    assert wrong == []
    last = frames[-1][0]
    end_s = max(last.time_s + (last.duration_s or 0), *(outage.end_s for outage in outages), 0)
    assert end_s == pytest.approx(SECONDS, abs=1.0)
    times_s = [0.0, *(frame.time_s for frame, _ in frames), SECONDS]
    for before_s, after_s in pairwise(times_s):
        if after_s - before_s > 1.2:
            assert any(
                abs(outage.start_s - before_s) < 0.2 and abs(outage.end_s - after_s) < 1.0
                for outage in outages
            ), (before_s, after_s, outages)
    seen = np.array([frame.time_s for frame, _ in frames])
    for outage in outages:
        assert not np.any((seen > outage.start_s) & (seen < outage.end_s - 1e-6))
    return [frame for frame, _ in frames], outages


def test_an_undamaged_file_has_no_gap(undamaged):
    frames, outages = check(undamaged)

    assert len(frames) == SECONDS * FPS
    assert outages == []


@pytest.mark.parametrize("break_bytes", [zeroed, cut])
@pytest.mark.parametrize("at", [0.3, 0.6])
def test_damaged_bytes_are_a_gap_in_their_place(undamaged, tmp_path, break_bytes, at):
    if break_bytes is cut and undamaged.suffix == ".mp4":
        pytest.skip("all later places in the index of an MP4 are wrong once bytes are cut out")
    data = undamaged.read_bytes()
    path = tmp_path / undamaged.name
    path.write_bytes(break_bytes(data, int(at * len(data)), int((at + 0.2) * len(data))))

    _, outages = check(path)

    [outage] = outages
    assert outage.cause == "damaged"
    assert outage.start_s == pytest.approx(at * SECONDS, abs=1.5)
    assert outage.end_s == pytest.approx((at + 0.2) * SECONDS, abs=1.5)
