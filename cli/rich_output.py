"""Progress on standard error, drawn by rich: untrusted text is never markup and never a control character.

    with progress_bar(SafeColumn("{task.description}"), BarColumn(), quiet=False) as bar:
        task = bar.add_task("a[bold red]x.mp4")
        print_above(bar.console, "camera: connected")

Only this module imports rich. Import it inside a function: rich takes time to load.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.text import Text

from ..common.terminal import safe_text

__all__ = [
    "BarColumn",
    "MofNCompleteColumn",
    "SafeColumn",
    "TaskProgressColumn",
    "TimeElapsedColumn",
    "TimeRemainingColumn",
    "print_above",
    "progress_bar",
    "safe",
    "spinner",
    "stderr_console",
]


class SafeColumn(TextColumn):
    """A column of text that may come from outside, such as the name of a file."""

    def render(self, task: Task) -> Text:
        """The text of the template as it is."""
        return safe(self.text_format.format(task=task))


def safe(text: str) -> Text:
    """The text in the form that rich takes as it is."""
    return Text(safe_text(text))


def stderr_console() -> Console:
    """Standard error; rich draws on it only where it is a terminal."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def progress_bar(*columns: ProgressColumn, quiet: bool = False) -> Progress:
    """A progress bar on standard error, hidden where that is no terminal.

    Args:
        *columns: What it shows; text only by SafeColumn.
        quiet: Whether to hide it on a terminal too.
    """
    console = stderr_console()
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal)


def spinner(console: Console, line: str) -> Status:
    """A line of status that turns while work is under way; update it with ``safe`` text."""
    return console.status(safe(line))


def print_above(console: Console, line: str) -> None:
    """Print a line above the progress bar, however long it is."""
    console.print(safe(line), soft_wrap=True)
