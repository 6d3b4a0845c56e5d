"""The captioner: has a video LMM describe the backlog in a background thread, while watching goes on.

    with Captioner(store, lmm) as captioner:
        captioner.remember(moments, frames)     # append to the memory, and queue
        captioner.finish()                      # wait until all that can be described is described

The backlog is in the memory, so a crash costs only the requests under way. Watching never waits for the
captioner. While the server is unreachable, overloaded or misconfigured, it is tried again with back-off, and
the moments keep their attempts. A moment that the model cannot describe, while it describes others, is given up
after a few attempts, and its error is stored.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Self

from ...memory.query.snapshot import Snapshot
from ...memory.storage.backlog import MAX_ATTEMPTS
from ...memory.store import MemoryStore
from ...memory.values import KeyFrame, Moment, Observation, Pending
from ..errors import LmmError
from ..lmm import Lmm
from ..watch_events import (
    Described,
    DescriptionsFailed,
    DescriptionsResumed,
    DescriptionsWaiting,
    OnEvent,
)
from .describer import describe, summarise
from .description_queue import DescriptionJob, DescriptionQueue, backlog_entries
from .description_writer import DescriptionWriter
from .server_availability import FIRST_PAUSE_S, ServerAvailability, may_be_fault_of_moment
from .unchanged_moments import UnchangedMoments, carried_over
from .undecided_failures import UndecidedFailures

log = logging.getLogger(__name__)

CONCURRENCY = 32
"""The most descriptions under way at a time. The client limits the requests among them (``lmm.concurrency``)."""
REACH_S = 10.0
"""A moment that ended longer before the next than this gives no context for it."""
_HOLD_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """How much was described, and how much was not."""

    described: int
    """Moments, events, hours and days that got a description in this run."""
    given_up: int
    """Those whose last attempt failed in this run."""
    waiting: int
    """Those that still wait."""
    trouble: str
    """Why they wait. Empty while the server answers."""


class Captioner:
    """Describes the backlog of a store that is open for writing. Use it as a context manager, once.

    Args:
        store: The memory. Another thread may append to it at the same time.
        lmm: The model that describes.
        stream: Describe only the backlog of this stream.
        concurrency: The most descriptions under way at a time.
        first_pause_s: The longest pause after the first failure of the server.
        on_event: Called with the events of describing, from the captioner's thread.
        back_dated: Streams whose descriptions get the time of the described moment, for questions as of a time.
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
        self._store, self._lmm, self._concurrency = store, lmm, concurrency
        self._on_event = on_event or (lambda event: None)
        self._queue = DescriptionQueue(store, 2 * concurrency, stream)
        self._writer = DescriptionWriter(store, back_dated)
        self._server = ServerAvailability(first_pause_s)
        self._failures = UndecidedFailures()
        self._unchanged = UnchangedMoments()
        self._deferred: dict[str, Moment] = {}
        """Unchanged moments that wait for the description of another one."""
        self._written_by = ""
        """The writer of the descriptions of moments. Known from the first reply."""
        self._running: dict[asyncio.Task[Observation | None], DescriptionJob] = {}
        self._given_up = 0
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

    # -- from any thread ------------------------------------------------------------------------------

    @property
    def report(self) -> CaptionReport:
        """The progress, as of the last write."""
        return CaptionReport(self._writer.written, self._given_up, self._waiting, self._server.trouble)

    @property
    def stream(self) -> str | None:
        """The only stream that is described. None if all are."""
        return self._queue.stream

    @property
    def error(self) -> Exception | None:
        """Why describing ended before it was stopped: a description could not be written."""
        return self._error

    @property
    def is_idle(self) -> bool:
        """Whether nothing can be described now, the server is in trouble, or the captioner has ended."""
        if not self._thread.is_alive():
            return True
        return self._has_nothing_to_do and self._requests_read == self._requests

    def remember(self, moments: Sequence[Moment], frames: Sequence[KeyFrame] = ()) -> None:
        """Append moments to the memory, and queue those that can be described."""
        self._store.append(moments, frames, backlog_entries(moments))
        self.look_again()

    def look_again(self) -> None:
        """Read the backlog again: something was queued."""
        self._requests += 1
        self._wake()

    def try_again(self) -> None:
        """Try a server in trouble at once, without waiting for the pause."""
        self._server.retry_now()
        self.look_again()

    def describe_all_streams(self) -> None:
        """Describe the backlog of all streams from now on."""
        self._queue.stream = None
        self.look_again()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Suspend describing inside the block. No snapshot of the memory is in use there.

        Requests under way are cancelled, and made again afterwards with the memory's new state.
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
        """Wait until nothing can be described any more, the server is in trouble, or ``stop()`` is called.

        Raises:
            MemoryStoreError: A description could not be written.
        """
        self._finishing = True
        self._wake()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._waiting = self._store.waiting(self._queue.stream)
        return self.report

    def stop(self) -> None:
        """End soon. The rest stays in the backlog. Safe in signal handlers and other threads."""
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
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    # -- in the captioner's thread ---------------------------------------------------------------------

    def _main(self) -> None:
        assert self._loop is not None
        try:
            self._loop.run_until_complete(self._describe_backlog())
        except Exception as error:
            self._error = error
            self._on_event(DescriptionsFailed(str(error)))
        finally:
            self._loop.close()

    async def _describe_backlog(self) -> None:
        self._waker = asyncio.create_task(self._woken.wait())
        try:
            while not self._stopped:
                if self._holds:
                    await self._wait_while_held()
                    continue
                self._start_requests()
                if self._writer.is_due(is_idle=not self._running):
                    self._write()
                    continue
                self._has_nothing_to_do = self._is_finished()
                if self._finishing and self._has_nothing_to_do:
                    break
                await self._wait()
        finally:
            for task in (self._waker, *self._running):
                task.cancel()
            await asyncio.gather(self._waker, *self._running, return_exceptions=True)
            if self._writer.jobs:
                self._write()

    async def _wait_while_held(self) -> None:
        """Release all snapshots of the memory, and wait for the last hold to end."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for job in self._running.values():
            job.snapshot.release()
        self._running.clear()
        self._queue.release()
        self._writer.discard()
        self._is_held = True
        while self._holds and not self._stopped:
            await asyncio.sleep(_HOLD_POLL_S)
        self._is_held = False
        self._queue.look_again()

    def _start_requests(self) -> None:
        """Start as many requests as may be under way. A server in trouble gets one per attempt."""
        if self._server.is_paused:
            return
        limit = 1 if self._server.has_trouble else self._concurrency
        while len(self._running) < limit:
            job = self._queue.next(busy=chain(self._running.values(), self._writer.jobs))
            if job is None and not self._running and not self._writer.jobs:
                if self._describe_a_deferred_moment():
                    continue
                job = self._decide_failures()
            if job is None:
                return
            if self._is_unchanged(job):
                continue
            job.started_s = time.monotonic()
            self._running[asyncio.create_task(request_description(self._lmm, job))] = job

    def _is_unchanged(self, job: DescriptionJob) -> bool:
        """Whether the moment shows what another one shows. It gets the description of that one, now or later."""
        if job.item.rung != "moment" or job.is_control:
            return False
        origin = self._unchanged.origin_of(job.moment, job.snapshot)
        if origin is None:
            return False
        current = job.snapshot.get([origin.id]).get(origin.id)
        descriptions = current.observations[1:] if current else ()
        of_writer = [item for item in descriptions if item.written_by == self._written_by]
        if of_writer:
            self._writer.add(job, carried_over(of_writer[-1], origin, job.moment))
        else:
            self._deferred[job.moment.id] = job.moment
            self._queue.set_aside(job.moment.id)
        return True

    def _describe_a_deferred_moment(self) -> bool:
        """Nothing else is left: describe the first deferred moment itself. Returns whether there is one."""
        if not self._deferred:
            return False
        self._unchanged.describe_itself(min(self._deferred.values(), key=lambda moment: moment.span))
        self._bring_back_deferred()
        return True

    def _bring_back_deferred(self) -> None:
        self._queue.bring_back(self._deferred)
        self._deferred.clear()

    def _decide_failures(self) -> DescriptionJob | None:
        """Nothing else is left: a job that shows whether the server is at fault for the failures."""
        newest = self._failures.newest
        if newest is None:
            return None
        control = self._failures.control
        job = self._queue.job_of(control) if control else None
        if job is None:
            self._note_trouble(newest.error)
            return None
        job.is_control = True
        return job

    async def _wait(self) -> None:
        """Wait for a reply, a call from another thread, or the time to write or to try again."""
        times_s = [time_s for time_s in (self._writer.due_s,) if time_s is not None]
        times_s += [self._server.retry_s] if self._server.is_paused else []
        await asyncio.wait(
            {self._waker, *self._running},
            timeout=max(0.0, min(times_s) - time.monotonic()) if times_s else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._waker.done():
            self._woken.clear()
            self._waker = asyncio.create_task(self._woken.wait())
            self._queue.look_again()
            self._has_nothing_to_do = False
            self._requests_read = self._requests
        for task in [task for task in self._running if task.done()]:
            job, error = self._running.pop(task), task.exception()
            if error is None:
                self._take_reply(job, task.result())
            else:
                self._take_failure(job, error)

    def _take_reply(self, job: DescriptionJob, observation: Observation | None) -> None:
        if observation is None:
            self._store.not_to_describe([job.item.moment_id])
            self._queue.look_again()  # a summary may have waited for this moment
            return
        if job.item.rung == "moment":
            self._written_by = observation.written_by
        if not job.is_control:
            self._writer.add(job, observation)
        if self._server.note_success(job.started_s):
            self._on_event(DescriptionsResumed())
        if failures := self._failures.decided_by(job):
            for failure in failures:
                self._charge(failure.item, failure.error)
            self._queue.bring_back(failure.item.moment_id for failure in failures)

    def _take_failure(self, job: DescriptionJob, error: BaseException) -> None:
        """Record a failure, which may be that of the server or of the moment."""
        self._queue.look_again()
        if not isinstance(error, LmmError):
            log.warning("could not describe %s", job.item, exc_info=error)
            self._charge(job.item, error)
        elif job.is_control or self._server.has_trouble or not may_be_fault_of_moment(error):
            self._queue.postpone(job.item.moment_id)
            self._note_trouble(error)
        elif self._failures.add(job, error):
            self._note_trouble(error)
        else:
            self._queue.set_aside(job.item.moment_id)

    def _charge(self, item: Pending, error: BaseException) -> None:
        """Count a failed attempt of a moment. The last one gives it up."""
        self._store.failed(item, str(error) or type(error).__name__)
        self._given_up += item.attempts + 1 >= MAX_ATTEMPTS

    def _note_trouble(self, error: BaseException) -> None:
        """The server is at fault. No moment is charged, and all are tried again."""
        had_trouble = bool(self._server.trouble)
        if not had_trouble and self._failures.newest is not None:
            # So that the status of the memory can give the reason.
            self._store.failed(self._failures.newest.item, str(error), is_charged=False)
        self._queue.bring_back(self._failures.clear())
        self._bring_back_deferred()
        if self._server.note_failure(error):
            if not had_trouble:
                self._on_event(DescriptionsWaiting(str(error)))
            self._queue.clear()

    def _write(self) -> None:
        self._writer.write()
        self._bring_back_deferred()
        self._queue.clear()
        self._waiting = self._store.waiting(self._queue.stream)
        self._on_event(Described(self._writer.written, self._given_up, self._waiting))

    def _is_finished(self) -> bool:
        """Whether nothing can be done now."""
        return not self._running and (self._server.has_given_up or self._queue.is_empty)


async def request_description(lmm: Lmm, job: DescriptionJob) -> Observation | None:
    """Have the model describe the moment of ``job``. None if it has no pictures or children any more.

    Raises:
        LmmError: There is no description.
    """
    moment, snapshot = job.moment, job.snapshot
    if moment.rung != "moment":
        children = snapshot.children(moment)
        return await summarise(lmm, moment, children) if children else None
    frames = snapshot.frames(moment.frame_ids)
    return await describe(lmm, moment, frames, _previous_caption(moment, snapshot)) if frames else None


def _previous_caption(moment: Moment, snapshot: Snapshot) -> str:
    """The caption of the moment just before, or an empty string."""
    for earlier in snapshot.neighbours(moment, before=1, after=0):
        if earlier.epoch == moment.epoch and moment.span.start_s - earlier.span.end_s <= REACH_S:
            return earlier.caption
    return ""
