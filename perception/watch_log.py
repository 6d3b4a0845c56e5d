"""Watch log: the events of a watch as log records, with repeats collapsed.

    watch_log = WatchLog("door")
    watch_log.note(Disconnected("door", "Connection refused; trying again in 31.2 s"))

Records go to the logger ``recollect.perception.watch_log``. Their attributes ``stream``, ``event`` and ``text`` hold the
parts of the message. Without a logging configuration they are not printed: the SDK has ``on_event``.

A camera that is away for a day is tried thousands of times. Each kind of failure is logged when it first comes in an
outage, and then every ten minutes with the number of repeats.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from .watch_events import (
    Connected,
    Connecting,
    DescriptionsFailed,
    DescriptionsResumed,
    DescriptionsWaiting,
    Disconnected,
    ObserverDisabled,
    RateChanged,
    Stalled,
    WatchEvent,
)

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

_REMIND_S = 600.0
_MOST_KINDS = 64
"""More kinds of lines of one stream are not told apart."""
_MOST_OUTAGES, _OUTAGE_EVERY_S = 20.0, 120.0
"""So many outages in a row are logged one by one, and then one in so many seconds."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

_LEVELS: dict[type[object], int] = {
    Stalled: logging.WARNING,
    Disconnected: logging.WARNING,
    RateChanged: logging.WARNING,
    ObserverDisabled: logging.WARNING,
    DescriptionsWaiting: logging.WARNING,
    DescriptionsFailed: logging.ERROR,
}


def event_text(event: WatchEvent) -> str:
    """An event in a line, without its stream. Empty for those that are not logged."""
    match event:
        case Connecting(detail=detail):
            return f"connecting ({detail})"
        case Connected(detail=detail):
            return f"live ({detail})"
        case Stalled(detail=detail):
            return f"stalled ({detail})"
        case Disconnected(detail=detail):
            return f"disconnected ({detail})"
        case RateChanged(rate=rate, is_full=is_full):
            return "watched at its full rate again" if is_full else f"overloaded, watched at {rate}"
        case ObserverDisabled(observer=observer, reason=reason):
            return f"observer {observer} is disabled ({reason})"
        case DescriptionsWaiting(reason=reason):
            return f"descriptions wait ({reason})"
        case DescriptionsResumed():
            return "descriptions resumed"
        case DescriptionsFailed(error=error):
            return f"describing failed ({error})"
    return ""


class WatchLog:
    """Logs the events of one stream, or of the descriptions of all if ``stream`` is empty."""

    def __init__(self, stream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._lines: dict[str, tuple[float, int]] = {}
        """Of each kind of line: when it was last logged, and how often it came since."""
        self._outages_left, self._counted_s = _MOST_OUTAGES, clock()

    def note(self, event: WatchEvent) -> None:
        """Log an event, unless it only repeats what was logged."""
        text = event_text(event)
        if not text:
            return
        now_s = self._clock()
        if isinstance(event, Connected) and self._may_begin_anew(now_s):
            self._lines.clear()
        repeats = self._repeats(type(event).__name__ + _NUMBER.sub("0", text), now_s)
        if repeats is None:
            return
        if repeats:
            text = f"{text} ({repeats} times since this was last logged)"
        log.log(
            _LEVELS.get(type(event), logging.INFO),
            "%s%s",
            f"{self._stream}: " if self._stream else "",
            text,
            extra={"stream": self._stream, "event": type(event).__name__, "text": text},
        )

    def _repeats(self, kind: str, now_s: float) -> int | None:
        """How often a line of this kind came since it was last logged. None if it is not to be logged now."""
        if kind not in self._lines and len(self._lines) >= _MOST_KINDS:
            kind = ""
        last = self._lines.get(kind)
        if last is not None and now_s - last[0] < _REMIND_S:
            self._lines[kind] = (last[0], last[1] + 1)
            return None
        self._lines[kind] = (now_s, 0)
        return 0 if last is None else last[1]

    def _may_begin_anew(self, now_s: float) -> bool:
        """Whether the lines of the next outage are logged as new. Not for a camera that comes and goes."""
        refilled = self._outages_left + (now_s - self._counted_s) / _OUTAGE_EVERY_S
        self._outages_left, self._counted_s = min(_MOST_OUTAGES, refilled), now_s
        if self._outages_left < 1.0:
            return False
        self._outages_left -= 1.0
        return True
