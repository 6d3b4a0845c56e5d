"""Text tracking: follows the lines of text in the picture through time.

    lines.update(readings, looked_at, time_s)   # after a look: the lines that were read
    lines.findings(span)                        # the lines visible in a moment, and the text typed in it

A line continues when it is read again in the same place, or with the same words in another place
(scrolled, zoomed). A line that grows at its end is one line that is being typed. When similar words
appear in the same place (a clock, an edited item), a new version of the line starts. A moment keeps the
first version and the last two of a place. The tracker gets texts with boxes, and reads no picture itself.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from rapidfuzz import fuzz

from ...common.box_geometry import overlap_along
from ...memory.values import Box, Finding, Span

_ALIKE = 80.0  # rapidfuzz ratio from which two texts at one place are versions of each other
_FLICKER_S = 1.0
_TYPING_PAUSE_S = 4.0
_LEAST_GROWTHS = 2
_MOST_STEPS = 256
_MOST_ENDED = 4096
_VERSIONS_KEPT = 3

_DIGITS = re.compile(r"\d+")

# Characters that OCR confuses, folded before texts are compared.
_FOLDED = str.maketrans(
    {"0": "o", "1": "l", "|": "l", "i": "l", "!": "l", "’": "'", "‘": "'", "`": "'", "“": '"', "”": '"'}
    | {"（": "(", "）": ")", "：": ":", "，": ",", "。": ".", "；": ";", "？": "?", "！": "l"}
    | {"—": "-", "–": "-"}
)


@dataclass(frozen=True, slots=True)
class TextReading:
    """A line as it was read once."""

    text: str
    confidence: float
    box: Box
    since_s: float
    """The time since which its place has looked as it does."""


@dataclass(slots=True)
class TrackedText:
    """One version of a line, from its appearance to its end."""

    place: int
    """The number of the line that it is a version of."""
    confidence: float
    box: Box
    start_s: float
    end_s: float | None = None
    """When it disappeared; None while it is visible."""
    steps: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    """Its texts, each with its start time; more than one where it was typed."""
    typed_from_s: float = 0.0
    typed_to_s: float = 0.0
    growths: int = 0

    @property
    def text(self) -> str:
        """Its present text."""
        return self.steps[-1][1]

    def text_by(self, time_s: float) -> str:
        """Its text just before ``time_s``."""
        latest = self.steps[0][1]
        for since_s, text in self.steps:
            if since_s >= time_s:
                break
            latest = text
        return latest

    def within(self, span: Span) -> Span | None:
        """The part of ``span`` in which it was visible."""
        end_s = span.end_s if self.end_s is None else self.end_s
        return Span(self.start_s, max(self.start_s, end_s)).clipped_to(span)


class TextTracker:
    """The lines of one stream that are visible now, and those that a later moment may still report."""

    def __init__(self, written_by: str) -> None:
        self._written_by = written_by
        self._ended: deque[TrackedText] = deque(maxlen=_MOST_ENDED)
        self._places = 0
        self._lock = threading.Lock()  # live streams are read on one thread, and reported on another
        self.visible: list[TrackedText] = []
        """The lines that are visible now."""

    def update(
        self,
        readings: Sequence[TextReading],
        looked_at: Sequence[tuple[TrackedText, float | None]],
        time_s: float,
    ) -> list[Box]:
        """Take the lines that were read, and return the boxes of the new ones.

        ``looked_at`` are the tracked lines whose place was read, each with the time at which it ended if it was
        not read again. With None, its place has not changed, so the line stays.
        """
        with self._lock:
            return self._update(readings, looked_at, time_s)

    def _update(
        self,
        readings: Sequence[TextReading],
        looked_at: Sequence[tuple[TrackedText, float | None]],
        time_s: float,
    ) -> list[Box]:
        pending = {id(line): (line, gone_s) for line, gone_s in looked_at}
        changed_readings = self._match_unchanged(readings, pending)
        new_boxes: list[Box] = []
        for reading in changed_readings:
            is_partial = any(
                gone_s is None and _covers(line.box, reading.box) for line, gone_s in pending.values()
            )
            if is_partial:
                continue  # another reading of a place that has not changed
            same_place = [line for line, _ in pending.values() if _is_same_place(line.box, reading.box)]
            line = max(same_place, key=lambda line: fuzz.ratio(line.text, reading.text), default=None)
            if line is not None and self._continues(line, reading, time_s):
                del pending[id(line)]
                new_boxes.append(reading.box)
            elif not self._revive(reading, time_s):
                self._start(reading, line)
                new_boxes.append(reading.box)
        for line, gone_s in pending.values():
            if gone_s is not None:
                self._end(line, gone_s)
                new_boxes.append(line.box)
        return new_boxes

    def _match_unchanged(
        self, readings: Sequence[TextReading], pending: dict[int, tuple[TrackedText, float | None]]
    ) -> list[TextReading]:
        """Match readings with the pending lines of the same text, which are removed; return the other readings."""
        unmatched: list[TextReading] = []
        for reading in readings:
            line = _nearest(
                reading, [line for line, _ in pending.values() if _is_same_text(line.text, reading.text)]
            )
            if line is None:
                unmatched.append(reading)
                continue
            del pending[id(line)]
            line.box = reading.box
            if reading.confidence > line.confidence:
                line.confidence = reading.confidence
                line.steps[-1] = line.steps[-1][0], reading.text
        return unmatched

    def end_all(self, time_s: float) -> None:
        """End every line at ``time_s``, where the shot ended."""
        with self._lock:
            for line in list(self.visible):
                self._end(line, time_s)

    def findings(self, span: Span) -> list[Finding]:
        """The lines in ``span``, in reading order, and the text typed in it. Lines that ended in it are dropped."""
        with self._lock:
            return self._findings(span)

    def _findings(self, span: Span) -> list[Finding]:
        findings = []
        for line, visible_span in self._kept_versions(span):
            text = line.text_by(span.end_s)
            finding = partial(Finding, written_by=self._written_by, confidence=line.confidence, box=line.box)
            first = {"first_s": round(line.start_s, 3)}
            findings.append(finding("visible_text", "line", text, visible_span, detail=first))
            typed_span = Span(line.typed_from_s, line.typed_to_s).clipped_to(span)
            if line.growths >= _LEAST_GROWTHS and typed_span is not None:
                sentence = f'the text "{text}" is typed'
                findings.append(finding("action", "typed", sentence, typed_span, detail={"text": text}))
        self._ended = deque((line for line in self._ended if (line.end_s or 0.0) > span.end_s), _MOST_ENDED)
        for line in self.visible:
            while len(line.steps) > 1 and line.steps[1][0] < span.end_s:
                line.steps.popleft()
        return sorted(findings, key=lambda finding: (finding.span, *_reading_position(finding.box)))

    def _kept_versions(self, span: Span) -> Iterable[tuple[TrackedText, Span]]:
        versions: dict[int, list[tuple[TrackedText, Span]]] = {}
        for line in (*self._ended, *self.visible):
            visible_span = line.within(span)
            if visible_span is not None:
                versions.setdefault(line.place, []).append((line, visible_span))
        for of_place in versions.values():
            of_place.sort(key=lambda version: version[1])
            if len(of_place) > _VERSIONS_KEPT:
                del of_place[1 : 1 - _VERSIONS_KEPT]
            yield from of_place

    def _continues(self, line: TrackedText, reading: TextReading, time_s: float) -> bool:
        """Whether ``reading`` is ``line`` after it grew, was corrected while typed, or was misread."""
        # Only letters are compared: marks before a line and a cursor behind it are read unreliably.
        new, old = _letters(reading.text), _letters(line.text)
        has_grown = len(new) > len(old) and _begins_alike(new, old) and _same_start(line.box, reading.box)
        is_typing = line.growths > 0 and time_s - line.typed_to_s <= _TYPING_PAUSE_S
        if has_grown:
            if not is_typing:
                is_recent = reading.since_s - line.start_s <= _TYPING_PAUSE_S
                line.typed_from_s = line.start_s if is_recent else reading.since_s
                line.growths = 0
            line.growths += 1
            # The time of a reading may be before the line was first read.
            line.typed_to_s = max(line.typed_from_s, reading.since_s)
        elif is_typing and _begins_alike(old, new) and _same_start(line.box, reading.box):
            line.typed_to_s = max(line.typed_from_s, reading.since_s)
        elif reading.confidence < line.confidence - 0.1 and fuzz.ratio(new, old) >= _ALIKE:
            line.box = reading.box
            return True
        else:
            return False
        line.steps.append((reading.since_s, reading.text))
        line.confidence, line.box = reading.confidence, reading.box
        return True

    def _revive(self, reading: TextReading, time_s: float) -> bool:
        """Continue a line that the previous look only missed; whether ``reading`` is one."""
        for line in reversed(self._ended):
            if line.end_s is None or line.end_s < time_s - _FLICKER_S:
                break
            if _is_same_text(line.text, reading.text) and _is_same_place(line.box, reading.box):
                self._ended.remove(line)
                line.end_s, line.box = None, reading.box
                self.visible.append(line)
                return True
        return False

    def _start(self, reading: TextReading, before: TrackedText | None) -> None:
        if before is not None and _is_version(before.text, reading.text):
            place = before.place
        else:
            self._places += 1
            place = self._places
        line = TrackedText(place, reading.confidence, reading.box, reading.since_s)
        line.steps.append((reading.since_s, reading.text))
        self.visible.append(line)

    def _end(self, line: TrackedText, time_s: float) -> None:
        self.visible.remove(line)
        line.end_s = max(line.start_s, time_s)
        self._ended.append(line)


def _folded(text: str) -> str:
    return "".join(text.casefold().split()).translate(_FOLDED)


def _letters(text: str) -> str:
    return "".join(character for character in _folded(text) if character.isalnum())


def _is_same_text(first: str, second: str) -> bool:
    return _folded(first) == _folded(second)


def _is_version(before: str, after: str) -> bool:
    """Whether an edit, or a counter, may have changed one text into the other."""
    if fuzz.ratio(_folded(before), _folded(after)) >= _ALIKE:
        return True
    return _DIGITS.sub("#", before) == _DIGITS.sub("#", after)


def _begins_alike(long: str, short: str) -> bool:
    """Whether ``long`` starts like ``short``, except for the last character, which a cursor may cover."""
    if len(short) < 3:
        return long.startswith(short)
    if len(short) >= 8 and long.startswith(short[: len(short) // 2]):
        return fuzz.ratio(long[: len(short)], short) >= 90
    return long.startswith(short[:-1])


def _same_start(first: Box, second: Box) -> bool:
    height = max(first[3] - first[1], second[3] - second[1])
    return abs(first[0] - second[0]) <= height and _is_same_row(first, second)


def _is_same_row(first: Box, second: Box) -> bool:
    least_height = min(first[3] - first[1], second[3] - second[1])
    return overlap_along(first, second, 1) > 0.5 * least_height


def _is_same_place(first: Box, second: Box) -> bool:
    least_width = min(first[2] - first[0], second[2] - second[0])
    return _is_same_row(first, second) and overlap_along(first, second, 0) > 0.5 * least_width


def _covers(first: Box, second: Box) -> bool:
    """Whether most of ``second`` lies in ``first``."""
    return _is_same_row(first, second) and overlap_along(first, second, 0) > 0.8 * (second[2] - second[0])


def _nearest(reading: TextReading, lines: Sequence[TrackedText]) -> TrackedText | None:
    return min(
        lines,
        key=lambda line: abs(line.box[0] - reading.box[0]) + abs(line.box[1] - reading.box[1]),
        default=None,
    )


def _reading_position(box: Box | None) -> tuple[float, float]:
    """Row, then column. Rows are as fine as small print on a screen."""
    return (round((box[1] + box[3]) * 32), box[0]) if box else (0, 0.0)
