"""Live time: watches cameras with slow, fast, missing and restarted clocks at once, and measures how true their time is.

    for result in measure(list(CAMERAS), seconds=120.0, folder=tmp_path):
        result.worst_s          # the largest |stream - wall| of a frame

The cameras ship in ``testing`` and draw the time into their pictures. ``StreamWorker`` and ``LiveSource`` watch them
into a real memory. ``benchmarks/live_time.py`` prints the table.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ..memory import MemoryStore, Stream
from ..perception.live_origin import find_live_origin
from ..perception.sources.frame import Frame
from ..perception.sources.live_clock import LiveOrigin
from ..perception.sources.live_source import LiveSource
from ..perception.sources.source import Event, Outage, SourceInfo
from ..perception.stages.stream_worker import StreamWorker
from .segment_servers import HlsServer, MjpegServer
from .stream_servers import RtspServer
from .time_code import draw_time_code, read_time_code

Camera = MjpegServer | RtspServer | HlsServer

CAMERAS: dict[str, Callable[[], Camera]] = {
    "mjpeg 2 fps": lambda: MjpegServer(draw_time_code, fps=2),
    "mjpeg 8 fps": lambda: MjpegServer(draw_time_code, fps=8),
    "mjpeg 40 fps": lambda: MjpegServer(draw_time_code, fps=40),
    "rtsp ×0.95": lambda: RtspServer(draw_time_code, fps=12, clock_rate=0.95),
    "rtsp ×1.05": lambda: RtspServer(draw_time_code, fps=12, clock_rate=1.05),
    "hls 2 s": lambda: HlsServer(draw_time_code, fps=10, segment_s=2),
    "hls 6 s": lambda: HlsServer(draw_time_code, fps=10, segment_s=6),
    "hls 10 s": lambda: HlsServer(draw_time_code, fps=10, segment_s=10),
    "hls 6 s restarted": lambda: HlsServer(draw_time_code, fps=10, segment_s=6, restart_after_s=60),
}


@dataclass
class LiveTimeResult:
    """What one camera's watch showed."""

    camera: str
    frames: int
    worst_s: float
    """The largest |stream - wall| of a frame."""
    median_s: float
    outages: int
    repeats: int
    """Frames that are no newer than the one before."""
    unaccounted_s: float
    """Moments and gaps, less the time that passed."""
    longest_moment_s: float
    gaps: list[str] = field(default_factory=list)

    def row(self) -> str:
        """The row of the table."""
        return (
            f"| {self.camera} | {self.frames} | {self.worst_s:.3f} | {self.median_s:.3f} |"
            f" {self.outages} | {self.repeats} | {self.unaccounted_s:+.3f} | {self.longest_moment_s:.2f} |"
        )


class WatchedCamera:
    """One camera, its watch, and the times in its pictures. It is the source that the worker reads."""

    def __init__(self, name: str, camera: Camera, store: MemoryStore) -> None:
        self.name = name
        self._camera, self._store = camera, store
        stream_name = name.replace(" ", "-")
        self._stream = Stream(
            stream_name,
            "live",
            camera.url,
            f"camera:{stream_name}",
            "watching",
            4.0,
            origin_wall_s=time.time(),
        )
        self._origin: LiveOrigin = find_live_origin(self._stream, None)
        self._source = LiveSource(camera.url, 4.0, origin=self._origin)
        self._placed: list[tuple[float, float]] = []
        self._outages: list[Outage] = []
        self._worker = StreamWorker(store, self._stream, self, [], origin=self._origin)
        self._stopped_at_s = 0.0
        self._thread = threading.Thread(target=self._worker.run)
        self._thread.start()

    @property
    def info(self) -> SourceInfo:
        """Of the live source."""
        return self._source.info

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Pass the events on, and note the time in each picture."""
        for event in self._source.frames(from_s):
            if isinstance(event, Frame):
                self._placed.append((event.time_s, read_time_code(event.thumb)))
            elif isinstance(event, Outage):
                self._outages.append(event)
            yield event

    def stop(self) -> None:
        """Stop the live source."""
        self._source.stop()

    def close(self) -> None:
        """Close the live source."""
        self._source.close()

    def finish(self) -> None:
        """Stop watching."""
        self._worker.stop()
        self._stopped_at_s = self._origin.now_s()
        self._thread.join()

    def result(self) -> LiveTimeResult:
        """Measure, after ``finish``."""
        reading = self._origin.clocks()
        drawn_from_s = reading.elapsed_at(self._camera.started_s) - self._origin.elapsed_s
        errors_s = [time_s - (drawn_from_s + drawn_s) for time_s, drawn_s in self._placed]
        distances_s = [abs(error_s) for error_s in errors_s]
        snapshot = self._store.snapshot()
        moments = snapshot.timeline(self._stream.name, rung="moment", limit=1_000_000)
        gaps = snapshot.gaps(self._stream.name)
        told_s = sum(span.duration_s for span in [*(m.span for m in moments), *(gap.span for gap in gaps)])
        drawn = [drawn_s for _, drawn_s in self._placed]
        return LiveTimeResult(
            camera=self.name,
            frames=len(self._placed),
            worst_s=max(distances_s, default=float("nan")),
            median_s=statistics.median(distances_s) if distances_s else float("nan"),
            outages=len(self._outages),
            repeats=sum(later <= earlier for earlier, later in pairwise(drawn)),
            unaccounted_s=told_s - self._stopped_at_s,
            longest_moment_s=max((moment.span.duration_s for moment in moments), default=0.0),
            gaps=[f"{gap.span.start_s:.1f}–{gap.span.end_s:.1f} {gap.cause} {gap.detail}" for gap in gaps],
        )


def measure(names: list[str], seconds: float, folder: Path) -> list[LiveTimeResult]:
    """Watch the named cameras at once for ``seconds``."""
    with ExitStack() as stack:
        store = stack.enter_context(MemoryStore.open(folder / "memory", write=True))
        watched = []
        for name in names:
            camera = CAMERAS[name]()
            stack.enter_context(camera)
            watched.append(stack.enter_context(closing(WatchedCamera(name, camera, store))))
        time.sleep(seconds)
        for camera_watch in watched:
            camera_watch.finish()
        return [camera_watch.result() for camera_watch in watched]
