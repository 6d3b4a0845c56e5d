"""HTTP requests to one OpenAI-compatible server, with failures translated into our own errors.

    connection = Connection("http://127.0.0.1:8000/v1", api_key=None)
    await connection.models()            # (ServedModel(id="tiny", max_model_len=4096),)
    await connection.complete(body)      # the answer's bytes

It belongs to one event loop. It has no timeout for a reply and sends nothing twice: deadlines, retries and
the order of requests belong to the client. A redirect is an error, so that nothing is sent to another
server. The ``openai`` package is loaded with the first request.
"""

from __future__ import annotations

import email.utils
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from pydantic_core import from_json

from ...common.errors import BadSettings
from ...common.terminal import safe_text
from ..errors import LmmError, LmmOverloaded, LmmRedirected, LmmRefused, LmmUnreachable
from ..sources.urls import redact, redact_text

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from pydantic import SecretStr

_CONNECT_S = 5.0
"""A server that accepts no connection in this time counts as unreachable."""
_TEMPORARY = {408, 429, 500, 502, 503, 504}
"""Statuses after which a retry may succeed."""
_NO_LIST = {404, 405, 501}
"""Statuses by which a server says that it has no list of models."""
_MAX_CONTEXT_TOKENS = 10**9
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REASON_CHARACTERS = 300
"""The longest reason of a server that is shown."""
_MAX_ANSWER_BYTES = 4_000_000
"""No answer is longer: a reply has a few thousand characters, and a list of models a few hundred entries."""
_METHODS = ("/chat/completions", "/models")
"""The paths that the client appends to the API's root."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server lists."""

    id: str
    max_model_len: int | None = None
    """Tokens of prompt and reply together. vLLM reports it, other servers do not."""


class Connection:
    """Requests to the API below ``url``, and to no other server.

    Args:
        url: The API's root.
        api_key: The key that the server requires, if any.
        environment_proxy: Use the proxy that the environment names, if any.

    """

    def __init__(self, url: str, api_key: SecretStr | None, *, environment_proxy: bool = False) -> None:
        self._url, self._key = url, api_key.get_secret_value() if api_key else ""
        self._environment_proxy = environment_proxy
        self._client: AsyncOpenAI | None = None
        self.address = redact(url)
        """The address without secrets, for messages."""

    async def complete(self, body: Mapping[str, Any]) -> bytes:
        """Send a request for a chat completion, and return the body of the response.

        Raises:
            LmmUnreachable: No server answers, or the connection broke.
            LmmOverloaded: The server cannot serve the request now.
            LmmRedirected: The server redirects to another address.
            LmmRefused: The server answered with another error.

        """
        with self._translated_errors():
            answer = await self._openai().chat.completions.with_raw_response.create(**body)
        content: bytes = answer.http_response.content
        return content

    async def models(self) -> tuple[ServedModel, ...]:
        """The models that are served. Empty if the server has no list of them.

        Raises:
            LmmUnreachable, LmmOverloaded, LmmRedirected, LmmRefused: As for ``complete``.

        """
        try:
            with self._translated_errors():
                answer = await self._openai().models.with_raw_response.list()
        except LmmRefused as error:
            if error.status in _NO_LIST:
                return ()
            raise
        models = _models_of(answer.http_response.content)
        if models is None:
            raise LmmUnreachable(self.address, "what answers there does not speak OpenAI's API")
        return models

    def failure(self, status: int, body: object) -> LmmError:
        """The error for an answer that reports a failure."""
        return self._failure(status, self._reason(body), None)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def _openai(self) -> AsyncOpenAI:
        if self._client is None:
            import openai  # noqa: PLC0415 - takes most of a second to load

            self._client = openai.AsyncOpenAI(
                base_url=self._url,
                # Without a value, it would come from OPENAI_API_KEY, which must not be sent to this server.
                api_key=self._key or "none",
                timeout=openai.Timeout(None, connect=_CONNECT_S),
                max_retries=0,
                # A compressed answer may be a thousand times as long as what is received.
                default_headers={"Accept-Encoding": "identity"},
                http_client=openai.DefaultAsyncHttpxClient(
                    follow_redirects=False,
                    trust_env=self._environment_proxy,
                    verify=_certificates(),
                    event_hooks={"response": [_bound_answer]},
                ),
            )
            # They come from OPENAI_ORG_ID and OPENAI_PROJECT_ID, which must not be sent either.
            self._client.organization = self._client.project = None
        return self._client

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        import openai  # noqa: PLC0415

        # `from None`: a traceback would show the original error, which may repeat the key.
        try:
            yield
        except _AnswerTooLong as error:  # some versions of openai wrap it in a connection error
            raise LmmUnreachable(self.address, str(error)) from None
        except openai.APITimeoutError:
            raise LmmUnreachable(self.address, f"no connection within {_CONNECT_S:g} s") from None
        except openai.APIConnectionError as error:
            raise LmmUnreachable(self.address, self._shown(_first_cause(error))) from None
        except openai.APIStatusError as error:
            status, reason = error.status_code, self._reason(error.body or error.response.text)
            if status in _REDIRECTS:
                raise LmmRedirected(self.address, status, _new_root(error)) from None
            raise self._failure(status, reason, _retry_after_s(error)) from None

    def _failure(self, status: int, reason: str, retry_after_s: float | None) -> LmmError:
        if status in _TEMPORARY:
            return LmmOverloaded(self.address, status, reason, retry_after_s)
        return LmmRefused(self.address, status, reason)

    def _reason(self, body: object) -> str:
        """The reason that the server gives in an answer. FastAPI's servers list what they refuse in ``detail``."""
        if isinstance(body, Mapping):
            body = body.get("message") or body.get("detail") or body.get("error") or body
        return self._shown(body if isinstance(body, str) else json.dumps(body)) if body else "no reason given"

    def _shown(self, text: str) -> str:
        """Text of the server in one line of bounded length, without control characters and the key it may repeat."""
        # First the key: the blanks in it must not be joined before.
        line = safe_text(" ".join(redact_text(text, [self._url], [self._key]).split()))
        return line if len(line) <= _MAX_REASON_CHARACTERS else line[: _MAX_REASON_CHARACTERS - 1] + "…"


