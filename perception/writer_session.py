"""Writer session: one process watches any number of sources at once into one memory.

    session = WriterSession(Path("home.lance"), WriterSettings(lmm=lmm))
    door = session.start(find_source("rtsp://camera/1", options), stream="door", options=options)
    session.release()            # the session ends when the last watch has ended
    door.wait()

The session owns the one store that is open for writing. Each watch has a thread. The batches of all of them share
commits, and one captioner describes for all streams. The session erases, compacts and reindexes while sources are
watched, for its own process and, through request files, for other processes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2

from ..common.errors import BadArgument
from ..memory.encoder import Encoder
from ..memory.errors import UnknownStream
from ..memory.group_commit import GroupCommit
from ..memory.keeping.byte_sizes import parse_bytes
from ..memory.keeping.disk_budget import check_budget
from ..memory.keeping.erasure import ErasureReceipt, OnWait
from ..memory.keeping.reindexing import OnProgress, ReindexReport
from ..memory.keeping.requests import (
    MaintenanceRequest,
    MaintenanceResult,
    ReindexRequest,
    RequestServer,
    StoreRequest,
    execute,
)
from ..memory.storage.disk_space import MIN_FREE_BYTES
from ..memory.store import MemoryStore
from ..memory.values import KeyFrame, Moment, Span, Stream
from .activity_publisher import ActivityPublisher
from .describing.backlog_captioning import queue_undescribed
from .describing.captioner import Captioner, CaptionReport
from .describing.description_queue import backlog_entries
from .errors import AlreadyWatched
from .live_origin import find_live_origin, with_boot_clock
from .lmm import Lmm
from .observers.guarded_observer import ObserverFailure
from .observers.observer import Observer
from .observers.registry import observers_in_use
from .sources.content_identity import FileContent
from .sources.file_bytes import is_url, location_of
from .sources.isolated_source import IsolatedPictureSource
from .sources.live_clock import LiveOrigin
from .sources.live_source import LiveSource
from .sources.source import Source
from .sources.source_factory import FileReading, open_source
from .stages.stream_worker import StreamWorker
from .stream_records import Content, already_done_report, find_or_create_record
from .vision import encoder_settings, open_encoder
from .vision_settings import VisionSettings
from .watch_events import (
    Described,
    DescriptionsFailed,
    DescriptionsResumed,
    DescriptionsWaiting,
    ObserverDisabled,
    OnEvent,
    Progress,
    WatchEvent,
    WatchReport,
    connection_event,
)
from .watch_handle import Watch
from .watch_log import WatchLog
from .watch_options import WatchOptions

log = logging.getLogger(__name__)

_POLL_S = 0.05
_OWN_BACKLOG_EVERY_S = 0.5
"""How often a watch that ends checks the backlog of its stream, while other streams are watched."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Settings with which a session opens its memory, and the video LMM that describes."""

    encoder: Encoder | None = None
    lmm: Lmm | None = None
    budget_bytes: int | None = None
    """The new disk budget of the memory. None keeps the present one."""
    min_free_bytes: int = MIN_FREE_BYTES
    purpose: str = "a writer"
    """The reason for taking the writer lock, for other processes that want it."""


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A source that was found and opened, before it is watched."""

    address: str | None = field(repr=False)
    """The path or URL with which it can be opened again, credentials included. None if the caller opened the source."""
    opened: Source

    @property
    def identity(self) -> str:
        """A file's content id, or a live source's whole address: cameras may differ in a part that is not stored."""
        info = self.opened.info
        return self.address if info.kind == "live" and self.address is not None else info.content_id

    def content(self) -> Content | None:
        """The content of a file that was found by its path or URL."""
        if isinstance(self.opened, IsolatedPictureSource):
            return self.opened.content
        info = self.opened.info
        if info.kind == "live" or self.address is None:
            return None
        return FileContent(location_of(self.address), info.content_id)

    @property
    def is_on_disk(self) -> bool:
        """Whether it is a file that was given by its path."""
        return self.address is not None and not is_url(self.address)


def find_source(source: str | Path | Source, options: WatchOptions) -> FoundSource:
    """Open a source before the memory is opened: a wrong path must not create an empty memory.

    Raises ``SourceError``, ``BadBudget`` if the disk budget in the options is not valid, or ``BadArgument`` if a
    source other than a file on disk is to be followed.
    """
    _stream_budget_bytes(options)
    if not isinstance(source, str | Path):
        return FoundSource(None, source)
    opened = open_source(str(source), fps=options.fps, files=_file_reading(options))
    if opened.info.kind == "live":
        opened.close()
    candidate = FoundSource(str(source), opened)
    if options.follow and (opened.info.kind == "live" or not candidate.is_on_disk):
        opened.close()
        raise BadArgument("follow", True, "False for a camera or a URL: only a file on disk can be followed")
    return candidate


class WriterSession:
    """Watches sources into one memory. Its creator is its first user, and must call ``release``."""

    def __init__(
        self,
        path: Path,
        settings: WriterSettings,
        *,
        on_new_encoder: Callable[[Encoder | None], None] | None = None,
    ) -> None:
        """Open the memory for writing, and create it if necessary.

        ``on_new_encoder`` is called with the new encoder, or None, when the memory was reindexed.
        Raises ``MemoryStoreError``, or ``EncoderError`` if the encoder's model cannot be used.
        """
        if settings.encoder is not None:
            # Load the model first: an unusable one must not create a memory, and no frames wait for it later.
            settings.encoder.encode_texts([""])
        self._settings = settings
        self._encoder = settings.encoder
        self._on_new_encoder = on_new_encoder
        self._store = MemoryStore.open(
            path,
            write=True,
            encoder=settings.encoder,
            budget_bytes=settings.budget_bytes,
            min_free_bytes=settings.min_free_bytes,
            what=settings.purpose,
        )
        self._lock = threading.Lock()
        self._users = 1
        self._is_closed = False
        self._has_ended = threading.Event()
        self._commits = GroupCommit(self._store)
        self._watched = _WatchedStreams()
        self._describing = _Describing(self._store, settings.lmm)
        self._maintaining = threading.Lock()
        self._starting = threading.Lock()
        self._server = RequestServer(path, self._execute_request, self.used)
        self._server.start()
        self._activity = ActivityPublisher(path, self._watched.watches, self._unfinished)
        self._activity.start()
        self._cv_threads = cv2.getNumThreads()
        # OpenCV would split small pictures among threads, which only costs CPU time.
        cv2.setNumThreads(1)

    # -- users ----------------------------------------------------------------------------------------

    def retain(self) -> bool:
        """Add a user. False if the session has ended."""
        with self._lock:
            if self._is_closed:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Remove a user. The last one ends the session, and the memory is then free for another writer."""
        with self._lock:
            self._users -= 1
            if self._users or self._is_closed:
                return
            self._is_closed = True
        with ExitStack() as closing_all:
            closing_all.callback(self._has_ended.set)
            closing_all.callback(self._server.close)
            closing_all.callback(self._store.close)
            closing_all.callback(self._activity.close)
            closing_all.callback(cv2.setNumThreads, self._cv_threads)
            closing_all.callback(self._describing.close)
            closing_all.callback(self._server.stop)

    def wait_until_ended(self) -> None:
        """Wait until the memory is free, after the last user has released the session."""
        self._has_ended.wait()

    @contextmanager
    def used(self) -> Iterator[bool]:
        """Inside the block the session does not end. Yields False if it has ended already."""
        if not self.retain():
            yield False
            return
        try:
            yield True
        finally:
            self.release()

    def _unfinished(self) -> set[str]:
        return {stream.name for stream in self._store.streams() if stream.state == "watching"}

    @property
    def commits(self) -> GroupCommit:
        """The group commit that all streams share."""
        return self._commits

    # -- watching -------------------------------------------------------------------------------------

    def start(
        self,
        candidate: FoundSource,
        *,
        stream: str | None = None,
        options: WatchOptions,
        on_event: OnEvent | None = None,
    ) -> Watch:
        """Watch a source in a thread of its own, which is another user of the session.

        Raises ``AlreadyWatched``, ``StreamNameTaken`` or ``MemoryStoreError``.
        """
        with self._starting, self._lock:
            self._watched.check_identity(candidate)
            record = find_or_create_record(
                self._store,
                candidate.opened.info,
                name=stream,
                fps=options.fps,
                address=candidate.address,
                content=candidate.content(),
                watched=self._watched.content_ids(),
            )
            self._watched.reserve(record.name, candidate)
            self._users += 1
        try:
            if (budget_bytes := _stream_budget_bytes(options)) is not None:
                self._store.set_stream_budget(record.name, budget_bytes)
            watch = Watch(record.name, on_event, kind=record.kind)
            entry = self._watched.add(watch)
            self._describing.begin(watch.publish, record.name if options.written_at else None)
            # Other processes take a stream that is marked as watched, and is not published, for an interrupted one.
            self._activity.publish()
            watch.run(partial(self._watch, entry, record, candidate, options), partial(self._ended, watch))
        except BaseException:
            self._watched.remove(record.name)
            self.release()
            raise
        return watch

    def _ended(self, watch: Watch) -> None:
        self._describing.end(watch.publish)
        self._watched.remove(watch.stream)
        self._activity.changed()
        self.release()

    def _watch(
        self, entry: _WatchedStream, record: Stream, candidate: FoundSource, options: WatchOptions
    ) -> WatchReport:
        """Watch one source to its end, in its own thread."""
        watch = entry.watch
        try:
            if record.state == "done" and not (options.follow and candidate.is_on_disk):
                candidate.opened.close()
                report = already_done_report(self._store, record)
            else:
                origin = None
                if record.kind == "live" and candidate.address is not None:
                    origin = find_live_origin(record, self._store.resume(record.name))
                    record = with_boot_clock(record, origin)
                with (
                    closing(self._open(entry, record, origin, candidate, options)) as source,
                    observers_in_use(
                        source.info,
                        ocr=options.ocr,
                        added=options.observers,
                        on_failure=partial(_publish_failure, watch),
                    ) as observers,
                ):
                    worker = self._worker(watch, record, origin, source, observers, options)
                    entry.prepared(worker)
                    watch.stop_with(worker.stop)
                    report = self._run(worker, live=record.kind == "live")
                report = replace(report, disabled_observers=watch.status().disabled_observers)
        finally:
            entry.prepared(None)
        if entry.is_erased:
            return replace(report, state="erased")
        if self._settings.lmm is None:
            return report
        if options.drain and report.state == "done":
            self._drain(watch, report)
        waiting = self._store.waiting()
        watch.publish_waiting(waiting, report)
        return replace(report, waiting=waiting)

    def _open(
        self,
        entry: _WatchedStream,
        record: Stream,
        origin: LiveOrigin | None,
        candidate: FoundSource,
        options: WatchOptions,
    ) -> Source:
        """Open the source to watch it. A live source continues with the stored clock, a file with the stored rate."""
        if candidate.address is None or (record.kind == "file" and record.fps == options.fps):
            return candidate.opened

        def on_state(state: str, detail: str) -> None:
            # The events of the source itself record that frames arrive, and that watching ends.
            if entry.worker is not None and state not in ("live", "stopped"):
                entry.worker.note_outage(getattr(opened, "current_outage", None))
            event = connection_event(record.name, state, detail)
            if event is not None:
                entry.watch.publish(event)
            self._activity.changed()

        opened = open_source(
            candidate.address,
            fps=record.fps,
            files=_file_reading(options),
            kind=record.kind,
            origin=origin,
            max_outage_s=options.max_outage_s,
            on_state=on_state,
        )
        if isinstance(opened, LiveSource):
            entry.watch.connected_by(lambda: opened.connection)
        return opened

    def _worker(
        self,
        watch: Watch,
        record: Stream,
        origin: LiveOrigin | None,
        source: Source,
        observers: Sequence[Observer],
        options: WatchOptions,
    ) -> StreamWorker:
        def on_event(event: WatchEvent) -> None:
            if isinstance(event, Progress):
                event = replace(event, waiting=self._describing.waiting)
            watch.publish(event)

        return StreamWorker(
            self._store,
            record,
            source,
            observers,
            append=partial(self._append, gather=record.kind == "live"),
            on_event=on_event,
            written_at=options.written_at,
            origin=origin,
        )

    def _run(self, worker: StreamWorker, *, live: bool) -> WatchReport:
        if not live:
            return worker.run()
        with self._commits.member():
            return worker.run()

    def _append(self, moments: Sequence[Moment], frames: Sequence[KeyFrame], *, gather: bool) -> None:
        waiting = backlog_entries(moments) if self._settings.lmm is not None else ()
        self._commits.append(moments, frames, waiting, gather=gather)
        self._describing.look_again()

    def _drain(self, watch: Watch, report: WatchReport) -> None:
        """Wait until the backlog is empty. While other streams are watched, only this stream's part counts."""
        watch.set_phase("describing")
        self._describing.look_again()
        next_check_s = 0.0
        while not (self._describing.is_idle or watch.stop_requested):
            watch.publish_waiting(self._describing.waiting, report)
            if time.monotonic() >= next_check_s and len(self._watched.names()) > 1:
                if not self._store.waiting(watch.stream):
                    break
                next_check_s = time.monotonic() + _OWN_BACKLOG_EVERY_S
            time.sleep(_POLL_S)
        self._describing.check()

    # -- describing -----------------------------------------------------------------------------------

    def caption(
        self,
        stream: str | None,
        *,
        everything: bool,
        on_event: OnEvent | None,
        is_stopped: Callable[[], bool],
    ) -> CaptionReport:
        """Describe the backlog of a stream, or of all, until it is empty, the model is away, or it is stopped.

        Raises ``UnknownStream``, ``LmmError`` or ``MemoryStoreError``.
        """
        lmm = self._settings.lmm
        assert lmm is not None
        if stream is not None and self._store.stream(stream) is None:
            raise UnknownStream(stream, tuple(stored.name for stored in self._store.streams()))
        if everything:
            queue_undescribed(self._store, lmm.name, stream)
        publish = on_event or (lambda event: None)
        self._describing.begin(publish, only=stream)
        try:
            before = self._describing.report
            self._describing.try_again()
            while not (self._describing.is_idle or is_stopped()):
                time.sleep(_POLL_S)
            if is_stopped() and not self._watched.names():
                # No other user wants descriptions. Write the finished ones before they are counted.
                self._describing.close()
            self._describing.check()
            after = self._describing.report
        finally:
            self._describing.end(publish)
        return CaptionReport(
            described=after.described - before.described,
            given_up=after.given_up - before.given_up,
            waiting=self._store.waiting(stream),
            trouble=after.trouble,
        )

    # -- maintenance while sources are watched --------------------------------------------------------

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a span of a stream between two frames, or the whole stream after its watch was stopped.

        Raises ``UnknownStream`` or ``MemoryStoreError``.
        """
        with self._maintaining, ExitStack() as holds:
            if span is None:
                holds.enter_context(self._watched.stopped_for_erasure(stream))
            holds.enter_context(self._describing.held())
            entry = self._watched.find(stream)
            if entry is not None and (worker := entry.wait_for_worker()) is not None:
                holds.enter_context(worker.held())
            receipt = self._store.erase(stream, span, on_wait=on_wait)
            if span is None:
                self._activity.forget(stream)
            return receipt

    def compact(self) -> None:
        """Evict to the disk budget, merge files and indexes, delete old versions, while watching goes on."""
        with self._maintaining, self._describing.held():
            self._store.compact()

    def reindex(self, encoder: Encoder | None, *, on_progress: OnProgress | None = None) -> ReindexReport:
        """Rebuild all vectors with another encoder, or drop them. Watching pauses only for the switch.

        Raises ``MemoryStoreError``, or ``EncoderError`` if the encoder's model cannot be used.
        """
        if encoder is not None:
            encoder.encode_texts([""])
        with self._maintaining:
            report = self._store.reindex(encoder, on_progress=on_progress, paused=self._everything_held)
            self._encoder = encoder
            if self._on_new_encoder is not None:
                self._on_new_encoder(encoder)
        return report

    @contextmanager
    def _everything_held(self) -> Iterator[None]:
        """Inside the block nothing is watched or described, and no watch begins."""
        with self._starting, ExitStack() as holds:
            holds.enter_context(self._describing.held())
            for entry in self._watched.entries():
                if (worker := entry.wait_for_worker()) is not None:
                    holds.enter_context(worker.held())
            yield

    def execute(self, request: StoreRequest, on_wait: OnWait | None = None) -> ErasureReceipt | None:
        """Execute the request. Returns the receipt of an erasure."""
        return execute(self, request, on_wait)

    def _execute_request(
        self, request: MaintenanceRequest, on_wait: OnWait, on_progress: OnProgress
    ) -> MaintenanceResult:
        """Execute a request of another process."""
        if isinstance(request, ReindexRequest):
            settings = VisionSettings(model=request.encoder_model, device=request.device)
            return self.reindex(self._open_encoder(settings), on_progress=on_progress)
        return self.execute(request, on_wait)

    def _open_encoder(self, settings: VisionSettings) -> Encoder | None:
        """The encoder of the settings. The one in use is not loaded a second time."""
        return self._encoder if encoder_settings(self._encoder) == settings else open_encoder(settings)


class _WatchedStream:
    """One stream that is being watched."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.worker: StreamWorker | None = None
        self.is_erased = False
        self._is_prepared = threading.Event()

    def prepared(self, worker: StreamWorker | None) -> None:
        """Set the worker. None if it has ended, or if nothing is to be done."""
        self.worker = worker
        self._is_prepared.set()

    def wait_for_worker(self) -> StreamWorker | None:
        """The worker, once it exists."""
        self._is_prepared.wait()
        return self.worker


