"""Overload of cameras: watched on one core beside busy loops, and whether what was not seen is told as such.

    for camera in OverloadScenario(folder, cameras=4, watch_s=60.0).run():
        camera.untold_holes, camera.rate_changes, camera.worst_lag_s, camera.faults

Servers draw and encode on the other cores. The process that watches, its reader processes and the busy loops share
one core, so that they cannot keep up. An observer notes each frame that was examined, and these notes are held
against the memory. It needs an operating system that can bind processes to a core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..client import Recollect
from ..common.finding_kinds import FindingKind
from ..common.terminal import print_json_line
from ..memory.values import Finding, Gap, Moment, Span, spans_without, total_counts
from ..memory.watch_rate import WatchRate
from ..perception.sources.frame import Frame, Picture
from ..perception.sources.source import SourceInfo
from ..perception.watch_events import RateChanged, WatchEvent
from ..perception.watch_options import DEFAULT_FPS, WatchOptions
from .stream_servers import HttpStreamServer

LONGEST_HOLE_S = 1.05
"""Frames that were examined further apart than a second have a gap between them. A twentieth is for jitter."""
_SAME_S = 0.02
_BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
while os.getppid() == int(sys.argv[2]):
    sum(range(100_000))
"""
_PROGRAM = "import sys; from recollect.testing.overload import main; main(sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A frame that the observers examined."""

    time_s: float
    lag_s: float
    """How far it was behind the wall clock when it was examined."""
    rate: WatchRate | None


@dataclass(slots=True)
class CameraResult:
    """What came of one camera."""

    stream: str
    frames: int = 0
    """Frames that were examined."""
    worst_lag_s: float = 0.0
    rate_changes: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    """Seconds at each rate, in words."""
    gap_s: dict[str, float] = field(default_factory=dict)
    """Seconds of gaps by cause."""
    untold_holes: list[tuple[float, float]] = field(default_factory=list)
    """Stretches without an examined frame that are no gap."""
    faults: list[str] = field(default_factory=list)
    """Whatever else is told untruly."""


class OverloadScenario:
    """Watches cameras on one overloaded core."""

    def __init__(
        self,
        folder: Path,
        *,
        cameras: int = 4,
        watch_s: float = 60.0,
        fps: float = 25.0,
        size: tuple[int, int] = (640, 360),
        busy_loops: int = 2,
    ) -> None:
        self._memory = folder / "overload.lance"
        self._cameras, self._watch_s = cameras, watch_s
        self._fps, self._size, self._busy_loops = fps, size, busy_loops

    def run(self) -> list[CameraResult]:
        """Watch all cameras, then hold what the memory says against what was seen."""
        core = str(max(os.sched_getaffinity(0)))
        width, height = self._size
        with ExitStack() as processes:
            serve = ["serve", str(self._cameras), str(self._fps), str(width), str(height)]
            server = processes.enter_context(_process(["-c", _PROGRAM, *serve]))
            assert server.stdout is not None
            urls = json.loads(server.stdout.readline())
            for _ in range(self._busy_loops):
                processes.enter_context(_process(["-c", _BUSY, core, str(os.getpid())]))
            watch = ["watch", core, str(self._memory), str(self._watch_s), *urls]
            watcher = processes.enter_context(_process(["-c", _PROGRAM, *watch]))
            assert watcher.stdout is not None
            notes = json.loads(watcher.stdout.readline() or "{}")
        with Recollect(self._memory) as memory:
            return [_checked(memory, stream, **of_stream) for stream, of_stream in notes.items()]


