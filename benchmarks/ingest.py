"""What watching costs: as a multiple of real time, and as a ratio to bare decoding of the same file.

    python benchmarks/ingest.py [VIDEO…] [--fps 4] [--repeats 3]

Bare decoding is PyAV decoding every frame in order and converting the sampled ones to full-size BGR:
nobody who looks at these samples can do with less. Both are measured in the same run, in CPU time of
this process, repeats interleaved, the least of each taken. Without VIDEO, the demo video is rendered.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from recollect.evals.world import render_demo
from recollect.memory.store import MemoryStore
from recollect.memory.values import Finding, Span, Stream
from recollect.perception.file import FileSource
from recollect.perception.frame import Frame
from recollect.perception.observers.base import Observer
from recollect.perception.source import Event, Sampler
from recollect.perception.watching import default_observers
from recollect.perception.worker import StreamWorker


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

    def cut(self) -> None:
        with self._clock.timed(self.written_by):
            self._inner.cut()

    def findings(self, span: Span) -> list[Finding]:
        with self._clock.timed(self.written_by):
            return self._inner.findings(span)


class TimedSource(FileSource):
    """A file source, timed."""

    clock: Clock

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        events = super().frames(from_s)
        while True:
            with self.clock.timed("source (decode, thumbnail, small picture)"):
                event = next(events, None)
            if event is None:
                return
            yield event


class TimedStore:
    """A store, timed; everything but ``append`` goes straight through."""

    def __init__(self, inner: MemoryStore, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def append(self, *arguments: Any) -> None:
        with self._clock.timed("store"):
            self._inner.append(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def decode_bare(path: Path, fps: float) -> float:
    """Decode every frame, convert the sampled ones; returns seconds of video."""
    sampler = Sampler(fps)
    last_s = 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            last_s = frame.time or last_s
            if sampler.takes(last_s):
                frame.to_ndarray(format="bgr24")
    return last_s


def watch(path: Path, fps: float, *, ocr: bool, clock: Clock | None = None) -> float:
    """Watch a file into a fresh memory; returns its length in seconds."""
    with (
        tempfile.TemporaryDirectory() as folder,
        MemoryStore.open(Path(folder) / "m.lance", write=True) as store,
    ):
        source = FileSource(path, fps)
        info = source.info
        stream = Stream("bench", "file", info.source, info.content_id, "watching", fps, info.duration_s)
        observers = default_observers(info, ocr=ocr)
        if clock is not None:
            source = TimedSource(path, fps)
            source.clock = clock
            observers = [TimedObserver(observer, clock) for observer in observers]
        kept: Any = store if clock is None else TimedStore(store, clock)
        return StreamWorker(kept, stream, source, observers).run().until_s


def cpu(action: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds of an action."""
    begun, wall = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - begun, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", nargs="*", type=Path)
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    videos = arguments.video
    if not videos:
        videos = [Path(folder.name) / "demo.mp4"]
        render_demo(videos[0])
    watch(videos[0], arguments.fps, ocr=True)  # loads every library and model once
    total: dict[str, float] = defaultdict(float)
    parts = Clock()
    print(f"{'video':28} {'length':>8} {'bare decode':>12} {'watch, no OCR':>22} {'watch, OCR':>22}")
    for video in videos:
        best: dict[str, tuple[float, float]] = {}
        length_s = decode_bare(video, arguments.fps)
        for _ in range(arguments.repeats):
            for name, action in (
                ("bare", lambda v=video: decode_bare(v, arguments.fps)),
                ("plain", lambda v=video: watch(v, arguments.fps, ocr=False)),
                ("ocr", lambda v=video: watch(v, arguments.fps, ocr=True)),
            ):
                taken = cpu(action)
                best[name] = min(best.get(name, taken), taken)
        watch(video, arguments.fps, ocr=True, clock=parts)
        total["length"] += length_s
        cells = []
        for name in ("bare", "plain", "ocr"):
            seconds = best[name][0]
            total[name] += seconds
            ratio = "" if name == "bare" else f" {seconds / best['bare'][0]:5.2f}×"
            cells.append(f"{seconds:6.2f} s {length_s / seconds:5.0f}×RT{ratio}")
        print(f"{video.stem[:28]:28} {length_s:6.1f} s  " + "  ".join(cells))
    print(
        f"{'all':28} {total['length']:6.1f} s  {total['bare']:.2f} s; "
        f"without OCR {total['plain']:.2f} s = {total['plain'] / total['bare']:.2f}× bare decoding "
        f"({total['length'] / total['plain']:.0f}× real time); "
        f"with OCR {total['ocr']:.2f} s = {total['ocr'] / total['bare']:.2f}× ({total['length'] / total['ocr']:.0f}× real time)"
    )
    print("\npart by part (CPU s, one run with OCR over all videos)")
    for name, seconds in sorted(parts.spent.items(), key=lambda item: -item[1]):
        print(f"  {seconds:7.2f}  {seconds / total['bare']:5.2f}× bare  {name}")
    folder.cleanup()


if __name__ == "__main__":
    main()
