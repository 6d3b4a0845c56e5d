"""Subtitle observer: speech from a text track inside the video file, or from a file beside it.

    observer = SubtitleObserver(load_cues(Path("talk.mp4")))   # talk.srt, talk.en.vtt, or its own track
    observer.findings(Span(4.0, 9.0))                          # speech/subtitle

It reads SubRip, WebVTT and SubStation Alpha, in Unicode and older code pages. A broken file gives the cues that
can be parsed and never an error, because the video is worth watching without subtitles. A file in an unknown
encoding gives none, and a warning in the log: garbled text must not be remembered as speech. The number of cues
is bounded, in a file and in a moment. It knows nothing of sound. Subtitles that are
drawn into the picture are read by the text observer.

pysubs2 reads SubStation Alpha. SubRip and WebVTT are read here: pysubs2 takes WebVTT comments and cue
identifiers for speech, and its time grows with the square of the number of blank lines in a hostile file.
"""

from __future__ import annotations

import html
import logging
import os
import re
import stat
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Finding, Span
from ..sources.frame import Frame
from ..sources.subtitle_reader import TextEvent, TextTrack, read_text_tracks
from ..sources.subtitle_server import MAX_EVENTS, MAX_LINE_CHARACTERS
from .subtitle_encoding import decode_unicode, find_code_page

log = logging.getLogger(__name__)

_MAX_BYTES = 4 * 1024 * 1024
_MAX_CUES_IN_MOMENT = 40
_MAX_CHARACTERS = 2_000
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
        self._has_warned = False

    def push(self, frame: Frame) -> None:
        """Do nothing: frames carry no subtitles."""

    def cut(self, time_s: float) -> None:
        """Do nothing: a cue may go on across a cut."""

    def findings(self, span: Span) -> list[Finding]:
        """The cues shown in ``span``, each clipped to it. Of more than can be spoken in it, only the first ones."""
        findings: list[Finding] = []
        # Every cue before this index ends before the span begins.
        for cue in self._cues[bisect_left(self._latest_end_s, span.start_s) :]:
            if cue.start_s >= span.end_s:
                break
            if len(findings) == _MAX_CUES_IN_MOMENT:
                self._warn(span)
                break
            shown_span = Span(cue.start_s, cue.end_s).clipped_to(span)
            if shown_span is not None:
                findings.append(Finding("speech", "subtitle", cue.text, shown_span, self.written_by))
        return findings

    def _warn(self, span: Span) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "more than %d subtitles are shown around %.0f s; only the first ones are remembered here and "
                "wherever else there are too many",
                _MAX_CUES_IN_MOMENT,
                span.start_s,
            )


def load_cues(path: Path) -> list[Cue]:
    """The subtitles of the video file at ``path`` in time order, or an empty list.

    A file beside it goes first: ``name.srt``, ``name.vtt``, ``name.ass``, ``name.ssa``, then ``name.en.srt``
    and other languages by name. Without one, it is the text track inside that is marked default, or the
    track with the most text. Never raises for subtitles that are broken or unreadable.
    """
    for sidecar, language in _sidecars(path):
        cues = read_cues(sidecar, language=language)
        if cues:
            return cues
    return _track_cues(path)


def read_cues(path: Path, *, language: str = "") -> list[Cue]:
    """The cues of one SubRip, WebVTT or SubStation Alpha file. A broken file gives those that can be parsed.

    Reads at most the first 4 MiB of a file, and at most 30,000 cues. ``language`` helps to tell code pages apart.
    """
    data = _read_file(path)
    is_substation = path.suffix.lower() in _SUBSTATION_SUFFIXES
    text = decode_unicode(data)
    if text is None:
        # Only what is spoken is judged: the rest of a broken file may be anything.
        spoken = " ".join(cue.text for cue in _parse(data.decode("latin-1"), is_substation=is_substation))
        sample = spoken.encode("latin-1", errors="ignore")
        code_page = "latin-1" if sample.isascii() else find_code_page(sample, language=language)
        if code_page is None:
            log.warning(
                "the subtitles in %s are ignored: their text encoding is unknown. Save them as UTF-8.",
                path.name,
            )
            return []
        text = data.decode(code_page, errors="replace")
    return sorted(set(_parse(text, is_substation=is_substation)))


