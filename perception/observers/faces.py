"""Face observer: where a face is seen from the front.

    if FaceObserver.available():
        observer = FaceObserver()
        observer.push(frame)                  # for each sampled frame
        observer.findings(Span(4.0, 9.0))     # [actor/face "a face seen from the front, on the left"]

OpenCV's cascade searches the small picture every few seconds, in the region that changed. It detects
faces from about a twelfth of the picture's width, with hardly any false detections. It does not detect
profiles and does not recognise people. A face that looks into the camera only briefly is missed.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...common.box_geometry import area, center, enclosing_box, intersect, intersection_over_union
from ...common.builtin_kinds import builtin_kinds
from ...memory.values import Box, Finding, Span
from ..sources.frame import Frame, Picture
from .sampling_gate import SamplingGate

_EVERY_S = 2.5
_CASCADE = "haarcascade_frontalface_alt2.xml"
_SCALE_STEP = 1.3
_NEIGHBOURS = 3  # at this scale step a face is detected three times; no false detection in 579 frames
_SMALLEST = 28  # pixels of the small picture
_SAME_FACE_IOU = 0.2


class FaceObserver:
    """Detects faces that look into the camera."""

    written_by = "faces/1"
    finding_kinds = builtin_kinds("face")

    def __init__(self) -> None:
        """Raises ``RuntimeError`` if OpenCV is installed without its cascades."""
        if not self.available():
            raise RuntimeError(
                f"the installed OpenCV has no {_CASCADE}, so faces cannot be detected. "
                "Install opencv-python-headless 4.x, or watch without the face observer."
            )
        self._cascade = cv2.CascadeClassifier(str(_cascade_file()))
        self._gate = SamplingGate[Box](_EVERY_S)

    @staticmethod
    def available() -> bool:
        """Whether the installed OpenCV can detect faces. Version 5 cannot."""
        return hasattr(cv2, "CascadeClassifier") and _cascade_file().is_file()

    def push(self, frame: Frame) -> None:
        """Take one sampled frame."""
        if frame.small is not None and self._gate.wanted(frame):
            self._gate.note(frame, self._faces(frame.small))

    def cut(self, time_s: float) -> None:
        """End the faces of the shot."""
        self._gate.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        """The faces seen in ``span``, with one finding for a face that stays in about the same place."""
        faces: list[tuple[float, float, Box]] = []
        for sample in self._gate.within(span):
            for box in sample.detections:
                index = next(
                    (
                        index
                        for index, (_, end_s, last_box) in enumerate(faces)
                        if end_s == sample.start_s
                        and intersection_over_union(box, last_box) >= _SAME_FACE_IOU
                    ),
                    None,
                )
                if index is None:
                    faces.append((sample.start_s, sample.end_s, box))
                else:
                    faces[index] = (faces[index][0], sample.end_s, box)
        return [self._finding(Span(start_s, end_s), box) for start_s, end_s, box in faces]

    def _faces(self, picture: Picture) -> tuple[Box, ...]:
        """The faces of a picture: those detected where it changed, and earlier ones elsewhere."""
        region, unchanged = self._gate.changed_region, list[Box]()
        for face in self._gate.last:
            if intersect(face, self._gate.changed_region):
                # The face may have moved or gone, so the search includes all of it.
                region = enclosing_box([region, face])
            else:
                unchanged.append(face)
        height, width = picture.shape[:2]
        left, top = int(region[0] * width), int(region[1] * height)
        rectangles = self._cascade.detectMultiScale(
            cv2.cvtColor(
                picture[top : round(region[3] * height), left : round(region[2] * width)], cv2.COLOR_BGR2GRAY
            ),
            scaleFactor=_SCALE_STEP,
            minNeighbors=_NEIGHBOURS,
            minSize=(_SMALLEST, _SMALLEST),
        )
        return tuple(unchanged) + tuple(
            ((left + x) / width, (top + y) / height, (left + x + w) / width, (top + y + h) / height)
            for x, y, w, h in np.reshape(rectangles, (-1, 4)).tolist()
        )

    def _finding(self, span: Span, box: Box) -> Finding:
        across, _ = center(box)
        place = "left" if across < 1 / 3 else "right" if across > 2 / 3 else "middle"
        phrase = "in the middle" if place == "middle" else f"on the {place}"
        return Finding(
            field="actor",
            kind="face",
            text=f"a face seen from the front, {phrase}",
            span=span,
            written_by=self.written_by,
            confidence=0.7,
            box=box,
            detail={"place": place, "size": round(area(box), 4)},
        )


def _cascade_file() -> Path:
    return Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / _CASCADE
