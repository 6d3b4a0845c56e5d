"""Single requests to one OpenAI-compatible server, and what went wrong with them in our own errors.

    connection = Connection("http://127.0.0.1:8000/v1", api_key=None)
    await connection.models()            # (ServedModel(id="tiny", max_model_len=4096),)
    await connection.complete(body)      # the answer's bytes

It belongs to one event loop. It waits as long as the server likes and tries nothing twice: time,
repetition and order are its user's. A redirect is an error, so that nothing is sent to another server. The
``openai`` package is loaded with the first request.
"""

from __future__ import annotations

import email.utils
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from pydantic import BaseModel, ValidationError

from ...common.errors import BadSettings
from ..errors import LmmOverloaded, LmmRedirected, LmmRefused, LmmUnreachable
from ..sources.urls import redact, redact_text

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from pydantic import SecretStr

_CONNECT_S = 5.0
"""A server that takes no connection in this time is away."""
_FOR_NOW = {408, 429, 500, 502, 503, 504}
"""Statuses that may be another the next time."""
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_WORDS = 300
"""How many characters of what a server says are passed on."""
_METHODS = ("/chat/completions", "/models")
"""What the client appends to the API's root."""


class ServedModel(BaseModel):
    """A model a server lists."""

    id: str
    max_model_len: int | None = None
    """Tokens of prompt and reply together; vLLM tells, others do not."""


class _ModelList(BaseModel):
    data: tuple[ServedModel, ...]


class Connection:
    """Requests to the API below ``url``, and to no other server.

    Args:
        url: The API's root.
        api_key: What the server asks for, if it does.
        environment_proxy: Use the proxy that the environment names, if it names one.

    """

    def __init__(self, url: str, api_key: SecretStr | None, *, environment_proxy: bool = False) -> None:
        self._url, self._key = url, api_key.get_secret_value() if api_key else ""
        self._environment_proxy = environment_proxy
        self._client: AsyncOpenAI | None = None
        self.where = redact(url)
        """The address as it may be shown."""

    async def complete(self, body: Mapping[str, Any]) -> bytes:
        """Send a chat completion's request and return the answer.

        Raises:
            LmmUnreachable: nothing answers, or the connection broke.
            LmmOverloaded: the server cannot now.
            LmmRedirected: the server names another address.
            LmmRefused: the server answered with another error.

        """
        with self._translated():
            answer = await self._openai().chat.completions.with_raw_response.create(**body)
        content: bytes = answer.http_response.content
        return content

    async def models(self) -> tuple[ServedModel, ...]:
        """List what is served.

        Raises:
            LmmUnreachable, LmmOverloaded, LmmRedirected, LmmRefused: as for ``complete``.

        """
        with self._translated():
            answer = await self._openai().models.with_raw_response.list()
        try:
            return _ModelList.model_validate_json(answer.http_response.content).data
        except ValidationError:
            raise LmmUnreachable(self.where, "what answers there does not speak OpenAI's API") from None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    def _openai(self) -> AsyncOpenAI:
        if self._client is None:
            import openai  # noqa: PLC0415 - takes most of a second to load

            self._client = openai.AsyncOpenAI(
                base_url=self._url,
                # Left out, it would be taken from OPENAI_API_KEY, which is no business of this server.
                api_key=self._key or "none",
                timeout=openai.Timeout(None, connect=_CONNECT_S),
                max_retries=0,
                http_client=openai.DefaultAsyncHttpxClient(
                    follow_redirects=False,
                    trust_env=self._environment_proxy,
                    verify=_certificates(),
                ),
            )
            # From OPENAI_ORG_ID and OPENAI_PROJECT_ID, which are no business of this server either.
            self._client.organization = self._client.project = None
        return self._client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import openai  # noqa: PLC0415

        # `from None`: the original error may repeat the key, which a traceback would then show.
        try:
            yield
        except openai.APITimeoutError:
            raise LmmUnreachable(self.where, f"no connection within {_CONNECT_S:g} s") from None
        except openai.APIConnectionError as error:
            raise LmmUnreachable(self.where, redact_text(_root_of(error), [self._url])) from None
        except openai.APIStatusError as error:
            status, words = error.status_code, self._words(error)
            if status in _REDIRECTS:
                raise LmmRedirected(self.where, status, _new_root(error)) from None
            if status in _FOR_NOW:
                raise LmmOverloaded(self.where, status, words, _retry_after_s(error)) from None
            raise LmmRefused(self.where, status, words) from None

    def _words(self, error: APIStatusError) -> str:
        """What the server said, in one line of bounded length, without the key it may repeat."""
        body = error.body
        if isinstance(body, Mapping):
            body = body.get("message") or body.get("detail")
        words = " ".join(str(body or error.response.text).split())
        if self._key:
            words = words.replace(self._key, "***")
        words = redact_text(words, [self._url])
        return words[: _MOST_WORDS - 1] + "…" if len(words) > _MOST_WORDS else words or "no reason given"


def _certificates() -> ssl.SSLContext | bool:
    """The certificates that the environment names; True for the client's default ones.

    A client that is to ignore the environment's proxies ignores these variables too.

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
    """The root of the API that a redirect names, as it may be shown; None where it names no usable address."""
    location = error.response.headers.get("location", "")
    try:
        parts = urlsplit(urljoin(str(error.request.url), location))
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    # The address is shown in a terminal, and comes from a server that may be anyone's.
    if not location or not usable or not (location.isascii() and location.isprintable()):
        return None
    path = parts.path.rstrip("/")
    for method in _METHODS:
        path = path.removesuffix(method)
    root = redact(urlunsplit((parts.scheme, parts.netloc, path, "", "")))
    return root if len(root) <= _MOST_WORDS else None


def _root_of(error: BaseException) -> str:
    """The first cause of a failed connection, such as "Connection refused"."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _retry_after_s(error: APIStatusError) -> float | None:
    """How long the server asks to be left alone: it says seconds, or a date."""
    said = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None
