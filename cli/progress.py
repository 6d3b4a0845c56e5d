"""Progress bars for watching, one for each source, and a clean stop on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..common.clock_times import format_time
from ..common.terminal import print_json_line
from ..perception.sources.urls import redact
from ..perception.watch_events import (
    Connected,
    Connecting,
    DescriptionsFailed,
    DescriptionsResumed,
    DescriptionsWaiting,
    Disconnected,
    ObserverDisabled,
    OnEvent,
    Progress,
    RateChanged,
    Stalled,
    WatchEvent,
)
from ..serialization import plain_fields

if TYPE_CHECKING:
    from ..client import Recollect
    from ..perception.watch_events import WatchReport
    from ..perception.watch_options import WatchOptions


class WatchDisplay:
    """A progress bar for each source on standard error, with lines above it for what happens. Use it as a context."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        """With ``as_json``, print each event as a line of JSON on standard output instead."""
        from . import rich_output as rich  # noqa: PLC0415

        quiet = quiet or as_json
        self._quiet = quiet
        self._as_json = as_json
        self._rich = rich
        self._bar = rich.progress_bar(
            rich.SafeColumn("{task.description}"),
            rich.BarColumn(),
            rich.SafeColumn(
                "{task.fields[at]}  {task.fields[speed]}  {task.fields[moments]} moments{task.fields[waiting]}"
            ),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
            quiet=quiet,
        )
        self._describing_line = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def handler(self, source: str, stream: str | None = None) -> OnEvent:
        """Add a bar for ``source`` and return the event handler that updates it.

        ``stream`` is the name that the user gave the stream. Without one, the bar shows the last part of the source.
        """
        if self._as_json:
            return _print_event
        address = redact(source)
        shown = stream or address.rpartition("/")[2] or address
        task = self._bar.add_task(shown, total=None, at="", speed="", moments=0, waiting="")

        def show(event: WatchEvent) -> None:
            if isinstance(event, Progress):
                total = f" of {format_time(event.duration_s)}" if event.duration_s else ""
                self._bar.update(
                    task,
                    completed=event.time_s,
                    total=event.duration_s,
                    at=f"{format_time(event.time_s)}{total}",
                    speed=f"{event.speed:.1f}× real time",
                    moments=event.moments,
                    waiting=f", {event.waiting} to describe" if event.waiting else "",
                )
            elif line := event_line(event):
                self._print(getattr(event, "stream", None), line)

        return show

    def _print(self, stream: str | None, line: str) -> None:
        """Print a line about a stream, or about the descriptions of all streams if ``stream`` is None."""
        if self._quiet:
            return
        if stream is not None:
            self._rich.print_above(self._bar.console, f"{stream}: {line}")
        elif line != self._describing_line:
            # Every watch hears of the descriptions of all streams: printed once.
            self._describing_line = line
            self._rich.print_above(self._bar.console, line)


def _print_event(event: WatchEvent) -> None:
    print_json_line({"event": type(event).__name__, **plain_fields(event)})


def event_line(event: WatchEvent) -> str:
    """An event in a line. Empty for those that are not printed."""
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


def watch_with_progress(
    memory: Recollect,
    source: str,
    *,
    stream: str | None = None,
    options: WatchOptions | None = None,
    quiet: bool = False,
) -> WatchReport:
    """Watch one source with a progress bar; Ctrl-C and SIGTERM stop cleanly and keep everything."""
    with stopping(memory), WatchDisplay(quiet=quiet) as display:
        return memory.watch(source, stream=stream, options=options, on_event=display.handler(source, stream))


class StopRequest:
    """Whether Ctrl-C or SIGTERM was received."""

    def __init__(self) -> None:
        self.received = False


@contextmanager
def stopping(memory: Recollect) -> Iterator[StopRequest]:
    """Make Ctrl-C and SIGTERM stop the work cleanly, and a second one stop it at once."""
    request = StopRequest()

    def interrupted(number: int, frame: object) -> None:
        if request.received:
            # A clean stop takes too long for this user. Committed moments are safe.
            raise KeyboardInterrupt
        request.received = True
        memory.stop()

    handlers = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
