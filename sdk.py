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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .errors import BadQuestion, UnknownStream
from .memory.values import Coverage, FrameCounts, Gap, KeyFrame, Moment, Observation, Rung, Span, Stream

if TYPE_CHECKING:
    from .agent.answer import Answer
    from .agent.budget import Budget
    from .agent.reasoner import Reasoner
    from .agent.traces import Traces
    from .memory.encoder import Encoder
    from .memory.reindexing import OnProgress, ReindexReport
    from .memory.snapshot import Hit, Snapshot
    from .memory.store import MemoryStore
    from .perception.worker import Progress, StreamWorker, WatchReport

DEFAULT_FPS = 4.0
"""Frames a second shown to the observers: enough to follow people, cheap enough for one core."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What is known of one stream and of how completely it was watched."""

    stream: Stream
    coverage: Coverage
    gaps: tuple[Gap, ...]
    counts: FrameCounts

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "stream": self.stream.name,
            "kind": self.stream.kind,
            "state": self.stream.state,
            "source": self.stream.source,
            "fps": self.stream.fps,
            "duration_s": self.stream.duration_s,
            "from_s": round(self.coverage.span.start_s, 3),
            "until_s": round(self.coverage.span.end_s, 3),
            "watched_s": round(self.coverage.watched_s, 3),
            "gaps": [
                {"start_s": round(gap.span.start_s, 3), "end_s": round(gap.span.end_s, 3), "cause": gap.cause}
                for gap in self.gaps
            ],
            "frames": {
                "captured": self.counts.captured,
                "stored": self.counts.stored,
                "sampled_out": self.counts.sampled_out,
                "merged": self.counts.merged,
                "dropped": dict(self.counts.dropped),
            },
            "error": self.stream.error,
        }


