"""Times and coverage of files whose timestamps, durations and tracks are unusual."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from recollect import Recollect
from recollect.errors import NotAVideo
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.source import Outage

SIZE = (160, 96)


def write(
    path: Path,
    times_s: list[float],
    *,
    last_s: float | None = None,
    sound_s: float = 0.0,
    size: tuple[int, int] = SIZE,
    aspect: Fraction = Fraction(1),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: int = 10,
    **options: str,
) -> Path:
    """A file with a picture at each time, and sound from 0 to ``sound_s``. The last picture lasts ``last_s``."""
    base = Fraction(1, 100 if codec == "gif" else 1000)
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = *size, pixels
        video.codec_context.time_base, video.codec_context.sample_aspect_ratio = base, aspect
        if codec == "libx264":
            video.options = {"bf": "0", "g": "10", "preset": "ultrafast"}
        sound = container.add_stream("aac", rate=48_000, layout="mono") if sound_s else None
        packets = []
        for number, time_s in enumerate(times_s):
            image = np.full((size[1], size[0], 3), (30 + 7 * number) % 220, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = round(time_s / base), base
            packets += video.encode(frame)
        packets += video.encode(None)
        if sound is not None:
            packets += silence(sound, sound_s)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        pictures = [packet for packet in packets if packet.stream is video]
        if last_s is not None:
            for packet, (before_s, after_s) in zip(
                pictures, pairwise([*times_s, times_s[-1] + last_s]), strict=True
            ):
                packet.duration = round((after_s - before_s) / packet.time_base)
        container.mux(packets)
    return path


def silence(sound, until_s: float) -> list[av.Packet]:
    packets: list[av.Packet] = []
    for number in range(int(until_s * 48_000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 1024, Fraction(1, 48_000)
        packets += sound.encode(frame)
    return packets + sound.encode(None)


def steady(seconds: float, fps: float = 10, from_s: float = 0.0) -> list[float]:
    return [from_s + number / fps for number in range(round(seconds * fps))]


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def events_of(path: Path, from_s: float = 0.0) -> list[Frame | Outage]:
    with closing(FileSource(path, 4)) as source:
        return list(source.frames(from_s))


def times_of(path: Path) -> list[float]:
    return [event.time_s for event in events_of(path) if isinstance(event, Frame)]


def gaps_of(path: Path) -> list[tuple[str, float, float]]:
    outages = [event for event in events_of(path) if isinstance(event, Outage)]
    return [(outage.cause, round(outage.start_s, 1), round(outage.end_s, 1)) for outage in outages]


def end_of(path: Path) -> float:
    last = [event for event in events_of(path) if isinstance(event, Frame)][-1]
    return last.time_s + last.duration_s


# Clocks


@pytest.mark.parametrize("rates", [(25, 5), (5, 25)])
def test_a_joined_recording_goes_on_where_the_first_ends(tmp_path, rates):
    parts = [write(tmp_path / f"{fps}.ts", steady(4, fps), rate=fps, sound_s=4) for fps in rates]
    path = join(tmp_path / "a.ts", *parts)

    times_s = times_of(path)

    first_s = times_s[0]
    expected_s = steady(4, rates[0], first_s) + steady(4, rates[1], first_s + 4)
    assert times_s == pytest.approx(expected_s, abs=0.001)
    assert gaps_of(path) == []


def transport_timestamps(data: bytes) -> list[int]:
    """Where the timestamps of the pictures are in a transport stream."""
    packets = range(0, len(data), 188)
    starts = [(at, data.find(b"\0\0\1\xe0", at, at + 188)) for at in packets if data[at + 1] & 0x40]
    return [start + 9 for _, start in starts if start >= 0]


def delay_in_transport_stream(path: Path, number: int, delay_s: float) -> None:
    data = bytearray(path.read_bytes())
    at = transport_timestamps(data)[number]
    value = int.from_bytes(data[at : at + 5], "big")
    pts = (value >> 33 & 7) << 30 | (value >> 17 & 0x7FFF) << 15 | value >> 1 & 0x7FFF
    pts = pts + round(delay_s * 90_000) & (1 << 33) - 1
    changed = value >> 36 << 36 | pts >> 30 << 33 | 1 << 32 | (pts >> 15 & 0x7FFF) << 17 | 1 << 16
    data[at : at + 5] = (changed | (pts & 0x7FFF) << 1 | 1).to_bytes(5, "big")
    path.write_bytes(data)


def delay_in_flash_video(path: Path, number: int, delay_s: float) -> None:
    data, at, tags = bytearray(path.read_bytes()), 13, []
    while at + 15 < len(data):
        if data[at] == 9 and data[at + 12] == 1:
            tags.append(at)
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    time = slice(tags[number] + 4, tags[number] + 8)
    low, high = int.from_bytes(data[time][:3], "big"), data[time][3]
    changed = (high << 24 | low) + round(delay_s * 1000) & 0xFFFFFFFF
    data[time] = (changed & 0xFFFFFF).to_bytes(3, "big") + bytes([changed >> 24])
    path.write_bytes(data)


def delay_in_matroska(path: Path, number: int, delay_s: float) -> None:
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data, at = bytearray(path.read_bytes()), places[number] + 1
    changed = int.from_bytes(data[at : at + 2], "big", signed=True) + round(delay_s * 1000)
    data[at : at + 2] = max(-32768, min(32767, changed)).to_bytes(2, "big", signed=True)
    path.write_bytes(data)


DELAYS = {"ts": delay_in_transport_stream, "flv": delay_in_flash_video, "mkv": delay_in_matroska}


@pytest.mark.parametrize("delay_s", [7200, 3, 90_000])
@pytest.mark.parametrize("number", [0, 20, 39])
@pytest.mark.parametrize("suffix", DELAYS)
@pytest.mark.parametrize("sound_s", [0, 4])
def test_one_bad_timestamp_moves_nothing(tmp_path, suffix, number, delay_s, sound_s):
    path = write(tmp_path / f"a.{suffix}", steady(4), sound_s=sound_s)
    right_s = times_of(path)
    DELAYS[suffix](path, number, delay_s)

    assert times_of(path) == pytest.approx(right_s, abs=0.03)
    assert gaps_of(path) == []


def test_a_hole_of_half_a_minute_is_a_gap(tmp_path):
    times_s = steady(2) + steady(2, from_s=32)

    assert gaps_of(write(tmp_path / "a.ts", times_s)) == [("no picture", 2.0, 32.0)]


def test_a_clock_that_jumps_by_hours_is_no_gap(tmp_path):
    path = write(tmp_path / "a.ts", steady(2) + steady(2, from_s=7200))

    assert times_of(path) == pytest.approx(steady(4))
    assert gaps_of(path) == []


@pytest.mark.parametrize("from_s", [1.0, 3.9, 4.5, 7.9])
def test_reading_from_the_middle_knows_an_odd_clock(tmp_path, from_s):
    parts = [write(tmp_path / f"{fps}.ts", steady(4, fps), rate=fps) for fps in (25, 5)]
    path = join(tmp_path / "a.ts", *parts)
    delay_in_transport_stream(path, 10, 7200)

    again_s = [event.time_s for event in events_of(path, from_s)]

    assert again_s == [time_s for time_s in times_of(path) if time_s >= from_s]


# Durations


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_last_picture_is_held_as_the_file_says(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", [0, 2, 4, 6, 8], last_s=22)

    assert end_of(path) == pytest.approx(30)
    assert gaps_of(path) == []


def test_the_last_picture_of_a_gif_is_held_as_the_file_says(tmp_path):
    path = write(tmp_path / "a.gif", [0, 0.5, 1], last_s=2.5, codec="gif", pixels="rgb8")

    assert end_of(path) == pytest.approx(3.5)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pictures_of_a_timelapse_last_a_minute(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", [0, 60, 120, 180], last_s=60)

    with Recollect(tmp_path / "memory") as memory:
        report = memory.watch(path)
        moments = list(memory.timeline("a"))

    assert report.until_s == pytest.approx(240)
    assert report.gaps == 0
    assert sum(moment.span.duration_s for moment in moments) == pytest.approx(240)


def test_a_stale_duration_tag_is_not_believed(tmp_path):
    path = write(tmp_path / "a.mkv", steady(4))
    data = path.read_bytes()
    assert b"00:00:04.0" in data
    path.write_bytes(data.replace(b"00:00:04.0", b"00:00:34.0"))

    assert gaps_of(path) == []
    assert end_of(path) == pytest.approx(4)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_sound_after_the_picture_is_a_gap_without_picture(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", steady(3), sound_s=7)

    [(cause, start_s, end_s)] = gaps_of(path)

    assert cause == "no picture"
    assert (start_s, end_s) == pytest.approx((3, 7), abs=0.15)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_before_the_picture_is_a_gap_without_picture(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", steady(3, from_s=4), sound_s=7)

    [(cause, start_s, end_s)] = gaps_of(path)

    assert (cause, start_s) == ("no picture", 0)
    assert end_s == pytest.approx(4, abs=0.1)


# Changes in the middle


def test_a_changed_aspect_ratio_holds_from_its_frame_on(tmp_path):
    aspects = (Fraction(1), Fraction(16, 11), Fraction(4, 3))
    parts = [
        write(tmp_path / f"{n}.ts", steady(2), aspect=aspect, output_ts_offset=str(2 * n))
        for n, aspect in enumerate(aspects)
    ]
    path = join(tmp_path / "a.ts", *parts)

    widths = [event.size[0] for event in events_of(path) if isinstance(event, Frame)]

    assert widths == [160] * 20 + [233] * 20 + [213] * 20


def test_a_changed_size_holds_from_its_frame_on(tmp_path):
    sizes = [(160, 96), (320, 96), (96, 160)]
    parts = [
        write(tmp_path / f"{n}.ts", steady(2), size=size, output_ts_offset=str(2 * n))
        for n, size in enumerate(sizes)
    ]
    path = join(tmp_path / "a.ts", *parts)

    frames = [event for event in events_of(path) if isinstance(event, Frame)]

    assert [frame.size for frame in frames] == [size for size in sizes for _ in range(20)]
    with Recollect(tmp_path / "memory") as memory:
        assert memory.watch(path).until_s == pytest.approx(6)


def test_tracks_that_appear_later_are_passed_over(tmp_path):
    first = write(tmp_path / "first.ts", steady(40))
    second = write(tmp_path / "second.ts", steady(3), sound_s=3, output_ts_offset="40")
    path = join(tmp_path / "a.ts", first, second)

    assert len(times_of(path)) == 430
    assert gaps_of(path) == []


def test_a_picture_that_goes_on_in_another_track_is_a_gap(tmp_path):
    first = write(tmp_path / "first.ts", steady(20))
    second = write(tmp_path / "second.ts", steady(20), output_ts_offset="20", mpegts_start_pid="700")

    [(cause, start_s, end_s)] = gaps_of(join(tmp_path / "a.ts", first, second))

    assert (cause, start_s) == ("no picture", 20)
    assert end_s == pytest.approx(40, abs=1)


# Hostile files


def test_a_scrambled_half_of_a_transport_stream_is_a_gap(tmp_path):
    path = write(tmp_path / "a.ts", steady(10))
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 188 // 2 * 188, len(data), 188):
        data[at + 3] |= 0x80
        data[at + 4 : at + 188] = np.random.default_rng(at).bytes(184)
    path.write_bytes(data)

    [(cause, start_s, end_s)] = gaps_of(path)

    assert cause == "damaged"
    assert (start_s, end_s) == pytest.approx((5, 10), abs=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "flv"])
def test_tags_may_hold_any_bytes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "zzQQzz"
        video = container.add_stream("flv" if suffix == "flv" else "mpeg4", rate=10)
        video.width, video.height = SIZE
        for _ in range(10):
            container.mux(video.encode(av.VideoFrame(*SIZE, "yuv420p")))
        container.mux(video.encode(None))
    assert b"zzQQzz" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"zzQQzz", b"zz\xe9\xfczz"))

    assert len(times_of(path)) == 10


@pytest.mark.parametrize("size", [(16000, 16), (16, 4000), (2, 2)])
def test_strips_are_watched(tmp_path, size):
    path = write(tmp_path / "a.mkv", steady(1, 4), size=size, codec="ffv1")

    frames = [event for event in events_of(path) if isinstance(event, Frame)]

    assert {frame.size for frame in frames} == {size}
    assert all(min(frame.small.shape[:2]) >= min(*size, 16) for frame in frames if frame.sampled)
    with Recollect(tmp_path / "memory") as memory:
        assert memory.watch(path).moments == 1


def test_a_recording_of_which_no_frame_was_seen_is_an_error(tmp_path):
    class Empty(FileSource):
        def frames(self, from_s: float = 0.0):
            return iter(())

    source = Empty(write(tmp_path / "a.mkv", steady(1)), 4)

    with Recollect(tmp_path / "memory") as memory, pytest.raises(NotAVideo, match="none of its pictures"):
        memory.watch(source)
