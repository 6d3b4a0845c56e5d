"""Default observers: those that need nothing downloaded, for one source.

observers = default_observers(source.info, ocr=False)
"""

from __future__ import annotations

from pathlib import Path

from ..sources.source import SourceInfo
from .background_text import BackgroundTextObserver
from .barcodes import BarcodeObserver
from .camera_motion import CameraObserver
from .faces import FaceObserver
from .motion import MotionObserver
from .observer import Observer
from .picture_appearance import AppearanceObserver
from .subtitles import SubtitleObserver, load_cues
from .text_observer import TextObserver


def default_observers(info: SourceInfo, *, ocr: bool = True) -> list[Observer]:
    """The observers that need nothing downloaded, for one source; without ``ocr``, none that reads text."""
    observers: list[Observer] = [MotionObserver(), CameraObserver(), AppearanceObserver(), BarcodeObserver()]
    if FaceObserver.available():
        observers.append(FaceObserver())
    if ocr:
        observers.append(TextObserver() if info.kind == "file" else BackgroundTextObserver())
    if info.kind == "file" and Path(info.source).is_file():  # and neither a URL nor a folder of pictures
        cues = load_cues(Path(info.source))
        if cues:
            observers.append(SubtitleObserver(cues))
    return observers
