"""Settings: all sections in one model, and where they are read from.

    settings = read_settings()                               # environment, then recollect.toml
    settings = read_settings(lmm={"url": "http://127.0.0.1:8000/v1"})   # arguments take precedence

In the environment a setting is called ``RECOLLECT_LMM__URL``; in TOML it is in its section:

    [lmm]
    url = "http://127.0.0.1:8000/v1"

The file is ``recollect.toml`` in the current folder, or the path in ``RECOLLECT_CONFIG``. Nothing is read before
``read_settings`` is called. Each section is declared beside the part that it configures.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .agent.agent_settings import AgentSettings
from .common.errors import BadSettings
from .memory.keeping.memory_settings import MemorySettings
from .perception.lmm.lmm_settings import LmmSettings
from .perception.vision_settings import VisionSettings
from .serve_lmm.serve_settings import ServeSettings

CONFIG_FILE = "recollect.toml"
"""The file name, in the current folder."""
CONFIG_VARIABLE = "RECOLLECT_CONFIG"
"""The variable with the path of another file, which must exist."""
_PREFIX = "RECOLLECT_"


class Settings(BaseSettings):
    """All settings. ``read_settings`` makes it and reports what is wrong in one sentence."""

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
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def config_file() -> Path:
    """The path of the settings file, which may not exist."""
    return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)


def read_settings(**sections: Mapping[str, object]) -> Settings:
    """Read the settings.

    Args:
        sections: Values set by code or flags, by section, such as ``lmm={"model": "tiny"}``.

    Raises:
        BadSettings: A name or a value is wrong, or the file cannot be read.
    """
    file = config_file()
    if os.environ.get(CONFIG_VARIABLE) and not file.is_file():
        raise BadSettings(f"{CONFIG_VARIABLE}={file}", "there is no such file")
    _refuse_misspelt_variables()
    try:
        return Settings(**sections)  # type: ignore[arg-type]  # sections become models when validated
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise BadSettings(_origin(wrong["loc"], sections, file), _why(wrong)) from None
    except SettingsError as error:
        raise BadSettings("the environment", str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(str(file), f"it is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(str(file), f"it cannot be read: {error}") from None


def _refuse_misspelt_variables() -> None:
    """Refuse variables with one underscore too few, which pydantic would ignore silently."""
    for section in Settings.model_fields:
        begin = f"{_PREFIX}{section}_".upper()
        for variable in os.environ:
            name = variable.upper().removeprefix(begin)
            if name != variable.upper() and not name.startswith("_"):
                raise BadSettings(variable, f"there is no such setting; did you mean {begin}_{name}")


def _why(wrong: ErrorDetails) -> str:
    """The reason, without the value, which may be a secret."""
    if wrong["type"] != "extra_forbidden":
        return wrong["msg"].removeprefix("Value error, ")
    *section, name = (str(part) for part in wrong["loc"])
    model = type(Settings.model_fields[section[0]].default) if section else Settings
    names = list(model.model_fields)
    similar = get_close_matches(name, names, n=1)
    return "there is no such setting; " + (
        f"did you mean {similar[0]}" if similar else f"there are {', '.join(names)}"
    )


def _origin(loc: tuple[int | str, ...], sections: Mapping[str, Mapping[str, object]], file: Path) -> str:
    """Where the setting at ``loc`` came from, as its user would call it."""
    path = [str(part) for part in loc]
    name, variable = ".".join(path), (_PREFIX + "__".join(path)).upper()
    if path[0] in sections and (len(path) == 1 or path[1] in sections[path[0]]):
        return name
    if variable in {variable_name.upper() for variable_name in os.environ}:
        return variable
    return f"{name} in {file}"
