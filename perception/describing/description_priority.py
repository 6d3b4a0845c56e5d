"""How much happened in a moment, from what was found in it: which one to describe first.

    change_of(moment.findings)    # 0.0 where nothing happened, nearly 1.0 where much did

Each finding counts by its kind, and findings add up as chances do: ``1 - (1 - a)(1 - b)…``. So it
never passes 1, and ten small movements do not hide one arrival. It looks at no picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...memory.values import Finding

_BY_KIND = {
    **dict.fromkeys(("enters", "leaves", "visit", "placed", "removed"), 0.5),
    **dict.fromkeys(("cut", "dissolve", "fade", "typed"), 0.4),
    **dict.fromkeys(("face", "moves"), 0.2),
    **dict.fromkeys(("camera_pan", "camera_zoom_in", "camera_zoom_out", "flash"), 0.1),
}
_BY_FIELD = {"speech": 0.2, "visible_text": 0.1}


def change_of(findings: Iterable[Finding]) -> float:
    """How much happened, 0 to 1."""
    return 1.0 - prod(1.0 - _BY_KIND.get(f.kind, _BY_FIELD.get(f.field, 0.0)) for f in findings)
