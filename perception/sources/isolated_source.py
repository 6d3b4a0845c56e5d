"""Files as sources that are decoded in another process, with limits on memory, time and size.

    with closing(IsolatedFileSource("kitchen.mp4", fps=4)) as source:
        for event in source.frames(): ...
    with closing(IsolatedPictureSource("frames/", fps=4, image_fps=1)) as source: ...

A file is not trusted. What ``FileSource`` or ``PictureSource`` would yield arrives here in batches from a decoder
process. If that process dies or hangs, what was seen is kept, and the rest of the file is an outage with the reason.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import NotAVideo
from .content_identity import content_id_of
from .decoder_process import Buffer, DecoderDied, DecoderJob, size_of
from .event_messages import INVALID, event_from, event_values
from .file_bytes import location_of
from .frame import THUMB_SHAPE, Frame, Picture
from .frame_sampling import FrameSampler
from .job_channel import error_from
from .picture_sequence import PictureContent, picture_paths
from .source import Event, Outage, SourceInfo

_CUT_SHORT = "the rest could not be read: "
_UNKNOWN_REST_S = 1.0
"""The length of a rest of which the file does not tell it."""
_INVALID = "its decoder sent an invalid message"


class JobTask(NamedTuple):
    """What a decoder process is to do."""

    job: str
    values: dict[str, Any]
    size_bytes: int
    idle_s: float = 0.0
    """How long it may wait for a file to grow."""


class IsolatedSource(ABC):
    """A source that is decoded in another process."""

    def __init__(self, shown: str, fps: float) -> None:
        """Open it. ``shown`` names it in messages."""
        FrameSampler(fps)  # refuses an invalid rate before anything is read
        self._shown, self._fps = shown, fps
        self._stop = _Stop()
        self._readings: weakref.WeakSet[_Reading] = weakref.WeakSet()
        job = self._start_job(None)
        try:
            self._info_without_id = _opened_info(job, shown)
        except BaseException:
            job.close()
            raise
        self._first_job: DecoderJob | None = job
        """The job that opened the source. It also gives the frames, the first time that they are read."""
        weakref.finalize(self, job.close)

    @abstractmethod
    def _task(self) -> JobTask:
        """What the decoder process is to do. The facts that are known are added."""

    @abstractmethod
    def _content_id(self) -> str:
        """The identity of what is read. It may take long."""

    @cached_property
    def info(self) -> SourceInfo:
        """Facts about the source. The first access reads all of its bytes, for ``content_id``."""
        return replace(self._info_without_id, content_id=self._content_id())

    def stop(self) -> None:
        """End the iterator after the current frame, or within seconds if the decoder hangs."""
        self._stop.is_requested = True

    def close(self) -> None:
        """Stop, and end the decoder processes."""
        self._stop.is_requested = True
        if self._first_job is not None:
            self._first_job.close()
        for reading in list(self._readings):
            reading.job.close()

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame at or after ``from_s``, in order, and between them outages and losses.

        Raises:
            NotAVideo: The decoder died before it gave any frame.
        """
        job, self._first_job = self._first_job, None
        reading = _Reading(job or self._start_job(self._info_without_id), from_s)
        self._readings.add(reading)
        end_s, has_seen = from_s, from_s > 0
        try:
            for event in reading.events():
                if isinstance(event, Frame):
                    has_seen, end_s = True, event.time_s + (event.duration_s or 0.0)
                elif isinstance(event, Outage):
                    end_s = event.end_s
                yield event
                if self._stop.is_requested:
                    return
        except DecoderDied as death:
            if self._stop.is_requested:
                return
            if not has_seen:
                raise NotAVideo(self._shown, str(death)) from None
            yield self._rest(end_s, str(death))

    def _start_job(self, info: SourceInfo | None) -> DecoderJob:
        task = self._task()
        stop = self._stop  # the job must not keep the source, which ends it when it is dropped
        return DecoderJob(
            task.job,
            {**task.values, "fps": self._fps, "info": None if info is None else event_values(info)},
            task.size_bytes,
            idle_s=task.idle_s,
            is_stopped=lambda: stop.is_requested,
        )

    def _rest(self, end_s: float, why: str) -> Outage:
        """The outage from the last frame to the end that the file declares."""
        declared_end_s = self._info_without_id.duration_s or 0.0
        return Outage(end_s, max(end_s + _UNKNOWN_REST_S, declared_end_s), 0, "damaged", _CUT_SHORT + why)


class IsolatedFileSource(IsolatedSource):
    """Reads a video file, and drops no frame that can be decoded.

    Raises:
        SourceNotFound: There is no file at the path.
        SourceUnreachable: The server of the file is gone.
        NotAVideo: It is a folder, an empty file, text, sound only, too damaged to read, or too large to decode.
        ValueError: ``fps`` is not above 0.

    """

    def __init__(self, source: str | Path, fps: float, *, follow_idle_s: float | None = None) -> None:
        """``source`` is a path or HTTP URL. With ``follow_idle_s``, a path is read until it has not grown for so long."""
        self._source, self._location = source, location_of(source)
        self._follow_idle_s = follow_idle_s if isinstance(self._location, Path) else None
        super().__init__(str(self._location), fps)
        if self._follow_idle_s is not None:
            # What a file declares while it grows is no duration.
            self._info_without_id = replace(self._info_without_id, duration_s=None)

    def _task(self) -> JobTask:
        values = {"path": str(self._source), "follow_idle_s": self._follow_idle_s}
        return JobTask("file", values, size_of(self._location), self._follow_idle_s or 0.0)

    def _content_id(self) -> str:
        return content_id_of(self._source)


