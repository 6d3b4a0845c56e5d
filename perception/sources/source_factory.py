"""Opens a source: a file by its path, a live source by its URL.

with closing(open_source("rtsp://camera/1", fps=4)) as source:
    for event in source.frames(): ...
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedSource
from .file_source import FileSource
from .live_source import LiveSource
from .source import Source
from .urls import redact

LIVE_SCHEMES = ("rtsp", "rtsps", "http", "https")
"""What a URL may start with; everything else with ``://`` in it is refused."""


def open_source(
    source: str,
    *,
    fps: float,
    origin_wall_s: float | None = None,
    first_epoch: int = 0,
    max_outage_s: float | None = None,
    on_state: Callable[[str, str], None] | None = None,
) -> Source:
    """Open a file, or a live source where ``source`` is a URL.

    Args:
        source: A path, or a URL of one of ``LIVE_SCHEMES``.
        fps: Sampled frames a second, for the observers.
        origin_wall_s: Live only: Unix seconds at stream time 0, for a stream begun earlier.
        first_epoch: Live only: the epoch of the first frame.
        max_outage_s: Live only: give up when the source is away for longer; None never does.
        on_state: Live only: called with a state and a sentence whenever the connection changes.

    Raises:
        SourceNotFound: there is no such file.
        NotAVideo: the file holds no video.
        UnsupportedSource: a URL with a scheme that is not allowed.

    """
    if "://" not in source:
        return FileSource(source, fps)
    scheme = source.partition("://")[0].lower()
    if scheme not in LIVE_SCHEMES:
        # What stands before "://" is no scheme in "user:password@host/?next=http://h/".
        scheme = scheme if scheme.replace("+", "").replace("-", "").replace(".", "").isalnum() else ""
        raise UnsupportedSource(redact(source), scheme, LIVE_SCHEMES)
    return LiveSource(
        source,
        fps,
        origin_wall_s=origin_wall_s,
        first_epoch=first_epoch,
        max_outage_s=max_outage_s,
        on_state=on_state,
    )
