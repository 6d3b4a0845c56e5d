from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.faces import FaceObserver
from recollect.perception.observers.observer import Observer
from recollect.perception.observers.sampling_gate import SamplingGate
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame

pytestmark = pytest.mark.skipif(not FaceObserver.available(), reason="this OpenCV has no face cascade")


def frame_at(time_s: float, luma: int) -> Frame:
    small = np.full((180, 320, 3), luma, np.uint8)
    return Frame(time_s, 0, Fraction(1, 4), np.full((36, 64), luma, np.uint8), small=small)


def faces_in(clip: Path, cuts_s: tuple[float, ...] = ()) -> list[Finding]:
    observer, findings, from_s = FaceObserver(), [], 0.0
    waiting = list(cuts_s)
    with closing(FileSource(clip, fps=4)) as source:
        for event in source.frames():
            if not isinstance(event, Frame) or not event.sampled:
                continue
            if waiting and event.time_s >= waiting[0]:
                cut_s = waiting.pop(0)
                observer.cut(cut_s)
                findings += observer.findings(Span(from_s, cut_s))
                from_s = cut_s
            observer.push(event)
    return findings + observer.findings(Span(from_s, 1000))


def test_it_is_an_observer():
    assert isinstance(FaceObserver(), Observer)


def test_a_plain_picture_has_no_face():
    observer = FaceObserver()

    observer.push(frame_at(0.0, 120))

    assert observer.findings(Span(0, 1)) == []


def test_opencv_contains_the_cascade_file():
    assert (Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml").is_file()


def test_a_face_is_detected_only_while_it_is_in_the_picture(clips):
    findings = faces_in(clips / "c15_stage_faces_cuts.mp4", (1.52, 3.59, 7.89))

    assert findings
    assert {(f.field, f.kind) for f in findings} == {("actor", "face")}
    assert all(f.span.start_s >= 3.59 and f.span.end_s <= 7.89 for f in findings)
    assert all(f.box is not None and f.box[3] < 0.6 for f in findings)


def test_a_street_has_no_face(clips):
    assert faces_in(clips / "c12_city_shots_cuts.mp4", (1.20, 3.04, 5.48, 7.48, 9.68)) == []


def test_a_sample_is_due_after_a_time_if_the_picture_changed():
    gate = SamplingGate[str](every_s=2.0)
    frames = [(0.0, 50), (1.0, 90), (2.5, 50), (3.0, 90), (3.5, 50), (6.0, 90), (6.5, 50)]

    sampled_s = []
    for time_s, luma in frames:
        frame = frame_at(time_s, luma)
        if gate.wanted(frame):
            gate.note(frame, ())
            sampled_s.append(time_s)

    assert sampled_s == [0.0, 3.0, 6.5]


def test_detections_count_until_the_next_sample_or_the_cut():
    gate = SamplingGate[str](every_s=2.0)
    for time_s, luma, detection in ((0.0, 50, "one"), (3.0, 90, "two")):
        frame = frame_at(time_s, luma)
        gate.wanted(frame)
        gate.note(frame, (detection,))

    gate.wanted(frame_at(4.0, 90))
    gate.cut(4.2)

    samples = [
        (sample.start_s, round(sample.end_s, 1), *sample.detections) for sample in gate.within(Span(1.0, 9.0))
    ]
    assert samples == [(1.0, 3.0, "one"), (3.0, 4.2, "two")]
