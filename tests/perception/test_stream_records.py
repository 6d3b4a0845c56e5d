"""Stream records: a camera is known by its name, a file by its content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.errors import (
    AlreadyWatched,
    SourceUnreachable,
    StreamNameNeeded,
    StreamNameTaken,
    WatchedUnderAnotherName,
)
from recollect.memory import MemoryStore
from recollect.memory.values import Stream
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.stream_records import find_or_create_record

QUICK = WatchOptions(ocr=False)
GONE = WatchOptions(max_outage_s=0.0)
"""Gives up on a camera at once."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path / "memory.lance", write=True) as opened:
        yield opened


def record_of(store: MemoryStore, url: str, name: str | None = None) -> Stream:
    """The stream of a camera, which is then in the memory."""
    with closing(LiveSource(url, 4)) as source:
        record = find_or_create_record(store, source.info, name=name, fps=4, address=url)
    store.put_stream(record)
    return record


# -- cameras -------------------------------------------------------------------------------------------


def test_a_named_camera_keeps_its_stream_at_a_new_address(store):
    first = record_of(store, "rtsp://10.0.0.7/live", "door")

    moved = record_of(store, "rtsp://admin:pw@10.0.0.9/live?key=s3cret", "door")

    assert (moved.name, moved.origin_wall_s) == (first.name, first.origin_wall_s)
    assert store.stream("door").source == "rtsp://10.0.0.9/live?key=***"
    assert [stream.name for stream in store.streams()] == ["door"]


def test_names_distinguish_cameras_of_one_recorder(store):
    for key, name in (("cam1", "door"), ("cam2", "yard"), ("cam1", "door")):
        assert record_of(store, f"http://recorder/live?key={key}", name).name == name

    assert [stream.name for stream in store.streams()] == ["door", "yard"]


def test_cameras_that_a_secret_distinguishes_need_names(store):
    record_of(store, "http://recorder/live?key=cam1")

    for key in ("cam1", "cam2"):
        with pytest.raises(StreamNameNeeded, match="recorder-live"):
            record_of(store, f"http://recorder/live?key={key}")

    assert record_of(store, "http://recorder/live?key=cam2", "yard").name == "yard"
    assert record_of(store, "http://recorder/live?key=cam1", "recorder-live").name == "recorder-live"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    st.sampled_from(["?key={}", "?token={}", "?{}", "?cam={}", "/key={}/live", "/a:{};b", "?x=1&y={}"]),
    st.lists(st.text("abcdefgh", min_size=5), min_size=2, max_size=2, unique=True),
)
def test_unnamed_cameras_of_different_addresses_are_never_mixed(store, form, values):
    host = f"recorder{len(store.streams())}"
    first, second = (f"http://{host}{form.format(value)}" for value in values)
    record = record_of(store, first)

    with pytest.raises(StreamNameNeeded):
        record_of(store, second)

    assert values[0] not in repr(record)
    assert store.stream(record.name) == record


def test_an_unnamed_camera_is_known_by_its_address(store):
    first = record_of(store, "rtsp://anna:old@camera/live?channel=1")

    assert record_of(store, "rtsp://anna:new@camera/live?channel=1") == first
    assert record_of(store, "rtsp://anna:new@camera/live?channel=2").name != first.name


def test_two_streams_of_one_address_need_a_name(store):
    for name in ("door", "front"):
        record_of(store, "rtsp://camera/live", name)

    with pytest.raises(StreamNameNeeded, match="'door' or 'front'"):
        record_of(store, "rtsp://camera/live")


def test_a_camera_of_an_older_memory_keeps_its_stream(store):
    with closing(LiveSource("http://recorder/live?key=cam1", 4)) as source:
        content_id = source.info.content_id
    assert content_id.startswith("address:")
    old = Stream("door", "live", "http://recorder/live?key=***", content_id, "stopped", 4, origin_wall_s=9.0)
    store.put_stream(old)

    assert record_of(store, "http://recorder/live?key=cam1", "door") == old


