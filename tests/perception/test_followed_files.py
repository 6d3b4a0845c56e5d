"""A file that another program still writes is followed until it stops growing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.errors import BadArgument, NotAVideo
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.source_factory import FileReading, open_source

KINDS = {
    "ts": ("mpegts", {}),
    "mkv": ("matroska", {}),
    "flv": ("flv", {}),
    "mp4": ("mp4", {"movflags": "frag_keyframe+empty_moov"}),
}
FOLLOW = WatchOptions(ocr=False, follow=True, follow_idle_s=3.0)


def record(path: Path, seconds: int, *, speed: float) -> None:
    """Write a recording as a recorder does, ``speed`` times as fast as it is shown."""
    kind, options = KINDS[path.suffix[1:]]
    noise = np.random.default_rng(1)
    with av.open(path, "w", format=kind, options={**options, "flush_packets": "1"}) as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        started = time.monotonic()
        for number in range(seconds * 10):
            picture = noise.integers(0, 60, (96, 160, 3), np.uint8) + np.uint8(number % 150)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            time.sleep(max(0.0, started + number / 10 / speed - time.monotonic()))
        container.mux(stream.encode())


@pytest.fixture
def recorder():
    """Starts a recording in a thread, and waits for it at the end."""
    threads: list[threading.Thread] = []

    def start(path: Path, seconds: int, *, speed: float = 4.0) -> None:
        thread = threading.Thread(target=record, args=(path, seconds), kwargs={"speed": speed})
        threads.append(thread)
        thread.start()

    yield start
    for thread in threads:
        thread.join()


Recorder = Callable[..., None]


def wait_for_bytes(path: Path, size: int) -> None:
    give_up_s = time.monotonic() + 30
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


@pytest.mark.slow  # a recording of a few seconds, and the wait after it
@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_is_followed_to_its_end(tmp_path, recorder, kind):
    path = tmp_path / f"recording.{kind}"
    recorder(path, 16)
    wait_for_bytes(path, 60_000)
    with Recollect(tmp_path / "memory.lance") as memory:
        report = memory.watch(path, options=FOLLOW)
        again = memory.watch(path, options=WatchOptions(ocr=False))
        (status,) = memory.status()
        moments = memory.timeline("recording", limit=100)

    assert (report.state, report.gaps, report.counts.captured) == ("done", 0, 160)
    assert (again.moments, again.counts.captured) == (0, 0)
    assert status.coverage.watched_s == pytest.approx(16.0, abs=0.2)
    assert all(a.span.end_s == pytest.approx(b.span.start_s) for a, b in pairwise(moments))


@pytest.mark.slow  # a recording of a few seconds, and the wait after it
@pytest.mark.parametrize("kind", KINDS)
def test_a_followed_recording_is_continued_after_a_stop(tmp_path, recorder, kind):
    path = tmp_path / f"recording.{kind}"
    recorder(path, 16)
    wait_for_bytes(path, 60_000)
    with Recollect(tmp_path / "memory.lance") as memory:
        watch = memory.start(path, options=FOLLOW)
        time.sleep(1.5)
        stopped_s = time.monotonic()
        watch.stop()
        stopped = watch.wait(timeout_s=20)
        stopped_s = time.monotonic() - stopped_s
        report = memory.watch(path, options=FOLLOW)
        (status,) = memory.status()

    assert (stopped.state, report.state) == ("stopped", "done")
    assert stopped_s < 5
    assert [stream.stream.name for stream in [status]] == ["recording"]
    assert status.gaps == ()
    assert status.counts.captured == 160
    assert status.coverage.watched_s == pytest.approx(16.0, abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_a_followed_file_are_those_of_the_file(tmp_path, kind):
    path = tmp_path / f"recording.{kind}"
    record(path, 4, speed=1000)

    def events(files: FileReading, from_s: float) -> list[tuple[float, bool, bytes]]:
        with closing(open_source(str(path), fps=4, files=files)) as source:
            frames = [event for event in source.frames(from_s) if isinstance(event, Frame)]
            return [(frame.time_s, frame.sampled, frame.thumb.tobytes()) for frame in frames]

    for from_s in (0.0, 2.35):
        assert events(FileReading(follow_idle_s=0.2), from_s) == events(FileReading(), from_s)


@pytest.mark.slow  # a recording of a few seconds
def test_the_command_follows_a_file_that_is_empty_at_first(tmp_path, recorder, capsys):
    path = tmp_path / "recording.ts"
    path.touch()
    recorder(path, 8)

    code = main(
        [
            "watch",
            str(path),
            "--follow",
            "--follow-idle",
            "3",
            "--no-ocr",
            "--memory",
            str(tmp_path / "m.lance"),
        ]
    )

    assert code == 0
    assert "recording: watched to 0:08.0" in capsys.readouterr().out


def test_a_text_is_no_video_however_new_it_is(tmp_path):
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary\n" * 100)

    with pytest.raises(NotAVideo, match="text"):
        open_source(str(path), fps=4, files=FileReading(follow_idle_s=0.5))


@pytest.mark.parametrize(
    "options", [{"follow": 1}, {"follow_idle_s": 0}, {"image_fps": 0.0}, {"image_fps": "2"}]
)
def test_a_wrong_option_of_files_is_refused(options):
    with pytest.raises(BadArgument):
        WatchOptions(**options)


def test_following_a_camera_is_refused(tmp_path: Path):
    with (
        Recollect(tmp_path / "memory") as memory,
        pytest.raises(BadArgument, match="only a file on disk can be followed"),
    ):
        memory.watch("rtsp://127.0.0.1:1/door", options=FOLLOW)
