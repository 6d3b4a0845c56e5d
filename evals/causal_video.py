"""Causal video: the videos of an evaluation, and an access guard that prevents look-ahead leakage.

    footage = FileFootage(Path("house.mp4"))     # or DrawnFootage(house.timeline.draw, 86_400.0, "house 7")
    video = CausalVideo(footage, until_s=61.5)
    video.pictures([10.0, 60.0])                 # [(10.0, picture), (60.0, picture)]
    video.pictures([70.0])                       # raises LookedAhead: 70 s is after the question
    video.latest_s                               # 60.0, for the audit of a run

A footage is a file, or a drawing function whose frames are made on demand. A system sees it only through a
``CausalVideo``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import av

from ..perception.sources.file_source import PICTURE_SIDE
from ..perception.sources.frame import Frame, Picture
from ..perception.sources.isolated_source import IsolatedFileSource
from ..perception.sources.picture_conversion import PictureConverter
from ..perception.sources.source import Source, SourceInfo
from .errors import LookedAhead

_EVERY_FRAME = 1000.0


class Footage(Protocol):
    """A video that can be watched and looked at."""

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""

    def source(self, fps: float) -> Source:
        """A source to watch, with ``fps`` frames a second for the observers."""

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """The first picture at or after ``time_s``, with its own time. None if the video ends before."""


@dataclass(frozen=True)
class FileFootage:
    """A video file."""

    path: Path

    @property
    def duration_s(self) -> float:
        """The length that the file states. The true length is known once it has been watched."""
        with closing(IsolatedFileSource(self.path, _EVERY_FRAME)) as source:
            return source.info.duration_s or 0.0

    def source(self, fps: float) -> Source:
        """The file's own frames."""
        return IsolatedFileSource(self.path, fps)

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """The first picture at or after ``time_s``, decoded for this call."""
        with closing(IsolatedFileSource(self.path, _EVERY_FRAME)) as source:
            frames = (event for event in source.frames(time_s) if isinstance(event, Frame) and event.sampled)
            frame = next(frames, None)
            return None if frame is None else (frame.time_s, frame.picture())


@dataclass(frozen=True)
class DrawnFootage:
    """A video whose pictures are drawn on demand. It takes no disk space, however long it is."""

    draw: Callable[[float], Picture]
    duration_s: float
    name: str
    """Identifies the video: the same name means the same content."""

    def source(self, fps: float) -> Source:
        """A source that draws ``fps`` frames a second."""
        return _DrawnSource(self, fps)

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """The picture at ``time_s``, drawn for this call."""
        return (time_s, self.draw(time_s)) if time_s < self.duration_s else None


class _DrawnSource:
    """Shows every frame to the observers: nothing is drawn in between."""

    def __init__(self, footage: DrawnFootage, fps: float) -> None:
        self._footage, self._fps = footage, Fraction(fps).limit_denominator(1000)
        self._stopped = False
        height, width = footage.draw(0.0).shape[:2]
        self.info = SourceInfo(
            kind="file",
            source=f"drawn: {footage.name}",
            content_id=f"drawn: {footage.name}",
            duration_s=footage.duration_s,
            width=width,
            height=height,
            average_fps=fps,
        )

    def frames(self, from_s: float = 0.0) -> Iterator[Frame]:
        converter: PictureConverter | None = None
        number = max(0, math.ceil(from_s * self._fps))
        while not self._stopped and (time_s := float(number / self._fps)) < self._footage.duration_s:
            drawn = av.VideoFrame.from_ndarray(self._footage.draw(time_s), format="bgr24")
            converter = converter or PictureConverter(drawn, None)
            yield Frame(
                time_s=time_s,
                pts=number,
                time_base=1 / self._fps,
                thumb=converter.thumb(drawn),
                small=converter.small(drawn),
                read_picture=partial(converter.whole, drawn, PICTURE_SIDE),
                size=converter.size(drawn),
            )
            number += 1

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._stopped = True


class CausalVideo:
    """The part of a video that a question may use: ``[from_s, until_s)``, in seconds."""

    def __init__(self, footage: Footage, *, until_s: float, from_s: float = 0.0) -> None:
        self._footage = footage
        self.from_s, self.until_s = from_s, until_s
        self.latest_s: float | None = None
        """The time of the latest picture that was returned. None before the first."""
        self.count = 0
        """How many pictures were returned."""

    def pictures(self, times_s: Iterable[float]) -> list[tuple[float, Picture]]:
        """The first picture at or after each time, with its own time. Fewer than asked for if the video ends before.

        Raises ``LookedAhead`` for a time that the question may not use, and ``SourceError``.
        """
        pictures: list[tuple[float, Picture]] = []
        for time_s in times_s:
            if not self.from_s <= time_s < self.until_s:
                raise LookedAhead(time_s, self.from_s, self.until_s)
            picture = self._footage.picture(time_s)
            # The next picture after the time may already lie after the question.
            if picture is not None and picture[0] < self.until_s:
                pictures.append(picture)
        self.count += len(pictures)
        returned_s = [time_s for time_s, _ in pictures] + ([] if self.latest_s is None else [self.latest_s])
        self.latest_s = max(returned_s, default=None)
        return pictures

    def spread(self, count: int, *, last_s: float | None = None) -> list[tuple[float, Picture]]:
        """One picture from the middle of each of ``count`` equal parts of the usable video, or of its last ``last_s``."""
        from_s = self.from_s if last_s is None else max(self.from_s, self.until_s - last_s)
        step_s = (self.until_s - from_s) / count
        return self.pictures(from_s + (number + 0.5) * step_s for number in range(count))
