"""Reads the sound of a video file in step with its pictures, for observers that listen.

    reader = FileAudioReader(Path("kitchen.mp4"), rate_hz=16_000, from_s=0.0, origin_s=0.0)
    for chunk_start_s, samples in reader.until(2.0): ...

Damaged sound is left out. The file is not trusted, and a decoder process decodes it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .decoder_process import Buffer, DecoderDied, DecoderJob, size_of
from .event_messages import INVALID
from .job_channel import error_from
from .urls import redact

Samples = NDArray[np.float32]

log = logging.getLogger(__name__)

_BREAK_S = 0.05
"""Sound is one piece up to a hole of this length."""
_MAX_PIECE_S = 1.0


class FileAudioReader:
    """Decodes the first sound track of a file, one channel, from a time on.

    Raises:
        SourceError: When it is first read: the file cannot be opened.
    """

    def __init__(self, path: Path, *, rate_hz: int, from_s: float, origin_s: float) -> None:
        """``origin_s`` is the presentation time in the file at stream time 0."""
        self.rate_hz = rate_hz
        self._pieces = self._received(path, from_s, origin_s)
        self._next: tuple[float, Samples] | None = None
        self._ended = False

    def until(self, time_s: float) -> list[tuple[float, Samples]]:
        """The pieces that begin before ``time_s`` and were not returned yet: start times and samples, in order."""
        pieces: list[tuple[float, list[Samples]]] = []
        while (piece := self._peek()) is not None and piece[0] < time_s:
            self._next = None
            start_s, samples = piece
            if pieces and self._continues(pieces[-1], start_s):
                pieces[-1][1].append(samples)
            else:
                pieces.append((start_s, [samples]))
        return [(start_s, np.concatenate(parts)) for start_s, parts in pieces]

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._ended = True
        self._pieces.close()

    def _continues(self, piece: tuple[float, list[Samples]], start_s: float) -> bool:
        end_s = piece[0] + sum(map(len, piece[1])) / self.rate_hz
        return abs(start_s - end_s) < _BREAK_S and start_s - piece[0] < _MAX_PIECE_S

    def _peek(self) -> tuple[float, Samples] | None:
        if self._next is None and not self._ended:
            self._next = next(self._pieces, None)
            self._ended = self._next is None
        return self._next

    def _received(self, path: Path, from_s: float, origin_s: float) -> Generator[tuple[float, Samples]]:
        task = {"path": str(path), "rate_hz": self.rate_hz, "from_s": from_s, "origin_s": origin_s}
        with closing(DecoderJob("sound", task, size_of(path))) as job:
            is_last = False
            while not is_last:
                job.send({"kind": "next"})
                try:
                    message, blob = job.receive()
                    if message["kind"] == "failed":
                        raise error_from(message, str(path))
                    pieces = list(_pieces(message, blob))
                    is_last = bool(message["end"])
                except (DecoderDied, *INVALID) as error:
                    log.warning("the rest of the sound of %s could not be read: %s", redact(str(path)), error)
                    job.kill()
                    return
                yield from pieces


def _pieces(message: dict[str, Any], blob: Buffer) -> Iterator[tuple[float, Samples]]:
    samples = np.frombuffer(blob, np.float32)
    ends = np.cumsum(message["counts"])
    for start_s, count, end in zip(message["starts_s"], message["counts"], ends, strict=True):
        if not math.isfinite(start_s):
            raise ValueError("a piece of sound without a time")
        yield float(start_s), samples[end - count : end].copy()