def draw_traffic(time_s: float, size: tuple[int, int]) -> Picture:
    """Draw a road with a car that passes, and a number plate that can be read."""
    width, height = size
    picture = np.full((height, width, 3), 110, np.uint8)
    picture[height // 2 :] = 70
    left = int(time_s * width / 5) % width
    cv2.rectangle(picture, (left, height // 2), (left + width // 6, height * 3 // 4), (40, 40, 190), -1)
    plate = f"PLATE {int(time_s) // 10 % 1000:03}"
    cv2.putText(picture, plate, (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (240, 240, 240), 3)
    return picture


def main(arguments: Sequence[str]) -> None:
    """The processes of the scenario: ``serve`` cameras, or ``watch`` them."""
    role, *rest = arguments
    if role == "serve":
        count, fps, width, height = rest
        _serve(int(count), float(fps), (int(width), int(height)))
    else:
        core, memory, watch_s, *urls = rest
        os.sched_setaffinity(0, {int(core)})
        _watch(Path(memory), float(watch_s), urls)


def _serve(count: int, fps: float, size: tuple[int, int]) -> None:
    with ExitStack() as servers:
        draw = partial(draw_traffic, size=size)
        urls = [servers.enter_context(HttpStreamServer(draw, fps=fps)).url for _ in range(count)]
        print_json_line(urls)
        sys.stdin.read()


def _watch(memory_path: Path, watch_s: float, urls: Sequence[str]) -> None:
    notes: dict[str, dict[str, Any]] = {}
    with Recollect(memory_path) as memory:
        watches = []
        for number, url in enumerate(urls, 1):
            seen: list[SeenFrame] = []
            changes: list[WatchEvent] = []
            notes[f"camera{number}"] = {"seen": seen, "changes": changes}
            watches.append(
                memory.start(
                    url,
                    stream=f"camera{number}",
                    options=WatchOptions(observers=(_Noting(seen),)),
                    on_event=changes.append,
                )
            )
        time.sleep(watch_s)
        memory.stop()
        for watch in watches:
            report = watch.wait(timeout_s=120)
            of_stream = notes[watch.stream]
            of_stream["seen"] = [asdict(frame) for frame in of_stream["seen"]]
            of_stream["changes"] = [
                event.time_s for event in of_stream["changes"] if isinstance(event, RateChanged)
            ]
            of_stream["captured"], of_stream["is_balanced"] = report.counts.captured, report.counts.balanced
    print_json_line(notes)


class _Noting:
    """Makes an observer that notes each frame it is shown."""

    finding_kinds: tuple[FindingKind, ...] = ()

    def __init__(self, seen: list[SeenFrame]) -> None:
        self._seen = seen

    def __call__(self, source: SourceInfo) -> _NotingObserver:
        """The observer of one stream."""
        return _NotingObserver(self._seen)


class _NotingObserver:
    written_by = "noting/1"
    finding_kinds: tuple[FindingKind, ...] = ()

    def __init__(self, seen: list[SeenFrame]) -> None:
        self._seen = seen

    def push(self, frame: Frame) -> None:
        """Note the frame."""
        lag_s = time.time() - (frame.wall_s or 0.0)
        self._seen.append(SeenFrame(frame.time_s, lag_s, frame.rate))

    def cut(self, time_s: float) -> None:
        """Shots make no difference."""

    def findings(self, span: Span) -> list[Finding]:
        """None: it only notes."""
        return []


def _checked(
    memory: Recollect,
    stream: str,
    *,
    seen: list[dict[str, Any]],
    changes: list[float],
    captured: int,
    is_balanced: bool,
) -> CameraResult:
    """Hold the memory of a stream against the frames that were examined."""
    frames = [
        SeenFrame(note["time_s"], note["lag_s"], None if note["rate"] is None else WatchRate(**note["rate"]))
        for note in seen
    ]
    moments = memory.timeline(stream, limit=100_000)
    gaps = memory.gaps(stream)
    result = CameraResult(
        stream,
        frames=len(frames),
        worst_lag_s=max((frame.lag_s for frame in frames), default=0.0),
        rate_changes=len(changes),
        untold_holes=_untold_holes(frames, gaps),
    )
    for moment in moments:
        rate = str(moment.reduced[0].rate) if moment.reduced else "full rate"
        result.rates[rate] = result.rates.get(rate, 0.0) + moment.span.duration_s
    for gap in gaps:
        result.gap_s[gap.cause] = result.gap_s.get(gap.cause, 0.0) + gap.span.duration_s
    result.faults += _wrong_rates(frames, moments)
    result.faults += _said_of_the_unseen(moments, gaps)
    result.faults += _uncovered(moments, gaps)
    counts = total_counts([*(moment.counts for moment in moments), *(gap.counts for gap in gaps)])
    if not (is_balanced and counts.balanced and counts.captured == captured):
        result.faults.append(f"{captured} frames were captured, and {counts} are stored")
    return result


def _untold_holes(frames: Sequence[SeenFrame], gaps: Sequence[Gap]) -> list[tuple[float, float]]:
    """The stretches between two examined frames of which more than a second is no gap."""
    spans = [gap.span for gap in gaps]
    holes = []
    for before, after in pairwise(frames):
        if after.time_s - before.time_s > LONGEST_HOLE_S:
            parts = spans_without([Span(before.time_s, after.time_s)], spans)
            holes += [(part.start_s, part.end_s) for part in parts if part.duration_s > LONGEST_HOLE_S]
    return holes


def _wrong_rates(frames: Sequence[SeenFrame], moments: Sequence[Moment]) -> Iterator[str]:
    """Moments that say another rate than that of their frames."""
    for moment in moments:
        recorded = moment.reduced[0].rate if moment.reduced else None
        rates = {frame.rate for frame in frames if moment.span.contains(frame.time_s)}
        # Text may also not have been read in time at the full rate.
        unread = {replace(rate or WatchRate(DEFAULT_FPS), reads_text=False) for rate in rates}
        if len(rates) > 1 or (rates and recorded not in rates | unread):
            yield f"{moment.span} is recorded as {recorded}, and was watched at {rates}"


def _said_of_the_unseen(moments: Sequence[Moment], gaps: Sequence[Gap]) -> Iterator[str]:
    for moment in moments:
        if any(reduced.span.overlaps(gap.span) for gap in gaps for reduced in moment.reduced):
            yield f"{moment.span} overlaps a gap"
        is_thin = any(not reduced.rate.shows_movement for reduced in moment.reduced)
        if is_thin and any(finding.kind == "empty" for finding in moment.findings):
            yield f"{moment.span} says that nothing moves, from too few pictures"


def _uncovered(moments: Sequence[Moment], gaps: Sequence[Gap]) -> Iterator[str]:
    spans = sorted([*(moment.span for moment in moments), *(gap.span for gap in gaps)])
    for before, after in pairwise(spans):
        if abs(after.start_s - before.end_s) > _SAME_S:
            yield f"{before} is followed by {after}"


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
