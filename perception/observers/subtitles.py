"""Subtitle observer: speech from a text track inside the video file, or from a file beside it.

    observer = SubtitleObserver(load_cues(Path("talk.mp4")))   # talk.srt, talk.en.vtt, or its own track
    observer.findings(Span(4.0, 9.0))                          # speech/subtitle

It reads SubRip, WebVTT and SubStation Alpha. A broken file gives the cues that can be parsed and never an
error, because the video is worth watching without subtitles. It knows nothing of sound. Subtitles that are
drawn into the picture are read by the text observer.

pysubs2 reads SubStation Alpha. SubRip and WebVTT are read here: pysubs2 takes WebVTT comments and cue
identifiers for speech, and its time grows with the square of the number of blank lines in a hostile file.
"""

from __future__ import annotations

import html
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
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

_MAX_BYTES = 16 * 1024 * 1024
_MAX_CUES = 100_000
_MAX_CHARACTERS = 2_000
_MAX_MARKED_UP_CHARACTERS = 4_000
"""Of a SubStation Alpha line with its override tags. pysubs2 takes quadratic time for many tags."""
_SUBSTATION_SUFFIXES = (".ass", ".ssa")
_SIDECAR_SUFFIXES = (".srt", ".vtt", *_SUBSTATION_SUFFIXES)
_LAST_CUE_S = 5.0
"""How long a cue without an end is shown if no other follows, in seconds."""

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
_TIMING = re.compile(rf"^\s*{_CLOCK}\s*-+>\s*{_CLOCK}(?:\s.*)?$")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
_BREAK = re.compile(r"<br\s*/?>|\\[Nn]|\\h", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w{2,8})*")
_NOT_SPOKEN = ("NOTE", "STYLE", "REGION")
"""How the comments and style sheets of WebVTT begin."""


@dataclass(frozen=True, slots=True, order=True)
class Cue:
    """One subtitle, in stream time."""

    start_s: float
    end_s: float
    text: str
    """Without markup, on one line."""


class SubtitleObserver:
    """Reports the cues of a span. It gets all cues at construction and ignores the frames."""

    written_by = "subtitles/1"
    finding_kinds = builtin_kinds("subtitle")

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._cues = sorted(cues)
        self._latest_end_s = list(accumulate((cue.end_s for cue in self._cues), max))

    def push(self, frame: Frame) -> None:
        """Do nothing: frames carry no subtitles."""

    def cut(self, time_s: float) -> None:
        """Do nothing: a cue may go on across a cut."""

    def findings(self, span: Span) -> list[Finding]:
        """The cues shown in ``span``, each clipped to it."""
        findings = []
        # Every cue before this index ends before the span begins.
        for cue in self._cues[bisect_left(self._latest_end_s, span.start_s) :]:
            if cue.start_s >= span.end_s:
                break
            shown_span = Span(cue.start_s, cue.end_s).clipped_to(span)
            if shown_span is not None:
                findings.append(Finding("speech", "subtitle", cue.text, shown_span, self.written_by))
        return findings


def load_cues(path: Path) -> list[Cue]:
    """The subtitles of the video file at ``path`` in time order, or an empty list.

    A file beside it goes first: ``name.srt``, ``name.vtt``, ``name.ass``, ``name.ssa``, then ``name.en.srt``
    and other languages by name. Without one, it is the text track inside that is marked default, or the
    track with the most text. Never raises for subtitles that are broken or unreadable.
    """
    for sidecar in _sidecars(path):
        cues = read_cues(sidecar)
        if cues:
            return cues
    return _track_cues(path)


