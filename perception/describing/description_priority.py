"""How much happened in a moment, from what was found in it: which one to describe first.

    change_of(moment.findings)    # 0.0 where nothing happened, nearly 1.0 where much did

Each finding counts by its kind, and findings add up as chances do: ``1 - (1 - a)(1 - b)…``. So it
never passes 1, and ten small movements do not hide one arrival. It looks at no picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...common.kind_registry import kind_of
from ...memory.values import Finding


def change_of(findings: Iterable[Finding]) -> float:
    """How much happened, 0 to 1."""
    return 1.0 - prod(1.0 - kind_of(f.kind, f.field).description_importance for f in findings)
