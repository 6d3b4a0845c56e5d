"""Remote file: a file behind an HTTP URL, read as if it were on the disk, by ranged requests.

    remote = find_remote_file("https://example.org/kitchen.mp4")     # None: it is a live source
    with closing(remote) as file:
        file.seek(1_000_000)
        head = file.read(4096)

A URL is a file if its server answers a ranged request with the range and the whole length, and if what it sends is
no playlist. A server without ranges must state the length, and a date or tag of the file. It is then read from its
start after each jump back. Everything else is a live source, such as what is sent without end or in parts. A connection
that breaks is opened again where it broke. If that does not help, reading raises an error, so that a server that is
gone is never mistaken for the end of the file. It knows nothing of video.
"""

from __future__ import annotations

import http.client
import io
import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from ...common.backoff import Backoff
from ..errors import SourceUnreachable
from .urls import redact, redact_text

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT_S = 8.0
"""How long a server may take to answer or to go on."""

RETRY_S = 20.0
"""How long a broken connection is tried again before reading fails."""

HEAD_BYTES = 4096
"""How much is read to distinguish a file from a playlist."""

_READ_AHEAD_BYTES = 256 * 1024
"""A jump ahead of at most this far reads on in the open connection."""

_FIRST_REQUEST_BYTES, _LARGEST_REQUEST_BYTES = 256 * 1024, 64 * 1024 * 1024
"""After a jump little is requested. Each request that goes on where the last one ended is twice as large."""

_SKIP_BYTES = 1024 * 1024

_RETRY_BACKOFF = Backoff(first_s=0.5, longest_s=5.0)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PLAYLIST_TYPES = ("mpegurl", "dash+xml", "multipart/", "smil", "application/json", "sdp")
_PLAYLISTS = (
    b"#EXTM3U",
    b"<?xml",
    b"<MPD",
    b"<SMIL",
    b"<smil",
    b"[Reference]",
    b"[playlist]",
    b"v=0\r\n",
    b"v=0\n",
)

_FAILURES = (OSError, http.client.HTTPException, ValueError)
"""What opening and reading a connection may raise."""


