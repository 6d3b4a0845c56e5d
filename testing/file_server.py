"""File server: serves files over HTTP on loopback, with ranges as a web server does, for tests and demonstrations.

    with FileServer({"/clip.mp4": Path("clip.mp4")}) as server:
        memory.watch(server.url("/clip.mp4"))
        server.refuse()          # and the other faults of FaultyServer

Without ranges it sends each file as a whole, as simple servers do. Without validators it sends no tag of the file.
"""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from .faulty_server import FaultyServer

_PIECE_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class FileServer(FaultyServer):
    """Serves each file under its path. Every request is a connection of its own."""

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        ranges: bool = True,
        validators: bool = True,
        content_type: str = "application/octet-stream",
        credentials: str = "",
    ) -> None:
        """With ``credentials`` (``user:password``), requests without them are answered with 401."""
        self._files, self._ranges, self._content_type = dict(files), ranges, content_type
        self._validators = validators
        self._expected = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""
        self.sent_bytes = 0
        """Bytes of files sent so far."""
        self.drop_after_bytes: int | None = None
        """Cut each connection after this many bytes of a file. None serves all of it."""
        super().__init__()

    def url(self, path: str, *, credentials: str = "") -> str:
        """The URL of a file."""
        return f"http://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}{path}"

    def _serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as requests:
            lines = []
            while line := requests.readline().decode("latin-1").strip():
                lines.append(line)
        if not lines:
            return
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self._wait_out_stall(client)
        path = self._files.get(lines[0].split()[1].partition("?")[0])
        if self._status != 200:
            self._answer(client, self._status)
        elif self._expected and headers.get("authorization") != self._expected:
            self._answer(client, 401, {"WWW-Authenticate": 'Basic realm="files"'})
        elif path is None or not path.is_file():
            self._answer(client, 404)
        else:
            self._send_file(client, path, headers)

    def _send_file(self, client: socket.socket, path: Path, request: Mapping[str, str]) -> None:
        stat = path.stat()
        size_bytes, first = stat.st_size, 0
        last = size_bytes - 1
        tag = f'"{stat.st_mtime_ns:x}-{size_bytes:x}"'
        headers = {"Content-Type": self._content_type, **({"ETag": tag} if self._validators else {})}
        wanted = _RANGE.fullmatch(request.get("range", ""))
        if self._ranges and wanted is not None and request.get("if-range", tag) == tag:
            first = int(wanted[1])
            last = min(last, int(wanted[2])) if wanted[2] else last
            if first > last:
                self._answer(client, 416, {"Content-Range": f"bytes */{size_bytes}"})
                return
            headers |= {"Accept-Ranges": "bytes", "Content-Range": f"bytes {first}-{last}/{size_bytes}"}
        left = last + 1 - first
        self._answer(client, 206 if "Content-Range" in headers else 200, headers, length=left)
        if self.drop_after_bytes is not None:
            left = min(left, self.drop_after_bytes)
        with path.open("rb") as file:
            file.seek(first)
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                self._wait_out_stall(client)
                client.sendall(piece)
                self.sent_bytes += len(piece)
                left -= len(piece)

    def _answer(
        self, client: socket.socket, status: int, headers: Mapping[str, str] | None = None, *, length: int = 0
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} {'OK' if status < 400 else 'No'}",
            "Connection: close",
            f"Content-Length: {length}",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
