"""The child process that reads a live source, and how it talks to its parent.

    python -c "<BOOTSTRAP>"          # then, on its standard input: one line of JSON, a Task

It connects, decodes, and writes one message a frame to standard output until the connection
ends or its standard input is closed. It never waits for a slow parent: what does not fit in its
queue is dropped and counted. A decoder that hangs or crashes takes nothing with it but this
process. It knows nothing of epochs, reconnecting or stream time; see ``live``.

Messages are JSON with raw bytes behind, not pickles: the pictures come from strangers, and a
decoder they took over must not be able to run code in the parent.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import Counter
from typing import Any

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.stream import VideoStream

from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .reader_messages import ReaderTask, write_message

PICTURE_SIDE = 1280
"""The longer side of a whole picture is made no longer than this, in pixels."""

QUEUE_FRAMES = 64
"""Frames that may wait here for the parent; 16 or so of them carry pictures."""

BOOTSTRAP = (
    "import sys, json; task = json.loads(sys.stdin.readline()); sys.path[:] = task.pop('path'); "
    f"from {__name__} import main; main(task)"
)
"""What the child's interpreter runs. Credentials come by standard input, where `ps` cannot see them."""

_FORMATS = "rtsp,rtp,sdp,mpegts,hls,flv,live_flv,mov,mp4,matroska,webm,mpjpeg,mjpeg,h264,hevc,ogg,avi,mpeg"
_PROTOCOLS = "http,https,tcp,udp,tls,rtp,srtp"
"""Nothing that could make a server's answer open files here, join other sources or smuggle in data."""

_Message = tuple[dict[str, Any], tuple[bytes, ...]]


def main(task: dict[str, Any]) -> None:
    """Read as told until the end, then leave; never returns."""
    out = sys.stdout.buffer
    waiting: queue.Queue[_Message | None] = queue.Queue(QUEUE_FRAMES)

    def write() -> None:
        try:
            while (message := waiting.get()) is not None:
                write_message(out, *message)
        except OSError:
            pass  # the parent is gone
        os._exit(0)  # whatever the decoder is doing, and even if it does so for ever

    def leave_when_told() -> None:
        sys.stdin.read()
        waiting.put(None)

    threading.Thread(target=write, daemon=True).start()
    threading.Thread(target=leave_when_told, daemon=True).start()
    waiting.put(({"kind": "started"}, ()))
    try:
        end = _read(ReaderTask(**task), waiting)
    except Exception as error:
        end = {
            "kind": "ended",
            "cause": "codec",
            "detail": f"{type(error).__name__} while reading",
            "lost": {},
        }
    waiting.put((end, ()))
    waiting.put(None)
    threading.Event().wait()


def _read(task: ReaderTask, waiting: queue.Queue[_Message | None]) -> dict[str, Any]:
    """Put a message a frame into ``waiting``; return the message that says how it ended."""
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": _PROTOCOLS,
        "rtsp_transport": "tcp",
        "probesize": "1000000",
        "analyzeduration": "2000000",
        # Otherwise opening waits to see the frame rate, and the first frames come seconds late.
        "fpsprobesize": "0",
    }
    opened, lost = False, Counter[str]()
    cause, detail = "dropped", "the source closed the connection"
    try:
        with av.open(task.url, options=options, timeout=(task.open_s, task.read_s)) as container:
            videos = [s for s in container.streams.video if s.codec_context is not None]
            if videos:
                opened = True
                stream = max(videos, key=lambda s: s.width * s.height)
                _send_frames(container, stream, FrameSampler(task.fps), lost, waiting)
                if container.duration:
                    cause, detail = "complete", "it was played to its end"
            else:
                cause, detail = "codec", "it sends no picture that can be decoded"
    except av.FFmpegError as error:
        cause, detail = _cause(error, opened), error.strerror or type(error).__name__
    return {"kind": "ended", "cause": cause, "detail": detail, "lost": dict(lost)}


def _send_frames(
    container: InputContainer,
    stream: VideoStream,
    sampler: FrameSampler,
    lost: Counter[str],
    waiting: queue.Queue[_Message | None],
) -> None:
    stream.thread_type = ThreadType.NONE  # streams run side by side; threads would cost CPU
    # A source with a known length is a recording: it can be made to wait, and must lose nothing.
    patient = bool(container.duration)
    pictures: PictureConverter | None = None
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            lost["damaged"] += 1
            continue
        for frame in decoded:
            if frame.is_corrupt or frame.pts is None or frame.time_base is None:
                lost["damaged"] += 1
                continue
            if waiting.full() and not patient:
                # Not asked of the sampler: the next frame that fits is sampled in its place.
                lost["overload"] += 1
                continue
            arrival_s = time.time()
            pictures = pictures or PictureConverter(frame, stream.sample_aspect_ratio)
            message: dict[str, Any] = {
                "kind": "frame",
                "pts": frame.pts,
                "time_base": [frame.time_base.numerator, frame.time_base.denominator],
                "arrival_s": arrival_s,
                "size": pictures.size(frame),
                "lost": dict(lost),
            }
            blobs = [pictures.thumb(frame).tobytes()]
            if sampler.takes(float(frame.pts * frame.time_base)):
                small, whole = pictures.small(frame), pictures.whole(frame, PICTURE_SIDE)
                message |= {"small": small.shape[:2], "whole": whole.shape[:2]}
                blobs += [small.tobytes(), whole.tobytes()]
            lost.clear()
            waiting.put((message, tuple(blobs)))


def _cause(error: av.FFmpegError, opened: bool) -> str:
    """What kind of trouble an FFmpeg error is."""
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return "unauthorised"
    if isinstance(error, av.HTTPNotFoundError):
        return "not found"
    if isinstance(error, av.ExitError | av.TimeoutError):
        return "stalled" if opened else "timeout"
    if isinstance(error, av.ConnectionRefusedError | av.HTTPError | av.HTTPClientError):
        return "refused"
    if opened:
        return "dropped"
    codec = av.InvalidDataError | av.DecoderNotFoundError | av.DemuxerNotFoundError | av.PatchWelcomeError
    return "codec" if isinstance(error, codec) else "unreachable"
