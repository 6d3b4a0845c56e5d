"""The result of one check of ``recollect doctor``, and the picture that models are tried with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DiagnosticCheck:
    """The result of one check."""

    name: str
    state: Literal["ok", "warning", "absent", "broken"]
    """``absent``: an optional part that is not configured. ``warning``: it works, but its results may be wrong."""
    detail: str
    advice: str = ""


def red_jpeg() -> bytes:
    """A plain red picture."""
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    picture = np.full((96, 96, 3), (0, 0, 255), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()
