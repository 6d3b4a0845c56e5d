"""Progress bars for watching, one for each source, and a clean stop on Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..common.clock_times import format_time
from ..common.terminal import print_json_line
from ..perception.sources.urls import redact
from ..perception.watch_events import OnEvent, Progress, WatchEvent
from ..serialization import plain_fields
from .log_lines import log_lines

if TYPE_CHECKING:
    from ..client import Recollect
    from ..perception.watch_events import WatchReport
    from ..perception.watch_options import WatchOptions


_SAME_REQUEST_S = 1.0
"""Signals that come within this time of the first belong to it."""


class WatchDisplay:
    """A progress bar for each source on standard error, with the log above it. Use it as a context.

    Inside, the log has a line with time, level and stream for each event. ``quiet`` leaves out the bars, and of the
    log all but warnings and errors.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False, log_format: str = "text") -> None:
        """With ``as_json``, print each event as a line of JSON on standard output instead of the bars."""
        from . import rich_output as rich  # noqa: PLC0415

        quiet = quiet or as_json
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
        self._lines = log_lines(
            self.print_line, log_format=log_format, level=logging.WARNING if quiet else logging.INFO
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._lines.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.__exit__(kind, error, trace)
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

        return show

    def print_line(self, line: str) -> None:
        """Print a line on standard error, above the progress bars."""
        self._rich.print_above(self._bar.console, line)


def _print_event(event: WatchEvent) -> None:
    print_json_line({"event": type(event).__name__, **plain_fields(event)})


def watch_with_progress(
    memory: Recollect,
    source: str,
    *,
    stream: str | None = None,
    options: WatchOptions | None = None,
    quiet: bool = False,
) -> WatchReport:
    """Watch one source with a progress bar; Ctrl-C, SIGTERM and SIGHUP stop cleanly and keep everything."""
    with stopping(memory), WatchDisplay(quiet=quiet) as display:
        return memory.watch(source, stream=stream, options=options, on_event=display.handler(source, stream))


class StopRequest:
    """Whether Ctrl-C, SIGTERM or SIGHUP was received."""

    def __init__(self) -> None:
        self.received = False
        self.received_s = 0.0
        """When, in monotonic seconds."""


@contextmanager
def stopping(memory: Recollect) -> Iterator[StopRequest]:
    """Make Ctrl-C, SIGTERM and SIGHUP stop the work cleanly, and a later one stop it at once."""
    request = StopRequest()

    def interrupted(number: int, frame: object) -> None:
        if request.received:
            # Service managers send one signal several times, or several kinds at once.
            if time.monotonic() - request.received_s < _SAME_REQUEST_S:
                return
            # A clean stop takes too long for this user. Committed moments are safe.
            raise KeyboardInterrupt
        request.received, request.received_s = True, time.monotonic()
        memory.stop()

    # A terminal that is closed sends SIGHUP, which Windows does not have.
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: signal.signal(number, interrupted) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
