"""Videos of an evaluation: files, or drawn while they are watched; and the only way in which a system sees one.

footage = FileFootage(Path("house.mp4"))          # or DrawnFootage(house.timeline.draw, 86_400.0, "house 7")
video = CausalVideo(footage, until_s=61.5)
video.pictures([10.0, 60.0])                      # times and pictures
video.pictures([70.0])                            # LookedAhead: nothing beyond the question's time comes out of it
video.latest_s                                    # 60.0: what the audit of a run looks at
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

from ..perception.sources.file_source import PICTURE_SIDE, FileSource
from ..perception.sources.frame import Frame, Picture
from ..perception.sources.picture_conversion import PictureConverter
from ..perception.sources.source import Source, SourceInfo
from .errors import LookedAhead

_EVERY_FRAME = 1000.0


class Footage(Protocol):
    """A video that can be watched and looked at."""

    @property
    def duration_s(self) -> float:
        """How long it is."""

    def source(self, fps: float) -> Source:
        """For watching, with so many frames a second for the observers."""

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """The first picture at or after a time, with its own time; None where the video ends before."""


@dataclass(frozen=True)
class FileFootage:
    """A file."""

    path: Path

    @property
    def duration_s(self) -> float:
        """As the file says; how long it takes to be watched is known afterwards."""
        with closing(FileSource(self.path, _EVERY_FRAME)) as source:
            return source.info.duration_s or 0.0

    def source(self, fps: float) -> Source:
        """The file's own frames."""
        return FileSource(self.path, fps)

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """Decoded for this one time."""
        with closing(FileSource(self.path, _EVERY_FRAME)) as source:
            frames = (event for event in source.frames(time_s) if isinstance(event, Frame) and event.sampled)
            frame = next(frames, None)
            return None if frame is None else (frame.time_s, frame.picture())


@dataclass(frozen=True)
class DrawnFootage:
    """A video that is drawn picture by picture when it is looked at, and is on no disk however long it is."""

    draw: Callable[[float], Picture]
    duration_s: float
    name: str
    """What is drawn: the same name is the same video."""

    def source(self, fps: float) -> Source:
        """Drawn so many times a second."""
        return _DrawnSource(self, fps)

    def picture(self, time_s: float) -> tuple[float, Picture] | None:
        """Drawn for this one time."""
        return (time_s, self.draw(time_s)) if time_s < self.duration_s else None


class _DrawnSource:
    """Every frame is shown to the observers: between them nothing is drawn."""

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
        pictures: PictureConverter | None = None
        number = max(0, math.ceil(from_s * self._fps))
        while not self._stopped and (time_s := float(number / self._fps)) < self._footage.duration_s:
            drawn = av.VideoFrame.from_ndarray(self._footage.draw(time_s), format="bgr24")
            pictures = pictures or PictureConverter(drawn, None)
            yield Frame(
                time_s=time_s,
                pts=number,
                time_base=1 / self._fps,
                thumb=pictures.thumb(drawn),
                small=pictures.small(drawn),
                read_picture=partial(pictures.whole, drawn, PICTURE_SIDE),
                size=pictures.size(drawn),
            )
            number += 1

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._stopped = True


class CausalVideo:
    """What of a video may be seen: from ``from_s`` to just before ``until_s``."""

    def __init__(self, footage: Footage, *, until_s: float, from_s: float = 0.0) -> None:
        self._footage = footage
        self.from_s, self.until_s = from_s, until_s
        self.latest_s: float | None = None
        """The latest picture that was handed out."""
        self.count = 0
        """How many were."""

    def pictures(self, times_s: Iterable[float]) -> list[tuple[float, Picture]]:
        """The first picture at or after each time, with its own time; fewer where the video ends before.

        Raises ``LookedAhead`` for a time that may not be seen, and ``SourceError``.
        """
        found: list[tuple[float, Picture]] = []
        for time_s in times_s:
            if not self.from_s <= time_s < self.until_s:
                raise LookedAhead(time_s, self.from_s, self.until_s)
            picture = self._footage.picture(time_s)
            # Between two pictures the next one is of a time that has not come.
            if picture is not None and picture[0] < self.until_s:
                found.append(picture)
        self.count += len(found)
        seen = [time_s for time_s, _ in found] + ([] if self.latest_s is None else [self.latest_s])
        self.latest_s = max(seen, default=None)
        return found

    def spread(self, count: int, *, last_s: float | None = None) -> list[tuple[float, Picture]]:
        """Pictures from the middles of ``count`` equal parts of what may be seen, or of its last seconds."""
        from_s = self.from_s if last_s is None else max(self.from_s, self.until_s - last_s)
        step_s = (self.until_s - from_s) / count
        return self.pictures(from_s + (number + 0.5) * step_s for number in range(count))
