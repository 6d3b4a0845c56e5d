"""Recollect as a Python object.

    from recollect import Recollect

    with Recollect("kitchen.lance") as memory:
        memory.watch("kitchen.mp4")
        answer = memory.ask("When did the kettle boil?")
    print(answer.text, answer.evidence[0].span)

Nothing is opened and nothing heavy is loaded until something is asked of it. Every method that takes
long has an async form whose name begins with ``a``: ``await memory.aask("…")``.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .agent.errors import BadQuestion
from .memory.errors import UnknownStream
from .memory.values import (
    BacklogCounts,
    Coverage,
    ForgottenLevel,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Pin,
    Rung,
    Span,
    Stream,
    Tombstone,
)
from .perception.errors import NoLmm

if TYPE_CHECKING:
    from .agent.answer import Answer
    from .agent.limits import Limits, Spending
    from .agent.reasoner import Reasoner
    from .agent.traces import TraceStore
    from .memory.encoder import Encoder
    from .memory.keeping.disk_usage import DiskUsage
    from .memory.keeping.erasure import ErasureReceipt
    from .memory.keeping.reindexing import OnProgress, ReindexReport
    from .memory.keeping.requests import MaintenanceRequest
    from .memory.query.snapshot import Hit, Snapshot
    from .memory.store import MemoryStore
    from .perception.describing.captioner import CaptionReport
    from .perception.lmm import Lmm, ServedLmm
    from .perception.lmm.lmm_settings import LmmSettings
    from .perception.sources.source import Source
    from .perception.watch_events import OnEvent, WatchReport
    from .perception.watch_handle import Watch
    from .perception.watch_options import WatchOptions
    from .perception.writer_session import WriterSession
    from .tools.toolbox import Inspector, Scope, Toolbox

T = TypeVar("T")

_ABOVE_TOO = 4
"""So many times more is looked for where memories above the moments are found as well: some say the same again."""
_TRACES_SHARE = 20
"""No more than this part of a memory's budget is for the steps of questions."""
_TRACES_PENDING = "questions.pending"
"""Is in the memory's folder while the steps of questions may still tell of what the memory has forgotten."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What is known of one stream and of how completely it was watched."""

    stream: Stream
    coverage: Coverage
    gaps: tuple[Gap, ...]
    counts: FrameCounts
    backlog: BacklogCounts
    """What of it waits for a description by a video LMM."""
    tombstones: tuple[Tombstone, ...] = ()
    """What of it was forgotten."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        from .perception.sources.urls import redact  # noqa: PLC0415

        return {
            "stream": self.stream.name,
            "kind": self.stream.kind,
            "state": self.stream.state,
            # Memories of earlier versions hold addresses with fewer parts redacted.
            "source": redact(self.stream.source) if self.stream.kind == "live" else self.stream.source,
            "fps": self.stream.fps,
            "duration_s": self.stream.duration_s,
            "from_s": round(self.coverage.span.start_s, 3),
            "until_s": round(self.coverage.span.end_s, 3),
            "watched_s": round(self.coverage.watched_s, 3),
            "gaps": [
                {"start_s": round(gap.span.start_s, 3), "end_s": round(gap.span.end_s, 3), "cause": gap.cause}
                for gap in self.gaps
            ],
            "forgotten_s": {lost: round(seconds, 3) for lost, seconds in self.forgotten_s.items()},
            "frames": {
                "captured": self.counts.captured,
                "stored": self.counts.stored,
                "sampled_out": self.counts.sampled_out,
                "merged": self.counts.merged,
                "dropped": dict(self.counts.dropped),
            },
            "backlog": {
                "waiting": self.backlog.waiting,
                "oldest_s": None if self.oldest_waiting_s is None else round(self.oldest_waiting_s, 1),
                "given_up": self.backlog.given_up,
                "last_error": self.backlog.last_error,
            },
            "error": self.stream.error,
        }

    @property
    def forgotten_s(self) -> dict[ForgottenLevel, float]:
        """Of how many seconds pictures alone are gone, moments, events, hours or days."""
        total: dict[ForgottenLevel, float] = {}
        for one in self.tombstones:
            total[one.lost] = total.get(one.lost, 0.0) + one.span.duration_s
        return total

    @property
    def oldest_waiting_s(self) -> float | None:
        """For how many seconds the longest has waited by now; None where nothing waits."""
        since_s = self.backlog.oldest_queued_at_s
        return None if since_s is None else max(0.0, time.time() - since_s)


class Recollect:
    """A memory of video at a path: give it streams to watch, ask it questions.

    Args:
        path: The memory's folder; made when something is first watched.
        encoder: Makes vectors of words, and of pictures if it can, so that both are searched; None takes
            the one that the settings name (``vision.model``), and where they name none, words alone
            are searched.
        lmm: The video LMM that describes what is watched, thinks and looks, or the settings of one; None
            takes what ``read_settings().lmm`` names when it is first needed, which may be none.
        reasoner: Who thinks instead: None for the LMM where there is one, and else for the extractive
            reasoner, which needs no model.
        budget: What the memory may take on the disk, such as ``"20 GB"``, a number of bytes, or
            ``"unbounded"``. What does not fit is forgotten, the old and dull first, and leaves what it was
            part of and a tombstone. None takes what the settings or the memory itself name; a new memory has
            20 GB. ``watch`` and ``compact`` note it in the memory.
        question_budget: What a question may cost.

    Raises:
        BadBudget: ``budget`` is no size, or too small for any memory.
    """

    def __init__(
        self,
        path: str | Path = "recollect.lance",
        *,
        encoder: Encoder | None = None,
        lmm: Lmm | LmmSettings | None = None,
        reasoner: Reasoner | None = None,
        budget: str | int | None = None,
        question_budget: Limits | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self._encoder = encoder
        self._lmm = lmm
        self._served: ServedLmm | None = None
        self._settings_read = False
        self._reasoner = reasoner
        self._budget_bytes = None if budget is None else _budget_bytes(budget)
        self._question_budget = question_budget
        self._lock = threading.Lock()
        self._reader: MemoryStore | None = None
        self._traces: TraceStore | None = None
        self._opening = threading.Lock()
        self._session: WriterSession | None = None
        self._watches: list[Watch] = []
        self._stops = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is being watched, wait for it to end, and close every file. May be called twice."""
        self.stop()
        for watch in tuple(self._watches):
            watch.join()
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            if self._traces is not None:
                self._traces.close()
                self._traces = None
            if self._served is not None:
                self._served.close()
                self._served = None

    # -- watching ---------------------------------------------------------------------------------

    def watch(
        self,
        source: str | Path | Source,
        *,
        stream: str | None = None,
        options: WatchOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> WatchReport:
        """Watch a file to its end, or a live URL until ``stop()``: ``start`` and ``wait`` in one.

        For the arguments and what is raised at once see ``start``.

        Raises:
            SourceError: The source does not exist, is no video, or could not be read to its end.
            MemoryStoreError: The memory is in use by another process, full, or newer than this Recollect.
        """
        watch = self.start(source, stream=stream, options=options, on_event=on_event)
        try:
            return watch.wait()
        finally:
            if watch.is_active:
                watch.stop()
                watch.join()
            if self._budget_bytes is not None:
                self._drop_reader()

    def start(
        self,
        source: str | Path | Source,
        *,
        stream: str | None = None,
        options: WatchOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> Watch:
        """Begin to watch a source in the background, and return its handle.

        Any number of sources may be watched at once. A file that was watched before is known by its content:
        watching resumes where it stopped, or is done at once. Only one process may watch into a memory. Any number
        may ask it meanwhile, or erase from it.

        With a video LMM, what was seen is described meanwhile, as far as the model keeps up; watching never waits
        for it. What waits stays in the memory, for the next ``watch`` or ``caption``.

        Args:
            source: A path, a URL (rtsp, rtsps, http, https), ``env:NAME`` for what the environment variable
                ``NAME`` holds, or a source that is open already. Credentials in a URL stay in RAM.
            stream: The stream's name; by default made from the path or address.
            options: How it is watched.
            on_event: Called with each event, on the thread where it happens.

        Raises:
            SourceError: The source does not exist or is no video, or it is being watched already.
            MemoryStoreError: The memory is in use by another process, full, or newer than this Recollect; or the
                options' disk budget is not valid.
            BadSettings: The settings that name the video LMM or the image-text model are wrong.
            EncoderError: The image-text model in the settings cannot be used.
        """
        from .perception.sources.source_list import resolve_source  # noqa: PLC0415
        from .perception.watch_options import WatchOptions  # noqa: PLC0415
        from .perception.writer_session import find_source  # noqa: PLC0415 - heavy, and only watching needs it

        stops_before = self._stops
        options = options or WatchOptions()
        found = find_source(resolve_source(source) if isinstance(source, str) else source, options)
        try:
            with self._writer_session() as session:
                watch = session.start(found, stream=stream, options=options, on_event=on_event)
        except BaseException:
            found.opened.close()
            raise
        with self._lock:
            self._watches = [*(known for known in self._watches if known.is_active), watch]
        if self._stops != stops_before:
            # ``stop`` was called while things were still being opened.
            watch.stop()
        return watch

    def caption(
        self, stream: str | None = None, *, everything: bool = False, on_event: OnEvent | None = None
    ) -> CaptionReport:
        """Have the video LMM describe what waits for it, until nothing does or the model is away.

        Args:
            stream: Only this stream; by default all.
            everything: Also what was watched without a model, what another model or an earlier prompt
                described, and what was given up.
            on_event: Called with the events of describing, from another thread.

        Raises:
            NoLmm: No video LMM is configured.
            LmmError: With ``everything``: the server does not report which model it serves.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it is in use or full.
            BadSettings: The settings that name the video LMM are wrong.
        """
        from .memory.storage.manifest import read_manifest  # noqa: PLC0415 - LanceDB takes seconds to load

        stops_before = self._stops
        if self._the_lmm() is None:
            raise NoLmm("describe what was watched")
        read_manifest(self.path)  # a wrong path must not make an empty memory
        with self._writer_session("describe what was watched") as session:
            return session.caption(
                stream,
                everything=everything,
                on_event=on_event,
                is_stopped=lambda: self._stops != stops_before,
            )

    def stop(self) -> None:
        """Stop whatever this object is watching or describing, from any thread; all that was done is kept."""
        self._stops += 1
        for watch in tuple(self._watches):
            watch.stop()

    # -- keeping ----------------------------------------------------------------------------------

    def usage(self) -> DiskUsage:
        """What the memory takes on the disk, by what it is for, against its budget.

        Raises:
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        return self._open_reader().account()

    def compact(self) -> DiskUsage:
        """Forget what is over the budget, merge files and indexes, delete old versions; what it takes then.

        A memory that is watched into does all of this by itself. It is for a smaller budget to take effect
        at once, and after much was watched at a time.

        Raises:
            MemoryStoreError: There is no memory at the path, or it is being written, or the disk is full.
        """
        from .memory.keeping.requests import CompactRequest  # noqa: PLC0415 - LanceDB takes seconds to load

        self._maintain(CompactRequest())
        if (self.path / _TRACES_PENDING).exists():
            self._checkpointer().forget_all()
            (self.path / _TRACES_PENDING).unlink(missing_ok=True)
        self._drop_reader()
        return self._open_reader().account()

    def pin(
        self, stream: str, from_s: float | None = None, to_s: float | None = None, *, note: str = ""
    ) -> Pin:
        """Never forget a stretch of a stream for want of room; all of the stream where no times are given.

        A pin keeps every event that it touches, whole. Pins together may keep a tenth of the budget.

        Raises:
            BadQuestion: The times make no sense.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: Nothing is remembered there, or pins may keep no more (``PinsFull``).
        """
        return self._open_reader().pin(stream, _span(from_s, to_s) or Span(0.0, float("inf")), note)

    def forget(
        self,
        stream: str,
        from_s: float | None = None,
        to_s: float | None = None,
        *,
        on_wait: Callable[[int], None] | None = None,
    ) -> ErasureReceipt:
        """Have a stretch of a stream forgotten for good, or all of it and that it was ever there.

        Whole moments go, with every picture, memory above, index, old version and trace of a question that
        tells of them; when this returns, no file of the memory holds them. The memories above are made anew of
        what is left. Questions that began before finish on what they hold, and are waited for.

        Args:
            stream: The stream's name.
            from_s: From this stream time on.
            to_s: Up to this stream time.
            on_wait: Called, again and again, with how many questions are waited for.

        Raises:
            BadQuestion: The times make no sense.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it is being written, or cannot be.
        """
        from .memory.errors import MemoryInUse  # noqa: PLC0415
        from .memory.keeping.requests import EraseRequest  # noqa: PLC0415 - LanceDB takes seconds to load
        from .memory.storage.tables import require_free_space  # noqa: PLC0415

        span = _span(from_s, to_s)
        pending = self.path / _TRACES_PENDING
        reader = self._open_reader()
        # An interruption between the two leaves traces of which nobody knows any more what they tell.
        interrupted = pending.exists()
        if reader.stream(stream) is not None:
            with require_free_space(self.path, 0):
                pending.touch()
        try:
            receipt = self._maintain(EraseRequest(stream, span), on_wait)
        except MemoryInUse:
            if not interrupted:
                pending.unlink(missing_ok=True)
            raise
        assert receipt is not None
        erased_words = receipt.memory_ids if span is not None else receipt.memory_ids | {stream}
        traces = self._checkpointer()
        count = traces.forget_all() if interrupted else traces.forget(erased_words)
        pending.unlink(missing_ok=True)
        return replace(receipt, traces=count)

    def unpin(self, pin_id: str) -> bool:
        """Take a pin away; whether there was one."""
        return self._open_reader().unpin(pin_id)

    def pins(self) -> list[Pin]:
        """What is pinned, by stream and time."""
        return self._open_reader().pins()

    def reindex(
        self, encoder: Encoder | None = None, *, on_progress: OnProgress | None = None
    ) -> ReindexReport:
        """Make the vectors of all that is remembered anew, or drop them.

        For a memory that was made without this encoder, or with another one. It takes as long as the
        encoder takes for every text and picture; interrupted, it leaves the memory as it was, and called
        again, it goes on. Questions can be asked meanwhile, as before.

        Args:
            encoder: The encoder from now on; None takes the one given to this object or named in the
                settings, and where there is none, the vectors are dropped.
            on_progress: Called with how many observations are done, and how many there are.

        Raises:
            MemoryStoreError: There is no memory at the path, or it is being written, or the disk is full.
            EncoderError: The image–text model in the settings cannot be used.
        """
        from .memory.keeping.reindexing import reindex  # noqa: PLC0415 - LanceDB takes seconds to load

        encoder = encoder or self._the_encoder()
        report = reindex(self.path, encoder, on_progress=on_progress)
        with self._lock:
            self._encoder = encoder
        self._drop_reader()
        return report

    # -- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        options: Sequence[str] = (),
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        as_of: datetime | float | None = None,
    ) -> Answer:
        """Answer a question from the memory, with evidence; or abstain and say what was missing.

        Args:
            question: In plain English.
            options: For multiple choice: the texts of A, B, C, …
            stream: Only this stream, or these; by default all.
            from_s: Only what happens from this stream time on.
            to_s: Only what happens before this stream time.
            as_of: Only what had been written by then: a time with zone, or Unix seconds.

        Raises:
            QuestionError: The question is empty or overlong, or names an unknown stream.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
            BadSettings: The settings that should say which LMM to ask make no sense.
        """
        answer = None
        for _, update in self.steps(
            question, options=options, stream=stream, from_s=from_s, to_s=to_s, as_of=as_of
        ):
            answer = update.get("answer", answer)
        from .agent.answer import Answer  # noqa: PLC0415

        return Answer.model_validate(answer)

    def steps(
        self,
        question: str,
        *,
        options: Sequence[str] = (),
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        as_of: datetime | float | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Like ``ask``, yielding each step's name and what it changed as it is done.

        The last step is ``answer``; its change holds the answer as plain data.
        """
        from .agent.answer import Question  # noqa: PLC0415
        from .agent.graph import build_agent  # noqa: PLC0415
        from .agent.limits import Limits, Spending  # noqa: PLC0415
        from .agent.state import AgentDependencies  # noqa: PLC0415
        from .tools.toolbox import Scope  # noqa: PLC0415

        spending = Spending(self._question_budget or Limits())
        names = (stream,) if isinstance(stream, str) else tuple(stream or ())
        as_of_s = as_of.timestamp() if isinstance(as_of, datetime) else as_of
        asked = Question.checked(
            question, options=tuple(options), streams=names, from_s=from_s, to_s=to_s, as_of_s=as_of_s
        )
        store = self._open_reader()
        with store.snapshot(as_of_s=as_of_s) as snapshot:
            self._check_names(snapshot, names)
            known = {stream.name: stream for stream in snapshot.streams()}
            trace_id = uuid.uuid4().hex
            reasoner = self._thinker(spending)

            def inspector(moment: Moment) -> Observation | None:
                from .perception.describing.inspection import moment_pictures  # noqa: PLC0415 - heavy, and few questions need it

                stream, kept = known[moment.stream], snapshot.frames(moment.frame_ids)
                return reasoner.look(
                    asked, moment, lambda most: moment_pictures(stream, moment, kept, limit=most)
                )

            deps = AgentDependencies(
                tools=self._toolbox(snapshot, Scope(names, asked.span), inspector),
                snapshot=snapshot,
                store=store,
                reasoner=reasoner,
                spending=spending,
                trace_id=trace_id,
                as_of=datetime.fromtimestamp(time.time() if as_of_s is None else as_of_s, UTC).isoformat(
                    timespec="milliseconds"
                ),
            )
            traces = self._checkpointer()
            agent = build_agent(traces, tracing=self._tracing())
            updates = agent.stream(
                {"question": asked.model_dump()},
                {"configurable": {"thread_id": trace_id}},
                context=deps,
                stream_mode="updates",
                durability="async",
            )
            for update in updates:
                for name, change in update.items():
                    yield name, change or {}
            traces.trim()

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The stored steps of an earlier question, in order: each step's name and the state after it.

        Empty where no question of this memory had that ``trace_id``.
        """
        from .agent.graph import build_agent  # noqa: PLC0415

        agent = build_agent(self._checkpointer())
        history = agent.history({"configurable": {"thread_id": trace_id}})
        return [{"next": list(state.next), "state": dict(state.values)} for state in reversed(history)]

    def search(
        self,
        words: str,
        *,
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Find moments by words, best first, without reasoning about them.

        Raises:
            BadQuestion: There are no words, or too many, or the times make no sense.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        from .agent.answer import MAX_QUESTION_CHARS  # noqa: PLC0415
        from .tools.toolbox import Scope, Toolbox  # noqa: PLC0415 - loads pydantic

        if not words.strip():
            raise BadQuestion("there are no words to search for")
        if len(words) > MAX_QUESTION_CHARS:
            raise BadQuestion(
                f"it has {len(words):,} characters, and a search may have {MAX_QUESTION_CHARS:,}"
            )
        names = (stream,) if isinstance(stream, str) else tuple(stream or ())
        span = _span(from_s, to_s)
        with self._open_reader().snapshot() as snapshot:
            self._check_names(snapshot, names)
            toolbox = Toolbox(snapshot, Scope(names, span))
            hits = snapshot.search(words, streams=names or None, span=span, rungs=("moment",), limit=limit)
            if any(snapshot.tombstones(name) for name in toolbox.streams()):
                # Where moments are forgotten, what stands for them is found.
                found = snapshot.search(words, streams=names or None, span=span, limit=_ABOVE_TOO * limit)
                hits = [hit for hit in found if toolbox.is_leaf(hit.moment)][:limit]
            return hits

    def timeline(
        self,
        stream: str | None = None,
        *,
        rung: Rung = "moment",
        from_s: float | None = None,
        to_s: float | None = None,
        limit: int = 1000,
    ) -> list[Moment]:
        """The memories of a stream, or of all one stream after the other, in time order, on one rung.

        Raises:
            BadQuestion: The times make no sense.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        span = _span(from_s, to_s)
        with self._open_reader().snapshot() as snapshot:
            self._check_names(snapshot, (stream,) if stream else ())
            names = [stream] if stream else sorted(known.name for known in snapshot.streams())
            moments: list[Moment] = []
            for name in names:
                moments += snapshot.timeline(name, span, rung=rung, limit=limit - len(moments))
                if len(moments) >= limit:
                    break
            return moments

    def gaps(self, stream: str) -> list[Gap]:
        """What of a stream was not seen, in time order."""
        with self._open_reader().snapshot() as snapshot:
            self._check_names(snapshot, (stream,))
            return snapshot.gaps(stream)

    def frames(self, ids: Sequence[str]) -> list[KeyFrame]:
        """Key frames by id, in the given order; those no longer kept are left out."""
        with self._open_reader().snapshot() as snapshot:
            return snapshot.frames(list(ids))

    def status(self) -> list[StreamStatus]:
        """What is in the memory, stream by stream."""
        store = self._open_reader()
        backlog = store.backlog_counts()
        with store.snapshot() as snapshot:
            return [
                StreamStatus(
                    stream,
                    snapshot.coverage(stream.name),
                    tuple(snapshot.gaps(stream.name)),
                    snapshot.counts(stream.name),
                    backlog.get(stream.name, BacklogCounts()),
                    tuple(snapshot.tombstones(stream.name)),
                )
                for stream in sorted(snapshot.streams(), key=lambda stream: stream.name)
            ]

    # -- async forms ------------------------------------------------------------------------------

    async def awatch(self, source: str | Path, **options: Any) -> WatchReport:
        """``watch``, without blocking the event loop. Cancelling it stops the watching cleanly."""
        return await self._stopped_with(asyncio.to_thread(self.watch, source, **options))

    async def acaption(self, stream: str | None = None, **options: Any) -> CaptionReport:
        """``caption``, without blocking the event loop. Cancelling it stops the describing cleanly."""
        return await self._stopped_with(asyncio.to_thread(self.caption, stream, **options))

    async def _stopped_with(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            while not task.done():
                # Again and again: the thread may not have come as far as to have something to stop.
                self.stop()
                await asyncio.wait([task], timeout=0.1)
            if not task.cancelled():
                task.exception()  # asked for, so that asyncio does not complain that nobody did
            raise

    async def areindex(self, encoder: Encoder | None = None, **options: Any) -> ReindexReport:
        """``reindex``, without blocking the event loop. Cancelling does not stop it."""
        return await asyncio.to_thread(self.reindex, encoder, **options)

    async def aask(self, question: str, **options: Any) -> Answer:
        """``ask``, without blocking the event loop."""
        return await asyncio.to_thread(self.ask, question, **options)

    async def asearch(self, words: str, **options: Any) -> list[Hit]:
        """``search``, without blocking the event loop."""
        return await asyncio.to_thread(self.search, words, **options)

    async def atimeline(self, stream: str | None = None, **options: Any) -> list[Moment]:
        """``timeline``, without blocking the event loop."""
        return await asyncio.to_thread(self.timeline, stream, **options)

    async def astatus(self) -> list[StreamStatus]:
        """``status``, without blocking the event loop."""
        return await asyncio.to_thread(self.status)

    # -- inside -----------------------------------------------------------------------------------

    @contextmanager
    def _writer_session(self, purpose: str = "a writer") -> Iterator[WriterSession]:
        """The session that writes to the memory: the one that is watching, or a new one."""
        from .perception.writer_session import WriterSession, WriterSettings  # noqa: PLC0415 - heavy

        settings = WriterSettings(
            encoder=self._the_encoder(),
            lmm=self._the_lmm(),
            budget_bytes=self._budget(),
            min_free_bytes=self._min_free_bytes(),
            purpose=purpose,
        )
        with self._opening:
            session = self._session
            if session is None or not session.retain():
                if session is not None:
                    session.wait_until_ended()
                session = self._session = WriterSession(self.path, settings)
        try:
            yield session
        finally:
            session.release()

    def _maintain(
        self, request: MaintenanceRequest, on_wait: Callable[[int], None] | None = None
    ) -> ErasureReceipt | None:
        """Erase or compact: in the session that is watching, in this process, or in the one that writes."""
        from .memory.keeping.requests import execute, run_or_request  # noqa: PLC0415

        session = self._session
        if session is not None and session.retain():
            try:
                return session.execute(request, on_wait)
            finally:
                session.release()
        if session is not None:
            session.wait_until_ended()

        def run_here() -> ErasureReceipt | None:
            with self._open_writer(request.purpose) as store:
                return execute(store, request, on_wait)

        return run_or_request(self.path, request, run_here, on_wait=on_wait)

    def _the_lmm(self) -> Lmm | None:
        """The video LMM, if there is one."""
        from .perception.lmm import open_lmm  # noqa: PLC0415
        from .perception.lmm.lmm_settings import LmmSettings  # noqa: PLC0415
        from .settings import read_settings  # noqa: PLC0415

        if self._lmm is not None and not isinstance(self._lmm, LmmSettings):
            return self._lmm
        with self._lock:
            if self._served is None:
                self._served = open_lmm(self._lmm or read_settings().lmm)
            return self._served

    def _budget(self) -> int | None:
        """What the memory may take on the disk: as it was given, or as the settings name it."""
        from .settings import read_settings  # noqa: PLC0415

        if self._budget_bytes is not None:
            return self._budget_bytes
        named = read_settings().memory.budget
        return None if named is None else _budget_bytes(named)

    def _min_free_bytes(self) -> int:
        from .memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
        from .settings import read_settings  # noqa: PLC0415

        return parse_bytes(read_settings().memory.min_free)

    def _tracing(self) -> bool:
        """Whether LangSmith's own variables may turn its tracing on."""
        from .settings import read_settings  # noqa: PLC0415 - nothing is read before it is needed

        return read_settings().agent.tracing

    def _open_writer(self, what: str) -> MemoryStore:
        """The memory, open for work that frees space, which may use what is kept free; it must exist."""
        from .memory.store import MemoryStore  # noqa: PLC0415 - LanceDB takes seconds to load

        self._open_reader()
        return MemoryStore.open(
            self.path,
            write=True,
            encoder=self._the_encoder(),
            budget_bytes=self._budget(),
            min_free_bytes=0,
            what=what,
        )

    def _open_reader(self) -> MemoryStore:
        from .memory.store import MemoryStore  # noqa: PLC0415 - LanceDB takes seconds to load

        encoder, min_free_bytes = self._the_encoder(), self._min_free_bytes()
        with self._lock:
            if self._reader is None:
                self._reader = MemoryStore.open(self.path, encoder=encoder, min_free_bytes=min_free_bytes)
            return self._reader

    def _drop_reader(self) -> None:
        """Read with other eyes from now on: what it was opened with, such as vectors and the budget, has changed."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _thinker(self, spending: Spending) -> Reasoner:
        """Who thinks about one question."""
        if self._reasoner is not None:
            return self._reasoner
        model = self._the_lmm()
        if model is None:
            from .agent.extractive_reasoner import ExtractiveReasoner  # noqa: PLC0415

            return ExtractiveReasoner()
        from .agent.lmm_reasoner import LmmReasoner  # noqa: PLC0415

        return LmmReasoner(model, spending)

    def _toolbox(self, snapshot: Snapshot, scope: Scope, inspector: Inspector) -> Toolbox:
        """What the agent may do to the memory while it answers one question."""
        from .tools.toolbox import Toolbox  # noqa: PLC0415

        return Toolbox(snapshot, scope, inspector)

    def _the_encoder(self) -> Encoder | None:
        """The encoder that was given, or else the one the settings name when it is first needed."""
        with self._lock:
            if self._encoder is None and not self._settings_read:
                from .settings import read_settings  # noqa: PLC0415

                vision = read_settings().vision
                if vision.model is not None:
                    from .perception.vision import open_encoder  # noqa: PLC0415 - loads OpenCV

                    self._encoder = open_encoder(vision)
                self._settings_read = True
            return self._encoder

    def _checkpointer(self) -> TraceStore:
        """Where the steps of questions are kept: beside the memory, in SQLite."""
        from .agent.traces import open_traces  # noqa: PLC0415

        store = self._open_reader()
        most_bytes = store.budget_bytes // _TRACES_SHARE
        with self._lock:
            if self._traces is None:
                self._traces = open_traces(store.path / "questions.sqlite", most_bytes)
            self._traces.most_bytes = most_bytes
            return self._traces

    def _check_names(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        known = sorted(stream.name for stream in snapshot.streams())
        for name in names:
            if name not in known:
                raise UnknownStream(name, tuple(known))


def _budget_bytes(size: str | int) -> int:
    from .memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
    from .memory.keeping.disk_budget import check_budget  # noqa: PLC0415 - nothing is loaded before it is used

    found = parse_bytes(size)
    check_budget(found)
    return found


def _span(from_s: float | None, to_s: float | None) -> Span | None:
    from .agent.answer import check_times  # noqa: PLC0415 - loads pydantic

    check_times(from_s, to_s)
    if from_s is None and to_s is None:
        return None
    return Span(from_s or 0.0, float("inf") if to_s is None else to_s)
