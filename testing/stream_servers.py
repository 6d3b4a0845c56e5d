"""Stream servers: live streams over HTTP and RTSP on loopback, with fault injection, for tests and demonstrations.

    with HttpStreamServer() as server:
        source = LiveSource(server.url, fps=4)
        ...
        server.stall()     # connections stay open and send nothing
        server.drop()      # connections are cut
        server.refuse()    # new connections are refused
        server.resume()    # every fault ends

Frames are drawn, encoded as MPEG-TS and sent in real time. Each client gets the frames from its connection on.
``RtspServer`` does the same over RTSP (RTP inside its TCP connection).
"""

from __future__ import annotations

import io
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from ..perception.sources.frame import Picture
from .faulty_server import FaultyServer

Draw = Callable[[float], Picture]
"""Draws the picture of a time, in seconds since the server began."""

_CLOCK = 90_000


def draw_seconds(time_s: float, size: tuple[int, int] = (320, 240)) -> Picture:
    """Draw the whole seconds of ``time_s`` as large digits, readable for people and OCR."""
    picture = np.full((size[1], size[0], 3), 48, np.uint8)
    cv2.putText(
        picture, f"{int(time_s)}", (24, size[1] - 60), cv2.FONT_HERSHEY_SIMPLEX, 5, (255, 255, 255), 12
    )
    return picture


class _StreamServer(FaultyServer):
    """Draws frames and encodes them as MPEG-TS. A subclass implements the protocol around it."""

    scheme = ""

    def __init__(self, draw: Draw = draw_seconds, *, fps: float = 10.0, clock_rate: float = 1.0) -> None:
        """``clock_rate``: how fast the timestamps run. The pictures come in true time."""
        self._draw, self._fps, self._clock_rate = draw, fps, clock_rate
        self.started_s = time.monotonic()
        """``time.monotonic()`` at time 0 of the pictures."""
        super().__init__()

    @property
    def url(self) -> str:
        """The URL of the stream."""
        return f"{self.scheme}://127.0.0.1:{self.port}/stream"

    def _transport_stream(self, client: socket.socket) -> Iterator[bytes]:
        """MPEG-TS from now on, one piece for each frame, at the time of the frame."""
        sent = io.BytesIO()
        with av.open(sent, "w", format="mpegts", options={"flush_packets": "1"}) as container:
            first = self._draw(0.0)
            stream: VideoStream = container.add_stream(
                "libx264", rate=Fraction(self._fps).limit_denominator(1000)
            )
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, _CLOCK)
            stream.options = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "g": str(max(1, round(self._fps))),
            }
            number = int((time.monotonic() - self.started_s) * self._fps) + 1
            while not self._closed.is_set():
                due = self.started_s + number / self._fps
                time.sleep(max(0.0, due - time.monotonic()))
                self._wait_out_stall(client)
                # Time goes on during a stall, as it does for a camera.
                number = max(number, int((time.monotonic() - self.started_s) * self._fps))
                frame = av.VideoFrame.from_ndarray(self._draw(number / self._fps), "bgr24")
                frame.pts = round(number / self._fps * self._clock_rate * _CLOCK)
                frame.time_base = Fraction(1, _CLOCK)
                for packet in stream.encode(frame):
                    container.mux(packet)
                yield sent.getvalue()
                sent.seek(0)
                sent.truncate()
                number += 1


class HttpStreamServer(_StreamServer):
    """An endless MPEG-TS over HTTP, like that of network cameras and encoders."""

    scheme = "http"

    def _serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as requests:
            while requests.readline().strip():
                pass
        self._wait_out_stall(client)
        if self._status != 200:
            client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self._status)
            return
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in self._transport_stream(client):
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))


class RtspServer(_StreamServer):
    """An endless MPEG-TS over RTSP, with the RTP packets interleaved in the RTSP connection, or only over UDP."""

    scheme = "rtsp"

    def __init__(
        self,
        draw: Draw = draw_seconds,
        *,
        fps: float = 10.0,
        clock_rate: float = 1.0,
        udp_only: bool = False,
    ) -> None:
        self._udp_only = udp_only
        self._udp_ports: dict[socket.socket, int] = {}
        super().__init__(draw, fps=fps, clock_rate=clock_rate)

    def _serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as requests:
            while self._answer(client, self._request(requests)) != "PLAY":
                pass
            self._play(client)

    def _request(self, requests: io.BufferedReader) -> dict[str, str]:
        lines: list[str] = []
        while line := requests.readline().decode("latin-1").strip():
            lines.append(line)
        if not lines:
            raise ConnectionAbortedError
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in lines[1:])
        }
        return {**headers, "method": lines[0].split()[0]}

    def _answer(self, client: socket.socket, request: dict[str, str]) -> str:
        self._wait_out_stall(client)
        headers, body = {"CSeq": request.get("cseq", "0"), "Session": "1"}, ""
        method = request["method"]
        if method == "OPTIONS":
            headers["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
        elif method == "DESCRIBE" and self._status == 200:
            headers |= {"Content-Type": "application/sdp", "Content-Base": self.url + "/"}
            body = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=loopback\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                "m=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:track0\r\n"
            )
        status = self._status if method == "DESCRIBE" else 200
        if method == "SETUP":
            headers["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
            if self._udp_only:
                ports = re.search(r"client_port=(\d+)-(\d+)", request.get("transport", ""))
                status = 200 if ports else 461
                if ports:
                    self._udp_ports[client] = int(ports[1])
                    headers["Transport"] = (
                        f"RTP/AVP;unicast;client_port={ports[1]}-{ports[2]};server_port=5000-5001"
                    )
        headers["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        client.sendall(f"RTSP/1.0 {status} {'OK' if status == 200 else 'No'}\r\n{head}\r\n{body}".encode())
        return method

    def _play(self, client: socket.socket) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for number, rtp in enumerate(self._rtp_packets(client)):
                rtp[2:4] = struct.pack(">H", number & 0xFFFF)
                if self._udp_only:
                    udp.sendto(rtp, ("127.0.0.1", self._udp_ports[client]))
                else:
                    client.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)

    def _rtp_packets(self, client: socket.socket) -> Iterator[bytearray]:
        """RTP packets without their sequence numbers."""
        packet_size = 7 * 188
        for piece in self._transport_stream(client):
            stamp = int((time.monotonic() - self.started_s) * self._clock_rate * _CLOCK) & 0xFFFFFFFF
            for offset in range(0, len(piece), packet_size):
                head = struct.pack(">BBHII", 0x80, 33, 0, stamp, 0x5EC0)
                yield bytearray(head + piece[offset : offset + packet_size])
