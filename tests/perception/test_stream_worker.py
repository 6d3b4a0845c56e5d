"""The stream worker: every frame of a file is counted, and every second is in a moment or a gap."""

from __future__ import annotations

import shutil
from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect import Recollect
from recollect.memory import MemoryStore
from recollect.memory.ladder.representative_frames import choose_frames
from recollect.memory.values import Finding, FrameCounts, Moment, Span, Stream
from recollect.perception.errors import StreamNameTaken
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.stages.stream_worker import StreamWorker
from recollect.perception.watch_events import Progress, WatchEvent, WatchReport
from recollect.perception.watch_options import WatchOptions
from recollect.perception.watching import watch
from recollect.perception.writer_session import WriterSession, WriterSettings, find_source

FPS = 25
SIZE = (160, 96)


def scene(seed: int) -> np.ndarray:
    """A picture full of structure. Another seed gives a dissimilar picture."""
    coarse = np.random.default_rng(seed).integers(20, 235, (12, 20, 3), np.uint8)
    return cv2.resize(coarse, SIZE, interpolation=cv2.INTER_NEAREST)


def still(seed: int, seconds: float) -> list[np.ndarray]:
    return [scene(seed)] * round(seconds * FPS)


def moving(seed: int, seconds: float) -> list[np.ndarray]:
    """A white box that moves back and forth before a scene."""
    pictures = []
    for number in range(round(seconds * FPS)):
        picture = scene(seed)
        x = abs(2 * number % 240 - 120)
        picture[30:70, x : x + 24] = 255
        pictures.append(picture)
    return pictures


def dissolve(seed: int, next_seed: int, seconds: float) -> list[np.ndarray]:
    count = round(seconds * FPS)
    shares = [(number + 1) / (count + 1) for number in range(count)]
    return [cv2.addWeighted(scene(seed), 1 - share, scene(next_seed), share, 0) for share in shares]


