"""What many tests share: the demo's video, rendered once, and the real clips where they are."""

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
    from recollect.worlds.demo_video import render_demo, render_demo_subtitles

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


class Door(NamedTuple):
    """A memory of half an hour at a door, and what is said in twenty seconds of it and nowhere else."""

    memory: Path
    secret: str
    """A word that is said, read and asked about from 0:15:00 to 0:15:20 of the stream ``door``."""
    secret_jpeg: bytes
    """What its pictures hold then."""

    def files_with(self, *needles: bytes) -> list[str]:
        """The files of the memory in which any of these stands; by default, what is said and shown there alone."""
        sought = needles or (self.secret.encode(), self.secret_jpeg)
        return sorted(
            str(path.relative_to(self.memory))
            for path in self.memory.rglob("*")
            if path.is_file() and any(needle in path.read_bytes() for needle in sought)
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
        said = f"a parcel, and the {door.secret} beside it" if secret else f"a plain wall, number {number}"
        seen = Finding("visible_text", "line", said, span, "text/1")
        jpeg = door.secret_jpeg if secret else b"jpeg" * 100
        picture = KeyFrame(f"door-{number}", "door", span.start_s, number, "1/1", 4, 3, jpeg, bytes(48))
        observation = Observation(said, (seen,), "observers/1", 1.7e9 + span.end_s)
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
    """Half an hour at a door, with a secret in the middle, and some minutes of a yard; a copy of its own."""
    copy = tmp_path / "door.lance"
    shutil.copytree(_door.memory, copy)
    return _door._replace(memory=copy)


class Disk:
    """A small disk of its own, in which room can be taken away and given back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def leave(self, room_bytes: int) -> None:
        """Fill it until so much room is left, about."""
        while True:
            self.empty()
            with self._ballast.open("wb") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(self.path).free - room_bytes))
                return
            # A thread has written something since it was asked how much is free.

    def empty(self) -> None:
        """Give back what was taken."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    """``disk(32)`` is a disk of 32 MB; a test that asks for it is skipped where nothing may be mounted."""
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
            pytest.skip("a small disk can only be mounted by root, and where mounting is allowed")
        mounted.append(path)
        return Disk(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def have_forgotten() -> Callable[..., None]:
    """``have_forgotten(store, ("event", "children"))``: every event loses its moments, as without room it would.

    A loss is a parent's rung and what goes under it: ``frame``, ``children`` or ``self``. ``within`` names a
    stretch of time; what reaches beyond it stays.
    """
    from recollect.memory.keeping.eviction_policy import EvictionCandidates

    def forgetting(store: Any, *losses: tuple[str, str], within: Any = None) -> None:
        for loss in losses:
            while units := [
                unit
                for unit in EvictionCandidates.of(store.maintenance.evictions.views()).lowest_value(
                    need_bytes=1e12
                )
                if (unit.rung, unit.loss) == loss
                and (within is None or unit.span.clipped_to(within) == unit.span)
            ]:
                store.maintenance.evictions.evict(units)

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
