"""The description writer: collects finished descriptions, and writes them to the memory in batches.

    writer = DescriptionWriter(store, back_dated=())
    writer.add(job, observation)
    if writer.is_due(is_idle=False):
        writer.write()

Written one by one, descriptions would create too many versions of the tables. The writer belongs to one
thread.
"""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import replace

from ...memory.store import MemoryStore
from ...memory.values import Observation
from .description_queue import DescriptionJob

FLUSH_S = 1.5
FLUSH_ITEMS = 32
"""A batch is written when it has this many descriptions, or ``FLUSH_S`` after the last one."""


class DescriptionWriter:
    """Writes descriptions in batches.

    Args:
        store: The memory, open for writing.
        back_dated: Streams whose descriptions get the time of the moment that they describe, so that questions
            as of an earlier time see them.
    """

    def __init__(self, store: MemoryStore, back_dated: Container[str]) -> None:
        self._store, self._back_dated = store, back_dated
        self._batch: list[tuple[DescriptionJob, Observation]] = []
        self._written_s = 0.0
        self.written = 0
        """The number of descriptions written so far."""

    @property
    def jobs(self) -> list[DescriptionJob]:
        """The jobs whose descriptions are not written yet."""
        return [job for job, _ in self._batch]

    @property
    def due_s(self) -> float | None:
        """When the batch must be written, on the monotonic clock. None if it is empty."""
        return self._written_s + FLUSH_S if self._batch else None

    def add(self, job: DescriptionJob, observation: Observation) -> None:
        """Add a description to the batch."""
        if job.moment.stream in self._back_dated:
            observation = replace(observation, written_at_s=job.moment.observations[0].written_at_s)
        self._batch.append((job, observation))

    def is_due(self, *, is_idle: bool) -> bool:
        """Whether to write now: the batch is full or old, or ``is_idle``: no other request is under way."""
        if not self._batch:
            return False
        is_full = len(self._batch) >= FLUSH_ITEMS
        return is_full or is_idle or time.monotonic() - self._written_s >= FLUSH_S

    def write(self) -> None:
        """Write the batch.

        Raises:
            MemoryStoreError: The memory cannot be written.
        """
        if not self._batch:
            return
        self._store.described([(job.moment, observation) for job, observation in self._batch])
        self.written += len(self._batch)
        self._batch.clear()
        self._written_s = time.monotonic()

    def discard(self) -> None:
        """Drop the batch, with the snapshots of its jobs."""
        for job in self.jobs:
            job.snapshot.release()
        self._batch.clear()