def write_video(path: Path, pictures: list[np.ndarray], times_s: list[float] | None = None) -> Path:
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "ultrafast", "g": "25"}
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            time_s = number / FPS if times_s is None else times_s[number]
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decodable(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def moments_of(memory: Path, stream: str) -> list[Moment]:
    with Recollect(memory) as recollect:
        return recollect.timeline(stream, limit=10_000)


def counts_of(memory: Path, stream: str) -> FrameCounts:
    with Recollect(memory) as recollect:
        return next(status.counts for status in recollect.status() if status.stream.name == stream)


def assert_tiled(moments: list[Moment]) -> None:
    assert all(moment.span.end_s == next_.span.start_s for moment, next_ in pairwise(moments))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still shot, a cut into movement at 7.4 s, and a very short shot (0.24 s) before the last scene."""
    pictures = still(1, 7.4) + moving(2, 13.0) + still(3, 0.24) + moving(4, 6.0)
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", pictures)


FILM_CUTS = (7.4, 20.4, 20.64)


@pytest.fixture(scope="module")
def watched(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory of the film."""
    memory = tmp_path_factory.mktemp("watched") / "memory"
    watch(memory, str(film), options=WatchOptions(ocr=False))
    return memory


def test_moments_tile_the_file_without_a_gap(watched: Path, film: Path) -> None:
    moments = moments_of(watched, "film")

    assert moments[0].span.start_s == 0.0
    assert_tiled(moments)
    assert moments[-1].span.end_s == pytest.approx(decodable(film) / FPS)


def test_a_moment_ends_at_every_cut_to_the_frame(watched: Path) -> None:
    ends = [moment.span.end_s for moment in moments_of(watched, "film")]

    for cut_s in FILM_CUTS:
        assert any(end_s == pytest.approx(cut_s) for end_s in ends), (cut_s, ends)


def test_a_cut_belongs_to_the_moment_and_shot_that_it_begins(watched: Path) -> None:
    moments = moments_of(watched, "film")

    for number, cut_s in enumerate(FILM_CUTS, 1):
        after_cut = next(moment for moment in moments if moment.span.start_s == pytest.approx(cut_s))
        assert after_cut.shot == number
        assert [finding.kind for finding in after_cut.findings if finding.kind == "cut"] == ["cut"]


def test_every_frame_of_a_file_is_counted(watched: Path, film: Path) -> None:
    moments = moments_of(watched, "film")

    assert all(moment.counts.balanced for moment in moments)
    assert all(min(m.counts.stored, m.counts.sampled_out, m.counts.merged) >= 0 for m in moments)
    assert counts_of(watched, "film").captured == decodable(film)
    assert counts_of(watched, "film").balanced
    for moment in moments:
        assert moment.counts.captured == pytest.approx(moment.span.duration_s * FPS)


def test_the_key_frames_of_a_moment_are_jpegs_of_its_span(watched: Path) -> None:
    with Recollect(watched) as memory:
        for moment in memory.timeline("film"):
            frames = memory.frames(moment.frame_ids)

            assert len(frames) == len(moment.frame_ids) == moment.counts.stored
            assert frames or moment.span.duration_s < 0.25, "only a shot between two samples has none"
            for frame in frames:
                assert moment.span.contains(frame.time_s)
                picture = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
                assert picture.shape == (frame.height, frame.width, 3)


def test_events_keep_key_frames_with_different_signatures(watched: Path) -> None:
    with Recollect(watched) as memory:
        events = memory.timeline("film", rung="event")
        moments = {moment.id: moment for moment in memory.timeline("film")}
        for event in events:
            frame_ids = [candidate for child in event.child_ids for candidate in moments[child].frame_ids]
            signatures = {frame.id: frame.signature for frame in memory.frames(frame_ids)}

            assert {len(signature) for signature in signatures.values()} == {48}
            assert list(event.frame_ids) == choose_frames(frame_ids, signatures)


def test_a_dissolve_ends_a_moment_where_the_new_shot_begins(tmp_path: Path) -> None:
    pictures = still(1, 5.0) + dissolve(1, 2, 1.0) + still(2, 5.0)
    video = write_video(tmp_path / "dissolve.mp4", pictures)

    watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))

    old, new = moments_of(tmp_path / "memory", "dissolve")
    assert old.span.end_s == new.span.start_s == pytest.approx(6.0, abs=0.15)
    assert [finding.kind for finding in new.findings if finding.field == "action"][:1] == ["dissolve"]
    assert (old.shot, new.shot) == (0, 1)
    assert new.frame_ids
    assert new.counts.captured == pytest.approx(new.span.duration_s * FPS, abs=1)
    assert old.counts.captured + new.counts.captured == len(pictures)


def test_a_file_of_one_frame_is_a_moment(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", [scene(1)])

    report = watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))

    assert report.moments == 1
    assert counts_of(tmp_path / "memory", "one") == FrameCounts(captured=1, stored=1)


def test_a_variable_frame_rate_leaves_no_gap(tmp_path: Path) -> None:
    pictures = moving(1, 4.0)
    times_s, time_s = [], 0.0
    for number in range(len(pictures)):
        times_s.append(time_s)
        time_s += (0.04, 0.31, 0.013, 0.7)[number % 4]
    video = write_video(tmp_path / "uneven.mp4", pictures, times_s)

    watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))

    moments = moments_of(tmp_path / "memory", "uneven")
    assert_tiled(moments)
    assert counts_of(tmp_path / "memory", "uneven").captured == len(pictures)
    assert all(moment.span.duration_s <= 10.0 + 1e-6 for moment in moments)


# -- watching again -----------------------------------------------------------------------------------


def test_a_file_watched_to_its_end_is_not_watched_again(watched: Path, film: Path) -> None:
    before = moments_of(watched, "film")

    report = watch(watched, str(film), options=WatchOptions(ocr=False))

    assert report.already_done
    assert (report.stream, report.state, report.moments) == ("film", "done", 0)
    assert report.until_s == before[-1].span.end_s
    assert moments_of(watched, "film") == before


def test_the_same_file_under_another_path_is_recognised(watched: Path, film: Path, tmp_path: Path) -> None:
    copy = shutil.copy(film, tmp_path / "renamed.mp4")

    report = watch(watched, str(copy), options=WatchOptions(ocr=False))

    assert report.already_done
    assert report.stream == "film"


