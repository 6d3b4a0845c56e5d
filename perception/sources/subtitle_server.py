"""The decoder process's job on subtitles: the text tracks of a file.

    messages: {"kind": "events", "events": [[track, start_s, duration_s or null, text], …]}, …
              {"kind": "tracks", "default": [tracks that are marked default]}

``text`` is a line of SubStation Alpha with its override tags. The whole file is read, so that a long one takes time.
The text is bounded: what comes after ``MAX_EVENTS`` lines or ``MAX_CHARACTERS`` of a track is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.stream import Discard, Disposition
from av.subtitles.subtitle import AssSubtitle

from .container import open_video
from .file_packets import start_s
from .job_channel import JobChannel

MAX_EVENTS = 30_000
"""In a track: one in each three seconds of a day."""

MAX_CHARACTERS = 4_000_000
"""In a track."""

MAX_LINE_CHARACTERS = 4_000
"""In a line, with its override tags. pysubs2 takes quadratic time for many tags."""

_EVENTS = 500
"""Events in a message."""

_Event = tuple[int, float, float | None, str]


def serve_subtitles(channel: JobChannel, path: str) -> None:
    """Send all text tracks of a file, until the parent closes the job."""
    with open_video(Path(path)) as (container, _):
        tracks = [stream for stream in container.streams.subtitles if stream.codec_context is not None]
        for stream in container.streams:
            if stream not in tracks:
                stream.discard = Discard.all  # not even read, where the format allows it
        begins_s = max(0.0, start_s(container))
        events: list[_Event] = []
        for event in _events(container.demux(tracks), begins_s) if tracks else ():
            events.append(event)
            if len(events) == _EVENTS:
                channel.send({"kind": "events", "events": events})
                events = []
        channel.send({"kind": "events", "events": events})
        default = [track.index for track in tracks if track.disposition & Disposition.default]
        channel.send({"kind": "tracks", "default": default})
    while channel.requests.get()["kind"] != "close":
        pass


def _events(packets: Iterator[Packet[Any]], begins_s: float) -> Iterator[_Event]:
    count, characters = Counter[int](), Counter[int]()
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        track = packet.stream.index
        if packet.pts is None or packet.time_base is None:
            continue
        if count[track] >= MAX_EVENTS or characters[track] >= MAX_CHARACTERS:
            continue
        text = _text(packet)
        count[track] += 1
        characters[track] += len(text)
        duration_s = float(packet.duration * packet.time_base) if packet.duration else None
        yield track, float(packet.pts * packet.time_base) - begins_s, duration_s, text


def _text(packet: Packet[Any]) -> str:
    """The text of a packet. It is empty for a picture, and for what cannot be decoded or is not Unicode."""
    try:
        lines = [subtitle.ass for subtitle in packet.decode() if isinstance(subtitle, AssSubtitle)]
        # FFmpeg writes nine fields with commas between. The last one is the text.
        return " ".join(line.decode("utf-8").split(",", 8)[-1] for line in lines)[:MAX_LINE_CHARACTERS]
    except (av.FFmpegError, UnicodeDecodeError):
        return ""
