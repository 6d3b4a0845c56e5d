"""The file source: times, pictures, reported losses and refusals for many kinds of files."""

from __future__ import annotations

import itertools
import os
import wave
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from recollect.perception.errors import NotAVideo, SourceNotFound, UnsupportedSource
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.sources.frame_sampling import FrameSampler
from recollect.perception.sources.picture_conversion import thumb_of
from recollect.perception.sources.source import Dropped, Outage
from recollect.perception.sources.source_factory import open_source
from recollect.perception.sources.urls import redact

SIZE = (160, 96)


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture with a bright top left corner and a bar whose position depends on the frame number."""
    image = np.full((size[1], size[0], 3), 60, np.uint8)
    image[: size[1] // 4, : size[0] // 4] = 235
    x = 5 * number % (size[0] - 12)
    image[size[1] // 2 :, x : x + 12] = (40, 40, 220)
    return image


def write_video(
    path: Path,
    times_s: list[float],
    *,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    turned: int = 0,
    aspect: Fraction | None = None,
    sound_tracks: int = 0,
    sound_from_s: float = 0.0,
    cover: bool = False,
) -> Path:
    base = Fraction(1, 1000) if path.suffix in (".mkv", ".webm") else Fraction(1, 25)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = base
        stream.options = options if options is not None else {"bf": "3", "g": "12", "preset": "ultrafast"}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        sounds = [container.add_stream("mp2", rate=44100, layout="mono") for _ in range(sound_tracks)]
        art = None
        if cover:
            art = container.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
            art.disposition = Disposition.attached_pic
        if art is not None:
            still = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 200, np.uint8), "bgr24")
            container.mux([*art.encode(still.reformat(format="yuvj420p")), *art.encode(None)])
        for sound in sounds:
            for n in range(20):
                samples = np.zeros((1, 1152), np.int16)
                frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
                frame.sample_rate, frame.time_base = 44100, Fraction(1, 44100)
                frame.pts = round(sound_from_s * 44100) + n * 1152
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(picture(number, size), "bgr24")
            frame.pts, frame.time_base = round(time_s / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def steady(seconds: float) -> list[float]:
    return [n / 25 for n in range(round(seconds * 25))]


def uneven(seconds: float) -> list[float]:
    """Times at 25, then two, then ten frames a second."""
    thirds = [(0, 0.04), (seconds / 3, 0.5), (2 * seconds / 3, 0.1)]
    return [round(start + n * step, 3) for start, step in thirds for n in range(round(seconds / 3 / step))]


def events_of(path: Path, from_s: float = 0.0, fps: float = 4) -> list[Frame | Outage | Dropped]:
    with closing(FileSource(path, fps)) as source:
        return list(source.frames(from_s))


def frames_of(path: Path, from_s: float = 0.0, fps: float = 4) -> list[Frame]:
    return [event for event in events_of(path, from_s, fps) if isinstance(event, Frame)]


def outages_of(path: Path) -> list[Outage]:
    return [event for event in events_of(path) if isinstance(event, Outage)]


def damage(path: Path, start: float, end: float) -> Path:
    """Overwrite a part of a file, given as fractions of its length, with zeros."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * end)
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path