def test_watching_a_moved_file_updates_the_path_of_its_stream(tmp_path: Path) -> None:
    video = write_video(tmp_path / "before.mp4", still(1, 1.0))
    watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))
    moved = video.rename(tmp_path / "after.mp4")

    watch(tmp_path / "memory", str(moved), options=WatchOptions(ocr=False))

    with Recollect(tmp_path / "memory") as memory:
        (status,) = memory.status()
    assert status.stream.name == "before"
    assert status.stream.source == str(moved.resolve())


def test_two_files_of_the_same_name_are_two_streams(tmp_path: Path) -> None:
    for number, folder in enumerate(("monday", "tuesday")):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "door.mp4", still(number, 1.0))

    reports = [
        watch(tmp_path / "memory", str(tmp_path / folder / "door.mp4"), options=WatchOptions(ocr=False))
        for folder in ("monday", "tuesday")
    ]

    assert reports[0].stream == "door"
    assert reports[1].stream.startswith("door-")
    assert [report.moments for report in reports] == [1, 1]


def test_the_stream_name_of_another_source_is_refused(watched: Path, tmp_path: Path) -> None:
    second_video = write_video(tmp_path / "other.mp4", still(9, 1.0))

    with pytest.raises(StreamNameTaken, match="film"):
        watch(watched, str(second_video), stream="film", options=WatchOptions(ocr=False))


@pytest.mark.parametrize("stop_at_s", [0.5, 9.25, 20.5])
def test_a_stopped_watch_keeps_its_moments_and_resumes(film: Path, tmp_path: Path, stop_at_s: float) -> None:
    memory = tmp_path / "memory"
    stopped = stop_while_watching(memory, film, stop_at_s)
    kept = moments_of(memory, "film")

    report = watch(memory, str(film), options=WatchOptions(ocr=False))

    assert stopped.state == "stopped"
    assert stopped.until_s == kept[-1].span.end_s
    assert stopped.until_s == pytest.approx(stop_at_s, abs=0.1)
    assert report.resumed_at_s == stopped.until_s
    assert report.state == "done"
    moments = moments_of(memory, "film")
    assert moments[: len(kept)] == kept
    assert moments[0].span.start_s == 0.0
    assert_tiled(moments)
    assert counts_of(memory, "film").captured == decodable(film)
    assert counts_of(memory, "film").balanced
    assert max(moment.shot for moment in moments) == len(FILM_CUTS)


def test_a_watch_stopped_before_its_first_frame_can_be_repeated(film: Path, tmp_path: Path) -> None:
    options = WatchOptions(ocr=False)
    session = WriterSession(tmp_path / "memory", WriterSettings())
    handle = session.start(find_source(str(film), options), options=options)
    handle.stop()
    session.release()
    report = handle.wait()

    assert (report.state, report.moments) == ("stopped", 0)
    assert watch(
        tmp_path / "memory", str(film), options=WatchOptions(ocr=False)
    ).counts.captured == decodable(film)


class Stopper:
    """An observer without findings that stops the watch at a given time."""

    written_by = "stopper/1"

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.worker: StreamWorker | None = None

    def push(self, frame: Frame) -> None:
        if frame.time_s >= self.at_s and self.worker is not None:
            self.worker.stop()

    def cut(self, time_s: float) -> None:
        pass

    def findings(self, span: Span) -> list[Finding]:
        return []


def stop_while_watching(memory: Path, video: Path, at_s: float) -> WatchReport:
    stopper = Stopper(at_s)
    with MemoryStore.open(memory, write=True) as store, closing(FileSource(video, 4)) as source:
        content_id = source.info.content_id
        stream = Stream(video.stem, "file", str(video), content_id, state="watching", fps=4)
        stopper.worker = StreamWorker(store, stream, source, [stopper])
        return stopper.worker.run()


# -- damaged files ------------------------------------------------------------------------------------


