"""Settings of the video LMM: where it is served, and how requests are sent."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, field_validator

from ...common.setting_values import none_if_empty

MOST_MOMENTS = 12
"""Moments that a model may be shown at a time."""


class LmmSettings(BaseModel, frozen=True, extra="forbid"):
    """The video LMM: where it is served, and how it is asked."""

    url: str | None = None
    """Root of an OpenAI-compatible API, for example http://127.0.0.1:8000/v1. Without one there is no LMM."""
    model: str | None = None
    """The served model's id; None takes the one that is served, if it is the only one."""
    api_key: SecretStr | None = None
    """The key the server asks for. Never shown."""
    timeout_s: PositiveFloat = 60.0
    """For one request, from sending it to the end of its reply."""
    max_retries: NonNegativeInt = 2
    """How often a request is sent again, where that can help."""
    concurrency: PositiveInt = 8
    """Requests under way at a time. Captions leave one of them to questions, if there are several."""
    server_priorities: bool = False
    """Tell the server that questions go first. Only for vLLM with ``--scheduling-policy priority``;
    a server that schedules otherwise refuses it."""
    video: Literal["clip", "pictures"] = "clip"
    """How a clip is sent: as one video with its true times, which vLLM takes if started with
    ``--trust-request-mm-kwargs``, or as pictures with the time said before each, which every server takes."""
    moments: int = Field(default=MOST_MOMENTS, ge=1, le=MOST_MOMENTS)
    """How many moments it is shown at a time when it judges. A small model loses its way among many; the fewer,
    the more rounds a question may take."""
    environment_proxy: bool = False
    """Send requests through the proxy that ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY`` names, if one does.
    Left off, they go straight to ``url``: a proxy can read the prompts and pictures of an unencrypted request."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 gives the same reply to the same request."""
    max_tokens: PositiveInt = 1024
    """Length of a reply, where the caller does not say."""

    @field_validator("url", "model", "api_key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return none_if_empty(value)

    @field_validator("url")
    @classmethod
    def _checked_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        # The value is not repeated in what is said: there may be a password in it.
        try:
            parts = urlsplit(url)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("it is not an address such as http://127.0.0.1:8000/v1")
        if "@" in parts.netloc:
            raise ValueError("an address may hold no user and password; put the key into lmm.api_key")
        return url

    @field_validator("api_key")
    @classmethod
    def _checked_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not (
            key.get_secret_value().isascii() and key.get_secret_value().isprintable()
        ):
            raise ValueError("a key consists of printable ASCII characters")
        return key