def cut_off(path: Path, fraction: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


def fields_of(frame: Frame) -> tuple[object, ...]:
    """The fields that must be equal when a frame is read again."""
    small = None if frame.small is None else frame.small.tobytes()
    return frame.time_s, frame.pts, frame.time_base, frame.size, frame.thumb.tobytes(), small


# Times


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_reordered_b_frames_come_at_their_true_times(tmp_path, name):
    path = write_video(tmp_path / name, steady(2))

    times = [frame.time_s for frame in frames_of(path)]

    assert times == pytest.approx(steady(2), abs=1e-6)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_without_presentation_times_has_even_times(tmp_path, codec):
    path = write_video(tmp_path / "a.avi", steady(2), codec=codec, options={"bf": "2", "g": "12"})

    times = [frame.time_s for frame in frames_of(path)]

    assert times == pytest.approx(steady(2), abs=1e-6)


def test_a_variable_frame_rate_keeps_its_true_times(tmp_path):
    path = write_video(tmp_path / "a.webm", uneven(6), codec="libvpx", options={"deadline": "realtime"})

    times = [frame.time_s for frame in frames_of(path)]

    assert times == pytest.approx(uneven(6), abs=0.0011)


def test_sound_that_starts_first_leaves_the_picture_its_offset(tmp_path):
    late = [1.2 + time_s for time_s in steady(1)]
    path = write_video(tmp_path / "a.mp4", late, sound_tracks=1)

    first = frames_of(path)[0]

    assert first.time_s == pytest.approx(1.2, abs=0.01)


def test_times_count_from_the_start_of_the_file(tmp_path):
    path = write_video(tmp_path / "a.ts", steady(1), container_options={"output_ts_offset": "5000"})

    assert frames_of(path)[0].time_s == pytest.approx(0.0, abs=1e-6)


# Sampling


def test_the_first_frame_of_each_slot_is_sampled_at_any_rate(tmp_path):
    path = write_video(tmp_path / "a.mkv", uneven(6))
    times = [frame.time_s for frame in frames_of(path)]

    sampled = [frame.time_s for frame in frames_of(path) if frame.sampled]

    slots = itertools.groupby(times, key=lambda time_s: int(time_s * 4 + 1e-6))
    assert sampled == [next(group) for _, group in slots]


def test_a_sampler_takes_the_first_frame_and_then_one_per_slot():
    sampler = FrameSampler(4)

    sampled_s = [t for t in (0.30, 0.40, 0.49, 0.50, 0.51, 3.0, 3.1, 3.25) if sampler.takes(t)]

    assert sampled_s == [0.30, 0.50, 3.0, 3.25]


def test_a_sampling_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        FrameSampler(0)


# Reading from the middle


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "vfr.mkv", "a.ts", "a.avi", "open.mp4"])
def test_reading_from_the_middle_gives_the_same_frames(tmp_path, name):
    options = {"bf": "3", "g": "10", "x264-params": "open-gop=1"} if name == "open.mp4" else None
    path = write_video(tmp_path / name, uneven(3) if name == "vfr.mkv" else steady(1.2), options=options)
    everything = [fields_of(frame) for frame in frames_of(path)]
    times = [float(look[0]) for look in everything]

    for from_s in {*times, times[3] + 0.017, times[-2] + 0.017, times[-1] + 1.0}:
        again = [fields_of(frame) for frame in frames_of(path, from_s)]

        assert again == [look for look in everything if look[0] >= from_s], from_s


# Pictures


def test_thumbs_and_pictures_have_their_promised_shapes(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(0.4), size=(640, 360))

    frames = frames_of(path)

    assert {frame.thumb.shape for frame in frames} == {THUMB_SHAPE}
    assert frames[0].small.shape == (180, 320, 3)
    assert frames[0].picture().shape == (360, 640, 3)
    assert frames[0].size == (640, 360)
    assert frames[1].small is None
    with pytest.raises(ValueError, match="not sampled"):
        frames[1].picture()


@pytest.mark.parametrize(
    ("turned", "corner"), [(90, "bottom left"), (180, "bottom right"), (-90, "top right")]
)
def test_a_rotated_recording_becomes_upright(tmp_path, turned, corner):
    path = write_video(tmp_path / "a.mp4", steady(0.2), turned=turned)

    frame = frames_of(path)[0]

    assert frame.size == (SIZE if turned == 180 else SIZE[::-1])
    assert frame.picture().shape[:2] == frame.size[::-1]
    assert max(frame.small.shape) == 320
    for shown in (frame.small[..., 1], frame.thumb):
        vertical, horizontal = corner.split()
        rows = slice(-4, None) if vertical == "bottom" else slice(0, 4)
        columns = slice(-4, None) if horizontal == "right" else slice(0, 4)
        assert shown[rows, columns].mean() > 180
        assert shown.mean() < 120


