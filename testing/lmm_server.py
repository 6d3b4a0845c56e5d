"""LMM server: a loopback server that stands in for vLLM with a part of OpenAI's API, and injects faults.

    with LmmServer('{"caption": "A kettle boils."}') as server:
        lmm = ServedLmm(LmmSettings(url=server.url))
        ...
        server.stall()                      # accepts requests and answers none
        server.refuse()                     # new connections are refused
        server.answer_with(429, retry_after="1", times=2)
        server.redirect_to("http://127.0.0.1:9/v1/models")   # redirects to another address
        server.reset(times=1)               # the connection breaks in the middle of an answer
        server.trickle()                    # answers come a byte at a time
        server.truncate()                   # only half of an answer is sent
        server.resume()                     # every fault ends
        server.reply_dialect = "after thinking"     # how it wraps replies
        server.refuses = ("clips", "schemas")       # what it does not take

It runs no model. The replies are given to it. A token is four characters here.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .faulty_server import FaultyServer
from .lmm_dialects import REFUSALS, REPLY_DIALECTS, UNREADABLE_DIALECTS, as_events

_CHARACTERS = 4
"""Characters in a token."""
_TRICKLE_S = 0.05
"""Time between two bytes."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request of a client."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]


@dataclass(slots=True)
class _Fault:
    kind: str | int
    """The name of the fault, or an HTTP status."""
    answers_left: float
    """The number of answers that it still affects."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of these answers."""
    message: str = ""
    """The message of the error, if the fault is an HTTP status."""