class _WatchedStreams:
    """The streams of a session that are being watched, by name. May be used from several threads."""

    def __init__(self) -> None:
        self._entries: dict[str, _WatchedStream] = {}
        self._reserved: set[str] = set()
        self._sources: dict[str, FoundSource] = {}

    def names(self) -> set[str]:
        """Names that another watch may not use."""
        return {*self._entries, *self._reserved}

    def content_ids(self) -> dict[str, str]:
        """Names that another watch may not use, with the content ids of their sources."""
        names = self.names()
        return {
            name: self._sources[name].opened.info.content_id if name in self._sources else ""
            for name in names
        }

    def check_identity(self, candidate: FoundSource) -> None:
        """Raise ``AlreadyWatched`` if the same source is being watched."""
        for name, watched in self._sources.items():
            if watched.identity == candidate.identity:
                raise AlreadyWatched(candidate.opened.info.source, name)

    def reserve(self, name: str, candidate: FoundSource) -> None:
        """Reserve a name and a source, so that no other watch takes them."""
        self._reserved.add(name)
        self._sources[name] = candidate

    def add(self, watch: Watch) -> _WatchedStream:
        """Add a watch under its name."""
        entry = self._entries[watch.stream] = _WatchedStream(watch)
        self._reserved.discard(watch.stream)
        return entry

    def remove(self, name: str) -> None:
        """Release a name."""
        self._entries.pop(name, None)
        self._sources.pop(name, None)
        self._reserved.discard(name)

    def watches(self) -> list[Watch]:
        """The watches that run now."""
        return [entry.watch for entry in self.entries()]

    def entries(self) -> list[_WatchedStream]:
        """All streams that are being watched."""
        return list(self._entries.values())

    def find(self, name: str) -> _WatchedStream | None:
        """The stream of that name, if it is being watched."""
        return self._entries.get(name)

    @contextmanager
    def stopped_for_erasure(self, name: str) -> Iterator[None]:
        """Stop the watch of a stream. Inside the block no other watch may begin under its name."""
        entry = self._entries.get(name)
        if entry is not None:
            entry.is_erased = True
            entry.watch.stop()
            entry.watch.join()
        self._reserved.add(name)
        try:
            yield
        finally:
            self._reserved.discard(name)


