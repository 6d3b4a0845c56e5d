"""The Python interface of Recollect: watch video into a memory, and ask the memory questions.

    from recollect import Recollect

    with Recollect("kitchen.lance") as memory:
        memory.watch("kitchen.mp4")
        answer = memory.ask("When did the kettle boil?")
    print(answer.text, answer.evidence[0].span)

Nothing is opened and nothing heavy is loaded until a method needs it. Each method that takes long has an async form
whose name begins with ``a``: ``await memory.aask("…")``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .agent.errors import BadQuestion
from .argument_checks import (
    as_of_seconds,
    check_encoder,
    check_handler,
    check_models,
    check_source,
    checked_ids,
    checked_limit,
    checked_options,
    checked_path,
    checked_rung,
    checked_span,
    checked_stream_name,
    checked_text,
    checked_watch_options,
    stream_names,
)
from .memory.values import BacklogCounts, Gap, KeyFrame, Moment, Pin, ReducedSpan, Rung, Span, Stream
from .perception.errors import NoLmm
from .resources import MemoryResources
from .stream_activity import StreamActivity
from .stream_status import StreamStatus
from .writing import MemoryWriting

if TYPE_CHECKING:
    from .agent.answer import Answer, Question
    from .agent.cancellation import Cancellation
    from .agent.limits import Limits
    from .agent.overrides import AgentOverrides
    from .agent.reasoner import Reasoner
    from .agent.traces import TraceStep
    from .memory.encoder import Encoder
    from .memory.keeping.disk_usage import DiskUsage
    from .memory.keeping.erasure import ErasureReceipt
    from .memory.keeping.memory_check import CheckReport
    from .memory.keeping.reindexing import OnProgress, ReindexReport
    from .memory.query.coverage import StreamOverview
    from .memory.query.snapshot import Hit, Snapshot
    from .memory.storage.activity import Activity
    from .perception.describing.captioner import CaptionReport
    from .perception.lmm import Lmm
    from .perception.lmm.lmm_settings import LmmSettings
    from .perception.sources.source import Source
    from .perception.watch_events import OnEvent, WatchReport
    from .perception.watch_handle import Watch
    from .perception.watch_options import WatchOptions

T = TypeVar("T")

_LATELY_S = 86_400.0
_SUMMARY_FACTOR = 4
"""Where moments were evicted, so many times more hits are fetched: summaries repeat what their children say."""
_TRACES_PENDING = "questions.pending"
"""This file is in the memory's folder while traces may still quote what was erased."""


