"""The description queue: reads the backlog of a memory, and gives out what to describe next.

    queue = DescriptionQueue(store, batch_size=64)
    job = queue.next(busy=())               # the next moment to describe, with a snapshot, or None
    queue.postpone(job.item.moment_id)      # others go first from now on
    queue.set_aside(job.item.moment_id)     # it is not given out until bring_back()
    queue.look_again()                      # the backlog has changed

The backlog itself is in the memory and survives a crash. The queue holds only the entries that it has read
ahead. It belongs to one thread, and sends no requests.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from ...memory.query.snapshot import Snapshot
from ...memory.store import MemoryStore
from ...memory.values import Moment, Pending
from .description_priority import description_priority


@dataclass(slots=True)
class DescriptionJob:
    """A moment to describe, with the snapshot to read its frames and children from."""

    item: Pending
    moment: Moment
    snapshot: Snapshot
    started_s: float = 0.0
    """When its request began, on the monotonic clock."""
    is_control: bool = False
    """Whether it was described before, and is described again to learn whether the server is at fault."""


def backlog_entries(moments: Iterable[Moment]) -> list[Pending]:
    """The backlog entries of ``moments``. A moment without pictures or children cannot be described."""
    return [
        Pending(
            moment.id,
            moment.stream,
            moment.rung,
            moment.span,
            description_priority(moment.findings),
            time.time(),
        )
        for moment in moments
        if moment.frame_ids or moment.child_ids
    ]


class DescriptionQueue:
    """Gives out the entries of the backlog in the order of their priority."""

    def __init__(self, store: MemoryStore, batch_size: int, stream: str | None = None) -> None:
        self._store, self._batch_size = store, batch_size
        self.stream = stream
        """The only stream whose moments are given out. None for all streams."""
        self._jobs: deque[DescriptionJob] = deque()
        self._backlog_changed = True
        self._failures: Counter[str] = Counter()
        self._aside: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether everything was given out, and the backlog has not changed since it was read."""
        return not (self._jobs or self._backlog_changed)

    def look_again(self) -> None:
        """Read the backlog again once the entries read ahead are given out."""
        self._backlog_changed = True

    def clear(self) -> None:
        """Drop the entries read ahead and read the backlog again: newer entries may go first."""
        self._jobs.clear()
        self._backlog_changed = True

    def release(self) -> None:
        """Drop the entries read ahead, with their snapshots."""
        for job in self._jobs:
            job.snapshot.release()
        self.clear()

    def postpone(self, moment_id: str) -> None:
        """Give out other entries before this one: its request failed while the server was in trouble."""
        self._failures[moment_id] += 1

    def set_aside(self, moment_id: str) -> None:
        """Do not give out this entry until ``bring_back`` is called."""
        self._aside.add(moment_id)
        self._backlog_changed = True  # there may be more behind the entries that were read ahead

    def bring_back(self, moment_ids: Iterable[str]) -> None:
        """Give out entries again that were set aside."""
        back = self._aside.intersection(moment_ids)
        self._aside -= back
        self._backlog_changed |= bool(back)

    def job_of(self, item: Pending) -> DescriptionJob | None:
        """The job for a memory that need not be in the backlog. None if the memory is gone."""
        snapshot = self._store.snapshot()
        moment = snapshot.get([item.moment_id]).get(item.moment_id)
        return DescriptionJob(item, moment, snapshot) if moment else None

    def next(self, busy: Iterable[DescriptionJob]) -> DescriptionJob | None:
        """The next job. None if nothing waits. ``busy`` are jobs that are not yet written."""
        if not self._jobs and self._backlog_changed:
            self._backlog_changed = False
            self._read_backlog({job.item.moment_id for job in busy} | self._aside)
        return self._jobs.popleft() if self._jobs else None

    def _read_backlog(self, left_out: set[str]) -> None:
        items = self._store.backlog(limit=self._batch_size + len(left_out), stream=self.stream)
        items = sorted(items, key=lambda item: self._failures[item.moment_id])
        snapshot = self._store.snapshot()
        moments = snapshot.get(item.moment_id for item in items if item.moment_id not in left_out)
        self._jobs.extend(
            DescriptionJob(item, moments[item.moment_id], snapshot)
            for item in items
            if item.moment_id in moments
        )
