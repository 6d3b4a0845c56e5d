"""Shared fixtures: the rendered demo video, a memory of it, a small disk, and the folder of real clips."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from recollect.worlds.scenes import Truth


class Demo(NamedTuple):
    """The demo's video, its subtitles and its ground truth."""

    video: Path
    subtitles: Path
    truths: list[Truth]
    """Events in the picture, in time order."""
    speech: list[Truth]
    """The lines of the subtitles."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo's video, its subtitles in the same folder, and its ground truth. Rendering takes about 10 s."""
    from recollect.worlds.demo_video import render_demo, render_demo_subtitles

    video = tmp_path_factory.mktemp("demo") / "demo.mp4"
    subtitles = video.with_suffix(".srt")
    return Demo(video, subtitles, render_demo(video), render_demo_subtitles(subtitles))


@pytest.fixture(scope="session")
def demo_video(demo: Demo) -> Path:
    """The path of the demo's video."""
    return demo.video


@pytest.fixture(scope="session")
def watched_demo(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory in which the demo's video was watched as the stream ``demo``. Making it takes about 15 s.

    All tests share it: ask questions, but copy it before changing anything.
    """
    from recollect import Recollect

    path = tmp_path_factory.mktemp("watched") / "recollect.lance"
    with Recollect(path) as memory:
        memory.watch(demo_video, stream="demo")
    return path


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a moving square, 160×96 at 25 frames a second: quick to watch."""
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


class Door(NamedTuple):
    """A memory of half an hour at a door, and a secret that occurs in twenty seconds of it only."""

    memory: Path
    secret: str
    """A word in the captions and visible text from 0:15:00 to 0:15:20 of the stream ``door``."""
    secret_jpeg: bytes
    """The bytes of its key frames in that span."""

    def files_with(self, *needles: bytes) -> list[str]:
        """The files of the memory that contain any of the needles, by default the secret or its pictures."""
        patterns = needles or (self.secret.encode(), self.secret_jpeg)
        return sorted(
            str(path.relative_to(self.memory))
            for path in self.memory.rglob("*")
            if path.is_file() and any(pattern in path.read_bytes() for pattern in patterns)
        )


@pytest.fixture(scope="session")
def _door(tmp_path_factory: pytest.TempPathFactory) -> Door:
    from recollect.memory import (
        Finding,
        FrameCounts,
        KeyFrame,
        Ladder,
        MemoryStore,
        Moment,
        Observation,
        Span,
        Stream,
        moment_id,
    )
    from recollect.testing.simulated_months import fill

    door = Door(
        tmp_path_factory.mktemp("door") / "door.lance", "xylophonequartz", random.Random(7).randbytes(400)
    )
    ladder = Ladder("door")
    rows: list[Moment] = []
    frames: list[KeyFrame] = []
    for number in range(180):
        span = Span(number * 10.0, number * 10.0 + 10.0)
        secret = number in (90, 91)
        line = f"a parcel, and the {door.secret} beside it" if secret else f"a plain wall, number {number}"
        visible_text = Finding("visible_text", "line", line, span, "text/1")
        jpeg = door.secret_jpeg if secret else b"jpeg" * 100
        picture = KeyFrame(f"door-{number}", "door", span.start_s, number, "1/1", 4, 3, jpeg, bytes(48))
        observation = Observation(line, (visible_text,), "observers/1", 1.7e9 + span.end_s)
        counts = FrameCounts(250, 1, 209, 40)
        id_ = moment_id("door", 0, "moment", span.start_s)
        moment = Moment(id_, "door", 0, span, (observation,), frame_ids=(picture.id,), counts=counts)
        rows += [moment, *ladder.push(moment, [picture])]
        frames.append(picture)
    with MemoryStore.open(door.memory, write=True, min_free_bytes=0) as store:
        store.put_stream(Stream("door", "file", "door.mp4", "content:door", "done", 4.0, duration_s=1800.0))
        store.append(rows + ladder.flush(), frames)
        fill(store, ["yard"], 0.1, picture_bytes=300, outages_a_day=0)
    return door


@pytest.fixture
def door(_door: Door, tmp_path: Path) -> Door:
    """A copy of a memory of half an hour at a door, with a secret in the middle, and six minutes of a yard."""
    copy = tmp_path / "door.lance"
    shutil.copytree(_door.memory, copy)
    return _door._replace(memory=copy)


class Disk:
    """A small mounted disk whose free space the test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def leave(self, room_bytes: int) -> None:
        """Fill the disk until about ``room_bytes`` are free."""
        while True:
            self.empty()
            with self._ballast.open("wb") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(self.path).free - room_bytes))
                return
            # Another thread has written since the free space was read.

    def empty(self) -> None:
        """Free the space that ``leave`` filled."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """``disk(32)`` mounts a disk of 32 MB. Skips the test if mounting is not allowed."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Disk:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
        if (
            os.geteuid() != 0
            or shutil.which("mount") is None
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("mounting a small disk needs root and a system that allows it")
        mounted.append(path)
        return Disk(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def evict() -> Callable[..., None]:
    """``evict(store, ("event", "children"))`` evicts the moments of every event, as a full disk budget does.

    A loss is a parent's rung and the part evicted: ``frame``, ``children`` or ``self``. With ``inside``, only
    units that lie in that span are evicted.
    """
    from recollect.memory.keeping.eviction_policy import EvictionCandidates

    def evicting(store: Any, *losses: tuple[str, str], inside: Any = None) -> None:
        for loss in losses:
            while units := [
                unit
                for unit in EvictionCandidates.of(store.maintenance.evictions.views()).lowest_value(
                    need_bytes=1e12
                )
                if (unit.rung, unit.loss) == loss
                and (inside is None or unit.span.clipped_to(inside) == unit.span)
            ]:
                store.maintenance.evictions.evict(units)

    return evicting


@pytest.fixture(scope="session")
def serving_python() -> Path:
    """The Python that has vLLM. Skips the test if the environment names none."""
    python = os.environ.get("RECOLLECT_SERVE__PYTHON")
    if not python:
        pytest.skip(
            "no vLLM is configured: run make serving-env and set RECOLLECT_SERVE__PYTHON as it prints"
        )
    return Path(python)


@pytest.fixture(scope="session")
def tiny_checkpoint(serving_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LMM with random weights. Making it takes about 10 s."""
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
    """The folder of real clips. Skips the test if the folder does not exist."""
    folder = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))
    if not folder.is_dir():
        pytest.skip("the folder of real clips does not exist (set RECOLLECT_CLIPS)")
    return folder