def read_cues(path: Path) -> list[Cue]:
    """The cues of one SubRip, WebVTT or SubStation Alpha file. A broken file gives those that can be parsed.

    Reads at most the first 16 MiB of a file, and at most 100,000 cues.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError:
        return []
    lines = _decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").split("\n")
    is_substation = path.suffix.lower() in _SUBSTATION_SUFFIXES
    return _sorted_cues(_parse_substation(lines) if is_substation else _parse_timed_text(lines))


def _sidecars(path: Path) -> list[Path]:
    try:
        candidates = [entry for entry in path.parent.iterdir() if entry.suffix.lower() in _SIDECAR_SUFFIXES]
    except OSError:
        return []
    same_stem = [sidecar for sidecar in candidates if sidecar.stem == path.stem]
    same_stem.sort(key=lambda sidecar: _SIDECAR_SUFFIXES.index(sidecar.suffix.lower()))
    # "name.en.srt": only a language may follow the name, so that "name.part2.srt" is not taken.
    by_language = [(_language(path, sidecar), sidecar) for sidecar in candidates]
    by_language = [(language, sidecar) for language, sidecar in by_language if language]
    by_language.sort(key=lambda pair: (not pair[0].startswith("en"), pair[1].name))
    return [*same_stem, *(sidecar for _, sidecar in by_language)]


def _language(video: Path, sidecar: Path) -> str:
    """The language that the sidecar's name adds to the video's name, or an empty string."""
    tag = sidecar.stem.removeprefix(f"{video.stem}.").lower()
    return tag if tag != sidecar.stem.lower() and _LANGUAGE.fullmatch(tag) else ""


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The limit on the size may have cut a UTF-8 character in two.
        if error.start >= len(data) - 3:
            return data.decode("utf-8-sig", errors="ignore")
        return data.decode("cp1252", errors="replace")


def _parse_timed_text(lines: Sequence[str]) -> Iterator[Cue]:
    """Parse SubRip or WebVTT: a line with two times, then text up to an empty line."""
    position, count = 0, 0
    while position < len(lines) and count < _MAX_CUES:
        timing = _TIMING.match(lines[position])
        if timing is None:
            is_comment = lines[position].startswith(_NOT_SPOKEN)
            position = _end_of_block(lines, position + 1) if is_comment else position + 1
            continue
        end = _end_of_cue(lines, position + 1)
        body = lines[position + 1 : end]
        # Without an empty line between two cues, the number of the second one ends the first.
        if body and end < len(lines) and lines[end].strip() and body[-1].strip().isdigit():
            body = body[:-1]
        position = end
        text = _plain_text(" ".join(body))
        start_s, end_s = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
        if text and end_s > start_s:
            count += 1
            yield Cue(start_s, end_s, text)


def _end_of_block(lines: Sequence[str], start: int) -> int:
    """The index of the first blank line from ``start`` on."""
    return next((index for index in range(start, len(lines)) if not lines[index].strip()), len(lines))


def _end_of_cue(lines: Sequence[str], start: int) -> int:
    """The index of the first line from ``start`` on that is blank or begins another cue."""
    for index in range(start, len(lines)):
        if not lines[index].strip() or _TIMING.match(lines[index]):
            return index
    return len(lines)


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = clock
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def _parse_substation(lines: Iterable[str]) -> Iterator[Cue]:
    """Parse the dialogue of SubStation Alpha. Comments, drawings and lines that make no sense are left out."""
    import pysubs2  # noqa: PLC0415

    count = 0
    for line in lines:
        if count >= _MAX_CUES or not line.startswith("Dialogue:"):
            continue
        # A line of its own each: one that cannot be parsed would cost all others.
        try:
            with warnings.catch_warnings(action="ignore"):
                event = pysubs2.SSAFile.from_string(f"[Events]\n{line}", format_="ass")[0]
        except (ValueError, TypeError, IndexError):
            continue
        text = _dialogue_text(event.text)
        if text and event.end > max(0, event.start):
            count += 1
            yield Cue(max(0, event.start) / 1000, event.end / 1000, text)


def _dialogue_text(text: str) -> str:
    """The words of a SubStation Alpha line, without override tags and drawings."""
    from pysubs2.formats.substation import parse_tags  # noqa: PLC0415

    fragments = parse_tags(text[:_MAX_MARKED_UP_CHARACTERS])
    return _plain_text("".join(fragment for fragment, style in fragments if not style.drawing))


def _plain_text(text: str) -> str:
    """``text`` without markup, on one line."""
    text = _TAG.sub("", _BREAK.sub(" ", text))
    return " ".join(html.unescape(text).split())[:_MAX_CHARACTERS]


def _sorted_cues(cues: Iterator[Cue]) -> list[Cue]:
    return sorted(set(cues))


def _track_cues(path: Path) -> list[Cue]:
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
            by_track: dict[int, list[_TrackCue]] = {stream.index: [] for stream in tracks}
            for packet in container.demux(tracks):
                cues = by_track[packet.stream.index]
                if len(cues) < _MAX_CUES and packet.pts is not None and packet.time_base is not None:
                    cue_start_s = float(packet.pts * packet.time_base) - start_s
                    duration_s = float(packet.duration * packet.time_base) if packet.duration else None
                    cues.append(_TrackCue(cue_start_s, duration_s, _packet_text(packet)))
            best = max(tracks, key=lambda stream: _track_rank(stream, by_track[stream.index])).index
    except (av.FFmpegError, OSError, ValueError):
        return []
    return _sorted_cues(_with_ends(by_track[best]))


@dataclass(frozen=True, slots=True)
class _TrackCue:
    """A cue as a track inside a video file stores it."""

    start_s: float
    duration_s: float | None
    text: str


def _packet_text(packet: Packet[Any]) -> str:
    """The text of a subtitle packet. It is empty for a picture and for a packet that cannot be decoded."""
    import av  # noqa: PLC0415

    try:
        events = [
            subtitle.ass
            for subtitle in packet.decode()
            if isinstance(subtitle, av.subtitles.subtitle.AssSubtitle)
        ]
    except av.FFmpegError:
        return ""
    # FFmpeg writes nine fields with commas between; the last one is the text.
    texts = [event.decode("utf-8", errors="replace").split(",", 8)[-1] for event in events]
    return _plain_text(" ".join(map(_dialogue_text, texts)))


def _track_rank(stream: SubtitleStream, cues: Sequence[_TrackCue]) -> tuple[bool, bool, int]:
    """Text before pictures, then the default track, then the track with the most text."""
    characters = sum(len(cue.text) for cue in cues)
    return characters > 0, bool(stream.disposition & 1), characters


def _with_ends(cues: Sequence[_TrackCue]) -> Iterator[Cue]:
    """Give each cue an end. A cue without a duration lasts until the next packet begins."""
    ordered = sorted(cues, key=lambda cue: cue.start_s)
    for index, cue in enumerate(ordered):
        next_start_s = ordered[index + 1].start_s if index + 1 < len(ordered) else cue.start_s + _LAST_CUE_S
        end_s = cue.start_s + cue.duration_s if cue.duration_s else next_start_s
        if cue.text and end_s > max(0.0, cue.start_s):
            yield Cue(max(0.0, cue.start_s), end_s, cue.text)
