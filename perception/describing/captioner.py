"""Has a video LMM describe what waits in the backlog, in a thread of its own, while watching goes on.

    with Captioner(store, lmm) as captioner:
        captioner.remember(moments, frames)     # appended to the memory, and queued
        captioner.finish()                      # waits until nothing is left that can be described

Whatever matters is in the store: a kill at any moment costs the requests under way and nothing else.
Watching never waits for it. While the server is away, overloaded or set up wrongly, it is tried again
ever more rarely, and no moment is blamed; one that the model cannot describe is given up after a few
attempts, and its error kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Self

from ...common.backoff import Backoff
from ...memory.query.snapshot import Snapshot
from ...memory.storage.backlog import MAX_ATTEMPTS
from ...memory.store import MemoryStore
from ...memory.values import KeyFrame, Moment, Observation, Pending
from ..errors import LmmError, LmmOverloaded, LmmRefused, LmmReplyOutOfSchema
from ..lmm import Lmm
from ..watch_events import (
    Described,
    DescriptionsFailed,
    DescriptionsResumed,
    DescriptionsWaiting,
    OnEvent,
)
from .describer import describe, summarise
from .description_priority import change_of

log = logging.getLogger(__name__)

CONCURRENCY = 32
"""Descriptions under way at a time, at most. How many of them are sent is up to the client (``lmm.concurrency``)."""
FLUSH_S = 1.5
FLUSH_ITEMS = 32
"""Descriptions are written when either is reached: one by one they would bury the store in versions."""
FIRST_PAUSE_S = 1.0
"""How long a server in trouble is left alone at first; it doubles with each try."""
LONGEST_PAUSE_S = 60.0
MOST_OVERLOADS = 3
"""So often in a row an overloaded server is tried where somebody waits for the end."""
MOST_UNFIT = 10
"""When this many moments, one after the other, could not be described, the fault is not theirs."""
REACH_S = 10.0
"""A moment that ended longer before the next than this says nothing of who is seen in it."""
_HOLD_POLL_S = 0.01
_OF_THE_SERVER = {401, 403, 404}
"""Refusals that have nothing to do with what was asked: a wrong key, a wrong address."""


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """What was described, and what was not."""

    described: int
    """Moments, events, hours and days that got a description in this run."""
    given_up: int
    """Those that failed for the last time in this run."""
    waiting: int
    """Those that wait still."""
    trouble: str
    """Why they wait; empty while the server does what it is asked."""


def to_describe(moments: Iterable[Moment]) -> list[Pending]:
    """What of ``moments`` can be described, as entries of the backlog: all but moments without a picture."""
    return [
        Pending(moment.id, moment.stream, moment.rung, moment.span, change_of(moment.findings), time.time())
        for moment in moments
        if moment.frame_ids or moment.child_ids
    ]


@dataclass(slots=True)
class _Job:
    item: Pending
    moment: Moment
    snapshot: Snapshot
    begun_at: float = 0.0


class Captioner:
    """Drains the backlog of a store that is open for writing; use it as a context, once.

    Args:
        store: What is described. Another thread may append to it meanwhile.
        lmm: Who describes.
        stream: Describe only what waits of this stream.
        concurrency: How many descriptions may be under way at a time.
        first_pause_s: How long a server in trouble is left alone at first.
        on_event: Called with the events of describing, from the captioner's thread.
        back_dated: Streams whose descriptions take the date of what they describe, for questions as of a time.
    """

    def __init__(
        self,
        store: MemoryStore,
        lmm: Lmm,
        *,
        stream: str | None = None,
        concurrency: int = CONCURRENCY,
        first_pause_s: float = FIRST_PAUSE_S,
        on_event: OnEvent | None = None,
        back_dated: Container[str] = (),
    ) -> None:
        self._store, self._lmm, self._stream = store, lmm, stream
        self._back_dated = back_dated
        self._concurrency = concurrency
        self._backoff = Backoff(first_pause_s, LONGEST_PAUSE_S, min_share=0.5)
        self._on_event = on_event or (lambda event: None)
        self._described = self._given_up = 0
        self._waiting = store.waiting(stream)
        self._thread = threading.Thread(target=self._main, name="captioner", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        # Not threading.Events: setting one from a signal handler may deadlock.
        self._stopped = self._finishing = False
        self._holds = 0
        self._is_held = False
        self._requests = self._requests_read = 0
        self._has_nothing_to_do = False
        self._error: Exception | None = None
        self._ahead: deque[_Job] = deque()
        self._look_again = True
        self._running: dict[asyncio.Task[Observation | None], _Job] = {}
        self._results: list[tuple[_Job, Observation]] = []
        self._written_at = 0.0
        self._trouble = ""
        self._away = False
        self._tries = 0
        self._try_at = 0.0
        self._in_trouble_with: Counter[str] = Counter()
        self._unfit: set[str] = set()

    # -- from any thread ------------------------------------------------------------------------------

    @property
    def report(self) -> CaptionReport:
        """How far it is, as of the last time something was written."""
        return CaptionReport(self._described, self._given_up, self._waiting, self._trouble)

    @property
    def stream(self) -> str | None:
        """The only stream that is described; None where all are."""
        return self._stream

    @property
    def error(self) -> Exception | None:
        """Why describing ended before it was stopped: a description could not be written."""
        return self._error

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left that can be described now, or the server is in trouble, or it has ended."""
        if not self._thread.is_alive():
            return True
        return self._has_nothing_to_do and self._requests_read == self._requests

    def remember(self, moments: Sequence[Moment], frames: Sequence[KeyFrame] = ()) -> None:
        """Append moments to the memory, and queue those that can be described."""
        self._store.append(moments, frames, to_describe(moments))
        self.look_again()

    def look_again(self) -> None:
        """Something was queued."""
        self._requests += 1
        self._wake()

    def try_again(self) -> None:
        """Try a server in trouble now, and not only after the pause."""
        self._try_at = 0.0
        self.look_again()

    def describe_all_streams(self) -> None:
        """From now on describe what waits of any stream."""
        self._stream = None
        self.look_again()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside the block nothing is described, and no snapshot of the memory is in use.

        Requests under way are cancelled and made again afterwards, of what is then in the memory.
        """
        self._holds += 1
        try:
            while self._thread.is_alive() and not self._is_held:
                self._wake()
                time.sleep(_HOLD_POLL_S)
            yield
        finally:
            self._holds -= 1
            self.look_again()

    def finish(self) -> CaptionReport:
        """Wait until nothing is left that can be described, or the server is in trouble, or ``stop()``.

        Raises:
            MemoryStoreError: A description could not be written.
        """
        self._finishing = True
        self._wake()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._waiting = self._store.waiting(self._stream)
        return self.report

    def stop(self) -> None:
        """End soon; what was not described waits. Callable from a signal handler or another thread."""
        self._stopped = True
        self._wake()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    def _wake(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and nobody is left to be woken
                self._loop.call_soon_threadsafe(self._woken.set)

    # -- in its own thread ----------------------------------------------------------------------------

    def _main(self) -> None:
        assert self._loop is not None
        try:
            self._loop.run_until_complete(self._work())
        except Exception as error:
            self._error = error
            self._on_event(DescriptionsFailed(str(error)))
        finally:
            self._loop.close()

    async def _work(self) -> None:
        self._waker = asyncio.create_task(self._woken.wait())
        try:
            while not self._stopped:
                if self._holds:
                    await self._wait_while_held()
                    continue
                self._ask_some()
                if self._results and self._must_write():
                    self._write()
                else:
                    self._has_nothing_to_do = self._is_finished()
                    if self._finishing and self._has_nothing_to_do:
                        break
                    await self._something()
        finally:
            for task in (self._waker, *self._running):
                task.cancel()
            await asyncio.gather(self._waker, *self._running, return_exceptions=True)
            if self._results:
                self._write()

    async def _wait_while_held(self) -> None:
        """Let go of everything that was read of the memory, and wait for the last hold to end."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for job in (*self._running.values(), *self._ahead, *(job for job, _ in self._results)):
            job.snapshot.release()
        self._running.clear()
        self._ahead.clear()
        self._results.clear()
        self._is_held = True
        while self._holds and not self._stopped:
            await asyncio.sleep(_HOLD_POLL_S)
        self._is_held = False
        self._look_again = True

    def _ask_some(self) -> None:
        """Send as many requests as may be under way; to a server in trouble, one now and then."""
        if time.monotonic() < self._try_at:
            return
        while len(self._running) < (1 if self._tries else self._concurrency) and (job := self._next()):
            job.begun_at = time.monotonic()
            self._running[asyncio.create_task(self._describe(job))] = job

    def _next(self) -> _Job | None:
        if not self._ahead and self._look_again:
            self._look_again = False
            taken = {
                job.item.moment_id for job in (*self._running.values(), *(job for job, _ in self._results))
            }
            items = self._store.backlog(limit=2 * self._concurrency + len(taken), stream=self._stream)
            # What got nobody an answer before is not what the server is tried with again.
            items = sorted(items, key=lambda item: self._in_trouble_with[item.moment_id])
            snapshot = self._store.snapshot()
            moments = snapshot.get(item.moment_id for item in items if item.moment_id not in taken)
            self._ahead.extend(
                _Job(item, moments[item.moment_id], snapshot) for item in items if item.moment_id in moments
            )
        return self._ahead.popleft() if self._ahead else None

    async def _describe(self, job: _Job) -> Observation | None:
        """The description; None where there is nothing to describe (any more)."""
        moment, snapshot = job.moment, job.snapshot
        if moment.rung != "moment":
            children = snapshot.children(moment)
            return await summarise(self._lmm, moment, children) if children else None
        frames = snapshot.frames(moment.frame_ids)
        return await describe(self._lmm, moment, frames, _before(moment, snapshot)) if frames else None

    async def _something(self) -> None:
        """Wait for a reply, for a word from another thread, or for the time to write or to try again."""
        now = time.monotonic()
        times = [self._written_at + FLUSH_S] if self._results else []
        times += [self._try_at] if self._try_at > now else []
        await asyncio.wait(
            {self._waker, *self._running},
            timeout=max(0.0, min(times) - now) if times else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._waker.done():
            self._woken.clear()
            self._waker = asyncio.create_task(self._woken.wait())
            self._look_again = True
            self._has_nothing_to_do = False
            self._requests_read = self._requests
        for task in [task for task in self._running if task.done()]:
            self._take(self._running.pop(task), task)

    def _take(self, job: _Job, task: asyncio.Task[Observation | None]) -> None:
        error = task.exception()
        if error is None:
            if (observation := task.result()) is None:
                self._store.not_to_describe([job.item.moment_id])
                self._look_again = True  # something above may have waited for it
                return
            if job.moment.stream in self._back_dated:
                observation = replace(observation, written_at_s=job.moment.observations[0].written_at_s)
            self._results.append((job, observation))
            self._unfit.clear()
            if self._tries and job.begun_at >= self._try_at:
                # Not one that was sent before the trouble began.
                self._tries, self._trouble = 0, ""
                self._on_event(DescriptionsResumed())
        elif isinstance(error, LmmError) and not _is_of_the_moment(error):
            self._wait_out(job, error)
        else:
            if not isinstance(error, LmmError):
                log.warning("could not describe %s", job.item, exc_info=error)
            self._blame(job, error)

    def _blame(self, job: _Job, error: BaseException) -> None:
        """The moment could not be described; where no other can be either, the server is to blame."""
        self._unfit.add(job.item.moment_id)
        if len(self._unfit) >= MOST_UNFIT:
            self._wait_out(job, error)
            return
        self._store.failed(job.item, str(error) or type(error).__name__)
        self._given_up += job.item.attempts + 1 >= MAX_ATTEMPTS
        self._look_again = True

    def _wait_out(self, job: _Job, error: BaseException) -> None:
        """The server is in trouble: leave it alone for a while."""
        now = time.monotonic()
        self._in_trouble_with[job.item.moment_id] += 1
        self._look_again = True
        if self._tries and now < self._try_at:
            return  # it was asked together with one that has told already
        self._tries += 1
        self._away = not isinstance(error, LmmOverloaded)
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, LmmOverloaded) else 0.0
        self._try_at = now + self._backoff.pause_s(self._tries) + min(LONGEST_PAUSE_S, asked_s)
        if not self._trouble:
            self._on_event(DescriptionsWaiting(str(error)))
        self._trouble = str(error)
        self._ahead.clear()

    def _must_write(self) -> bool:
        full = len(self._results) >= FLUSH_ITEMS
        return full or not self._running or time.monotonic() - self._written_at >= FLUSH_S

    def _write(self) -> None:
        self._store.described([(job.moment, observation) for job, observation in self._results])
        self._described += len(self._results)
        self._results.clear()
        # What was queued meanwhile may have to go first.
        self._ahead.clear()
        self._look_again = True
        self._written_at = time.monotonic()
        self._waiting = self._store.waiting(self._stream)
        self._on_event(Described(self._described, self._given_up, self._waiting))

    def _is_finished(self) -> bool:
        """Whether nothing is left that can be done now."""
        if self._running:
            return False
        given_up = self._tries > 0 and (self._away or self._tries >= MOST_OVERLOADS)
        return given_up or not (self._ahead or self._look_again)


def _is_of_the_moment(error: LmmError) -> bool:
    """Whether the server may well describe another moment."""
    if isinstance(error, LmmRefused):
        return error.status not in _OF_THE_SERVER
    return isinstance(error, LmmReplyOutOfSchema)


def _before(moment: Moment, snapshot: Snapshot) -> str:
    """The caption of the moment just before, if there is one."""
    for earlier in snapshot.neighbours(moment, before=1, after=0):
        if earlier.epoch == moment.epoch and moment.span.start_s - earlier.span.end_s <= REACH_S:
            return earlier.caption
    return ""
