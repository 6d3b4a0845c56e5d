"""Launch plan: turns the settings into vLLM's command line, its environment and the URL of the server.

    launch = plan_launch(read_settings(serve={"model": "tiny"}), find_vllm())
    launch.command       # ('…/python', '-m', 'vllm…', 'tiny', '--served-model-name', 'tiny', …)
    print(launch.explanation())

It checks everything that can be checked without vLLM, and starts no process.
"""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import BadSettings
from .errors import CannotListen, ModelNotFound
from .flags import Flag, Variable, explained, flags_for, variables_for, without_repeated
from .tiny_weights import TINY, find_tiny_weights
from .vllm import Vllm

if TYPE_CHECKING:
    from ..settings import Settings

_GPU_DEVICES = ("nvidia[0-9]*", "kfd", "dxg")
"""Devices of NVIDIA and AMD, and of both under Windows. Other accelerators need ``serve.device``."""
_OURS = {
    "--host": "--host",
    "--port": "--port",
    "--model": "MODEL",
    "--served-model-name": "--name",
    "--api-key": "lmm.api_key",
}
"""Flags of vLLM that Recollect sets itself, and the option to use instead."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Hosts that stand for every address of the machine, and the address to reach such a server from the machine."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to start a server."""

    vllm: Vllm
    model: str
    name: str
    """The id of the served model."""
    host: str
    port: int
    flags: tuple[Flag, ...]
    further: tuple[str, ...]
    """Flags the user gave, as they are."""
    variables: tuple[Variable, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The command line."""
        words = (word for flag in self.flags for word in flag.words)
        return (*self.vllm.command, self.model, *words, *self.further)

    @property
    def root(self) -> str:
        """The server's address as seen from this machine."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def url(self) -> str:
        """The value of ``lmm.url`` for this server."""
        return f"{self.root}/v1"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The variables of the process: the inherited ones, and those of the launch that are not set."""
        ours = {variable.name: variable.value for variable in self.variables}
        secrets = {variable.name: variable.value for variable in self.variables if variable.secret}
        return {**ours, **inherited, **secrets}

    def check_address(self) -> None:
        """Check that the server can listen at its address.

        Raises:
            CannotListen: The port is taken, or the address is not of this machine.

        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise CannotListen(self.host, self.port, error.strerror or str(error)) from None

    def explanation(self) -> str:
        """The command as a shell takes it, and the reason of each flag."""
        reasons = list(explained(self.flags, self.variables))
        lines = [variable.word for variable in self.variables]
        lines.append(shlex.join((*self.vllm.command, self.model)))
        lines += [shlex.join(flag.words) for flag in self.flags]
        if self.further:
            lines.append(shlex.join(self.further))
            reasons.append((" ".join(self.further), "as you gave them"))
        explanations = (f"{typed}\n    {why}" for typed, why in reasons)
        return "\n".join([" \\\n  ".join(lines), "", *explanations])


def plan_launch(settings: Settings, vllm: Vllm, further: Sequence[str] = ()) -> Launch:
    """Make the launch plan for the model that ``serve.model`` names.

    Args:
        settings: ``lmm.api_key`` and all of ``serve`` are used.
        vllm: The vLLM to run.
        further: Flags for vLLM in addition to ``serve.flags``. They override all others.

    Raises:
        ModelNotFound: No model is named, or its folder does not hold one.
        TinyNotInstalled: The model is recollect-tiny, and its weights are not installed.
        BadSettings: A flag for vLLM is one that Recollect sets itself.

    """
    serve = settings.serve
    if serve.model is None:
        raise ModelNotFound(None, "none is named")
    model = str(find_tiny_weights()) if serve.model == TINY else serve.model
    config = _config(model)
    model = model if config is None else str(Path(model).expanduser())
    further = (*serve.flags, *further)
    _refuse_ours(further)
    on_cpu = _on_cpu(serve.device, vllm)
    name = serve.name or (TINY if serve.model == TINY else Path(model).resolve().name)
    flags = flags_for(
        serve,
        name=name,
        context_tokens=min(serve.context_tokens, _max_tokens(config) or serve.context_tokens),
        on_cpu=on_cpu,
    )
    variables = variables_for(
        from_folder=config is not None,
        on_cpu=on_cpu,
        api_key=settings.lmm.api_key.get_secret_value() if settings.lmm.api_key else None,
    )
    return Launch(
        vllm=vllm,
        model=model,
        name=name,
        host=serve.host,
        port=serve.port,
        flags=tuple(without_repeated(flags, further)),
        further=further,
        variables=tuple(variables),
    )


def _refuse_ours(further: Sequence[str]) -> None:
    """Refuse flags whose values Recollect must know."""
    for word in further:
        flag = word.partition("=")[0]
        if flag in _OURS:
            raise BadSettings(f"{flag} among the flags for vLLM", f"use {_OURS[flag]} instead")


def _on_cpu(device: str, vllm: Vllm) -> bool:
    if device != "auto":
        return device == "cpu"
    return vllm.for_cpu or not any(any(Path("/dev").glob(pattern)) for pattern in _GPU_DEVICES)


def _config(model: str) -> dict[str, Any] | None:
    """The configuration of a model in a folder; None for the name of a model to download."""
    folder = Path(model).expanduser()
    if not folder.exists():
        owner, _, name = model.partition("/")
        if owner in {"", ".", "..", "~"} or not name or "/" in name:
            raise ModelNotFound(model, "there is no such folder, and it is no name such as owner/model")
        return None
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelNotFound(model, f"{file} cannot be read ({why})") from None
    if not isinstance(config, dict):
        raise ModelNotFound(model, f"{file} holds no configuration")
    return config


def _max_tokens(config: dict[str, Any] | None) -> int | None:
    """The longest context of the model, if its configuration states it."""
    config = config or {}
    length = (config.get("text_config") or config).get("max_position_embeddings")
    return length if isinstance(length, int) else None
