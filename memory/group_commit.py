"""Group commit: batches of several threads are appended to one memory in a single commit.

    group = GroupCommit(store)
    with group.member():                 # in each live stream's thread
        group.append(moments, frames)    # returns when they are safe on disk

The thread that gets the commit lock is the leader: it appends all queued batches together. The other threads are
followers, and find their batch committed. If the common commit fails, each batch is appended separately, so that each
thread gets its own error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .store import MemoryStore
from .values import KeyFrame, Moment, Pending

GATHER_S = 0.1
"""How long a batch of a live stream waits for those of other live streams."""


@dataclass(slots=True, eq=False)
class _Batch:
    moments: Sequence[Moment]
    frames: Sequence[KeyFrame]
    waiting: Sequence[Pending]
    done: bool = False
    error: Exception | None = None


class GroupCommit:
    """Appends for several threads to one store that is open for writing."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._queue: list[_Batch] = []
        self._changed = threading.Condition()
        self._committing = threading.Lock()
        self._members = 0
        self.commits = 0
        """How many commits were made."""
        self.batches = 0
        """How many batches were appended."""

    @contextmanager
    def member(self) -> Iterator[None]:
        """Inside the block, appends with ``gather`` wait for the batches of this thread."""
        with self._changed:
            self._members += 1
        try:
            yield
        finally:
            with self._changed:
                self._members -= 1
                self._changed.notify_all()

    def append(
        self,
        moments: Sequence[Moment],
        frames: Sequence[KeyFrame] = (),
        waiting: Sequence[Pending] = (),
        *,
        gather: bool = False,
    ) -> None:
        """Append moments with their pictures, as ``MemoryStore.append`` does, together with other threads' batches.

        With ``gather`` it first waits for the batches of other members, ``GATHER_S`` at most.
        Raises what ``MemoryStore.append`` raises for this batch.
        """
        batch = _Batch(moments, frames, waiting)
        with self._changed:
            self._queue.append(batch)
            self._changed.notify_all()
            if gather:
                self._wait_for_others(batch)
        with self._committing:
            if not batch.done:
                self._commit_queue()
        if batch.error is not None:
            raise batch.error

    def _wait_for_others(self, batch: _Batch) -> None:
        until_s = time.monotonic() + GATHER_S
        while batch in self._queue and len(self._queue) < self._members:
            remaining_s = until_s - time.monotonic()
            if remaining_s <= 0:
                return
            self._changed.wait(remaining_s)

    def _commit_queue(self) -> None:
        with self._changed:
            batches, self._queue = self._queue, []
            self._changed.notify_all()
        try:
            self._append(batches)
        except Exception as error:
            if len(batches) == 1:
                batches[0].error = error
            else:
                self._append_separately(batches)
        for batch in batches:
            batch.done = True

    def _append_separately(self, batches: Sequence[_Batch]) -> None:
        for batch in batches:
            try:
                self._append([batch])
            except Exception as error:
                batch.error = error

    def _append(self, batches: Sequence[_Batch]) -> None:
        self._store.append(
            [moment for batch in batches for moment in batch.moments],
            [frame for batch in batches for frame in batch.frames],
            [item for batch in batches for item in batch.waiting],
        )
        self.commits += 1
        self.batches += len(batches)
