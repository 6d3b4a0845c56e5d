"""Segment servers: MJPEG and HLS cameras on loopback, for tests and demonstrations.

    with MjpegServer(draw_time_code, fps=8) as camera: ...
    with HlsServer(draw_time_code, segment_s=6.0, restart_after_s=60.0) as camera:
        source = LiveSource(camera.url, fps=4)

``MjpegServer`` sends JPEGs over HTTP without timestamps. ``HlsServer`` encodes in real time, and lists a segment when
it is complete. Its encoder can be restarted, which begins a new clock.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from fractions import Fraction

import av
import cv2
from av.video.stream import VideoStream

from .faulty_server import FaultyServer
from .stream_servers import Draw, draw_seconds

_CLOCK = 90_000
_LISTED = 3
"""Segments in the playlist."""


class MjpegServer(FaultyServer):
    """JPEGs over HTTP (``multipart/x-mixed-replace``), without timestamps."""

    def __init__(self, draw: Draw = draw_seconds, *, fps: float = 10.0) -> None:
        self._draw, self._fps = draw, fps
        self.started_s = time.monotonic()
        """``time.monotonic()`` at time 0 of the pictures."""
        super().__init__()

    @property
    def url(self) -> str:
        """The URL of the stream."""
        return f"http://127.0.0.1:{self.port}/video.mjpg"

    def _serve(self, client: socket.socket) -> None:
        _read_request(client)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        number = 0
        while not self._closed.is_set():
            number = max(number + 1, int((time.monotonic() - self.started_s) * self._fps))
            time.sleep(max(0.0, self.started_s + number / self._fps - time.monotonic()))
            self._wait_out_stall(client)
            _, jpeg = cv2.imencode(".jpg", self._draw(number / self._fps), [cv2.IMWRITE_JPEG_QUALITY, 90])
            head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % jpeg.size
            client.sendall(head + jpeg.tobytes() + b"\r\n")


class HlsServer(FaultyServer):
    """A live HLS stream: a sliding window of MPEG-TS segments."""

    def __init__(
        self,
        draw: Draw = draw_seconds,
        *,
        fps: float = 10.0,
        segment_s: float = 2.0,
        restart_after_s: float | None = None,
    ) -> None:
        """``restart_after_s``: the encoder begins a new clock after this time, with the next segment."""
        self._draw, self._fps, self._segment_s = draw, fps, segment_s
        self._restart_after_s = restart_after_s
        self.started_s = time.monotonic()
        """``time.monotonic()`` at time 0 of the pictures."""
        self._segments: dict[int, bytes] = {}
        self._new_clock_at: int | None = None
        """The number of the segment with which the new clock begins."""
        super().__init__()
        self._encoder = threading.Thread(target=self._encode, daemon=True)
        self._encoder.start()

    @property
    def url(self) -> str:
        """The URL of the playlist."""
        return f"http://127.0.0.1:{self.port}/live.m3u8"

    def _encode(self) -> None:
        number = 0
        while not self._closed.is_set():
            number = self._encode_with_one_clock(number)

    def _encode_with_one_clock(self, first: int) -> int:
        """Encode segments from number ``first`` on, until the clock begins anew. Returns the next number."""
        out, frames = io.BytesIO(), round(self._segment_s * self._fps)
        number, base = first, first * frames
        options = {"mpegts_copyts": "1", "mpegts_flags": "pat_pmt_at_frames", "flush_packets": "1"}
        with av.open(out, "w", format="mpegts", options=options) as container:
            stream: VideoStream = container.add_stream(
                "libx264", rate=Fraction(self._fps).limit_denominator(1000)
            )
            stream.height, stream.width = self._draw(0.0).shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, _CLOCK)
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(frames)}
            while not self._closed.is_set():
                for frame_number in range(number * frames, (number + 1) * frames):
                    time.sleep(max(0.0, self.started_s + frame_number / self._fps - time.monotonic()))
                    frame = av.VideoFrame.from_ndarray(self._draw(frame_number / self._fps), "bgr24")
                    frame.pts = round((frame_number - base) / self._fps * _CLOCK)
                    frame.time_base = Fraction(1, _CLOCK)
                    for packet in stream.encode(frame):
                        container.mux(packet)
                self._list(number, out.getvalue())
                out.seek(0)
                out.truncate()
                number += 1
                if self._restarts_at(number):
                    self._new_clock_at = number
                    break
        return number

    def _restarts_at(self, number: int) -> bool:
        if self._restart_after_s is None or self._new_clock_at is not None:
            return False
        return number * self._segment_s >= self._restart_after_s

    def _list(self, number: int, segment: bytes) -> None:
        with self._lock:
            self._segments[number] = segment
            self._segments.pop(number - 2 * _LISTED, None)

    def _playlist(self) -> bytes:
        with self._lock:
            numbers = sorted(self._segments)[-_LISTED:]
        first = numbers[0] if numbers else 0
        new_clock_at = self._new_clock_at
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{round(self._segment_s)}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        if new_clock_at is not None:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{int(new_clock_at < first)}")
        for number in numbers:
            if number == new_clock_at:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{self._segment_s:.3f},", f"{number}.ts"]
        return "\n".join([*lines, ""]).encode()

    def _serve(self, client: socket.socket) -> None:
        name = _read_request(client).split()[1].strip("/")
        self._wait_out_stall(client)
        body, kind = None, "video/mp2t"
        if name.endswith(".m3u8"):
            body, kind = self._playlist(), "application/vnd.apple.mpegurl"
        elif name.partition(".")[0].isdigit():
            with self._lock:
                body = self._segments.get(int(name.partition(".")[0]))
        status = "404 Not Found" if body is None else "200 OK"
        body = body or b""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode() + body)


def _read_request(client: socket.socket) -> str:
    """The first line of a request."""
    with client.makefile("rb") as lines:
        first = lines.readline().decode("latin-1")
        while lines.readline().strip():
            pass
    if not first.strip():
        raise ConnectionAbortedError
    return first
