"""What watching costs, against bare decoding of the same file.

    python benchmarks/ingest.py [VIDEO…] [--fps 4] [--repeats 3] [--no-ocr]

Bare decoding is the least that anyone who looks at the samples must do: PyAV decodes every frame in
order on one thread, and one scaler, kept, turns the sampled ones into full-size BGR. As a second
yardstick, PyAV as its documentation uses it: its own threads, and a scaler for each frame. Watching
is all of ``watch``, into a new memory. All are measured in the same run, in CPU time of this process
(all its threads), repeats interleaved, the median of each taken: on a machine whose speed comes and
goes, the least of a short run is luckier than that of a long one. Without VIDEO, the demo is rendered.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
from av.codec.context import ThreadType
from av.video.reformatter import VideoReformatter

from recollect.memory.store import MemoryStore
from recollect.memory.values import Finding, Span, Stream
from recollect.perception.observers.default_observers import default_observers
from recollect.perception.observers.observer import Observer
from recollect.perception.observers.text_observer import TextObserver
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.frame_sampling import FrameSampler
from recollect.perception.sources.source import Event
from recollect.perception.stages.stream_worker import StreamWorker
from recollect.perception.watching import watch as watch_into
from recollect.worlds.demo_video import render_demo

ALLOWED = 2.5
"""What watching without OCR may cost, as a multiple of bare decoding."""
NAIVE_FPS = 1.0
"""What OCR is compared with: the whole picture, so many times a second."""


class Clock:
    """Adds up CPU seconds by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begun = time.process_time()
        try:
            yield
        finally:
            self.spent[name] += time.process_time() - begun


