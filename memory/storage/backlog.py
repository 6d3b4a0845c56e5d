"""The description backlog: a durable queue of memories that wait for a description.

    backlog = Backlog(tables.backlog)
    with commits.commit() as change:
        backlog.add(change, [Pending(moment.id, "kitchen", "moment", moment.span, change=0.5, queued_at_s=now)])
    backlog.ready(limit=16)        # the next to describe

The memories queued in the newest minute go first, the most eventful of them first. Memories that failed before go
last. An event, hour or day is not ready before everything it summarises is described. This module does not know
who describes memories, or how.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..values import RUNGS, BacklogCounts, Pending
from .commits import Transaction
from .rows import pending_from, pending_row
from .tables import Rows, Table, all_of, equals, id_batches, latest_view, one_of, select, select_arrow

MAX_ATTEMPTS = 3
"""After this many failures, a memory is given up. Its error stays."""
_MINUTE_S = 60.0


class Backlog:
    """The queue in its table. Thread-safe."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, change: Transaction, items: Sequence[Pending]) -> None:
        """Put new items in the queue."""
        change.append(self._table, [pending_row(item) for item in items])

    def put(self, change: Transaction, items: Sequence[Pending]) -> None:
        """Put items in the queue. An item replaces the one of the same moment."""
        change.upsert(self._table, "moment_id", [pending_row(item) for item in items])

    def remove(self, change: Transaction, moment_ids: Iterable[str]) -> None:
        """Remove the items of these moments from the queue."""
        for ids in id_batches(sorted(set(moment_ids))):
            change.delete(self._table, one_of("moment_id", ids))

    def failed(self, change: Transaction, item: Pending, error: str, *, is_charged: bool) -> None:
        """Record a failure, as one more failed attempt of the item if it ``is_charged``."""
        retried = replace(item, attempts=item.attempts + is_charged, error=error)
        change.upsert(self._table, "moment_id", [pending_row(retried, failed_at_s=time.time())])

    def ready(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The first ``limit`` items that can be described now, in order of description."""
        waiting = select_arrow(latest_view(self._table), where=_waiting(stream))
        order = _order(waiting)
        order = order[_children_described(waiting)[order]]
        return [pending_from(row) for row in waiting.take(pa.array(order[:limit])).to_pylist()]

    def ids(self, stream: str | None = None) -> pa.ChunkedArray:
        """The ids of the waiting moments."""
        return select_arrow(latest_view(self._table), where=_waiting(stream), columns=["moment_id"])[
            "moment_id"
        ]

    def counts(self) -> dict[str, BacklogCounts]:
        """The waiting and given-up items by stream. Streams without any are left out."""
        columns = ["stream", "attempts", "queued_at_s", "failed_at_s", "error"]
        by_stream: dict[str, Rows] = {}
        for row in select(latest_view(self._table), columns=columns):
            by_stream.setdefault(row["stream"], []).append(row)
        return {stream: _counts(by_stream[stream]) for stream in sorted(by_stream)}


def _counts(rows: Rows) -> BacklogCounts:
    queued_at_s = [row["queued_at_s"] for row in rows if row["attempts"] < MAX_ATTEMPTS]
    failed = [row for row in rows if row["failed_at_s"] is not None]
    return BacklogCounts(
        waiting=len(queued_at_s),
        oldest_queued_at_s=min(queued_at_s, default=None),
        given_up=len(rows) - len(queued_at_s),
        last_error=max(failed, key=lambda row: row["failed_at_s"])["error"] if failed else "",
    )


def _waiting(stream: str | None) -> str | None:
    """A filter that keeps the waiting items of one stream, or of all."""
    of_stream = None if stream is None else equals("stream", stream)
    return all_of(f"attempts < {MAX_ATTEMPTS}", of_stream)


def _order(waiting: pa.Table) -> NDArray[np.int64]:
    """The row numbers in order of description."""
    columns = {name: waiting[name].to_numpy() for name in ("attempts", "queued_at_s", "change", "start_s")}
    minutes = columns["queued_at_s"] // _MINUTE_S
    # lexsort sorts by the last key first.
    return np.lexsort((-columns["start_s"], -columns["change"], -minutes, columns["attempts"]))


def _children_described(waiting: pa.Table) -> NDArray[np.bool_]:
    """For each row, whether no waiting row of a lower rung of its stream overlaps it."""
    streams = waiting["stream"].to_numpy()
    rungs = np.array([RUNGS.index(rung) for rung in waiting["rung"].to_pylist()], np.int64)
    starts, ends = waiting["start_s"].to_numpy(), waiting["end_s"].to_numpy()
    ready = np.ones(len(waiting), np.bool_)
    for stream in np.unique(streams[rungs > 0]):
        for rung in range(1, len(RUNGS)):
            above = (streams == stream) & (rungs == rung)
            below = np.flatnonzero((streams == stream) & (rungs < rung))
            if not above.any() or not len(below):
                continue
            below = below[np.argsort(starts[below])]
            # Of all rows that start before this one ends, the latest end decides whether any overlaps it.
            latest_end_s = np.concatenate(([-np.inf], np.maximum.accumulate(ends[below])))
            started = np.searchsorted(starts[below], ends[above], side="left")
            ready[above] = latest_end_s[started] <= starts[above]
    return ready