class RemoteFile(io.RawIOBase):
    """The bytes of a file behind a URL. One thread uses it.

    Reading raises ``SourceUnreachable`` if the server is gone, or serves another file by now. It does so once, because
    PyAV keeps an error of its reader until FFmpeg returns, and prints every further one. After that, nothing is read.
    """

    def __init__(self, url: str) -> None:
        """Nothing is requested yet. ``find_remote_file`` checks that it is a file."""
        super().__init__()
        self._url = url
        self._opener, self._request_url = _opener(url)
        self._response: http.client.HTTPResponse | None = None
        self._position = 0
        self._response_position = self._response_end = 0
        """The position of the open response's next byte, and of its end."""
        self.has_ranges = True
        """Whether the server sends parts of the file."""
        self._next_request_bytes = _FIRST_REQUEST_BYTES
        self._has_failed = False
        self.validator = ""
        """What the server says that the file changes with. Empty if it says nothing."""
        self.size_bytes = 0
        """The length of the file."""

    def probe(self) -> bool:
        """Ask for the first bytes, and learn the length. Returns whether the URL is a file."""
        try:
            with self._request(0, HEAD_BYTES - 1) as response:
                content_type = response.headers.get("Content-Type", "").lower()
                if any(name in content_type for name in _PLAYLIST_TYPES):
                    return False
                # A weak validator does not promise the same bytes.
                tag = response.headers.get("ETag", "")
                self.validator = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
                self.has_ranges = response.status == http.HTTPStatus.PARTIAL_CONTENT
                self.size_bytes = _length(response)
                if not self.has_ranges and not self.validator:
                    return False  # a camera may state a length that it never reaches
                head = response.read(HEAD_BYTES)
        except _FAILURES:
            return False
        if "text/" in content_type and b"\0" not in head:
            return (
                False  # a page or a list; servers that do not know ``.ts`` or ``.mkv`` call a video text, too
            )
        return self.size_bytes > 0 and not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAYLISTS)

    def reopened(self) -> RemoteFile:
        """The same file from its start, with a connection of its own."""
        remote = RemoteFile(self._url)
        remote.size_bytes, remote.validator = self.size_bytes, self.validator
        remote.has_ranges = self.has_ranges
        return remote

    # -- as a file ------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position. Nothing is requested before the next byte is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes. 0 only at the end of the file."""
        view = memoryview(buffer).cast("B")[: max(0, self.size_bytes - self._position)]
        if not view or self._has_failed:
            return 0
        try:
            return self._read(view)
        except SourceUnreachable:
            self._has_failed = True
            raise

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._disconnect()
        super().close()

    # -- requests -------------------------------------------------------------------------------------

    def _read(self, view: memoryview) -> int:
        give_up_s = time.monotonic() + RETRY_S
        attempts = 0
        while True:
            attempts += 1
            try:
                count = self._connected().readinto(view)
                if count:
                    self._position += count
                    self._response_position += count
                    return count
                why = "the connection was closed too early"
            except _FAILURES as error:
                why = redact_text(_reason(error), [self._url])
            self._disconnect()
            pause_s = _RETRY_BACKOFF.pause_s(attempts)
            if time.monotonic() + pause_s >= give_up_s:
                raise SourceUnreachable(redact(self._url), why, attempts)
            time.sleep(pause_s)

    def _connected(self) -> http.client.HTTPResponse:
        """The response in which the next byte comes."""
        ahead = self._position - self._response_position
        is_near = 0 <= ahead <= _READ_AHEAD_BYTES or (ahead >= 0 and not self.has_ranges)
        if self._response is None or not is_near or self._position >= self._response_end:
            if not is_near:
                self._next_request_bytes = _FIRST_REQUEST_BYTES
            self._connect()
        assert self._response is not None
        while self._response_position < self._position:
            count = len(self._response.read(min(_SKIP_BYTES, self._position - self._response_position)))
            if not count:
                raise http.client.IncompleteRead(b"")
            self._response_position += count
        return self._response

    def _connect(self) -> None:
        """Request the next byte, and some after it. Without ranges, request the file from its start."""
        self._disconnect()
        first, end = self._position, min(self.size_bytes, self._position + self._next_request_bytes)
        if not self.has_ranges:
            first, end = 0, self.size_bytes
        response = self._request(first, end - 1)
        if _length(response) != self.size_bytes or not self._has_part(response):
            response.close()
            raise SourceUnreachable(redact(self._url), "the file on the server has changed", 1)
        self._response, self._response_position, self._response_end = response, first, end
        self._next_request_bytes = min(2 * self._next_request_bytes, _LARGEST_REQUEST_BYTES)

    def _has_part(self, response: http.client.HTTPResponse) -> bool:
        """Whether the response is what was requested, of the file that was probed."""
        if self.has_ranges:
            return response.status == http.HTTPStatus.PARTIAL_CONTENT
        return self.validator in (response.headers.get("ETag"), response.headers.get("Last-Modified"))

    def _request(self, first: int, last: int) -> http.client.HTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "recollect"}
        if self.has_ranges:
            headers["Range"] = f"bytes={first}-{last}"
            if self.validator:
                # If the file has changed, the answer is the whole new file instead of a range.
                headers["If-Range"] = self.validator
        request = urllib.request.Request(self._request_url, headers=headers)
        response: http.client.HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
        return response

    def _disconnect(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            with suppress(*_FAILURES):
                response.close()


def find_remote_file(url: str) -> RemoteFile | None:
    """The file behind ``url``. None if it is a live source, or if the server does not answer."""
    remote = RemoteFile(url)
    return remote if remote.probe() else None


def _length(response: http.client.HTTPResponse) -> int:
    """The length of the whole file. 0 if the response does not state it."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        content_range = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return int(content_range[3]) if content_range else 0
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and "Transfer-Encoding" not in response.headers else 0


def _opener(url: str) -> tuple[urllib.request.OpenerDirector, str]:
    """What requests ``url``, and ``url`` without its credentials, which are sent only if the server asks for them."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain_url = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, plain_url, unquote(parts.username), unquote(parts.password or ""))
    opener = urllib.request.OpenerDirector()
    # Without the handlers of files, FTP and data: no redirect leads there.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    ):
        opener.add_handler(handler)
    return opener, plain_url


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    reason = getattr(error, "reason", error)
    return str(reason) or type(error).__name__
