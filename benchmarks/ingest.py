"""CPU cost of watching a video, compared with only decoding the same file.

    python benchmarks/ingest.py [VIDEO…] [--fps 4] [--repeats 3] [--no-ocr]

The baseline is the minimum work for reading the sampled frames: PyAV decodes every frame in order on one thread,
and one scaler that is kept converts the sampled frames to full-size BGR. The second baseline is PyAV as its
documentation uses it: with its own threads, and with a new scaler for each frame. Watching is all of ``watch``,
into a new memory.

All are measured in the same run, in CPU time of this process (all its threads) and of the processes that it started.
The decoder process starts once, before the repeats. Those that still run are counted on Linux only. Repeats are
interleaved, and the median of each is reported. The minimum would favour short runs on a machine whose speed varies. Without VIDEO, the
demo video is rendered. The stages are timed in a run of their own that decodes in this process.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
from av.codec.context import ThreadType
from av.video.reformatter import VideoReformatter

from recollect import WatchOptions
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

MAX_COST_RATIO = 2.5
"""The highest accepted cost of watching without OCR, as a multiple of bare decoding."""
NAIVE_FPS = 1.0
"""OCR is compared with reading the whole picture this many times a second."""
RUN_NAMES = {"plain": "without OCR", "ocr": "with OCR"}
"""The runs of watching, by key."""


def cpu_s() -> float:
    """CPU seconds so far of this process and of all processes below it, ended or not."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system + _running_cpu_s(os.getpid())


