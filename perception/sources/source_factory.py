"""Opens a source: a file by its path or HTTP URL, pictures by their folder or pattern, a live source by its URL.

with closing(open_source("rtsp://camera/1", fps=4)) as source:
    for event in source.frames(): ...
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import av

from ...common.errors import BadArgument
from ..errors import CameraNotFound, NotAVideo, UnsupportedSource
from .isolated_source import IsolatedFileSource, IsolatedPictureSource
from .live_clock import LiveOrigin
from .live_source import LiveSource
from .picture_sequence import names_pictures
from .remote_file import find_remote_file
from .source import Source
from .urls import redact

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "v4l2")
"""The schemes that a URL may have. Any other string with ``://`` in it is refused."""

_DEVICE_SCHEME = "v4l2"
_DEVICE = re.compile(r"/dev/(video\d+|v4l/by-(id|path)/[^/]+)")
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class FileReading:
    """How files are read."""

    image_fps: float = 1.0
    """How many pictures of a folder are shown a second."""
    follow_idle_s: float | None = None
    """A file on the disk is read until it has not grown for so long. None reads what is there."""


def open_source(
    source: str,
    *,
    fps: float,
    files: FileReading | None = None,
    kind: Literal["file", "live"] | None = None,
    origin: LiveOrigin | None = None,
    max_outage_s: float | None = None,
    on_state: Callable[[str, str], None] | None = None,
) -> Source:
    """Open a file or a live source. An HTTP URL is a file if its server serves parts of a known length.

    Args:
        source: A path, a folder or pattern of pictures, a camera device, or a URL of one of ``SCHEMES``.
        fps: Sampled frames per second, for the observers.
        files: How files are read.
        kind: What a URL was found to be before. None asks its server.
        origin: Live only: where the stream begins or goes on. None begins it with the first frame.
        max_outage_s: Live only: the longest outage before watching ends with an error. None waits forever.
        on_state: Live only: called with a state and a sentence whenever the connection changes.

    Raises:
        SourceNotFound: There is no file at the path.
        CameraNotFound: There is no such camera device, or it may not be read.
        NotAVideo: The file holds no video.
        UnsupportedSource: The scheme of the URL is not allowed.
        BadArgument: The URL names no host, or its port is not a port number.

    """
    source = device_url(source)
    if "://" not in source:
        return _open_path(source, fps, files or FileReading())
    _check_url(source)
    if kind == "file" or (kind is None and source.lower().startswith("http") and find_remote_file(source)):
        return IsolatedFileSource(source, fps)
    return LiveSource(
        source,
        fps,
        origin=origin,
        max_outage_s=max_outage_s,
        on_state=on_state,
    )


def device_url(source: str) -> str:
    """The URL of a camera device that is given by its path. Any other source as it is."""
    return f"{_DEVICE_SCHEME}://{source}" if _DEVICE.fullmatch(source) else source


def _open_path(path: str, fps: float, files: FileReading) -> Source:
    if names_pictures(path):
        return IsolatedPictureSource(path, fps, image_fps=files.image_fps)
    give_up_s = time.monotonic() + (files.follow_idle_s or 0.0)
    while True:
        try:
            return IsolatedFileSource(path, fps, follow_idle_s=files.follow_idle_s)
        except NotAVideo:
            # A recorder may have written no picture yet.
            if time.monotonic() >= give_up_s or not _is_new(path, files.follow_idle_s or 0.0):
                raise
        time.sleep(_POLL_S)


def _is_new(path: str, idle_s: float) -> bool:
    """Whether a file was written within the last ``idle_s``."""
    return Path(path).is_file() and time.time() - Path(path).stat().st_mtime < idle_s


def _check_url(source: str) -> None:
    scheme = source.partition("://")[0].lower()
    if scheme not in SCHEMES:
        # In "user:password@host/?next=http://h/" the text before "://" is no scheme, and must not be shown.
        scheme = scheme if scheme.replace("+", "").replace("-", "").replace(".", "").isalnum() else ""
        raise UnsupportedSource(redact(source), scheme, SCHEMES)
    if scheme == _DEVICE_SCHEME:
        _check_device(source.partition("://")[2])
    elif not _has_host(source):
        raise BadArgument("source", redact(source), "a URL with a host, such as rtsp://camera.local/live")
    elif scheme == "srt" and not _has_protocol(scheme):
        raise UnsupportedSource(redact(source), scheme, tuple(name for name in SCHEMES if name != scheme))


def _check_device(path: str) -> None:
    if _DEVICE.fullmatch(path) is None:
        raise BadArgument(
            "source", f"{_DEVICE_SCHEME}://{path}", "a camera device, such as v4l2:///dev/video0"
        )
    if not Path(path).is_char_device():
        raise CameraNotFound(
            path, "there is no such device", tuple(sorted(map(str, Path("/dev").glob("video*"))))
        )
    if not os.access(path, os.R_OK):
        raise CameraNotFound(path, "reading it is not permitted; on Linux, the group `video` may", ())


def _has_protocol(scheme: str) -> bool:
    """Whether the FFmpeg inside PyAV can open URLs of a scheme."""
    try:
        av.open(f"{scheme}://")
    except av.ProtocolNotFoundError:
        return False
    except av.FFmpegError:
        pass
    return True


def _has_host(url: str) -> bool:
    """Whether the URL names a host. A live source without one would be tried for ever."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
