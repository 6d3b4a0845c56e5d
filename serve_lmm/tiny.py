"""Serves ``recollect-tiny`` for the length of a block, for the demo, benchmarks and tests.

with served_tiny(Path("vllm.log")) as lmm:
    Recollect("house.lance", lmm=lmm).watch("house.mp4")
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import read_settings
from .launch import plan_launch
from .process import VllmServer
from .tiny_weights import MOMENTS, TINY
from .vllm import find_vllm

if TYPE_CHECKING:
    from ..perception.lmm import ServedLmm

_START_S = 600.0
_REPLY_S = 120.0
"""Long enough for a machine with two busy cores."""
_CONCURRENCY = 32
"""For so small a model a request costs more than its reply. Concurrent requests share that cost."""
_REPLY_TOKENS = 256
"""The longest reply in the training data is shorter. A longer reply would not end."""


def start_tiny(log: Path, *, model: str = TINY) -> VllmServer:
    """Start a server on this machine, at a free port. It takes about a minute to be ready.

    Args:
        log: The file for vLLM's output.
        model: The folder of another checkpoint.

    Raises:
        TinyNotInstalled: The weights of recollect-tiny are not installed.
        VllmNotFound: The Python that ``serve.python`` names has no vLLM.

    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"model": model, "name": TINY, "host": "127.0.0.1", "port": port, "context_tokens": 8192}
    settings = read_settings(serve=options)
    launch = plan_launch(settings, find_vllm(settings.serve.python))
    server = VllmServer(launch, log=log)
    server.start()
    return server


def client_of(server: VllmServer) -> ServedLmm:
    """Wait until the server is ready, and open a client.

    Raises:
        ServerEnded: The server process ended.
        ServerNotReady: The server was not ready within ten minutes.

    """
    from ..perception.lmm import ServedLmm  # noqa: PLC0415 - loads the client's libraries
    from ..perception.lmm.lmm_settings import LmmSettings  # noqa: PLC0415

    server.wait_ready(_START_S)
    key = read_settings().lmm.api_key
    return ServedLmm(
        LmmSettings(
            url=server.launch.url,
            api_key=key,
            server_priorities=True,
            timeout_s=_REPLY_S,
            moments=MOMENTS,
            max_tokens=_REPLY_TOKENS,
            concurrency=_CONCURRENCY,
        )
    )


@contextmanager
def served_tiny(log: Path, *, model: str = TINY) -> Iterator[ServedLmm]:
    """Start a server and open a client. Both end with the block.

    Raises:
        TinyNotInstalled: The weights of recollect-tiny are not installed.
        VllmNotFound: The Python that ``serve.python`` names has no vLLM.
        ServerEnded: The server process ended.

    """
    server = start_tiny(log, model=model)
    try:
        with client_of(server) as lmm:
            yield lmm
    finally:
        server.stop()