def test_stretched_pixels_are_made_square(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(0.2), aspect=Fraction(16, 11))

    frame = frames_of(path)[0]

    assert frame.size == (round(SIZE[0] * 16 / 11), SIZE[1])
    assert frame.picture().shape == (frame.size[1], frame.size[0], 3)


def test_a_huge_picture_is_scaled_to_1920_pixels_of_width(tmp_path):
    path = write_video(tmp_path / "a.mp4", [0.0], size=(2560, 1440))

    frame = frames_of(path)[0]

    assert frame.size == (2560, 1440)
    assert frame.picture().shape == (1080, 1920, 3)


@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuvj420p", "yuv444p", "nv12", "gray", "yuv420p10le", "bgr24", "gbrp", "yuyv422"]
)
def test_a_thumb_spans_0_to_255_in_any_pixel_format(pixels):
    image = np.zeros((360, 640, 3), np.uint8)
    image[:, 320:] = 255
    frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=pixels)

    thumb = thumb_of(frame)

    assert thumb.shape == THUMB_SHAPE
    assert thumb.dtype == np.uint8
    assert thumb[:, :30].max() <= 2
    assert thumb[:, 34:].min() >= 253


# Damage


def test_a_truncated_file_reports_the_missing_end(tmp_path):
    path = cut_off(
        write_video(tmp_path / "a.mp4", steady(6), container_options={"movflags": "faststart"}), 0.5
    )

    events = events_of(path)

    last = [event for event in events if isinstance(event, Frame)][-1]
    assert isinstance(events[-1], Outage)
    assert events[-1].cause == "damaged"
    assert events[-1].start_s == pytest.approx(last.time_s + 0.04)
    assert events[-1].end_s == pytest.approx(6.0)


@pytest.mark.parametrize("name", ["a.ts", "a.mp4"])
def test_a_damaged_middle_is_one_outage_in_the_same_epoch(tmp_path, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = damage(write_video(tmp_path / name, steady(10), container_options=options), 0.4, 0.6)

    events = events_of(path)

    frames = [event for event in events if isinstance(event, Frame)]
    [outage] = [event for event in events if isinstance(event, Outage)]
    times = [frame.time_s for frame in frames]
    assert frames[-1].time_s == pytest.approx(9.96)
    assert {frame.epoch for frame in frames} == {outage.epoch} == {0}
    assert max(b - a for a, b in itertools.pairwise(times)) == pytest.approx(
        outage.end_s - outage.start_s + 0.04
    )
    assert times == sorted(set(times))


def test_undecodable_frames_are_counted(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(6), container_options={"movflags": "faststart"})
    damage(path, 0.4, 0.6)

    events = events_of(path)

    lost = sum(event.count for event in events if isinstance(event, Dropped) and event.cause == "damaged")
    assert lost + len([event for event in events if isinstance(event, Frame)]) == 150


def test_a_pause_in_an_undamaged_file_is_not_an_outage(tmp_path):
    path = write_video(tmp_path / "a.mkv", [0.0, 0.04, 0.08, 7.0, 7.04])

    assert outages_of(path) == []


# Content of a file, and files without video


def test_info_is_available_before_reading(tmp_path):
    info = FileSource(write_video(tmp_path / "a.mkv", steady(2), sound_tracks=2), 4).info

    assert (info.kind, info.width, info.height, info.average_fps) == ("file", *SIZE, 25.0)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    assert info.has_audio
    assert info.subtitle_tracks == 0


def test_info_reports_a_file_without_sound(tmp_path):
    assert not FileSource(write_video(tmp_path / "a.mp4", steady(0.2)), 4).info.has_audio


def test_the_identity_of_a_file_is_its_content_not_its_name(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(0.2))
    identical, different = tmp_path / "b.mp4", write_video(tmp_path / "c.mp4", steady(0.4))
    identical.write_bytes(path.read_bytes())

    ids = [FileSource(p, 4).info.content_id for p in (path, identical, different)]

    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith("blake2b:")


def test_cover_art_is_not_chosen_as_the_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(1), cover=True)

    frames = frames_of(path)

    assert len(frames) == 25
    assert frames[0].size == SIZE


