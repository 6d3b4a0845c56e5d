"""Runs ``recollect`` in a child process and records its connections and name look-ups. Look-ups fail.

    python tests/nothing_leaves.py NOTES watch film.mp4         # as: recollect watch film.mp4
    python tests/nothing_leaves.py NOTES -c "import recollect"  # as: python -c "import recollect"

NOTES gets a line of JSON per event: ["connect", host, port] or ["lookup", host]. Only Python's own sockets are recorded.
"""

from __future__ import annotations

import json
import os
import socket
import sys

NOTES = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
LOOPBACK = {None, "", b"", "localhost", "127.0.0.1", b"127.0.0.1", "::1", "0.0.0.0"}
LOOKUPS = {
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
}


def note(*fields: object) -> None:
    os.write(NOTES, json.dumps(fields, default=str).encode() + b"\n")


def record(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if isinstance(address, tuple) and len(address) >= 2:
            note("connect", *address[:2])
    elif event in LOOKUPS and arguments[0] not in LOOPBACK:
        note("lookup", arguments[0])
        raise socket.gaierror(socket.EAI_NONAME, "name look-ups are disabled in this test")


if __name__ == "__main__":
    sys.addaudithook(record)
    if sys.argv[2] == "-c":
        exec(sys.argv[3], {})
        sys.exit()
    from recollect.cli.main import main

    sys.argv = ["recollect", *sys.argv[2:]]
    sys.exit(main(sys.argv[1:]))
