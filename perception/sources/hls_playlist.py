"""HLS playlist: what its text says, and a watcher that notes when a server lists a segment.

    newest_segment(text)                    # 1207, the number of the newest segment; None for a master playlist
    first_variant(text)                     # "720p/index.m3u8" of a master playlist

    watcher = PlaylistWatcher(read_text, url)
    times = SegmentTimes()
    times.note_key_frame(received_s, media_s, watcher.listings_s)
    times.offered_s(received_s)             # when the segment that was received then was listed

A player asks for the playlist once for each segment, at a phase of its own. So a segment of ten seconds may come ten
seconds late, and nothing in it tells. The watcher asks five times a second, around the time at which the next segment
is due.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from urllib.parse import urljoin

_EVERY_S = 0.2
_IDLE_SHARE = 0.8
"""The share of the time between two listings in which the watcher does not ask."""
_NEAR = 0.3
"""A listing belongs to a segment if it is within this share of the usual time between listings from when it is due."""
_LONGEST_STEPS = 10.0
"""Media time that goes back, or ahead by more segments than this, counts from elsewhere."""
_LOST = 3.0
"""A player that is so many segments late is not followed. The newest listing is taken."""
_SHORTEST_S = 1.0
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


class SegmentTimes:
    """Finds the listing of each segment that is received. It reads no clock.

    Segments are listed as far apart as their media is long. That tells which listing belongs to a segment, also
    where the player is so late that the next one is listed already, or so early that the watcher has not seen it.
    """

    def __init__(self) -> None:
        self._segments: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        """From when to when the packets of each segment are received, and when it was offered."""
        self._anchor: tuple[float, float] | None = None
        """The listing and the media time of a segment that is known."""

    def note_key_frame(self, received_s: float, media_s: float, listings_s: Sequence[float]) -> None:
        """Take a key frame, which may begin a segment."""
        past_s = [listed_s for listed_s in listings_s if listed_s <= received_s]
        if not past_s:
            return
        if self._anchor is None:
            self._begin(received_s, past_s[-1], media_s, _SHORTEST_S)
            return
        listed_s, anchor_s = self._anchor
        step_s = media_s - anchor_s
        interval_s = median(later - earlier for earlier, later in pairwise(past_s)) if past_s[1:] else step_s
        if not 0.0 <= step_s <= _LONGEST_STEPS * interval_s:
            step_s = interval_s  # the clock begins anew with the next segment
        if step_s < (1.0 - _NEAR) * interval_s:
            return  # in the middle of a segment
        due_s, near_s = listed_s + step_s, _NEAR * interval_s
        listed = [time_s for time_s in past_s if abs(time_s - due_s) <= near_s]
        if listed:
            self._begin(received_s, listed[-1], media_s, interval_s)
        elif abs(received_s - due_s) <= near_s:
            # The player has seen it before the watcher.
            self._begin(received_s, received_s, media_s, interval_s)
        elif received_s - due_s > _LOST * interval_s:
            self._begin(received_s, past_s[-1], media_s, interval_s)

    def offered_s(self, received_s: float) -> float:
        """When what was received at ``received_s`` was offered, as far as that is known."""
        for began_s, until_s, offered_s in reversed(tuple(self._segments)):
            if began_s <= received_s:
                return offered_s if received_s <= until_s else received_s
        return received_s

    def _begin(self, received_s: float, offered_s: float, media_s: float, interval_s: float) -> None:
        until_s = received_s + max(_SHORTEST_S, interval_s) / 2
        self._segments.append((received_s, until_s, offered_s))
        self._anchor = (offered_s, media_s)


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

    @property
    def listings_s(self) -> tuple[float, ...]:
        """When segments were listed, in monotonic seconds."""
        return tuple(self._listings_s)

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
