"""Sources of every kind are opened, what a server may not name stays closed, and each failure has its cause."""

from __future__ import annotations

import base64
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect.common.backoff import Backoff
from recollect.perception.errors import SourceUnreachable
from recollect.perception.sources.connection_progress import LiveTimeouts
from recollect.perception.sources.ffmpeg_log import FfmpegLog
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.sources.source import Event, Outage
from recollect.testing.faulty_server import FaultyServer
from recollect.testing.packaged_hls_server import PackagedHlsServer
from recollect.testing.stream_servers import RtspServer

HASTE = LiveTimeouts(open_s=3.0, stall_s=2.0, backoff=Backoff(first_s=0.1, longest_s=0.2))


def first_frames(url: str, count: int, timeout_s: float = 20.0) -> list[Frame]:
    with closing(LiveSource(url, 4, timeouts=HASTE, max_outage_s=timeout_s)) as source:
        return list(itertools.islice((e for e in source.frames() if isinstance(e, Frame)), count))


def failure_of(url: str, **options: object) -> str:
    source = LiveSource(url, 4, max_outage_s=0.1, **{"timeouts": HASTE, **options})
    with closing(source), pytest.raises(SourceUnreachable) as raised:
        list(source.frames())
    return raised.value.why


class MjpegCamera(FaultyServer):
    """Sends JPEGs over HTTP in a dialect of multipart."""

    def __init__(self, template: bytes, fps: float = 20.0) -> None:
        self._template, self._fps = template, fps
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def _serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as requests:
            while requests.readline().strip():
                pass
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for number in itertools.count():
            self._wait_out_stall(client)
            picture = np.full((240, 320, 3), number % 200, np.uint8)
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            client.sendall(self._template.replace(b"JPEG", jpeg).replace(b"SIZE", b"%d" % len(jpeg)))
            time.sleep(1 / self._fps)


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: SIZE\r\n\r\nJPEG\r\n",
        b"--frame\r\nContent-Type: image/jpeg\r\n\r\nJPEG\r\n",
        b"--frame\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: SIZE\r\n\r\nJPEG\r\n",
        b"Content-Type: image/jpeg\r\nContent-Length: SIZE\r\n\r\nJPEG\r\n--frame\r\n",
    ],
    ids=["plain", "no-length", "double-boundary", "late-boundary"],
)
def test_jpegs_come_with_their_arrival_in_every_dialect(template):
    with MjpegCamera(template) as camera:
        frames = first_frames(camera.url, 20)

    assert frames[0].sampled
    assert frames[0].picture().shape == (240, 320, 3)
    assert frames[-1].time_s == pytest.approx(19 / 20, abs=0.5)
    brightness = [int(frame.thumb.mean()) for frame in frames]
    assert brightness == sorted(brightness)


@pytest.mark.slow
@pytest.mark.parametrize("extension", [".ts", ".jpg", ""])
@pytest.mark.parametrize("encrypted", [False, True])
def test_hls_opens_whatever_its_segments_are_called(extension, encrypted):
    with PackagedHlsServer(segment_s=1.0, extension=extension, encrypted=encrypted) as server:
        frames = first_frames(server.url, 25)

    assert {frame.epoch for frame in frames} == {0}
    assert frames[0].size == (320, 240)


def segments_of(address: str, *tags: str) -> str:
    head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0", *tags]
    return "\n".join([*head, "#EXTINF:1.0,", address, ""])


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with PackagedHlsServer(segment_s=1.0, segments=1) as server:
        path = tmp_path_factory.mktemp("private") / "segment.ts"
        path.write_bytes(server._segments[0])
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["file://PATH", "crypto:PATH", "crypto+file://PATH", "concat:PATH", "subfile,,start,0,end,0,,:PATH", "DATA"]
)  # fmt: skip
def test_a_playlist_opens_no_file_and_no_data(address, segment):
    data = "data:video/mp2t;base64," + base64.b64encode(segment.read_bytes()).decode()
    address = data if address == "DATA" else address.replace("PATH", str(segment))
    with PackagedHlsServer(playlist=segments_of(address)) as server:
        why = failure_of(server.url)

    assert why.startswith("timeout")
    assert str(segment) not in why


