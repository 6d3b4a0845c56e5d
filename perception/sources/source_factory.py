"""Opens a source: a file by its path, a live source by its URL.

with closing(open_source("rtsp://camera/1", fps=4)) as source:
    for event in source.frames(): ...
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from ...common.errors import BadArgument
from ..errors import UnsupportedSource
from .isolated_file_source import IsolatedFileSource
from .live_clock import LiveOrigin
from .live_source import LiveSource
from .source import Source
from .urls import redact

LIVE_SCHEMES = ("rtsp", "rtsps", "http", "https")
"""The schemes that a URL may have. Any other string with ``://`` in it is refused."""


def open_source(
    source: str,
    *,
    fps: float,
    origin: LiveOrigin | None = None,
    max_outage_s: float | None = None,
    on_state: Callable[[str, str], None] | None = None,
) -> Source:
    """Open a file, or a live source where ``source`` is a URL.

    Args:
        source: A path, or a URL of one of ``LIVE_SCHEMES``.
        fps: Sampled frames per second, for the observers.
        origin: Live only: where the stream begins or goes on. None begins it with the first frame.
        max_outage_s: Live only: the longest outage before watching ends with an error. None waits forever.
        on_state: Live only: called with a state and a sentence whenever the connection changes.

    Raises:
        SourceNotFound: There is no file at the path.
        NotAVideo: The file holds no video.
        UnsupportedSource: The scheme of the URL is not allowed.
        BadArgument: The URL names no host, or its port is not a port number.

    """
    if "://" not in source:
        return IsolatedFileSource(source, fps)
    scheme = source.partition("://")[0].lower()
    if scheme not in LIVE_SCHEMES:
        # In "user:password@host/?next=http://h/" the text before "://" is no scheme, and must not be shown.
        scheme = scheme if scheme.replace("+", "").replace("-", "").replace(".", "").isalnum() else ""
        raise UnsupportedSource(redact(source), scheme, LIVE_SCHEMES)
    if not _has_host(source):
        raise BadArgument("source", redact(source), "a URL with a host, such as rtsp://camera.local/live")
    return LiveSource(
        source,
        fps,
        origin=origin,
        max_outage_s=max_outage_s,
        on_state=on_state,
    )


def _has_host(url: str) -> bool:
    """Whether the URL names a host. A live source without one would be tried for ever."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
