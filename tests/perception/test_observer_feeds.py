"""The input of added observers (pictures at a rate, batches, sound), and the checks of their findings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from recollect.common.finding_kinds import FindingKind
from recollect.memory.values import Finding, Span
from recollect.perception.observers.feeds import feed_for
from recollect.perception.observers.guarded_observer import GuardedObserver, ObserverFailure
from recollect.perception.observers.observer import AudioChunk, AudioNeeds, PictureNeeds
from recollect.perception.observers.registry import observers_in_use
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.source import SourceInfo

CAMERA = SourceInfo("live", "rtsp://camera/1", "content")
KNOCKS = FindingKind("knocks_for_this_test", "action")


class Recorder:
    """An observer that records its input and returns given findings."""

    written_by = "recorder/1"
    finding_kinds: tuple[FindingKind, ...] = (KNOCKS,)

    def __init__(
        self, needs: PictureNeeds | AudioNeeds | None = None, reports: Sequence[Finding] = ()
    ) -> None:
        if needs is not None:
            self.needs = needs
        self.batches: list[list[float]] = []
        self.pictures: list[bool] = []
        self.chunks: list[AudioChunk] = []
        self.cuts: list[float] = []
        self._reports = list(reports)

    def push(self, frame: Frame) -> None:
        self.push_batch([frame])

    def push_batch(self, frames: Sequence[Frame]) -> None:
        self.batches.append([frame.time_s for frame in frames])
        self.pictures += [frame.read_picture is not None and bool(frame.picture().any()) for frame in frames]

    def push_audio(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)

    def cut(self, time_s: float) -> None:
        self.cuts.append(time_s)

    def findings(self, span: Span) -> list[Finding]:
        return self._reports


def frames_at(*times_s: float) -> list[Frame]:
    small = np.full((12, 16, 3), 9, np.uint8)
    thumb = np.zeros((36, 64), np.uint8)
    return [
        Frame(time_s, round(time_s * 1000), Fraction(1, 1000), thumb, small=small, read_picture=small.copy)
        for time_s in times_s
    ]


def guarded(observer: Recorder, source: SourceInfo = CAMERA) -> tuple[GuardedObserver, list[ObserverFailure]]:
    failures: list[ObserverFailure] = []
    return GuardedObserver("recorder", FixedFactory(observer), source, failures.append), failures


class FixedFactory:
    """A factory that always returns the same observer, so that a test can inspect it."""

    def __init__(self, observer: Recorder) -> None:
        self.finding_kinds = observer.finding_kinds
        self._observer = observer

    def __call__(self, source: SourceInfo) -> Any:
        return self._observer


def knock(start_s: float = 1.0, end_s: float = 2.0, **changes: Any) -> Finding:
    fields = {
        "field": "action",
        "kind": KNOCKS.name,
        "text": "a knock",
        "written_by": "recorder/1",
        **changes,
    }
    return Finding(span=Span(start_s, end_s), **fields)


def test_without_needs_every_sampled_picture_is_given() -> None:
    observer = Recorder()
    guard, _ = guarded(observer)

    for frame in frames_at(0.0, 0.25, 0.5):
        guard.push(frame)

    assert observer.batches == [[0.0], [0.25], [0.5]]


def test_pictures_are_thinned_to_the_declared_rate() -> None:
    observer = Recorder(PictureNeeds(fps=2))
    guard, _ = guarded(observer)

    for frame in frames_at(*np.arange(0.0, 2.0, 0.2).tolist()):
        guard.push(frame)

    assert observer.batches == [[0.0], [pytest.approx(0.6)], [pytest.approx(1.2)], [pytest.approx(1.8)]]


def test_the_first_picture_of_a_shot_is_given_at_any_rate() -> None:
    observer = Recorder(PictureNeeds(fps=0.5))
    guard, _ = guarded(observer)

    guard.push(frames_at(0.0)[0])
    guard.cut(0.4)
    guard.push(frames_at(0.5)[0])

    assert observer.batches == [[0.0], [0.5]]
    assert observer.cuts == [0.4]


def test_pictures_come_in_batches_which_cuts_and_moments_end() -> None:
    observer = Recorder(PictureNeeds(batch_size=3))
    guard, _ = guarded(observer)

    for frame in frames_at(0, 1, 2, 3):
        guard.push(frame)
    guard.cut(3.5)
    guard.push(frames_at(4.0)[0])
    guard.findings(Span(0.0, 5.0))

    assert observer.batches == [[0, 1, 2], [3], [4.0]]
    assert not any(observer.pictures)


def test_a_batch_keeps_full_size_pictures_if_declared() -> None:
    observer = Recorder(PictureNeeds(batch_size=2, full_size=True))
    guard, _ = guarded(observer)

    for frame in frames_at(0, 1):
        guard.push(frame)

    assert observer.pictures == [True, True]


@pytest.fixture(scope="module")
def beeping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 6 s that is silent but for a tone from 2 to 3 s."""
    path = tmp_path_factory.mktemp("sound") / "beeping.mp4"
    rate_hz = 48_000
    times_s = np.arange(6 * rate_hz) / rate_hz
    tone = np.where((times_s >= 2) & (times_s < 3), np.sin(2 * np.pi * 440 * times_s), 0.0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=rate_hz)
        for number in range(60):
            picture = np.full((48, 64, 3), 4 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for start in range(0, len(tone), 1024):
            samples = (0.8 * tone[start : start + 1024]).astype(np.float32).reshape(1, -1)
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = rate_hz, start, Fraction(1, rate_hz)
            container.mux(audio.encode(piece))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


@pytest.mark.parametrize("from_s", [0.0, 1.5])
def test_sound_is_given_up_to_the_time_of_the_pictures(beeping: Path, from_s: float) -> None:
    observer = Recorder(AudioNeeds(rate_hz=16_000))
    source = FileSource(beeping, fps=4)
    guard, failures = guarded(observer, source.info)

    for frame in source.frames(from_s):
        if isinstance(frame, Frame) and frame.sampled:
            guard.push(frame)
            assert not observer.chunks or observer.chunks[-1].start_s < frame.time_s
    guard.findings(Span(from_s, 6.0))
    guard.close()

    assert not failures
    assert observer.chunks[0].start_s == pytest.approx(from_s, abs=0.1)
    assert observer.chunks[-1].end_s == pytest.approx(6.0, abs=0.1)
    loud = [chunk for chunk in observer.chunks if np.abs(chunk.samples).max() > 0.3]
    assert loud[0].start_s <= 2.0 <= loud[0].end_s
    assert loud[-1].start_s <= 3.0 <= loud[-1].end_s + 0.1
    assert sum(len(chunk.samples) for chunk in observer.chunks) == pytest.approx(
        16_000 * (6 - from_s), rel=0.03
    )


def test_an_audio_observer_is_idle_if_a_file_has_no_sound(demo_video: Path) -> None:
    observer = Recorder(AudioNeeds())
    info = SourceInfo("file", str(demo_video), "content", has_audio=False)

    guard, failures = guarded(observer, info)

    assert guard.findings(Span(0.0, 5.0)) == []
    assert failures == []


def test_an_audio_observer_is_refused_for_a_camera() -> None:
    _, failures = guarded(Recorder(AudioNeeds()))

    assert "read from files only" in failures[0].reason


def test_an_observer_without_the_method_it_needs_is_refused() -> None:
    class Incomplete:
        written_by = "incomplete/1"

    with pytest.raises(ValueError, match="push_batch for batches"):
        feed_for(Incomplete(), CAMERA)  # type: ignore[arg-type]


@pytest.mark.parametrize("needs", [{"fps": 0}, {"fps": -1}, {"batch_size": 0}])
def test_invalid_needs_are_refused(needs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be given"):
        PictureNeeds(**needs)


def test_findings_are_clipped_to_the_moment() -> None:
    guard, failures = guarded(Recorder(reports=[knock(1.0, 9.0)]))

    [finding] = guard.findings(Span(0.0, 5.0))

    assert finding.span == Span(1.0, 5.0)
    assert not failures


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        ("a knock", "no Finding"),
        (knock(kind="undeclared"), "does not declare"),
        (knock(field="speech"), "does not declare"),
        (knock(7.0, 8.0), "outside the moment"),
        (knock(text="  "), "not texts"),
        (knock(detail={"loud": float("nan")}), "finite number"),
        (knock(detail={"loud": [1]}), "finite number"),
        (knock(confidence=None), "finite number"),
    ],
)
def test_a_finding_that_cannot_be_stored_disables_its_observer(finding: Any, reason: str) -> None:
    guard, failures = guarded(Recorder(reports=[finding]))

    assert guard.findings(Span(0.0, 5.0)) == []
    assert guard.findings(Span(5.0, 9.0)) == []
    assert [reason in failure.reason for failure in failures] == [True]


