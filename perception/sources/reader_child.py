"""The reader process of a live source: connects, decodes and sends frames to its parent.

    python -c "<BOOTSTRAP>"          # then, on its standard input: one line of JSON, a ``ReaderTask``

It writes one message per frame to standard output, until the connection ends or its standard input is
closed. It never waits for a slow parent: frames that do not fit in its queue are dropped and counted. A
decoder that hangs or crashes ends this process and nothing else. It knows nothing of epochs, reconnecting
or stream time, which belong to the parent (``live_source``).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import Counter
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .frame_sampling import FrameSampler
from .live_opening import NoPicture, failure, open_live
from .picture_conversion import PictureConverter
from .reader_messages import ReaderTask, write_message

PICTURE_SIDE = 1280
"""The longest side of a whole picture, in pixels."""

QUEUE_FRAMES = 64
"""Frames that may wait here for the parent. About 16 of them carry pictures."""

BOOTSTRAP = (
    "import sys, json; task = json.loads(sys.stdin.readline()); sys.path[:] = task.pop('path'); "
    f"from {__name__} import main; main(task)"
)
"""The program of the child's interpreter. Credentials come by standard input, where ``ps`` cannot see them."""

_NO_TIME_BASE = Fraction(1, 1000)

_Message = tuple[dict[str, Any], tuple[bytes, ...]]


def main(task: dict[str, Any]) -> None:
    """Read the source of ``task`` until it ends, then exit the process. Never returns."""
    out = sys.stdout.buffer
    outbox: queue.Queue[_Message | None] = queue.Queue(QUEUE_FRAMES)

    def write() -> None:
        try:
            while (message := outbox.get()) is not None:
                write_message(out, *message)
        except OSError:
            pass  # the parent has ended
        os._exit(0)  # even if the decoder hangs

    def wait_for_end_of_input() -> None:
        sys.stdin.read()
        outbox.put(None)

    threading.Thread(target=write, daemon=True).start()
    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    outbox.put(({"kind": "started"}, ()))
    try:
        end = read_source(ReaderTask(**task), outbox)
    except Exception as error:
        end = {
            "kind": "ended",
            "cause": "codec",
            "detail": f"{type(error).__name__} while reading",
            "lost": {},
        }
    outbox.put((end, ()))
    outbox.put(None)
    threading.Event().wait()


def read_source(task: ReaderTask, outbox: queue.Queue[_Message | None]) -> dict[str, Any]:
    """Put a message for each frame into ``outbox``, and return the message of how the source ended."""
    is_open, lost = False, Counter[str]()
    cause, detail = "dropped", "the source closed the connection"
    try:
        with open_live(task) as (container, stream):
            is_open = True
            _send_frames(container, stream, FrameSampler(task.fps), lost, outbox)
            if container.duration:
                cause, detail = "complete", "it was played to its end"
    except (av.FFmpegError, NoPicture) as error:
        cause, detail = failure(error, is_open=is_open)
    return {"kind": "ended", "cause": cause, "detail": detail, "lost": dict(lost)}


def _send_frames(
    container: InputContainer,
    stream: VideoStream,
    sampler: FrameSampler,
    lost: Counter[str],
    outbox: queue.Queue[_Message | None],
) -> None:
    # A source with a known length is a recording. It can be made to wait, and must lose nothing.
    is_recording = bool(container.duration)
    converter: PictureConverter | None = None
    for packet in container.demux(stream):
        arrival_s = time.monotonic()
        try:
            frames = packet.decode()
        except av.FFmpegError:
            lost["damaged"] += 1
            continue
        for frame in frames:
            if frame.is_corrupt:
                lost["damaged"] += 1
                continue
            if outbox.full() and not is_recording:
                # The sampler does not see this frame, so the next one that fits is sampled in its place.
                lost["overload"] += 1
                continue
            converter = converter or PictureConverter(frame, stream.sample_aspect_ratio)
            outbox.put(_frame_message(frame, arrival_s, converter, sampler, lost))
            lost.clear()


def _frame_message(
    frame: av.VideoFrame,
    arrival_s: float,
    converter: PictureConverter,
    sampler: FrameSampler,
    lost: Counter[str],
) -> _Message:
    """The message of a frame, and of the frames lost before it."""
    time_base = frame.time_base or _NO_TIME_BASE
    message: dict[str, Any] = {
        "kind": "frame",
        "pts": frame.pts,
        "time_base": [time_base.numerator, time_base.denominator],
        "arrival_s": arrival_s,
        "size": converter.size(frame),
        "lost": dict(lost),
    }
    blobs = [converter.thumb(frame).tobytes()]
    if sampler.takes(arrival_s if frame.pts is None else float(frame.pts * time_base)):
        small, whole = converter.small(frame), converter.whole(frame, PICTURE_SIDE)
        message |= {"small": small.shape[:2], "whole": whole.shape[:2]}
        blobs += [small.tobytes(), whole.tobytes()]
    return message, tuple(blobs)