def _running_cpu_s(parent: int) -> float:
    """CPU seconds of the running processes below ``parent`` and of their ended children, in steps of 10 ms."""
    ticks = 0
    processes = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may hold anything: state, parent, …
            processes[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    below = [parent]
    while below:
        below = [pid for pid, values in processes.items() if int(values[1]) in below]
        ticks += sum(int(value) for pid in below for value in processes[pid][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


class CpuTimer:
    """Adds up CPU seconds by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start_s = time.process_time()
        try:
            yield
        finally:
            self.spent[name] += time.process_time() - start_s


class TimedObserver:
    """An observer whose calls are timed."""

    def __init__(self, inner: Observer, timer: CpuTimer) -> None:
        self._inner, self._timer = inner, timer
        self.written_by = inner.written_by
        self.finding_kinds = inner.finding_kinds

    def push(self, frame: Frame) -> None:
        with self._timer.timed(self.written_by):
            self._inner.push(frame)

    def cut(self, time_s: float) -> None:
        with self._timer.timed(self.written_by):
            self._inner.cut(time_s)

    def findings(self, span: Span) -> list[Finding]:
        with self._timer.timed(self.written_by):
            return self._inner.findings(span)


class TimedSource:
    """A file source whose reading is timed."""

    def __init__(self, inner: FileSource, timer: CpuTimer) -> None:
        self._inner, self._timer = inner, timer

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        events = self._inner.frames(from_s)
        while True:
            with self._timer.timed("source: decode, thumbnails, small pictures"):
                event = next(events, None)
            if event is None:
                return
            yield event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class TimedStore:
    """A store whose writes are timed."""

    def __init__(self, inner: MemoryStore, timer: CpuTimer) -> None:
        self._inner, self._timer = inner, timer

    def append(self, *arguments: Any) -> None:
        with self._timer.timed("store: append"):
            self._inner.append(*arguments)

    def put_stream(self, stream: Stream) -> None:
        with self._timer.timed("store: open, streams, maintain (once a video)"):
            self._inner.put_stream(stream)

    def maintain(self) -> None:
        with self._timer.timed("store: open, streams, maintain (once a video)"):
            self._inner.maintain()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class OcrCounts:
    """Frames, pictures and lines that OCR processed, and what reading whole pictures would process."""

    frames: int = 0
    looks: int = 0
    pixels: int = 0
    lines_read: int = 0
    lines_reused: int = 0
    naive_looks: int = 0
    naive_pixels: int = 0

    def add(self, observer: TextObserver, info_size: tuple[int, int], length_s: float) -> None:
        """Add the counts of one video, and those of reading whole pictures of it."""
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
            f"{self.lines_read} lines read, {self.lines_reused} recognised as read before"
        )


@dataclass
class Costs:
    """CPU seconds of one or more videos."""

    length_s: float = 0.0
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def row(self, name: str) -> str:
        bare = self.spent["bare"]
        cells = [f"{name[:26]:26} {self.length_s:6.1f} s {bare:7.2f} s"]
        for run in RUN_NAMES:
            if run in self.spent:
                seconds = self.spent[run]
                cells.append(f"{seconds:7.2f} s {self.length_s / seconds:4.0f}×RT {seconds / bare:5.2f}×")
        return "   ".join(cells)


def decode_bare(path: Path, fps: float) -> float:
    """Decode every frame and convert the sampled ones. Returns the length of the video in seconds."""
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


def decode_with_defaults(path: Path, fps: float) -> None:
    """The same with PyAV's defaults: its own threads, and a new scaler for every sampled frame."""
    sampler = FrameSampler(fps)
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if sampler.takes(frame.time or 0.0):
                frame.to_ndarray(format="bgr24")


def watch(path: Path, fps: float, *, ocr: bool) -> None:
    """Watch a file into a new memory, as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        watch_into(Path(folder) / "m.lance", str(path), options=WatchOptions(fps=fps, ocr=ocr))


def watch_timed(path: Path, fps: float, timer: CpuTimer, *, ocr: bool) -> list[Observer]:
    """Watch a file with each stage timed, all in this process. Returns the observers."""
    start_s = time.process_time()
    before = sum(timer.spent.values())
    with tempfile.TemporaryDirectory() as folder:
        with timer.timed("store: open, streams, maintain (once a video)"):
            store = MemoryStore.open(Path(folder) / "m.lance", write=True)
        with store:
            with timer.timed("file: open, identity (once a video)"):
                source = FileSource(path, fps)
                info = source.info
            stream = Stream("bench", "file", info.source, info.content_id, "watching", fps, info.duration_s)
            with timer.timed("observers: loading (once a video)"):
                observers = default_observers(info, ocr=ocr)
            timed = [TimedObserver(observer, timer) for observer in observers]
            timed_store: Any = TimedStore(store, timer)
            with closing(source):
                StreamWorker(timed_store, stream, TimedSource(source, timer), timed).run()
    attributed_s = sum(timer.spent.values()) - before
    timer.spent["shots, key frames, moments, worker"] += time.process_time() - start_s - attributed_s
    return observers


def cpu(action: Callable[[], Any]) -> float:
    """CPU seconds of an action."""
    start_s = cpu_s()
    action()
    return cpu_s() - start_s


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
    """Measure all videos and print the results."""
    actions: dict[str, Callable[[Path], Any]] = {
        "bare": lambda video: decode_bare(video, fps),
        "default": lambda video: decode_with_defaults(video, fps),
        "plain": lambda video: watch(video, fps, ocr=False),
    }
    if ocr:
        actions["ocr"] = lambda video: watch(video, fps, ocr=True)
    watch(videos[0], fps, ocr=ocr)  # loads every library and model once
    total, sums, ocr_counts = Costs(), Costs(), OcrCounts()
    stages = {run: CpuTimer() for run in RUN_NAMES if run in actions}
    print_header(ocr=ocr)
    for video in videos:
        costs = Costs(decode_bare(video, fps))
        for name, samples in measure_actions(video, actions, repeats).items():
            costs.spent[name] = statistics.median(samples)
            total.spent[name] += costs.spent[name]
            sums.spent[name] += sum(samples)
        total.length_s += costs.length_s
        for run, timer in stages.items():
            fastest = measure_stages(
                video, fps, repeats if run == "plain" else 1, costs.length_s, ocr_counts, ocr=run == "ocr"
            )
            for name, seconds in fastest.spent.items():
                timer.spent[name] += seconds
        print(costs.row(video.stem), flush=True)
    if len(videos) > 1:
        print(total.row("all"))
    print_stages(stages, total.spent["bare"])
    print_ratios(list(stages), total.spent, sums.spent)
    if ocr:
        print(f"OCR, of {ocr_counts}")


def measure_actions(
    video: Path, actions: dict[str, Callable[[Path], Any]], repeats: int
) -> dict[str, list[float]]:
    """CPU seconds of each repeat of each action, with the actions interleaved."""
    samples: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for name, action in actions.items():
            samples[name].append(cpu(partial(action, video)))
    return samples


def measure_stages(
    video: Path, fps: float, repeats: int, length_s: float, ocr_counts: OcrCounts, *, ocr: bool
) -> CpuTimer:
    """The stages of the fastest repeat. Adds the OCR counts of the last one."""
    timers = []
    for _ in range(repeats):
        timer = CpuTimer()
        observers = watch_timed(video, fps, timer, ocr=ocr)
        timers.append(timer)
    for observer in observers:
        if isinstance(observer, TextObserver):
            info = FileSource(video, fps).info
            ocr_counts.add(observer, (info.width, info.height), length_s)
    return min(timers, key=lambda timer: sum(timer.spent.values()))


def print_header(*, ocr: bool) -> None:
    """Print the heads of the columns."""
    heads = [f"{'video':26} {'length':>8} {'bare decode':>9}", f"{'watching, no OCR':>22}"]
    print("   ".join([*heads, f"{'watching, OCR':>22}"] if ocr else heads))


def print_stages(stages: dict[str, CpuTimer], bare_s: float) -> None:
    """Print the CPU seconds of each stage, and their ratio to bare decoding."""
    for run, timer in stages.items():
        print(f"\nby stage, {RUN_NAMES[run]} (one run of each video)")
        for name, seconds in sorted(timer.spent.items(), key=lambda item: -item[1]):
            print(f"  {seconds:7.2f} s  {seconds / bare_s:5.2f}×  {name}")


def print_ratios(runs: list[str], medians_s: dict[str, float], sums_s: dict[str, float]) -> None:
    """Print the cost of each run relative to both baselines."""
    print(f"\nallowed without OCR: {MAX_COST_RATIO}×")
    for run in runs:
        seconds = medians_s[run]
        print(
            f"{RUN_NAMES[run]}: {seconds / medians_s['bare']:.2f}× bare decoding, "
            f"{seconds / medians_s['default']:.2f}× PyAV with its defaults ({medians_s['default']:.2f} s)"
        )
        # On a busy machine a short run is more often undisturbed than a long one. Sums are not affected.
        print(
            f"  by the sums of all repeats: {sums_s[run] / sums_s['bare']:.2f}× and "
            f"{sums_s[run] / sums_s['default']:.2f}×"
        )


if __name__ == "__main__":
    main()