class Recollect:
    """A memory of video at a path: give it streams to watch, ask it questions.

    Args:
        path: The memory's folder; made when something is first watched.
        encoder: Makes vectors of words, and of pictures if it can, so that both are searched; None takes
            the one that the settings name (``vision.model``), and where they name none, words alone
            are searched.
        reasoner: Who thinks; None for the extractive reasoner, which needs no model.
        budget: What a question may cost.
    """

    def __init__(
        self,
        path: str | Path = "recollect.lance",
        *,
        encoder: Encoder | None = None,
        reasoner: Reasoner | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self._encoder = encoder
        self._settings_read = False
        self._reasoner = reasoner
        self._budget = budget
        self._lock = threading.Lock()
        self._reader: MemoryStore | None = None
        self._traces: Traces | None = None
        self._workers: list[StreamWorker] = []
        self._stops = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is being watched and let go of every file. May be called twice."""
        self.stop()
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            if self._traces is not None:
                self._traces.close()
                self._traces = None

    # -- watching ---------------------------------------------------------------------------------

    def watch(
        self,
        source: str | Path,
        *,
        stream: str | None = None,
        fps: float = DEFAULT_FPS,
        ocr: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        on_state: Callable[[str, str], None] | None = None,
        max_outage_s: float | None = None,
    ) -> WatchReport:
        """Watch a file to its end, or a live URL until ``stop()``.

        A file that was watched before is known by its content: watching goes on where it stopped,
        or is done at once. Only one process may watch into a memory; any number may ask it.

        Args:
            source: A path, or a URL (rtsp, rtsps, http, https).
            stream: The name to know it by; by default made from the path or address.
            fps: Frames a second that the observers are shown.
            ocr: Whether text in the picture is read, the dearest of the observers.
            on_progress: Called every second or two.
            on_state: Called when a live source connects, stalls or drops.
            max_outage_s: Give up on a live source after this long without it; None never does.

        Raises:
            SourceError: The source is not there or is no video.
            MemoryStoreError: The memory is in use, full, or newer than this Recollect.
            EncoderError: The image–text model in the settings cannot be used.
        """
        encoder = self._the_encoder()
        stops_before = self._stops
        mine: list[StreamWorker] = []

        from .perception.watching import watch  # noqa: PLC0415 - heavy, and only watching needs it

        def started(worker: StreamWorker) -> None:
            mine.append(worker)
            self._workers.append(worker)
            if self._stops != stops_before:
                # Told to stop while the source was still being opened.
                worker.stop()

        try:
            return watch(
                self.path,
                str(source),
                stream=stream,
                fps=fps,
                ocr=ocr,
                encoder=encoder,
                on_progress=on_progress,
                on_state=on_state,
                on_start=started,
                max_outage_s=max_outage_s,
            )
        finally:
            for worker in mine:
                self._workers.remove(worker)

    def stop(self) -> None:
        """Stop whatever this object is watching, from any thread; all that was seen is kept."""
        self._stops += 1
        for worker in tuple(self._workers):
            worker.stop()

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
        from .memory.reindexing import reindex  # noqa: PLC0415 - LanceDB takes seconds to load

        encoder = encoder or self._the_encoder()
        report = reindex(self.path, encoder, on_progress=on_progress)
        with self._lock:
            self._encoder = encoder
            if self._reader is not None:
                # It was opened with the vectors there were before.
                self._reader.close()
                self._reader = None
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
        from .agent.budget import Budget  # noqa: PLC0415
        from .agent.extractive import ExtractiveReasoner  # noqa: PLC0415
        from .agent.graph import build_agent  # noqa: PLC0415
        from .agent.state import Deps  # noqa: PLC0415
        from .tools.toolbox import Scope, Toolbox  # noqa: PLC0415

        started_s = time.monotonic()
        names = (stream,) if isinstance(stream, str) else tuple(stream or ())
        as_of_s = as_of.timestamp() if isinstance(as_of, datetime) else as_of
        asked = Question.checked(
            question, options=tuple(options), streams=names, from_s=from_s, to_s=to_s, as_of_s=as_of_s
        )
        store = self._open_reader()
        snapshot = store.snapshot(as_of_s=as_of_s)
        self._check_names(snapshot, names)
        known = {stream.name: stream for stream in snapshot.streams()}
        trace_id = uuid.uuid4().hex

        def inspector(moment: Moment) -> Observation | None:
            from .perception.inspect import look_again  # noqa: PLC0415 - heavy, and few questions need it

            return look_again(known[moment.stream], moment, snapshot.frames(moment.frame_ids))

        deps = Deps(
            tools=Toolbox(
                snapshot,
                Scope(names, asked.span),
                inspector,
            ),
            snapshot=snapshot,
            store=store,
            reasoner=self._reasoner or ExtractiveReasoner(),
            budget=self._budget or Budget(),
            trace_id=trace_id,
            started_s=started_s,
            as_of=datetime.fromtimestamp(time.time() if as_of_s is None else as_of_s, UTC).isoformat(
                timespec="milliseconds"
            ),
        )
        agent = build_agent(self._checkpointer())
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

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The stored steps of an earlier question, in order: each step's name and the state after it.

        Empty where no question of this memory had that ``trace_id``.
        """
        from .agent.graph import build_agent  # noqa: PLC0415

        agent = build_agent(self._checkpointer())
        history = list(agent.get_state_history({"configurable": {"thread_id": trace_id}}))
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

        if not words.strip():
            raise BadQuestion("there are no words to search for")
        if len(words) > MAX_QUESTION_CHARS:
            raise BadQuestion(
                f"it has {len(words):,} characters, and a search may have {MAX_QUESTION_CHARS:,}"
            )
        names = (stream,) if isinstance(stream, str) else tuple(stream or ())
        span = _span(from_s, to_s)
        snapshot = self._open_reader().snapshot()
        self._check_names(snapshot, names)
        return snapshot.search(words, streams=names or None, span=span, rungs=("moment",), limit=limit)

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
        snapshot = self._open_reader().snapshot()
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
        snapshot = self._open_reader().snapshot()
        self._check_names(snapshot, (stream,))
        return snapshot.gaps(stream)

    def frames(self, ids: Sequence[str]) -> list[KeyFrame]:
        """Key frames by id, in the given order; those no longer kept are left out."""
        snapshot = self._open_reader().snapshot()
        return snapshot.frames(list(ids))

    def status(self) -> list[StreamStatus]:
        """What is in the memory, stream by stream."""
        snapshot = self._open_reader().snapshot()
        return [
            StreamStatus(
                stream,
                snapshot.coverage(stream.name),
                tuple(snapshot.gaps(stream.name)),
                snapshot.counts(stream.name),
            )
            for stream in sorted(snapshot.streams(), key=lambda stream: stream.name)
        ]

    # -- async forms ------------------------------------------------------------------------------

    async def awatch(self, source: str | Path, **options: Any) -> WatchReport:
        """``watch``, without blocking the event loop. Cancelling it stops the watching cleanly."""
        task = asyncio.ensure_future(asyncio.to_thread(self.watch, source, **options))
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

    def _open_reader(self) -> MemoryStore:
        from .memory.store import MemoryStore  # noqa: PLC0415 - LanceDB takes seconds to load

        encoder = self._the_encoder()
        with self._lock:
            if self._reader is None:
                self._reader = MemoryStore.open(self.path, encoder=encoder)
            return self._reader

    def _the_encoder(self) -> Encoder | None:
        """The encoder that was given, or else the one the settings name when it is first needed."""
        with self._lock:
            if self._encoder is None and not self._settings_read:
                from .settings import read_settings  # noqa: PLC0415 - loads pydantic

                vision = read_settings().vision
                if vision.model is not None:
                    from .perception.vision import open_encoder  # noqa: PLC0415 - loads OpenCV

                    self._encoder = open_encoder(vision)
                self._settings_read = True
            return self._encoder

    def _checkpointer(self) -> Traces:
        """Where the steps of questions are kept: beside the memory, in SQLite."""
        from .agent.traces import open_traces  # noqa: PLC0415

        store = self._open_reader()
        with self._lock:
            if self._traces is None:
                self._traces = open_traces(store.path / "questions.sqlite")
            return self._traces

    def _check_names(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        known = sorted(stream.name for stream in snapshot.streams())
        for name in names:
            if name not in known:
                raise UnknownStream(name, tuple(known))


def _span(from_s: float | None, to_s: float | None) -> Span | None:
    from .agent.answer import check_times  # noqa: PLC0415 - loads pydantic

    check_times(from_s, to_s)
    if from_s is None and to_s is None:
        return None
    return Span(from_s or 0.0, float("inf") if to_s is None else to_s)
