"""Whether a face is seen from the front, and where.

    if FaceObserver.available():
        observer = FaceObserver()
        observer.push(frame)                  # for each sampled frame
        observer.findings(Span(4.0, 9.0))     # [actor/face "a face seen from the front, on the left"]

OpenCV's cascade looks at the small picture every few seconds, where it changed. It finds faces
from about a twelfth of the picture's width, and hardly ever where there is none; it does not see
profiles, nor know whose face it is, and whoever turns towards the camera only briefly is missed.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .sampling_gate import SamplingGate

_EVERY_S = 2.5
_CASCADE = "haarcascade_frontalface_alt2.xml"
_SCALE_STEP = 1.3
_NEIGHBOURS = 3  # with steps this wide a face answers three times; none answered falsely in 579 frames
_SMALLEST = 28  # pixels of the small picture
_SAME = 0.2  # of two boxes' union that they share when they are one face


class FaceObserver:
    """Finds faces that look into the camera."""

    written_by = "faces/1"
    finding_kinds = builtin_kinds("face")

    def __init__(self) -> None:
        """Raise ``RuntimeError`` where OpenCV came without its cascades."""
        if not self.available():
            raise RuntimeError(
                f"this OpenCV has no {_CASCADE}, so faces cannot be found; "
                "install opencv-python-headless 4.x, or do without the face observer"
            )
        self._cascade = cv2.CascadeClassifier(str(_cascade_file()))
        self._glances = SamplingGate[Box](_EVERY_S)

    @staticmethod
    def available() -> bool:
        """Whether this OpenCV can find faces; version 5 cannot."""
        return hasattr(cv2, "CascadeClassifier") and _cascade_file().is_file()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is not None and self._glances.wanted(frame):
            self._glances.note(frame, self._faces(frame.small))

    def cut(self, time_s: float) -> None:
        """A shot ended: its faces are gone."""
        self._glances.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        """The faces seen in ``span``; one finding for a face that stays about where it is."""
        faces: list[tuple[float, float, Box]] = []
        for glance in self._glances.within(span):
            for box in glance.things:
                same = next(
                    (
                        at
                        for at, (_, end_s, other) in enumerate(faces)
                        if end_s == glance.start_s and _shared(box, other) >= _SAME
                    ),
                    None,
                )
                if same is None:
                    faces.append((glance.start_s, glance.end_s, box))
                else:
                    faces[same] = (faces[same][0], glance.end_s, box)
        return [self._finding(Span(start_s, end_s), box) for start_s, end_s, box in faces]

    def _faces(self, picture: Picture) -> tuple[Box, ...]:
        """The faces of a picture: those where it changed, and those that were there elsewhere."""
        where, kept = self._glances.where, list[Box]()
        for face in self._glances.last:
            if _meet(face, self._glances.where):
                # It may be gone or have moved, so all of it is looked at.
                where = (*map(min, where[:2], face[:2]), *map(max, where[2:], face[2:]))  # type: ignore[assignment]
            else:
                kept.append(face)
        height, width = picture.shape[:2]
        left, top = int(where[0] * width), int(where[1] * height)
        found = self._cascade.detectMultiScale(
            cv2.cvtColor(
                picture[top : round(where[3] * height), left : round(where[2] * width)], cv2.COLOR_BGR2GRAY
            ),
            scaleFactor=_SCALE_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(_SMALLEST, _SMALLEST),
        )
        return tuple(kept) + tuple(
            ((left + x) / width, (top + y) / height, (left + x + w) / width, (top + y + h) / height)
            for x, y, w, h in np.reshape(found, (-1, 4)).tolist()
        )

    def _finding(self, span: Span, box: Box) -> Finding:
        middle = (box[0] + box[2]) / 2
        place = "left" if middle < 1 / 3 else "right" if middle > 2 / 3 else "middle"
        words = "in the middle" if place == "middle" else f"on the {place}"
        return Finding(
            field="actor",
            kind="face",
            text=f"a face seen from the front, {words}",
            span=span,
            written_by=self.written_by,
            confidence=0.7,
            box=box,
            detail={"place": place, "size": round((box[2] - box[0]) * (box[3] - box[1]), 4)},
        )


def _cascade_file() -> Path:
    return Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / _CASCADE


def _meet(one: Box, other: Box) -> bool:
    """Whether two boxes share any of the picture."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _shared(one: Box, other: Box) -> float:
    """The part of two boxes' union that lies in both."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)
