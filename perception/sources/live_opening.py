"""Opens a live source, chooses its video stream, and names the cause where that fails.

    with open_live(task) as (container, stream):
        for packet in container.demux(stream): ...

    except av.FFmpegError as error:
        cause, detail = failure(error, is_open=False)     # ("unauthorised", "Server returned 401 …")

A server is not trusted: no playlist or redirect of it may open local files, join other sources or inject data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .reader_messages import ReaderTask
from .video_choice import choose_video

_FORMATS = "rtsp,rtp,sdp,mpegts,hls,flv,live_flv,mov,mp4,matroska,webm,mpjpeg,mjpeg,h264,hevc,ogg,avi,mpeg"
_PROTOCOLS = "http,https,tcp,udp,tls,rtp,srtp"
"""No protocol by which a server's answer could open local files, join other sources or inject data."""


class NoPicture(Exception):
    """The source is open, but sends no picture that can be decoded."""


@contextmanager
def open_live(task: ReaderTask) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the source of ``task`` and choose its video stream.

    Raises:
        av.FFmpegError: It cannot be opened. ``failure`` names the cause.
        NoPicture: It sends no picture that can be decoded.

    """
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": _PROTOCOLS,
        "rtsp_transport": "tcp",
        "probesize": "1000000",
        "analyzeduration": "2000000",
        # By default, opening waits to measure the frame rate, and the first frames come seconds late.
        "fpsprobesize": "0",
    }
    with av.open(task.url, options=options, timeout=(task.open_s, task.read_s)) as container:
        stream = choose_video(container)
        if stream is None:
            raise NoPicture
        yield container, stream


def failure(error: av.FFmpegError | NoPicture, *, is_open: bool) -> tuple[str, str]:
    """The cause and the detail of an outage that ``error`` means. ``is_open``: whether frames had begun."""
    if isinstance(error, NoPicture):
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
