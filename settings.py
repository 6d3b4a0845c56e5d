"""What can be set, in one model, and where it is read from.

    settings = read_settings()                               # environment, then recollect.toml
    settings = read_settings(lmm={"url": "http://127.0.0.1:8000/v1"})   # what code gives wins

In the environment a setting is called ``RECOLLECT_LMM__URL``; in TOML it stands in its section:

    [lmm]
    url = "http://127.0.0.1:8000/v1"

The file is ``recollect.toml`` in the current folder, or the one ``RECOLLECT_CONFIG`` names. Nothing is
read before it is asked for. This module knows names and values, and not what is done with them.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ByteSize,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .errors import BadBudget, BadSettings

CONFIG_FILE = "recollect.toml"
"""Looked for in the current folder."""
CONFIG_VARIABLE = "RECOLLECT_CONFIG"
"""Names another file; it must exist."""
_PREFIX = "RECOLLECT_"
_SIZE = re.compile(r"\d*\.?\d+\s*[a-z]*", re.ASCII | re.IGNORECASE)
MOST_MOMENTS = 12
"""Moments that a model may be shown at a time."""


def _none_if_empty(value: object) -> object:
    """So that RECOLLECT_LMM__URL= takes back what the file says."""
    return (value.strip() or None) if isinstance(value, str) else value


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
    Left off, they go straight to ``url``: a proxy may read the prompts and pictures of an unencrypted request."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 gives the same reply to the same request."""
    max_tokens: PositiveInt = 1024
    """Length of a reply, where the caller does not say."""

    @field_validator("url", "model", "api_key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return _none_if_empty(value)

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


class ServeSettings(BaseModel, frozen=True, extra="forbid"):
    """The server that ``recollect serve-lmm`` starts. It asks for ``lmm.api_key``, where that is set."""

    model: str | None = None
    """What is served: a folder, a name that vLLM downloads, such as Qwen/Qwen3-VL-8B-Instruct, or recollect-tiny,
    which comes with Recollect."""
    name: str | None = None
    """The id it is served under; None takes the last part of ``model``."""
    host: str = "127.0.0.1"
    """Where it listens; 0.0.0.0 lets other machines in, so set ``lmm.api_key`` too."""
    port: int = Field(default=8000, ge=1, le=65535)
    python: Path | None = None
    """The Python that has vLLM; None is the one Recollect runs on."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """What it runs on; ``auto`` takes the CPU where there is no GPU, or vLLM was built for the CPU."""
    context_tokens: PositiveInt = 32768
    """How long a prompt and its reply may be together; a folder's model that can less gets what it can."""
    pictures: PositiveInt = 64
    """How many pictures a prompt may hold. The frames of a clip are limited by ``context_tokens`` alone."""
    flags: tuple[str, ...] = ()
    """Further flags for vLLM, as on its command line, such as ("--kv-cache-dtype", "fp8")."""

    @field_validator("model", "name", "python", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return _none_if_empty(value)


class VisionSettings(BaseModel, frozen=True, extra="forbid"):
    """The image–text model, by which pictures are found without having been described."""

    model: str | None = None
    """The folder of a SigLIP or SigLIP 2 checkpoint, or its name on the Hugging Face hub, such as
    google/siglip2-base-patch16-224; ``palette`` for colours alone, which needs no model. None: search
    goes by words."""
    device: str = "auto"
    """Where it runs, as torch calls it: cpu, cuda, cuda:1. ``auto`` takes a GPU if there is one."""

    @field_validator("model", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value


class MemorySettings(BaseModel, frozen=True, extra="forbid"):
    """What a memory may take on the disk."""

    budget: str | None = None
    """For the whole memory, such as "20 GB", or "unbounded". Kept in the memory, until another is given; a new
    memory has 20 GB where nothing is said."""
    min_free: str = "64 MiB"
    """Left free on the disk, whatever the budget says."""

    @field_validator("budget", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return _none_if_empty(value)

    @field_validator("budget", "min_free")
    @classmethod
    def _checked_size(cls, size: str | None) -> str | None:
        if size is not None:
            try:
                parse_bytes(size)
            except BadBudget as error:
                raise ValueError(f"it is no size: {error.why}") from None
        return size

    @field_validator("min_free")
    @classmethod
    def _leaves_something(cls, size: str) -> str:
        if parse_bytes(size) >= sys.maxsize:
            raise ValueError("nothing could ever be written; only a budget may be without a bound")
        return size


class AgentSettings(BaseModel, frozen=True, extra="forbid"):
    """How questions are answered."""

    tracing: bool = False
    """Allow LangSmith's tracing of each step of a question, where LangSmith's own variables turn it on, such as
    ``LANGSMITH_TRACING=true``. It sends the question and what was seen and read in the video to that service."""


class Settings(BaseSettings):
    """Everything that can be set. ``read_settings`` makes it, and says in a sentence what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    lmm: LmmSettings = LmmSettings()
    serve: ServeSettings = ServeSettings()
    vision: VisionSettings = VisionSettings()
    memory: MemorySettings = MemorySettings()
    agent: AgentSettings = AgentSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What code gives, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def config_file() -> Path:
    """The settings file, whether it exists or not."""
    return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)


def read_settings(**given: Mapping[str, object]) -> Settings:
    """Read the settings.

    Args:
        given: Sections with what is set by code or flags, such as ``lmm={"model": "tiny"}``.

    Raises:
        BadSettings: a name or a value is wrong, or the file cannot be read.

    """
    file = config_file()
    if os.environ.get(CONFIG_VARIABLE) and not file.is_file():
        raise BadSettings(f"{CONFIG_VARIABLE}={file}", "there is no such file")
    _refuse_misspelt_variables()
    try:
        return Settings(**given)  # type: ignore[arg-type]  # sections become models when validated
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise BadSettings(_origin(wrong["loc"], given, file), _why(wrong)) from None
    except SettingsError as error:
        raise BadSettings("the environment", str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(str(file), f"it is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(str(file), f"it cannot be read: {error}") from None


def parse_bytes(size: str | int) -> int:
    """A number of bytes from ``20 GB``, ``1.5 GiB``, ``800MB`` or a number; ``unbounded`` is no bound at all.

    Raises:
        BadBudget: It is none of these.
    """
    if isinstance(size, str) and size.strip().lower() == "unbounded":
        return sys.maxsize
    # Pydantic alone takes "1,5 GB" for 1, and passes over the rest.
    whole = not isinstance(size, str) or _SIZE.fullmatch(size.strip())
    try:
        found = TypeAdapter(ByteSize).validate_python(size if whole else "")
    except ValidationError:
        raise BadBudget(repr(size), "it is not a number of bytes") from None
    if found < 0:
        raise BadBudget(repr(size), "it is less than nothing")
    return int(found)


def _refuse_misspelt_variables() -> None:
    """One underscore too few, and a variable would be passed over in silence."""
    for section in Settings.model_fields:
        begin = f"{_PREFIX}{section}_".upper()
        for variable in os.environ:
            name = variable.upper().removeprefix(begin)
            if name != variable.upper() and not name.startswith("_"):
                raise BadSettings(variable, f"there is no such setting; did you mean {begin}_{name}")


def _why(wrong: ErrorDetails) -> str:
    """What is wrong, without the value: there may be a secret in it."""
    if wrong["type"] != "extra_forbidden":
        return wrong["msg"].removeprefix("Value error, ")
    *section, name = (str(part) for part in wrong["loc"])
    model = type(Settings.model_fields[section[0]].default) if section else Settings
    names = list(model.model_fields)
    near = get_close_matches(name, names, n=1)
    return "there is no such setting; " + (
        f"did you mean {near[0]}" if near else f"there are {', '.join(names)}"
    )


def _origin(loc: tuple[int | str, ...], given: Mapping[str, Mapping[str, object]], file: Path) -> str:
    """Where the setting at ``loc`` was read from, as its user would call it."""
    path = [str(part) for part in loc]
    name, variable = ".".join(path), (_PREFIX + "__".join(path)).upper()
    if path[0] in given and (len(path) == 1 or path[1] in given[path[0]]):
        return name
    if variable in {found.upper() for found in os.environ}:
        return variable
    return f"{name} in {file}"
