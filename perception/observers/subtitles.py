"""Speech from subtitles: a track inside the video file, or a file beside it.

    observer = SubtitleObserver(load_cues(Path("talk.mp4")))   # talk.srt, talk.en.vtt, or its own track
    observer.findings(Span(4.0, 9.0))                          # speech/subtitle

Cues are what somebody wrote down and timed, so they are taken as they are. A broken subtitle
file gives the cues that could be understood and never an error: without subtitles the video is
still worth watching. It knows nothing of sound, and nothing of subtitles drawn into the picture,
which are text like any other.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Finding, Span
from ..sources.frame import Frame

if TYPE_CHECKING:
    from av.packet import Packet
    from av.subtitles.stream import SubtitleStream

_MOST_BYTES = 16 * 1024 * 1024
_MOST_CUES = 100_000
_MOST_CHARACTERS = 2_000
_SIDECARS = (".srt", ".vtt")
_LAST_CUE_S = 5.0
"""How long a cue without an end is shown, if no other follows, in seconds."""

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_TIMING = re.compile(rf"^\s*{_CLOCK}\s*-+>\s*{_CLOCK}(?:\s.*)?$")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
_BREAK = re.compile(r"<br\s*/?>|\\[Nn]|\\h", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w{2,8})*")
_NOT_SPOKEN = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True, slots=True, order=True)
class Cue:
    """One subtitle, in stream time."""

    start_s: float
    end_s: float
    text: str
    """Without markup, on one line."""


class SubtitleObserver:
    """Says what the subtitles say. It has been given everything, so frames tell it nothing."""

    written_by = "subtitles/1"
    finding_kinds = builtin_kinds("subtitle")

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._cues = sorted(cues)
        self._ended_by = list(accumulate((cue.end_s for cue in self._cues), max))

    def push(self, frame: Frame) -> None:
        """Frames carry no subtitles."""

    def cut(self, time_s: float) -> None:
        """A cue may go on across a cut."""

    def findings(self, span: Span) -> list[Finding]:
        """The cues shown in ``span``, each clipped to it."""
        found = []
        # No cue before the first one that may reach into the span need be looked at.
        for cue in self._cues[bisect_left(self._ended_by, span.start_s) :]:
            if cue.start_s >= span.end_s:
                break
            part = Span(cue.start_s, cue.end_s).clipped_to(span)
            if part is not None:
                found.append(Finding("speech", "subtitle", cue.text, part, self.written_by))
        return found


def load_cues(path: Path) -> list[Cue]:
    """The subtitles of the video file at ``path``, in time order; none if it has none.

    A file beside it goes first: ``name.srt``, ``name.vtt``, then ``name.en.srt`` and other
    languages by name. Else it is the text track inside that is marked default, or the one
    with the most text. Never raises for subtitles that are broken or unreadable.
    """
    for sidecar in _sidecars(path):
        cues = read_cues(sidecar)
        if cues:
            return cues
    return _cues_inside(path)


def read_cues(path: Path) -> list[Cue]:
    """The cues of one SubRip or WebVTT file; of a broken one, those that can be understood.

    Of a file beyond 16 MiB only the first 16 MiB are read, and of one with more than
    100,000 cues only the first 100,000.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError:
        return []
    return _in_order(_parsed(_decoded(data)))


def _sidecars(path: Path) -> list[Path]:
    try:
        names = [other for other in path.parent.iterdir() if other.suffix.lower() in _SIDECARS]
    except OSError:
        return []
    same = [other for other in names if other.stem == path.stem]
    same.sort(key=lambda other: _SIDECARS.index(other.suffix.lower()))
    # "name.en.srt": a language after the name, so that "name.part2.srt" is not taken.
    tagged = [(_language(path, other), other) for other in names]
    by_language = [(tag, other) for tag, other in tagged if tag]
    by_language.sort(key=lambda one: (not one[0].startswith("en"), one[1].name))
    return [*same, *(other for _, other in by_language)]