class IsolatedPictureSource(IsolatedSource):
    """Reads the pictures of a folder or pattern, each shown for ``1 / image_fps`` seconds.

    Raises:
        SourceNotFound: No file fits the pattern.
        NotAVideo: The folder holds videos or no pictures, or the first picture cannot be decoded.
        ValueError: ``fps`` is not above 0.

    """

    def __init__(self, source: str | Path, fps: float, *, image_fps: float) -> None:
        self._paths, self._image_fps = picture_paths(Path(source)), image_fps
        self.content = PictureContent(self._paths, image_fps)
        super().__init__(str(source), fps)

    def _task(self) -> JobTask:
        values = {"source": self._shown, "paths": list(map(str, self._paths)), "image_fps": self._image_fps}
        return JobTask("pictures", values, sum(map(size_of, self._paths)))

    def _content_id(self) -> str:
        return self.content.content_id


@dataclass(slots=True)
class _Stop:
    """Whether a source was stopped. Not a ``threading.Event``: setting one from a signal handler may deadlock."""

    is_requested: bool = False


def _opened_info(job: DecoderJob, path: str) -> SourceInfo:
    """The facts that a job finds in its file."""
    try:
        message, _ = job.receive()
        if message["kind"] == "failed":
            raise error_from(message, path)
        info = event_from(message["info"])
        if not isinstance(info, SourceInfo):
            raise TypeError("an event in the place of facts")
    except DecoderDied as death:
        raise NotAVideo(path, str(death)) from None
    except INVALID:
        raise NotAVideo(path, _INVALID) from None
    return info


class _Reading:
    """One pass over the frames of a file. Its job ends when neither the iterator nor a frame needs it any more."""

    def __init__(self, job: DecoderJob, from_s: float) -> None:
        self.job = job
        job.send({"kind": "frames", "from_s": from_s})
        self.released: deque[int] = deque()
        self._messages: deque[tuple[dict[str, Any], Buffer]] = deque()
        weakref.finalize(self, job.close)

    def events(self) -> Iterator[Event]:
        """The events of all batches.

        Raises:
            DecoderDied: The process died, or sent something invalid.
            SourceError: Reading failed with one of our errors.
        """
        self._ask({"kind": "next"})
        while True:
            message, blob = self._receive_batch()
            end = message.get("end")
            try:
                if message["kind"] == "failed":
                    raise error_from(message, "")
                events = deque(self._decoded(message, blob))
                failure = None if end is None or end["kind"] == "complete" else end
            except INVALID:
                self.job.kill()
                raise DecoderDied(_INVALID) from None
            if end is None:
                self._ask({"kind": "next"})  # decoded while these are worked on
            while events:
                yield events.popleft()
            if failure is not None:
                raise error_from(failure, "") if failure["kind"] == "failed" else DecoderDied(failure["why"])
            if end is not None:
                return

    def picture(self, number: int) -> Picture | None:
        """The whole picture of a frame. None if it cannot be had any more."""
        self._ask({"kind": "picture", "id": number})
        with suppress(DecoderDied, *INVALID):
            while True:
                message, blob = self.job.receive()
                if message["kind"] == "picture":
                    height, width = message["shape"]
                    return np.frombuffer(blob, np.uint8).reshape(height, width, 3).copy()
                self._messages.append((message, blob))
        return None

    def _ask(self, request: dict[str, Any]) -> None:
        released = [self.released.popleft() for _ in range(len(self.released))]
        self.job.send(request | {"released": released})

    def _receive_batch(self) -> tuple[dict[str, Any], Buffer]:
        # The memory of messages that wait belongs to another job once this one is closed.
        return self._messages.popleft() if self._messages and not self.job.is_closed else self.job.receive()

    def _decoded(self, message: dict[str, Any], blob: Buffer) -> Iterator[Event]:
        arrays = _Arrays(blob)
        for name, values, *pictures in message["events"]:
            if name == "Frame":
                thumb, small, read_picture = arrays.next(*THUMB_SHAPE), None, None
                if pictures:
                    (height, width), number = pictures[0]
                    small = arrays.next(height, width, 3)
                    read_picture = None if number is None else _WholePicture(self, number, small)
                event = event_from([name, values], thumb=thumb, small=small, read_picture=read_picture)
            else:
                event = event_from([name, values])
            if isinstance(event, SourceInfo):
                raise ValueError("facts in the place of an event")
            yield event


class _Arrays:
    """The pictures in the raw bytes of a message, one after the other."""

    def __init__(self, blob: Buffer) -> None:
        self._blob, self._offset = blob, 0

    def next(self, *shape: int) -> Picture:
        """The next one, as a copy, so that it does not keep all others in memory."""
        if min(shape) < 1:
            raise ValueError("a picture has no pixels")
        pixels = np.frombuffer(self._blob, np.uint8, math.prod(shape), self._offset)
        self._offset += pixels.size
        return pixels.reshape(shape).copy()


class _WholePicture:
    """Asks the decoder process for the whole picture of a frame, and tells it when the frame is not needed any more."""

    def __init__(self, reading: _Reading, number: int, small: Picture) -> None:
        self._reading, self._number, self._small = reading, number, small

    def __call__(self) -> Picture:
        """The whole picture. The small one, if the process has died or the picture is too large for its memory."""
        picture = self._reading.picture(self._number)
        return self._small if picture is None else picture

    def __del__(self) -> None:
        self._reading.released.append(self._number)
