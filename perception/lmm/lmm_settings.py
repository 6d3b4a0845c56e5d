"""Settings of the video LMM: the address of its server, and how requests are sent."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, field_validator

from ...common.setting_values import none_if_empty
from ..sources.urls import redact

MAX_MOMENTS = 12
"""The most moments that one request may show."""


class LmmSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """The video LMM: the address of its server, and how requests are sent."""

    url: str | None = None
    """Root of an OpenAI-compatible API, for example http://127.0.0.1:8000/v1. None: no LMM is used."""
    model: str | None = None
    """The served model's id. None: the only model that is served."""
    api_key: SecretStr | None = None
    """The key that the server requires. Never shown."""
    timeout_s: PositiveFloat = 60.0
    """For one request, from sending it to the end of its reply, in seconds."""
    max_retries: NonNegativeInt = 2
    """How often a request is sent again, if that can help."""
    concurrency: PositiveInt = 8
    """The most requests under way at a time. Of several, captions leave one to questions."""
    server_priorities: bool = False
    """Send priorities, so that the server serves questions first. Only for vLLM with
    ``--scheduling-policy priority``. Other servers refuse such requests."""
    video: Literal["clip", "pictures"] = "clip"
    """How a clip is sent: as one video with its true times, which vLLM accepts with
    ``--trust-request-mm-kwargs``, or as pictures with their times as text, which every server accepts."""
    moments: int = Field(default=MAX_MOMENTS, ge=1, le=MAX_MOMENTS)
    """How many moments one request may show when the model judges evidence. Small models confuse many moments.
    With fewer, a question may take more rounds."""
    environment_proxy: bool = False
    """Send requests through the proxy that ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY`` names, if one does.
    Otherwise they go straight to ``url``: a proxy can read the prompts and pictures of an unencrypted request."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 gives the same reply to the same request."""
    max_tokens: PositiveInt = 1024
    """The longest reply, unless the caller sets another limit."""

    @field_validator("url", "model", "api_key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return none_if_empty(value)

    @field_validator("url")
    @classmethod
    def _checked_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        # The message does not repeat the value, which may hold a password.
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid:
            raise ValueError("it is not an address such as http://127.0.0.1:8000/v1")
        # Addresses are shown, logged by the HTTP client, and sent with a path appended.
        if "@" in parts.netloc or redact(url) != url:
            raise ValueError(
                "an address must not hold a user and password, a query, a fragment or key=value pairs. "
                "Put the key into lmm.api_key"
            )
        return url

    @field_validator("api_key")
    @classmethod
    def _checked_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not (
            key.get_secret_value().isascii() and key.get_secret_value().isprintable()
        ):
            raise ValueError("a key consists of printable ASCII characters")
        return key