def _language(video: Path, sidecar: Path) -> str:
    """The language that the sidecar's name adds to the video's, or nothing."""
    tag = sidecar.stem.removeprefix(f"{video.stem}.").lower()
    return tag if tag != sidecar.stem.lower() and _LANGUAGE.fullmatch(tag) else ""


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Cut inside a character by the limit on its size, it is UTF-8 all the same.
        if error.start >= len(data) - 3:
            return data.decode("utf-8-sig", errors="ignore")
        return data.decode("cp1252", errors="replace")


def _parsed(text: str) -> Iterator[Cue]:
    """The cues as they come: a line with two times, then text up to an empty line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").split("\n")
    at, count = 0, 0
    while at < len(lines) and count < _MOST_CUES:
        timing = _TIMING.match(lines[at])
        at += 1
        if timing is None:
            if lines[at - 1].startswith(_NOT_SPOKEN):
                while at < len(lines) and lines[at].strip():
                    at += 1
            continue
        body: list[str] = []
        while at < len(lines) and lines[at].strip() and not _TIMING.match(lines[at]):
            body.append(lines[at])
            at += 1
        # Where the empty line between two cues is missing, the number of the next stands here.
        if body and at < len(lines) and _TIMING.match(lines[at]) and body[-1].strip().isdigit():
            body.pop()
        spoken = _plain(" ".join(body))
        start_s, end_s = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
        if spoken and end_s > start_s:
            count += 1
            yield Cue(start_s, end_s, spoken)


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = clock
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def _plain(text: str) -> str:
    """``text`` without markup, on one line."""
    text = _TAG.sub("", _BREAK.sub(" ", text))
    return " ".join(html.unescape(text).split())[:_MOST_CHARACTERS]


def _in_order(cues: Iterator[Cue]) -> list[Cue]:
    return sorted(set(cues))


def _cues_inside(path: Path) -> list[Cue]:
    """The cues of the best text track inside the file."""
    import av  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            tracks = [stream for stream in container.streams.subtitles if stream.codec_context is not None]
            if not tracks:
                return []
            for stream in container.streams:
                if stream not in tracks:
                    stream.discard = av.stream.Discard.all  # not even read, where the format allows it
            start_s = max(0.0, (container.start_time or 0) / av.time_base)
            shown: dict[int, list[tuple[float, float | None, str]]] = {stream.index: [] for stream in tracks}
            for packet in container.demux(tracks):
                of_track = shown[packet.stream.index]
                if len(of_track) < _MOST_CUES and packet.pts is not None and packet.time_base is not None:
                    begins_s = float(packet.pts * packet.time_base) - start_s
                    lasts_s = float(packet.duration * packet.time_base) if packet.duration else None
                    of_track.append((begins_s, lasts_s, _spoken(packet)))
            best = max(tracks, key=lambda stream: _worth(stream, shown[stream.index])).index
    except (av.FFmpegError, OSError, ValueError):
        return []
    return _in_order(_closed(shown[best]))


def _spoken(packet: Packet[Any]) -> str:
    """The text of a subtitle packet; empty for one that holds a picture or cannot be read."""
    import av  # noqa: PLC0415

    try:
        parts = [
            part.dialogue for part in packet.decode() if isinstance(part, av.subtitles.subtitle.AssSubtitle)
        ]
    except av.FFmpegError:
        return ""
    return _plain(" ".join(part.decode("utf-8", errors="replace") for part in parts))


def _worth(
    stream: SubtitleStream, shown: Sequence[tuple[float, float | None, str]]
) -> tuple[bool, bool, int]:
    """Text before pictures, then the default track, then the one with the most text."""
    characters = sum(len(text) for _, _, text in shown)
    return characters > 0, bool(stream.disposition & 1), characters


def _closed(shown: Sequence[tuple[float, float | None, str]]) -> Iterator[Cue]:
    """Cues with an end: one that names none lasts until the next packet begins."""
    ordered = sorted(shown, key=lambda cue: cue[0])
    for at, (begins_s, lasts_s, text) in enumerate(ordered):
        following_s = ordered[at + 1][0] if at + 1 < len(ordered) else begins_s + _LAST_CUE_S
        ends_s = begins_s + lasts_s if lasts_s else following_s
        if text and ends_s > max(0.0, begins_s):
            yield Cue(max(0.0, begins_s), ends_s, text)