class _Describing:
    """The captioner of a session. It starts with the first user that wants descriptions; all users share it."""

    def __init__(self, store: MemoryStore, lmm: Lmm | None) -> None:
        self._store, self._lmm = store, lmm
        self._captioner: Captioner | None = None
        self._lock = threading.Lock()
        self._handlers: list[OnEvent] = []
        self._back_dated: set[str] = set()
        self._log = WatchLog("")

    @property
    def waiting(self) -> int:
        """Length of the backlog when a description was last written."""
        return 0 if self._captioner is None else self._captioner.report.waiting

    @property
    def report(self) -> CaptionReport:
        """The descriptions of this session so far."""
        return CaptionReport(0, 0, 0, "") if self._captioner is None else self._captioner.report

    @property
    def is_idle(self) -> bool:
        """Whether nothing in the backlog can be described now."""
        return self._captioner is None or self._captioner.is_idle

    def begin(self, on_event: OnEvent, back_dated: str | None = None, *, only: str | None = None) -> None:
        """Start describing, and send events to the handler. ``only`` names the one stream that this user needs."""
        if self._lmm is None:
            return
        with self._lock:
            self._handlers.append(on_event)
            if back_dated is not None:
                self._back_dated.add(back_dated)
            if self._captioner is None:
                self._captioner = Captioner(
                    self._store, self._lmm, stream=only, on_event=self._publish, back_dated=self._back_dated
                )
                self._captioner.__enter__()
            elif only is None or only != self._captioner.stream:
                self._captioner.describe_all_streams()

    def end(self, on_event: OnEvent) -> None:
        """Send no more events to this handler."""
        with self._lock, suppress(ValueError):
            self._handlers.remove(on_event)

    def look_again(self) -> None:
        """Have the captioner check the backlog, because memories were queued."""
        if self._captioner is not None:
            self._captioner.look_again()

    def try_again(self) -> None:
        """Try a failing model server again now."""
        if self._captioner is not None:
            self._captioner.try_again()

    def check(self) -> None:
        """Raise the error that ended describing, if it failed."""
        if self._captioner is not None and self._captioner.error is not None:
            raise self._captioner.error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside the block nothing is described, and the captioner does not read the memory."""
        with self._captioner.held() if self._captioner is not None else ExitStack():
            yield

    def close(self) -> None:
        """End describing. Undescribed memories stay in the backlog."""
        if self._captioner is not None:
            self._captioner.__exit__()

    def _publish(self, event: WatchEvent) -> None:
        assert isinstance(event, Described | DescriptionsWaiting | DescriptionsResumed | DescriptionsFailed)
        self._log.note(event)
        for handler in tuple(self._handlers):
            handler(event)


def _publish_failure(watch: Watch, failure: ObserverFailure) -> None:
    watch.publish(ObserverDisabled(watch.stream, failure.observer, failure.reason))


def _file_reading(options: WatchOptions) -> FileReading:
    return FileReading(options.image_fps, options.follow_idle_s if options.follow else None)


def _stream_budget_bytes(options: WatchOptions) -> int | None:
    if options.disk_budget is None:
        return None
    size_bytes = parse_bytes(options.disk_budget)
    check_budget(size_bytes)
    return size_bytes
