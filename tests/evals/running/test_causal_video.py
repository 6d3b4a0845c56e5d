"""Causal videos return no later frame, and a drawn video gives the same memory as its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from recollect.evals.causal_video import CausalVideo, DrawnFootage, FileFootage
from recollect.evals.errors import LookedAhead
from recollect.evals.ingestion import STREAM, WatchSettings, as_of_s, ingest
from recollect.memory import MemoryStore
from recollect.worlds.house import furnish

from .conftest import HouseSuite


def test_frames_outside_the_usable_part_are_refused(suite: HouseSuite) -> None:
    video = CausalVideo(FileFootage(suite.videos["house"]), from_s=4.0, until_s=10.0)

    assert [round(time_s) for time_s, _ in video.pictures([4.0, 9.5])] == [4, 10]
    for time_s in (3.9, 10.0, 20.0):
        with pytest.raises(LookedAhead, match=r"only 4\.000 to 10\.000 s"):
            video.pictures([time_s])


def test_picture_after_the_question_is_not_returned(suite: HouseSuite) -> None:
    """Frames are 0.04 s apart, so the next frame after 9.995 s is at 10 s."""
    video = CausalVideo(FileFootage(suite.videos["house"]), until_s=10.0)

    assert video.pictures([9.995]) == []
    assert video.latest_s is None


def test_spread_covers_the_usable_part_and_counts_frames(suite: HouseSuite) -> None:
    video = CausalVideo(FileFootage(suite.videos["house"]), until_s=12.0)
    times_s = [time_s for time_s, _ in video.spread(4)]
    last_s = [time_s for time_s, _ in video.spread(2, last_s=2.0)]

    assert times_s == pytest.approx([1.5, 4.5, 7.5, 10.5], abs=0.05)
    assert last_s == pytest.approx([10.5, 11.5], abs=0.05)
    assert video.count == 6
    assert video.latest_s == last_s[-1]


@pytest.mark.slow
def test_drawn_video_gives_the_same_memory_as_its_file(tmp_path: Path, suite: HouseSuite) -> None:
    house = furnish("running", 24.0)
    drawn = DrawnFootage(house.timeline.draw, house.duration_s, "running")
    watching = WatchSettings(ocr=False)
    timelines = {}
    for name, footage in (("drawn", drawn), ("file", FileFootage(suite.videos["house"]))):
        watched = ingest(footage, tmp_path / name, name=name, watching=watching)
        assert watched.duration_s == pytest.approx(house.duration_s, abs=0.3)
        with MemoryStore.open(tmp_path / name) as store, store.snapshot(as_of_s(1e6)) as snapshot:
            timelines[name] = snapshot.timeline(STREAM)
            assert snapshot.counts(STREAM).balanced

    assert 0.7 < len(timelines["drawn"]) / len(timelines["file"]) < 1.4
    kinds = {
        name: {finding.kind for moment in moments for finding in moment.findings}
        for name, moments in timelines.items()
    }
    assert {"enters", "leaves", "placed"} <= kinds["drawn"] & kinds["file"]


def test_cut_between_drawn_pictures_is_detected(tmp_path: Path) -> None:
    house = furnish("cuts", 20.0, scene_s=(4.0, 6.0))
    assert len(house.scenes) > 1
    footage = DrawnFootage(house.timeline.draw, house.duration_s, "cuts")
    ingest(footage, tmp_path / "m", name="cuts", watching=WatchSettings(ocr=False))

    with MemoryStore.open(tmp_path / "m") as store, store.snapshot(as_of_s(1e6)) as snapshot:
        cuts = [
            action.span.start_s
            for moment in snapshot.timeline(STREAM)
            for action in moment.of("action")
            if action.kind == "cut"
        ]

    assert len(cuts) == len(house.scenes) - 1
    assert cuts == pytest.approx([start_s for start_s, _ in house.scenes[1:]], abs=0.3)


def test_snapshot_as_of_a_time_has_no_later_moments(tmp_path: Path, suite: HouseSuite) -> None:
    ingest(
        FileFootage(suite.videos["house"]), tmp_path / "m", name="house", watching=WatchSettings(ocr=False)
    )

    with MemoryStore.open(tmp_path / "m") as store:
        for at_s in (0.0, 6.0, 13.0, 20.0):
            with store.snapshot(as_of_s(at_s)) as snapshot:
                moments = snapshot.timeline(STREAM)
            assert all(moment.span.end_s <= at_s for moment in moments)
            assert not moments or at_s - moments[-1].span.end_s < 12.0
