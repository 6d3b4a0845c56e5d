"""Reads the text tracks inside a video file. The file is not trusted, and a decoder process decodes it.

for track in read_text_tracks(Path("talk.mkv")):
    track.events[0].start_s, track.events[0].text
"""

from __future__ import annotations

import logging
import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError
from .decoder_process import DecoderDied, DecoderJob
from .event_messages import INVALID
from .job_channel import error_from
from .subtitle_server import MAX_EVENTS, MAX_LINE_CHARACTERS
from .urls import redact

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A subtitle as a track stores it."""

    start_s: float
    """Stream time."""
    duration_s: float | None
    text: str
    """A line of SubStation Alpha, with its override tags. Empty for a picture."""


@dataclass(frozen=True, slots=True)
class TextTrack:
    """A subtitle track of a file."""

    is_default: bool
    events: tuple[TextEvent, ...]


def read_text_tracks(path: Path) -> list[TextTrack]:
    """The subtitle tracks of a file, without those in which nothing is. Empty if the file cannot be read."""
    by_track: dict[int, list[TextEvent]] = {}
    try:
        with closing(DecoderJob("subtitles", {"path": str(path)}, path.stat().st_size)) as job:
            while (message := job.receive()[0])["kind"] == "events":
                for track, *values in message["events"]:
                    by_track.setdefault(int(track), []).append(_event(*values))
            if message["kind"] == "failed":
                raise error_from(message, str(path))
            default = set(message["default"])
    except (OSError, SourceError, DecoderDied, *INVALID) as error:
        log.warning("the subtitles inside %s could not be read: %s", redact(str(path)), error)
        return []
    return [TextTrack(track in default, tuple(events[:MAX_EVENTS])) for track, events in by_track.items()]


def _event(start_s: Any, duration_s: Any, text: Any) -> TextEvent:
    start_s, duration_s = float(start_s), None if duration_s is None else float(duration_s)
    if not math.isfinite(start_s) or not math.isfinite(duration_s or 0.0):
        raise ValueError("a subtitle without a time")
    return TextEvent(start_s, duration_s, str(text)[:MAX_LINE_CHARACTERS])
