"""HLS playlist: what its text says, and a watcher that notes when a server lists a segment.

    newest_segment(text)                    # 1207, the number of the newest segment; None for a master playlist
    first_variant(text)                     # "720p/index.m3u8" of a master playlist

    watcher = PlaylistWatcher(read_text, url)
    watcher.listed_s(time.monotonic())      # when the segment that is being received was listed

A player asks for the playlist once for each segment, at a phase of its own. So a segment of ten seconds may come ten
seconds late, and nothing in it tells. The watcher asks five times a second, around the time at which the next segment
is due.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import urljoin

_EVERY_S = 0.2
_IDLE_SHARE = 0.8
"""The share of the time between two listings in which the watcher does not ask."""
_FIRST_S = 1.0
"""Segments are longer than this."""
_KEPT = 64
"""Listings that are remembered."""
_MOST_FAILURES = 5
"""After so many failures in a row the watcher gives up."""
_LONGEST_WAIT_S = 60.0
"""A playlist that lists nothing new for so long is not waited for."""


def newest_segment(text: str) -> int | None:
    """The number of the newest segment of a media playlist. None if it is none, or empty."""
    first, count = 0, 0
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT-X-STREAM-INF"):
            return None
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:") and line.partition(":")[2].isdigit():
            first = int(line.partition(":")[2])
        count += line.startswith("#EXTINF")
    return first + count - 1 if count else None


def first_variant(text: str) -> str | None:
    """The address of the first variant of a master playlist. None if it is none."""
    lines = [line.strip() for line in text.splitlines()]
    for index, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF"):
            return next((uri for uri in lines[index + 1 :] if uri and not uri.startswith("#")), None)
    return None


class PlaylistWatcher:
    """Notes when segments are listed, on a thread of its own."""

    def __init__(self, read: Callable[[str], str], url: str) -> None:
        """``read`` fetches a text, and may raise any error."""
        self._read, self._url = read, url
        self._listings_s: deque[float] = deque(maxlen=_KEPT)
        self._began_s = time.monotonic()
        self._is_closed, self._has_listed = threading.Event(), threading.Event()
        self._has_failed = False
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_waiting(self) -> bool:
        """Whether no segment was listed yet, and one may still be."""
        waited_s = time.monotonic() - self._began_s
        return not (self._listings_s or self._has_failed or waited_s > _LONGEST_WAIT_S)

    def wait(self, longest_s: float) -> None:
        """Wait until a segment is listed."""
        self._has_listed.wait(longest_s)

    def listed_s(self, received_s: float) -> float:
        """When the segment that was received at ``received_s`` was listed, as far as that is known.

        A player may see a segment before the watcher does. So what comes when the next one is due counts from when
        it was received.
        """
        listings_s = tuple(self._listings_s)
        for previous_s, listed_s in reversed(list(pairwise((None, *listings_s)))):
            if listed_s is not None and listed_s <= received_s:
                due_s = _FIRST_S if previous_s is None else _IDLE_SHARE * (listed_s - previous_s)
                return listed_s if received_s - listed_s < due_s else received_s
        return received_s

    def close(self) -> None:
        """Ask no more."""
        self._is_closed.set()

    def _watch(self) -> None:
        newest: int | None = None
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                text = self._read(self._url)
                failures = 0
            except Exception:  # the source itself tells its troubles
                failures += 1
                text = ""
            variant = first_variant(text)
            if variant is not None:
                self._url = urljoin(self._url, variant)
                continue
            number = newest_segment(text)
            pause_s = _EVERY_S
            if number is not None and newest is not None and number != newest:
                pause_s = self._note_listing(time.monotonic())
            newest = newest if number is None else number
            if "#EXT-X-ENDLIST" in text or self._is_closed.wait(pause_s):
                break
        self._has_failed = True

    def _note_listing(self, now_s: float) -> float:
        """Note that a segment is listed. Returns how long no other is due."""
        previous_s = self._listings_s[-1] if self._listings_s else now_s
        self._listings_s.append(now_s)
        self._has_listed.set()
        return max(_EVERY_S, _IDLE_SHARE * (now_s - previous_s))
