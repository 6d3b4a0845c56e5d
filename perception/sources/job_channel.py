"""Job channel: requests come in to a job on an untrusted file, and messages go out. And failures as messages.

channel.send({"kind": "sound", "at_s": 1.0}, (samples.tobytes(),))
request = channel.requests.get()        # {"kind": "next"}
error_from(failure_message(error), source)
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import errors
from ..errors import NotAVideo, SourceError
from .decoder_limits import MEMORY_BYTES
from .reader_messages import write_message


class Region(NamedTuple):
    """A part of the memory that a decoder process shares with its parent."""

    offset: int
    size: int


PICTURE_REGION = Region(0, 12 << 20)
"""For one whole picture, of up to 1920 × 1920 pixels."""
BATCH_REGION = Region(12 << 20, 2 << 20)
"""For the thumbnails and small pictures of a batch of frames."""
SHARED_BYTES = PICTURE_REGION.size + BATCH_REGION.size


class JobChannel:
    """Requests of the parent, and messages to it. Each message allows the process more CPU time."""

    def __init__(
        self, out: IO[bytes], shared: NDArray[np.uint8] | None, allow_cpu: Callable[[], None]
    ) -> None:
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        """The parent's requests. The last one has the kind "close"."""
        self._out, self._shared, self._allow_cpu = out, shared, allow_cpu
        allow_cpu()

    def send(self, message: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> None:
        """Send a message. Waits while the parent does not read."""
        self._allow_cpu()
        write_message(self._out, message, blobs)

    def send_pixels(
        self, message: dict[str, Any], arrays: Sequence[NDArray[np.uint8]], region: Region
    ) -> None:
        """Send a message with pixels, by shared memory where there is some. The parent has read the last of ``region``."""
        size = sum(array.size for array in arrays)
        if self._shared is None or size > region.size:
            self.send(message, [np.ascontiguousarray(array).reshape(-1).data for array in arrays])
            return
        offset = region.offset
        for array in arrays:
            self._shared[offset : offset + array.size].reshape(array.shape)[:] = array
            offset += array.size
        self.send(message | {"shared": [region.offset, size]})


def failure_message(error: Exception) -> dict[str, Any]:
    """The message of an error that ended a job."""
    if isinstance(error, SourceError):
        # Our errors keep their arguments as attributes of the same names.
        values = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float)}
        return {"kind": "failed", "error": type(error).__name__, "values": values, "why": str(error)}
    return {"kind": "failed", "why": failure_reason(error)}


def failure_reason(error: Exception) -> str:
    """In a few words, why reading failed with an error that no decoder should raise."""
    if isinstance(error, MemoryError):
        return f"decoding it needs more than {MEMORY_BYTES >> 20} MB of memory"
    return f"reading it failed unexpectedly ({type(error).__name__})"


def error_from(message: dict[str, Any], source: str) -> SourceError:
    """The error that a failure message describes."""
    kind = getattr(errors, str(message.get("error")), None)
    why = str(message.get("why", "the decoder process sent an invalid message"))
    if isinstance(kind, type) and issubclass(kind, SourceError):
        try:
            return kind(**message["values"])
        except (KeyError, TypeError):
            return SourceError(why)
    return NotAVideo(source, why)