def test_cameras_watched_at_once_are_not_mixed(tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.start("http://127.0.0.1:1/live?key=cam1")

        with pytest.raises(StreamNameNeeded, match="key=\\*\\*\\*"):
            memory.start("http://127.0.0.1:1/live?key=cam2")
        with pytest.raises(AlreadyWatched):
            memory.start("http://127.0.0.1:1/live?key=cam1", stream="front")
        memory.start("http://127.0.0.1:1/live?key=cam2", stream="yard")


def test_the_command_names_the_flag_that_distinguishes_cameras(tmp_path, capsys):
    arguments = ["--max-outage", "0.1", "--memory", str(tmp_path / "memory.lance")]
    main(["watch", "http://127.0.0.1:1/live?key=cam1", *arguments])
    capsys.readouterr()

    code = main(["watch", "http://127.0.0.1:1/live?key=cam2", *arguments])

    assert code == 2
    error = capsys.readouterr().err
    assert "--stream" in error
    assert "cam2" not in error


# -- names ---------------------------------------------------------------------------------------------


def test_the_name_of_a_file_is_no_name_for_a_camera(tmp_path, short_video):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.watch(short_video, stream="film", options=QUICK)

        with pytest.raises(StreamNameTaken, match="film"):
            memory.watch("rtsp://127.0.0.1:1/live", stream="film", options=GONE)


def test_the_name_of_a_camera_is_no_name_for_a_file(tmp_path, short_video):
    with Recollect(tmp_path / "memory.lance") as memory:
        with pytest.raises(SourceUnreachable):
            memory.watch("rtsp://127.0.0.1:1/live", stream="door", options=GONE)

        with pytest.raises(StreamNameTaken, match=r"127\.0\.0\.1"):
            memory.watch(short_video, stream="door", options=QUICK)


def test_another_name_for_a_watched_file_is_not_ignored(tmp_path, short_video):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.watch(short_video, stream="film", options=QUICK)

        with pytest.raises(WatchedUnderAnotherName, match="'film'"):
            memory.watch(short_video, stream="clip", options=QUICK)
        assert memory.watch(short_video, stream="film", options=QUICK).already_done
        assert memory.watch(short_video, options=QUICK).already_done


# -- files that grow -----------------------------------------------------------------------------------


def recording(path: Path, seconds: int, kind: str = "mpegts") -> Path:
    """A recording of ten frames a second, each with its number as its brightness."""
    with av.open(path, "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(seconds * 10):
            picture = np.full((96, 160, 3), 40 + number % 160, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def part(path: Path, share: float) -> bytes:
    content = path.read_bytes()
    return content[: int(len(content) * share)]


@pytest.mark.parametrize("kind", ["mpegts", "matroska", "flv"])
def test_a_file_that_has_grown_goes_on_with_its_stream(tmp_path, kind):
    whole = recording(tmp_path / "whole", 12, kind)
    path = tmp_path / "recording"
    reports = []
    with Recollect(tmp_path / "memory.lance") as memory:
        for share in (0.5, 0.5, 0.8, 1.0, 1.0):
            path.write_bytes(part(whole, share))
            reports.append(memory.watch(path, options=QUICK))

        (status,) = memory.status()
        moments = memory.timeline("recording")

    assert [report.already_done for report in reports] == [False, True, False, False, True]
    assert [report.resumed_at_s is not None for report in reports] == [False, False, True, True, False]
    assert status.stream.state == "done"
    assert status.gaps == ()
    assert status.coverage.watched_s == pytest.approx(12.0, abs=0.2)
    assert sum(report.counts.captured for report in reports) == pytest.approx(120, abs=3)
    for earlier, later in pairwise(moments):
        assert earlier.span.end_s == pytest.approx(later.span.start_s)


def test_a_download_that_is_complete_now_has_no_gap(tmp_path):
    whole = recording(tmp_path / "whole.mkv", 12, "matroska")
    path = tmp_path / "film.mkv"
    with Recollect(tmp_path / "memory.lance") as memory:
        path.write_bytes(part(whole, 0.5))
        memory.watch(path, options=QUICK)
        assert [status.gaps != () for status in memory.status()] == [True]

        path.write_bytes(whole.read_bytes())
        memory.watch(path, options=QUICK)
        (status,) = memory.status()

    assert status.gaps == ()
    assert status.coverage.watched_s == pytest.approx(12.0, abs=0.2)