def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(Recorder):
        def push(self, frame: Frame) -> None:
            raise ZeroDivisionError("no knock")

    with caplog.at_level(logging.WARNING):
        guard, failures = guarded(Raising())
        guard.push(frames_at(1.0)[0])
        guard.push(frames_at(2.0)[0])

    assert failures == [ObserverFailure("recorder", "failed at 1.0 s: ZeroDivisionError: no knock")]
    assert "ZeroDivisionError: no knock" in caplog.text
    assert "Traceback" in caplog.text


def test_an_added_observer_declares_its_kinds_and_comes_last() -> None:
    failures: list[ObserverFailure] = []

    with observers_in_use(
        CAMERA, ocr=False, added=[FixedFactory(Recorder())], on_failure=failures.append
    ) as observers:
        assert observers[-1].finding_kinds == (KNOCKS,)
        assert observers[-1].written_by == "recorder/1"

    assert failures == []


def test_an_added_observer_cannot_declare_a_built_in_kind_again() -> None:
    observer = Recorder()
    observer.finding_kinds = (FindingKind("enters", "speech"),)
    failures: list[ObserverFailure] = []

    with observers_in_use(CAMERA, ocr=False, added=[FixedFactory(observer)], on_failure=failures.append):
        pass

    assert "'enters' is declared already" in failures[0].reason


def test_every_built_in_observer_declares_its_kinds() -> None:
    with observers_in_use(CAMERA, on_failure=lambda failure: None) as observers:
        declared = [kind.name for observer in observers for kind in observer.finding_kinds]

    assert {"enters", "camera_pan", "colour", "qr", "line"} <= set(declared)
    assert len(declared) == len(set(declared))
