"""Faulty server: a loopback server with fault injection, for tests and demonstrations.

    class Echo(FaultyServer):
        def _serve(self, client): ...

    with Echo() as server:
        server.stall()     # connections stay open and send nothing
        server.drop()      # connections are cut
        server.refuse()    # new connections are refused
        server.resume()    # every fault ends

Subclasses implement the protocol.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Self


class FaultyServer:
    """Listens on loopback and serves each client in a thread of its own. A subclass implements the protocol."""

    def __init__(self) -> None:
        self._stalled = threading.Event()
        self._closed = threading.Event()
        self._status = 200
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._port = 0
        self.connections = 0
        """How many clients have been accepted so far."""
        self._listen()

    @property
    def port(self) -> int:
        """The port it listens on. It stays the same after ``refuse`` and ``resume``."""
        return self._port

    def stall(self) -> None:
        """Keep connections open, accept new ones, and send nothing."""
        self._stalled.set()

    def drop(self) -> None:
        """Cut every connection. New ones are served."""
        with self._lock:
            clients, self._clients = self._clients, set()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def refuse(self, refusing: bool = True) -> None:
        """Stop listening and cut every connection, or listen again."""
        if not refusing:
            self._listen()
            return
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            # A blocked accept() would keep the port open until the next client came.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def answer_with(self, status: int) -> None:
        """Answer new requests with an HTTP or RTSP status, such as 401; 200 serves them."""
        self._status = status

    def resume(self) -> None:
        """End every fault."""
        self._status = 200
        self._stalled.clear()
        self._listen()

    def close(self) -> None:
        """Cut every connection, stop listening, and wait for the threads."""
        self._closed.set()
        self.refuse()
        for thread in self._threads:
            thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        with self._lock:
            if self._listener is not None or self._closed.is_set():
                return
            listener = self._listener = socket.create_server(("127.0.0.1", self._port))
            self._port = listener.getsockname()[1]
        self._run(self._accept, listener)

    def _run(self, function: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=function, args=(sock,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            self.connections += 1
            self._run(self._serve_client, client)

    def _serve_client(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(client)
        with self._lock:
            self._clients.discard(client)

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def _wait_out_stall(self, client: socket.socket) -> None:
        while self._stalled.is_set():
            if self._closed.is_set() or client not in self._clients:
                raise ConnectionAbortedError
            time.sleep(0.02)
