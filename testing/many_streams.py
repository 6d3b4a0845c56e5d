"""Many streams at once: four files and two cameras into one memory, questioned meanwhile, with or without trouble.

    scenario = ManyStreams(folder, film_s=60.0)
    calm = scenario.run("calm", disturbed=False)
    troubled = scenario.run("troubled", disturbed=True)     # one camera is killed, and one erased
    troubled.film_seconds / calm.film_seconds

The films are drawn once. The questions come from a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np

from ..client import Recollect
from ..memory.storage.commits import Commits
from ..perception.sources.frame import Picture
from ..perception.watch_events import Finished, WatchEvent, WatchReport
from ..perception.watch_handle import Watch
from ..perception.watch_options import WatchOptions
from .stream_servers import HttpStreamServer

FILMS = ("hall", "kitchen", "office", "garden")
KILLED, ERASED = "door", "yard"
SECRET = "xylophonequartz"
"""What a sign in front of the camera that is erased says, as a QR code."""
_FPS = 10
_OPTIONS = WatchOptions(ocr=False)
_ASK = """
import json, sys, time
from recollect import Recollect
from recollect.errors import RecollectError

with Recollect(sys.argv[1]) as memory:
    while not sys.stdin.closed and time.time() < float(sys.argv[2]):
        try:
            answer = memory.ask("What moves?")
            print(json.dumps({"answer": answer.text}), flush=True)
        except RecollectError as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        time.sleep(0.5)
"""


@dataclass(slots=True)
class ManyStreamsRun:
    """What came of one run."""

    memory: Path
    film_seconds: float = 0.0
    """Wall-clock time until all films were watched."""
    reports: dict[str, WatchReport] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Of questions that failed, but for those asked before anything was watched."""
    commits: int = 0


class ManyStreams:
    """Draws films, and watches them together with two cameras."""

    def __init__(self, folder: Path, *, film_s: float) -> None:
        self._folder = folder
        self._films = {name: folder / f"{name}.mp4" for name in FILMS}
        for number, path in enumerate(self._films.values()):
            if not path.exists():
                write_film(path, film_s, seed=number)

    def run(self, name: str, *, disturbed: bool) -> ManyStreamsRun:
        """Watch all of it into a new memory. Where ``disturbed``, kill one camera and erase the other."""
        run = ManyStreamsRun(self._folder / f"{name}.lance")
        with (
            HttpStreamServer(draw_street) as door,
            HttpStreamServer(draw_sign) as yard,
            Recollect(run.memory) as memory,
        ):
            cameras = {
                KILLED: memory.start(door.url, stream=KILLED, options=_OPTIONS),
                ERASED: memory.start(yard.url, stream=ERASED, options=_OPTIONS),
            }
            wait_until(lambda: all(camera.status().moments > 0 for camera in cameras.values()))
            with _asking(run):
                self._watch_films(memory, run, cameras, door if disturbed else None)
            memory.stop()
            run.reports |= {stream: camera.wait(timeout_s=60) for stream, camera in cameras.items()}
        run.commits = Commits(run.memory).head().number
        return run

    def _watch_films(
        self,
        memory: Recollect,
        run: ManyStreamsRun,
        cameras: dict[str, Watch],
        to_kill: HttpStreamServer | None,
    ) -> None:
        begun_s = time.monotonic()

        def note_end(event: WatchEvent) -> None:
            if isinstance(event, Finished):
                run.film_seconds = max(run.film_seconds, time.monotonic() - begun_s)

        films = {
            name: memory.start(path, stream=name, options=_OPTIONS, on_event=note_end)
            for name, path in self._films.items()
        }
        if to_kill is not None:
            wait_until(lambda: all(film.status().moments > 0 for film in films.values()))
            to_kill.refuse()
            memory.forget(ERASED)
            wait_until(lambda: cameras[KILLED].status().state == "disconnected")
        run.reports |= {name: film.wait(timeout_s=600) for name, film in films.items()}


def wait_until(happened: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for something that happens in another thread. Raises ``TimeoutError``."""
    until = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError(f"it did not happen within {timeout_s:g} s")
        time.sleep(0.05)


@contextmanager
def _asking(run: ManyStreamsRun, timeout_s: float = 600.0) -> Iterator[None]:
    """Have another process ask questions inside the block."""
    command = [sys.executable, "-c", _ASK, str(run.memory), str(time.time() + timeout_s)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        # The libraries are loaded before the films begin.
        lines = [child.stdout.readline()]
        yield
    finally:
        child.terminate()
        rest, _ = child.communicate(timeout=60)
    for line in (*lines, *rest.splitlines(keepends=True)):
        if line.endswith("\n"):
            record = json.loads(line)
            (run.answers if "answer" in record else run.errors).extend(record.values())


def write_film(path: Path, film_s: float, *, seed: int) -> None:
    """A film of shots of five seconds, in which a square moves; 320×240 at 10 frames a second."""
    colours = np.random.default_rng(seed).integers(40, 216, (int(film_s / 5) + 1, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(int(film_s * _FPS)):
            shot, step = divmod(number, 5 * _FPS)
            picture = np.full((240, 320, 3), colours[shot], np.uint8)
            picture[80:140, 5 * step : 5 * step + 60] = 255 - colours[shot]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def draw_street(time_s: float) -> Picture:
    """A square that crosses the picture every eight seconds."""
    picture = np.full((240, 320, 3), 90, np.uint8)
    left = int(time_s * 40) % 320
    picture[120:180, left : left + 40] = (40, 200, 240)
    return picture


def draw_sign(time_s: float) -> Picture:
    """The street with a sign that holds the secret."""
    picture = draw_street(time_s)
    code = cv2.QRCodeEncoder.create().encode(SECRET)
    picture[8:112, 8:112] = cv2.resize(code, (104, 104), interpolation=cv2.INTER_NEAREST)[..., None]
    return picture