def test_stop_ends_reading(tmp_path):
    source = FileSource(write_video(tmp_path / "a.mp4", steady(2)), 4)
    frames = []

    for frame in source.frames():
        frames.append(frame)
        source.stop()

    assert len(frames) == 1


def test_a_name_that_looks_like_a_protocol_is_still_a_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(0.2)).rename(tmp_path / "pipe:0 concat:x.mp4")

    assert len(frames_of(path)) == 5


def sound_only(path: Path) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    return path


def song_with_cover(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        art = container.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt, art.disposition = 64, 64, "yuvj420p", Disposition.attached_pic
        still = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "bgr24").reformat(
            format="yuvj420p"
        )
        container.mux([*art.encode(still), *art.encode(None)])
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux([*sound.encode(frame), *sound.encode(None)])
    return path


def writer_of(content: bytes) -> object:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def a_folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("f.mp4", a_folder, "folder"),
        ("e.mp4", writer_of(b""), "empty"),
        ("t.mp4", writer_of(b"dear diary\n" * 400), "text"),
        ("t.txt", writer_of(b"dear diary\n" * 400), "text"),
        ("l.mp4", writer_of(b"ffconcat version 1.0\nfile /etc/passwd\n"), "text"),
        ("l.m3u8", writer_of(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"), "text"),
        ("r.mp4", writer_of(bytes(range(256)) * 40), "no kind of video"),
        ("s.wav", sound_only, "sound, but no moving picture"),
        ("s.mp4", song_with_cover, "sound, but no moving picture"),
        (
            "m.mp4",
            lambda path: cut_off(write_video(path, steady(1)), 0.7),
            "cut off before its index",
        ),
    ],
)
def test_a_file_without_video_is_refused_with_the_reason(tmp_path, name, make, why):
    path = make(tmp_path / name)

    with pytest.raises(NotAVideo, match=why) as refused:
        FileSource(path, 4)

    assert name in str(refused.value)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(SourceNotFound):
        open_source(str(tmp_path / "nothing.mp4"), fps=4)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_an_unreadable_file_is_refused_with_the_reason(tmp_path):
    path = write_video(tmp_path / "a.mp4", steady(0.2))
    path.chmod(0)

    with pytest.raises(NotAVideo, match="permission"):
        FileSource(path, 4)


# Addresses


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "concat://a", "ftp://host/a.mp4", "FILE://x", "data://x"]
)
def test_a_scheme_that_is_not_allowed_is_refused(url):
    with pytest.raises(UnsupportedSource):
        open_source(url, fps=4)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://anna:s3cret@cam.local:554/ch1?sub=0", "rtsp://cam.local:554/ch1?sub=***"),
        ("http://h/a.ts?token=abc&channel=2&Password=x", "http://h/a.ts?token=***&channel=***&Password=***"),
        ("rtsp://h:554/a", "rtsp://h:554/a"),
        ("rtsp://a:p@ss@h/x#frag", "rtsp://h/x"),
        ("http://u:p@[::1/x", "http://…"),
    ],
)
def test_a_redacted_address_shows_no_secret(url, shown):
    assert redact(url) == shown


def test_a_refused_url_does_not_show_its_secrets():
    with pytest.raises(UnsupportedSource) as refused:
        open_source("ftp://anna:s3cret@host/x", fps=4)

    assert "s3cret" not in str(refused.value)
