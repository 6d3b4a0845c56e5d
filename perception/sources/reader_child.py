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
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av

from .frame_sampling import FrameSampler
from .live_opening import LIVE_ERRORS, LiveInput, failure, open_live
from .packet_reports import reported_packets
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
        end = ended("crashed", f"{type(error).__name__} while reading")
    outbox.put((end, ()))
    outbox.put(None)
    threading.Event().wait()


def read_source(task: ReaderTask, outbox: queue.Queue[_Message | None]) -> dict[str, Any]:
    """Put a message for each frame into ``outbox``, and return the message of how the source ended."""
    is_open, lost = False, Counter[str]()
    cause, detail = "dropped", "the source closed the connection"
    try:
        with open_live(task) as source:
            is_open = True
            if source.is_recording and task.was_live:
                return ended("dropped", "the live stream has ended, and only its recording is offered")
            outbox.put(({"kind": "opened", "is_recording": source.is_recording}, ()))
            _send_frames(source, task, lost, outbox)
            if source.is_recording:
                cause, detail = "complete", "it was played to its end"
    except LIVE_ERRORS as error:
        cause, detail = failure(error, is_open=is_open)
    return ended(cause, detail, lost)


def ended(cause: str, detail: str, lost: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The message of how the source ended."""
    return {"kind": "ended", "cause": cause, "detail": detail, "lost": dict(lost or {})}


def _send_frames(
    source: LiveInput, task: ReaderTask, lost: Counter[str], outbox: queue.Queue[_Message | None]
) -> None:
    sampler = FrameSampler(task.fps)
    converter: PictureConverter | None = None

    def report(**message: Any) -> None:
        with suppress(queue.Full):  # the parent has enough to do, and is not waiting
            outbox.put_nowait((message, ()))

    for packet in reported_packets(source, task.stall_s, report):
        lost["damaged"] += source.take_broken()
        try:
            frames = source.codec_context.decode(packet)
        except av.FFmpegError:
            # A source that is joined between two key frames is not damaged.
            lost["damaged"] += converter is not None
            continue
        for frame in frames:
            if frame.is_corrupt:
                lost["damaged"] += converter is not None
                continue
            if outbox.full() and not source.is_recording:
                # The sampler does not see this frame, so the next one that fits is sampled in its place.
                lost["overload"] += 1
                continue
            converter = converter or PictureConverter(frame, source.sample_aspect_ratio)
            outbox.put(_frame_message(frame, converter, sampler, lost))
            lost.clear()


def _frame_message(
    frame: av.VideoFrame, converter: PictureConverter, sampler: FrameSampler, lost: Counter[str]
) -> _Message:
    """The message of a frame with a time, and of the frames lost before it."""
    pts, time_base = frame.pts, frame.time_base
    if pts is None or time_base is None:
        pts, time_base = round(time.monotonic() * 1_000_000), Fraction(1, 1_000_000)
    message: dict[str, Any] = {
        "kind": "frame",
        "pts": pts,
        "time_base": [time_base.numerator, time_base.denominator],
        "arrival_s": time.time(),
        "size": converter.size(frame),
        "lost": dict(lost),
    }
    blobs = [converter.thumb(frame).tobytes()]
    if sampler.takes(float(pts * time_base)):
        small, whole = converter.small(frame), converter.whole(frame, PICTURE_SIDE)
        message |= {"small": small.shape[:2], "whole": whole.shape[:2]}
        blobs += [small.tobytes(), whole.tobytes()]
    return message, tuple(blobs)
