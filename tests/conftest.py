"""What many tests share: the demo's video, rendered once, and the real clips where they are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
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
def watched_demo(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory in which the demo's video was watched as the stream ``demo``; making it takes about 15 s.

    Ask it whatever you like; watch nothing into it and break nothing: take a copy for that.
    """
    from recollect import Recollect

    path = tmp_path_factory.mktemp("watched") / "recollect.lance"
    with Recollect(path) as memory:
        memory.watch(demo_video, stream="demo")
    return path


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a square that moves, 160×96 at 25 frames a second: watched in no time."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(50):
            picture = np.full((96, 160, 3), 60, np.uint8)
            picture[30:60, 2 * number : 2 * number + 30] = (200, 120, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def have_forgotten() -> Callable[..., None]:
    """``have_forgotten(store, ("event", "children"))``: every event loses its moments, as without room it would.

    A loss is a parent's rung and what goes under it: ``frame``, ``children`` or ``self``. ``within`` names a
    stretch of time; what reaches beyond it stays.
    """
    from recollect.memory.forgetting import forget
    from recollect.memory.retention import Shelf

    def forgetting(store: Any, *losses: tuple[str, str], within: Any = None) -> None:
        for loss in losses:
            while units := [
                unit
                for unit in Shelf.of(store._upkeep._views()).dullest(need_bytes=1e12)
                if (unit.rung, unit.loss) == loss
                and (within is None or unit.span.clipped_to(within) == unit.span)
            ]:
                forget(store._upkeep._views(), store._tables, store._commits, units)

    return forgetting


@pytest.fixture(scope="session")
def serving_python() -> Path:
    """The Python that has vLLM; a test that asks for it is skipped where none is named."""
    named = os.environ.get("RECOLLECT_SERVE__PYTHON")
    if not named:
        pytest.skip("there is no vLLM here (make serving-env, and set RECOLLECT_SERVE__PYTHON as it says)")
    return Path(named)


@pytest.fixture(scope="session")
def tiny_checkpoint(serving_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LMM whose weights are drawn by chance; making it takes about 10 s."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    readme = Path(__file__).parents[1] / "README.md"
    subprocess.run(
        [serving_python, "-P", "-m", "recollect.evals.tiny", folder, "--seed", "1", "--texts", readme],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))
    if not folder.is_dir():
        pytest.skip("the real clips are not here (set RECOLLECT_CLIPS)")
    return folder
