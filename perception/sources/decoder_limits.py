"""The limits under which untrusted files are decoded: memory, time, files and the size of pictures.

    limit_process()                 # in the decoder process, before it opens the file
    while ...:
        allow_cpu_s(60.0)           # until the next message

Memory, CPU time and files are limited by the operating system, with the module ``resource``. It exists on Unix
only, and macOS does not enforce the memory limit. Elsewhere only the limits on pictures and on silence hold.
"""

from __future__ import annotations

import sys
import time

MEMORY_BYTES = 1_280 << 20
"""Memory of a decoder process, without the libraries it shares with others. A film of 8K takes about half of it."""

MAX_PIXELS = 40_000_000
"""Pixels of the largest picture that is decoded. 8K has 33 million."""

SILENCE_S = 30.0
"""How much CPU time a decoder process may take without a message, plus a second for each ``BYTES_PER_S`` of the file:
to resume in the middle of a file without an index, it is read from its start."""

ELAPSED_PER_CPU = 4.0
"""How many times longer it may be silent in elapsed time. On a busy machine, a decoder that does not hang waits for
the processor longer than it has it."""

BYTES_PER_S = 50e6

_OPEN_FILES = 32


def allowed_silence_s(size_bytes: int) -> float:
    """How much CPU time the decoder of a file may take without a message."""
    return SILENCE_S + size_bytes / BYTES_PER_S


def limit_process() -> None:
    """Limit the memory and files of this process, for good."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - exists on Unix only

    limits = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, lowest))


def allow_cpu_s(seconds: float) -> None:
    """Let the operating system end this process after ``seconds`` more of CPU time, even if its parent is gone."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - exists on Unix only

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(time.process_time() + seconds) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
