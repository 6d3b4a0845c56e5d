"""Opens a source and a memory, and has the one watched into the other.

    report = watch(Path("recollect.lance"), "kitchen.mp4", lmm=lmm)

Decides what a stream is called, whether it was watched before, and which observers look. What they
remember is described by a video LMM beside the watching, if there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2

from ..memory.encoder import Encoder
from ..memory.storage.tables import MIN_FREE_BYTES
from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, KeyFrame, Moment, Stream
from .describing.captioner import Captioner, CaptionReport
from .errors import StreamNameTaken
from .lmm import Lmm
from .observers.barcodes import BarcodeObserver
from .observers.camera_motion import CameraObserver
from .observers.faces import FaceObserver
from .observers.motion import MotionObserver
from .observers.observer import Observer
from .observers.picture_appearance import AppearanceObserver
from .observers.subtitles import SubtitleObserver, load_cues
from .observers.text_observer import TextObserver
from .sources.source import Source, SourceInfo
from .sources.source_factory import open_source
from .sources.urls import default_name, redact
from .stages.stream_worker import StreamWorker, WatchProgress, WatchReport


def watch(
    path: Path,
    source: str | Source,
    *,
    stream: str | None = None,
    fps: float = 4.0,
    ocr: bool = True,
    encoder: Encoder | None = None,
    lmm: Lmm | None = None,
    budget_bytes: int | None = None,
    min_free_bytes: int = MIN_FREE_BYTES,
    stream_budget_bytes: int | None = None,
    drain: bool = True,
    on_progress: Callable[[WatchProgress], None] | None = None,
    on_state: Callable[[str, str], None] | None = None,
    on_start: Callable[[Stoppable], None] | None = None,
    max_outage_s: float | None = None,
    written_at: Callable[[float], float] | None = None,
) -> WatchReport:
    """Watch ``source`` into the memory at ``path`` until it ends or is stopped.

    A source that is open already, and is no live one, is watched as a file is, at the rate it was opened with, and
    closed. With ``lmm`` whatever waits in the memory is described meanwhile. With ``drain`` a file's end is not
    the end: it goes on until nothing waits, unless the model is away; the rest waits for the next time.
    ``budget_bytes`` is what the memory may take on the disk, and ``stream_budget_bytes`` what the stream may take
    of that; both stay as they are where nothing is said. ``on_start`` is given whatever must be told to stop, before it runs.
    ``written_at`` says when what was made of the frames up to a stream time counts as written, in Unix seconds, for
    who asks as of a time: a file is watched as fast as it goes. What is described is dated as what it describes.

    Raises:
        SourceError: The source is not there or is no video.
        MemoryStoreError: The memory is in use, full, or newer than this Recollect.
        EncoderError: The encoder's model cannot be used.
    """
    # The source is looked at first: a wrong path must not make an empty memory.
    looked_at = open_source(source, fps=fps) if isinstance(source, str) else source
    if looked_at.info.kind == "live":
        looked_at.close()
    if encoder is not None:
        # Loaded now: a model that cannot be used makes no memory either, and no frames wait for it later.
        encoder.encode_texts([""])
    with MemoryStore.open(
        path, write=True, encoder=encoder, budget_bytes=budget_bytes, min_free_bytes=min_free_bytes
    ) as store:
        watching = partial(
            _watch,
            store,
            source,
            looked_at,
            stream=stream,
            stream_budget_bytes=stream_budget_bytes,
            fps=fps,
            ocr=ocr,
            on_state=on_state,
            on_start=on_start,
            max_outage_s=max_outage_s,
            written_at=written_at,
        )
        if lmm is None:
            return watching(remember=store.append, on_progress=on_progress)
        telling = _Telling(on_progress)
        with Captioner(
            store,
            lmm,
            on_state=on_state,
            on_progress=telling.described,
            dated_as_seen=written_at is not None,
        ) as captioner:
            if on_start is not None:
                on_start(captioner)
            report = watching(remember=captioner.remember, on_progress=telling.watched)
            if drain and report.state == "done":
                telling.only_described(report)
                captioner.finish()
        return replace(report, waiting=store.waiting())


class Stoppable(Protocol):
    """Something that goes on until it is told to stop."""

    def stop(self) -> None:
        """End soon, keeping everything so far. Callable from a signal handler or another thread."""


class _Telling:
    """Tells of watching how many descriptions wait, and of describing once watching has ended."""

    def __init__(self, on_progress: Callable[[WatchProgress], None] | None) -> None:
        self._on_progress = on_progress
        self._waiting = 0
        self._last: WatchProgress | None = None
        self._ended = False

    def watched(self, progress: WatchProgress) -> None:
        self._last = replace(progress, waiting=self._waiting)
        self._tell()

    def described(self, report: CaptionReport) -> None:
        self._waiting = report.waiting
        if self._ended and self._last is not None:
            self._last = replace(self._last, waiting=self._waiting)
            self._tell()

    def only_described(self, report: WatchReport) -> None:
        """Watching has ended; where it had before, nothing was told yet."""
        if self._last is None:
            self._last = WatchProgress(
                report.stream, report.until_s, report.until_s, 0.0, 0, 0, self._waiting
            )
        self._ended = True

    def _tell(self) -> None:
        if self._on_progress is not None and self._last is not None:
            self._on_progress(self._last)


def _watch(
    store: MemoryStore,
    source: str | Source,
    looked_at: Source,
    *,
    stream: str | None,
    stream_budget_bytes: int | None,
    fps: float,
    ocr: bool,
    remember: Callable[[Sequence[Moment], Sequence[KeyFrame]], None],
    on_progress: Callable[[WatchProgress], None] | None,
    on_state: Callable[[str, str], None] | None,
    on_start: Callable[[Stoppable], None] | None,
    max_outage_s: float | None,
    written_at: Callable[[float], float] | None,
) -> WatchReport:
    """Watch a source into an open memory."""
    info = looked_at.info
    known = _where_it_is_now(store, _known_stream(store, info, stream), info)
    is_done = known is not None and known.state == "done"
    record = known if known is not None and is_done else _record(store, info, stream, fps, known)
    if stream_budget_bytes is not None:
        store.set_stream_budget(record.name, stream_budget_bytes)
    if is_done:
        return _already_done(store, record)
    worker: StreamWorker | None = None

    def told(state: str, detail: str) -> None:
        # What comes when frames do, or watching ends, is told by the source's own events.
        if worker is not None and state not in ("live", "stopped"):
            worker.note_outage(getattr(opened, "current_outage", None))
        if on_state is not None:
            on_state(state, detail)

    opened = looked_at
    if isinstance(source, str) and (info.kind == "live" or record.fps != fps):
        point = store.resume(record.name)
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
        worker = StreamWorker(
            store,
            record,
            opened,
            observers,
            remember=remember,
            on_progress=on_progress,
            written_at=written_at,
        )
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
    observers: list[Observer] = [MotionObserver(), CameraObserver(), AppearanceObserver(), BarcodeObserver()]
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
            raise StreamNameTaken(name, redact(taken.source) if taken.kind == "live" else taken.source)
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


def _known_stream(store: MemoryStore, info: SourceInfo, name: str | None) -> Stream | None:
    """The stream in which the source was watched before, or None.

    Two cameras of a server may differ in a masked part of their URLs alone. A name tells them apart.
    """
    if info.kind == "live" and name is not None:
        named = store.stream(name)
        return named if named is not None and named.content_id == info.content_id else None
    return store.stream_with_content(info.content_id)


def _where_it_is_now(store: MemoryStore, known: Stream | None, info: SourceInfo) -> Stream | None:
    """The known stream; with its new path where its file was moved, so that a second look finds it."""
    if known is None or known.kind != "file" or Path(known.source).is_file():
        return known
    known = replace(known, source=str(Path(info.source).resolve()))
    store.put_stream(known)
    return known


def _free_name(store: MemoryStore, info: SourceInfo) -> str:
    """A name from the path or address; with a piece of the content id where another stream has it."""
    name = Path(info.source).stem if info.kind == "file" else default_name(info.source)
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
