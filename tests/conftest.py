"""What many tests share: the demo's video, rendered once, and the real clips where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from recollect.evals.scenes import Truth


class Demo(NamedTuple):
    """The demo's video and what is known of it."""

    video: Path
    subtitles: Path
    truths: list[Truth]
    """What happens in the picture, in time order."""
    said: list[Truth]
    """What the subtitles say."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo's video, its subtitles beside it, and its truths; rendering takes about 10 s."""
    from recollect.evals.world import render_demo, render_demo_subtitles

    video = tmp_path_factory.mktemp("demo") / "demo.mp4"
    subtitles = video.with_suffix(".srt")
    return Demo(video, subtitles, render_demo(video), render_demo_subtitles(subtitles))


@pytest.fixture(scope="session")
def demo_video(demo: Demo) -> Path:
    """The demo's video alone."""
    return demo.video


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))
    if not folder.is_dir():
        pytest.skip("the real clips are not here (set RECOLLECT_CLIPS)")
    return folder
