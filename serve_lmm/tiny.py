"""``recollect-tiny``, served for as long as a block lasts: what the demo, benchmarks and tests run on.

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
"""For a machine whose two cores do everything at once."""
_CONCURRENCY = 32
"""So small a model takes longer to be asked than to answer: together, requests cost each less."""
_REPLY_TOKENS = 256
"""No description it was taught is longer; one that is never ends."""


def start_tiny(log: Path, *, model: str = TINY) -> VllmServer:
    """Start serving it on this machine, at a port that is free; it takes a minute until it is ready.

    Args:
        log: A file that gets what vLLM prints.
        model: Another checkpoint's folder.

    Raises:
        TinyNotInstalled: The weights of recollect-tiny are not installed.
        VllmNotFound: The Python that ``serve.python`` names has no vLLM.

    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"model": model, "name": TINY, "host": "127.0.0.1", "port": port, "context_tokens": 8192}
    settings = read_settings(serve=given)
    launch = plan_launch(settings, find_vllm(settings.serve.python))
    server = VllmServer(launch, log=log)
    server.start()
    return server


def client_of(server: VllmServer) -> ServedLmm:
    """Wait until it is ready, and open a client of it.

    Raises:
        ServerEnded: It did not come up.
        ServerNotReady: It took longer than ten minutes.

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
    """Serve it, and open a client of it; both end with the block.

    Raises:
        TinyNotInstalled: The weights of recollect-tiny are not installed.
        VllmNotFound: The Python that ``serve.python`` names has no vLLM.
        ServerEnded: It did not come up.

    """
    server = start_tiny(log, model=model)
    try:
        with client_of(server) as lmm:
            yield lmm
    finally:
        server.stop()
