"""Opens a live source, chooses its video stream, and names the cause where that fails.

    with open_live(task) as source:
        for packet in source.packets():           # None for a packet of another stream, such as sound
            frames = source.codec_context.decode(packet)

    except LIVE_ERRORS as error:
        cause, detail = failure(error, is_open=False)     # ("unauthorised", "Server returned 401 …")

A server is not trusted: no playlist or redirect of it may open local files, join other sources or inject data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Protocol, TypeAlias, cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Discard
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from .hls_playlist import PlaylistWatcher, SegmentTimes
from .jpeg_stream import JpegSplitter
from .reader_messages import ReaderTask
from .video_choice import choose_video

_FORMATS = "rtsp,rtp,sdp,mpegts,hls,flv,live_flv,mov,mp4,matroska,webm,mpjpeg,mjpeg,h264,hevc,ogg,avi,mpeg"
_DEVICE = "v4l2://"
"""Before the path of a camera device, for Video4Linux."""
_JPEG_FORMATS = frozenset({"mpjpeg", "mjpeg"})
_PROTOCOLS = "http,https,tcp,udp,tls,rtp,srtp,crypto,rtmp,rtmps,rtmpt,rtmpts,ffrtmphttp,srt"
"""No protocol by which a server's answer could open local files, join other sources or inject data. ``crypto``
decrypts the segments of HLS, and opens only what is in this list too."""

_OPTIONS = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": _PROTOCOLS,
    # RTP inside the RTSP connection loses nothing. A server that refuses it with status 461 is asked for UDP.
    "rtsp_flags": "prefer_tcp",
    "rtmp_live": "live",
    # The names of HLS segments say nothing of what is in them.
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
    # From the newest segment: older ones would only be behind the present time.
    "live_start_index": "-1",
    "probesize": "1000000",
    "analyzeduration": "2000000",
    # By default, opening waits to measure the frame rate, and the first frames come seconds late.
    "fpsprobesize": "0",
}
_BYTES_OPTIONS = {"protocol_whitelist": _PROTOCOLS, "raw_packet_size": str(1 << 16)}
_PIECES_TO_FIRST_JPEG = 64
"""In how many pieces of a response, of up to 64 KiB, the first JPEG must begin and end."""

_WAIT_S = 0.5
"""How often a connection that waits for a segment shows that it lives."""
_TEXT_PIECES = 16
"""How many pieces of a playlist, of up to 64 KiB, are read."""

VideoPacket: TypeAlias = "av.Packet[VideoStream]"


CAUSES = (
    "complete",
    "dropped",
    "stalled",
    "timeout",
    "refused",
    "unauthorised",
    "not found",
    "unreachable",
    "unsupported",
    "no picture",
    "codec",
    "crashed",
)
"""Why a connection ended. ``complete``: a recording was played to its end."""


class NoPicture(Exception):
    """The source is open, but sends no picture that can be decoded."""


LIVE_ERRORS = (av.FFmpegError, NoPicture)
"""What ``open_live`` and an open source raise."""


class LiveInput(Protocol):
    """An open live source: its packets, and how they are decoded."""

    is_recording: bool
    """Whether the source has a known length. It can be made to wait, and must lose nothing."""
    in_segments: bool
    """Whether it sends media in pieces that cover seconds, as HLS does."""
    codec_context: VideoCodecContext
    """The decoder of its packets."""
    sample_aspect_ratio: Fraction | None

    def packets(self) -> Iterator[VideoPacket | None]:
        """Yield the packets of the video. None for one of another stream, such as sound.

        Packets of a source without timestamps have no ``pts``.
        """

    @property
    def broken(self) -> int:
        """How many pictures have come incomplete, and were left out."""

    def offered_s(self, received_s: float) -> float:
        """When the server offered what was received at ``received_s``. Both are monotonic seconds."""


@contextmanager
def open_live(task: ReaderTask) -> Iterator[LiveInput]:
    """Open the source of ``task`` and choose its video stream.

    Raises:
        av.FFmpegError: It cannot be opened. ``failure`` names the cause.
        NoPicture: It sends no picture that can be decoded.

    """
    if task.url.startswith(_DEVICE):
        device = task.url.removeprefix(_DEVICE)
        with av.open(device, format="v4l2", timeout=(task.open_s, None)) as camera:
            yield _Container(camera)
        return
    is_http = task.url.lower().startswith(("http://", "https://"))
    try:
        container = av.open(task.url, options=_OPTIONS, timeout=(task.open_s, None))
    except av.InvalidDataError:
        if not is_http:
            raise
        # Some dialects of multipart are not recognised.
        container = None
    if container is not None and container.format.name not in _JPEG_FORMATS:
        with container:
            if "hls" in container.format.name and not container.duration:
                watcher = PlaylistWatcher(partial(_read_text, timeout_s=task.open_s), task.url)
                reopen = partial(av.open, task.url, options=_OPTIONS, timeout=(task.open_s, None))
                try:
                    yield _HlsContainer(container, watcher, reopen)
                finally:
                    watcher.close()
            else:
                yield _Container(container)
        return
    if container is not None:
        container.close()
    with av.open(task.url, format="data", options=_BYTES_OPTIONS, timeout=(task.open_s, None)) as data:
        yield _JpegStream(data)


class _Container:
    """A source in a container, or a raw stream of pictures, that FFmpeg reads."""

    broken = 0

    def __init__(self, container: InputContainer) -> None:
        stream = choose_video(container)
        if stream is None:
            raise NoPicture("sound" if container.streams.audio else "")
        self._discard_others(container, stream)
        self._container, self._stream = container, stream
        self.is_recording = bool(container.duration)
        self.in_segments = "hls" in container.format.name
        self.codec_context = stream.codec_context
        self.sample_aspect_ratio = stream.sample_aspect_ratio

    def packets(self) -> Iterator[VideoPacket | None]:
        yield from self._packets_of(self._container, self._stream)

    @staticmethod
    def _discard_others(container: InputContainer, stream: VideoStream) -> None:
        for other in container.streams.video:
            if other is not stream:
                # Otherwise all renditions of an HLS stream would be fetched.
                other.discard = Discard.all

    @staticmethod
    def _packets_of(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket | None]:
        try:
            for packet in container.demux():
                yield cast(VideoPacket, packet) if packet.stream is stream else None
        except IndexError:
            # PyAV knows only the streams that were there when it opened, and trips over others at the end.
            return

    def offered_s(self, received_s: float) -> float:
        return received_s


class _HlsContainer(_Container):
    """A live HLS stream. Its segments count from when they are listed."""

    def __init__(
        self, container: InputContainer, watcher: PlaylistWatcher, reopen: Callable[[], InputContainer]
    ) -> None:
        super().__init__(container)
        self._watcher, self._reopen = watcher, reopen
        self._times = SegmentTimes()

    def packets(self) -> Iterator[VideoPacket | None]:
        # The newest segment was listed at an unknown time. The next one is opened as soon as it is listed.
        while self._watcher.is_waiting:
            self._watcher.wait(_WAIT_S)
            yield None
        with self._reopen() as container:
            stream = choose_video(container)
            if stream is None:
                raise NoPicture
            self._discard_others(container, stream)
            for packet in self._packets_of(container, stream):
                if packet is not None and packet.is_keyframe and packet.pts is not None:
                    media_s = float(packet.pts * packet.time_base)
                    self._times.note_key_frame(time.monotonic(), media_s, self._watcher.listings_s)
                yield packet

    def offered_s(self, received_s: float) -> float:
        return self._times.offered_s(received_s)


class _JpegStream:
    """JPEG pictures over HTTP. FFmpeg connects, and hands over the bytes."""

    is_recording = in_segments = False
    sample_aspect_ratio: Fraction | None = None

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._splitter = JpegSplitter()
        self.codec_context = CodecContext.create("mjpeg", "r")
        self._pieces = container.demux()
        self._first = self._first_pictures()

    def packets(self) -> Iterator[VideoPacket | None]:
        yield from self._first
        for piece in self._pieces:
            jpegs = self._splitter.push(bytes(piece))
            yield from map(_jpeg_packet, jpegs)
            if not jpegs:
                yield None

    @property
    def broken(self) -> int:
        return self._splitter.broken

    def offered_s(self, received_s: float) -> float:
        return received_s

    def _first_pictures(self) -> list[VideoPacket]:
        for piece in islice(self._pieces, _PIECES_TO_FIRST_JPEG):
            if jpegs := self._splitter.push(bytes(piece)):
                return [_jpeg_packet(jpeg) for jpeg in jpegs]
        raise NoPicture


def _read_text(url: str, *, timeout_s: float) -> str:
    """Fetch a small text as FFmpeg fetches the source: with the same protocols and credentials."""
    with av.open(url, format="data", options=_BYTES_OPTIONS, timeout=(timeout_s, timeout_s)) as pieces:
        return b"".join(bytes(piece) for piece in islice(pieces.demux(), _TEXT_PIECES)).decode(
            errors="replace"
        )


def _jpeg_packet(jpeg: bytes) -> VideoPacket:
    packet = cast(VideoPacket, av.Packet(jpeg))
    packet.is_keyframe = True
    return packet


def failure(error: av.FFmpegError | NoPicture, *, is_open: bool) -> tuple[str, str]:
    """The cause and the detail of an outage that ``error`` means. ``is_open``: whether it had been opened."""
    if isinstance(error, av.ProtocolNotFoundError):
        return "unsupported", "the installed FFmpeg cannot open addresses of this kind"
    if isinstance(error, NoPicture):
        if str(error):
            return "no picture", "it sends sound, and no picture yet"
        return "codec", "it sends no picture that can be decoded"
    return _cause(error, is_open), error.strerror or type(error).__name__


def _cause(error: av.FFmpegError, is_open: bool) -> str:
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return "unauthorised"
    if isinstance(error, av.HTTPNotFoundError):
        return "not found"
    if isinstance(error, av.ExitError | av.TimeoutError):
        return "stalled" if is_open else "timeout"
    if isinstance(error, av.ConnectionRefusedError | av.HTTPError | av.HTTPClientError):
        return "refused"
    if is_open:
        return "dropped"
    codec = av.InvalidDataError | av.DecoderNotFoundError | av.DemuxerNotFoundError | av.PatchWelcomeError
    return "codec" if isinstance(error, codec) else "unreachable"
