"""Opens a source and a memory, and has the one watched into the other.

    report = watch(Path("recollect.lance"), "kitchen.mp4")

Decides what a stream is called, whether it was watched before, and which observers look.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from ..errors import StreamNameTaken
from ..memory.encoder import Encoder
from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, Stream
from .observers.base import Observer
from .observers.camera import CameraObserver
from .observers.codes import CodeObserver
from .observers.faces import FaceObserver
from .observers.look import LookObserver
from .observers.motion import MotionObserver
from .observers.subtitles import SubtitleObserver, load_cues
from .observers.text import TextObserver
from .source import SourceInfo, open_source
from .worker import Progress, StreamWorker, WatchReport


def watch(
    path: Path,
    source: str,
    *,
    stream: str | None = None,
    fps: float = 4.0,
    ocr: bool = True,
    encoder: Encoder | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_state: Callable[[str, str], None] | None = None,
    on_start: Callable[[StreamWorker], None] | None = None,
    max_outage_s: float | None = None,
) -> WatchReport:
    """Watch ``source`` into the memory at ``path`` until it ends or is stopped.

    ``on_start`` is given the worker before it runs, so that it can be stopped from elsewhere.

    Raises:
        SourceError: The source is not there or is no video.
        MemoryStoreError: The memory is in use, full, or newer than this Recollect.
        EncoderError: The encoder's model cannot be used.
    """
    # The source is looked at first: a wrong path must not make an empty memory.
    looked_at = open_source(source, fps=fps)
    info = looked_at.info
    if info.kind == "live":
        looked_at.close()
    if encoder is not None:
        # Loaded now: a model that cannot be used makes no memory either, and no frames wait for it later.
        encoder.encode_texts([""])
    with MemoryStore.open(path, write=True, encoder=encoder) as store:
        known = _where_it_is_now(store, store.stream_with_content(info.content_id), info)
        if known is not None and known.state == "done":
            return _already_done(store, known)
        record = _record(store, info, stream, fps, known)
        point = store.resume(record.name)
        worker: StreamWorker | None = None

        def told(state: str, detail: str) -> None:
            # What comes when frames do, or watching ends, is told by the source's own events.
            if worker is not None and state not in ("live", "stopped"):
                worker.note_outage(getattr(opened, "current_outage", None))
            if on_state is not None:
                on_state(state, detail)

        opened = looked_at
        if info.kind == "live" or record.fps != fps:
            opened = open_source(
                source,
                fps=record.fps,
                origin_wall_s=record.origin_wall_s,
                first_epoch=0 if point is None else point.epoch + 1,
                max_outage_s=max_outage_s,
                on_state=told,
            )
        with closing(opened), _one_thread():
            observers = default_observers(info, ocr=ocr)
            worker = StreamWorker(store, record, opened, observers, on_progress=on_progress)
            if on_start is not None:
                on_start(worker)
            return worker.run()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV from splitting small pictures among threads, which only costs CPU time."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def default_observers(info: SourceInfo, *, ocr: bool = True) -> list[Observer]:
    """The observers that need nothing downloaded, for one source."""
    observers: list[Observer] = [MotionObserver(), CameraObserver(), LookObserver(), CodeObserver()]
    if FaceObserver.available():
        observers.append(FaceObserver())
    if ocr:
        observers.append(TextObserver())
    if info.kind == "file":
        cues = load_cues(Path(info.source))
        if cues:
            observers.append(SubtitleObserver(cues))
    return observers


def _record(
    store: MemoryStore, info: SourceInfo, name: str | None, fps: float, known: Stream | None
) -> Stream:
    """The stream's record: the one it has, or a new one under a free name."""
    if known is not None:
        # A part of it was watched at one rate; going on at another would mix two samplings.
        return known
    if name is not None:
        taken = store.stream(name)
        if taken is not None:
            raise StreamNameTaken(name, taken.source)
    else:
        name = _free_name(store, info)
    return Stream(
        name=name,
        kind=info.kind,
        source=str(Path(info.source).resolve()) if info.kind == "file" else info.source,
        content_id=info.content_id,
        state="watching",
        fps=fps,
        duration_s=info.duration_s,
        origin_wall_s=time.time() if info.kind == "live" else None,
    )


def _where_it_is_now(store: MemoryStore, known: Stream | None, info: SourceInfo) -> Stream | None:
    """The known stream; with its new path where its file was moved, so that a second look finds it."""
    if known is None or known.kind != "file" or Path(known.source).is_file():
        return known
    known = replace(known, source=str(Path(info.source).resolve()))
    store.put_stream(known)
    return known


def _free_name(store: MemoryStore, info: SourceInfo) -> str:
    """A name from the path or address; with a piece of the content id where another stream has it."""
    if info.kind == "file":
        name = Path(info.source).stem
    else:
        address = urlsplit(info.source)
        name = re.sub(r"[^\w.-]+", "-", f"{address.hostname or 'live'}{address.path}").strip("-")
    if store.stream(name) is None:
        return name
    return f"{name}-{info.content_id.partition(':')[2][:6]}"


def _already_done(store: MemoryStore, stream: Stream) -> WatchReport:
    point = store.resume(stream.name)
    return WatchReport(
        stream=stream.name,
        state="done",
        already_done=True,
        resumed_at_s=None,
        until_s=0.0 if point is None else point.end_s,
        moments=0,
        gaps=0,
        counts=FrameCounts(),
        seconds=0.0,
    )
