"""Description priority: how much happened in a moment, from its findings. Busy moments are described first.

    description_priority(moment.findings)    # 0.0 if nothing happened, nearly 1.0 if much happened

Each finding counts by its kind, and findings combine as independent probabilities: ``1 - (1 - a)(1 - b)…``.
So the priority never exceeds 1, and ten small movements do not outweigh one arrival. No picture is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...common.kind_registry import kind_of
from ...memory.values import Finding


def description_priority(findings: Iterable[Finding]) -> float:
    """How much happened, from 0 to 1."""
    return 1.0 - prod(
        1.0 - kind_of(finding.kind, finding.field).description_importance for finding in findings
    )
