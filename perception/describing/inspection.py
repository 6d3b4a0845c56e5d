"""Inspection: decodes the pictures of a moment again, and reads the text in them at full resolution.

    pictures = moment_pictures(stream, moment, stored_frames, limit=4)
    observation = read_closely(pictures, moment.span)

If the file still exists unchanged, frames are decoded again, at a higher rate than when it was watched. A file that
was given by a URL is read from there, unless the URL held credentials: they are never stored. Otherwise the stored
key frames are used. The result is an observation with a writer of its own. It is stored
beside the first observation and never replaces it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache

import cv2
import numpy as np

from ...common.file_names import path_from
from ...memory.values import KeyFrame, Moment, Observation, Span, Stream
from ..errors import NotAVideo, SourceError
from ..observers.text_observer import look_closely
from ..sources.content_identity import FileContent, Relation
from ..sources.file_bytes import RemoteLocation, location_of
from ..sources.frame import Frame, Picture
from ..sources.isolated_source import IsolatedFileSource, IsolatedPictureSource
from ..sources.picture_sequence import PictureContent, image_fps_of, picture_paths
from ..sources.source import Source
from .rule_captions import compose_caption

log = logging.getLogger(__name__)

WRITTEN_BY = "inspect/1"
LOOK_FPS = 4.0


def moment_pictures(
    stream: Stream, moment: Moment, stored: Sequence[KeyFrame], *, limit: int
) -> list[tuple[float, Picture]]:
    """At most ``limit`` whole pictures of a moment with their times, at even distances.

    They come from the file if possible, and otherwise from the ``stored`` key frames. The list is empty if no
    pixels are left. For a rung above the first, only stored frames are used: its span is too long to decode.
    """
    decoded = _decode_file(stream, moment, limit) if moment.rung == "moment" else []
    if decoded:
        return decoded
    pictures = ((frame.time_s, _picture_of(frame)) for frame in stored[:limit])
    return [(time_s, picture) for time_s, picture in pictures if picture is not None]


def read_closely(pictures: Sequence[tuple[float, Picture]], span: Span) -> Observation | None:
    """Read the text in pictures of ``span`` at full resolution. None if there are no pictures."""
    if not pictures:
        return None
    findings = look_closely(pictures, span)
    return Observation(compose_caption(findings), tuple(findings), WRITTEN_BY, time.time())


def _decode_file(stream: Stream, moment: Moment, limit: int) -> list[tuple[float, Picture]]:
    """Frames of the moment from the file, at even distances. An empty list if the file is gone or has changed."""
    if stream.kind != "file":
        return []
    fps = min(LOOK_FPS, limit / max(0.1, moment.span.duration_s))
    pictures: list[tuple[float, Picture]] = []
    try:
        with closing(_open_again(stream, fps)) as source:
            for event in source.frames(moment.span.start_s):
                if not isinstance(event, Frame):
                    continue
                if event.time_s >= moment.span.end_s or len(pictures) >= limit:
                    break
                if event.sampled:
                    pictures.append((event.time_s, event.picture()))
    except (SourceError, OSError) as error:
        log.info(
            "the stored pictures of %s are used, because its file cannot be read: %s", stream.name, error
        )
        return []
    return pictures


def _open_again(stream: Stream, fps: float) -> Source:
    """The file or the pictures of a stream. They may have grown.

    Raises ``OSError`` or ``SourceError`` if it is gone, has changed, or needs credentials, which are not stored.
    """
    image_fps = image_fps_of(stream.content_id)
    if image_fps is not None:
        pictures = IsolatedPictureSource(path_from(stream.source), fps, image_fps=image_fps)
        content = _picture_content(stream.source, image_fps, pictures.content.version)
        _check_unchanged(stream, content.relation(stream.content_id))
        return pictures
    location = location_of(stream.source)
    if isinstance(location, RemoteLocation):
        version: tuple[object, ...] = location.version
    else:
        version = location.stat().st_size, location.stat().st_mtime_ns
    _check_unchanged(stream, _file_content(stream.source, version).relation(stream.content_id))
    return IsolatedFileSource(stream.source, fps)


def _check_unchanged(stream: Stream, relation: Relation) -> None:
    if relation == "other":
        raise NotAVideo(stream.source, "it is not what was watched")


@lru_cache(maxsize=64)
def _file_content(source: str, version: tuple[object, ...]) -> FileContent:
    """The content of a file. Its version is part of the cache key, so a changed file is read again."""
    return FileContent(location_of(source))


@lru_cache(maxsize=16)
def _picture_content(source: str, image_fps: float, version: tuple[object, ...]) -> PictureContent:
    """The same of a folder or pattern of pictures."""
    return PictureContent(picture_paths(path_from(source)), image_fps)


def _picture_of(frame: KeyFrame) -> Picture | None:
    """The decoded picture of a key frame. None if it is damaged."""
    decoded = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) if frame.jpeg else None
    return None if decoded is None else np.asarray(decoded, np.uint8)
