"""Which addresses are live sources, and what is said of those that cannot be opened."""

from __future__ import annotations

from contextlib import closing

import pytest

from recollect.cli.main import main
from recollect.common.errors import BadArgument
from recollect.errors import CameraNotFound, SourceNotFound, UnsupportedSource
from recollect.perception.sources import source_factory
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.sources.source_factory import device_url, open_source


@pytest.mark.parametrize(
    "url", ["rtsp://host/1", "rtsps://host/1", "rtmp://host/live/1", "rtmps://host/live/1"]
)
def test_streams_of_cameras_and_encoders_are_live_sources(url):
    with closing(open_source(url, fps=4)) as source:
        assert isinstance(source, LiveSource)


@pytest.mark.parametrize("has_srt", [True, False])
def test_srt_is_watched_where_ffmpeg_has_it(monkeypatch, has_srt):
    monkeypatch.setattr(source_factory, "_has_protocol", lambda scheme: has_srt)

    if has_srt:
        open_source("srt://host:9000?streamid=x", fps=4).close()
    else:
        with pytest.raises(UnsupportedSource, match="'srt' is not one of rtsp"):
            open_source("srt://host:9000?passphrase=s3cret", fps=4)


@pytest.mark.parametrize("device", ["/dev/video987", "v4l2:///dev/video987"])
def test_a_missing_camera_is_named(tmp_path, capsys, device):
    assert main(["watch", device, "--memory", str(tmp_path / "m.lance")]) == 2

    assert "cannot watch the camera '/dev/video987': there is no such device" in capsys.readouterr().err
    assert not (tmp_path / "m.lance").exists()


def test_only_camera_devices_are_opened_as_devices():
    assert device_url("/dev/video0") == "v4l2:///dev/video0"
    assert device_url("/dev/sda") == "/dev/sda"
    for device in ("v4l2:///etc/passwd", "v4l2:///dev/video0/../sda", "v4l2://host"):
        with pytest.raises(BadArgument):
            open_source(device, fps=4)
    with pytest.raises(CameraNotFound):
        open_source("/dev/v4l/by-id/none", fps=4)


@pytest.mark.parametrize(
    "source", ["file:/etc/passwd", "concat:a.ts|b.ts", "subfile,,start,0,end,9,,:a.mp4", "data:x"]
)
def test_protocols_of_ffmpeg_are_names_of_files(source):
    with pytest.raises(SourceNotFound):
        open_source(source, fps=4)
