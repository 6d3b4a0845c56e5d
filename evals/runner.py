"""Runs an evaluation: each video is watched once, each question is asked at its time, each answer is kept at once.

    run = EvaluationRun(Path("run"), suite, embedded_systems(), WatchSettings())
    for progress in run.go():
        print(progress)
    read_run(Path("run"))                         # of ``report``: again and again, without asking anything again

A run that was killed goes on where it was: videos, questions and systems come in an order that is always the same, a
question that was answered is not asked again, and a video that was half watched is watched anew, so that the
predictions are those of a run that was not killed, byte for byte. What fails is tried again, and then counts as
wrong: no question is left out for any system.
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
from ..client import Recollect
from ..memory.storage.file_sizes import size_on_disk
from ..memory.store import MemoryStore
from ..perception.errors import LmmReplyOutOfSchema
from ..perception.lmm.lmm_settings import LmmSettings
from .causal_video import CausalVideo, FileFootage, Footage
from .errors import BadRun, LookedAhead
from .ingestion import WatchSettings, as_of_s, at_the_end_s, ingest
from .records import Ingest, Prediction, R, RecordFile, RunManifest, Sample, Timing, read
from .suites.suite import Suite
from .systems import BUDGET, PosedQuestion, System, SystemAnswer, WatchedVideo

log = logging.getLogger(__name__)

_TRIES = 3

_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True)
class Shard:
    """A part of the videos: every ``of``-th by a hash of its name."""

    number: int = 0
    of: int = 1

    def has(self, video: str) -> bool:
        """Whether it is this part's."""
        return int.from_bytes(hashlib.sha256(video.encode()).digest()[:8], "big") % self.of == self.number


@dataclass(frozen=True)
class RunProgress:
    """How far a run is."""

    answered: int
    of: int
    video: str
    left_s: float | None
    """About how long it will still take; None while nothing can be told."""


