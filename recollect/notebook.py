"""Notebook display: a progress bar for watching, and answers as HTML.

    memory.watch("kitchen.mp4")        # shows a bar by itself in a notebook
    memory.ask("When …?")              # shows the answer with its evidence as a table

It needs no extra package. Outside a notebook it loads and shows nothing.
"""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from .common.clock_times import format_time
from .common.terminal import safe_text

if TYPE_CHECKING:
    from .perception.watch_events import OnEvent, WatchEvent


def notebook_progress() -> OnEvent | None:
    """A handler that shows watching as a progress bar, or None outside a notebook."""
    display = _notebook_display()
    if display is None:
        return None
    handle = display(_html("starting …", 0.0), display_id=True, raw=True)

    def show(event: WatchEvent) -> None:
        from .perception.watch_events import Failed, Finished, Progress  # noqa: PLC0415

        if isinstance(event, Progress):
            share = event.time_s / event.duration_s if event.duration_s else 0.0
            total = f" of {format_time(event.duration_s)}" if event.duration_s else ""
            text = f"{event.stream}: {format_time(event.time_s)}{total}, {event.moments} moments"
            handle.update(_html(text, share), raw=True)
        elif isinstance(event, Finished):
            handle.update(_html(f"{event.stream}: {event.report.state}", 1.0), raw=True)
        elif isinstance(event, Failed):
            handle.update(_html(f"{event.stream}: {event.error}", 1.0), raw=True)

    return show


def _notebook_display() -> Any:
    """IPython's ``display`` in a notebook's kernel; None elsewhere. IPython is not imported for this."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or type(shell).__name__ != "ZMQInteractiveShell":
        return None
    return sys.modules["IPython.display"].display if "IPython.display" in sys.modules else None


def _html(text: str, share: float) -> dict[str, str]:
    safe = escape(safe_text(text))
    return {
        "text/plain": safe_text(text),
        "text/html": f'<progress value="{min(1.0, max(0.0, share)):.3f}"></progress> <span>{safe}</span>',
    }