class _AnswerTooLong(Exception):
    """The server sent more than an answer can hold."""


async def _bound_answer(response: Any) -> None:
    """Have the rest of an answer fail that is longer than ``_MAX_ANSWER_BYTES``, before it is read."""
    read = response.aiter_bytes

    async def read_bounded(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in read(chunk_size):
            size_bytes += len(chunk)
            if size_bytes > _MAX_ANSWER_BYTES:
                raise _AnswerTooLong(f"its answer is longer than {_MAX_ANSWER_BYTES // 1_000_000} MB")
            yield chunk

    response.aiter_bytes = read_bounded


def _certificates() -> ssl.SSLContext | bool:
    """The certificates that the environment names. True for the client's defaults.

    A client that ignores the environment's proxies ignores these variables too, so they are read here.

    Raises:
        BadSettings: ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names no certificates.

    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if file:
            return ssl.create_default_context(cafile=file)
        return ssl.create_default_context(capath=folder) if folder else True
    except OSError as error:
        name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
        raise BadSettings(f"{name}={file or folder}", f"the certificates cannot be read: {error}") from None


def _new_root(error: APIStatusError) -> str | None:
    """The root of the API that a redirect names, without secrets. None if it names no usable address."""
    location = error.response.headers.get("location", "")
    try:
        parts = urlsplit(urljoin(str(error.request.url), location))
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    # The address is shown in a terminal, and the server that sent it is not trusted.
    if not location or not is_usable or not (location.isascii() and location.isprintable()):
        return None
    path = parts.path.rstrip("/")
    for method in _METHODS:
        path = path.removesuffix(method)
    root = redact(urlunsplit((parts.scheme, parts.netloc, path, "", "")))
    return root if len(root) <= _MAX_REASON_CHARACTERS else None


def _first_cause(error: BaseException) -> str:
    """The first cause of a failed connection, such as "Connection refused"."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _models_of(answer: bytes) -> tuple[ServedModel, ...] | None:
    """The models in a list. None if the answer is no list of models."""
    try:
        body = from_json(answer.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return None
    entries = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(entries, list):
        return None
    return tuple(
        ServedModel(
            entry["id"], tokens if isinstance(tokens, int) and 0 < tokens < _MAX_CONTEXT_TOKENS else None
        )
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str) and entry["id"]
        for tokens in [entry.get("max_model_len")]
    )


def _retry_after_s(error: APIStatusError) -> float | None:
    """The pause that the server requests, as seconds or as a date. None if it requests none."""
    value = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None
