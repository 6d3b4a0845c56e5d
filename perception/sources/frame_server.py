"""Frame server: the jobs of decoding a file or a sequence of pictures, for its facts and its frames.

Frames are sent in batches, because a message for each would cost too much. The next batch is decoded while the
parent works on the last. Whole pictures are converted only where the parent asks for one:

    requests: {"kind": "frames", "from_s": 0}, {"kind": "next", "released": [3]}, {"kind": "picture", "id": 4}
    messages: {"kind": "opened", …}, {"kind": "events", …}, {"kind": "picture", "shape": [1080, 1920]}

Until the parent releases a sampled frame, its decoded picture is kept, up to ``HELD_BYTES``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .event_messages import event_from, event_values
from .file_source import FileSource
from .frame import Frame, Picture
from .job_channel import BATCH_REGION, PICTURE_REGION, JobChannel, failure_message, failure_reason
from .source import Event, SourceInfo

if TYPE_CHECKING:
    from .picture_source import PictureSource

HELD_BYTES = 192 << 20
"""Bytes of decoded pictures that are kept for the parent. Of the oldest beyond, only the small picture is left."""

_BATCH_EVENTS = 64
_BATCH_SAMPLED = 8
_BATCH_BYTES = 24 << 20
_BATCH_S = 0.25
"""A batch is sent when it reaches any of these: events, sampled frames, bytes of their pictures, time taken."""


def serve_file(
    channel: JobChannel, path: str, fps: float, info: list[Any] | None, follow_idle_s: float | None
) -> None:
    """Send the facts of a file, and when the parent wants them its frames, until it closes the job.

    ``info`` are the facts from an earlier job on the file. They are sent where they are None.
    """
    _serve(channel, FileSource(path, fps, info=_known(info), follow_idle_s=follow_idle_s), info)


def serve_pictures(
    channel: JobChannel, source: str, paths: list[str], fps: float, image_fps: float, info: list[Any] | None
) -> None:
    """Do the same for a sequence of pictures."""
    from .picture_source import PictureSource  # noqa: PLC0415 - most processes decode no pictures, and Pillow is large

    files = [Path(path) for path in paths]
    _serve(channel, PictureSource(source, files, fps, image_fps=image_fps, info=_known(info)), info)


def _known(info: list[Any] | None) -> SourceInfo | None:
    known = None if info is None else event_from(info)
    assert known is None or isinstance(known, SourceInfo)
    return known


def _serve(channel: JobChannel, source: FileSource | PictureSource, info: list[Any] | None) -> None:
    if info is None:
        channel.send({"kind": "opened", "info": event_values(source.info_without_id)})
    request = channel.requests.get()
    if request["kind"] == "frames":
        _FrameServer(channel, source.frames(request["from_s"])).serve()


class _FrameServer:
    """Decodes ahead by a batch, and answers requests between frames."""

    def __init__(self, channel: JobChannel, events: Iterator[Event]) -> None:
        self._channel, self._events = channel, events
        self._batch = _Batch()
        self._batches_wanted = 0
        self._sent_end = False
        self._held: dict[int, Frame] = {}
        self._held_bytes = 0
        self._last_id = 0

    def serve(self) -> None:
        """Serve until the request "close"."""
        requests = self._channel.requests
        while True:
            can_decode = not (self._batch.is_full or self._sent_end)
            if can_decode and requests.empty():
                self._decode_next()
            else:
                request = requests.get()
                if request["kind"] == "close":
                    return
                self._take(request)
            if self._batches_wanted and self._batch.is_full:
                self._batches_wanted -= 1
                self._sent_end = self._batch.end is not None
                self._channel.send_pixels(self._batch.message(), self._batch.pixels, BATCH_REGION)
                self._batch = _Batch()

    def _decode_next(self) -> None:
        batch = self._batch
        try:
            event = next(self._events, None)
        except SourceError as error:
            batch.end = failure_message(error)
        except Exception as error:
            batch.end = {"kind": "broken", "why": failure_reason(error)}
        else:
            if event is None:
                batch.end = {"kind": "complete"}
            elif isinstance(event, Frame):
                batch.add_frame(event, self._hold(event))
            else:
                batch.events.append(event_values(event))

    def _hold(self, frame: Frame) -> int | None:
        """Keep a sampled frame for its whole picture. Returns the number by which the parent can ask for it."""
        if frame.read_picture is None:
            return None
        self._last_id += 1
        self._held[self._last_id] = frame
        self._held_bytes += _bytes_of(frame)
        while self._held_bytes > HELD_BYTES and len(self._held) > 1:
            self._release(next(iter(self._held)))
        return self._last_id

    def _release(self, number: int) -> None:
        if (frame := self._held.pop(number, None)) is not None:
            self._held_bytes -= _bytes_of(frame)

    def _take(self, request: dict[str, Any]) -> None:
        for number in request.get("released", ()):
            self._release(number)
        if request["kind"] == "next":
            self._batches_wanted += 1
        elif request["kind"] == "picture":
            picture = self._whole(request["id"])
            if picture is None:
                self._channel.send({"kind": "picture", "shape": None})
            else:
                message = {"kind": "picture", "shape": picture.shape[:2]}
                self._channel.send_pixels(message, [picture], PICTURE_REGION)

    def _whole(self, number: int) -> Picture | None:
        frame = self._held.get(number)
        try:
            return None if frame is None else frame.picture()
        except Exception:  # no memory, or a picture of a kind that cannot be converted
            return None


class _Batch:
    """Events that are sent in one message."""

    def __init__(self) -> None:
        self.events: list[list[Any]] = []
        self.pixels: list[NDArray[np.uint8]] = []
        self.end: dict[str, Any] | None = None
        """How the file ended, in its last batch."""
        self._sampled = self._bytes = 0
        self._start_s = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether it should be sent."""
        return (
            self.end is not None
            or len(self.events) >= _BATCH_EVENTS
            or self._sampled >= _BATCH_SAMPLED
            or self._bytes >= _BATCH_BYTES
            or (bool(self.events) and time.monotonic() - self._start_s >= _BATCH_S)
        )

    def add_frame(self, frame: Frame, number: int | None) -> None:
        values = event_values(frame)
        self.pixels.append(frame.thumb)
        if frame.small is not None:
            values.append([frame.small.shape[:2], number])
            self.pixels.append(frame.small)
            self._sampled += 1
            self._bytes += _bytes_of(frame)
        self.events.append(values)

    def message(self) -> dict[str, Any]:
        """The message, which pixels follow: for each frame its thumbnail, and its small picture if it has one."""
        return {"kind": "events", "events": self.events, "end": self.end}


def _bytes_of(frame: Frame) -> int:
    """About the size of a decoded picture."""
    return frame.size[0] * frame.size[1] * 3 // 2
