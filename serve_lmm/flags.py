"""What vLLM is started with so that it suits Recollect, each flag with its reason.

    for flag in flags_for(settings, name="tiny", context_tokens=4096, on_cpu=True):
        print(*flag.words, flag.why)

Flags of single models belong to whoever serves them. This module starts nothing.
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
        """The variable as it may be shown."""
        return f"{self.name}={'***' if self.secret else shlex.quote(self.value)}"


def flags_for(settings: ServeSettings, *, name: str, context_tokens: int, on_cpu: bool) -> list[Flag]:
    """Everything that Recollect wants of vLLM.

    Args:
        settings: Host, port and the limit of pictures are taken from them.
        name: The id the model is served under.
        context_tokens: How long a prompt and its reply may be together.
        on_cpu: Whether it runs without a GPU.

    """
    flags = [
        Flag("--served-model-name", name, "the id that lmm.model asks for"),
        Flag("--host", settings.host, "where it listens; 127.0.0.1 lets in nobody but this machine"),
        Flag("--port", str(settings.port), "lmm.url ends in it and /v1"),
        Flag("--max-model-len", str(context_tokens), "tokens that a prompt and its reply may have together"),
        Flag("--limit-mm-per-prompt", _json({"image": settings.pictures, "video": 1}),
             "pictures and clips that a prompt may hold"),
        Flag("--media-io-kwargs", _json({"video": {"num_frames": -1}}),
             "every frame of a clip is looked at; left to itself, vLLM keeps the first 32"),
        Flag("--trust-request-mm-kwargs", None,
             "a clip says when each of its frames was seen; vLLM would take them to be a second apart"),
        Flag("--allowed-media-domains", "media.invalid",
             "pictures come inside requests, and the server fetches none from elsewhere"),
        Flag("--enable-prefix-caching", None, "what prompts have in common is read once"),
        Flag("--enable-prompt-tokens-details", None, "replies tell how much of their prompt that saved"),
        Flag("--scheduling-policy", "priority",
             "questions go before captions, where lmm.server_priorities is true"),
        Flag("--structured-outputs-config", _json({"backend": "xgrammar", "disable_any_whitespace": True}),
             "replies keep to their schema, and no model can lose itself in white space between"),
    ]  # fmt: skip
    return flags + (_for_the_cpu() if on_cpu else [])


def _for_the_cpu() -> list[Flag]:
    return [
        Flag("--dtype", "float32", "CPU: what every processor computes with; bfloat16 takes half the memory"),
        Flag("--enforce-eager", None, "CPU: starts without compiling the model first"),
        Flag("--kv-cache-memory-bytes", "512M", "CPU: memory for the tokens under way and the shared ones"),
        Flag("--block-size", "32", "CPU: prompts share their beginnings in steps of 32 tokens, not 128"),
        Flag("--max-num-seqs", "16", "CPU: more at a time only wait for each other"),
        Flag("--skip-mm-profiling", None, "CPU: starts without trying the largest prompt, which takes 1 GB"),
        Flag(
            "--mm-processor-cache-gb", "0.25", "CPU: memory for pictures seen before; vLLM would take 4 GiB"
        ),
    ]


def variables_for(*, from_folder: bool, on_cpu: bool, api_key: str | None) -> list[Variable]:
    """The variables vLLM is given, if they are not set already."""
    found = [Variable("VLLM_NO_USAGE_STATS", "1", "vLLM tells nobody that it is used")]
    if from_folder:
        found.append(Variable("HF_HUB_OFFLINE", "1", "all of the model is in its folder"))
    if on_cpu:
        found.append(
            Variable("VLLM_CPU_OMP_THREADS_BIND", "nobind", "CPU: threads run where there is room for them")
        )
    if api_key is not None:
        found.append(Variable("VLLM_API_KEY", api_key, "clients must show lmm.api_key", secret=True))
    return found


def without_repeated(flags: Sequence[Flag], others: Sequence[str]) -> list[Flag]:
    """Leave out the flags that ``others``, further words of the command line, set in their own way."""
    named = {_plain(word) for word in others if word.startswith("--")}
    return [flag for flag in flags if _plain(flag.name) not in named]


def _plain(word: str) -> str:
    """A flag's name in one of the spellings vLLM takes: --no-a-b, --a_b=1 and --a-b.c are all of a-b."""
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
