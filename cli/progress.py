"""Watching with a progress bar, and stopping cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..client import DEFAULT_FPS
from ..common.clock_times import clock
from ..perception.sources.urls import redact

if TYPE_CHECKING:
    from ..client import Recollect
    from ..perception.stages.stream_worker import WatchReport


def watch_with_progress(
    memory: Recollect,
    source: str,
    *,
    stream: str | None = None,
    fps: float = DEFAULT_FPS,
    ocr: bool = True,
    drain: bool = True,
    budget: str | None = None,
    quiet: bool = False,
    max_outage_s: float | None = None,
) -> WatchReport:
    """Watch with a progress bar on standard error; Ctrl-C and SIGTERM stop cleanly and keep everything."""
    from . import rich_output as rich  # noqa: PLC0415

    bar = rich.progress_bar(
        rich.SafeColumn("{task.description}"),
        rich.BarColumn(),
        rich.SafeColumn(
            "{task.fields[at]}  {task.fields[speed]}  {task.fields[moments]} moments{task.fields[waiting]}"
        ),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        quiet=quiet,
    )
    shown = redact(source)
    shown = shown.rpartition("/")[2] or shown
    task = bar.add_task(shown, total=None, at="", speed="", moments=0, waiting="")

    def on_progress(progress: Any) -> None:
        at = clock(progress.time_s) + (f" of {clock(progress.duration_s)}" if progress.duration_s else "")
        speed = f"{progress.speed:.1f}× real time"
        bar.update(
            task,
            completed=progress.time_s,
            total=progress.duration_s,
            at=at,
            speed=speed,
            moments=progress.moments,
            waiting=f", {progress.waiting} to describe" if progress.waiting else "",
        )

    def on_state(state: str, detail: str) -> None:
        if not quiet:
            rich.print_above(bar.console, f"{shown}: {state}{f' ({detail})' if detail else ''}")

    with stopping(memory), bar:
        return memory.watch(
            source,
            stream=stream,
            fps=fps,
            ocr=ocr,
            drain=drain,
            budget=budget,
            on_progress=on_progress,
            on_state=on_state,
            max_outage_s=max_outage_s,
        )


@contextmanager
def stopping(memory: Recollect) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM stop cleanly, and a second one at once."""
    asked_to_stop: list[int] = []

    def interrupted(number: int, frame: object) -> None:
        if asked_to_stop:
            # Stopping cleanly takes too long for whoever asks again; what was committed is safe anyway.
            raise KeyboardInterrupt
        asked_to_stop.append(number)
        memory.stop()

    handlers = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