class Recollect:
    """A memory of video in a folder: give it streams to watch, and ask it questions.

    Args:
        path: The memory's folder. It is made when something is first watched.
        encoder: Makes vectors of text, and of pictures if it can, so that search uses both. None takes the encoder
            in the settings (``vision.model``). Without one, search uses text alone.
        lmm: The video LMM that describes, reasons and inspects, or its settings. None takes what the settings name.
        reasoner: Replaces the usual reasoner, which is the LMM's, or the extractive one without an LMM.
        disk_budget: Bytes that the memory may take on disk: a size such as ``"20 GB"``, a number, or
            ``"unbounded"``. The least useful details are evicted when it is full. None takes the settings' or the
            memory's own budget; a new memory has 20 GB. ``watch``, ``start`` and ``compact`` store it in the memory.
        limits: What one question may cost.
        overrides: Parts of the agent to replace, for ablations.

    Raises:
        BadArgument: An argument has a wrong type.
        BadBudget: ``disk_budget`` is not a size, or too small for any memory.
    """

    def __init__(
        self,
        path: str | Path = "recollect.lance",
        *,
        encoder: Encoder | None = None,
        lmm: Lmm | LmmSettings | None = None,
        reasoner: Reasoner | None = None,
        disk_budget: str | int | None = None,
        limits: Limits | None = None,
        overrides: AgentOverrides | None = None,
    ) -> None:
        self.path = checked_path(path)
        check_models(encoder, lmm, reasoner, limits, overrides)
        self._resources = MemoryResources(self.path, encoder=encoder, lmm=lmm, disk_budget=disk_budget)
        self._reasoner = reasoner
        self._limits = limits
        self._overrides = overrides
        self._lock = threading.Lock()
        self._writing = MemoryWriting(self._resources)
        self._watches: list[Watch] = []
        self._stops = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Stop all watches, wait for them to end, and close every file. May be called twice."""
        self.stop()
        for watch in tuple(self._watches):
            watch.join()
        self._resources.close()

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

        In a notebook, a progress bar is shown unless ``on_event`` is given. See ``start`` for the arguments.

        Raises:
            SourceError: The source does not exist, is no video, or could not be read to its end.
            MemoryStoreError: The memory is in use by another process, full, or newer than this Recollect.
        """
        return self._watch_to_end(source, stream, options, on_event, _StopFlag())

    def _watch_to_end(
        self,
        source: str | Path | Source,
        stream: str | None,
        options: WatchOptions | None,
        on_event: OnEvent | None,
        stopping: _StopFlag,
    ) -> WatchReport:
        if on_event is None:
            from .notebook import notebook_progress  # noqa: PLC0415

            on_event = notebook_progress()
        watch = self.start(source, stream=stream, options=options, on_event=on_event)
        stopping.stop_with(watch.stop)
        try:
            return watch.wait()
        finally:
            if watch.is_active:
                watch.stop()
                watch.join()
            if self._resources.has_own_budget:
                self._resources.drop_reader()

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
            stream: The stream's name; by default made from the path or address. A live source is known by it: with
                its name it goes on with its stream at any address. One address cannot be watched twice at once.
            options: How it is watched.
            on_event: Called with each event, on the thread where it happens.

        Raises:
            SourceError: The source does not exist or is no video, or it is being watched already.
            BadArgument: An argument has a wrong type or value.
            MemoryStoreError: The memory is in use by another process, full, or newer than this Recollect; or the
                options' disk budget is not valid.
            BadSettings: The settings that name the video LMM or the image-text model are wrong.
            EncoderError: The image-text model in the settings cannot be used.
        """
        stops_before = self._stops
        from .perception.sources.source_list import resolve_source  # noqa: PLC0415
        from .perception.writer_session import find_source  # noqa: PLC0415 - heavy, and only watching needs it

        check_source(source)
        stream = checked_stream_name(stream)
        options = checked_watch_options(options)
        check_handler("on_event", on_event)
        found_source = find_source(resolve_source(source) if isinstance(source, str) else source, options)
        try:
            with self._writing.session() as session:
                watch = session.start(found_source, stream=stream, options=options, on_event=on_event)
        except BaseException:
            found_source.opened.close()
            raise
        with self._lock:
            self._watches = [*(earlier for earlier in self._watches if earlier.is_active), watch]
        if self._stops != stops_before:
            # ``stop`` was called while the source was being opened.
            watch.stop()
        return watch

    def caption(
        self, stream: str | None = None, *, everything: bool = False, on_event: OnEvent | None = None
    ) -> CaptionReport:
        """Describe the backlog with the video LMM, until it is empty or the model is away.

        Args:
            stream: Only this stream; by default all.
            everything: Also what was watched without a model, what another model or an earlier prompt described,
                and what failed before.
            on_event: Called with the events of describing, from another thread.

        Raises:
            NoLmm: No video LMM is configured.
            LmmError: With ``everything``: the server does not report which model it serves.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it is in use or full.
            BadSettings: The settings that name the video LMM are wrong.
        """
        return self._caption(stream, everything, on_event, _StopFlag())

    def _caption(
        self, stream: str | None, everything: bool, on_event: OnEvent | None, stopping: _StopFlag
    ) -> CaptionReport:
        stops_before = self._stops
        from .memory.storage.manifest import read_manifest  # noqa: PLC0415 - LanceDB takes seconds to load

        if stream is not None:
            checked_text("stream", stream)
        check_handler("on_event", on_event)
        if self._resources.lmm() is None:
            raise NoLmm("describe what was watched")
        read_manifest(self.path)  # a wrong path must not make an empty memory
        with self._writing.session("describe what was watched") as session:
            return session.caption(
                stream,
                everything=everything,
                on_event=on_event,
                is_stopped=lambda: stopping.is_set or self._stops != stops_before,
            )

    def stop(self) -> None:
        """Stop all watching and describing of this object, from any thread. What was done is kept."""
        self._stops += 1
        for watch in tuple(self._watches):
            watch.stop()

    # -- keeping ----------------------------------------------------------------------------------

    def usage(self) -> DiskUsage:
        """The memory's disk usage, by purpose, against its budget.

        Raises:
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        return self._resources.reader().account()

    def compact(self) -> DiskUsage:
        """Evict what is over the disk budget, merge files and indexes, delete old versions; the usage after it.

        A memory that is watched into does all of this by itself. Call it to apply a smaller budget at once, or after
        a long file.

        Raises:
            MemoryStoreError: There is no memory at the path, or it cannot be written.
        """
        from .memory.keeping.requests import CompactRequest  # noqa: PLC0415 - LanceDB takes seconds to load

        self._writing.maintain(CompactRequest())
        pending = self.path / _TRACES_PENDING
        if pending.exists():
            self._resources.traces().forget_all()
            pending.unlink(missing_ok=True)
        self._resources.drop_reader()
        return self._resources.reader().account()

    def check(self, *, repair: bool = False) -> CheckReport:
        """Read the whole memory and say what is damaged; with ``repair``, rebuild what can be rebuilt.

        A repair makes indexes, vectors and summaries again, and keeps every row that is intact. What is lost becomes
        a gap or a tombstone. It needs the encoder that made the vectors.

        Raises:
            MemoryStoreError: There is no memory at the path, or it cannot be written (with ``repair``).
        """
        if not repair:
            from .memory.keeping.memory_check import check_memory  # noqa: PLC0415 - LanceDB takes seconds

            return check_memory(self.path)
        from .memory.repair import repair_memory  # noqa: PLC0415 - LanceDB takes seconds to load

        self._resources.drop_reader()
        return repair_memory(self.path, self._resources.encoder())

    def pin(
        self, stream: str, from_s: float | None = None, to_s: float | None = None, *, note: str = ""
    ) -> Pin:
        """Protect a span of a stream from eviction; the whole stream if no times are given.

        A pin protects every event that it touches, whole. Pins together may protect a tenth of the disk budget.

        Raises:
            BadQuestion: The span is empty or negative.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: Nothing is stored there, or the quota of pins is used up (``PinsFull``).
        """
        checked_text("stream", stream)
        span = checked_span(from_s, to_s) or Span(0.0, float("inf"))
        return self._resources.reader().pin(stream, span, checked_text("note", note))

    def unpin(self, pin_id: str) -> bool:
        """Remove a pin; whether there was one of that id."""
        return self._resources.reader().unpin(checked_text("pin_id", pin_id))

    def pins(self) -> list[Pin]:
        """All pins, by stream and time."""
        return self._resources.reader().pins()

    def forget(
        self,
        stream: str,
        from_s: float | None = None,
        to_s: float | None = None,
        *,
        on_wait: Callable[[int], None] | None = None,
    ) -> ErasureReceipt:
        """Erase a span of a stream for good; the whole stream and its record if no times are given.

        Whole moments are erased, with their pictures, rungs above, index entries, old versions and traces of
        questions that quote them. When this returns, no file of the memory holds them. Rungs above are rebuilt from
        what remains. Questions that began before finish on their snapshot, and are waited for.

        Args:
            stream: The stream's name.
            from_s: Start of the span in stream time.
            to_s: End of the span in stream time.
            on_wait: Called repeatedly with the number of questions that are waited for.

        Raises:
            BadQuestion: The span is empty or negative.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it cannot be written.
        """
        from .memory.errors import MemoryInUse  # noqa: PLC0415
        from .memory.keeping.requests import EraseRequest  # noqa: PLC0415 - LanceDB takes seconds to load
        from .memory.storage.disk_space import require_free_space  # noqa: PLC0415

        checked_text("stream", stream)
        check_handler("on_wait", on_wait)
        span = checked_span(from_s, to_s)
        pending = self.path / _TRACES_PENDING
        reader = self._resources.reader()
        # If the process dies between the two, it is unknown which traces quote what was erased.
        was_interrupted = pending.exists()
        if reader.stream(stream) is not None:
            with require_free_space(self.path, 0):
                pending.touch()
        try:
            receipt = self._writing.maintain(EraseRequest(stream, span), on_wait)
        except MemoryInUse:
            if not was_interrupted:
                pending.unlink(missing_ok=True)
            raise
        assert receipt is not None
        erased_words = receipt.memory_ids if span is not None else receipt.memory_ids | {stream}
        traces = self._resources.traces()
        count = traces.forget_all() if was_interrupted else traces.forget(erased_words)
        pending.unlink(missing_ok=True)
        return replace(receipt, traces=count)

    def reindex(
        self, encoder: Encoder | None = None, *, on_progress: OnProgress | None = None
    ) -> ReindexReport:
        """Make the vectors of the memory again with an encoder, or drop them without one.

        Use it for a memory that was made without this encoder, or with another one. It takes as long as the encoder
        takes for every text and picture. If it is interrupted, the memory stays as it was, and the next call
        continues. Questions can be asked and sources watched meanwhile. If another process watches into the memory,
        that process opens the encoder, rebuilds the vectors, and uses the encoder from then on.

        Args:
            encoder: The encoder from now on. None takes the one of this object or of the settings.
            on_progress: Called with the number of observations that are done and their total.

        Raises:
            MemoryInUse: Another process writes to the memory, and either takes no requests, or settings cannot name
                ``encoder``: it is an object of a class of your own.
            MemoryStoreError: There is no memory at the path, the disk is full, or the process that watches could not
                use the encoder (``RequestFailed``).
            EncoderError: The image-text model in the settings cannot be used.
        """
        check_encoder(encoder)
        check_handler("on_progress", on_progress)
        encoder = encoder if encoder is not None else self._resources.encoder()
        report = self._writing.reindex(encoder, on_progress)
        self._resources.use_encoder(encoder)
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
        """Answer a question from the memory, with evidence; or abstain and say what is missing.

        Args:
            question: In plain English.
            options: For multiple choice: the texts of A, B, C, …
            stream: Only this stream, or these; by default all.
            from_s: Only what happens from this stream time on, in seconds.
            to_s: Only what happens before this stream time, in seconds.
            as_of: Only what had been written by then: a datetime with a time zone, or Unix seconds.

        Raises:
            QuestionError: The question is empty or overlong, or names an unknown stream.
            BadArgument: An argument has a wrong type.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
            BadSettings: The settings that name the video LMM are wrong.
        """
        checked = _checked_question(question, options, stream, from_s, to_s, as_of)
        return self._answer(checked, None)

    def steps(
        self,
        question: str,
        *,
        options: Sequence[str] = (),
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        as_of: datetime | float | None = None,
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Like ``ask``, yielding each step's name and the state that it changed.

        The last step is ``answer``; its change holds the answer as plain data.
        """
        checked = _checked_question(question, options, stream, from_s, to_s, as_of)
        return self._steps(checked, None)

    def trace(self, trace_id: str) -> list[TraceStep]:
        """The stored steps of an earlier question, in order: the names of the next steps and the state before them.

        Empty if no trace of that id is stored.
        """
        from .agent.graph import build_agent  # noqa: PLC0415 - loads LangGraph
        from .agent.traces import TraceStep  # noqa: PLC0415

        checked_text("trace_id", trace_id)
        history = build_agent(self._resources.traces()).history({"configurable": {"thread_id": trace_id}})
        return [TraceStep(next=list(state.next), state=dict(state.values)) for state in reversed(history)]

    def search(
        self,
        query: str,
        *,
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Find moments by words, best first, without reasoning about them.

        Raises:
            BadQuestion: The query is empty or too long, or the span is empty.
            BadArgument: An argument has a wrong type or value.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        from .agent.answer import MAX_QUESTION_CHARS  # noqa: PLC0415
        from .question_runner import check_stream_names  # noqa: PLC0415
        from .tools.toolbox import Scope, Toolbox  # noqa: PLC0415 - loads pydantic

        if not checked_text("query", query).strip():
            raise BadQuestion("the query is empty")
        if len(query) > MAX_QUESTION_CHARS:
            raise BadQuestion(f"the query has {len(query):,} characters, and may have {MAX_QUESTION_CHARS:,}")
        limit = checked_limit(limit)
        names, span = stream_names(stream), checked_span(from_s, to_s)
        with self._resources.reader().snapshot() as snapshot:
            check_stream_names(snapshot, names)
            toolbox = Toolbox(snapshot, Scope(names, span))
            hits = snapshot.search(query, streams=names or None, span=span, rungs=("moment",), limit=limit)
            if any(snapshot.tombstones(name) for name in toolbox.streams()):
                # Where moments were evicted, the summaries that stand for them are hits too.
                every_rung = snapshot.search(
                    query, streams=names or None, span=span, limit=_SUMMARY_FACTOR * limit
                )
                hits = [hit for hit in every_rung if toolbox.is_leaf(hit.moment)][:limit]
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
        """The memories of one rung in time order, of one stream, or of all streams one after the other.

        Raises:
            BadQuestion: The span is empty or negative.
            BadArgument: An argument has a wrong type or value.
            UnknownStream: A stream of that name is not in the memory.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        from .question_runner import check_stream_names  # noqa: PLC0415

        rung, limit = checked_rung(rung), checked_limit(limit)
        names, span = stream_names(stream), checked_span(from_s, to_s)
        with self._resources.reader().snapshot() as snapshot:
            check_stream_names(snapshot, names)
            return snapshot.timeline(names[0] if names else None, span, rung=rung, limit=limit)

    def gaps(self, stream: str) -> list[Gap]:
        """The spans of a stream of which nothing was seen, or of which the memory lost everything, in time order.

        Raises:
            UnknownStream: A stream of that name is not in the memory.
        """
        from .question_runner import check_stream_names  # noqa: PLC0415

        checked_text("stream", stream)
        with self._resources.reader().snapshot() as snapshot:
            check_stream_names(snapshot, (stream,))
            return list(snapshot.coverage(stream).gaps)

    def frames(self, ids: Sequence[str]) -> list[KeyFrame]:
        """Key frames by id, in the given order, without those that are no longer stored."""
        with self._resources.reader().snapshot() as snapshot:
            return snapshot.frames(checked_ids("ids", ids))

    def status(self) -> list[StreamStatus]:
        """What is stored of each stream, in order of their names."""
        store = self._resources.reader()
        from .memory.storage.activity import read_activity  # noqa: PLC0415

        backlog = store.backlog_counts()
        activity = read_activity(self.path)
        with store.snapshot() as snapshot:
            overviews = snapshot.overviews()
            return [
                StreamStatus.of(
                    stream,
                    overviews.get(stream.name),
                    backlog.get(stream.name, BacklogCounts()),
                    _reduced_lately(snapshot, stream, overviews.get(stream.name)),
                    _activity_of(stream, activity),
                )
                for stream in snapshot.streams()
            ]

    # -- async forms ------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """``close`` without blocking the event loop."""
        await asyncio.to_thread(self.close)

    async def awatch(
        self,
        source: str | Path | Source,
        *,
        stream: str | None = None,
        options: WatchOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> WatchReport:
        """``watch`` without blocking the event loop. Cancelling it stops this watch cleanly, and no other."""
        stopping = _StopFlag()

        def work() -> WatchReport:
            return self._watch_to_end(source, stream, options, on_event, stopping)

        return await _cancellable(asyncio.to_thread(work), stopping.stop)

    async def astart(
        self,
        source: str | Path | Source,
        *,
        stream: str | None = None,
        options: WatchOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> Watch:
        """``start`` without blocking the event loop while the source and the memory are opened.

        If it is cancelled, the watch is stopped, because nobody has its handle.
        """
        stopping = _StopFlag()

        def work() -> Watch:
            watch = self.start(source, stream=stream, options=options, on_event=on_event)
            stopping.stop_with(watch.stop)
            return watch

        return await _cancellable(asyncio.to_thread(work), stopping.stop)

    async def acaption(
        self, stream: str | None = None, *, everything: bool = False, on_event: OnEvent | None = None
    ) -> CaptionReport:
        """``caption`` without blocking the event loop. Cancelling it stops this describing cleanly, and no watch."""
        stopping = _StopFlag()

        def work() -> CaptionReport:
            return self._caption(stream, everything, on_event, stopping)

        return await _cancellable(asyncio.to_thread(work), stopping.stop)

    async def acheck(self, *, repair: bool = False) -> CheckReport:
        """``check`` without blocking the event loop. Cancelling does not stop it."""
        return await asyncio.to_thread(self.check, repair=repair)

    async def acompact(self) -> DiskUsage:
        """``compact`` without blocking the event loop. Cancelling does not stop it."""
        return await asyncio.to_thread(self.compact)

    async def aforget(
        self,
        stream: str,
        from_s: float | None = None,
        to_s: float | None = None,
        *,
        on_wait: Callable[[int], None] | None = None,
    ) -> ErasureReceipt:
        """``forget`` without blocking the event loop. Cancelling does not stop it."""
        return await asyncio.to_thread(self.forget, stream, from_s, to_s, on_wait=on_wait)

    async def areindex(
        self, encoder: Encoder | None = None, *, on_progress: OnProgress | None = None
    ) -> ReindexReport:
        """``reindex`` without blocking the event loop. Cancelling does not stop it."""
        return await asyncio.to_thread(self.reindex, encoder, on_progress=on_progress)

    async def aask(
        self,
        question: str,
        *,
        options: Sequence[str] = (),
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        as_of: datetime | float | None = None,
    ) -> Answer:
        """``ask`` without blocking the event loop. Cancelling it stops the question within a second."""
        from .agent.cancellation import Cancellation  # noqa: PLC0415

        checked = _checked_question(question, options, stream, from_s, to_s, as_of)
        # Loading LangGraph for the first question takes a second or two. Cancelled meanwhile, this returns at once.
        await asyncio.to_thread(_load_agent)
        cancellation = Cancellation()
        work = asyncio.to_thread(self._answer, checked, cancellation)
        return await _cancellable(work, cancellation.cancel)

    async def asearch(
        self,
        query: str,
        *,
        stream: str | Sequence[str] | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """``search`` without blocking the event loop."""
        return await asyncio.to_thread(
            self.search, query, stream=stream, from_s=from_s, to_s=to_s, limit=limit
        )

    async def atimeline(
        self,
        stream: str | None = None,
        *,
        rung: Rung = "moment",
        from_s: float | None = None,
        to_s: float | None = None,
        limit: int = 1000,
    ) -> list[Moment]:
        """``timeline`` without blocking the event loop."""
        return await asyncio.to_thread(
            self.timeline, stream, rung=rung, from_s=from_s, to_s=to_s, limit=limit
        )

    async def astatus(self) -> list[StreamStatus]:
        """``status`` without blocking the event loop."""
        return await asyncio.to_thread(self.status)

    async def ausage(self) -> DiskUsage:
        """``usage`` without blocking the event loop."""
        return await asyncio.to_thread(self.usage)

    # -- inside -----------------------------------------------------------------------------------

    def _steps(
        self, question: Question, cancellation: Cancellation | None
    ) -> Iterator[tuple[str, dict[str, object]]]:
        from .question_runner import QuestionRunner  # noqa: PLC0415 - loads LangGraph

        runner = QuestionRunner(
            self._resources, reasoner=self._reasoner, limits=self._limits, overrides=self._overrides
        )
        return runner.steps(question, cancellation)

    def _answer(self, question: Question, cancellation: Cancellation | None) -> Answer:
        from .agent.answer import Answer  # noqa: PLC0415 - loads pydantic

        answer = None
        for _, changes in self._steps(question, cancellation):
            answer = changes.get("answer", answer)
        return Answer.model_validate(answer)


class _StopFlag:
    """Whether one call is to be stopped, and what to stop."""

    def __init__(self) -> None:
        self.is_set = False
        self._stop: Callable[[], None] | None = None

    def stop(self) -> None:
        """Stop the call, now or when it has begun."""
        self.is_set = True
        if self._stop is not None:
            self._stop()

    def stop_with(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when this call is stopped, and at once if it was."""
        self._stop = stop
        if self.is_set:
            stop()


def _activity_of(stream: Stream, activity: Activity) -> StreamActivity | None:
    """What is being done with a stream. A stream that its dead process left as "watching" was interrupted."""
    record = activity.streams.get(stream.name)
    if record is not None:
        return StreamActivity.from_record(record, activity.written_s)
    if stream.state == "watching":
        return StreamActivity.interrupted(activity.interrupted.get(stream.name))
    return None


def _reduced_lately(
    snapshot: Snapshot, stream: Stream, overview: StreamOverview | None
) -> tuple[ReducedSpan, ...]:
    """Where a live stream that is being watched was watched at a lower rate in the last day of its time."""
    if overview is None or stream.kind == "file" or stream.state != "watching":
        return ()
    end_s = overview.coverage.span.end_s
    return snapshot.coverage(stream.name, Span(max(0.0, end_s - _LATELY_S), end_s)).reduced


def _load_agent() -> None:
    from . import question_runner  # noqa: F401, PLC0415 - loads LangGraph


async def _cancellable(work: Coroutine[Any, Any, T], cancel: Callable[[], None]) -> T:
    """Await work in a thread. If the awaiting task is cancelled, call ``cancel`` until the thread has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            # Repeatedly: the thread may not have started what is to be stopped.
            cancel()
            await asyncio.wait([task], timeout=0.1)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it as lost
        raise


def _checked_question(
    question: str,
    options: Sequence[str],
    stream: str | Sequence[str] | None,
    from_s: float | None,
    to_s: float | None,
    as_of: datetime | float | None,
) -> Question:
    from .agent.answer import Question  # noqa: PLC0415 - loads pydantic

    checked_text("question", question)
    checked_span(from_s, to_s)
    return Question.checked(
        question,
        options=checked_options(options),
        streams=stream_names(stream),
        from_s=from_s,
        to_s=to_s,
        as_of_s=as_of_seconds(as_of),
    )
