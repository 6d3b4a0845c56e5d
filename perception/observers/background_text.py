"""Background text reading: reads the text of live streams on a thread of its own, so that no frame waits for it.

    observer = BackgroundTextObserver()
    observer.push(frame)                 # returns at once
    observer.findings(span)              # what was read by now
    observer.has_read(span)              # False if part of it was not read in time

Reading a picture may take longer than a second. One thread reads for all streams of a process in turn, and of each
stream the newest picture. Files are read by ``TextObserver`` itself, where watching waits for it.
"""

from __future__ import annotations

import math
import threading
from collections import deque

from ...memory.values import Finding, Span
from ..sources.frame import Frame
from .text_observer import TextObserver

_LONGEST_UNREAD_S = 1.0
"""Text that is visible for longer than this is read, if pictures no further apart are."""


class BackgroundTextObserver:
    """Reads the text in the picture of one live stream."""

    written_by = TextObserver.written_by
    finding_kinds = TextObserver.finding_kinds

    def __init__(self, reader: TextObserver | None = None) -> None:
        self._reader = reader or TextObserver()
        self._lock = threading.Lock()
        self._waiting: deque[Frame | float] = deque()
        """Pictures to read, and the times of cuts between them."""
        self._reading_s: float | None = None
        self._read_s: float | None = None
        self._skipped_s = -math.inf
        """The time of the newest picture that another one replaced."""
        self._unread: deque[Span] = deque(maxlen=256)
        self._error: Exception | None = None

    def push(self, frame: Frame) -> None:
        """Have a picture read, instead of the one that still waits."""
        with self._lock:
            if self._waiting and isinstance(self._waiting[-1], Frame):
                self._skipped_s = self._waiting[-1].time_s
                self._waiting.pop()
            self._waiting.append(frame)
        self._raise_error()
        _READING_THREAD.notify(self)

    def cut(self, time_s: float) -> None:
        """End all lines with the shot, after the pictures before it are read."""
        with self._lock:
            self._waiting.append(time_s)
        _READING_THREAD.notify(self)

    def findings(self, span: Span) -> list[Finding]:
        """The text read so far in ``span``."""
        self._raise_error()
        return self._reader.findings(span)

    def has_read(self, span: Span) -> bool:
        """Whether the pictures of ``span`` have been read, except such as the next one replaced soon after."""
        with self._lock:
            times_s = [item.time_s for item in self._waiting if isinstance(item, Frame)]
            if self._reading_s is not None:
                times_s.append(self._reading_s)
            is_late = any(time_s < span.end_s for time_s in times_s)
            return not is_late and not any(unread.overlaps(span) for unread in self._unread)

    def read_next(self) -> bool:
        """Read what waits longest, on the reading thread. Returns whether more waits."""
        with self._lock:
            item = self._waiting.popleft() if self._waiting else None
            self._reading_s = item.time_s if isinstance(item, Frame) else None
        try:
            if isinstance(item, Frame):
                self._reader.push(item)
                self._note_read(item.time_s)
            elif item is not None:
                self._reader.cut(item)
                self._read_s = None
        except Exception as error:  # raised again on the thread that watches
            self._error = error
        with self._lock:
            self._reading_s = None
            return bool(self._waiting)

    def _note_read(self, time_s: float) -> None:
        with self._lock:
            last_s, self._read_s = self._read_s, time_s
            if last_s is not None and last_s < self._skipped_s < time_s > last_s + _LONGEST_UNREAD_S:
                self._unread.append(Span(last_s, time_s))

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class _ReadingThread:
    """The thread that reads for all observers of a process, in turn. It starts with the first picture."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_turn: deque[BackgroundTextObserver] = deque()
        self._thread: threading.Thread | None = None

    def notify(self, observer: BackgroundTextObserver) -> None:
        """Read what waits at this observer, when it is its turn."""
        with self._changed:
            if observer not in self._in_turn:
                self._in_turn.append(observer)
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="text reading", daemon=True)
                self._thread.start()

    def _read(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._in_turn)
                observer = self._in_turn.popleft()
            if observer.read_next():
                self.notify(observer)
            del observer  # an observer that is no longer used is not kept


_READING_THREAD = _ReadingThread()
