"""Settings become a command: what is run, in which environment, and where it will answer.

    launch = plan_launch(read_settings(serve={"model": "tiny"}), find_vllm())
    launch.command       # ('…/python', '-m', 'vllm…', 'tiny', '--served-model-name', 'tiny', …)
    print(launch.explanation())

It checks what can be checked without vLLM, and starts nothing.
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
"""NVIDIA, AMD, and either of them under Windows; other accelerators are to be named by ``serve.device``."""
_OURS = {
    "--host": "--host",
    "--port": "--port",
    "--model": "MODEL",
    "--served-model-name": "--name",
    "--api-key": "lmm.api_key",
}
"""Flags of vLLM, and what to use instead."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Hosts that mean every address of the machine, and how such a server is reached from here."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is needed to start a server."""

    vllm: Vllm
    model: str
    name: str
    """The id the model is served under."""
    host: str
    port: int
    flags: tuple[Flag, ...]
    further: tuple[str, ...]
    """Flags the user gave, as they are."""
    variables: tuple[Variable, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """What is run."""
        words = (word for flag in self.flags for word in flag.words)
        return (*self.vllm.command, self.model, *words, *self.further)

    @property
    def root(self) -> str:
        """The server's address as seen from this machine."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def url(self) -> str:
        """What ``lmm.url`` must be to use it."""
        return f"{self.root}/v1"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variables it runs with: those ``given``, and ours where they set none."""
        ours = {variable.name: variable.value for variable in self.variables}
        secrets = {variable.name: variable.value for variable in self.variables if variable.secret}
        return {**ours, **given, **secrets}

    def check_address(self) -> None:
        """See that it could listen where it is to.

        Raises:
            CannotListen: the port is taken, or the address is not of this machine.

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
        """The command as a shell takes it, and a line for each flag."""
        reasons = list(explained(self.flags, self.variables))
        lines = [variable.word for variable in self.variables]
        lines.append(shlex.join((*self.vllm.command, self.model)))
        lines += [shlex.join(flag.words) for flag in self.flags]
        if self.further:
            lines.append(shlex.join(self.further))
            reasons.append((" ".join(self.further), "as you gave them"))
        told = (f"{typed}\n    {why}" for typed, why in reasons)
        return "\n".join([" \\\n  ".join(lines), "", *told])


def plan_launch(settings: Settings, vllm: Vllm, further: Sequence[str] = ()) -> Launch:
    """Make the command for the model that ``serve.model`` names.

    Args:
        settings: Of ``lmm`` it takes the key, of ``serve`` everything.
        vllm: Which vLLM is run.
        further: Flags for vLLM beyond ``serve.flags``; they win over all others.

    Raises:
        ModelNotFound: no model is named, or the folder named holds none.
        TinyNotInstalled: the model is recollect-tiny, and its weights are not installed.
        BadSettings: a flag for vLLM is one that this must know of.

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
        context_tokens=min(serve.context_tokens, _longest(config) or serve.context_tokens),
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
    """Some things have to be known here, and not to vLLM alone."""
    for word in further:
        flag = word.partition("=")[0]
        if flag in _OURS:
            raise BadSettings(f"{flag} among the flags for vLLM", f"use {_OURS[flag]} instead")


def _on_cpu(device: str, vllm: Vllm) -> bool:
    if device != "auto":
        return device == "cpu"
    return vllm.for_cpu or not any(any(Path("/dev").glob(pattern)) for pattern in _GPU_DEVICES)


def _config(model: str) -> dict[str, Any] | None:
    """The configuration of a model in a folder; None where ``model`` is the name of one to download."""
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


def _longest(config: dict[str, Any] | None) -> int | None:
    """How many tokens the model can take, if it tells."""
    config = config or {}
    told = (config.get("text_config") or config).get("max_position_embeddings")
    return told if isinstance(told, int) else None
