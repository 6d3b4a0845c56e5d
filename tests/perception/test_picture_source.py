"""A folder or pattern of pictures is watched in its natural order, at the given rate."""

from __future__ import annotations

import struct
import zlib
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.errors import NotAVideo, SourceNotFound
from recollect.perception.describing.inspection import moment_pictures
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.source import Dropped, Outage, Source
from recollect.perception.sources.source_factory import FileReading, open_source


def pictures(folder: Path, count: int, *, name: str = "image-{}.png", first: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        picture = np.full((96, 160, 3), 10 * number % 250, np.uint8)
        cv2.imwrite(str(folder / name.format(number)), picture)
    return folder


def opened(source: Path | str, image_fps: float = 1.0) -> Source:
    return open_source(str(source), fps=4, files=FileReading(image_fps=image_fps))


def frames_of(source: Source, from_s: float = 0.0) -> list[Frame]:
    with closing(source):
        return [event for event in source.frames(from_s) if isinstance(event, Frame)]


def test_pictures_come_in_their_natural_order(tmp_path):
    folder = pictures(tmp_path / "frames", 12)

    frames = frames_of(opened(folder, 2.0))

    assert [frame.time_s for frame in frames] == [number / 2 for number in range(12)]
    assert [frame.picture()[0, 0, 0] for frame in frames] == [10 * number for number in range(1, 13)]
    assert all(frame.duration_s == 0.5 for frame in frames)


@pytest.mark.parametrize("pattern", ["frames/*.png", "frames/image-%d.png", "frames/image-?.png"])
def test_a_pattern_names_pictures(tmp_path, pattern):
    pictures(tmp_path / "frames", 9)
    pictures(tmp_path / "frames", 3, name="thumb-{}.jpg")

    assert len(frames_of(opened(tmp_path / pattern))) == 9


def test_numbered_pictures_have_as_many_digits_as_asked(tmp_path):
    pictures(tmp_path / "frames", 3, name="{:05d}.png")
    pictures(tmp_path / "frames", 3)

    assert len(frames_of(opened(tmp_path / "frames" / "%05d.png"))) == 3


def test_reading_from_the_middle_gives_the_same_frames(tmp_path):
    folder = pictures(tmp_path / "frames", 20)

    whole, rest = (frames_of(opened(folder, 8.0), from_s) for from_s in (0.0, 1.25))

    assert [(frame.time_s, frame.sampled) for frame in rest] == [
        (frame.time_s, frame.sampled) for frame in whole if frame.time_s >= 1.25
    ]


def test_pictures_that_cannot_be_decoded_are_a_gap(tmp_path):
    folder = pictures(tmp_path / "frames", 6)
    for number in (3, 4):
        (folder / f"image-{number}.png").write_bytes(b"no picture")

    with closing(opened(folder)) as source:
        events = list(source.frames())

    assert [event for event in events if not isinstance(event, Frame)] == [
        Dropped(2, "damaged", 2.0),
        Outage(2.0, 4.0, 0, "damaged", "the pictures could not be decoded"),
    ]


def test_a_folder_is_watched_and_goes_on_when_pictures_come(tmp_path):
    folder = pictures(tmp_path / "frames", 8)
    options = WatchOptions(ocr=False, image_fps=0.5)
    with Recollect(tmp_path / "memory.lance") as memory:
        report = memory.watch(folder, options=options)
        again = memory.watch(folder, options=options)
        pictures(folder, 4, first=9)
        more = memory.watch(folder, options=options)
        (status,) = memory.status()
        moments = memory.timeline("frames")

        looked_at = moment_pictures(status.stream, moments[0], [], limit=4)

    assert (report.stream, report.state, report.counts.captured) == ("frames", "done", 8)
    assert again.already_done
    assert (more.state, more.counts.captured) == ("done", 4)
    assert status.gaps == ()
    assert status.coverage.watched_s == pytest.approx(24.0, abs=2.0)
    assert looked_at[0][1].shape == (96, 160, 3)


def test_the_command_takes_a_rate_of_pictures(tmp_path, capsys):
    folder = pictures(tmp_path / "frames", 10)
    arguments = ["--image-fps", "5", "--no-ocr", "--memory", str(tmp_path / "m.lance")]

    assert main(["watch", str(folder / "*.png"), "--stream", "lapse", *arguments]) == 0
    assert "lapse: watched to 0:02.0" in capsys.readouterr().out


def test_a_folder_with_videos_says_what_to_give(tmp_path, short_video):
    folder = pictures(tmp_path / "frames", 2)
    (folder / "film.mp4").write_bytes(short_video.read_bytes())

    with pytest.raises(NotAVideo, match=r"videos, such as 'film\.mp4'"):
        opened(folder)


def test_a_folder_or_pattern_without_pictures_is_refused(tmp_path):
    with pytest.raises(NotAVideo, match="it is a folder without pictures"):
        opened(tmp_path)
    with pytest.raises(SourceNotFound, match="no picture fits the pattern"):
        opened(tmp_path / "*.jpg")


def test_a_hostile_picture_costs_only_its_own_time(tmp_path):
    folder = pictures(tmp_path / "frames", 3, name="{}.png")
    rows = zlib.compress(bytes(30_001))
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    bomb = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)

    with closing(opened(folder)) as source:
        events = list(source.frames())

    assert [event.time_s for event in events if isinstance(event, Frame)] == [0.0, 2.0]
    assert [event for event in events if isinstance(event, Dropped)] == [Dropped(1, "damaged", 1.0)]
