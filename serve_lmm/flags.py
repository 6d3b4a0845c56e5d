"""Flags and environment variables that vLLM is started with, each with its reason.

    for flag in flags_for(settings, name="tiny", context_tokens=4096, on_cpu=True):
        print(*flag.words, flag.why)

Flags of particular models are the user's choice. This module starts no process.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .serve_settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of vLLM's command line."""

    name: str
    value: str | None
    """None for a switch."""
    why: str

    @property
    def words(self) -> tuple[str, ...]:
        """The flag as arguments of a command."""
        return (self.name,) if self.value is None else (self.name, self.value)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of vLLM's environment."""

    name: str
    value: str = field(repr=False)
    why: str
    secret: bool = False

    @property
    def word(self) -> str:
        """The variable as a shell takes it, without secrets."""
        return f"{self.name}={'***' if self.secret else shlex.quote(self.value)}"


def flags_for(settings: ServeSettings, *, name: str, context_tokens: int, on_cpu: bool) -> list[Flag]:
    """The flags that Recollect needs.

    Args:
        settings: Gives the host, the port and the limit of pictures.
        name: The id of the served model.
        context_tokens: The longest prompt and reply together.
        on_cpu: Whether vLLM runs without a GPU.

    """
    flags = [
        Flag("--served-model-name", name, "the id that lmm.model asks for"),
        Flag("--host", settings.host, "the address it listens at; 127.0.0.1 accepts connections from this machine only"),
        Flag("--port", str(settings.port), "lmm.url ends in it and /v1"),
        Flag("--max-model-len", str(context_tokens), "tokens that a prompt and its reply may have together"),
        Flag("--limit-mm-per-prompt", _json({"image": settings.pictures, "video": 1}),
             "pictures and clips that a prompt may hold"),
        Flag("--media-io-kwargs", _json({"video": {"num_frames": -1}}),
             "uses every frame of a clip; by default vLLM keeps the first 32"),
        Flag("--trust-request-mm-kwargs", None,
             "accepts the times of a clip's frames; by default vLLM assumes one frame a second"),
        Flag("--allowed-media-domains", "media.invalid",
             "pictures come inside requests, so the server fetches none from other hosts"),
        Flag("--enable-prefix-caching", None, "the common beginning of prompts is processed once"),
        Flag("--enable-prompt-tokens-details", None, "replies state how many prompt tokens the cache saved"),
        Flag("--scheduling-policy", "priority",
             "questions go before captions if lmm.server_priorities is true"),
        Flag("--structured-outputs-config", _json({"backend": "xgrammar", "disable_any_whitespace": True}),
             "replies keep to their schema, without endless white space"),
    ]  # fmt: skip
    return flags + (_for_the_cpu() if on_cpu else [])


def _for_the_cpu() -> list[Flag]:
    return [
        Flag("--dtype", "float32", "CPU: every processor supports it; bfloat16 takes half the memory"),
        Flag("--enforce-eager", None, "CPU: starts without compiling the model first"),
        Flag("--kv-cache-memory-bytes", "512M", "CPU: memory for the tokens in progress and the cached ones"),
        Flag("--block-size", "32", "CPU: prompts share their beginnings in steps of 32 tokens, not 128"),
        Flag("--max-num-seqs", "16", "CPU: more requests at once would only wait for each other"),
        Flag("--skip-mm-profiling", None, "CPU: starts without trying the largest prompt, which takes 1 GB"),
        Flag(
            "--mm-processor-cache-gb", "0.25", "CPU: memory for pictures seen before; vLLM would take 4 GiB"
        ),
    ]


def variables_for(*, from_folder: bool, on_cpu: bool, api_key: str | None) -> list[Variable]:
    """The variables for vLLM's environment. Variables that are set already stay, except secrets."""
    variables = [Variable("VLLM_NO_USAGE_STATS", "1", "vLLM sends no usage statistics")]
    if from_folder:
        variables.append(Variable("HF_HUB_OFFLINE", "1", "the whole model is in its folder"))
    if on_cpu:
        variables.append(
            Variable("VLLM_CPU_OMP_THREADS_BIND", "nobind", "CPU: threads are not bound to cores")
        )
    if api_key is not None:
        variables.append(Variable("VLLM_API_KEY", api_key, "clients must show lmm.api_key", secret=True))
    return variables


def without_repeated(flags: Sequence[Flag], further: Sequence[str]) -> list[Flag]:
    """Leave out the flags that the user's part of the command line, ``further``, sets."""
    repeated = {_plain(word) for word in further if word.startswith("--")}
    return [flag for flag in flags if _plain(flag.name) not in repeated]


def _plain(word: str) -> str:
    """The normal form of a flag's name: --no-a-b, --a_b=1 and --a-b.c all give a-b."""
    name = word.lstrip("-").partition("=")[0].partition(".")[0].replace("_", "-")
    return name.removeprefix("no-")


def explained(flags: Sequence[Flag], variables: Sequence[Variable]) -> Iterator[tuple[str, str]]:
    """Each variable and flag as it is typed, with its reason."""
    for variable in variables:
        yield variable.word, variable.why
    for flag in flags:
        yield " ".join(flag.words), flag.why


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
