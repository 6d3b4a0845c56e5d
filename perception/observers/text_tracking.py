"""The lines of text on a picture, followed through time.

    lines.update(readings, gone, time_s)   # after a look: what was read, what was no longer there
    lines.findings(span)                   # what could be read in a moment, and what was typed

A line that is read again at its place, or with the same words elsewhere (scrolled, zoomed), goes
on. A line that grows at its end is one line that is being typed. A line whose place shows other
words of nearly the same look (a clock, an edited item) starts a new version; of one place, a
moment keeps the first version and the last two.
It knows nothing of pictures and reads nothing itself.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from rapidfuzz import fuzz

from ...memory.values import Box, Finding, Span

_ALIKE = 80.0  # rapidfuzz ratio from which two texts at one place are versions of each other
_FLICKER_S = 1.0
_TYPING_PAUSE_S = 4.0
_LEAST_GROWTHS = 2
_MOST_STEPS = 256
_MOST_ENDED = 4096
_VERSIONS_KEPT = 3

_DIGITS = re.compile(r"\d+")

# Characters that are read for one another, folded before texts are compared.
_FOLDED = str.maketrans(
    {"0": "o", "1": "l", "|": "l", "i": "l", "!": "l", "’": "'", "‘": "'", "`": "'", "“": '"', "”": '"'}
    | {"（": "(", "）": ")", "：": ":", "，": ",", "。": ".", "；": ";", "？": "?", "！": "l"}
    | {"—": "-", "–": "-"}
)


@dataclass(frozen=True, slots=True)
class TextReading:
    """A line as one look read it."""

    text: str
    confidence: float
    box: Box
    since_s: float
    """Since when its place has looked as it does."""


@dataclass(slots=True)
class TrackedText:
    """One version of a line, from when it appeared until it went."""

    place: int
    """Which line it is a version of."""
    confidence: float
    box: Box
    start_s: float
    end_s: float | None = None
    """When it was gone; None while it is there."""
    steps: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))
    """Its text, from when on it read so; more than one while it is typed."""
    typed_from_s: float = 0.0
    typed_to_s: float = 0.0
    growths: int = 0

    @property
    def text(self) -> str:
        """What it says now."""
        return self.steps[-1][1]

    def text_by(self, time_s: float) -> str:
        """What it said just before ``time_s``."""
        said = self.steps[0][1]
        for since_s, text in self.steps:
            if since_s >= time_s:
                break
            said = text
        return said

    def within(self, span: Span) -> Span | None:
        """When it was there in ``span``."""
        end_s = span.end_s if self.end_s is None else self.end_s
        return Span(self.start_s, max(self.start_s, end_s)).clipped_to(span)


class TextTracker:
    """The lines of one stream that are there now, and those a coming moment may still ask for."""

    def __init__(self, written_by: str) -> None:
        self._written_by = written_by
        self._ended: deque[TrackedText] = deque(maxlen=_MOST_ENDED)
        self._places = 0
        self.there: list[TrackedText] = []
        """The lines that are there now."""

    def update(
        self,
        readings: Sequence[TextReading],
        looked_at: Sequence[tuple[TrackedText, float | None]],
        time_s: float,
    ) -> list[Box]:
        """Take what a look read; return the places of what is new.

        ``looked_at`` are the lines whose place was looked at. One that was not read again is
        gone since the time beside it; None is for a line whose place did not change, which stays.
        """
        news: list[Box] = []
        left = {id(line): (line, gone_s) for line, gone_s in looked_at}
        unread: list[TextReading] = []
        for reading in readings:
            same = _nearest(reading, [line for line, _ in left.values() if _same(line.text, reading.text)])
            if same is None:
                unread.append(reading)
                continue
            del left[id(same)]
            same.box = reading.box
            if reading.confidence > same.confidence:
                same.confidence = reading.confidence
                same.steps[-1] = same.steps[-1][0], reading.text
        for reading in unread:
            if any(gone_s is None and _covers(line.box, reading.box) for line, gone_s in left.values()):
                continue  # read differently, or in part, though nothing changed there
            at_place = [line for line, _ in left.values() if _one_place(line.box, reading.box)]
            line = max(at_place, key=lambda line: fuzz.ratio(line.text, reading.text), default=None)
            if line is not None and self._goes_on(line, reading, time_s):
                del left[id(line)]
                news.append(reading.box)
            elif not self._flickered(reading, time_s):
                self._start(reading, line)
                news.append(reading.box)
        for line, gone_s in left.values():
            if gone_s is not None:
                self._end(line, gone_s)
                news.append(line.box)
        return news

    def end_all(self, time_s: float) -> None:
        """Every line is gone: the shot ended at ``time_s``."""
        for line in list(self.there):
            self._end(line, time_s)

    def findings(self, span: Span) -> list[Finding]:
        """What could be read in ``span``, in reading order, and what was typed; forgets what ended in it."""
        found = []
        for line, part in self._kept(span):
            text = line.text_by(span.end_s)
            seen = partial(Finding, written_by=self._written_by, confidence=line.confidence, box=line.box)
            found.append(seen("visible_text", "line", text, part, detail={"first_s": round(line.start_s, 3)}))
            typed = Span(line.typed_from_s, line.typed_to_s).clipped_to(span)
            if line.growths >= _LEAST_GROWTHS and typed is not None:
                said = f'the text "{text}" is typed'
                found.append(seen("action", "typed", said, typed, detail={"text": text}))
        self._ended = deque((line for line in self._ended if (line.end_s or 0.0) > span.end_s), _MOST_ENDED)
        for line in self.there:
            while len(line.steps) > 1 and line.steps[1][0] < span.end_s:
                line.steps.popleft()
        return sorted(found, key=lambda finding: (finding.span, *_reading_place(finding.box)))

    def _kept(self, span: Span) -> Iterable[tuple[TrackedText, Span]]:
        versions: dict[int, list[tuple[TrackedText, Span]]] = {}
        for line in (*self._ended, *self.there):
            part = line.within(span)
            if part is not None:
                versions.setdefault(line.place, []).append((line, part))
        for of_place in versions.values():
            of_place.sort(key=lambda version: version[1])
            if len(of_place) > _VERSIONS_KEPT:
                del of_place[1 : 1 - _VERSIONS_KEPT]
            yield from of_place

    def _goes_on(self, line: TrackedText, reading: TextReading, time_s: float) -> bool:
        """Whether ``reading`` is ``line`` grown, corrected while typed, or read a little differently."""
        # By letters alone, as the marks before a line and the cursor behind it are read unsteadily.
        new, old = _letters(reading.text), _letters(line.text)
        grown = len(new) > len(old) and _begins_alike(new, old) and _same_start(line.box, reading.box)
        typing = line.growths > 0 and time_s - line.typed_to_s <= _TYPING_PAUSE_S
        if grown:
            if not typing:
                fresh = reading.since_s - line.start_s <= _TYPING_PAUSE_S
                line.typed_from_s = line.start_s if fresh else reading.since_s
                line.growths = 0
            line.growths += 1
            # A reading may date from before the line was read for the first time.
            line.typed_to_s = max(line.typed_from_s, reading.since_s)
        elif typing and _begins_alike(old, new) and _same_start(line.box, reading.box):
            line.typed_to_s = max(line.typed_from_s, reading.since_s)
        elif reading.confidence < line.confidence - 0.1 and fuzz.ratio(new, old) >= _ALIKE:
            line.box = reading.box
            return True
        else:
            return False
        line.steps.append((reading.since_s, reading.text))
        line.confidence, line.box = reading.confidence, reading.box
        return True

    def _flickered(self, reading: TextReading, time_s: float) -> bool:
        """Whether ``reading`` is a line that was missed by the look before; it goes on then."""
        for line in reversed(self._ended):
            if line.end_s is None or line.end_s < time_s - _FLICKER_S:
                break
            if _same(line.text, reading.text) and _one_place(line.box, reading.box):
                self._ended.remove(line)
                line.end_s, line.box = None, reading.box
                self.there.append(line)
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
        self.there.append(line)

    def _end(self, line: TrackedText, time_s: float) -> None:
        self.there.remove(line)
        line.end_s = max(line.start_s, time_s)
        self._ended.append(line)


def _folded(text: str) -> str:
    return "".join(text.casefold().split()).translate(_FOLDED)


def _letters(text: str) -> str:
    return "".join(character for character in _folded(text) if character.isalnum())


def _same(one: str, other: str) -> bool:
    return _folded(one) == _folded(other)


def _is_version(one: str, other: str) -> bool:
    """Whether one may have become the other by an edit, or by counting on."""
    if fuzz.ratio(_folded(one), _folded(other)) >= _ALIKE:
        return True
    return _DIGITS.sub("#", one) == _DIGITS.sub("#", other)


def _begins_alike(long: str, short: str) -> bool:
    """Whether ``long`` starts as ``short`` does, up to its last character, which a cursor may blur."""
    if len(short) < 3:
        return long.startswith(short)
    if len(short) >= 8 and long.startswith(short[: len(short) // 2]):
        return fuzz.ratio(long[: len(short)], short) >= 90
    return long.startswith(short[:-1])


def _same_start(one: Box, other: Box) -> bool:
    height = max(one[3] - one[1], other[3] - other[1])
    return abs(one[0] - other[0]) <= height and _side_by_side(one, other)


def _side_by_side(one: Box, other: Box) -> bool:
    """Whether they stand on one row."""
    common = min(one[3], other[3]) - max(one[1], other[1])
    return common > 0.5 * min(one[3] - one[1], other[3] - other[1])


def _one_place(one: Box, other: Box) -> bool:
    common = min(one[2], other[2]) - max(one[0], other[0])
    return _side_by_side(one, other) and common > 0.5 * min(one[2] - one[0], other[2] - other[0])


def _covers(one: Box, other: Box) -> bool:
    """Whether most of ``other`` lies in ``one``."""
    common = min(one[2], other[2]) - max(one[0], other[0])
    return _side_by_side(one, other) and common > 0.8 * (other[2] - other[0])


def _nearest(reading: TextReading, lines: Sequence[TrackedText]) -> TrackedText | None:
    return min(
        lines,
        key=lambda line: abs(line.box[0] - reading.box[0]) + abs(line.box[1] - reading.box[1]),
        default=None,
    )


def _reading_place(box: Box | None) -> tuple[float, float]:
    """Row, then column, with rows as fine as small print on a screen."""
    return (round((box[1] + box[3]) * 32), box[0]) if box else (0, 0.0)
