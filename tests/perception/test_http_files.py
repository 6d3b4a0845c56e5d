"""A file given by its HTTP URL is watched as the same file by its path."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.errors import SourceUnreachable
from recollect.perception.describing.inspection import moment_pictures
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.sources.source import Source
from recollect.perception.sources.source_factory import open_source
from recollect.testing.file_server import FileServer

QUICK = WatchOptions(ocr=False)


def write_video(path: Path, seconds: float = 6.0, *, cover: bool = False) -> Path:
    """A moving square with its frame number as text, and a large cover picture if asked for."""
    with av.open(path, "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        art = container.add_stream("mjpeg", rate=10) if cover else None
        if art is not None:
            art.width, art.height, art.pix_fmt = 1280, 960, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            grey = av.VideoFrame.from_ndarray(np.full((960, 1280, 3), 128, np.uint8), format="bgr24")
            grey.pts, grey.time_base = 0, Fraction(1, 10)
            container.mux(art.encode(grey))
            container.mux(art.encode(None))
        for number in range(round(seconds * 10)):
            picture = np.full((240, 320, 3), 60, np.uint8)
            picture[180:220, number * 4 % 280 : number * 4 % 280 + 40] = (40, 200, 240)
            cv2.putText(picture, str(number), (20, 120), cv2.FONT_HERSHEY_SIMPLEX, 3, (255, 255, 255), 6)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "kitchen.mp4")


@pytest.fixture
def server(video: Path) -> Iterator[FileServer]:
    with FileServer({"/videos/kitchen.mp4": video}) as server:
        yield server


def events_of(source: Source, from_s: float = 0.0) -> list[object]:
    with closing(source):
        return [
            (event.time_s, event.sampled, event.thumb.tobytes()) if isinstance(event, Frame) else event
            for event in source.frames(from_s)
        ]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi", "flv"])
def test_frames_are_the_same_by_path_and_by_url(tmp_path, kind, ranges):
    path = write_video(tmp_path / f"clip.{kind}")
    with FileServer({"/clip": path}, ranges=ranges) as server:
        for from_s in (0.0, 3.2):
            by_url = events_of(open_source(server.url("/clip"), fps=4), from_s)
            assert by_url == events_of(open_source(str(path), fps=4), from_s)
            assert len(by_url) > 20


def test_cover_art_is_not_the_video_behind_a_url(tmp_path):
    path = write_video(tmp_path / "song.mp4", cover=True)
    with (
        FileServer({"/song.mp4": path}) as server,
        closing(open_source(server.url("/song.mp4"), fps=4)) as source,
    ):
        assert (source.info.kind, source.info.width) == ("file", 320)
        assert sum(isinstance(event, Frame) for event in source.frames()) == 60


def test_a_url_and_its_copy_on_the_disk_are_one_stream(tmp_path, server, video):
    with Recollect(tmp_path / "by-url.lance") as memory:
        report = memory.watch(server.url("/videos/kitchen.mp4"), options=QUICK)
        (status,) = memory.status()
        by_path = memory.watch(video, options=QUICK)
        assert [status.stream.name for status in memory.status()] == ["kitchen"]
    with Recollect(tmp_path / "by-path.lance") as memory:
        memory.watch(video, options=QUICK)
        again = memory.watch(server.url("/videos/kitchen.mp4"), options=QUICK)

    assert (report.state, report.stream, report.gaps, report.counts.captured) == ("done", "kitchen", 0, 60)
    assert (status.stream.kind, status.stream.source) == ("file", server.url("/videos/kitchen.mp4"))
    assert status.coverage.fraction == pytest.approx(1.0)
    assert by_path.already_done
    assert again.already_done


def test_a_stopped_url_is_continued(tmp_path, server):
    url = server.url("/videos/kitchen.mp4")
    with Recollect(tmp_path / "memory.lance") as memory:
        watch = memory.start(url, options=QUICK)
        watch.stop()
        stopped = watch.wait(timeout_s=60)
        report = memory.watch(url, options=QUICK)
        (status,) = memory.status()

    assert (stopped.state, report.state) == ("stopped", "done")
    assert status.coverage.watched_s == pytest.approx(6.0, abs=0.1)
    assert status.counts.captured == 60


@pytest.mark.slow
def test_a_server_that_goes_away_is_no_damage(tmp_path, server):
    url = server.url("/videos/kitchen.mp4")
    with Recollect(tmp_path / "memory.lance") as memory:
        source = open_source(url, fps=4)
        assert source.info.content_id
        server.refuse()
        with pytest.raises(SourceUnreachable, match="could not be reached"):
            memory.watch(source, stream="kitchen", options=QUICK)
        with pytest.raises(SourceUnreachable, match="'kitchen' is not served"):
            memory.watch(url, options=QUICK)
        (failed,) = memory.status()

        server.resume()
        report = memory.watch(url, options=QUICK)
        (status,) = memory.status()

    assert (failed.stream.state, failed.gaps) == ("failed", ())
    assert (report.state, status.gaps, status.counts.captured) == ("done", (), 60)


def test_the_command_watches_a_url_to_its_end(tmp_path, server, capsys):
    code = main(
        ["watch", server.url("/videos/kitchen.mp4"), "--no-ocr", "--memory", str(tmp_path / "m.lance")]
    )

    assert code == 0
    assert "kitchen: watched to 0:06.0" in capsys.readouterr().out


def test_pictures_behind_a_url_are_looked_at_again(tmp_path, server):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.watch(server.url("/videos/kitchen.mp4"), options=QUICK)
        (status,) = memory.status()
        moment = memory.timeline("kitchen")[0]

    pictures = moment_pictures(status.stream, moment, [], limit=4)

    assert len(pictures) == 4
    assert pictures[0][1].shape == (240, 320, 3)


def test_a_url_with_credentials_is_not_looked_at_again(tmp_path, video):
    with FileServer({"/kitchen.mp4": video}, credentials="anna:s3cret") as server:
        with Recollect(tmp_path / "memory.lance") as memory:
            report = memory.watch(server.url("/kitchen.mp4", credentials="anna:s3cret"), options=QUICK)
            (status,) = memory.status()
            moment = memory.timeline("kitchen")[0]

        assert report.counts.captured == 60
        assert moment_pictures(status.stream, moment, [], limit=4) == []
    files = [path for path in (tmp_path / "memory.lance").rglob("*") if path.is_file()]
    assert not any(b"s3cret" in path.read_bytes() for path in files)


def test_another_file_at_the_url_is_not_looked_at(tmp_path, video):
    path = tmp_path / "kitchen.mp4"
    path.write_bytes(video.read_bytes())
    with FileServer({"/kitchen.mp4": path}) as server:
        with Recollect(tmp_path / "memory.lance") as memory:
            memory.watch(server.url("/kitchen.mp4"), options=QUICK)
            (status,) = memory.status()
            moment = memory.timeline("kitchen")[0]
        write_video(path, 3.0)

        assert moment_pictures(status.stream, moment, [], limit=4) == []


@pytest.mark.parametrize(
    "options", [{"ranges": False, "validators": False}, {"content_type": "multipart/x-mixed-replace"}]
)
def test_what_is_no_file_stays_a_live_source(video, options):
    with (
        FileServer({"/live": video}, **options) as server,
        closing(open_source(server.url("/live"), fps=4)) as source,
    ):
        assert isinstance(source, LiveSource)


def test_a_server_that_is_down_is_a_live_source():
    started = time.monotonic()
    with closing(open_source("http://127.0.0.1:1/clip.mp4", fps=4)) as source:
        assert isinstance(source, LiveSource)
    assert time.monotonic() - started < 5
