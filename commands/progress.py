"""Watching with a progress bar, and stopping cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..perception.urls import redact
from ..sdk import DEFAULT_FPS
from ..times import clock

if TYPE_CHECKING:
    from ..perception.worker import WatchReport
    from ..sdk import Recollect


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
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(
            "{task.fields[at]}  {task.fields[speed]}  {task.fields[moments]} moments{task.fields[waiting]}"
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
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
            bar.console.print(
                f"{shown}: {state}{f' ({detail})' if detail else ''}", highlight=False, markup=False
            )

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