@pytest.mark.slow
def test_a_key_from_a_file_is_not_read(segment):
    key = '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/hostname"'
    with PackagedHlsServer(playlist=segments_of("segment0.ts", key)) as server:
        assert "an address of a kind that is not opened" in failure_of(server.url)


@pytest.mark.slow
def test_a_key_that_is_missing_is_told():
    with PackagedHlsServer(segment_s=1.0, encrypted=True, key_status=404) as server:
        assert "the key of its encrypted segments cannot be read" in failure_of(server.url)


@pytest.mark.slow
def test_a_live_playlist_that_ends_is_tried_until_it_returns():
    details = []
    with PackagedHlsServer(segment_s=1.0) as server:

        def note(state: str, detail: str) -> None:
            if state == "backing_off":
                details.append(detail)
            if len(details) == 2:
                server.go_on()

        with closing(LiveSource(server.url, 4, timeouts=HASTE, on_state=note)) as source:
            events: Iterator[Event] = source.frames()
            seen = list(itertools.islice(events, 15))
            server.end_list()
            while not (isinstance(seen[-1], Frame) and seen[-1].epoch > 0):
                seen.append(next(events))

    assert "the live stream has ended, and only its recording is offered" in details[1]
    [outage] = [event for event in seen if isinstance(event, Outage)]
    assert outage.cause == "dropped"
    times = [event.time_s for event in seen if isinstance(event, Frame)]
    assert times == sorted(times)


@pytest.mark.slow
def test_a_server_of_long_segments_is_no_stall():
    states = []
    with (
        PackagedHlsServer(segment_s=6.0, segments=4) as server,
        closing(
            LiveSource(server.url, 4, timeouts=HASTE, on_state=lambda *state: states.append(state))
        ) as source,
    ):
        events = list(itertools.islice(source.frames(), 130))

    assert [event for event in events if isinstance(event, Outage)] == []
    # While it waits for the first segment, it tells more than once that it is connecting.
    assert [state for state, _ in itertools.groupby(state for state, _ in states)] == [
        "connecting",
        "live",
        "stopped",
    ]


def test_rtsp_falls_back_to_udp_where_tcp_is_refused():
    with RtspServer(fps=25, udp_only=True) as server:
        frames = first_frames(server.url, 10)

    assert len(frames) == 10


@pytest.mark.parametrize(
    ("url", "cause", "words"),
    [
        ("http://no-such-host.invalid/x", "unreachable", "its host name cannot be resolved"),
        ("rtsp://no-such-host.invalid/x", "unreachable", "its host name cannot be resolved"),
        ("https://127.0.0.1:PORT/x", "unreachable", "the TLS connection failed"),
        ("rtsp://127.0.0.1:1/x", "refused", "refused"),
        ("rtmp://127.0.0.1:1/x", "refused", "refused"),
    ],
)
def test_the_reason_of_a_failure_is_told(url, cause, words):
    with PackagedHlsServer(playlist="") as server:
        why = failure_of(url.replace("127.0.0.1:PORT", server.url.split("/")[2]))

    assert why.startswith(cause)
    assert words in why


def test_an_address_of_an_unknown_kind_is_given_up_at_once():
    source = LiveSource("srt://127.0.0.1:9", 4, timeouts=HASTE)

    with closing(source), pytest.raises(SourceUnreachable, match="the installed FFmpeg cannot open"):
        list(source.frames())


def test_the_log_of_a_reader_is_bounded_and_quotes_nothing():
    log = FfmpegLog()
    reader, writer = os.pipe()
    program = (
        "import sys; sys.stdout.write('x' * 1_000_000 + '\\n' + 'noise\\n' * 50_000);"
        "print('[hls @ 0x1] Unable to open key file http://anna:secret@h/k, Server returned 404 Not Found')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer), os.fdopen(reader, "rb") as stream:
        os.close(writer)
        log.read_all(stream)

    assert log.reason() == "the key of its encrypted segments cannot be read (status 404)"
