"""Packaged HLS server: a live HLS stream with segments of any name, encrypted or not, for tests and demonstrations.

    with PackagedHlsServer(segment_s=2.0, extension=".jpg", encrypted=True) as server:
        source = LiveSource(server.url, fps=4)
        ...
        server.end_list()      # the playlist says that the stream has ended
        server.go_on()         # and then it goes on

The segments are drawn and encoded once, by FFmpeg's own writer of HLS. They follow each other in real time, and
begin again after the last. Nothing outside this process is used.
"""

from __future__ import annotations

import tempfile
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import av
from av.video.stream import VideoStream

from .stream_servers import draw_seconds

_WINDOW = 3
"""Segments in the playlist."""
_FPS = 10
_KEY = bytes(range(16))


class PackagedHlsServer:
    """Serves a live HLS stream."""

    def __init__(
        self,
        *,
        segment_s: float = 2.0,
        segments: int = 8,
        extension: str = ".ts",
        encrypted: bool = False,
        key_status: int = 200,
        playlist: str | None = None,
    ) -> None:
        """With ``playlist``, that text is served in place of the stream's own playlist."""
        self._segment_s, self._extension, self._encrypted = segment_s, extension, encrypted
        self._key_status, self._playlist = key_status, playlist
        self._segments = [] if playlist is not None else _encoded(segment_s, segments, encrypted=encrypted)
        self._began_s = time.monotonic()
        self._ended_at: int | None = None
        self.requests: list[str] = []
        """Paths that were asked for."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Print nothing."""

            def do_GET(self) -> None:
                owner.requests.append(self.path)
                status, body = owner.answer(self.path.strip("/"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of the playlist."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/live.m3u8"

    def end_list(self) -> None:
        """Freeze the playlist, and say in it that the stream has ended."""
        self._ended_at = self._newest()

    def go_on(self) -> None:
        """Go on with new segments after ``end_list``."""
        self._ended_at = None

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _newest(self) -> int:
        if self._ended_at is not None:
            return self._ended_at
        return _WINDOW + int((time.monotonic() - self._began_s) / self._segment_s)

    def answer(self, name: str) -> tuple[int, bytes]:
        """The status and the body of the response to a request for ``name``."""
        if name.endswith(".m3u8"):
            return 200, (self._playlist or self._own_playlist()).encode()
        if name == "key.bin":
            return self._key_status, _KEY if self._key_status == 200 else b""
        stem = name.removesuffix(self._extension)
        if not stem.startswith("segment") or not self._segments:
            return 404, b""
        return 200, self._segments[int(stem.removeprefix("segment")) % len(self._segments)]

    def _own_playlist(self) -> str:
        newest = self._newest()
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{round(self._segment_s + 0.5)}",
            f"#EXT-X-MEDIA-SEQUENCE:{newest - _WINDOW}",
        ]
        if self._encrypted:
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x{1:032x}')
        for number in range(newest - _WINDOW, newest):
            if number and number % len(self._segments) == 0:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{self._segment_s:.1f},", f"segment{number}{self._extension}"]
        return "\n".join([*lines, "#EXT-X-ENDLIST" if self._ended_at is not None else "", ""])


def _encoded(segment_s: float, count: int, *, encrypted: bool) -> list[bytes]:
    """Segments of MPEG-TS, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {
            "hls_time": str(segment_s),
            "hls_list_size": "0",
            "hls_segment_filename": str(folder / "segment%d.ts"),
        }
        if encrypted:
            (folder / "key").write_bytes(_KEY)
            (folder / "info").write_text(f"key.bin\n{folder / 'key'}\n{1:032x}\n", encoding="utf-8")
            options["hls_key_info_file"] = str(folder / "info")
        with av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as container:
            stream: VideoStream = container.add_stream("libx264", rate=_FPS)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            stream.options = {"preset": "ultrafast", "g": str(round(segment_s * _FPS)), "sc_threshold": "0"}
            for number in range(round(count * segment_s * _FPS)):
                frame = av.VideoFrame.from_ndarray(draw_seconds(number / _FPS), "bgr24")
                frame.pts, frame.time_base = number, Fraction(1, _FPS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return [(folder / f"segment{number}.ts").read_bytes() for number in range(count)]
