"""Looks again, and closer, at the pixels of a moment.

    pictures = pictures_again(stream, moment, kept_frames, most=4)
    observation = read_closely(pictures, moment.span)

Where the file is still there and still the same, frames are decoded anew, denser than the first time;
else the key frames that were kept must do. What is seen comes back as an observation of its own writer,
to be stored beside the first and never over it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ...memory.values import KeyFrame, Moment, Observation, Span, Stream
from ..errors import SourceError
from ..observers.text_observer import look_closely
from ..sources.file_source import FileSource, content_id_of
from ..sources.frame import Frame, Picture
from .rule_captions import compose_caption

WRITTEN_BY = "inspect/1"
LOOK_FPS = 4.0


def pictures_again(
    stream: Stream, moment: Moment, kept: Sequence[KeyFrame], *, most: int
) -> list[tuple[float, Picture]]:
    """Pictures of a moment with their times, ``most`` of them at most, spread evenly and whole.

    From the file itself where it can be, else those that were ``kept``; none where no pixels are left. A memory
    above the first rung is looked at in the pictures that were kept of it: its stretch is too long to be decoded.
    """
    decoded = _decoded(stream, moment, most) if moment.rung == "moment" else []
    if decoded:
        return decoded
    pictures = ((frame.time_s, _picture_of(frame)) for frame in kept[:most])
    return [(time_s, picture) for time_s, picture in pictures if picture is not None]


def read_closely(pictures: Sequence[tuple[float, Picture]], span: Span) -> Observation | None:
    """Read the text in pictures of ``span`` at full resolution; None where there are no pictures."""
    if not pictures:
        return None
    findings = look_closely(pictures, span)
    return Observation(compose_caption(findings), tuple(findings), WRITTEN_BY, time.time())


def _decoded(stream: Stream, moment: Moment, most: int) -> list[tuple[float, Picture]]:
    """Frames of the moment from the file itself, spread evenly; none where it is gone or has changed."""
    path = Path(stream.source)
    if stream.kind != "file" or not path.is_file():
        return []
    stat = path.stat()
    if _content_id(path, stat.st_size, stat.st_mtime_ns) != stream.content_id:
        return []
    fps = min(LOOK_FPS, most / max(0.1, moment.span.duration_s))
    pictures: list[tuple[float, Picture]] = []
    try:
        with closing(FileSource(path, fps)) as source:
            for event in source.frames(moment.span.start_s):
                if not isinstance(event, Frame):
                    continue
                if event.time_s >= moment.span.end_s or len(pictures) >= most:
                    break
                if event.sampled:
                    pictures.append((event.time_s, event.picture()))
    except SourceError:
        return []
    return pictures


@lru_cache(maxsize=64)
def _content_id(path: Path, size: int, changed_ns: int) -> str:
    """The file's identity; its size and time of change are part of the key, so a new file is read anew."""
    return content_id_of(path)


def _picture_of(frame: KeyFrame) -> Picture | None:
    """What was kept, decoded; None where it cannot be: a damaged picture is as good as none."""
    decoded = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) if frame.jpeg else None
    return None if decoded is None else np.asarray(decoded, np.uint8)