class LmmServer(FaultyServer):
    """Serves one model.

    Args:
        says: The text of every reply, or a function from a request to the text. A number refuses the
            request with that status.
        model: The served model's id.
        key: The API key that requests must carry; None accepts every request.

    """

    def __init__(
        self,
        says: str | Callable[[RecordedRequest], str | int] = "{}",
        *,
        model: str = "loopback",
        key: str | None = None,
    ) -> None:
        self.says = says
        self.model = model
        self.requests: list[RecordedRequest] = []
        """The requests for a completion, in order, answered or not."""
        self.reply_dialect = "plain"
        """How replies are wrapped: a name in ``REPLY_DIALECTS`` or ``UNREADABLE_DIALECTS``."""
        self.refuses: tuple[str, ...] = ()
        """What is refused: names in ``REFUSALS``."""
        self.listed: list[Any] | None = None
        """The list of models. None lists the served one. An empty list has the server answer 404."""
        self.usage: Any = None
        """What is reported as the cost of every request. None reports the true cost."""
        self.padding_bytes = 0
        """White space after each answer."""
        self._key = key
        self._fault = _Fault("none", 0)
        super().__init__()

    @property
    def url(self) -> str:
        """The root of its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer_with(
        self,
        status: int,
        *,
        retry_after: str | None = None,
        times: float = float("inf"),
        message: str | None = None,
    ) -> None:
        """Answer the next ``times`` requests with an HTTP status, such as 503.

        Args:
            status: Not 200.
            retry_after: The value of the header of that name: seconds, or a date.
            times: The number of requests.
            message: The message of the error. None for one that names the status.

        """
        headers = () if retry_after is None else (("Retry-After", retry_after),)
        message = f"this server was told to answer {status}" if message is None else message
        self._fault = _Fault(status, times, headers, message)

    def redirect_to(self, location: str, *, status: int = 307, times: float = float("inf")) -> None:
        """Answer the next ``times`` requests with a redirect.

        Args:
            location: The value of the header of that name: the address of the redirect.
            status: Such as 307.
            times: The number of requests.

        """
        self._fault = _Fault(status, times, (("Location", location),))

    def reset(self, *, times: float = float("inf")) -> None:
        """Break the connection in the middle of the next ``times`` answers."""
        self._fault = _Fault("reset", times)

    def trickle(self, *, times: float = float("inf")) -> None:
        """Send the next ``times`` answers a byte at a time."""
        self._fault = _Fault("trickle", times)

    def truncate(self, *, times: float = float("inf")) -> None:
        """Send only the first half of the next ``times`` answers."""
        self._fault = _Fault("truncate", times)

    def resume(self) -> None:
        """End every fault."""
        self._fault = _Fault("none", 0)
        super().resume()

    def _serve(self, client: socket.socket) -> None:
        request = self._read(client)
        if request.path == "/v1/chat/completions":
            self.requests.append(request)
        self._wait_out_stall(client)
        fault, headers, message = self._next_fault()
        if isinstance(fault, int):
            status: int = fault
            answer: dict[str, Any] | bytes = _error(message)
        else:
            status, answer = self._answer(request)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        content += b" " * self.padding_bytes
        if fault == "truncate":
            content = content[: len(content) // 2]
        kind = "text/event-stream" if isinstance(answer, bytes) else "application/json"
        head = f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._send(client, f"{head}Connection: close\r\n\r\n".encode() + content, str(fault))

    def _read(self, client: socket.socket) -> RecordedRequest:
        with client.makefile("rb") as stream:
            request_line = stream.readline().decode("latin-1").split()
            headers: dict[str, str] = {}
            while (line := stream.readline().decode("latin-1")).strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", 0))
            content = stream.read(length)
            if len(request_line) < 2 or not line or len(content) < length:
                # The client disconnected within the request.
                raise ConnectionAbortedError
        return RecordedRequest(request_line[1], headers, json.loads(content or b"{}"))

    def _next_fault(self) -> tuple[str | int, tuple[tuple[str, str], ...], str]:
        with self._lock:
            fault = self._fault
            if fault.answers_left <= 0:
                return "none", (), ""
            fault.answers_left -= 1
            return fault.kind, fault.headers, fault.message

    def _answer(self, request: RecordedRequest) -> tuple[int, dict[str, Any] | bytes]:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key is not None and bearer != self._key:
            return 401, _error(f"Incorrect API key provided: {bearer}.")
        if request.path == "/v1/models" and self.listed is not None:
            return (
                (200, {"object": "list", "data": self.listed})
                if self.listed
                else (404, {"detail": "Not Found"})
            )
        if request.path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": self.model, "max_model_len": 4096}]}
        if request.path != "/v1/chat/completions":
            return 404, {"detail": "Not Found"}
        if request.body["model"] != self.model:
            return 404, _error(f"The model `{request.body['model']}` does not exist.")
        for name in self.refuses:
            if (refusal := REFUSALS[name](request.body)) is not None:
                return refusal[0], _error(refusal[1])
        text = self.says if isinstance(self.says, str) else self.says(request)
        if isinstance(text, int):
            return text, _error(f"this server does not take that: {text}")
        completion = self._completion(request.body, text)
        return 200, as_events(completion) if self.reply_dialect == "as events" else completion

    def _completion(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        room = (body.get("max_tokens") or body["max_completion_tokens"]) * _CHARACTERS
        prompt, reply = len(json.dumps(body)), len(text[:room])
        message, finish_reason = {**REPLY_DIALECTS, **UNREADABLE_DIALECTS}[self.reply_dialect](text[:room])
        usage = {
            "prompt_tokens": prompt // _CHARACTERS,
            "completion_tokens": -(-reply // _CHARACTERS),
            "prompt_tokens_details": {"cached_tokens": prompt // _CHARACTERS // 2},
        }
        return {
            "object": "chat.completion",
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": "length" if len(text) > room else finish_reason,
                }
            ],
            "usage": usage if self.usage is None else self.usage,
        }

    def _send(self, client: socket.socket, answer: bytes, fault: str) -> None:
        if fault == "reset":
            client.sendall(answer[: len(answer) // 2])
            # With SO_LINGER and a timeout of 0, closing a socket sends RST.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif fault == "trickle":
            for index in range(len(answer)):
                if self._closed.is_set():
                    return
                client.sendall(answer[index : index + 1])
                time.sleep(_TRICKLE_S)
        else:
            client.sendall(answer)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "code": None}}