class EvaluationRun:
    """One suite put to some systems, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        suite: Suite,
        systems: Sequence[System],
        watching: WatchSettings,
        *,
        limit: int | None = None,
        shard: Shard | None = None,
        repeats: int = 1,
        at_once: int = 1,
        retry_errors: bool = False,
    ) -> None:
        """Nothing is read or written yet.

        ``limit`` is how many questions are asked, ``at_once`` how many answers may be under way at a time: a server
        takes less for each of several. ``retry_errors`` asks those again that failed in an earlier run.
        """
        self.folder, self._suite, self._systems, self._watching = folder, suite, systems, watching
        self._shard, self._limit, self._repeats, self._at_once = shard or Shard(), limit, repeats, at_once
        self._retry_errors = retry_errors

    def go(self) -> Iterator[RunProgress]:
        """Do what is left to do; tells after every answer.

        Raises ``BadRun`` where the folder holds another run, ``BadSuite``, ``SourceError`` and ``MemoryStoreError``.
        """
        samples = self._samples()
        self._check_manifest()
        self._keep(samples)
        if self._retry_errors:
            self._drop_errors()
        done = {_key(one) for one in read(self.folder / "predictions.jsonl", Prediction)}
        every = len(samples) * len(self._systems) * self._repeats
        begun, begun_with = time.monotonic(), len(done)
        with ExitStack() as stack:
            predictions = stack.enter_context(RecordFile(self.folder / "predictions.jsonl", Prediction))
            timings = stack.enter_context(RecordFile(self.folder / "timings.jsonl", Timing))
            ingests = stack.enter_context(RecordFile(self.folder / "ingests.jsonl", Ingest))
            for video, of_video in by_video(samples):
                for prediction, timing in self._answers(video, of_video, done, ingests):
                    timings.append(timing)
                    predictions.append(prediction)
                    done.add(_key(prediction))
                    made = len(done) - begun_with
                    left_s = (time.monotonic() - begun) / made * (every - len(done))
                    yield RunProgress(len(done), every, video, left_s)

    # -- one video ------------------------------------------------------------------------------------

    def _answers(
        self,
        video: str,
        samples: Sequence[Sample],
        done: set[tuple[str, str, int]],
        ingests: RecordFile[Ingest],
    ) -> Iterator[tuple[Prediction, Timing]]:
        wanted = [
            (sample, system, repeat)
            for sample in samples
            for system in self._systems
            for repeat in range(self._repeats)
            if (sample.id, system.name, repeat) not in done
        ]
        if not wanted:
            return
        footage = self._suite.video(video)
        if isinstance(footage, Path):
            footage = FileFootage(footage)
        with ExitStack() as stack:
            duration_s, memory_bytes, remembered = footage.duration_s, 0, None
            if any(system.remembers for system in self._systems):
                memory = self.folder / "memories" / f"{hashlib.sha256(video.encode()).hexdigest()[:16]}.lance"
                duration_s = self._watched(video, footage, memory, ingests).duration_s
                memory_bytes = size_on_disk(memory)
                remembered = stack.enter_context(self._opened(memory))

            def answered(one: tuple[Sample, System, int]) -> tuple[Prediction, Timing]:
                sample, system, repeat = one
                until_s = duration_s if sample.asked_at_s is None else sample.asked_at_s
                asked_s = as_of_s(at_the_end_s(until_s) if sample.asked_at_s is None else until_s)
                causal = CausalVideo(footage, until_s=until_s, from_s=sample.from_s)
                begun = time.perf_counter()
                with ExitStack() as question:
                    there = None if remembered is None else question.enter_context(remembered(asked_s))
                    said, error = self._said(system, PosedQuestion(sample, causal, asked_s, there))
                prediction = Prediction(
                    sample=sample.id,
                    system=system.name,
                    repeat=repeat,
                    status="error" if error else said.status,
                    answer=said.answer,
                    said=said.said,
                    confidence=said.confidence,
                    spans=said.spans,
                    found=said.found,
                    encoded=said.encoded,
                    usage=said.usage.model_copy(update={"pictures": said.usage.pictures + causal.count}),
                    latest_s=causal.latest_s,
                    error=error,
                )
                timing = Timing(
                    sample=sample.id,
                    system=system.name,
                    repeat=repeat,
                    seconds=time.perf_counter() - begun,
                    memory_bytes=memory_bytes if system.remembers else 0,
                )
                return prediction, timing

            yield from in_turn(answered, wanted, at_once=self._at_once)

    @contextmanager
    def _opened(self, memory: Path) -> Iterator[Callable[[float], AbstractContextManager[WatchedVideo]]]:
        """A memory for reading; what is given opens it as of a time."""
        with ExitStack() as stack:
            store = stack.enter_context(MemoryStore.open(memory, encoder=self._watching.encoder))

            known: dict[tuple[type[Recollect], Limits], Recollect] = {}
            opening = Lock()

            def opened(kind: type[Recollect], budget: Limits) -> Recollect:
                with opening:
                    if (kind, budget) not in known:
                        lmm = self._watching.lmm or LmmSettings()
                        known[kind, budget] = stack.enter_context(
                            kind(memory, encoder=self._watching.encoder, lmm=lmm, limits=budget)
                        )
                    return known[kind, budget]

            @contextmanager
            def as_of(asked_s: float) -> Iterator[WatchedVideo]:
                with store.snapshot(as_of_s=asked_s) as snapshot:
                    yield WatchedVideo(opened, snapshot)

            yield as_of

    def _said(self, system: System, posed: PosedQuestion) -> tuple[SystemAnswer, str]:
        """What a system says, and why it says nothing where it fails again and again."""
        error = ""
        for _ in range(_TRIES):
            try:
                return system.answer(posed), ""
            except LookedAhead:
                # No answer of such a system is worth anything.
                raise
            except LmmReplyOutOfSchema as failed:
                # Who asks the model has tried again already, where that could help.
                error = f"{type(failed).__name__}: {failed}"
                break
            except Exception as failed:
                log.debug("%s failed at %s", system.name, posed.sample.id, exc_info=True)
                error = f"{type(failed).__name__}: {failed}"
        log.warning("%s cannot answer %s: %s", system.name, posed.sample.id, error)
        return SystemAnswer(), error

    def _watched(self, video: str, footage: Footage, memory: Path, ingests: RecordFile[Ingest]) -> Ingest:
        known = [one for one in read(self.folder / "ingests.jsonl", Ingest) if one.video == video]
        if known and memory.exists():
            return known[-1]
        watched = ingest(footage, memory, name=video, watching=self._watching)
        ingests.append(watched)
        return watched

    # -- the run's own files --------------------------------------------------------------------------

    def _samples(self) -> list[Sample]:
        found = [sample for sample in self._suite.samples() if self._shard.has(sample.video)]
        return in_order(found)[: self._limit]

    def _check_manifest(self) -> None:
        path = self.folder / "manifest.json"
        now = RunManifest(
            suite=self._suite.name,
            systems=tuple(system.name for system in self._systems),
            version=__version__,
            settings={
                **self._suite.settings,
                "watching": self._watching.name,
                "limit": str(self._limit or "all"),
                "budget": BUDGET.model_dump_json(),
                "repeats": str(self._repeats),
            },
            files={file.name: _sha256(file) for file in self._suite.files()},
            begun_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        then = next(read(path, RunManifest), None)
        if then is None:
            # Also where a run was killed over writing it down.
            with RecordFile(path, RunManifest) as manifest:
                manifest.append(now)
        elif then.model_copy(update={"begun_at": now.begun_at}) != now:
            raise BadRun(self.folder, "it is of other questions, systems, settings or another version")

    def _keep(self, samples: Sequence[Sample]) -> None:
        """Write the questions down, for scoring and for others."""
        path = self.folder / "samples.jsonl"
        if list(read(path, Sample)) == list(samples):
            return
        path.unlink(missing_ok=True)
        with RecordFile(path, Sample) as lines:
            for sample in samples:
                lines.append(sample)

    def _drop_errors(self) -> None:
        path = self.folder / "predictions.jsonl"
        kept = [one for one in read(path, Prediction) if one.status != "error"]
        rewritten = path.with_suffix(".new")
        rewritten.unlink(missing_ok=True)
        with RecordFile(rewritten, Prediction) as lines:
            for one in kept:
                lines.append(one)
        rewritten.replace(path)


def in_turn(do: Callable[[_T], _U], each: Iterable[_T], *, at_once: int) -> Iterator[_U]:
    """What ``do`` makes of each, in their order, with so many under way at a time."""
    if at_once == 1:
        yield from map(do, each)
        return
    left, under_way = iter(each), deque[Future[_U]]()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            under_way.extend(pool.submit(do, one) for one in islice(left, 2 * at_once))
            while under_way:
                yield under_way.popleft().result()
                under_way.extend(pool.submit(do, one) for one in islice(left, 1))
        finally:
            for waiting in under_way:
                waiting.cancel()


def in_order(samples: Iterable[Sample]) -> list[Sample]:
    """By video, as videos first come, and then by the time at which they are asked."""
    samples = list(samples)
    place = {video: at for at, video in enumerate(dict.fromkeys(sample.video for sample in samples))}
    return sorted(samples, key=lambda sample: (place[sample.video], *_when(sample)))


def by_video(samples: Sequence[Sample]) -> list[tuple[str, list[Sample]]]:
    """The questions of each video."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.video, []).append(sample)
    return list(found.items())


def merge(folders: Sequence[Path], into: Path) -> None:
    """Put the shards of a run together in one folder.

    Raises ``BadRun`` where two of them answer the same question.
    """
    of: dict[tuple[str, str, int], Path] = {}
    for folder in folders:
        for one in read(folder / "predictions.jsonl", Prediction):
            if (other := of.setdefault(_key(one), folder)) != folder:
                raise BadRun(folder, f"it answers {one.sample}, as {other} does")
    _copy_all(folders, into / "samples.jsonl", Sample)
    _copy_all(folders, into / "predictions.jsonl", Prediction)
    _copy_all(folders, into / "timings.jsonl", Timing)
    _copy_all(folders, into / "ingests.jsonl", Ingest)


def _copy_all(folders: Sequence[Path], into: Path, kind: type[R]) -> None:
    with RecordFile(into, kind) as lines:
        for folder in folders:
            for record in read(folder / into.name, kind):
                lines.append(record)


def _when(sample: Sample) -> tuple[bool, float, str]:
    return sample.asked_at_s is None, sample.asked_at_s or 0.0, sample.id


def _key(one: Prediction) -> tuple[str, str, int]:
    return one.sample, one.system, one.repeat


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