class TimedObserver:
    """An observer, timed."""

    def __init__(self, inner: Observer, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self.written_by = inner.written_by

    def push(self, frame: Frame) -> None:
        with self._clock.timed(self.written_by):
            self._inner.push(frame)

    def cut(self, time_s: float) -> None:
        with self._clock.timed(self.written_by):
            self._inner.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        with self._clock.timed(self.written_by):
            return self._inner.findings(span)


class TimedSource:
    """A file source, timed."""

    def __init__(self, inner: FileSource, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        events = self._inner.frames(from_s)
        while True:
            with self._clock.timed("source: decode, thumbnails, small pictures"):
                event = next(events, None)
            if event is None:
                return
            yield event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class TimedStore:
    """A store, timed where it writes."""

    def __init__(self, inner: MemoryStore, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def append(self, *arguments: Any) -> None:
        with self._clock.timed("store: append"):
            self._inner.append(*arguments)

    def put_stream(self, stream: Stream) -> None:
        with self._clock.timed("store: open, streams, maintain (once a video)"):
            self._inner.put_stream(stream)

    def maintain(self) -> None:
        with self._clock.timed("store: open, streams, maintain (once a video)"):
            self._inner.maintain()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class Looks:
    """What OCR did."""

    frames: int = 0
    looks: int = 0
    pixels: int = 0
    lines_read: int = 0
    lines_reused: int = 0
    naive_looks: int = 0
    naive_pixels: int = 0

    def take(self, observer: TextObserver, info_size: tuple[int, int], length_s: float) -> None:
        """Add what one video took, and what looking at whole pictures would have taken."""
        self.frames += observer.counts.frames
        self.looks += observer.counts.looks
        self.pixels += observer.reader.detected_px
        self.lines_read += observer.reader.lines_read
        self.lines_reused += observer.reader.lines_reused
        naive = math.ceil(length_s * NAIVE_FPS)
        scale = min(1.0, 960 / max(*info_size, 1))
        self.naive_looks += naive
        self.naive_pixels += round(naive * info_size[0] * info_size[1] * scale * scale)

    def __str__(self) -> str:
        return (
            f"{self.frames} sampled frames: text looked for in {self.looks}, {self.pixels / 1e6:.1f} Mpx "
            f"(the whole picture at {NAIVE_FPS:g} fps: {self.naive_looks}, {self.naive_pixels / 1e6:.1f} Mpx); "
            f"{self.lines_read} lines read, {self.lines_reused} known again and not read"
        )


@dataclass
class Costs:
    """CPU seconds of one or more videos."""

    length_s: float = 0.0
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def row(self, name: str) -> str:
        bare = self.spent["bare"]
        cells = [f"{name[:26]:26} {self.length_s:6.1f} s {bare:7.2f} s"]
        for way in ("plain", "ocr"):
            if way in self.spent:
                seconds = self.spent[way]
                cells.append(f"{seconds:7.2f} s {self.length_s / seconds:4.0f}×RT {seconds / bare:5.2f}×")
        return "   ".join(cells)


def decode_bare(path: Path, fps: float) -> float:
    """Decode every frame, convert the sampled ones; returns seconds of video."""
    sampler, scaler = FrameSampler(fps), VideoReformatter()
    last_s = 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = ThreadType.NONE
        for frame in container.decode(stream):
            last_s = frame.time or last_s
            if sampler.takes(last_s):
                scaler.reformat(frame, format="bgr24", threads=1).to_ndarray()
    return last_s


def decode_plainly(path: Path, fps: float) -> None:
    """The same, with nothing set: PyAV's default threads, and a new scaler for every sampled frame."""
    sampler = FrameSampler(fps)
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if sampler.takes(frame.time or 0.0):
                frame.to_ndarray(format="bgr24")


def watch(path: Path, fps: float, *, ocr: bool) -> None:
    """Watch a file into a new memory, as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        watch_into(Path(folder) / "m.lance", str(path), fps=fps, ocr=ocr)


def watch_timed(path: Path, fps: float, clock: Clock, *, ocr: bool) -> list[Observer]:
    """The same, part by part; returns the observers."""
    begun = time.process_time()
    before = sum(clock.spent.values())
    with tempfile.TemporaryDirectory() as folder:
        with clock.timed("store: open, streams, maintain (once a video)"):
            store = MemoryStore.open(Path(folder) / "m.lance", write=True)
        with store:
            with clock.timed("file: open, identity (once a video)"):
                source = FileSource(path, fps)
                info = source.info
            stream = Stream("bench", "file", info.source, info.content_id, "watching", fps, info.duration_s)
            with clock.timed("observers: loading (once a video)"):
                observers = default_observers(info, ocr=ocr)
            timed = [TimedObserver(observer, clock) for observer in observers]
            kept: Any = TimedStore(store, clock)
            with closing(source):
                StreamWorker(kept, stream, TimedSource(source, clock), timed).run()
    known = sum(clock.spent.values()) - before
    clock.spent["shots, key frames, moments, worker"] += time.process_time() - begun - known
    return observers


def cpu(action: Callable[[], Any]) -> float:
    """CPU seconds of an action."""
    begun = time.process_time()
    action()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", nargs="*", type=Path)
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-ocr", action="store_true", help="leave out the runs with OCR")
    arguments = parser.parse_args()
    fps = arguments.fps
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        videos = arguments.video
        if not videos:
            videos = [Path(folder) / "demo.mp4"]
            render_demo(videos[0])
        measure(videos, fps, arguments.repeats, ocr=not arguments.no_ocr)


def measure(videos: list[Path], fps: float, repeats: int, *, ocr: bool) -> None:
    """Measure and print."""
    ways: dict[str, Callable[[Path], Any]] = {
        "bare": lambda video: decode_bare(video, fps),
        "default": lambda video: decode_plainly(video, fps),
        "plain": lambda video: watch(video, fps, ocr=False),
    }
    if ocr:
        ways["ocr"] = lambda video: watch(video, fps, ocr=True)
    watch(videos[0], fps, ocr=ocr)  # loads every library and model once
    total, looks = Costs(), Looks()
    summed: dict[str, float] = defaultdict(float)
    parts = {way: Clock() for way in ("plain", "ocr") if way in ways}
    heads = [f"{'video':26} {'length':>8} {'bare decode':>9}", f"{'watching, no OCR':>22}"]
    print("   ".join([*heads, f"{'watching, OCR':>22}"] if ocr else heads))
    for video in videos:
        costs = Costs(decode_bare(video, fps))
        taken: dict[str, list[float]] = defaultdict(list)
        least: dict[str, Clock] = {}
        for _ in range(repeats):
            for way, action in ways.items():
                seconds = cpu(partial(action, video))
                taken[way].append(seconds)
                summed[way] += seconds
        for way, clock in parts.items():
            for _ in range(repeats if way == "plain" else 1):
                one = Clock()
                observers = watch_timed(video, fps, one, ocr=way == "ocr")
                if way not in least or sum(one.spent.values()) < sum(least[way].spent.values()):
                    least[way] = one
            for name, seconds in least[way].spent.items():
                clock.spent[name] += seconds
            for observer in observers:
                if isinstance(observer, TextObserver):
                    info = FileSource(video, fps).info
                    looks.take(observer, (info.width, info.height), costs.length_s)
        costs.spent.update({way: statistics.median(seconds) for way, seconds in taken.items()})
        total.length_s += costs.length_s
        for way, seconds in costs.spent.items():
            total.spent[way] += seconds
        print(costs.row(video.stem), flush=True)
    if len(videos) > 1:
        print(total.row("all"))
    bare = total.spent["bare"]
    for way, clock in parts.items():
        print(f"\npart by part, {'with' if way == 'ocr' else 'without'} OCR (one run of each video)")
        for name, seconds in sorted(clock.spent.items(), key=lambda item: -item[1]):
            print(f"  {seconds:7.2f} s  {seconds / bare:5.2f}×  {name}")
    print(f"\nallowed without OCR: {ALLOWED}×")
    for way in parts:
        seconds = total.spent[way]
        print(
            f"{'with' if way == 'ocr' else 'without'} OCR: {seconds / bare:.2f}× bare decoding, "
            f"{seconds / total.spent['default']:.2f}× PyAV with its defaults ({total.spent['default']:.2f} s)"
        )
        # On a busy machine a short run finds a quiet moment sooner than a long one; sums do not care.
        print(
            f"  by the sums of all repeats: {summed[way] / summed['bare']:.2f}× and "
            f"{summed[way] / summed['default']:.2f}×"
        )
    if ocr:
        print(f"OCR, of {looks}")


if __name__ == "__main__":
    main()
