"""Errors of serving a video LMM."""

from __future__ import annotations

from ..common.errors import RecollectError


class ServingError(RecollectError):
    """A video LMM cannot be served. The base class of these errors."""


class VllmNotFound(ServingError):
    """No vLLM is installed for the chosen Python."""

    def __init__(self, python: str, why: str) -> None:
        super().__init__(
            f"there is no vLLM for {python}: {why}. With a GPU: pip install 'recollect[serve]'. Without one: "
            "make serving-env, and name its Python with --python or RECOLLECT_SERVE__PYTHON (docs/lmm.md)."
        )
        self.python, self.why = python, why


class ModelNotFound(ServingError):
    """The model to serve does not exist, or none is named."""

    def __init__(self, model: str | None, why: str) -> None:
        problem = f"cannot serve {model!r}" if model else "there is no model to serve"
        super().__init__(
            f"{problem}: {why}. Give a folder with a model as transformers saves it, or a name such as "
            "Qwen/Qwen3-VL-8B-Instruct."
        )
        self.model, self.why = model, why


class TinyNotInstalled(ServingError):
    """The weights of recollect-tiny are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the weights of recollect-tiny are not installed: this Python has no package named {package}. "
            "They are an optional package. From a checkout of Recollect's repository: "
            "pip install ./models/recollect-tiny."
        )
        self.package = package


class CannotListen(ServingError):
    """The server cannot listen at the chosen address."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(
            f"cannot listen at {host}, port {port}: {why}. "
            "Stop the other server, or choose another address (`port`, `host`)."
        )
        self.host, self.port, self.why = host, port, why


class ServerEnded(ServingError):
    """The server process ended before it was ready."""

    def __init__(self, model: str, code: int, last_lines: str = "") -> None:
        super().__init__(
            f"vLLM ended with exit code {code} before {model} was served. Its last lines give the reason"
            + (f":\n{last_lines}" if last_lines else ".")
        )
        self.model, self.code, self.last_lines = model, code, last_lines


class ServerNotReady(ServingError):
    """The server took too long to start."""

    def __init__(self, model: str, waited_s: float, last_lines: str = "") -> None:
        super().__init__(
            f"{model} was not served after {waited_s:.0f} s. Allow more time, or read the last lines of vLLM"
            + (f":\n{last_lines}" if last_lines else ".")
        )
        self.model, self.waited_s, self.last_lines = model, waited_s, last_lines