def _parse(text: str, *, is_substation: bool) -> Iterator[Cue]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").split("\n")
    return _parse_substation(lines) if is_substation else _parse_timed_text(lines)


def _read_file(path: Path) -> bytes:
    """The first ``_MAX_BYTES`` of an ordinary file. Empty for anything else: reading a pipe would never end."""
    try:
        # Non-blocking where the platform has it: to open a pipe without a writer would wait for one.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            return file.read(_MAX_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""


def _sidecars(path: Path) -> list[tuple[Path, str]]:
    """The subtitle files beside a video, the best first, each with the language in its name."""
    try:
        candidates = [entry for entry in path.parent.iterdir() if entry.suffix.lower() in _SIDECAR_SUFFIXES]
    except OSError:
        return []
    same_stem = [(sidecar, "") for sidecar in candidates if sidecar.stem == path.stem]
    same_stem.sort(key=lambda pair: _SIDECAR_SUFFIXES.index(pair[0].suffix.lower()))
    # "name.en.srt": only a language may follow the name, so that "name.part2.srt" is not taken.
    by_language = [(sidecar, _language(path, sidecar)) for sidecar in candidates]
    by_language = [(sidecar, language) for sidecar, language in by_language if language]
    by_language.sort(key=lambda pair: (not pair[1].startswith("en"), pair[0].name))
    return [*same_stem, *by_language]


def _language(video: Path, sidecar: Path) -> str:
    """The language that the sidecar's name adds to the video's name, or an empty string."""
    tag = sidecar.stem.removeprefix(f"{video.stem}.").lower()
    return tag if tag != sidecar.stem.lower() and _LANGUAGE.fullmatch(tag) else ""


def _parse_timed_text(lines: Sequence[str]) -> Iterator[Cue]:
    """Parse SubRip or WebVTT: a line with two times, then text up to an empty line."""
    position, count = 0, 0
    while position < len(lines) and count < MAX_EVENTS:
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
        if count >= MAX_EVENTS or not line.startswith("Dialogue:"):
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

    fragments = parse_tags(text[:MAX_LINE_CHARACTERS])
    return _plain_text("".join(fragment for fragment, style in fragments if not style.drawing))


def _plain_text(text: str) -> str:
    """``text`` without markup, on one line."""
    text = _TAG.sub("", _BREAK.sub(" ", text))
    return " ".join(html.unescape(text).split())[:_MAX_CHARACTERS]


def _track_cues(path: Path) -> list[Cue]:
    """The cues of the best text track inside the file."""
    tracks = [(track.is_default, _cues_of(track)) for track in read_text_tracks(path)]
    # The default track, then the one with the most text. A track of pictures has none.
    tracks = [(is_default, cues) for is_default, cues in tracks if cues]
    if not tracks:
        return []
    return max(tracks, key=lambda track: (track[0], sum(len(cue.text) for cue in track[1])))[1]


def _cues_of(track: TextTrack) -> list[Cue]:
    """The cues of a track. A cue without a duration lasts until the next one begins."""
    return sorted(set(_with_ends(sorted(track.events, key=lambda event: event.start_s))))


def _with_ends(events: Sequence[TextEvent]) -> Iterator[Cue]:
    for index, event in enumerate(events):
        text = _plain_text(_dialogue_text(event.text))
        next_s = events[index + 1].start_s if index + 1 < len(events) else event.start_s + _LAST_CUE_S
        end_s = event.start_s + event.duration_s if event.duration_s else next_s
        if text and end_s > max(0.0, event.start_s):
            yield Cue(max(0.0, event.start_s), end_s, text)
