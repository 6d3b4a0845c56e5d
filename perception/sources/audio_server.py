"""Sound server: the job of decoding the first sound track of a file, one channel, from a time on.

    requests: {"kind": "next"}
    messages: {"kind": "sound", "starts_s": [0.0, 0.021], "counts": [1024, 1024], "end": false}, and samples

Damaged sound is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from .container import open_video
from .job_channel import JobChannel

Samples = NDArray[np.float32]

_PIECES = 64
"""Pieces in a message. A piece is a packet, which is about 20 ms."""


def serve_sound(channel: JobChannel, path: str, rate_hz: int, from_s: float, origin_s: float) -> None:
    """Send the sound in pieces, as the parent asks for them, until it closes the job."""
    sound = _decoded(Path(path), rate_hz, from_s, origin_s)
    while channel.requests.get()["kind"] != "close":
        pieces = list(islice(sound, _PIECES))
        channel.send(
            {
                "kind": "sound",
                "starts_s": [start_s for start_s, _ in pieces],
                "counts": [len(samples) for _, samples in pieces],
                "end": len(pieces) < _PIECES,
            },
            [samples.tobytes() for _, samples in pieces],
        )


def _decoded(path: Path, rate_hz: int, from_s: float, origin_s: float) -> Iterator[tuple[float, Samples]]:
    """The pieces: start times and samples. ``origin_s`` is the presentation time in the file at stream time 0."""
    with open_video(path) as (container, _):
        track = container.streams.audio[0]
        if from_s > 0:
            container.seek(max(0, int((from_s + origin_s) * av.time_base)))
        resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
        for packet in container.demux(track):
            for frame in _decode(packet):
                for piece in resampler.resample(frame):
                    if piece.pts is None or piece.time_base is None:
                        continue
                    start_s = float(piece.pts * piece.time_base) - origin_s
                    samples = piece.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                    if start_s + len(samples) / rate_hz > from_s:
                        yield start_s, samples


def _decode(packet: Packet[AudioStream]) -> list[av.AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []  # damaged: what follows can be decoded again