def test_a_truncated_file_is_remembered_and_ends_with_a_gap(tmp_path: Path) -> None:
    video = write_video(tmp_path / "cut off.mp4", moving(1, 20.0))
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 6 // 10])

    report = watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))

    moments = moments_of(tmp_path / "memory", "cut off")
    with Recollect(tmp_path / "memory") as memory:
        (gap,) = memory.gaps("cut off")
    assert report.gaps == 1
    assert_tiled(moments)
    assert moments[-1].span.end_s > 8.0
    assert gap.cause == "damaged"
    assert gap.span.start_s == pytest.approx(moments[-1].span.end_s, abs=0.01)
    assert gap.span.end_s == pytest.approx(20.0, abs=0.1)
    counts = counts_of(tmp_path / "memory", "cut off")
    assert counts.balanced
    assert counts.captured - sum(counts.dropped.values()) == decodable_before_an_error(video)


def decodable_before_an_error(path: Path) -> int:
    count = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.FFmpegError:
            pass
    return count


@pytest.fixture(scope="module")
def scratched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video with a damaged part in its middle, and a memory of it."""
    folder = tmp_path_factory.mktemp("scratched")
    video = write_video(folder / "scratched.mkv", moving(1, 16.0))
    data = bytearray(video.read_bytes())
    first, last = len(data) * 4 // 10, len(data) * 5 // 10
    data[first:last] = bytes(last - first)
    video.write_bytes(data)
    watch(folder / "memory", str(video), options=WatchOptions(ocr=False))
    return video, folder / "memory"


@pytest.mark.parametrize("stop_at_s", [4.0, 12.0])
def test_a_damaged_stretch_is_a_gap_even_after_a_stop_near_it(
    scratched: tuple[Path, Path], tmp_path: Path, stop_at_s: float
) -> None:
    video, unbroken_memory = scratched
    stop_while_watching(tmp_path / "memory", video, stop_at_s)

    watch(tmp_path / "memory", str(video), options=WatchOptions(ocr=False))

    with Recollect(tmp_path / "memory") as memory, Recollect(unbroken_memory) as unbroken:
        gaps = memory.gaps("scratched")
        assert [(gap.span, gap.cause) for gap in gaps] == [
            (gap.span, gap.cause) for gap in unbroken.gaps("scratched")
        ]
        assert len(gaps) == 1
        moments = memory.timeline("scratched")
        assert moments[-1].shot == unbroken.timeline("scratched")[-1].shot == 1
        last_before = next(m for m in reversed(moments) if m.span.end_s <= gaps[0].span.start_s + 0.01)
        first_after = next(m for m in moments if m.span.start_s >= gaps[0].span.end_s - 0.01)
        assert last_before.span.end_s == pytest.approx(gaps[0].span.start_s, abs=0.01)
        assert first_after.span.start_s == pytest.approx(gaps[0].span.end_s, abs=0.01)
    counts, expected = (counts_of(folder, "scratched") for folder in (tmp_path / "memory", unbroken_memory))
    assert counts.balanced
    assert (counts.captured, counts.dropped) == (expected.captured, expected.dropped)


# -- the demo -----------------------------------------------------------------------------------------


def test_moments_of_the_demo_have_no_gaps_and_cross_no_cut(demo, tmp_path: Path) -> None:
    events: list[WatchEvent] = []

    report = watch(
        tmp_path / "memory", str(demo.video), options=WatchOptions(ocr=False), on_event=events.append
    )

    moments = moments_of(tmp_path / "memory", "demo")
    assert report.state == "done"
    assert_tiled(moments)
    assert counts_of(tmp_path / "memory", "demo").captured == decodable(demo.video) == report.counts.captured
    for cut in (truth for truth in demo.truths if truth.kind in ("cut", "dissolve")):
        crossing = [m for m in moments if m.span.start_s + 0.3 < cut.span.end_s < m.span.end_s - 0.3]
        assert not crossing, (cut, crossing)
    shots: dict[int, float] = {}
    for moment in moments:
        shots[moment.shot] = shots.get(moment.shot, 0.0) + moment.span.duration_s
    assert all(m.span.duration_s >= min(1.25, shots[m.shot]) - 1e-6 for m in moments)
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[-1].time_s == pytest.approx(report.until_s, abs=0.1)
