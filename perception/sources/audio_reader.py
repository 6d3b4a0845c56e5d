"""Reads the sound of a video file in step with its pictures, for observers that listen.

    reader = FileAudioReader(Path("kitchen.mp4"), rate_hz=16_000, from_s=0.0, origin_s=0.0)
    for chunk_start_s, samples in reader.until(2.0): ...

Damaged sound is left out. The file is open_video as untrusted as for its pictures.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from .container import open_video

Samples = NDArray[np.float32]
_BREAK_S = 0.05
"""Sound is one piece up to a hole of this length."""
_MAX_PIECE_S = 1.0


class FileAudioReader:
    """Decodes the first sound track of a file, one channel, from a time on.

    Raises:
        SourceError: When it is first read: the file cannot be open_video.
    """

    def __init__(self, path: Path, *, rate_hz: int, from_s: float, origin_s: float) -> None:
        """``origin_s`` is the presentation time in the file at stream time 0."""
        self.rate_hz = rate_hz
        self._pieces = self._decoded(path, from_s, origin_s)
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

    def _decoded(self, path: Path, from_s: float, origin_s: float) -> Generator[tuple[float, Samples]]:
        with open_video(path) as (container, _):
            track = container.streams.audio[0]
            if from_s > 0:
                container.seek(max(0, int((from_s + origin_s) * av.time_base)))
            resampler = AudioResampler(format="flt", layout="mono", rate=self.rate_hz)
            for packet in container.demux(track):
                for frame in _decode(packet):
                    for piece in resampler.resample(frame):
                        if piece.pts is None or piece.time_base is None:
                            continue
                        start_s = float(piece.pts * piece.time_base) - origin_s
                        samples = piece.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                        if start_s + len(samples) / self.rate_hz > from_s:
                            yield start_s, samples


def _decode(packet: Packet[AudioStream]) -> list[av.AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []  # damaged: what follows can be decoded again
