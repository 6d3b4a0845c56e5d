"""Nothing beyond the clock comes out of a video, and one that is drawn is watched as its file would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from recollect.evals.causal_video import CausalVideo, DrawnFootage, FileFootage
from recollect.evals.errors import LookedAhead
from recollect.evals.ingestion import STREAM, WatchSettings, as_of_s, ingest
from recollect.memory import MemoryStore
from recollect.worlds.house import furnish

from .conftest import HouseSuite


def test_what_comes_after_the_clock_or_before_the_start_is_refused(suite: HouseSuite) -> None:
    video = CausalVideo(FileFootage(suite.videos["one"]), from_s=4.0, until_s=10.0)

    assert [round(time_s) for time_s, _ in video.pictures([4.0, 9.5])] == [4, 10]
    for time_s in (3.9, 10.0, 20.0):
        with pytest.raises(LookedAhead, match=r"only 4\.000 to 10\.000 s"):
            video.pictures([time_s])


def test_a_picture_that_is_due_and_not_there_yet_is_not_handed_out(suite: HouseSuite) -> None:
    """Frames come every 0.04 s: at 9.995 s the next one is that of 10 s."""
    video = CausalVideo(FileFootage(suite.videos["one"]), until_s=10.0)

    assert video.pictures([9.995]) == []
    assert video.latest_s is None


def test_frames_are_spread_over_what_may_be_seen_and_counted(suite: HouseSuite) -> None:
    video = CausalVideo(FileFootage(suite.videos["one"]), until_s=12.0)
    times_s = [time_s for time_s, _ in video.spread(4)]
    last_s = [time_s for time_s, _ in video.spread(2, last_s=2.0)]

    assert times_s == pytest.approx([1.5, 4.5, 7.5, 10.5], abs=0.05)
    assert last_s == pytest.approx([10.5, 11.5], abs=0.05)
    assert video.count == 6
    assert video.latest_s == last_s[-1]


@pytest.mark.slow
def test_a_drawn_video_is_remembered_as_its_file_is(tmp_path: Path, suite: HouseSuite) -> None:
    house = furnish("running", 24.0)
    drawn = DrawnFootage(house.timeline.draw, house.duration_s, "running")
    watching = WatchSettings(ocr=False)
    told = {}
    for name, footage in (("drawn", drawn), ("file", FileFootage(suite.videos["one"]))):
        watched = ingest(footage, tmp_path / name, name=name, watching=watching)
        assert watched.duration_s == pytest.approx(house.duration_s, abs=0.3)
        with MemoryStore.open(tmp_path / name) as store, store.snapshot(as_of_s(1e6)) as snapshot:
            told[name] = snapshot.timeline(STREAM)
            assert snapshot.counts(STREAM).balanced

    assert 0.7 < len(told["drawn"]) / len(told["file"]) < 1.4
    kinds = {
        name: {finding.kind for one in moments for finding in one.findings} for name, moments in told.items()
    }
    assert {"enters", "leaves", "placed"} <= kinds["drawn"] & kinds["file"]


def test_a_cut_is_seen_between_two_drawn_pictures(tmp_path: Path) -> None:
    house = furnish("cuts", 20.0, scene_s=(4.0, 6.0))
    assert len(house.scenes) > 1
    footage = DrawnFootage(house.timeline.draw, house.duration_s, "cuts")
    ingest(footage, tmp_path / "m", name="cuts", watching=WatchSettings(ocr=False))

    with MemoryStore.open(tmp_path / "m") as store, store.snapshot(as_of_s(1e6)) as snapshot:
        cuts = [
            one.span.start_s
            for moment in snapshot.timeline(STREAM)
            for one in moment.of("action")
            if one.kind == "cut"
        ]

    assert len(cuts) == len(house.scenes) - 1
    assert cuts == pytest.approx([start_s for start_s, _ in house.scenes[1:]], abs=0.3)


def test_what_was_not_there_yet_is_not_seen_as_of_an_earlier_time(tmp_path: Path, suite: HouseSuite) -> None:
    ingest(FileFootage(suite.videos["one"]), tmp_path / "m", name="one", watching=WatchSettings(ocr=False))

    with MemoryStore.open(tmp_path / "m") as store:
        for at_s in (0.0, 6.0, 13.0, 20.0):
            with store.snapshot(as_of_s(at_s)) as snapshot:
                moments = snapshot.timeline(STREAM)
            assert all(moment.span.end_s <= at_s for moment in moments)
            assert not moments or at_s - moments[-1].span.end_s < 12.0
