"""The evaluation runner: watches each video once, asks each question at its time, and stores each answer at once.

    run = EvaluationRun(Path("run"), suite, embedded_systems(), WatchSettings())
    for progress in run.go():
        print(progress)
    read_run(Path("run"))                         # in ``report``: scores the stored answers

A run can be killed and resumed. Videos, questions and systems come in a fixed order, a stored answer is not asked for
again, and a video whose ingestion was interrupted is watched again from the start. The predictions of a resumed run
are therefore the same bytes as those of an uninterrupted run. A failed question is retried and then counts as wrong:
no system may skip a question.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar

from .. import __version__
from ..agent.limits import Limits
from ..agent.overrides import AgentOverrides
from ..client import Recollect
from ..memory.storage.file_sizes import size_on_disk
from ..memory.store import MemoryStore
from ..perception.errors import LmmReplyOutOfSchema
from ..perception.lmm.lmm_settings import LmmSettings
from .causal_video import CausalVideo, FileFootage, Footage
from .errors import BadRun, LookedAhead
from .ingestion import WatchSettings, as_of_s, ingest, settled_s
from .records import Ingest, Prediction, R, RecordFile, RunManifest, Sample, Timing, read_records
from .suites.suite import Suite
from .systems import LIMITS, PosedQuestion, System, SystemAnswer, WatchedVideo

log = logging.getLogger(__name__)

_TRIES = 3

_T = TypeVar("_T")
_U = TypeVar("_U")
_AnswerKey = tuple[str, str, int]
"""Sample, system and repeat: identifies one answer of a run."""
_OpenAsOf = Callable[[float], AbstractContextManager[WatchedVideo]]
"""Opens a memory as of a Unix time."""


@dataclass(frozen=True)
class Shard:
    """A part of the videos, chosen by a hash of the video's name."""

    number: int = 0
    """Which part, from 0."""
    count: int = 1
    """How many parts there are."""

    def has(self, video: str) -> bool:
        """Whether the video belongs to this part."""
        digest = hashlib.sha256(video.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number


@dataclass(frozen=True)
class RunOptions:
    """Which questions a run asks, and how."""

    limit: int | None = None
    """The largest number of questions. None: all."""
    shard: Shard = Shard()
    repeats: int = 1
    """How many times each question is asked."""
    concurrency: int = 1
    """How many answers are computed at the same time. A server answers several at once in less time for each."""
    retry_errors: bool = False
    """Whether questions that failed in an earlier run are asked again."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is."""

    answered: int
    total: int
    video: str
    remaining_s: float | None
    """The estimated remaining time. None before the first estimate."""


@dataclass(frozen=True)
class _Task:
    """One answer to compute."""

    sample: Sample
    system: System
    repeat: int


@dataclass(frozen=True)
class _OpenVideo:
    """A video that is ready to be asked about."""

    footage: Footage
    duration_s: float
    memory_bytes: int
    """The size of its memory, or 0 without one."""
    open_as_of: _OpenAsOf | None
    """None if no system uses the memory."""


class EvaluationRun:
    """One suite asked to some systems, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        suite: Suite,
        systems: Sequence[System],
        watching: WatchSettings,
        options: RunOptions | None = None,
    ) -> None:
        """Nothing is read or written before ``go``."""
        self.folder, self._suite, self._systems, self._watching = folder, suite, systems, watching
        self._options = options or RunOptions()

    def go(self) -> Iterator[RunProgress]:
        """Compute the missing answers. Yields the progress after each answer.

        Raises ``BadRun`` if the folder holds a different run, ``BadSuite``, ``SourceError`` and ``MemoryStoreError``.
        """
        samples = self._samples()
        self._check_manifest()
        self._write_samples(samples)
        if self._options.retry_errors:
            self._drop_errors()
        stored = {_key(prediction) for prediction in self._predictions()}
        total = len(samples) * len(self._systems) * self._options.repeats
        started_s, stored_before = time.monotonic(), len(stored)
        with ExitStack() as stack:
            predictions = stack.enter_context(RecordFile(self.folder / "predictions.jsonl", Prediction))
            timings = stack.enter_context(RecordFile(self.folder / "timings.jsonl", Timing))
            ingests = stack.enter_context(RecordFile(self.folder / "ingests.jsonl", Ingest))
            for video, video_samples in group_by_video(samples):
                for prediction, timing in self._answers(video, video_samples, stored, ingests):
                    timings.append(timing)
                    predictions.append(prediction)
                    stored.add(_key(prediction))
                    answered = len(stored) - stored_before
                    remaining_s = (time.monotonic() - started_s) / answered * (total - len(stored))
                    yield RunProgress(len(stored), total, video, remaining_s)

    # -- one video ------------------------------------------------------------------------------------

    def _answers(
        self,
        video: str,
        samples: Sequence[Sample],
        stored: set[_AnswerKey],
        ingests: RecordFile[Ingest],
    ) -> Iterator[tuple[Prediction, Timing]]:
        """The missing answers about one video, in order."""
        tasks = [
            _Task(sample, system, repeat)
            for sample in samples
            for system in self._systems
            for repeat in range(self._options.repeats)
            if (sample.id, system.name, repeat) not in stored
        ]
        if tasks:
            with self._open_video(video, ingests) as opened:
                yield from ordered_map(
                    lambda task: self._answer(task, opened), tasks, concurrency=self._options.concurrency
                )

    @contextmanager
    def _open_video(self, video: str, ingests: RecordFile[Ingest]) -> Iterator[_OpenVideo]:
        """Watch the video if any system needs its memory and it was not watched before, and open the memory."""
        footage = self._suite.video(video)
        if isinstance(footage, Path):
            footage = FileFootage(footage)
        if not any(system.remembers for system in self._systems):
            yield _OpenVideo(footage, footage.duration_s, 0, None)
            return
        memory = self.folder / "memories" / f"{hashlib.sha256(video.encode()).hexdigest()[:16]}.lance"
        duration_s = self._ingest(video, footage, memory, ingests).duration_s
        with self._open_memory(memory) as open_as_of:
            yield _OpenVideo(footage, duration_s, size_on_disk(memory), open_as_of)

    def _answer(self, task: _Task, opened: _OpenVideo) -> tuple[Prediction, Timing]:
        sample, system = task.sample, task.system
        until_s = opened.duration_s if sample.asked_at_s is None else sample.asked_at_s
        asked_s = as_of_s(settled_s(until_s) if sample.asked_at_s is None else until_s)
        causal = CausalVideo(opened.footage, until_s=until_s, from_s=sample.from_s)
        started_s = time.perf_counter()
        with ExitStack() as stack:
            watched = None if opened.open_as_of is None else stack.enter_context(opened.open_as_of(asked_s))
            answer, error = self._try_answer(system, PosedQuestion(sample, causal, asked_s, watched))
        prediction = Prediction(
            sample=sample.id,
            system=system.name,
            repeat=task.repeat,
            status="error" if error else answer.status,
            answer=answer.answer,
            said=answer.reply,
            confidence=answer.confidence,
            spans=answer.spans,
            found=answer.retrieved,
            encoded=answer.encoded,
            usage=answer.usage.model_copy(update={"pictures": answer.usage.pictures + causal.count}),
            latest_s=causal.latest_s,
            error=error,
        )
        timing = Timing(
            sample=sample.id,
            system=system.name,
            repeat=task.repeat,
            seconds=time.perf_counter() - started_s,
            memory_bytes=opened.memory_bytes if system.remembers else 0,
        )
        return prediction, timing

    @contextmanager
    def _open_memory(self, memory: Path) -> Iterator[_OpenAsOf]:
        """Open a memory for reading. The yielded function opens it as of a time."""
        with ExitStack() as stack:
            store = stack.enter_context(MemoryStore.open(memory, encoder=self._watching.encoder))
            agents: dict[tuple[AgentOverrides | None, Limits], Recollect] = {}
            lock = Lock()

            def open_agent(overrides: AgentOverrides | None, limits: Limits) -> Recollect:
                with lock:
                    if (overrides, limits) not in agents:
                        agent = Recollect(
                            memory,
                            encoder=self._watching.encoder,
                            lmm=self._watching.lmm or LmmSettings(),
                            limits=limits,
                            overrides=overrides,
                        )
                        agents[overrides, limits] = stack.enter_context(agent)
                    return agents[overrides, limits]

            @contextmanager
            def open_as_of(asked_s: float) -> Iterator[WatchedVideo]:
                with store.snapshot(as_of_s=asked_s) as snapshot:
                    yield WatchedVideo(open_agent, snapshot)

            yield open_as_of

    def _try_answer(self, system: System, posed: PosedQuestion) -> tuple[SystemAnswer, str]:
        """The answer of a system, and an error message if it failed in every try."""
        message = ""
        for _ in range(_TRIES):
            try:
                return system.answer(posed), ""
            except LookedAhead:
                # A system that looks ahead invalidates all of its answers, so the run ends.
                raise
            except LmmReplyOutOfSchema as error:
                # The LMM client has already retried as often as it helps.
                message = f"{type(error).__name__}: {error}"
                break
            except Exception as error:
                log.debug("%s failed at %s", system.name, posed.sample.id, exc_info=True)
                message = f"{type(error).__name__}: {error}"
        log.warning("%s cannot answer %s: %s", system.name, posed.sample.id, message)
        return SystemAnswer(), message

    def _ingest(self, video: str, footage: Footage, memory: Path, ingests: RecordFile[Ingest]) -> Ingest:
        """Watch a video, or return the record of an earlier ingestion whose memory still exists."""
        earlier = [
            ingest for ingest in read_records(self.folder / "ingests.jsonl", Ingest) if ingest.video == video
        ]
        if earlier and memory.exists():
            return earlier[-1]
        record = ingest(footage, memory, name=video, watching=self._watching)
        ingests.append(record)
        return record

    # -- the run's own files --------------------------------------------------------------------------

    def _samples(self) -> list[Sample]:
        samples = [sample for sample in self._suite.samples() if self._options.shard.has(sample.video)]
        return in_order(samples)[: self._options.limit]

    def _predictions(self) -> Iterator[Prediction]:
        return read_records(self.folder / "predictions.jsonl", Prediction)

    def _check_manifest(self) -> None:
        """Write the manifest. If the folder has one, check that it describes this run."""
        path = self.folder / "manifest.json"
        manifest = RunManifest(
            suite=self._suite.name,
            systems=tuple(system.name for system in self._systems),
            version=__version__,
            settings={
                **self._suite.settings,
                "watching": self._watching.name,
                "limit": str(self._options.limit or "all"),
                "budget": LIMITS.model_dump_json(),
                "repeats": str(self._options.repeats),
            },
            files={file.name: _sha256(file) for file in self._suite.files()},
            begun_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        existing = next(read_records(path, RunManifest), None)
        if existing is None:
            # An incomplete manifest, left by a killed process, counts as none: RecordFile cuts it off.
            with RecordFile(path, RunManifest) as file:
                file.append(manifest)
        elif existing.model_copy(update={"begun_at": manifest.begun_at}) != manifest:
            raise BadRun(
                self.folder, "it has different questions, systems or settings, or comes from another version"
            )

    def _write_samples(self, samples: Sequence[Sample]) -> None:
        """Store the questions, which scoring needs."""
        path = self.folder / "samples.jsonl"
        if list(read_records(path, Sample)) == list(samples):
            return
        path.unlink(missing_ok=True)
        with RecordFile(path, Sample) as file:
            for sample in samples:
                file.append(sample)

    def _drop_errors(self) -> None:
        """Remove the predictions that failed, so that their questions are asked again."""
        path = self.folder / "predictions.jsonl"
        kept = [prediction for prediction in self._predictions() if prediction.status != "error"]
        rewritten = path.with_suffix(".new")
        rewritten.unlink(missing_ok=True)
        with RecordFile(rewritten, Prediction) as file:
            for prediction in kept:
                file.append(prediction)
        rewritten.replace(path)


def ordered_map(function: Callable[[_T], _U], items: Iterable[_T], *, concurrency: int) -> Iterator[_U]:
    """The results of ``function`` in the order of the items, with ``concurrency`` calls running at a time."""
    if concurrency == 1:
        yield from map(function, items)
        return
    pending, running = iter(items), deque[Future[_U]]()
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            running.extend(pool.submit(function, item) for item in islice(pending, 2 * concurrency))
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(function, item) for item in islice(pending, 1))
        finally:
            for future in running:
                future.cancel()


def in_order(samples: Iterable[Sample]) -> list[Sample]:
    """Samples by video, in the order in which videos first appear, and then by the time of the question."""
    samples = list(samples)
    position = {video: index for index, video in enumerate(dict.fromkeys(sample.video for sample in samples))}
    return sorted(samples, key=lambda sample: (position[sample.video], *_asked_order(sample)))


def group_by_video(samples: Sequence[Sample]) -> list[tuple[str, list[Sample]]]:
    """The questions of each video."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.video, []).append(sample)
    return list(groups.items())


def merge(folders: Sequence[Path], into: Path) -> None:
    """Merge the shards of a run into one folder.

    Raises ``BadRun`` if two of them answer the same question.
    """
    folder_of: dict[_AnswerKey, Path] = {}
    for folder in folders:
        for prediction in read_records(folder / "predictions.jsonl", Prediction):
            first_folder = folder_of.setdefault(_key(prediction), folder)
            if first_folder != folder:
                raise BadRun(folder, f"it answers {prediction.sample}, as {first_folder} does")
    _copy_all(folders, into / "samples.jsonl", Sample)
    _copy_all(folders, into / "predictions.jsonl", Prediction)
    _copy_all(folders, into / "timings.jsonl", Timing)
    _copy_all(folders, into / "ingests.jsonl", Ingest)


def _copy_all(folders: Sequence[Path], into: Path, kind: type[R]) -> None:
    with RecordFile(into, kind) as file:
        for folder in folders:
            for record in read_records(folder / into.name, kind):
                file.append(record)


def _asked_order(sample: Sample) -> tuple[bool, float, str]:
    return sample.asked_at_s is None, sample.asked_at_s or 0.0, sample.id


def _key(prediction: Prediction) -> _AnswerKey:
    return prediction.sample, prediction.system, prediction.repeat


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
