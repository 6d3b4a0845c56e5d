"""Markdown tables of the evaluation reports.

>>> print(markdown_table(["system", "right"], [["recollect", "0.62"]]), end="")
| system | right |
|---|---|
| recollect | 0.62 |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MISSING = "–"
"""A cell without a value."""


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown, which ends with a line break."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, ""])
